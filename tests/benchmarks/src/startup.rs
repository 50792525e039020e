//! From the command that starts the stack to the first request that it answers.

use std::time::Instant;

use tokio::process::Command;

use crate::binaries::{Binaries, cargo, workspace};
use crate::figure::{Figure, Unit};
use crate::samples::Samples;
use crate::stack::Stack;
use crate::{Failure, progress};

const PART: &str = "startup";
/// How often each is started.
const ROUNDS: u64 = 10;
/// A request that goes through the authorizer and a function to the table.
const REQUEST: &str = "/v1/images";

/// Starts the stack both ways alternately.
pub async fn measure(release: &Binaries) -> Result<Vec<Figure>, Failure> {
    // What a developer has: everything built, nothing changed.
    Binaries::build(&["--bins"]).await?;
    let progress = progress(ROUNDS + 1);
    let (mut direct, mut with_cargo) = (vec![], vec![]);
    for round in 0..=ROUNDS {
        let mut command = Command::new(release.find("tintype")?);
        command.arg("--no-build").arg("--template").arg(workspace().join("template.yaml"));
        command.current_dir(std::env::temp_dir());
        let release = first_answer(command).await?;
        let mut command = cargo();
        // The one that the stack starts is to be quiet, too.
        command.args(["run", "--"]).env("CARGO_TERM_QUIET", "true");
        let debug = first_answer(command).await?;
        // The first start brings everything into memory.
        if round > 0 {
            direct.push(release);
            with_cargo.push(debug);
        }
        progress.inc(1);
    }
    let named = [("tintype --no-build (release)", direct), ("cargo run (dev)", with_cargo)];
    let figure = |(name, times)| {
        let name = format!("{name} to the first answer");
        Some(Figure::median(PART, name, &Samples::new(times)?, Unit::Seconds).at_most(2.0))
    };
    Ok(named.into_iter().filter_map(figure).collect())
}

async fn first_answer(command: Command) -> Result<f64, Failure> {
    let started = Instant::now();
    let stack = Stack::start(command).await?;
    stack.get(REQUEST).await?;
    let seconds = started.elapsed().as_secs_f64();
    stack.stop().await?;
    Ok(seconds)
}

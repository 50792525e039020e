//! `tintype fire sweep`: lets a timer of the running stack go off now.

use std::process::ExitCode;

use clap::Args;

use super::{Outcome, client, print_line};
use crate::stack::Ready;

/// Which timer.
#[derive(Debug, Args)]
pub struct Options {
    /// The timer, by its own name, or by its function's
    timer: String,
}

/// Prints what the function answered.
pub async fn run(options: Options) -> Outcome {
    let ready = Ready::recall().ok_or("no stack runs here: start one with `cargo run`")?;
    // `sweep` is the binary, `Sweep` what the template calls it; a timer's own name is as it is.
    let mut letters = options.timer.chars();
    let capitalised: String =
        letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
    let client = client()?;
    let mut answer = None;
    for name in [&options.timer, &capitalised] {
        let url = format!("{}/_tintype/timers/{name}/fire", ready.api);
        let response = client.post(url).header("x-tintype-control", "1").send().await?;
        let fired = response.status().is_success();
        let text = response.text().await?;
        if fired {
            print_line(&text);
            return Ok(ExitCode::SUCCESS);
        }
        answer.get_or_insert(text);
    }
    Err(answer.unwrap_or_default().into())
}

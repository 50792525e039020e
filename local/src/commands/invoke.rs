//! `tintype invoke get-image events/get-image.json`: one function, once, on a stack of its own.

use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;

use bytes::Bytes;
use clap::Args;

use super::{Outcome, print_line, up};

/// What to invoke, on what.
#[derive(Debug, Args)]
pub struct Options {
    /// The function, as its binary (`get-image`) or as the template (`GetImage`) is called
    function: String,
    /// A file with the event; `-` is standard input
    #[arg(default_value = "-")]
    event: PathBuf,
    /// The template to run
    #[arg(long, value_name = "FILE")]
    template: Option<PathBuf>,
    /// Run an optimised binary
    #[arg(long)]
    release: bool,
    /// Run the binaries beside this one as they are
    #[arg(long)]
    no_build: bool,
}

/// Prints what the function answered. A function that fails makes the command fail.
pub async fn run(options: Options) -> Outcome {
    let event = if options.event.as_os_str() == "-" {
        let mut text = Vec::new();
        std::io::stdin().read_to_end(&mut text)?;
        text
    } else {
        std::fs::read(&options.event).map_err(|e| format!("{}: {e}", options.event.display()))?
    };
    serde_json::from_slice::<serde_json::Value>(&event).map_err(|e| format!("the event is not JSON: {e}"))?;
    let stack = up::Options::once(options.template, options.release, options.no_build).start().await?;
    let name = stack.function_named(&options.function);
    let answer = match name {
        Ok(name) => stack.invoke(&name, Bytes::from(event)).await,
        Err(error) => {
            stack.stop().await;
            return Err(error);
        }
    };
    stack.stop().await;
    match answer {
        Ok(answer) => {
            print_line(&pretty(&answer));
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            print_line(&format!("{:#}", error.document()));
            Ok(ExitCode::FAILURE)
        }
    }
}

fn pretty(answer: &[u8]) -> String {
    serde_json::from_slice::<serde_json::Value>(answer)
        .map_or_else(|_| String::from_utf8_lossy(answer).into_owned(), |value| format!("{value:#}"))
}

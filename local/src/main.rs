//! `tintype`: the local stack and the command line.
//!
//! Without a command it builds the functions, reads `template.yaml` and runs what it describes.

mod aws_json;
mod commands;
mod console;
mod dynamodb;
mod faults;
mod gateway;
mod iam;
mod lambda;
mod s3;
mod sqs;
mod stack;
mod template;
mod triggers;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// An image backend on your laptop: the functions, the API, S3, DynamoDB and SQS in one process tree.
#[derive(Debug, Parser)]
#[command(name = "tintype", version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    up: commands::up::Options,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the stack (what happens without a command, too)
    Up(commands::up::Options),
    /// Upload pictures to a running stack, or to any deployment, and print where their variants are
    Upload(commands::upload::Options),
    /// Run one function once, on an event from a file or from standard input
    Invoke(commands::invoke::Options),
    /// Print what the engine knows of pictures
    Inspect(commands::inspect::Options),
    /// Render one picture by a recipe, as the functions do
    Render(commands::render::Options),
    /// Let a timer of the running stack go off now
    Fire(commands::fire::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.command {
        None => commands::up::run(arguments.up).await,
        Some(Command::Up(options)) => commands::up::run(options).await,
        Some(Command::Upload(options)) => commands::upload::run(options).await,
        Some(Command::Invoke(options)) => commands::invoke::run(options).await,
        Some(Command::Inspect(options)) => commands::inspect::run(options).await,
        Some(Command::Render(options)) => commands::render::run(options).await,
        Some(Command::Fire(options)) => commands::fire::run(options).await,
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            commands::complain(&*error);
            ExitCode::FAILURE
        }
    }
}

//! The command line, run to its end.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::tintype;

/// Runs `tintype` with arguments, in a directory of its own, and waits for its end.
pub fn command(arguments: &[&str]) -> Output {
    command_in(TempDir::new().unwrap().path(), arguments)
}

/// Runs `tintype` in a directory.
pub fn command_in(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(tintype());
    command.args(arguments).current_dir(directory).stdin(Stdio::null());
    // What the environment of the tests says of a deployment is none of this command's business.
    command.env_remove("TINTYPE_API").env_remove("TINTYPE_KEY").output().unwrap()
}

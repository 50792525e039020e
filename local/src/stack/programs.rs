//! The functions' binaries, built by Cargo.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;
use tokio::process::Command;

use super::Failure;

/// Binaries by name.
#[derive(Debug, Clone)]
pub enum Programs {
    /// As Cargo reported them.
    Built(BTreeMap<String, PathBuf>),
    /// All in one directory.
    In(PathBuf),
}

/// A line of Cargo's JSON messages.
/// <https://doc.rust-lang.org/cargo/reference/external-tools.html#json-messages>
#[derive(Deserialize)]
struct Message {
    reason: String,
    target: Option<Target>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

impl Programs {
    /// Builds the whole workspace, as one command that shares everything with `cargo run` and
    /// `cargo test`. Cargo shows its own progress.
    pub async fn build(release: bool) -> Result<Self, Failure> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args(["build", "--workspace", "--bins", "--message-format=json-render-diagnostics"]);
        if release {
            command.arg("--release");
        }
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(describes_a_package) {
                command.env_remove(name);
            }
        }
        command.stdin(Stdio::null()).stderr(Stdio::inherit());
        let output = command.stdout(Stdio::piped()).kill_on_drop(true).spawn()?.wait_with_output().await?;
        if !output.status.success() {
            return Err("the functions could not be built".into());
        }
        let lines = output.stdout.split(|byte| *byte == b'\n');
        let messages = lines.filter_map(|line| serde_json::from_slice::<Message>(line).ok());
        let built = messages
            .filter(|message| message.reason == "compiler-artifact")
            .filter_map(|message| Some((message.target?.name, message.executable?)));
        Ok(Self::Built(built.collect()))
    }

    /// What lies beside the running binary.
    pub fn beside_this_one() -> io::Result<Self> {
        let this = std::env::current_exe()?;
        Ok(Self::In(this.parent().unwrap_or_else(|| Path::new(".")).to_owned()))
    }

    /// The binary of this name.
    pub fn find(&self, name: &str) -> Result<PathBuf, Failure> {
        let found = match self {
            Self::Built(programs) => programs.get(name).cloned(),
            Self::In(directory) => Some(directory.join(name)),
        };
        found
            .filter(|program| program.is_file())
            .ok_or_else(|| format!("the template names a binary `{name}` that does not exist").into())
    }
}

/// Whether `cargo run` tells its child about the package by this variable. A build below must not see it:
/// build scripts that watch it (ring's does) would run again, and all that depends on them be built again.
/// <https://doc.rust-lang.org/cargo/reference/environment-variables.html>
fn describes_a_package(variable: &str) -> bool {
    variable.starts_with("CARGO_PKG_") || variable.starts_with("CARGO_MANIFEST_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_below_cargo_run_builds_nothing_again() {
        for told in ["CARGO_PKG_VERSION_PRE", "CARGO_PKG_NAME", "CARGO_MANIFEST_DIR", "CARGO_MANIFEST_LINKS"]
        {
            assert!(describes_a_package(told), "{told}");
        }
        for meant in ["CARGO", "CARGO_HOME", "CARGO_TARGET_DIR", "CARGO_BUILD_BUILD_DIR", "PATH"] {
            assert!(!describes_a_package(meant), "{meant}");
        }
    }
}

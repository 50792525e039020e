//! The binaries under test. Functions are built by Cargo with one command for the whole workspace: `-p` builds
//! would give their dependencies other features.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde::Deserialize;
use tokio::process::Command;

use crate::Failure;

/// Binaries by name, and what it took to have them.
#[derive(Debug)]
pub struct Binaries {
    programs: BTreeMap<String, PathBuf>,
    /// How long Cargo took, if it had anything to do.
    pub built_in: Option<Duration>,
}

/// A line of Cargo's JSON messages.
/// <https://doc.rust-lang.org/cargo/reference/external-tools.html#json-messages>
#[derive(Deserialize)]
struct Message {
    reason: String,
    target: Option<Target>,
    executable: Option<PathBuf>,
    fresh: Option<bool>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

impl Binaries {
    /// Builds the workspace's binaries, `cargo build --workspace` with these arguments. Cargo shows its own
    /// progress.
    pub async fn build(arguments: &[&str]) -> Result<Self, Failure> {
        Self::build_of("--workspace", arguments).await
    }

    /// Builds a binary of this package, which is not a function and needs nothing of the rest.
    pub async fn build_own(name: &str, arguments: &[&str]) -> Result<Self, Failure> {
        let arguments = [&["--release", "--bin", name][..], arguments].concat();
        Self::build_of("--package=benchmarks", &arguments).await
    }

    async fn build_of(packages: &str, arguments: &[&str]) -> Result<Self, Failure> {
        let started = Instant::now();
        let mut command = cargo();
        command.args(["build", packages, "--message-format=json-render-diagnostics"]).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let output = command.spawn()?.wait_with_output().await?;
        if !output.status.success() {
            return Err(format!("`cargo build {packages} {}` failed", arguments.join(" ")).into());
        }
        let lines = output.stdout.split(|byte| *byte == b'\n');
        let messages = lines.filter_map(|line| serde_json::from_slice::<Message>(line).ok());
        let (mut programs, mut worked) = (BTreeMap::new(), false);
        for message in messages.filter(|message| message.reason == "compiler-artifact") {
            worked |= message.fresh == Some(false);
            if let (Some(target), Some(executable)) = (message.target, message.executable) {
                programs.insert(target.name, executable);
            }
        }
        Ok(Self { programs, built_in: worked.then(|| started.elapsed()) })
    }

    /// The binary of this name.
    pub fn find(&self, name: &str) -> Result<&Path, Failure> {
        let found = self.programs.get(name).map(PathBuf::as_path);
        found.ok_or_else(|| format!("the workspace has no binary `{name}`").into())
    }
}

/// Cargo, at the top of the workspace.
pub fn cargo() -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // `cargo run` tells its child about this package; Cargo must not take it for its own settings.
    command.current_dir(workspace()).env_remove("CARGO_MANIFEST_DIR");
    command
}

/// The top of the workspace.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The names of all functions: the binaries under `functions/`.
pub fn functions() -> Result<Vec<String>, Failure> {
    let mut names = Vec::new();
    for group in workspace().join("functions").read_dir()? {
        for source in group?.path().join("src/bin").read_dir()? {
            let source = source?.path();
            names.extend(source.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned));
        }
    }
    names.sort();
    Ok(names)
}

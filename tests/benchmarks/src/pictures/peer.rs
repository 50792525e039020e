//! The two sides: a process each, which does one job on one picture as often as it is told to.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use super::job::Job;
use crate::binaries::{Binaries, workspace};
use crate::{Failure, note};

/// How long a job may take.
const PATIENCE: Duration = Duration::from_mins(5);

/// Who does a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// This project's engine.
    Tintype,
    /// <https://sharp.pixelplumbing.com>
    Sharp,
}

/// What a side says of a run.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Run {
    /// CPU time, of all threads.
    pub cpu_ms: f64,
    /// Time on the clock.
    pub wall_ms: f64,
    /// The most memory that the process ever had.
    pub peak_bytes: u64,
    /// Of the pictures that were made.
    pub bytes: u64,
}

/// The programs that do the jobs.
#[derive(Debug)]
pub struct Peers {
    engine: PathBuf,
    sharp: Option<PathBuf>,
    /// Sharp's version and those of what it runs on.
    pub versions: String,
}

impl Peers {
    /// Builds one program and installs the other, if there is a Node to run it.
    pub async fn prepare() -> Result<Self, Failure> {
        note("Building the engine's side (cargo build --release -p benchmarks --bin picture-job).");
        let (assembly, how) = assembly().await;
        let engine = Binaries::build_own("picture-job", assembly).await?;
        let engine = engine.find("picture-job")?.to_owned();
        let target = engine.ancestors().nth(2).ok_or("the build has no directory")?;
        let (sharp, versions) = match install(&target.join("peers/sharp")).await {
            Ok((script, versions)) => (Some(script), versions),
            Err(reason) => {
                note(&format!("sharp is not measured: {reason}"));
                (None, "without sharp".to_owned())
            }
        };
        Ok(Self { engine, sharp, versions: format!("{versions}; AVIF {how}") })
    }

    /// Starts a side. `None` if it is not there.
    pub fn start(&self, side: Side, job: Job, file: &Path, into: &Path) -> Result<Option<Peer>, Failure> {
        let mut command = match (side, &self.sharp) {
            (Side::Tintype, _) => Command::new(&self.engine),
            (Side::Sharp, Some(script)) => node(script),
            (Side::Sharp, None) => return Ok(None),
        };
        command.arg(job.name()).arg(file).arg(into).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let began = Instant::now();
        let mut child = command.spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (orders, answers) = pipes.ok_or("a process without pipes")?;
        Ok(Some(Peer { began, child, orders, answers: BufReader::new(answers) }))
    }

    /// Lets sharp turn a picture into a PNG.
    pub async fn decode(&self, file: &Path, png: &Path) -> Result<(), Failure> {
        let script = self.sharp.as_ref().ok_or("only sharp can decode it")?;
        let mut command = node(script);
        command.arg("decode").arg(file).arg(png);
        succeed(command).await.map(drop)
    }
}

/// A running side.
#[derive(Debug)]
pub struct Peer {
    began: Instant,
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    /// Has the job done once. Also tells how long after the start of the process it was.
    pub async fn run(&mut self, quality: u8) -> Result<(Run, Duration), Failure> {
        // A process that is gone is noticed when it does not answer, and then it has said why.
        let _ = self.orders.write_all(format!("{quality}\n").as_bytes()).await;
        let mut line = String::new();
        timeout(PATIENCE, self.answers.read_line(&mut line)).await??;
        let since_start = self.began.elapsed();
        if line.is_empty() {
            let mut reason = String::new();
            if let Some(errors) = &mut self.child.stderr {
                errors.read_to_string(&mut reason).await?;
            }
            return Err(reason.trim().into());
        }
        Ok((serde_json::from_str(&line)?, since_start))
    }

    /// Waits until the process has ended.
    pub async fn end(mut self) -> Result<(), Failure> {
        drop(self.orders);
        timeout(PATIENCE, self.child.wait()).await??;
        Ok(())
    }
}

/// With what arguments AVIF is built as fast as this machine can build it, and what that is called. On aarch64
/// nothing has to be asked for.
async fn assembly() -> (&'static [&'static str], &'static str) {
    let assembles = cfg!(target_arch = "aarch64");
    let nasm = cfg!(target_arch = "x86_64") && {
        let mut nasm = Command::new("nasm");
        nasm.arg("-v");
        succeed(nasm).await.is_ok()
    };
    match (assembles, nasm) {
        (true, _) => (&[], "with assembly"),
        (false, true) => (&["--features", "imaging/nasm"], "with assembly"),
        (false, false) => (&[], "without assembly, as there is no nasm"),
    }
}

fn node(script: &Path) -> Command {
    let mut command = Command::new("node");
    command.arg(script);
    command
}

/// Puts the script and what it needs into a directory that is not the repository's.
async fn install(directory: &Path) -> Result<(PathBuf, String), Failure> {
    let source = workspace().join("tests/benchmarks/peers/sharp");
    let script = directory.join("job.js");
    let installed = directory.join("node_modules/sharp").is_dir()
        && same(&source, directory, "package.json")
        && same(&source, directory, "package-lock.json");
    std::fs::create_dir_all(directory)?;
    for file in ["package.json", "package-lock.json", "job.js"] {
        std::fs::copy(source.join(file), directory.join(file))?;
    }
    if !installed {
        note("Installing sharp (npm ci).");
        let mut npm = Command::new("npm");
        npm.args(["ci", "--no-audit", "--no-fund"]).current_dir(directory);
        succeed(npm).await?;
    }
    let mut versions = node(&script);
    versions.arg("versions");
    Ok((script, succeed(versions).await?.trim().to_owned()))
}

fn same(left: &Path, right: &Path, file: &str) -> bool {
    let read = |directory: &Path| std::fs::read(directory.join(file)).ok();
    read(left).is_some_and(|left| read(right) == Some(left))
}

/// Runs a command to its end and gives what it printed.
async fn succeed(mut command: Command) -> Result<String, Failure> {
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().await.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            format!("there is no `{program}`. It takes Node.js 20.9 or later, with npm")
        }
        _ => format!("`{program}`: {error}"),
    })?;
    if !output.status.success() {
        return Err(format!("`{program}` failed: {}", String::from_utf8_lossy(&output.stderr).trim()).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

//! The stack's process.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::{PATIENCE, tintype};

/// How long a stack may take to end in order.
const GRACE: Duration = Duration::from_secs(10);

/// A child process that does not outlive this value.
#[derive(Debug)]
pub struct Process {
    child: Mutex<Child>,
    log: PathBuf,
}

impl Process {
    /// Starts the stack's binary in a directory, where it leaves its log.
    pub fn start(directory: &Path, arguments: &[String]) -> Self {
        let log = directory.join("log");
        let file = File::create(&log).unwrap();
        let child = Command::new(tintype())
            .args(arguments)
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        Self { child: Mutex::new(child), log }
    }

    /// Waits for a file that the process writes when it is ready.
    pub async fn writes(&self, file: &Path) -> Vec<u8> {
        let begun = Instant::now();
        loop {
            if let Ok(bytes) = fs::read(file) {
                return bytes;
            }
            let ended = self.with(|child| child.try_wait().unwrap());
            assert!(ended.is_none(), "the stack ended before it was ready:\n{}", self.log());
            assert!(begun.elapsed() < PATIENCE, "the stack does not become ready:\n{}", self.log());
            tokio::time::sleep(crate::PAUSE).await;
        }
    }

    /// All that it has written.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// What it has written last: as much as a person reads.
    pub fn end_of_log(&self) -> String {
        const LINES: usize = 100;
        let log = self.log();
        // Who waits asks often, and is answered.
        let lines: Vec<&str> = log.lines().filter(|line| !line.contains(r#""outcome":"200""#)).collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }

    /// Sends a signal and waits for the end, which is forced if it does not come.
    pub fn end(&self, signal: Signal) -> ExitStatus {
        self.with(|child| {
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            // Until it is waited for, nobody else gets its id.
            kill_process(Pid::from_child(child), signal).unwrap();
            let begun = Instant::now();
            while begun.elapsed() < GRACE {
                if let Some(status) = child.try_wait().unwrap() {
                    return status;
                }
                std::thread::sleep(crate::PAUSE);
            }
            let orphans = children(child.id());
            child.kill().unwrap();
            let status = child.wait().unwrap();
            for orphan in orphans {
                let _ = kill_process(orphan, Signal::KILL);
            }
            status
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut Child) -> T) -> T {
        work(&mut self.child.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end(Signal::TERM);
    }
}

/// The children of a process, where the system tells.
fn children(process: u32) -> Vec<Pid> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let ids = lists.flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    ids.filter_map(|id| Pid::from_raw(id.parse().ok()?)).collect()
}

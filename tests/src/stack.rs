//! A running stack, and who may use it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rustix::process::Signal;
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::leftovers::{self, Explained};
use crate::process::Process;
use crate::{Api, Root, template};

/// What the stack says of itself when it is ready.
#[derive(Debug, Clone, Deserialize)]
pub struct Ready {
    /// The API's base URL.
    pub api: String,
    /// S3's.
    pub s3: String,
    /// DynamoDB's.
    pub dynamodb: String,
    /// SQS's.
    pub sqs: String,
    /// The first project.
    pub project: String,
    /// Its API key.
    pub key: String,
    /// Who may do everything.
    pub access_key: String,
    /// The secret to it.
    pub secret_key: String,
    /// The region.
    pub region: String,
    /// Physical names by logical ids.
    pub resources: BTreeMap<String, String>,
}

/// A running stack and clients of it. The last one to let go of a stack checks what it leaves.
pub struct Stack {
    /// The API, with the key of the first project.
    pub api: Api,
    /// Everything behind the API.
    pub root: Root,
    running: Arc<Running>,
}

struct Running {
    process: Process,
    ready: Ready,
    explained: Mutex<Explained>,
    /// Set when a test failed or ended the stack itself: there is nothing to be learnt from what is left.
    spoilt: AtomicBool,
    _directory: TempDir,
}

impl Stack {
    /// Starts a stack with more arguments than it needs.
    pub async fn start(arguments: &[&str]) -> Self {
        let directory = TempDir::with_prefix("end-to-end-").unwrap();
        let ready_file = directory.path().join("ready.json");
        let mut all: Vec<String> = vec!["--no-build".into(), "--port".into(), "0".into(), "--json".into()];
        all.extend(["--template".into(), template().display().to_string()]);
        all.extend(["--ready-file".into(), ready_file.display().to_string()]);
        // Tests that run at the same time share a key, which would soon have asked too often.
        for parameter in ["ReadsPerSecond", "ReadBurst", "WritesPerSecond", "WriteBurst"] {
            if !arguments.iter().any(|argument| argument.starts_with(&format!("{parameter}="))) {
                all.extend(["--parameter".into(), format!("{parameter}=100000")]);
            }
        }
        all.extend(arguments.iter().map(|&argument| argument.to_owned()));
        let process = Process::start(directory.path(), &all);
        let ready = serde_json::from_slice(&process.writes(&ready_file).await).unwrap();
        let running = Running {
            process,
            ready,
            explained: Mutex::default(),
            spoilt: AtomicBool::new(false),
            _directory: directory,
        };
        Self::on(Arc::new(running))
    }

    /// Starts a stack that keeps its data in a directory.
    pub async fn with_data(directory: &Path) -> Self {
        Self::start(&["--data", &directory.display().to_string()]).await
    }

    /// A stack as the template has it, which tests that run at the same time share.
    pub async fn shared() -> Self {
        static SHARED: tokio::sync::Mutex<Weak<Running>> = tokio::sync::Mutex::const_new(Weak::new());
        let mut shared = SHARED.lock().await;
        if let Some(running) = shared.upgrade() {
            return Self::on(running);
        }
        let stack = Self::start(&[]).await;
        *shared = Arc::downgrade(&stack.running);
        stack
    }

    /// Clients belong to the runtime of one test, so each test has its own.
    fn on(running: Arc<Running>) -> Self {
        let ready = &running.ready;
        let api = Api::new(&ready.api, &ready.project, Some(&ready.key));
        Self { api, root: Root::new(ready), running }
    }

    /// Where everything is.
    pub fn ready(&self) -> &Ready {
        &self.running.ready
    }

    /// Makes a project of its own.
    pub async fn new_project(&self) -> Api {
        let made = self.root.invoke("CreateProject", &json!({ "name": "Another project" })).await;
        let made: Value = made.json();
        Api::new(&self.ready().api, made["project"].as_str().unwrap(), made["key"].as_str())
    }

    /// What the stack and its functions have said so far.
    pub fn log(&self) -> String {
        self.running.process.log()
    }

    /// These many messages are meant to be left in dead-letter queues.
    pub fn expect_dead_letters(&self, count: usize) {
        self.explained().dead_letters += count;
    }

    /// This image is meant to stay pending: its bytes never come.
    pub fn expect_pending(&self, image: &str) {
        self.explained().pending.insert(image.to_owned());
    }

    /// The upload of this image is meant to be left to the bucket's expiry.
    pub fn expect_upload(&self, image: &str) {
        self.explained().uploads.insert(image.to_owned());
    }

    fn explained(&self) -> std::sync::MutexGuard<'_, Explained> {
        self.running.explained.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the stack with a signal, and looks no further.
    pub fn end(self, signal: Signal) -> ExitStatus {
        self.running.spoilt.store(true, Ordering::Relaxed);
        self.running.process.end(signal)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.running.spoilt.store(true, Ordering::Relaxed);
            eprintln!("The end of the stack's log:\n{}", self.running.process.end_of_log());
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if *self.spoilt.get_mut() || std::thread::panicking() {
            return;
        }
        let explained = std::mem::take(self.explained.get_mut().unwrap_or_else(PoisonError::into_inner));
        let left = leftovers::of(&self.ready, explained);
        self.process.end(Signal::TERM);
        assert!(
            left.is_empty(),
            "the stack is left with\n  {}\nThe end of its log:\n{}",
            left.join("\n  "),
            self.process.end_of_log()
        );
    }
}

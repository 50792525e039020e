//! A running stack, and what a client does with it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::{Client, Method, RequestBuilder};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::Failure;
use crate::binaries::Binaries;

/// A stack that is stopped when it is dropped, and in order by [`Stack::stop`].
pub struct Stack {
    process: Child,
    ready: Ready,
    document: Vec<u8>,
    client: Client,
    _directory: TempDir,
}

/// What `--ready-file` says.
#[derive(Deserialize)]
struct Ready {
    api: String,
    key: String,
}

#[derive(Deserialize)]
struct Reserved {
    image: String,
    url: String,
    headers: BTreeMap<String, String>,
}

/// How long a stack may take to start or to stop, and a request to be answered.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a condition is looked at: often enough not to be what is measured.
const POLL: Duration = Duration::from_millis(2);
/// How often an image is asked for. Each time costs a hundredth of what is waited for.
const POLL_IMAGE: Duration = Duration::from_millis(10);

impl Stack {
    /// Starts the stack that a command line runs.
    pub async fn start(mut command: Command) -> Result<Self, Failure> {
        let directory = TempDir::with_prefix("benchmark-")?;
        let ready_file = directory.path().join("ready.json");
        command.args(["--quiet", "--port", "0", "--ready-file"]).arg(&ready_file);
        // Nobody has to wait here.
        for rate in ["ReadsPerSecond", "ReadBurst", "WritesPerSecond", "WriteBurst"] {
            command.args(["--parameter", &format!("{rate}=100000")]);
        }
        command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null()).kill_on_drop(true);
        let mut process = command.spawn()?;
        let ready = timeout(PATIENCE, async {
            loop {
                // It is there once it is whole.
                if let Ok(document) = std::fs::read(&ready_file) {
                    return Ok(document);
                }
                if let Some(status) = process.try_wait()? {
                    return Err::<Vec<u8>, Failure>(format!("the stack ended: {status}").into());
                }
                sleep(POLL).await;
            }
        });
        let document = ready.await.map_err(|_| format!("the stack is not ready after {PATIENCE:?}"))??;
        let ready = serde_json::from_slice(&document)?;
        // Nothing here speaks TLS, but the client wants to be able to.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().timeout(PATIENCE).build()?;
        Ok(Self { process, ready, document, client, _directory: directory })
    }

    /// Starts the stack on built binaries and a template, away from any directory where another one runs.
    pub async fn of(binaries: &Binaries, template: &Path) -> Result<Self, Failure> {
        let mut command = Command::new(binaries.find("tintype")?);
        command.arg("--no-build").arg("--template").arg(template).current_dir(std::env::temp_dir());
        Self::start(command).await
    }

    /// Everything behind the API.
    pub fn root(&self) -> Result<end_to_end::Root, Failure> {
        Ok(end_to_end::Root::new(&serde_json::from_slice(&self.document)?))
    }

    /// A request to the API.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.ready.api)).bearer_auth(&self.ready.key)
    }

    /// Asks and reads the whole answer. Anything but success is an error.
    pub async fn get(&self, path: &str) -> Result<Vec<u8>, Failure> {
        let answer = self.request(Method::GET, path).send().await?.error_for_status()?;
        Ok(answer.bytes().await?.to_vec())
    }

    /// Uploads a JPEG and returns the image's id and how long it took from the reservation until the image
    /// was seen to be ready.
    pub async fn upload(&self, picture: &[u8]) -> Result<(String, Duration), Failure> {
        let started = Instant::now();
        let new = json!({ "content_type": "image/jpeg", "bytes": picture.len(), "method": "PUT" });
        let reserved = self.request(Method::POST, "/v1/uploads").json(&new).send().await?;
        let reserved: Reserved = reserved.error_for_status()?.json().await?;
        let mut put = self.client.put(&reserved.url).body(picture.to_vec());
        for (name, value) in &reserved.headers {
            put = put.header(name, value);
        }
        put.send().await?.error_for_status()?;
        let path = format!("/v1/images/{}", reserved.image);
        let settled = timeout(PATIENCE, async {
            loop {
                let image: Value = serde_json::from_slice(&self.get(&path).await?)?;
                match image["state"].as_str() {
                    Some("ready") => return Ok(()),
                    Some("pending" | "processing") => sleep(POLL_IMAGE).await,
                    _ => return Err::<_, Failure>(format!("the upload came to nothing: {image}").into()),
                }
            }
        });
        settled.await.map_err(|_| format!("an image is not ready after {PATIENCE:?}"))??;
        Ok((reserved.image, started.elapsed()))
    }

    /// The processes of a function.
    pub async fn processes(&self, function: &str) -> Result<Vec<u32>, Failure> {
        let functions: Value = serde_json::from_slice(&self.get("/_tintype/functions").await?)?;
        Ok(serde_json::from_value(functions[function]["instances"].clone())?)
    }

    /// Ends it in order.
    pub async fn stop(mut self) -> Result<(), Failure> {
        let process = self.process.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(process) = process {
            kill_process(process, Signal::TERM)?;
        }
        let stopped = timeout(PATIENCE, self.process.wait());
        stopped.await.map_err(|_| format!("the stack does not stop within {PATIENCE:?}"))??;
        Ok(())
    }
}

//! `tintype upload photo.jpg ...`: what a client does, from the reservation to the pictures' URLs.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use futures::StreamExt as _;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use reqwest::{Body, Client, Response};
use serde::Deserialize;
use serde_json::json;
use tokio_util::io::ReaderStream;

use super::{Outcome, client, complain, print_line};
use crate::stack::Ready;

/// What to upload, and where.
#[derive(Debug, Args)]
pub struct Options {
    /// The pictures
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The API; by default the stack that runs here
    #[arg(long, env = "TINTYPE_API", value_name = "URL")]
    api: Option<String>,
    /// The API key
    #[arg(long, env = "TINTYPE_KEY", value_name = "KEY", hide_env_values = true)]
    key: Option<String>,
    /// The media type, instead of what the file's first bytes say
    #[arg(long = "type", value_name = "TYPE")]
    content_type: Option<String>,
    /// Let everybody see the pictures
    #[arg(long)]
    public: bool,
    /// Print what the API says of each image, as JSON
    #[arg(long)]
    json: bool,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

struct Api {
    client: Client,
    url: String,
    key: String,
}

#[derive(Deserialize)]
struct CreatedUpload {
    image: String,
    url: String,
    headers: std::collections::BTreeMap<String, String>,
}

/// How often a pending image is asked for, at first and at most.
const POLL: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// How long an image may take. The functions behind it have a minute.
const PATIENCE: Duration = Duration::from_mins(2);

/// Uploads every file, and goes on after one that fails.
pub async fn run(options: Options) -> Outcome {
    let api = Api::find(&options)?;
    let bars = MultiProgress::new();
    let mut failed = false;
    for file in &options.files {
        match api.upload(file, &options, &bars).await {
            Ok(image) => {
                failed |= image["state"] != "ready";
                bars.suspend(|| show(file, &image, &api.url, options.json));
            }
            Err(error) => {
                failed = true;
                bars.suspend(|| complain(&NotUploaded { file: file.clone(), source: error }));
            }
        }
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// A file that was not uploaded, and why.
#[derive(Debug, thiserror::Error)]
#[error("{}", file.display())]
struct NotUploaded {
    file: PathBuf,
    source: Failure,
}

impl Api {
    fn find(options: &Options) -> Result<Self, Failure> {
        let running = Ready::recall();
        let found = |given: &Option<String>, of: fn(&Ready) -> &String| {
            given.clone().or_else(|| running.as_ref().map(|ready| of(ready).clone()))
        };
        let (Some(url), Some(key)) = (found(&options.api, |r| &r.api), found(&options.key, |r| &r.key))
        else {
            return Err("no stack runs here: start one with `cargo run`, or name a deployment with \
                        --api and --key"
                .into());
        };
        Ok(Self { client: client()?, url: url.trim_end_matches('/').to_owned(), key })
    }

    async fn upload(
        &self, file: &Path, options: &Options, bars: &MultiProgress,
    ) -> Result<serde_json::Value, Failure> {
        let source = tokio::fs::File::open(file).await?;
        let bytes = source.metadata().await?.len();
        let content_type = match &options.content_type {
            Some(given) => given.clone(),
            None => media_type(file).await?.to_owned(),
        };
        let visibility = if options.public { "public" } else { "private" };
        let title = file.file_name().map(|name| name.to_string_lossy().into_owned());
        let new = json!({
            "content_type": content_type, "bytes": bytes, "method": "PUT",
            "visibility": visibility, "title": title,
        });
        let request = self.client.post(format!("{}/v1/uploads", self.url)).bearer_auth(&self.key).json(&new);
        let target: CreatedUpload = checked(request.send().await?).await?.json().await?;

        let bar = bars.add(ProgressBar::new(bytes).with_style(style()));
        bar.set_message(file.file_name().unwrap_or_default().to_string_lossy().into_owned());
        let progress = bar.clone();
        let chunks = ReaderStream::with_capacity(source, 256 * 1024).inspect(move |chunk| {
            progress.inc(chunk.as_ref().map_or(0, |chunk| chunk.len() as u64));
        });
        let mut put = self.client.put(&target.url).body(Body::wrap_stream(chunks));
        for (name, value) in &target.headers {
            put = put.header(name, value);
        }
        checked(put.send().await?).await?;
        bar.set_message(format!("{} is being processed", bar.message()));
        let image = self.settled(&target.image).await;
        bar.finish_and_clear();
        image
    }

    /// Waits until an image is ready or failed.
    async fn settled(&self, image: &str) -> Result<serde_json::Value, Failure> {
        let waited = tokio::time::timeout(PATIENCE, async {
            let mut pause = POLL.0;
            loop {
                let request =
                    self.client.get(format!("{}/v1/images/{image}", self.url)).bearer_auth(&self.key);
                let image: serde_json::Value = checked(request.send().await?).await?.json().await?;
                if !matches!(image["state"].as_str(), Some("pending" | "processing")) {
                    return Ok::<_, Failure>(image);
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(POLL.1);
            }
        });
        waited.await.map_err(|_| format!("{image} is still not processed after {PATIENCE:?}"))?
    }
}

/// An answer that is a problem becomes an error that says what to do.
async fn checked(response: Response) -> Result<Response, Failure> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let text = response.text().await?;
    let detail = serde_json::from_str::<serde_json::Value>(&text)
        .ok()
        .and_then(|problem| Some(problem["detail"].as_str().or(problem["message"].as_str())?.to_owned()));
    let detail = detail.or_else(|| {
        let (_, rest) = text.split_once("<Message>")?;
        Some(rest.split_once("</Message>")?.0.to_owned())
    });
    Err(format!("{status}: {}", detail.unwrap_or(text)).into())
}

async fn media_type(file: &Path) -> Result<&'static str, Failure> {
    let bytes = tokio::fs::read(file).await?;
    let header = imaging::probe(&bytes).map_err(|e| format!("{e} (--type uploads it all the same)"))?;
    Ok(header.format.media_type())
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{msg:30!} {bar:30.cyan/dim} {bytes:>10} of {total_bytes} {bytes_per_sec}")
        .expect("the template is well-formed")
        .progress_chars("━━─")
}

fn show(file: &Path, image: &serde_json::Value, api: &str, as_json: bool) {
    if as_json {
        print_line(&image.to_string());
        return;
    }
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if let Some(failure) = image.get("failure") {
        print_line(&format!("{}  failed: {}", file.display(), text(&failure["detail"])));
        return;
    }
    print_line(&format!(
        "{}  {}  {}x{}",
        file.display(),
        text(&image["id"]),
        image["width"],
        image["height"]
    ));
    for variant in image["variants"].as_array().into_iter().flatten() {
        print_line(&format!(
            "  {:>5}x{:<5} {:>7}  {:>8}  {api}{}",
            text(&variant["width"]),
            text(&variant["height"]),
            text(&variant["format"]),
            indicatif::HumanBytes(variant["bytes"].as_u64().unwrap_or(0)).to_string(),
            text(&variant["path"]),
        ));
    }
}

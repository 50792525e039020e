//! `tintype inspect photo.jpg ...`: what the engine knows of files, by decoding no more than it must.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use imaging::{Budget, Limits};
use serde_json::{Value, json};

use super::{Outcome, complain, print_line};

/// What to look at.
#[derive(Debug, Args)]
pub struct Options {
    /// The pictures
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How long one picture may take, and how much memory: what the largest functions have.
const PATIENCE: Duration = Duration::from_mins(1);
const MEMORY: u64 = 2 << 30;

/// Looks at every file, and goes on after one that is no picture.
pub async fn run(options: Options) -> Outcome {
    let mut failed = false;
    for file in &options.files {
        match look(file).await {
            Ok(known) if options.json => print_line(&known.to_string()),
            Ok(known) => show(&known),
            Err(error) => {
                failed = true;
                complain(&NotKnown { file: file.clone(), source: error });
            }
        }
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// A file of which nothing can be said, and why.
#[derive(Debug, thiserror::Error)]
#[error("{}", file.display())]
struct NotKnown {
    file: PathBuf,
    source: Failure,
}

async fn look(file: &Path) -> Result<Value, Failure> {
    let bytes = tokio::fs::read(file).await?;
    let header = imaging::probe(&bytes)?;
    Limits::default().check(&header, bytes.len() as u64)?;
    let metadata = imaging::metadata(&bytes, &header);
    // Without plans, the picture is decoded just large enough to be looked at.
    let budget = Budget { deadline: Instant::now() + PATIENCE, memory: MEMORY };
    let facts = imaging::render(&bytes, &header, &[], &budget)?.facts;
    let [red, green, blue] = facts.dominant_color;
    Ok(json!({
        "file": file.display().to_string(),
        "content_type": header.format.media_type(),
        "bytes": bytes.len(),
        "width": header.width,
        "height": header.height,
        "orientation": header.orientation.to_exif(),
        "frames": header.frames,
        "opaque": facts.opaque,
        "taken_at": metadata.taken_at,
        "camera": metadata.camera,
        "dominant_color": format!("#{red:02x}{green:02x}{blue:02x}"),
        "thumbhash": STANDARD.encode(&facts.thumbhash),
    }))
}

fn show(known: &Value) {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    print_line(&text(&known["file"]));
    let rest = known.as_object().into_iter().flatten();
    for (key, value) in rest.filter(|(key, value)| *key != "file" && !value.is_null()) {
        print_line(&format!("  {key:<15} {}", text(value)));
    }
}

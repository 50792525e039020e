//! `tintype inspect photo.jpg ...`: what the engine knows of files, by decoding no more than it must.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use imaging::Limits;
use serde_json::{Value, json};

use super::{Outcome, budget, complain, print_line};

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
    let exposure = metadata.exposure;
    // Without plans, the picture is decoded just large enough to be looked at.
    let rendered = imaging::render(&bytes, &header, &[], &budget())?;
    let facts = rendered.facts;
    let hex = |[red, green, blue]: [u8; 3]| format!("#{red:02x}{green:02x}{blue:02x}");
    Ok(json!({
        "file": file.display().to_string(),
        "content_type": header.format.media_type(),
        "bytes": bytes.len(),
        "width": header.width,
        "height": header.height,
        "orientation": header.orientation.to_exif(),
        "frames": header.frames,
        "opaque": facts.opaque,
        "notes": rendered.notes.iter().map(|note| note.code()).collect::<Vec<_>>(),
        "taken_at": metadata.taken_at,
        "camera": metadata.camera,
        "lens": metadata.lens,
        "exposure_time": exposure.time.map(|time| time.to_string()),
        "f_number": exposure.f_number,
        "iso": exposure.iso,
        "focal_length": exposure.focal_length,
        "focal_length_35mm": exposure.focal_length_35mm,
        "flash": exposure.flash,
        "artist": metadata.artist,
        "copyright": metadata.copyright,
        "location": metadata.location.map(|location| json!({
            "latitude": location.latitude,
            "longitude": location.longitude,
            "altitude": location.altitude,
        })),
        "dominant_color": hex(facts.dominant_color),
        "palette": facts.palette.iter().map(|swatch| hex(swatch.color)).collect::<Vec<_>>(),
        "thumbhash": STANDARD.encode(&facts.thumbhash),
        "blurhash": facts.blurhash,
        "perceptual_hash": format!("{:016x}", facts.perceptual_hash),
    }))
}

fn show(known: &Value) {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    print_line(&text(&known["file"]));
    let rest = known.as_object().into_iter().flatten();
    for (key, value) in rest.filter(|(key, value)| {
        *key != "file" && !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty())
    }) {
        print_line(&format!("  {key:<15} {}", text(value)));
    }
}

//! Measures what the project promises: cold starts, sizes, warm requests, an upload, the local stack's
//! start. Every time is measured beside a reference in the same run, alternately, because machines differ and
//! are never alone; ratios are what can be compared. `docs/benchmarks.md` has results.

mod binaries;
mod cold_start;
mod figure;
mod picture;
mod process;
mod runtime_api;
mod samples;
mod size;
mod stack;
mod startup;
mod upload;
mod warm;

use std::error::Error;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};

use binaries::Binaries;

type Failure = Box<dyn Error + Send + Sync>;

/// Measure Tintype. Everything stays on this machine; a run takes a minute or two, sizes take longer
#[derive(Debug, Parser)]
struct Arguments {
    /// What to measure
    #[arg(value_enum, default_value_t = Part::All)]
    part: Part,
    /// A JPEG to upload, instead of a made one of 12 megapixels
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
    /// Print a line of JSON for every figure
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// From the start of a function's process to its first request for work, and to its first TLS hello
    ColdStart,
    /// Requests to running functions through the local gateway
    Warm,
    /// A 12-megapixel JPEG from the upload to `ready`
    Upload,
    /// From the command that starts the stack to the first answered request
    Startup,
    /// The sizes of the functions as they are deployed. Building them takes minutes each
    Size,
    /// Everything
    All,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            note(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), Failure> {
    note("Building what is measured (cargo build --release --workspace --bins).");
    let binaries = Binaries::build(&["--release", "--bins"]).await?;
    let order = [Part::ColdStart, Part::Warm, Part::Upload, Part::Startup, Part::Size];
    for part in order.into_iter().filter(|part| [*part, Part::All].contains(&arguments.part)) {
        note(&format!("{} ({})", part.announcement(), load()));
        let figures = match part {
            Part::ColdStart => cold_start::measure(&binaries).await?,
            Part::Warm => warm::measure(&binaries).await?,
            Part::Upload => upload::measure(&binaries, &arguments.picture()?).await?,
            Part::Startup => startup::measure(&binaries).await?,
            Part::Size | Part::All => size::measure().await?,
        };
        figure::print(&figures, arguments.json)?;
    }
    Ok(())
}

impl Arguments {
    fn picture(&self) -> Result<Vec<u8>, Failure> {
        Ok(match &self.picture {
            Some(file) => std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?,
            None => picture::photograph(4032, 3024)?,
        })
    }
}

impl Part {
    const fn announcement(self) -> &'static str {
        match self {
            Self::ColdStart => "Starting functions.",
            Self::Warm => "Asking functions that run.",
            Self::Upload => "Uploading a photograph.",
            Self::Startup => "Starting the stack.",
            Self::Size | Self::All => "Building the functions as they are deployed. This takes minutes each.",
        }
    }
}

/// A bar that shows itself on a terminal, and is gone when it is dropped.
fn progress(length: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40.cyan/dim} {percent}% {elapsed}")
        .expect("the template is well-formed")
        .progress_chars("━━─");
    let bar = ProgressBar::new(length).with_style(style).with_finish(ProgressFinish::AndClear);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// What else the machine does, to judge the figures by.
fn load() -> String {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!("{cores} cores, load {}", load.split(' ').next().unwrap_or_default())
}

/// Writes a line to standard error, which is not where the figures go.
fn note(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

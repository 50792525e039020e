//! Measures what the project promises: cold starts, sizes, warm requests, long lists, an upload, the local
//! stack's start, and the engine beside sharp. Every time is measured beside a reference in the same run, alternately, because machines differ and
//! are never alone; ratios are what can be compared. `docs/benchmarks.md` has results.

mod binaries;
mod cold_start;
mod figure;
mod list;
mod picture;
mod pictures;
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

use clap::{Parser, Subcommand};
use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};

use binaries::Binaries;

type Failure = Box<dyn Error + Send + Sync>;

/// Measure Tintype. Everything stays on this machine; a run takes a minute or two, sizes take longer
#[derive(Debug, Parser)]
struct Arguments {
    /// What to measure; everything if nothing is said
    #[command(subcommand)]
    part: Option<Part>,
    /// Print a line of JSON for every figure
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Clone, Subcommand)]
enum Part {
    /// From the start of a function's process to its first request for work, and to its first TLS hello
    ColdStart,
    /// Requests to running functions through the local gateway
    Warm,
    /// Lists of a thousand images, and of a hundred thousand
    List,
    /// A 12-megapixel JPEG from the upload to `ready`
    Upload {
        /// A JPEG to upload, instead of a made one
        #[arg(long, value_name = "FILE")]
        picture: Option<PathBuf>,
    },
    /// From the command that starts the stack to the first answered request
    Startup,
    /// The engine beside sharp, on made pictures or on yours: CPU time, memory, bytes, looks and cost
    Pictures(pictures::Arguments),
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
    let parts = match arguments.part.clone() {
        None | Some(Part::All) => vec![
            Part::ColdStart,
            Part::Warm,
            Part::List,
            Part::Upload { picture: None },
            Part::Startup,
            Part::Pictures(pictures::Arguments::default()),
            Part::Size,
        ],
        Some(part) => vec![part],
    };
    for part in parts {
        part.measure(arguments.json).await?;
    }
    Ok(())
}

impl Part {
    async fn measure(&self, json: bool) -> Result<(), Failure> {
        let figures = match self {
            Self::ColdStart => cold_start::measure(&ready("Starting functions.").await?).await?,
            Self::Warm => warm::measure(&ready("Asking functions that run.").await?).await?,
            Self::List => list::measure(&ready("Listing few images and many.").await?).await?,
            Self::Upload { picture } => {
                let picture = match picture {
                    Some(file) => {
                        std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?
                    }
                    None => picture::photograph(4032, 3024)?,
                };
                upload::measure(&ready("Uploading a photograph.").await?, &picture).await?
            }
            Self::Startup => startup::measure(&ready("Starting the stack.").await?).await?,
            Self::Pictures(arguments) => return pictures::measure(arguments, json).await,
            Self::Size | Self::All => {
                note("Building the functions as they are deployed. This takes minutes each.");
                size::measure().await?
            }
        };
        figure::print(&figures, json)?;
        Ok(())
    }
}

/// Builds what is measured, if it is not built, and says what follows.
async fn ready(announcement: &str) -> Result<Binaries, Failure> {
    note("Building what is measured (cargo build --release --workspace --bins).");
    let binaries = Binaries::build(&["--release", "--bins"]).await?;
    note(&format!("{announcement} ({})", load()));
    Ok(binaries)
}

/// A bar that shows itself on a terminal, and is gone when it is dropped.
fn progress(length: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40.cyan/dim} {percent}% {elapsed} {msg}")
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

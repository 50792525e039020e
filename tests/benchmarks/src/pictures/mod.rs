//! The engine beside sharp: CPU time, memory, bytes and how the pictures look, job by job.

mod cost;
mod job;
mod measure;
mod peer;
mod reference;
mod report;
mod score;

use std::fs;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use imaging::Format;

use crate::{Failure, load, note, picture, progress};
use job::Job;
use measure::Bench;
use peer::Peers;
use reference::References;

/// What to do with which pictures.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// Pictures to work on, instead of made ones
    files: Vec<PathBuf>,
    /// Do only this, with every picture; otherwise each picture is put to what it is fit for
    #[arg(long, value_enum)]
    job: Option<Job>,
    /// How often each side does each job
    #[arg(long, default_value_t = RUNS, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Keep the pictures that were made, in a directory for each job, picture and side
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print the tables in Markdown
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
}

const RUNS: u32 = 9;

impl Default for Arguments {
    fn default() -> Self {
        Self { files: Vec::new(), job: None, runs: RUNS, out: None, markdown: false }
    }
}

/// A picture and what is known of it without looking closely.
#[derive(Debug)]
struct Input {
    file: PathBuf,
    format: Format,
    pixels: u64,
}

/// Measures and prints, job by job.
pub async fn measure(arguments: &Arguments, json: bool) -> Result<(), Failure> {
    let scratch = tempfile::tempdir()?;
    let mut inputs: Vec<Input> = arguments.files.iter().map(|file| look(file)).collect::<Result<_, _>>()?;
    let fit = |inputs: &[Input], job: Job| inputs.iter().any(|input| job.fits(input.format, input.pixels));
    if inputs.is_empty() {
        note("Making pictures.");
        inputs = made(scratch.path())?;
    } else if arguments.job.is_none() && !fit(&inputs, Job::Start) {
        inputs.push(small(scratch.path())?);
    }
    // Who names a job and pictures means them.
    let forced = arguments.job.is_some() && !arguments.files.is_empty();
    let jobs: Vec<Job> = arguments.job.map_or_else(|| Job::ALL.to_vec(), |job| vec![job]);

    let peers = Peers::prepare().await?;
    let machine = format!("{}, {}; {}", processor(), load(), peers.versions);
    note(&format!("Comparing pictures ({machine})."));
    if arguments.markdown {
        print(&format!("On {machine}. Medians of {} runs.\n", arguments.runs))?;
    }
    let directory = arguments.out.clone().unwrap_or_else(|| scratch.path().join("out"));
    let mut bench = Bench { peers, references: References::default(), directory, runs: arguments.runs };
    for job in jobs {
        let fitting: Vec<_> =
            inputs.iter().filter(|input| forced || job.fits(input.format, input.pixels)).collect();
        if fitting.is_empty() {
            continue;
        }
        let bar = progress(fitting.len().try_into().unwrap_or(0)).with_message(job.name());
        let mut comparisons = Vec::new();
        for input in fitting {
            let comparison = bench.compare(job, &input.file).await?;
            if json {
                print(&comparison.json()?)?;
            }
            comparisons.push(comparison);
            bar.inc(1);
        }
        drop(bar);
        if arguments.markdown {
            print(&report::markdown(job, &comparisons))?;
        } else if !json {
            let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            print(&report::table(job, &comparisons, colour))?;
        }
    }
    Ok(())
}

fn look(file: &Path) -> Result<Input, Failure> {
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let bytes = fs::read(file).map_err(|error| failed(&error))?;
    let header = imaging::probe(&bytes).map_err(|error| failed(&error))?;
    let pixels = u64::from(header.width) * u64::from(header.height);
    Ok(Input { file: file.to_owned(), format: header.format, pixels })
}

/// A photograph as phones and cameras make them, one to measure memory with, a screenshot, a small one.
fn made(directory: &Path) -> Result<Vec<Input>, Failure> {
    let photograph = write(directory, "made-12mp.jpg", &picture::photograph(4032, 3024)?)?;
    let large = write(directory, "made-24mp.jpg", &picture::photograph(6000, 4000)?)?;
    let lossless = directory.join("made-8mp.png");
    reference::decode(&picture::photograph(3840, 2160)?)?.save(&lossless)?;
    Ok(vec![photograph, large, look(&lossless)?, small(directory)?])
}

fn small(directory: &Path) -> Result<Input, Failure> {
    write(directory, "made-small.jpg", &picture::photograph(640, 480)?)
}

fn write(directory: &Path, name: &str, bytes: &[u8]) -> Result<Input, Failure> {
    let file = directory.join(name);
    fs::write(&file, bytes)?;
    look(&file)
}

fn print(text: &str) -> io::Result<()> {
    io::stdout().lock().write_all(text.as_bytes())
}

/// The name of the processor.
fn processor() -> String {
    let known = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = known.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    name.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned())
}

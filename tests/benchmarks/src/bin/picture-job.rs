//! One job of the picture benchmark, done by this project's engine: what `peers/sharp/job.js` is for sharp.
//!
//! `picture-job JOB FILE DIRECTORY` does the job once for every line on standard input, which is the quality,
//! and answers with a line of JSON; the pictures go into DIRECTORY. It links nothing but the engine.

use std::error::Error;
use std::io::{self, BufRead as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};
use std::{env, fs};

use imaging::{Budget, Encoding, Limits, OutputFormat, Plan, Recipe};
use rustix::time::{ClockId, clock_gettime};

/// What an upload becomes.
const LADDER: [(u32, OutputFormat); 6] = [
    (160, OutputFormat::Webp),
    (320, OutputFormat::Webp),
    (640, OutputFormat::Webp),
    (1280, OutputFormat::Webp),
    (2048, OutputFormat::Webp),
    (1280, OutputFormat::Jpeg),
];

/// What a job makes of its picture: widths and formats. `None` if the engine cannot.
fn outputs(job: &str) -> Option<&'static [(u32, OutputFormat)]> {
    Some(match job {
        "thumbnail" | "start" => &[(320, OutputFormat::Jpeg)],
        "webp" => &[(1280, OutputFormat::Webp)],
        "avif" => &[(640, OutputFormat::Avif)],
        "png-webp" => &[(640, OutputFormat::Webp)],
        "ladder" | "ladder-each" | "memory" => &LADDER,
        _ => return None,
    })
}

fn recipe(width: u32, format: OutputFormat, quality: u8) -> Recipe {
    Recipe::of_width(width, Encoding { format, quality, lossless: false })
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [job, file, directory] = &arguments[..] else {
        return Err("picture-job JOB FILE DIRECTORY".into());
    };
    let outputs = outputs(job).ok_or_else(|| format!("the engine has no job {job}"))?;
    let upload = fs::read(file)?;
    for line in io::stdin().lock().lines() {
        let quality = line?.trim().parse()?;
        // A start is everything that the process has done until here.
        let before = if job == "start" { Duration::ZERO } else { cpu_time() };
        let began = Instant::now();
        let pictures = render(&upload, outputs, quality)?;
        let (wall, cpu) = (began.elapsed(), cpu_time().saturating_sub(before));
        let peak = peak_bytes()?;
        let mut bytes = 0;
        for ((width, format), picture) in outputs.iter().zip(pictures) {
            fs::write(Path::new(directory).join(format!("{width}.{}", format.extension())), &picture)?;
            bytes += picture.len();
        }
        let (cpu, wall) = (cpu.as_secs_f64() * 1e3, wall.as_secs_f64() * 1e3);
        let answer =
            format!(r#"{{"cpu_ms":{cpu:.3},"wall_ms":{wall:.3},"peak_bytes":{peak},"bytes":{bytes}}}"#);
        writeln!(io::stdout().lock(), "{answer}")?;
    }
    Ok(())
}

/// As a function does it: from the bytes of the upload to those of all pictures. Facts are not made of it: sharp
/// makes none.
fn render(
    upload: &[u8], outputs: &[(u32, OutputFormat)], quality: u8,
) -> Result<Vec<Vec<u8>>, imaging::Reject> {
    let header = imaging::probe(upload)?;
    Limits::default().check(&header, upload.len() as u64)?;
    let plan = |&(width, format): &(u32, OutputFormat)| recipe(width, format, quality).plan(&header);
    let plans: Vec<Plan> = outputs.iter().map(plan).collect();
    let budget = Budget { deadline: Instant::now() + Duration::from_mins(5), memory: 2 << 30 };
    let pictures = imaging::pictures(upload, &header, &plans, None, &budget)?;
    Ok(pictures.into_iter().map(|picture| picture.bytes).collect())
}

/// What this process has used of all CPUs, in user mode and in the kernel.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), nanoseconds)
}

/// The most that this process ever had in memory. `getrusage` would say at least what the process that started
/// this one had: Linux keeps it across `exec`.
fn peak_bytes() -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let kilobytes = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kilobytes
        .map(|kilobytes| kilobytes * 1024)
        .ok_or_else(|| io::Error::other("no VmHWM in /proc/self/status"))
}

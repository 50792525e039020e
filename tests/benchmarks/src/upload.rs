//! A photograph's way from the reservation to `ready`.

use std::time::Duration;

use crate::binaries::{Binaries, workspace};
use crate::figure::{Figure, Unit};
use crate::samples::Samples;
use crate::stack::Stack;
use crate::{Failure, megabytes, milliseconds, process, progress};

const PART: &str = "upload";
/// How often the picture is uploaded, besides the first time.
const ROUNDS: u64 = 7;
/// The function that does the work, as the template calls it.
const FUNCTION: &str = "ProcessUpload";

/// Uploads a picture again and again.
pub async fn measure(binaries: &Binaries, picture: &[u8]) -> Result<Vec<Figure>, Failure> {
    let stack = Stack::of(binaries, &workspace().join("template.yaml")).await?;
    let progress = progress(ROUNDS + 1);
    let (_, first) = stack.upload(picture).await?;
    progress.inc(1);
    let (mut walls, mut used, mut peak) = (vec![], vec![], 0);
    let (mut before, _) = usage(&stack).await?;
    for _ in 0..ROUNDS {
        let (_, wall) = stack.upload(picture).await?;
        let (after, memory) = usage(&stack).await?;
        walls.push(milliseconds(wall));
        used.push(milliseconds(after.saturating_sub(before)));
        (before, peak) = (after, memory.max(peak));
        progress.inc(1);
    }
    stack.stop().await?;
    #[expect(clippy::cast_precision_loss, reason = "a picture's size")]
    let size = picture.len() as f64 / 1e6;
    let mut figures = vec![
        Figure::new(PART, "the picture", size, Unit::Megabytes),
        Figure::new(PART, "first upload to ready", milliseconds(first), Unit::Milliseconds),
    ];
    for (name, values) in [("upload to ready", walls), ("process-upload: CPU time", used)] {
        let samples = Samples::new(values);
        figures.extend(samples.map(|samples| Figure::median(PART, name, &samples, Unit::Milliseconds)));
    }
    figures.push(Figure::new(PART, "process-upload: peak memory", megabytes(peak), Unit::Megabytes));
    Ok(figures)
}

/// The CPU time of all instances, and the most memory that one of them ever had.
async fn usage(stack: &Stack) -> Result<(Duration, u64), Failure> {
    let (mut time, mut peak) = (Duration::ZERO, 0);
    for id in stack.processes(FUNCTION).await? {
        time += process::cpu_time(id)?;
        peak = peak.max(process::peak_memory(id)?);
    }
    Ok((time, peak))
}

//! One job on one picture, by both sides in turns.

use std::fs;
use std::path::{Path, PathBuf};

use super::cost::Cost;
use super::job::{Job, Quality, Target};
use super::peer::{Peer, Peers, Run, Side};
use super::reference::{References, decode};
use super::report::{Comparison, Line};
use super::score::score;
use crate::samples::Samples;
use crate::{Failure, milliseconds, note};

/// How far from the quality of the job the bytes are looked at, to know them at another score.
const NEIGHBOURS: [i16; 2] = [-8, 8];

/// What all measurements share.
pub struct Bench {
    /// The programs.
    pub peers: Peers,
    /// What pictures should look like.
    pub references: References,
    /// Where what they make goes.
    pub directory: PathBuf,
    /// How often each side does each job.
    pub runs: u32,
}

/// One side while it is measured.
struct Contender {
    side: Side,
    directory: PathBuf,
    quality: u8,
    /// The first run: what one upload takes in memory, and what the pictures are.
    first: Run,
    score: Option<f64>,
    /// The running process, unless every run has its own.
    peer: Option<Peer>,
    runs: Vec<Run>,
}

impl Bench {
    /// Measures. A side that cannot do the job is left out.
    pub async fn compare(&mut self, job: Job, file: &Path) -> Result<Comparison, Failure> {
        let input = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut sharp = self.begin(Side::Sharp, job, file, &input, None).await;
        let rival = sharp.as_ref().and_then(|sharp| sharp.score);
        let mut ours = self.begin(Side::Tintype, job, file, &input, rival).await;

        for _ in 0..job.runs(self.runs) {
            for contender in [&mut ours, &mut sharp].into_iter().flatten() {
                let run = match &mut contender.peer {
                    Some(peer) => peer.run(contender.quality).await?.0,
                    None => self.run_anew(contender.side, job, file, contender).await?,
                };
                contender.runs.push(run);
            }
        }

        let bytes_at_equal_score = match (&mut ours, rival) {
            (Some(ours), Some(rival)) if job.compares_bytes() => self.bytes_at(ours, file, rival).await?,
            _ => None,
        };
        let mut comparison = Comparison::new(job, input, bytes_at_equal_score);
        let pair = ours.as_ref().zip(sharp.as_ref());
        comparison.times = pair.and_then(|(ours, sharp)| times(job, &ours.runs, &sharp.runs));
        for contender in [ours, sharp].into_iter().flatten() {
            comparison.add(contender.finish(job, &comparison.input).await?);
        }
        Ok(comparison)
    }

    /// Starts a side and lets it do the job for the first time, which is not counted.
    async fn begin(
        &mut self, side: Side, job: Job, file: &Path, input: &str, rival: Option<f64>,
    ) -> Option<Contender> {
        match self.try_begin(side, job, file, input, rival).await {
            Ok(contender) => contender,
            Err(error) => {
                note(&format!("{side:?} cannot do {} of {input}: {error}", job.name()));
                None
            }
        }
    }

    async fn try_begin(
        &mut self, side: Side, job: Job, file: &Path, input: &str, rival: Option<f64>,
    ) -> Result<Option<Contender>, Failure> {
        let directory = self.directory.join(job.name()).join(input).join(format!("{side:?}").to_lowercase());
        if directory.exists() {
            fs::remove_dir_all(&directory)?;
        }
        fs::create_dir_all(&directory)?;
        let Some(mut peer) = self.peers.start(side, job, file, &directory)? else { return Ok(None) };
        let quality = match job.quality(side) {
            Quality::Fixed(quality) => quality,
            Quality::Matching => 80,
        };
        let (first, _) = peer.run(quality).await?;
        let score = self.score(file, &directory).await?;
        let (peer, runs) = (Some(peer), Vec::new());
        let mut contender = Contender { side, directory, quality, first, score, peer, runs };
        if let (Quality::Matching, Some(rival)) = (job.quality(side), rival) {
            self.match_quality(&mut contender, file, rival).await?;
        }
        if job.starts_anew()
            && let Some(peer) = contender.peer.take()
        {
            peer.end().await?;
        }
        Ok(Some(contender))
    }

    async fn run_anew(
        &self, side: Side, job: Job, file: &Path, contender: &Contender,
    ) -> Result<Run, Failure> {
        let mut peer = self.peers.start(side, job, file, &contender.directory)?.ok_or("a side is gone")?;
        let (mut run, since_start) = peer.run(contender.quality).await?;
        peer.end().await?;
        if job == Job::Start {
            run.wall_ms = milliseconds(since_start);
        }
        Ok(run)
    }

    /// Finds the least quality that scores no worse than the other side.
    async fn match_quality(
        &mut self, contender: &mut Contender, file: &Path, rival: f64,
    ) -> Result<(), Failure> {
        let (mut low, mut high) = (1, 100);
        while low < high {
            let middle = u8::midpoint(low, high);
            let (_, score) = self.try_quality(contender, file, middle).await?;
            if score.is_some_and(|score| score >= rival) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        let (first, score) = self.try_quality(contender, file, high).await?;
        let peak_bytes = contender.first.peak_bytes;
        (contender.quality, contender.score, contender.first) = (high, score, Run { peak_bytes, ..first });
        Ok(())
    }

    async fn try_quality(
        &mut self, contender: &mut Contender, file: &Path, quality: u8,
    ) -> Result<(Run, Option<f64>), Failure> {
        let peer = contender.peer.as_mut().ok_or("the side has ended")?;
        let (run, _) = peer.run(quality).await?;
        Ok((run, self.score(file, &contender.directory).await?))
    }

    /// How many bytes this side would have needed for the score of the other.
    async fn bytes_at(
        &mut self, contender: &mut Contender, file: &Path, rival: f64,
    ) -> Result<Option<f64>, Failure> {
        let Some(score) = contender.score else { return Ok(None) };
        let mut points = vec![(score, contender.first.bytes)];
        for step in NEIGHBOURS {
            let quality = (i16::from(contender.quality) + step).clamp(1, 100);
            let (run, score) = self.try_quality(contender, file, u8::try_from(quality)?).await?;
            points.extend(score.map(|score| (score, run.bytes)));
        }
        // What is left in the directory is what was measured.
        self.try_quality(contender, file, contender.quality).await?;
        Ok(interpolate(points, rival))
    }

    /// The mean score of the pictures in a directory. `None` where one cannot be read.
    async fn score(&mut self, file: &Path, directory: &Path) -> Result<Option<f64>, Failure> {
        let mut scores = Vec::new();
        let mut pictures: Vec<_> =
            directory.read_dir()?.map(|entry| Ok(entry?.path())).collect::<Result<_, std::io::Error>>()?;
        pictures.sort();
        for picture in pictures {
            let shown = if picture.extension().is_some_and(|extension| extension == "avif") {
                let png = self.directory.join("decoded.png");
                self.peers.decode(&picture, &png).await?;
                decode(&fs::read(png)?)?
            } else {
                decode(&fs::read(&picture)?)?
            };
            let Ok(reference) = self.references.at(file, shown.width(), shown.height()) else {
                return Ok(None);
            };
            scores.push(score(reference, &shown)?);
        }
        #[expect(clippy::cast_precision_loss, reason = "a handful")]
        let count = scores.len() as f64;
        Ok((count > 0.0).then(|| scores.iter().sum::<f64>() / count))
    }
}

impl Contender {
    async fn finish(self, job: Job, input: &str) -> Result<Line, Failure> {
        if let Some(peer) = self.peer {
            peer.end().await?;
        }
        let median = |what: fn(&Run) -> f64| samples(&self.runs, what).ok_or("nothing was measured");
        let cpu = median(|run| run.cpu_ms)?;
        let wall = median(|run| run.wall_ms)?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was a u64")]
        let peak = if job.starts_anew() {
            median(|run| precise(run.peak_bytes))?.median() as u64
        } else {
            self.first.peak_bytes
        };
        let cost = Cost::of(cpu.median(), peak);
        Ok(Line {
            side: self.side,
            job,
            input: input.to_owned(),
            cpu_ms: cpu.median(),
            cpu_ms_spread: cpu.spread(),
            wall_ms: wall.median(),
            peak_rss_mb: precise(peak) / 1e6,
            bytes: self.first.bytes,
            score: self.score,
            quality: self.quality,
            runs: self.runs.len(),
            gb_seconds: cost.gb_seconds,
            dollars_per_million: cost.dollars_per_million(),
        })
    }
}

fn samples(runs: &[Run], what: fn(&Run) -> f64) -> Option<Samples> {
    Samples::new(runs.iter().map(what).collect())
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn precise(bytes: u64) -> f64 {
    bytes as f64
}

/// How many times as much sharp takes: of the medians, and where the middle half of the pairs lies.
fn times(job: Job, ours: &[Run], sharp: &[Run]) -> Option<[f64; 3]> {
    let what: fn(&Run) -> f64 = match job.target() {
        Target::TimesLessCpu(_) => |run| run.cpu_ms,
        Target::Megabytes(_) => |run| precise(run.peak_bytes),
        Target::Milliseconds(_) => |run| run.wall_ms,
    };
    let pairs = ours.iter().zip(sharp).map(|(ours, sharp)| what(sharp) / what(ours));
    let [low, high] = Samples::new(pairs.collect())?.spread();
    Some([samples(sharp, what)?.median() / samples(ours, what)?.median(), low, high])
}

/// The bytes at a score, between points of score and bytes: the logarithm of the bytes is nearly straight there.
/// `None` for a score that lies beyond the points.
fn interpolate(mut points: Vec<(f64, u64)>, score: f64) -> Option<f64> {
    points.sort_by(|left, right| left.0.total_cmp(&right.0));
    points.windows(2).find_map(|pair| {
        let [(low, few), (high, many)] =
            [pair[0], pair[1]].map(|(score, bytes)| (score, precise(bytes).ln()));
        let share = (score - low) / (high - low);
        (low..=high).contains(&score).then(|| (few + (many - few) * share).exp())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_known_between_the_points_and_not_beyond() {
        let points = vec![(80.0, 4_000), (60.0, 1_000), (70.0, 2_000)];
        let at = |score| interpolate(points.clone(), score).map(f64::round);
        assert_eq!([at(60.0), at(65.0), at(70.0), at(80.0)], [1e3, 1414.0, 2e3, 4e3].map(Some));
        assert_eq!([at(59.9), at(80.1)], [None, None]);
    }

    #[test]
    fn sides_are_compared_by_what_the_job_is_about() {
        let run = |cpu_ms, wall_ms, peak_bytes| Run { cpu_ms, wall_ms, peak_bytes, bytes: 1 };
        let (ours, sharp) = ([run(1.0, 10.0, 100); 3], [run(2.0, 30.0, 400); 3]);
        let found = [Job::Webp, Job::Start, Job::Memory].map(|job| times(job, &ours, &sharp).unwrap());
        assert_eq!(found, [[2.0; 3], [3.0; 3], [4.0; 3]]);
        assert_eq!(times(Job::Webp, &[], &[]), None);
    }
}

//! The results, and how they are shown: lines of JSON, a table, or the same table in Markdown.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::job::{Job, Target};
use super::peer::Side;

/// What one side took for one job on one picture.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    pub side: Side,
    pub job: Job,
    /// The name of the file.
    pub input: String,
    /// The median. From the start of the process if the job is to start.
    pub cpu_ms: f64,
    /// Where the middle half lies.
    pub cpu_ms_spread: [f64; 2],
    /// The median.
    pub wall_ms: f64,
    /// Of a process that did the job once.
    pub peak_rss_mb: f64,
    /// Of all pictures together.
    pub bytes: u64,
    /// SSIMULACRA2, the mean of all pictures.
    pub score: Option<f64>,
    /// What the side was asked for.
    pub quality: u8,
    pub runs: usize,
    pub gb_seconds: f64,
    pub dollars_per_million: f64,
}

/// Both sides of one job on one picture.
#[derive(Debug)]
pub struct Comparison {
    job: Job,
    /// The name of the file.
    pub input: String,
    ours: Option<Line>,
    sharp: Option<Line>,
    /// How many times as much sharp takes, and where the middle half of the pairs lies.
    pub times: Option<[f64; 3]>,
    /// What our side would have needed for sharp's score.
    bytes_at_equal_score: Option<f64>,
}

const HEADINGS: [&str; 10] = [
    "picture",
    "tintype",
    "sharp",
    "times less",
    "spread",
    "target",
    "peak MB",
    "kB",
    "score",
    "bytes at equal score",
];
const MISSING: &str = "–";

type Row = [String; HEADINGS.len()];

impl Comparison {
    /// Without results yet.
    pub fn new(job: Job, input: String, bytes_at_equal_score: Option<f64>) -> Self {
        Self { job, input, ours: None, sharp: None, times: None, bytes_at_equal_score }
    }

    /// Takes in the results of one side.
    pub fn add(&mut self, line: Line) {
        match line.side {
            Side::Tintype => self.ours = Some(line),
            Side::Sharp => self.sharp = Some(line),
        }
    }

    /// A line of JSON for each side.
    pub fn json(&self) -> serde_json::Result<String> {
        let sides = [&self.ours, &self.sharp].into_iter().flatten();
        sides.map(|line| Ok(serde_json::to_string(line)? + "\n")).collect()
    }

    /// Whether the target is met. `None` where that cannot be said.
    fn met(&self) -> Option<bool> {
        match self.job.target() {
            Target::TimesLessCpu(least) => self.times.map(|[times, ..]| times >= least),
            Target::Megabytes(most) => self.ours.as_ref().map(|line| line.peak_rss_mb <= most),
            Target::Milliseconds(most) => self.ours.as_ref().map(|line| line.wall_ms <= most),
        }
    }

    fn row(&self) -> Row {
        let lines = [self.ours.as_ref(), self.sharp.as_ref()];
        let each = |show: &dyn Fn(&Line) -> Option<String>| {
            lines.map(|line| line.and_then(show).unwrap_or_else(|| MISSING.to_owned()))
        };
        let both = |show: &dyn Fn(&Line) -> Option<String>| each(show).join(" / ");
        let [ours, sharp] = each(&|line| Some(measured(line)));
        let bytes = match lines {
            [Some(ours), Some(sharp)] => {
                format!(" ({})", percent(kilobytes(ours.bytes) / kilobytes(sharp.bytes)))
            }
            _ => String::new(),
        };
        let equal = self.bytes_at_equal_score.zip(self.sharp.as_ref());
        [
            self.input.clone(),
            ours,
            sharp,
            self.times.map_or(MISSING.to_owned(), |[times, ..]| format!("{times:.2} x")),
            self.times.map_or(String::new(), |[_, low, high]| format!("{low:.2} to {high:.2}")),
            self.met().map_or(MISSING, verdict).to_owned(),
            both(&|line| Some(format!("{:.0}", line.peak_rss_mb))),
            both(&|line| Some(format!("{:.1}", kilobytes(line.bytes)))) + &bytes,
            both(&|line| line.score.map(|score| format!("{score:.1}"))),
            equal.map_or(String::new(), |(bytes, sharp)| percent(bytes / 1e3 / kilobytes(sharp.bytes))),
        ]
    }
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "missed" }
}

/// What the job is about.
fn measured(line: &Line) -> String {
    match line.job.target() {
        Target::TimesLessCpu(_) => format!("{:.1} ms", line.cpu_ms),
        Target::Megabytes(_) => format!("{:.1} MB", line.peak_rss_mb),
        Target::Milliseconds(_) => format!("{:.1} ms", line.wall_ms),
    }
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn kilobytes(bytes: u64) -> f64 {
    bytes as f64 / 1e3
}

fn percent(ratio: f64) -> String {
    format!("{:+.1}%", (ratio - 1.0) * 100.0)
}

/// What the job costs: the mean over the pictures that both sides did, or that the only side did.
fn costs(comparisons: &[Comparison]) -> [Row; 2] {
    let together =
        comparisons.iter().any(|comparison| comparison.ours.is_some() && comparison.sharp.is_some());
    let counted = || {
        comparisons
            .iter()
            .filter(move |comparison| !together || (comparison.ours.is_some() && comparison.sharp.is_some()))
    };
    let mean = |lines: Vec<&Line>, what: fn(&Line) -> f64| {
        #[expect(clippy::cast_precision_loss, reason = "a handful")]
        let count = lines.len() as f64;
        (count > 0.0).then(|| lines.into_iter().map(what).sum::<f64>() / count)
    };
    let row = |name: &str, what: fn(&Line) -> f64, show: fn(f64) -> String| {
        let ours = mean(counted().filter_map(|both| both.ours.as_ref()).collect(), what);
        let sharp = mean(counted().filter_map(|both| both.sharp.as_ref()).collect(), what);
        let mut row = Row::default();
        name.clone_into(&mut row[0]);
        row[1] = ours.map_or(MISSING.to_owned(), show);
        row[2] = sharp.map_or(MISSING.to_owned(), show);
        row[3] = ours.zip(sharp).map_or(MISSING.to_owned(), |(ours, sharp)| format!("{:.2} x", sharp / ours));
        row
    };
    [
        row("cost: GB-seconds", |line| line.gb_seconds, |value| format!("{value:.4}")),
        row("cost: a million", |line| line.dollars_per_million, |value| format!("${value:.2}")),
    ]
}

fn goal(target: Target) -> String {
    match target {
        Target::TimesLessCpu(least) => format!("CPU time; at least {least} times less"),
        Target::Megabytes(most) => format!("at most {most} MB"),
        Target::Milliseconds(most) => format!("time on the clock; at most {most} ms"),
    }
}

/// A table of one job.
pub fn table(job: Job, comparisons: &[Comparison], colour: bool) -> String {
    let style = |style: Style| if colour { style } else { Style::new() };
    let (bold, dim) = (style(Style::new().bold()), style(Style::new().dimmed()));
    let (good, bad) = (style(AnsiColor::Green.on_default()), style(AnsiColor::Red.on_default()));
    let mut rows = vec![HEADINGS.map(str::to_owned)];
    rows.extend(comparisons.iter().map(Comparison::row));
    rows.extend(costs(comparisons));
    let widths: Vec<usize> = (0..HEADINGS.len())
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();

    let mut text = format!(
        "\n{bold}{}{bold:#}  {}\n{dim}{}{dim:#}\n",
        job.name(),
        job.description(),
        goal(job.target())
    );
    for (index, row) in rows.iter().enumerate() {
        let mut line = String::new();
        for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            let style = match cell.as_str() {
                "met" => good,
                "missed" => bad,
                _ if index == 0 || column == 4 => dim,
                _ => Style::new(),
            };
            let space = " ".repeat(width - cell.chars().count());
            let (before, after) = if column == 0 { ("", &*space) } else { (&*space, "") };
            let _ = write!(line, "  {before}{style}{cell}{style:#}{after}");
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// The same for a document.
pub fn markdown(job: Job, comparisons: &[Comparison]) -> String {
    let mut text = format!("\n`{}`: {}. Of {}.\n\n", job.name(), job.description(), goal(job.target()));
    let line = |row: &Row| format!("| {} |\n", row.join(" | ")).replace("  ", " ");
    text += &line(&HEADINGS.map(str::to_owned));
    let _ = writeln!(text, "|{}", "---|".repeat(HEADINGS.len()));
    for comparison in comparisons {
        let mut row = comparison.row();
        row[3] = format!("**{}**", row[3]);
        text += &line(&row);
    }
    for row in costs(comparisons) {
        text += &line(&row);
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn line(side: Side, job: Job, cpu_ms: f64) -> Line {
        Line {
            side,
            job,
            input: "a.jpg".to_owned(),
            cpu_ms,
            cpu_ms_spread: [cpu_ms - 1.0, cpu_ms + 1.0],
            wall_ms: cpu_ms,
            peak_rss_mb: cpu_ms,
            bytes: 12_300,
            score: Some(80.25),
            quality: 80,
            runs: 9,
            gb_seconds: cpu_ms / 1e3,
            dollars_per_million: cpu_ms / 10.0,
        }
    }

    fn comparison(job: Job, ours: Option<f64>, sharp: Option<f64>) -> Comparison {
        let mut comparison = Comparison::new(job, "a.jpg".to_owned(), ours.map(|_| 11_070.0));
        for (side, cpu) in [(Side::Tintype, ours), (Side::Sharp, sharp)] {
            if let Some(cpu) = cpu {
                comparison.add(line(side, job, cpu));
            }
        }
        comparison.times = ours.zip(sharp).map(|(ours, sharp)| [sharp / ours, 1.9, 2.1]);
        comparison
    }

    #[test]
    fn there_is_a_line_of_json_for_each_side() {
        let lines = comparison(Job::LadderEach, Some(10.0), Some(20.0)).json().unwrap();
        let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!((&lines[0]["side"], &lines[1]["side"]), (&json!("tintype"), &json!("sharp")));
        let expected = json!({
            "side": "tintype", "job": "ladder-each", "input": "a.jpg", "cpu_ms": 10.0, "cpu_ms_spread": [9.0, 11.0],
            "wall_ms": 10.0, "peak_rss_mb": 10.0, "bytes": 12300, "score": 80.25, "quality": 80, "runs": 9,
            "gb_seconds": 0.01, "dollars_per_million": 1.0
        });
        assert_eq!(lines[0], expected);
    }

    #[test]
    fn a_table_is_aligned_and_has_the_cost() {
        let both = comparison(Job::Thumbnail, Some(10.0), Some(20.0));
        let other = comparison(Job::Thumbnail, Some(30.0), Some(90.0));
        let shown = table(Job::Thumbnail, &[both, other], false);
        let lines: Vec<_> = shown.lines().skip(3).collect();
        let ends = |needle: &str, line: usize| lines[line].find(needle).map(|at| at + needle.len());
        assert_eq!(ends("10.0 ms", 1), ends("30.0 ms", 2), "{shown}");
        assert!(lines[1].contains("missed") && lines[2].contains(" met"), "{shown}");
        assert!(lines[1].contains("12.3 / 12.3 (+0.0%)") && lines[1].ends_with("-10.0%"), "{shown}");
        let words = |line: usize| lines[line].split_whitespace().collect::<Vec<_>>();
        assert_eq!(words(3), ["cost:", "GB-seconds", "0.0200", "0.0550", "2.75", "x"]);
        assert_eq!(words(4), ["cost:", "a", "million", "$2.00", "$5.50", "2.75", "x"]);
        assert!(!shown.contains('\u{1b}') && table(Job::Thumbnail, &[], true).contains('\u{1b}'));
    }

    #[test]
    fn a_side_that_is_missing_is_a_gap_and_no_verdict() {
        let shown = table(Job::Avif, &[comparison(Job::Avif, None, Some(20.0))], false);
        assert!(shown.contains("– / 80.2") && shown.contains("$2.00"), "{shown}");
        assert!(!shown.contains("met") && !shown.contains("missed"), "{shown}");
    }

    #[test]
    fn memory_and_starts_have_a_limit_of_their_own() {
        let cell = |job, value| comparison(job, Some(value), None).row();
        assert_eq!(cell(Job::Memory, 30.0)[1..6].join(" "), "30.0 MB – –  met");
        assert_eq!(cell(Job::Memory, 30.1)[5], "missed");
        assert_eq!(cell(Job::Start, 4.9)[1..6].join(" "), "4.9 ms – –  met");
    }

    #[test]
    fn every_row_of_the_markdown_has_all_columns() {
        let shown = markdown(Job::Webp, &[comparison(Job::Webp, Some(10.0), Some(20.0))]);
        let rows: Vec<_> = shown.lines().filter(|line| line.starts_with('|')).collect();
        assert_eq!(rows.len(), 5);
        assert!(rows.iter().all(|row| row.matches('|').count() == HEADINGS.len() + 1), "{shown}");
        assert!(rows[2].contains("**2.00 x**"), "{shown}");
    }
}

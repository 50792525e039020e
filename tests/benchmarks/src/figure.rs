//! The figures, and how they are shown.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::samples::Samples;

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
    /// Millions of bytes.
    Megabytes,
    /// Requests a second.
    PerSecond,
    /// How many times as much as the reference.
    Times,
}

/// One result.
#[derive(Debug, Serialize)]
pub struct Figure {
    part: &'static str,
    name: String,
    value: f64,
    unit: Unit,
    /// Where the middle half of the measurements lies.
    #[serde(skip_serializing_if = "Option::is_none")]
    spread: Option<[f64; 2]>,
    /// What the value should not exceed.
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    met: Option<bool>,
}

impl Figure {
    /// A value of its own.
    pub fn new(part: &'static str, name: impl Into<String>, value: f64, unit: Unit) -> Self {
        Self { part, name: name.into(), value, unit, spread: None, target: None, met: None }
    }

    /// The median of samples, with their spread.
    pub fn median(part: &'static str, name: impl Into<String>, samples: &Samples, unit: Unit) -> Self {
        Self { spread: Some(samples.spread()), ..Self::new(part, name, samples.median(), unit) }
    }

    /// How many times the reference something takes: the medians' ratio, and the spread of the ratios of
    /// the pairs that were measured one right after the other. `None` without a pair.
    pub fn ratio(
        part: &'static str, name: impl Into<String>, measured: &[f64], reference: &[f64],
    ) -> Option<Self> {
        let pairs = measured.iter().zip(reference).map(|(measured, reference)| measured / reference);
        let spread = Samples::new(pairs.collect())?.spread();
        let value = Samples::new(measured.to_vec())?.median() / Samples::new(reference.to_vec())?.median();
        Some(Self { spread: Some(spread), ..Self::new(part, name, value, Unit::Times) })
    }

    /// Says what the value should not exceed.
    pub fn at_most(self, target: f64) -> Self {
        Self { target: Some(target), met: Some(self.value <= target), ..self }
    }
}

impl Unit {
    fn show(self, value: f64) -> String {
        match self {
            Self::Milliseconds => format!("{value:.2} ms"),
            Self::Seconds => format!("{value:.2} s"),
            Self::Megabytes => format!("{value:.2} MB"),
            Self::PerSecond => format!("{value:.0} /s"),
            Self::Times => format!("{value:.2} x"),
        }
    }
}

/// Prints the figures of one part: a line of JSON for each, or a table.
pub fn print(figures: &[Figure], as_json: bool) -> io::Result<()> {
    let text = if as_json { lines(figures)? } else { table(figures, io::stdout().is_terminal()) };
    io::stdout().lock().write_all(text.as_bytes())
}

fn lines(figures: &[Figure]) -> serde_json::Result<String> {
    figures.iter().map(|figure| Ok(serde_json::to_string(figure)? + "\n")).collect()
}

fn table(figures: &[Figure], colour: bool) -> String {
    let colour = colour && std::env::var_os("NO_COLOR").is_none();
    let style = |style: Style| if colour { style } else { Style::new() };
    let (bold, dim) = (style(Style::new().bold()), style(Style::new().dimmed()));
    let width = figures.iter().map(|figure| figure.name.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    let mut part = "";
    for figure in figures {
        if figure.part != part {
            part = figure.part;
            let _ = writeln!(text, "\n{bold}{part}{bold:#}");
        }
        let value = figure.unit.show(figure.value);
        let spread = figure.spread.map_or_else(String::new, |[low, high]| {
            format!("{} to {}", figure.unit.show(low), figure.unit.show(high))
        });
        let verdict = figure.target.map_or_else(String::new, |target| {
            let met = figure.met == Some(true);
            let (word, colour) = if met { ("met", AnsiColor::Green) } else { ("missed", AnsiColor::Red) };
            let verdict = style(colour.on_default());
            format!("  at most {}: {verdict}{word}{verdict:#}", figure.unit.show(target))
        });
        let line = format!("  {:width$}  {value:>12}  {dim}{spread:<24}{dim:#}{verdict}", figure.name);
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_compares_medians_and_spreads_over_pairs() {
        let figure = Figure::ratio("p", "f", &[2.0, 4.0, 9.0], &[1.0, 2.0, 3.0]).unwrap().at_most(1.8);
        assert_eq!((figure.value, figure.spread, figure.met), (2.0, Some([2.0, 3.0]), Some(false)));
        assert!(Figure::ratio("p", "f", &[], &[]).is_none());
    }

    #[test]
    fn a_table_is_aligned_and_says_what_is_missed() {
        let figures = [
            Figure::new("size", "a", 9.5, Unit::Megabytes).at_most(9.0),
            Figure::new("size", "longer", 2.0, Unit::Megabytes),
        ];
        let shown = table(&figures, false);
        let lines: Vec<_> = shown.lines().skip(1).collect();
        assert_eq!(lines[0], "size");
        assert!(lines[1].ends_with("at most 9.00 MB: missed"), "{shown}");
        assert_eq!(lines[1].find("9.50 MB"), lines[2].find("2.00 MB"), "{shown}");
    }
}

//! The jobs: what is made of a picture, of which pictures, and how good it has to be.

use clap::ValueEnum;
use imaging::Format;
use serde::Serialize;

use super::peer::Side;

/// What is made of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Job {
    /// JPEG, 320 pixels wide
    Thumbnail,
    /// WebP, 1280 pixels wide
    Webp,
    /// Every size of an upload: WebP at 160, 320, 640, 1280 and 2048, JPEG at 1280; sharp decodes once
    Ladder,
    /// The same; sharp decodes the upload for every size, which is the usual code
    LadderEach,
    /// AVIF, 640 pixels wide
    Avif,
    /// WebP, 640 pixels wide, of a PNG
    PngWebp,
    /// The memory of a process that makes every size of one upload
    Memory,
    /// From the start of a process to the first thumbnail
    Start,
}

/// What is compared, and what is asked of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    /// So many times less CPU time than sharp.
    TimesLessCpu(f64),
    /// At most so many megabytes.
    Megabytes(f64),
    /// At most so many milliseconds.
    Milliseconds(f64),
}

/// The quality that a side is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quality {
    /// This.
    Fixed(u8),
    /// The least that scores no worse than the other side: the scales of AVIF encoders have nothing in common.
    Matching,
}

impl Job {
    /// All of them, in the order of the report.
    pub const ALL: [Self; 8] = [
        Self::Thumbnail,
        Self::Webp,
        Self::Ladder,
        Self::LadderEach,
        Self::Avif,
        Self::PngWebp,
        Self::Memory,
        Self::Start,
    ];

    /// As on the command line and in `picture-job` and `job.js`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Thumbnail => "thumbnail",
            Self::Webp => "webp",
            Self::Ladder => "ladder",
            Self::LadderEach => "ladder-each",
            Self::Avif => "avif",
            Self::PngWebp => "png-webp",
            Self::Memory => "memory",
            Self::Start => "start",
        }
    }

    /// What it is, in a line.
    pub fn description(self) -> &'static str {
        match self {
            Self::Thumbnail => "JPEG, 320 pixels wide, quality 80",
            Self::Webp => "WebP, 1280 pixels wide; sharp at 80, tintype at the same score",
            Self::Ladder => {
                "5 WebP of 160 to 2048 and a JPEG of 1280; sharp at 80, decoding once, tintype at the same score"
            }
            Self::LadderEach => "the same; sharp decodes for each, which is the usual code",
            Self::Avif => "AVIF, 640 pixels wide; sharp at its default (50), tintype at the same score",
            Self::PngWebp => "WebP of a PNG, 640 pixels wide; sharp at 80, tintype at the same score",
            Self::Memory => "peak memory of a process that makes the ladder once; sharp decodes once",
            Self::Start => "from the start of the process to a thumbnail of a small picture",
        }
    }

    /// What is asked of this project's side.
    pub fn target(self) -> Target {
        match self {
            Self::Thumbnail => Target::TimesLessCpu(2.2),
            Self::Webp => Target::TimesLessCpu(1.5),
            Self::Ladder | Self::PngWebp => Target::TimesLessCpu(1.8),
            Self::LadderEach => Target::TimesLessCpu(2.5),
            Self::Avif => Target::TimesLessCpu(3.0),
            Self::Memory => Target::Megabytes(30.0),
            Self::Start => Target::Milliseconds(5.0),
        }
    }

    /// What a side is asked for.
    pub fn quality(self, side: Side) -> Quality {
        match (self, side) {
            (Self::Avif, Side::Sharp) => Quality::Fixed(50),
            // On this project's scale 80 is a better WebP than libwebp's 80, and time grows with bytes.
            (Self::Avif | Self::Webp | Self::PngWebp | Self::Ladder | Self::LadderEach, Side::Tintype) => {
                Quality::Matching
            }
            _ => Quality::Fixed(80),
        }
    }

    /// Whether every run is a process of its own.
    pub fn starts_anew(self) -> bool {
        matches!(self, Self::Memory | Self::Start)
    }

    /// How often it is measured where `runs` are asked for: starts are short and vary, memory does not.
    pub fn runs(self, runs: u32) -> u32 {
        match self {
            Self::Start => runs.saturating_mul(5),
            Self::Memory => runs.min(3),
            _ => runs,
        }
    }

    /// Whether the bytes at another quality are of interest: not again where only sharp's way differs.
    pub fn compares_bytes(self) -> bool {
        !matches!(self, Self::LadderEach | Self::Memory | Self::Start)
    }

    /// Whether a picture is one to do this with, if nobody says so.
    pub fn fits(self, format: Format, pixels: u64) -> bool {
        let photograph = format != Format::Png && (1_000_000..=50_000_000).contains(&pixels);
        match self {
            Self::Thumbnail | Self::Webp | Self::Ladder | Self::LadderEach | Self::Avif => photograph,
            Self::PngWebp => format == Format::Png && pixels >= 1_000_000,
            Self::Memory => format != Format::Png && pixels >= 20_000_000,
            Self::Start => pixels < 1_000_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_called_the_same_everywhere() {
        for job in Job::ALL {
            assert_eq!(serde_json::to_value(job).unwrap(), job.name());
            assert_eq!(job.to_possible_value().unwrap().get_name(), job.name());
            let script = include_str!("../../peers/sharp/job.js");
            assert!(script.contains(job.name()), "{job:?}");
        }
        assert_eq!(Job::value_variants(), Job::ALL);
    }
}

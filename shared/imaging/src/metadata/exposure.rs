use std::fmt;

use exif::{Exif, In, Tag};

use super::{number, rationals};

/// How a picture was exposed.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Exposure {
    /// How long the shutter was open, in seconds.
    pub time: Option<Fraction>,
    /// The aperture as an f-number.
    pub f_number: Option<f64>,
    /// The sensitivity by ISO 12232.
    pub iso: Option<u32>,
    /// In millimetres.
    pub focal_length: Option<f64>,
    /// The focal length in millimetres that shows as much on 35 mm film.
    pub focal_length_35mm: Option<u32>,
    /// Whether the flash fired.
    pub flash: Option<bool>,
}

/// As times of exposure are written: `1/250`, `2`, `3/10`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fraction {
    /// Above the line; never 0.
    pub numerator: u32,
    /// Below the line; never 0.
    pub denominator: u32,
}

impl fmt::Display for Fraction {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self { numerator, denominator: 1 } => write!(to, "{numerator}"),
            Self { numerator, denominator } => write!(to, "{numerator}/{denominator}"),
        }
    }
}

/// Exposures of stars take hours.
const LONGEST: f64 = 86_400.0;

/// From a quarter of a second down, times are given as one over something.
const QUARTER: u32 = 4;

impl Exposure {
    pub(super) fn read(exif: &Exif) -> Self {
        let first = |tag| rationals(exif, tag)?.first().copied();
        let integer = |tag| exif.get_field(tag, In::PRIMARY)?.value.get_uint(0);
        let hundredths = |value: f64| (value * 100.0).round() / 100.0;
        let measured = |tag, range| first(tag).and_then(|value| number(value, range)).map(hundredths);
        Self {
            time: first(Tag::ExposureTime).and_then(|time| {
                number(time, f64::MIN_POSITIVE..=LONGEST).map(|_| fraction(time.num, time.denom))
            }),
            f_number: measured(Tag::FNumber, 0.5..=128.0),
            iso: iso(integer),
            focal_length: measured(Tag::FocalLength, 0.5..=20_000.0),
            // 0 is "unknown".
            focal_length_35mm: integer(Tag::FocalLengthIn35mmFilm).filter(|&length| length > 0),
            // The other bits say how, and whether there is one.
            flash: integer(Tag::Flash).map(|flash| flash & 1 == 1),
        }
    }
}

/// The old field has 16 bits. Where that is too few, it is full, and one of the newer ones says it (EXIF
/// 2.3, table 8).
fn iso(integer: impl Fn(Tag) -> Option<u32>) -> Option<u32> {
    let old = integer(Tag::PhotographicSensitivity).filter(|&iso| iso != u32::from(u16::MAX));
    let newer = || {
        let fields = [Tag::RecommendedExposureIndex, Tag::StandardOutputSensitivity, Tag::ISOSpeed];
        fields.into_iter().find_map(&integer)
    };
    old.or_else(newer).filter(|iso| (1..=50_000_000).contains(iso))
}

fn fraction(numerator: u32, denominator: u32) -> Fraction {
    let (mut divisor, mut rest) = (numerator, denominator);
    while rest > 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    let divisor = divisor.max(1);
    let (numerator, denominator) = (numerator / divisor, denominator / divisor);
    if numerator > 1 && denominator / numerator >= QUARTER {
        let whole = denominator / numerator;
        let up = u32::from(denominator % numerator > numerator / 2);
        return Fraction { numerator: 1, denominator: whole + up };
    }
    Fraction { numerator, denominator }
}

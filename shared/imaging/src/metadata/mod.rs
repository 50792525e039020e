//! What the camera and the photographer wrote into a file.

mod distil;
mod exposure;
mod location;
mod time;

use exif::{Exif, In, Rational, Tag, Value};

use crate::{Header, Orientation, codec, container};

pub use exposure::{Exposure, Fraction};
pub use location::Location;

/// Longer names of cameras are somebody's experiment.
const LONGEST_NAME: usize = 80;

/// Longer notices are licences, which have no place in every rendering.
const LONGEST_NOTICE: usize = 300;

/// What a camera wrote about a picture, and its photographer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metadata {
    /// When the picture was taken, by the camera's clock: RFC 3339, but with an offset only if the
    /// camera wrote one (`2008-10-22T16:28:39`, `2024-05-01T08:00:00.250+02:00`).
    pub taken_at: Option<String>,
    /// Make and model.
    pub camera: Option<String>,
    /// The model of the lens.
    pub lens: Option<String>,
    /// How the picture was exposed.
    pub exposure: Exposure,
    /// Whose it is, in the owner's words.
    pub copyright: Option<String>,
    /// Who made it.
    pub artist: Option<String>,
    /// Where it was taken, often somebody's home: to be stored only for a project that asks for it.
    pub location: Option<Location>,
}

/// Reads what the camera wrote. What is missing, broken or absurd is `None`.
pub fn metadata(bytes: &[u8], header: &Header) -> Metadata {
    let Some(exif) = container::exif(bytes, header.format).and_then(parse) else {
        return Metadata::default();
    };
    Metadata {
        taken_at: time::taken_at(&exif),
        camera: camera(&exif),
        lens: lens(&exif),
        exposure: Exposure::read(&exif),
        copyright: copyright(&exif),
        artist: some(text(ascii(&exif, Tag::Artist), LONGEST_NOTICE)),
        location: Location::read(&exif),
    }
}

/// The orientation in an EXIF block.
pub(crate) fn orientation(block: &[u8]) -> Orientation {
    let value =
        parse(block).and_then(|exif| exif.get_field(Tag::Orientation, In::PRIMARY)?.value.get_uint(0));
    value.map(Orientation::from_exif).unwrap_or_default()
}

/// Takes what can be read of a block that is broken further on.
fn parse(block: &[u8]) -> Option<Exif> {
    let block = distil::distil(block)?;
    codec::guard(|| {
        exif::Reader::new()
            .continue_on_error(true)
            .read_raw(block)
            .or_else(|error| error.distill_partial_result(|_| {}))
            .map_err(|_| crate::Reject::Undecodable("its EXIF block"))
    })
    .ok()
}

fn ascii(exif: &Exif, tag: Tag) -> Option<&[u8]> {
    match &exif.get_field(tag, In::PRIMARY)?.value {
        Value::Ascii(lines) => lines.first().map(Vec::as_slice),
        _ => None,
    }
}

/// Many models repeat their make: `Canon` and `Canon EOS R5` is a `Canon EOS R5`.
fn camera(exif: &Exif) -> Option<String> {
    let make = name(ascii(exif, Tag::Make));
    let model = name(ascii(exif, Tag::Model));
    let brand = make.split(' ').next().unwrap_or_default().to_lowercase();
    let camera = match (make.as_str(), model.as_str()) {
        ("", "") => return None,
        (_, "") => make,
        ("", _) => model,
        _ if model.to_lowercase().starts_with(&brand) => model,
        _ => format!("{make} {model}"),
    };
    Some(camera)
}

/// Lenses without electronics are often given as dashes.
fn lens(exif: &Exif) -> Option<String> {
    let lens = name(ascii(exif, Tag::LensModel));
    lens.chars().any(char::is_alphanumeric).then_some(lens)
}

/// The field holds the photographer's notice and then the editor's, separated by a zero byte; a lone space
/// stands for one that is missing (EXIF 2.32, 4.6.4, `Copyright`).
fn copyright(exif: &Exif) -> Option<String> {
    let Value::Ascii(notices) = &exif.get_field(Tag::Copyright, In::PRIMARY)?.value else {
        return None;
    };
    notices.iter().find_map(|notice| some(text(Some(notice), LONGEST_NOTICE)))
}

fn name(raw: Option<&[u8]>) -> String {
    text(raw, LONGEST_NAME)
}

fn some(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

/// Printable text with single spaces. It should be ASCII; what is not is UTF-8 today and was Latin-1 when
/// `©` was first wanted in it.
fn text(raw: Option<&[u8]>, longest: usize) -> String {
    let raw = raw.unwrap_or_default();
    let text = match str::from_utf8(raw) {
        Ok(text) => text.to_owned(),
        Err(_) => raw.iter().map(|&byte| char::from(byte)).collect(),
    };
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let words: Vec<&str> = clean.split_whitespace().collect();
    words.join(" ").chars().take(longest).collect()
}

fn rationals(exif: &Exif, tag: Tag) -> Option<&[Rational]> {
    match &exif.get_field(tag, In::PRIMARY)?.value {
        Value::Rational(values) => Some(values),
        _ => None,
    }
}

/// A number that is one, within the range. Unknown ones are written as 0/0, infinite ones as 1/0.
fn number(value: Rational, range: std::ops::RangeInclusive<f64>) -> Option<f64> {
    if value.denom == 0 {
        return None;
    }
    Some(f64::from(value.num) / f64::from(value.denom)).filter(|number| range.contains(number))
}

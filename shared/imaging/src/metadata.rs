use std::fmt::Write;

use exif::{DateTime, Exif, In, Tag, Value};

use crate::{Header, Orientation, codec, container};

/// EXIF blocks in JPEG end at 64 KiB. In other formats they may be of any size, and larger ones carry
/// previews, not facts.
const LARGEST_EXIF: usize = 1 << 20;

/// Longer names of cameras are somebody's experiment.
const LONGEST_NAME: usize = 80;

/// What a camera wrote about a picture. Never where it was taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// When the picture was taken, by the camera's clock: RFC 3339, but with an offset only if the
    /// camera wrote one (`2008-10-22T16:28:39`, `2024-05-01T08:00:00.250+02:00`).
    pub taken_at: Option<String>,
    /// Make and model.
    pub camera: Option<String>,
}

/// Reads what the camera wrote. What is missing, broken or absurd is `None`.
pub fn metadata(bytes: &[u8], header: &Header) -> Metadata {
    let Some(exif) = container::exif(bytes, header.format).and_then(parse) else {
        return Metadata::default();
    };
    Metadata { taken_at: taken_at(&exif), camera: camera(&exif) }
}

/// The orientation in an EXIF block.
pub(crate) fn orientation(block: &[u8]) -> Orientation {
    let value =
        parse(block).and_then(|exif| exif.get_field(Tag::Orientation, In::PRIMARY)?.value.get_uint(0));
    value.map(Orientation::from_exif).unwrap_or_default()
}

/// Takes what can be read of a block that is broken further on.
fn parse(block: &[u8]) -> Option<Exif> {
    if block.len() > LARGEST_EXIF {
        return None;
    }
    codec::guard(|| {
        exif::Reader::new()
            .continue_on_error(true)
            .read_raw(block.to_vec())
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

/// When the shutter opened, else when the picture became digital. `DateTime`, the third of the tags,
/// is when the file was last changed, which is another thing.
fn taken_at(exif: &Exif) -> Option<String> {
    [
        (Tag::DateTimeOriginal, Tag::SubSecTimeOriginal, Tag::OffsetTimeOriginal),
        (Tag::DateTimeDigitized, Tag::SubSecTimeDigitized, Tag::OffsetTimeDigitized),
    ]
    .into_iter()
    .find_map(|(date, fraction, offset)| {
        let mut time = DateTime::from_ascii(ascii(exif, date)?).ok().filter(is_real)?;
        if let Some(text) = ascii(exif, fraction) {
            // A failure leaves the field empty, which is what it then means.
            let _ = time.parse_subsec(text.trim_ascii());
        }
        if let Some(text) = ascii(exif, offset) {
            let _ = time.parse_offset(text);
        }
        Some(rfc3339(&time))
    })
}

fn is_real(time: &DateTime) -> bool {
    let leap =
        time.year.is_multiple_of(4) && (!time.year.is_multiple_of(100) || time.year.is_multiple_of(400));
    let days = match time.month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return false,
    };
    // Photography is younger than 1826; cameras without a set clock write the year 0.
    (1826..=9999).contains(&time.year)
        && (1..=days).contains(&time.day)
        && time.hour < 24
        && time.minute < 60
        && time.second < 60
}

fn rfc3339(time: &DateTime) -> String {
    let mut text = format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
        time.year, time.month, time.day, time.hour, time.minute, time.second
    );
    // Writing to a string cannot fail.
    if let Some(nanoseconds) = time.nanosecond.filter(|&nanoseconds| nanoseconds > 0) {
        let _ = write!(text, ".{:03}", nanoseconds / 1_000_000);
    }
    // Offsets in use end at +14:00.
    if let Some(offset) = time.offset.filter(|offset| offset.unsigned_abs() <= 14 * 60) {
        let sign = if offset < 0 { '-' } else { '+' };
        let minutes = offset.unsigned_abs();
        let _ = write!(text, "{sign}{:02}:{:02}", minutes / 60, minutes % 60);
    }
    text
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

/// Printable text with single spaces.
fn name(raw: Option<&[u8]>) -> String {
    let text = String::from_utf8_lossy(raw.unwrap_or_default());
    let printable = |c: char| !c.is_control() && c != char::REPLACEMENT_CHARACTER;
    let clean: String = text.chars().map(|c| if printable(c) { c } else { ' ' }).collect();
    let words: Vec<&str> = clean.split_whitespace().collect();
    words.join(" ").chars().take(LONGEST_NAME).collect()
}

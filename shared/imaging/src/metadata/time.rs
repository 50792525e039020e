use std::fmt::Write;

use exif::{DateTime, Exif, Tag};

use super::ascii;

/// When the shutter opened, else when the picture became digital. `DateTime`, the third of the tags,
/// is when the file was last changed, which is another thing.
pub(super) fn taken_at(exif: &Exif) -> Option<String> {
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

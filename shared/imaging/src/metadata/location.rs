use exif::{Exif, In, Tag};

use super::{ascii, number, rationals};

/// A place on Earth (WGS 84 unless the camera is odd).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Location {
    /// Degrees, north positive, -90 to 90.
    pub latitude: f64,
    /// Degrees, east positive, -180 to 180.
    pub longitude: f64,
    /// Metres above the sea.
    pub altitude: Option<f64>,
}

impl Location {
    /// All or nothing: half a location is a wrong one. The place where both are 0, in the Gulf of Guinea, is
    /// what receivers without a fix write.
    pub(super) fn read(exif: &Exif) -> Option<Self> {
        let latitude = degrees(exif, (Tag::GPSLatitude, Tag::GPSLatitudeRef), (b'N', b'S'), 90.0)?;
        let longitude = degrees(exif, (Tag::GPSLongitude, Tag::GPSLongitudeRef), (b'E', b'W'), 180.0)?;
        if latitude == 0.0 && longitude == 0.0 {
            return None;
        }
        Some(Self { latitude, longitude, altitude: altitude(exif) })
    }
}

/// Degrees, minutes and seconds, each of which may have a fraction, and which side they are on.
fn degrees(exif: &Exif, (tag, side): (Tag, Tag), (positive, negative): (u8, u8), most: f64) -> Option<f64> {
    let &[degrees, minutes, seconds] = rationals(exif, tag)? else {
        return None;
    };
    let sum = number(degrees, 0.0..=most)?
        + number(minutes, 0.0..=60.0)? / 60.0
        + number(seconds, 0.0..=60.0)? / 3_600.0;
    let side = ascii(exif, side)?.trim_ascii();
    let sign = match side {
        [side] if *side == positive => 1.0,
        [side] if *side == negative => -1.0,
        _ => return None,
    };
    // A ten-millionth of a degree is a centimetre.
    (sum <= most).then(|| sign * rounded(sum, 1e7))
}

/// From the deepest sea to where balloons fly. Odd references are those of EXIF 3.0 to the ellipsoid.
fn altitude(exif: &Exif) -> Option<f64> {
    let above = number(*rationals(exif, Tag::GPSAltitude)?.first()?, 0.0..=60_000.0)?;
    let below = match exif.get_field(Tag::GPSAltitudeRef, In::PRIMARY).map(|field| field.value.get_uint(0)) {
        None | Some(Some(0 | 2)) => false,
        Some(Some(1 | 3)) => true,
        Some(_) => return None,
    };
    let altitude = rounded(if below { -above } else { above }, 100.0);
    (altitude >= -11_000.0).then_some(altitude)
}

fn rounded(value: f64, parts: f64) -> f64 {
    (value * parts).round() / parts
}

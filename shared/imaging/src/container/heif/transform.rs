//! What is done to the decoded picture before it is shown: `clap`, `irot` and `imir`
//! (ISO/IEC 23008-12, 6.5.9, 6.5.10 and 6.5.12).

use super::boxes::Numbers;
use super::meta::{Item, Meta};
use super::{BROKEN, Crop};
use crate::container::Cursor;
use crate::{Orientation, Reject};

/// Reads the transformations of an item of this size, which apply in the order in which they stand.
pub(super) fn read(
    meta: &Meta, item: &Item, (width, height): (u32, u32),
) -> Result<(Crop, Orientation), Reject> {
    let mut crop = Crop { left: 0, top: 0, width, height };
    let mut orientation = Orientation::Upright;
    for (property, _) in meta.properties(item) {
        match (&property.kind, property.body) {
            (b"irot", &[quarters, ..]) => {
                let turn = match quarters & 3 {
                    0 => Orientation::Upright,
                    1 => Orientation::Turn270, // Quarters count anticlockwise.
                    2 => Orientation::Turn180,
                    _ => Orientation::Turn90,
                };
                orientation = orientation.then(turn);
            }
            (b"imir", &[axis, ..]) => {
                let mirror = if axis & 1 == 0 { Orientation::Flip } else { Orientation::Mirror };
                orientation = orientation.then(mirror);
            }
            (b"clap", aperture) => {
                // MIAF (ISO/IEC 23000-22, 7.3.6.7) wants it first.
                if orientation != Orientation::Upright {
                    return Err(Reject::UnsupportedFormat("HEIF cut after turning"));
                }
                crop = cut(aperture, crop).ok_or(BROKEN)?;
            }
            (b"irot" | b"imir", []) => return Err(BROKEN),
            _ => {}
        }
    }
    Ok((crop, orientation))
}

/// The clean aperture (ISO/IEC 14496-12, 12.1.4): its size, and how far its centre is from the centre of
/// the picture, as fractions. `None` if it is empty or reaches out of the picture.
fn cut(aperture: &[u8], whole: Crop) -> Option<Crop> {
    let mut cursor = Cursor::new(aperture, 0);
    let mut fraction = || {
        let numerator = cursor.u32().ok()?.cast_signed();
        let denominator = cursor.u32().ok().filter(|&denominator| denominator > 0)?;
        Some((i64::from(numerator), i64::from(denominator)))
    };
    let (width, height, right, down) = (fraction()?, fraction()?, fraction()?, fraction()?);
    let side = |(numerator, denominator): (i64, i64), centre: (i64, i64), whole: u32| {
        let size = numerator / denominator;
        // The left edge is at (whole - size) / 2 + centre, rounded down.
        let start = (i64::from(whole) - size)
            .checked_mul(centre.1)?
            .checked_add(centre.0.checked_mul(2)?)?
            .div_euclid(2 * centre.1);
        let fits = size > 0 && start >= 0 && start + size <= i64::from(whole);
        fits.then(|| Some((u32::try_from(start).ok()?, u32::try_from(size).ok()?)))?
    };
    let (left, width) = side(width, right, whole.width)?;
    let (top, height) = side(height, down, whole.height)?;
    Some(Crop { left, top, width, height })
}

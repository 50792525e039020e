use crate::levels::times;
use crate::raster::{Pixels, Raster};
use crate::recipe::Trim;
use crate::window::Area;

/// What is within the border of one colour, which is that of the left top pixel. All of it, if there is
/// nothing but border.
pub(crate) fn within(raster: &Raster, Trim(levels): Trim) -> Area {
    let channels = raster.pixels.channels();
    let stride = raster.width as usize * channels;
    let border = seen(&raster.data[..channels], raster.pixels);
    let differs = |pixel: &[u8]| {
        let pixel = seen(pixel, raster.pixels);
        pixel.iter().zip(border).any(|(level, border)| level.abs_diff(border) > levels)
    };
    let rows = || raster.data.chunks_exact(stride);
    let picture = |row: &[u8]| row.chunks_exact(channels).any(differs);
    let (Some(top), Some(bottom)) = (rows().position(picture), rows().rposition(picture)) else {
        return Area::whole((raster.width, raster.height));
    };
    let (mut left, mut right) = (raster.width as usize - 1, 0);
    for row in rows().take(bottom + 1).skip(top) {
        // Only what is further out than in the rows before is looked at.
        let mut pixels = row.chunks_exact(channels);
        left = pixels.clone().take(left).position(differs).unwrap_or(left);
        right = pixels.rposition(differs).map_or(right, |found| right.max(found));
    }
    let side = |side: usize| u32::try_from(side).expect("it is less than a side");
    Area { x: side(left), y: side(top), width: side(right - left + 1), height: side(bottom - top + 1) }
}

/// What has no colour that is seen has none that differs.
fn seen(pixel: &[u8], pixels: Pixels) -> [u8; 4] {
    match (pixel, pixels) {
        (&[gray, alpha], _) => [times(gray, alpha), alpha, 0, 0],
        (&[r, g, b, alpha], Pixels::Rgba) => [times(r, alpha), times(g, alpha), times(b, alpha), alpha],
        _ => std::array::from_fn(|channel| pixel.get(channel).copied().unwrap_or(0)),
    }
}

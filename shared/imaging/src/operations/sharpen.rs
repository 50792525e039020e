use super::blur::{convolve, gaussian};
use super::tone::luma;
use crate::Reject;
use crate::levels::times;
use crate::limits::Budget;
use crate::raster::{Pixels, Raster};
use crate::recipe::Sharpen;

/// Makes every pixel differ more from what is around it, in luma alone: colours keep their hue, and
/// nothing gets coloured fringes. Alpha stays as it is, and what is transparent has no part in it.
pub(super) fn sharpen(mut raster: Raster, sharpen: Sharpen, budget: &Budget) -> Result<Raster, Reject> {
    let (kernel, amount) = match sharpen {
        // The mean of nine pixels: with three eighths of the difference, this is the filter of
        // -1, -1, -1, -1, 32, -1, -1, -1, -1 by 24 that sharp's `sharpen()` is.
        Sharpen::Light => (vec![1.0 / 3.0; 3], 0.375),
        Sharpen::Sigma(sigma) => (gaussian(sigma.value()), 1.0),
    };
    budget.afford(raster.bytes() + 4 * Pixels::Gray.bytes(raster.width, raster.height))?;
    let alpha = raster.pixels.has_alpha();
    let pixels = if alpha { Pixels::GrayAlpha } else { Pixels::Gray };
    let mut gray = Raster::blank(raster.width, raster.height, pixels, budget)?;
    let channels = raster.pixels.channels();
    for (from, to) in raster.data.chunks_exact(channels).zip(gray.data.chunks_exact_mut(pixels.channels())) {
        let level = luma([from[0], from[1], from[2]]);
        match to {
            [gray, alpha] => (*gray, *alpha) = (times(level, from[3]), from[3]),
            _ => to[0] = level,
        }
    }
    let around = convolve(&gray, &kernel, &kernel, &budget.less(raster.bytes()))?;
    for (pixel, around) in
        raster.data.chunks_exact_mut(channels).zip(around.data.chunks_exact(pixels.channels()))
    {
        let level = f32::from(luma([pixel[0], pixel[1], pixel[2]]));
        let around = match *around {
            [_, 0] => level,
            [gray, alpha] => f32::from(gray) * 255.0 / f32::from(alpha),
            _ => f32::from(around[0]),
        };
        let more = (level - around) * amount;
        for colour in &mut pixel[..3] {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
            let level = (f32::from(*colour) + more + 0.5) as u8;
            *colour = level;
        }
    }
    Ok(raster)
}

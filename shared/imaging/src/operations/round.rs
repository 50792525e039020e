use crate::Reject;
use crate::limits::Budget;
use crate::raster::Raster;

/// Rounds the corners by a radius of at most half of the shorter side: what is outside becomes transparent,
/// and what the circle goes through by as much of it as is outside.
pub(super) fn round(raster: Raster, radius: f64, budget: &Budget) -> Result<Raster, Reject> {
    let mut raster = raster.with_alpha(budget)?;
    let (width, height) = (raster.width as usize, raster.height as usize);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is less than a side")]
    let corner = (radius.ceil() as usize).min(width).min(height);
    let (pixels, _) = raster.data.as_chunks_mut::<4>();
    for y in 0..corner {
        for x in 0..corner {
            let inside = covered(x, y, radius);
            if inside >= 1.0 {
                continue;
            }
            // On a side of odd length the two corners may share their last pixel: it is one's own then.
            let columns = [Some(x), Some(width - 1 - x).filter(|&other| other != x)];
            let rows = [Some(y), Some(height - 1 - y).filter(|&other| other != y)];
            for y in rows.into_iter().flatten() {
                for x in columns.into_iter().flatten() {
                    let alpha = &mut pixels[y * width + x][3];
                    #[allow(
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        reason = "it gets less"
                    )]
                    let less = (f64::from(*alpha) * inside).round() as u8;
                    *alpha = less;
                }
            }
        }
    }
    Ok(raster)
}

/// How much of a pixel, counted from a corner, is within the circle in it: of 16 places in it.
fn covered(x: usize, y: usize, radius: f64) -> f64 {
    let place = |at: usize, part: u32| at as f64 + (f64::from(part) + 0.5) / 4.0;
    let mut inside = 0_u32;
    for (x, y) in (0..16).map(|part| (place(x, part % 4), place(y, part / 4))) {
        let (across, down) = ((radius - x).max(0.0), (radius - y).max(0.0));
        inside += u32::from(across * across + down * down <= radius * radius);
    }
    f64::from(inside) / 16.0
}

use crate::Reject;
use crate::limits::Budget;
use crate::raster::{Pixels, Raster};
use crate::resize::{divide_alpha, multiply_alpha, resize};
use crate::window::Window;

/// A turn by less than a quarter, onto the pixels of what comes out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Tilt {
    pub(crate) degrees: f64,
    /// The size of the picture.
    pub(crate) turned: (u32, u32),
    /// The size of the frame that holds it when it is turned.
    pub(crate) frame: (u32, u32),
    /// The size that the picture has been brought to.
    pub(crate) from: (u32, u32),
    /// What of the frame comes out.
    pub(crate) window: Window,
    /// How large.
    pub(crate) to: (u32, u32),
}

/// Turns a picture clockwise. Beyond it, there is nothing: it ends as smoothly as it goes on.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "`as` saturates, and a picture's side is no more than a frame's"
)]
pub(super) fn rotate(raster: Raster, tilt: &Tilt, budget: &Budget) -> Result<Raster, Reject> {
    let (width, height) = tilt.to;
    let mut raster = resize(raster, tilt.from, budget)?.with_alpha(budget)?;
    budget.afford(raster.bytes() + Pixels::Rgba.bytes(width, height))?;
    let mut rotated = Raster::blank(width, height, Pixels::Rgba, budget)?;
    multiply_alpha(&mut raster)?;

    let (sine, cosine) = tilt.degrees.to_radians().sin_cos();
    let scale = |from: u32, turned: u32| f64::from(from) / f64::from(turned);
    let (across, down) = (scale(tilt.from.0, tilt.turned.0), scale(tilt.from.1, tilt.turned.1));
    let step = (tilt.window.width / f64::from(width), tilt.window.height / f64::from(height));
    let middle = (f64::from(tilt.frame.0) / 2.0, f64::from(tilt.frame.1) / 2.0);
    let (columns, rows) = (raster.width as i32, raster.height as i32);
    let (pixels, _) = raster.data.as_chunks::<4>();

    for (y, row) in rotated.data.chunks_exact_mut(width as usize * 4).enumerate() {
        if y % 64 == 0 {
            budget.still_time()?;
        }
        let frame_y = tilt.window.y + (y as f64 + 0.5) * step.1 - middle.1;
        for (x, pixel) in row.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            let frame_x = tilt.window.x + (x as f64 + 0.5) * step.0 - middle.0;
            // Back by the angle, and from the middle of the picture to its first sample.
            let from_x = (frame_x * cosine + frame_y * sine) * across + f64::from(columns) / 2.0 - 0.5;
            let from_y = (frame_y * cosine - frame_x * sine) * down + f64::from(rows) / 2.0 - 0.5;
            let (left, top) = (from_x.floor(), from_y.floor());
            let (weights_x, weights_y) = (cubic(from_x - left), cubic(from_y - top));
            let (left, top) = (left as i32 - 1, top as i32 - 1);
            if left <= -4 || top <= -4 || left >= columns || top >= rows {
                continue;
            }
            let mut sums = [0.0_f32; 4];
            for (y, weight_y) in (top..).zip(weights_y) {
                for (x, weight_x) in (left..).zip(weights_x) {
                    if (0..rows).contains(&y) && (0..columns).contains(&x) {
                        let from = pixels[y as usize * columns as usize + x as usize];
                        let weight = weight_x * weight_y;
                        for (sum, sample) in sums.iter_mut().zip(from) {
                            *sum += weight * f32::from(sample);
                        }
                    }
                }
            }
            let alpha = (sums[3] + 0.5) as u8;
            // No colour is more than its alpha, whatever the filter makes of a border.
            *pixel = sums.map(|sum| ((sum + 0.5) as u8).min(alpha));
        }
    }
    divide_alpha(&mut rotated)?;
    Ok(rotated)
}

/// The weights of four samples by Catmull and Rom's cubic, for a place between the second and the third.
#[allow(clippy::cast_possible_truncation, reason = "a weight is around 0 to 1")]
fn cubic(at: f64) -> [f32; 4] {
    let t = at as f32;
    [
        ((-0.5 * t + 1.0) * t - 0.5) * t,
        (1.5 * t - 2.5) * t * t + 1.0,
        ((-1.5 * t + 2.0) * t + 0.5) * t,
        (0.5 * t - 0.5) * t * t,
    ]
}

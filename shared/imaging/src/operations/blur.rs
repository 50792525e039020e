use crate::Reject;
use crate::limits::Budget;
use crate::raster::Raster;
use crate::resize::{divide_alpha, multiply_alpha, resize};

/// From here on, a picture made smaller first looks the same: nothing finer is left of it.
const LARGE: f64 = 8.0;
/// What remains to be blurred of a picture that was made smaller.
const LEFT: f64 = 4.0;

/// Blurs with a Gaussian of this standard deviation. What is beyond the edge is like the edge.
pub(super) fn blur(mut raster: Raster, sigma: f64, budget: &Budget) -> Result<Raster, Reject> {
    if sigma <= LARGE {
        multiply_alpha(&mut raster)?;
        let kernel = gaussian(sigma);
        let mut blurred = convolve(&raster, &kernel, &kernel, budget)?;
        divide_alpha(&mut blurred)?;
        return Ok(blurred);
    }
    let full = (raster.width, raster.height);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is less than a side")]
    let shrunk = |side: u32| ((f64::from(side) * LEFT / sigma).ceil() as u32).max(1);
    let size = (shrunk(full.0), shrunk(full.1));
    let mut small = resize(raster, size, budget)?;
    let across = gaussian(sigma * f64::from(size.0) / f64::from(full.0));
    let down = gaussian(sigma * f64::from(size.1) / f64::from(full.1));
    multiply_alpha(&mut small)?;
    let mut blurred = convolve(&small, &across, &down, budget)?;
    divide_alpha(&mut blurred)?;
    resize(blurred, full, budget)
}

/// Up to three standard deviations, which leaves out 0.3% of it.
pub(super) fn gaussian(sigma: f64) -> Vec<f32> {
    #[allow(clippy::cast_possible_truncation, reason = "sigma is 100 at most")]
    let reach = (sigma * 3.0).ceil() as i32;
    let weights: Vec<f64> =
        (-reach..=reach).map(|at| (-f64::from(at * at) / (2.0 * sigma * sigma)).exp()).collect();
    let sum: f64 = weights.iter().sum();
    #[allow(clippy::cast_possible_truncation, reason = "a weight is between 0 and 1")]
    weights.iter().map(|weight| (weight / sum) as f32).collect()
}

/// With kernels of odd lengths, across and then down. Colours are multiplied by alpha already.
pub(super) fn convolve(
    raster: &Raster, across: &[f32], down: &[f32], budget: &Budget,
) -> Result<Raster, Reject> {
    let channels = raster.pixels.channels();
    let row = raster.width as usize * channels;
    let height = raster.height as usize;
    // Of what was done across, as many rows are kept as the other kernel is long.
    let kept = down.len() * row * size_of::<f32>();
    budget.afford(2 * raster.bytes() + kept as u64)?;
    let mut blurred = Raster::blank(raster.width, raster.height, raster.pixels, budget)?;

    let mut rows = budget.filled(0.0_f32, down.len() * row)?;
    let mut padded = vec![0.0_f32; row + (across.len() - 1) * channels];
    let reach = down.len() / 2;
    let mut fill = |rows: &mut [f32], y: usize| {
        let from = &raster.data[y * row..][..row];
        let to = &mut rows[y % down.len() * row..][..row];
        convolve_row(from, to, across, &mut padded, channels);
    };
    for y in 0..reach.min(height) {
        fill(&mut rows, y);
    }
    let mut sums = vec![0.0_f32; row];
    for y in 0..height {
        if y % 64 == 0 {
            budget.still_time()?;
        }
        if y + reach < height {
            fill(&mut rows, y + reach);
        }
        sums.fill(0.5);
        for (at, weight) in down.iter().enumerate() {
            let from = (y + at).saturating_sub(reach).min(height - 1) % down.len();
            for (sum, sample) in sums.iter_mut().zip(&rows[from * row..][..row]) {
                *sum += sample * weight;
            }
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
        for (to, sum) in blurred.data[y * row..][..row].iter_mut().zip(&sums) {
            *to = *sum as u8;
        }
    }
    Ok(blurred)
}

fn convolve_row(from: &[u8], to: &mut [f32], kernel: &[f32], padded: &mut [f32], channels: usize) {
    let reach = kernel.len() / 2 * channels;
    let last = from.len() - channels;
    for (at, sample) in padded.iter_mut().enumerate() {
        let at = if at < reach { at % channels } else { (at - reach).min(last + at % channels) };
        *sample = from[at].into();
    }
    to.fill(0.0);
    for (at, weight) in kernel.iter().enumerate() {
        for (sum, sample) in to.iter_mut().zip(&padded[at * channels..]) {
            *sum += sample * weight;
        }
    }
}

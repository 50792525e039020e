use super::{chroma, gave_up, quality};
use crate::Reject;
use crate::libwebp::{self, Coding, Yuv};
use crate::limits::Budget;
use crate::planes::{Chroma, Plane, Planes};
use crate::raster::{Pixels, Raster};

/// libwebp's default, in the middle between 0 (fast) and 6 (small): for what is lossless, and for animations.
pub(crate) const METHOD: u8 = 4;

/// Of photographs. It differs from 4 in nothing but that textures are not weighed when predictions are chosen
/// (`tlambda`), which is a thirteenth of the time for 0.6% of the bytes at equal scores. 2 takes less than half of
/// the time and 5% more bytes, 7 to 12% for some photographs: whoever serves a picture three times has lost by it.
const METHOD_OF_STILLS: u8 = 3;

/// Bytes that a file takes for each pixel while it is made, and is, beside what it is made of: libwebp's own picture,
/// the coefficients of all of it as symbols, which are most, and the file twice. They are for noise at quality 100, the
/// worst there is; photographs take 3 to 8, drawings 19, pictures with alpha 16. Measured as the peak resident size of
/// `tintype render` (`ru_maxrss`), by its difference from 3 megapixels to 12, less the input file and what was decoded.
pub(crate) const LOSSY: u64 = 36;

/// Of planes, measured likewise: 28 for noise.
const PLANES: u64 = 30;

/// Measured likewise, from 0.75 megapixels to 3: 38 for noise, 28 for photographs, 30 with alpha, 7 for drawings.
pub(crate) const LOSSLESS: u64 = 40;

pub(super) fn encode(raster: &Raster, quality: u8, budget: &Budget) -> Result<Vec<u8>, Reject> {
    let size = (raster.width, raster.height);
    let alpha = raster.pixels == Pixels::Rgba;
    afford(LOSSY, size, raster.bytes(), budget)?;
    let coding = Coding::Lossy { quality: quality::webp(quality), sharp: chroma::shows_when_halved(raster) };
    libwebp::encode(&raster.data, size, alpha, coding, METHOD_OF_STILLS, budget.deadline)
        .map_err(|_| gave_up(budget))
}

/// Every pixel as it is, and the colours of those that cannot be seen.
pub(super) fn encode_lossless(raster: &Raster, budget: &Budget) -> Result<Vec<u8>, Reject> {
    let size = (raster.width, raster.height);
    afford(LOSSLESS, size, raster.bytes(), budget)?;
    let alpha = raster.pixels == Pixels::Rgba;
    libwebp::encode(&raster.data, size, alpha, Coding::Lossless, METHOD, budget.deadline)
        .map_err(|_| gave_up(budget))
}

/// Planes go in as they are but for their range: WebP has that of video (RFC 6386, 9.2), JPEG all 256 levels.
pub(super) fn encode_planes(planes: &Planes, quality: u8, budget: &Budget) -> Result<Vec<u8>, Reject> {
    let size = planes.size();
    afford(PLANES, size, planes.bytes(), budget)?;
    let limited = |plane: &Plane, limit: fn(u8) -> u8| {
        budget.collect(plane.data.len(), plane.data.iter().map(|&sample| limit(sample)))
    };
    let luma = limited(&planes.luma, limited_luma)?;
    let [blue, red] = if let Some([blue, red]) = &planes.chroma {
        [limited(blue, limited_chroma)?, limited(red, limited_chroma)?]
    } else {
        let (width, height) = Chroma::Half.samples(size);
        let gray = || budget.filled(128, width as usize * height as usize);
        [gray()?, gray()?]
    };
    let planes = Yuv { luma: &luma, blue: &blue, red: &red };
    libwebp::encode_yuv(planes, size, quality::webp(quality), METHOD_OF_STILLS, budget.deadline)
        .map_err(|_| gave_up(budget))
}

/// Whether there is memory for so many bytes for each pixel, beside what is `held` by who asks for the file.
fn afford(per_pixel: u64, (width, height): (u32, u32), held: u64, budget: &Budget) -> Result<(), Reject> {
    budget.afford(held + per_pixel * Pixels::Gray.bytes(width, height))
}

/// `16 + luma * 219 / 255`, rounded.
#[allow(clippy::cast_possible_truncation, reason = "it is at most 235")]
fn limited_luma(luma: u8) -> u8 {
    ((u32::from(luma) * 56_284 + (16 << 16) + (1 << 15)) >> 16) as u8
}

/// `128 + (chroma - 128) * 224 / 255`, rounded.
#[allow(clippy::cast_possible_truncation, reason = "it is at most 240")]
fn limited_chroma(chroma: u8) -> u8 {
    ((u32::from(chroma) * 57_569 + (128 << 16) + (1 << 15) - 128 * 57_569) >> 16) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_converted_to_the_nearest_level() {
        for level in 0..=255_u8 {
            let exact = f64::from(level) * 219.0 / 255.0 + 16.0;
            assert!((f64::from(limited_luma(level)) - exact).abs() <= 0.501, "luma {level}");
            let exact = (f64::from(level) - 128.0) * 224.0 / 255.0 + 128.0;
            assert!((f64::from(limited_chroma(level)) - exact).abs() <= 0.501, "chroma {level}");
        }
    }
}

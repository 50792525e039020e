use super::{REFUSED, chroma, quality};
use crate::Reject;
use crate::libwebp::{self, Coding, Yuv};
use crate::planes::{Chroma, Planes};
use crate::raster::{Pixels, Raster};

/// libwebp's default, in the middle between 0 (fast) and 6 (small): for what is lossless, and for animations.
pub(crate) const METHOD: u8 = 4;

/// Of photographs. It differs from 4 in nothing but that textures are not weighed when predictions are chosen
/// (`tlambda`), which is a thirteenth of the time for 0.6% of the bytes at equal scores. 2 takes less than half of
/// the time and 5% more bytes, 7 to 12% for some photographs: whoever serves a picture three times has lost by it.
const METHOD_OF_STILLS: u8 = 3;

pub(super) fn encode(raster: &Raster, quality: u8) -> Result<Vec<u8>, Reject> {
    let size = (raster.width, raster.height);
    let alpha = raster.pixels == Pixels::Rgba;
    let coding = Coding::Lossy { quality: quality::webp(quality), sharp: chroma::shows_when_halved(raster) };
    libwebp::encode(&raster.data, size, alpha, coding, METHOD_OF_STILLS).map_err(|_| REFUSED)
}

/// Every pixel as it is, and the colours of those that cannot be seen.
pub(super) fn encode_lossless(raster: &Raster) -> Result<Vec<u8>, Reject> {
    let size = (raster.width, raster.height);
    let alpha = raster.pixels == Pixels::Rgba;
    libwebp::encode(&raster.data, size, alpha, Coding::Lossless, METHOD).map_err(|_| REFUSED)
}

/// Planes go in as they are but for their range: WebP has that of video (RFC 6386, 9.2), JPEG all 256 levels.
pub(super) fn encode_planes(planes: &Planes, quality: u8) -> Result<Vec<u8>, Reject> {
    let size = planes.size();
    let luma: Vec<u8> = planes.luma.data.iter().map(|&sample| limited_luma(sample)).collect();
    let limited = |plane: &[u8]| plane.iter().map(|&sample| limited_chroma(sample)).collect();
    let [blue, red]: [Vec<u8>; 2] = if let Some([blue, red]) = &planes.chroma {
        [limited(&blue.data), limited(&red.data)]
    } else {
        let (width, height) = Chroma::Half.samples(size);
        let gray = vec![128; width as usize * height as usize];
        [gray.clone(), gray]
    };
    let planes = Yuv { luma: &luma, blue: &blue, red: &red };
    libwebp::encode_yuv(planes, size, quality::webp(quality), METHOD_OF_STILLS).map_err(|_| REFUSED)
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

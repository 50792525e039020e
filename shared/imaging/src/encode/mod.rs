//! From sRGB pixels to a file, which carries nothing but them.

mod avif;
mod chroma;
mod jpeg;
mod palette;
mod png;
pub(crate) mod quality;
pub(crate) mod webp;

use crate::animation;
use crate::limits::Budget;
use crate::planes::Planes;
use crate::raster::Raster;
use crate::recipe::{Encoding, OutputFormat};
use crate::{Reject, codec};

/// Encodes RGB, or RGBA where the format has alpha. An untagged file is taken for sRGB everywhere.
pub(crate) fn encode(raster: &Raster, encoding: Encoding, budget: &Budget) -> Result<Vec<u8>, Reject> {
    codec::guard(|| match encoding.format {
        OutputFormat::Jpeg => jpeg::encode(raster, best_if_lossless(encoding), budget),
        OutputFormat::Png => png::encode(raster, budget),
        OutputFormat::Webp if encoding.lossless => webp::encode_lossless(raster, budget),
        OutputFormat::Webp => webp::encode(raster, encoding.quality, budget),
        OutputFormat::Avif => avif::encode(raster, best_if_lossless(encoding), budget),
        OutputFormat::Gif => animation::still_gif(raster, budget),
    })
}

/// Encodes halved chroma without going through RGB, for the encodings that store it so.
pub(crate) fn encode_planes(planes: &Planes, encoding: Encoding, budget: &Budget) -> Result<Vec<u8>, Reject> {
    codec::guard(|| match encoding.format {
        OutputFormat::Jpeg => jpeg::encode_planes(planes, best_if_lossless(encoding), budget),
        OutputFormat::Webp => webp::encode_planes(planes, encoding.quality, budget),
        OutputFormat::Avif => avif::encode_planes(planes, best_if_lossless(encoding), budget),
        OutputFormat::Png | OutputFormat::Gif => Err(REFUSED),
    })
}

fn best_if_lossless(encoding: Encoding) -> u8 {
    if encoding.lossless { 100 } else { encoding.quality }
}

/// Why an encoder failed that stops at the deadline.
pub(crate) fn gave_up(budget: &Budget) -> Reject {
    budget.still_time().err().unwrap_or(REFUSED)
}

/// An encoder refused pixels that every plan makes sure it can take.
pub(crate) const REFUSED: Reject = Reject::Undecodable("it cannot be encoded");

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::raster::Pixels;

    #[test]
    fn no_encoder_goes_on_after_the_deadline() {
        let late = Budget { deadline: Instant::now(), memory: 64 << 20 };
        let early = Budget { deadline: Instant::now() + Duration::from_mins(1), ..late };
        // Of few colours, so that PNG tries more than once.
        let data = (0..64 * 48 * 3_u32).map(|at| if at / 3 % 5 == 0 { 200 } else { 30 }).collect();
        let raster = Raster { width: 64, height: 48, pixels: Pixels::Rgb, data };
        for (format, lossless) in [
            (OutputFormat::Jpeg, false),
            (OutputFormat::Png, false),
            (OutputFormat::Webp, false),
            (OutputFormat::Webp, true),
            (OutputFormat::Avif, false),
            (OutputFormat::Gif, false),
        ] {
            let encoding = Encoding { format, quality: 80, lossless };
            assert_eq!(encode(&raster, encoding, &late), Err(Reject::OutOfTime), "{encoding:?}");
            assert!(encode(&raster, encoding, &early).is_ok(), "{encoding:?}");
        }
    }
}

use super::REFUSED;
use crate::Reject;
use crate::libwebp;
use crate::raster::{Pixels, Raster};

/// libwebp's default, in the middle between 0 (fast) and 6 (small).
const METHOD: u8 = 4;

pub(super) fn encode(raster: &Raster, quality: u8) -> Result<Vec<u8>, Reject> {
    let size = (raster.width, raster.height);
    let alpha = raster.pixels == Pixels::Rgba;
    libwebp::encode(&raster.data, size, alpha, quality, METHOD).map_err(|_| REFUSED)
}

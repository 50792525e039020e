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
        OutputFormat::Webp if encoding.lossless => webp::encode_lossless(raster),
        OutputFormat::Webp => webp::encode(raster, encoding.quality),
        OutputFormat::Avif => avif::encode(raster, best_if_lossless(encoding), budget),
        OutputFormat::Gif => animation::still_gif(raster),
    })
}

/// Encodes halved chroma without going through RGB, for the encodings that store it so.
pub(crate) fn encode_planes(planes: &Planes, encoding: Encoding, budget: &Budget) -> Result<Vec<u8>, Reject> {
    codec::guard(|| match encoding.format {
        OutputFormat::Jpeg => jpeg::encode_planes(planes, best_if_lossless(encoding), budget),
        OutputFormat::Webp => webp::encode_planes(planes, encoding.quality),
        OutputFormat::Avif => avif::encode_planes(planes, best_if_lossless(encoding), budget),
        OutputFormat::Png | OutputFormat::Gif => Err(REFUSED),
    })
}

fn best_if_lossless(encoding: Encoding) -> u8 {
    if encoding.lossless { 100 } else { encoding.quality }
}

/// An encoder refused pixels that every plan makes sure it can take.
pub(crate) const REFUSED: Reject = Reject::Undecodable("it cannot be encoded");

//! From sRGB pixels to a file, which carries nothing but them.

mod jpeg;
mod png;
mod webp;

use crate::planes::Planes;
use crate::raster::Raster;
use crate::recipe::{Encoding, OutputFormat};
use crate::{Reject, codec};

/// Encodes RGB, or RGBA where the format has alpha. An untagged file is taken for sRGB everywhere.
pub(crate) fn encode(raster: &Raster, encoding: Encoding) -> Result<Vec<u8>, Reject> {
    codec::guard(|| match encoding.format {
        OutputFormat::Jpeg => jpeg::encode(raster, encoding.quality),
        OutputFormat::Png => png::encode(raster),
        OutputFormat::Webp => webp::encode(raster, encoding.quality),
    })
}

/// Encodes halved chroma without going through RGB, for the formats that store it so.
pub(crate) fn encode_planes(planes: &Planes, encoding: Encoding) -> Result<Vec<u8>, Reject> {
    codec::guard(|| match encoding.format {
        OutputFormat::Jpeg => jpeg::encode_planes(planes, encoding.quality),
        OutputFormat::Webp => webp::encode_planes(planes, encoding.quality),
        OutputFormat::Png => Err(REFUSED),
    })
}

/// An encoder refused pixels that every plan makes sure it can take.
const REFUSED: Reject = Reject::Undecodable("it cannot be encoded");

//! From sRGB pixels to a file, which carries nothing but them.

mod jpeg;
mod png;
mod webp;

use crate::raster::Raster;
use crate::recipe::{OutputFormat, Plan};
use crate::{Reject, codec};

/// Encodes RGB, or RGBA where the format has alpha. An untagged file is taken for sRGB everywhere.
pub(crate) fn encode(raster: &Raster, plan: &Plan) -> Result<Vec<u8>, Reject> {
    codec::guard(|| match plan.format {
        OutputFormat::Jpeg => jpeg::encode(raster, plan.quality),
        OutputFormat::Png => png::encode(raster),
        OutputFormat::Webp => webp::encode(raster, plan.quality),
    })
}

/// An encoder refused pixels that every plan makes sure it can take.
const REFUSED: Reject = Reject::Undecodable("it cannot be encoded");

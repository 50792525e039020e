//! From a file to pixels as it holds them: stored orientation, its own colours.

pub(crate) mod gif;
mod jpeg;
pub(crate) mod png;
pub(crate) mod webp;

use crate::limits::Budget;
use crate::raster::Raster;
use crate::{Format, Header, Reject, codec};

/// The pixels of a file, or of its first frame.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub(crate) raster: Raster,
    pub(crate) icc: Option<Vec<u8>>,
}

/// Decodes at the smallest scale that still serves a rendering of `wanted` pixels (in stored
/// orientation): the result is at least so large and at most the whole picture, always of its shape.
///
/// Only WebP scales here; sequential JPEG does elsewhere, see [`crate::jpeg`].
pub(crate) fn decode(
    bytes: &[u8], header: &Header, wanted: (u32, u32), budget: &Budget,
) -> Result<Decoded, Reject> {
    codec::guard(|| match header.format {
        Format::Jpeg => jpeg::decode(bytes, header, budget),
        Format::Png => png::decode(bytes, header, budget),
        Format::Webp => webp::decode(bytes, header, wanted, budget),
        Format::Gif => gif::decode(bytes, header, budget),
    })
}

/// What a codec found is not what the header was checked for.
pub(crate) const OTHER_SIZE: Reject = Reject::Undecodable("its data is not of the size that its header says");

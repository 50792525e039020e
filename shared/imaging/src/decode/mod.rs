//! From a file to pixels as it holds them: stored orientation, its own colours.

mod av1_units;
mod avif;
mod bmp;
pub(crate) mod gif;
#[cfg(feature = "heic")]
mod heic;
mod heif;
mod jpeg;
pub(crate) mod png;
mod shrink;
pub(crate) mod tiff;
pub(crate) mod webp;
mod yuv;

use crate::limits::Budget;
use crate::raster::{Pixels, Raster};
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
/// Only WebP and PNG scale here; sequential JPEG does elsewhere, see [`crate::jpeg`].
pub(crate) fn decode(
    bytes: &[u8], header: &Header, wanted: (u32, u32), budget: &Budget,
) -> Result<Decoded, Reject> {
    codec::guard(|| match header.format {
        Format::Jpeg => jpeg::decode(bytes, header, budget),
        Format::Png => png::decode(bytes, header, wanted, budget),
        Format::Webp => webp::decode(bytes, header, wanted, budget),
        Format::Gif => gif::decode(bytes, header, budget),
        Format::Avif | Format::Heic => heif::decode(bytes, budget),
        Format::Tiff => tiff::decode(bytes, budget),
        Format::Bmp => bmp::decode(bytes, budget),
    })
}

/// Undoes the multiplication of colours by alpha.
fn divide_by_alpha(raster: &mut Raster) {
    fn divide<const N: usize>(data: &mut [u8]) {
        for pixel in data.as_chunks_mut::<N>().0 {
            let alpha = u16::from(pixel[N - 1]);
            if alpha < 255 {
                for colour in &mut pixel[..N - 1] {
                    let whole = (u16::from(*colour) * 255 + alpha / 2).checked_div(alpha);
                    *colour = u8::try_from(whole.unwrap_or(0)).unwrap_or(u8::MAX);
                }
            }
        }
    }
    match raster.pixels {
        Pixels::GrayAlpha => divide::<2>(&mut raster.data),
        Pixels::Rgba => divide::<4>(&mut raster.data),
        Pixels::Gray | Pixels::Rgb | Pixels::Cmyk => {}
    }
}

/// What a codec found is not what the header was checked for.
pub(crate) const OTHER_SIZE: Reject = Reject::Undecodable("its data is not of the size that its header says");

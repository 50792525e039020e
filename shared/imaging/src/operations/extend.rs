use crate::Reject;
use crate::levels::over;
use crate::limits::Budget;
use crate::raster::{Pixels, Raster};
use crate::recipe::Colour;

/// Something larger to lay a picture onto.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Canvas {
    pub(crate) size: (u32, u32),
    /// Where the picture is. It does not stick out.
    pub(crate) at: (u32, u32),
    pub(crate) colour: Colour,
}

/// Puts a picture where it belongs. What it does not hide is of the canvas's colour.
pub(super) fn extend(raster: &Raster, canvas: &Canvas, budget: &Budget) -> Result<Raster, Reject> {
    let Canvas { size: (width, height), at, colour } = *canvas;
    let opaque = colour.alpha == u8::MAX && raster.pixels == Pixels::Rgb;
    let pixels = if opaque { Pixels::Rgb } else { Pixels::Rgba };
    budget.afford(raster.bytes() + pixels.bytes(width, height))?;
    let mut extended = Raster::blank(width, height, pixels, budget)?;
    let below = colour.rgba();
    let channels = pixels.channels();
    for pixel in extended.data.chunks_exact_mut(channels) {
        pixel.copy_from_slice(&below[..channels]);
    }
    let from_channels = raster.pixels.channels();
    let from_rows = raster.data.chunks_exact(raster.width as usize * from_channels);
    let to_rows = extended.data.chunks_exact_mut(width as usize * channels).skip(at.1 as usize);
    for (from, to) in from_rows.zip(to_rows) {
        let to = to.chunks_exact_mut(channels).skip(at.0 as usize);
        for (from, to) in from.chunks_exact(from_channels).zip(to) {
            if let [r, g, b, a] = *from {
                to.copy_from_slice(&over([r, g, b, a], below)[..channels]);
            } else {
                to[..3].copy_from_slice(from);
                to[3..].fill(u8::MAX);
            }
        }
    }
    Ok(extended)
}

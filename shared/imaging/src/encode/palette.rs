use std::collections::HashMap;

use crate::Reject;
use crate::limits::Budget;
use crate::raster::Raster;

/// The colours of a picture that has few, and which of them each pixel is.
pub(super) struct Palette {
    /// At most 256, each once, those that are not opaque first.
    pub(super) colours: Vec<[u8; 4]>,
    /// A place in the colours for every pixel.
    pub(super) indexes: Vec<u8>,
}

impl Palette {
    /// All colours as they are, or nothing if there are more than 256.
    pub(super) fn exact(raster: &Raster, budget: &Budget) -> Result<Option<Self>, Reject> {
        let mut found: HashMap<[u8; 4], u8> = HashMap::new();
        let mut last = None;
        for pixel in pixels(raster) {
            if last != Some(pixel) {
                last = Some(pixel);
                found.insert(pixel, 0);
                if found.len() > 256 {
                    return Ok(None);
                }
            }
        }
        let mut colours: Vec<[u8; 4]> = found.keys().copied().collect();
        // PNG's table of alphas ends with the last colour that is not opaque (PNG, 11.3.1.1); and the nearer
        // neighbours in the table are, the better a filter predicts one from the other.
        colours.sort_unstable_by_key(|&[r, g, b, a]| {
            (a == u8::MAX, u16::from(r) + u16::from(g) + u16::from(b), r, g, a)
        });
        for (place, colour) in (0..=u8::MAX).zip(&colours) {
            found.insert(*colour, place);
        }
        let mut last = (None, 0);
        let index = |pixel| {
            if last.0 != Some(pixel) {
                last = (Some(pixel), found[&pixel]);
            }
            last.1
        };
        let indexes =
            budget.collect(raster.data.len() / raster.pixels.channels(), pixels(raster).map(index))?;
        Ok(Some(Self { colours, indexes }))
    }
}

fn pixels(raster: &Raster) -> impl Iterator<Item = [u8; 4]> {
    let pixels = raster.pixels;
    raster.data.chunks_exact(pixels.channels()).map(move |pixel| match *pixel {
        [level] => [level, level, level, u8::MAX],
        [level, alpha] => [level, level, level, alpha],
        [r, g, b] => [r, g, b, u8::MAX],
        [r, g, b, a] => [r, g, b, a],
        // A pixel has one to four channels.
        _ => [0; 4],
    })
}

use crate::Reject;
use crate::image::Image;
use crate::limits::Budget;
use crate::raster::{Pixels, Raster};

/// What can be said of a picture by looking at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// A placeholder of some 25 bytes to show while the picture loads (<https://evanw.github.io/thumbhash/>).
    pub thumbhash: Vec<u8>,
    /// The colour that takes up the most room, as sRGB.
    pub dominant_color: [u8; 3],
    /// Whether nothing shines through anywhere.
    pub opaque: bool,
}

/// `fast_thumbhash` takes no more, and looks at no more than a few waves across.
const SIDE: u32 = 100;

pub(crate) fn facts(image: Image, opaque: bool, budget: &Budget) -> Result<Facts, Reject> {
    let (width, height) = image.size();
    let longest = width.max(height);
    let shrunk = |side: u32| {
        if longest > SIDE { (side * SIDE / longest).max(1) } else { side }
    };
    let small = image.into_raster((shrunk(width), shrunk(height)), budget)?;
    let rgba = rgba(&small);
    Ok(Facts {
        thumbhash: fast_thumbhash::rgba_to_thumb_hash(
            small.width as usize,
            small.height as usize,
            rgba.as_flattened(),
        ),
        dominant_color: dominant_color(&rgba),
        opaque,
    })
}

fn rgba(raster: &Raster) -> Vec<[u8; 4]> {
    match raster.pixels {
        Pixels::Rgba => raster.data.as_chunks().0.to_vec(),
        _ => raster.data.as_chunks().0.iter().map(|&[r, g, b]| [r, g, b, u8::MAX]).collect(),
    }
}

/// The mean of the most common of 512 ranges of colour, each pixel counting by how visible it is.
fn dominant_color(pixels: &[[u8; 4]]) -> [u8; 3] {
    #[derive(Clone, Copy, Default)]
    struct Range {
        weight: u64,
        sums: [u64; 3],
    }
    let mut ranges = [Range::default(); 512];
    for &[r, g, b, a] in pixels {
        let index = usize::from(r >> 5) << 6 | usize::from(g >> 5) << 3 | usize::from(b >> 5);
        let range = &mut ranges[index];
        range.weight += u64::from(a);
        for (sum, colour) in range.sums.iter_mut().zip([r, g, b]) {
            *sum += u64::from(colour) * u64::from(a);
        }
    }
    let most = ranges.iter().max_by_key(|range| range.weight).copied().unwrap_or_default();
    most.sums.map(|sum| {
        let mean = (sum + most.weight / 2).checked_div(most.weight).unwrap_or_default();
        u8::try_from(mean).unwrap_or(u8::MAX)
    })
}

//! What can be said of a picture by looking at it, small.

mod palette;
mod perceptual;

use crate::image::Image;
use crate::levels::over;
use crate::limits::Budget;
use crate::raster::{Pixels, Raster};
use crate::resize::resize;
use crate::{Header, Reject};

pub use palette::Swatch;

/// What can be said of a picture by looking at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// A placeholder of some 25 bytes to show while the picture loads (<https://evanw.github.io/thumbhash/>).
    pub thumbhash: Vec<u8>,
    /// Another, of some 30 characters, known to more clients, without transparency (<https://blurha.sh>).
    pub blurhash: String,
    /// The colour that takes up the most room, as sRGB.
    pub dominant_color: [u8; 3],
    /// The colours that the picture is made of, most first, six at most. Empty if nothing is visible.
    pub palette: Vec<Swatch>,
    /// Pictures whose hashes differ in a few of the 64 bits look the same, whatever their size, format and
    /// quality; pictures that have nothing to do with each other differ in about half of them. Pictures
    /// without structure, all of one colour for instance, have hashes that say nothing.
    pub perceptual_hash: u64,
    /// Whether nothing shines through anywhere.
    pub opaque: bool,
    /// Whether the file holds more than one frame to be shown one after the other.
    pub animated: bool,
    /// How many frames it says it holds; 1 for a still.
    pub frames: u32,
}

/// `fast_thumbhash` takes no more, and looks at no more than a few waves across.
const SIDE: u32 = 100;

/// Looks at a picture that is sRGB.
pub(crate) fn facts(image: Image, header: &Header, opaque: bool, budget: &Budget) -> Result<Facts, Reject> {
    let size = small(image.size());
    let small = image.into_raster(size, budget)?;
    let rgba = rgba(&small);
    let square = square(&small, &rgba, budget)?;
    Ok(Facts {
        thumbhash: fast_thumbhash::rgba_to_thumb_hash(
            small.width as usize,
            small.height as usize,
            rgba.as_flattened(),
        ),
        blurhash: blurhash(&square, (small.width, small.height))?,
        dominant_color: dominant_color(&rgba),
        palette: palette::palette(&rgba),
        perceptual_hash: perceptual::hash(&luma(&square)),
        opaque,
        animated: header.frames > 1,
        frames: header.frames,
    })
}

/// The size in which a picture is looked at.
pub(crate) fn small((width, height): (u32, u32)) -> (u32, u32) {
    let longest = width.max(height);
    let shrunk = |side: u32| {
        if longest > SIDE { (side * SIDE / longest).max(1) } else { side }
    };
    (shrunk(width), shrunk(height))
}

/// The picture on white, squeezed into the square that hashes of waves are made from.
fn square(small: &Raster, rgba: &[[u8; 4]], budget: &Budget) -> Result<Raster, Reject> {
    let mut flat = Raster::blank(small.width, small.height, Pixels::Rgb, budget)?;
    for (to, &[r, g, b, a]) in flat.data.as_chunks_mut::<3>().0.iter_mut().zip(rgba) {
        let [r, g, b, _] = over([r, g, b, a], [u8::MAX; 4]);
        *to = [r, g, b];
    }
    let side = u32::try_from(perceptual::SIDE).unwrap_or(SIDE);
    resize(flat, (side, side), budget)
}

fn blurhash(square: &Raster, shape: (u32, u32)) -> Result<String, Reject> {
    let (across, down) = components(shape);
    blurhash::encode(across, down, square.width, square.height, rgba(square).as_flattened())
        .map_err(|_| Reject::Undecodable("it cannot be looked at"))
}

/// Waves across and down: about a dozen, more along the longer side.
fn components((width, height): (u32, u32)) -> (u32, u32) {
    let (width, height) = (u64::from(width), u64::from(height));
    match () {
        () if width >= 3 * height => (6, 2),
        () if height >= 3 * width => (2, 6),
        () if 5 * width > 6 * height => (4, 3),
        () if 5 * height > 6 * width => (3, 4),
        () => (4, 4),
    }
}

/// ITU-R BT.601, as in JFIF 1.02.
fn luma(raster: &Raster) -> Vec<u8> {
    let (pixels, _) = raster.data.as_chunks::<3>();
    let weighed = pixels.iter().map(|&[r, g, b]| {
        let sum = 299 * u32::from(r) + 587 * u32::from(g) + 114 * u32::from(b);
        u8::try_from((sum + 500) / 1_000).unwrap_or(u8::MAX)
    });
    weighed.collect()
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

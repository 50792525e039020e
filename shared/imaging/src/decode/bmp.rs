//! BMP. The crates that read it show 32-bit pixels without alpha as invisible, or read palettes that
//! are not there; and there is little to read.

use super::Decoded;
use crate::Reject;
use crate::container::bmp::{Bitmap, Coding, bitmap};
use crate::limits::Budget;
use crate::raster::{Pixels, Raster};

pub(super) fn decode(bytes: &[u8], budget: &Budget) -> Result<Decoded, Reject> {
    let bitmap = bitmap(bytes)?;
    let pixels = if bitmap.has_alpha() { Pixels::Rgba } else { Pixels::Rgb };
    let mut raster = Raster::blank(bitmap.width, bitmap.height, pixels, budget)?;
    match bitmap.coding {
        Coding::Runs(bits) => {
            // What runs leave out has the first colour.
            if let Some(&[b, g, r]) = bitmap.palette.first() {
                raster.data.as_chunks_mut().0.fill([r, g, b]);
            }
            runs(&bitmap, bits, &mut raster.data)?;
        }
        Coding::Indices(_) | Coding::Bytes | Coding::Masks(..) => rows(&bitmap, &mut raster),
    }
    // Writers that know of no transparency leave zeros where it would be.
    if pixels == Pixels::Rgba && raster.data.as_chunks().0.iter().all(|[_, _, _, alpha]| *alpha == 0) {
        raster.drop_alpha();
    }
    Ok(Decoded { raster, icc: bitmap.icc.map(<[u8]>::to_vec) })
}

fn rows(bitmap: &Bitmap, raster: &mut Raster) {
    let channels = raster.pixels.channels();
    let height = bitmap.height as usize;
    let rows = raster.data.chunks_exact_mut(bitmap.width as usize * channels);
    for (y, row) in rows.enumerate() {
        let stored = if bitmap.top_down { y } else { height - 1 - y };
        let from = bitmap.pixels.get(stored * bitmap.stride..).unwrap_or_default();
        match bitmap.coding {
            Coding::Indices(bits) => {
                let each = usize::from(8 / bits);
                for (&byte, pixels) in from.iter().zip(row.chunks_mut(3 * each)) {
                    for (place, pixel) in (1..).zip(pixels.as_chunks_mut::<3>().0) {
                        let index = u16::from(byte) >> (8 - bits * place) & ((1 << bits) - 1);
                        *pixel = colour(bitmap, usize::from(index));
                    }
                }
            }
            Coding::Bytes => {
                for (&[b, g, r], pixel) in from.as_chunks().0.iter().zip(row.as_chunks_mut::<3>().0) {
                    *pixel = [r, g, b];
                }
            }
            Coding::Masks(bits, masks) => {
                let samples = masks.map(Sample::of);
                let words = from.chunks_exact(usize::from(bits / 8));
                for (word, pixel) in words.zip(row.chunks_exact_mut(channels)) {
                    let word = word.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte));
                    for (channel, sample) in pixel.iter_mut().zip(&samples) {
                        *channel = sample.byte(word);
                    }
                }
            }
            Coding::Runs(_) => {}
        }
    }
}

fn colour(bitmap: &Bitmap, index: usize) -> [u8; 3] {
    let [b, g, r] = bitmap.palette.get(index).copied().unwrap_or_default();
    [r, g, b]
}

/// A part of a word.
struct Sample {
    shift: u32,
    most: u64,
}

impl Sample {
    fn of(mask: u32) -> Self {
        let shift = mask.trailing_zeros() & 31;
        Self { shift, most: u64::from(mask >> shift) }
    }

    /// Scaled to 8 bits, rounded.
    fn byte(&self, word: u32) -> u8 {
        if self.most == 0 {
            return 0;
        }
        let value = u64::from(word >> self.shift) & self.most;
        u8::try_from((value * 255 + self.most / 2) / self.most).unwrap_or(u8::MAX)
    }
}

/// A count and what to repeat; or, after a zero, an order: end of row, end of picture, go elsewhere, or
/// so many indices as they are.
fn runs(bitmap: &Bitmap, bits: u16, to: &mut [u8]) -> Result<(), Reject> {
    let (width, height) = (bitmap.width as usize, bitmap.height as usize);
    let mut data = bitmap.pixels.iter().copied();
    let (mut x, mut y) = (0, 0);
    let mut put = |x: &mut usize, y: usize, index: u8| {
        // What reaches out of the picture is cut off, as all readers do.
        if *x < width && y < height {
            let at = ((height - 1 - y) * width + *x) * 3;
            to[at..at + 3].copy_from_slice(&colour(bitmap, index.into()));
        }
        *x += 1;
    };
    let nibbles = |byte: u8| [byte >> 4, byte & 15];
    loop {
        let whole = y >= height || (y == height - 1 && x >= width);
        // The end of the picture is often forgotten after its last pixel.
        let (Some(count), Some(what)) = (data.next(), data.next()) else {
            return if whole { Ok(()) } else { Err(Reject::Truncated) };
        };
        match (count, what) {
            (0, 0) => (x, y) = (0, y + 1),
            (0, 1) => return Ok(()),
            (0, 2) => {
                let (right, up) = (data.next(), data.next());
                let (Some(right), Some(up)) = (right, up) else {
                    return Err(Reject::Truncated);
                };
                (x, y) = (x + usize::from(right), y + usize::from(up));
            }
            (0, count) => {
                let count = usize::from(count);
                let bytes = if bits == 8 { count } else { count.div_ceil(2) };
                let mut left = count;
                for _ in 0..bytes {
                    let byte = data.next().ok_or(Reject::Truncated)?;
                    if bits == 8 {
                        put(&mut x, y, byte);
                    } else {
                        for index in nibbles(byte).into_iter().take(left) {
                            put(&mut x, y, index);
                        }
                        left = left.saturating_sub(2);
                    }
                }
                // To an even number of bytes.
                if bytes % 2 == 1 {
                    data.next();
                }
            }
            (count, what) => {
                for at in 0..usize::from(count) {
                    put(&mut x, y, if bits == 8 { what } else { nibbles(what)[at % 2] });
                }
            }
        }
    }
}

//! Progressive JPEG (ITU-T T.81), for pictures that are made once and sent often.
//!
//! It is written the way libjpeg does: quantisation by the tables of annex K, scans by [`scans`], and of each scan
//! the Huffman table that suits it best. Planes are taken as they are.
//!
//! ```text
//! transform   samples to coefficients        scans     coefficients to symbols and bits
//! huffman     the best codes for symbols     bits      symbols and bits to bytes
//! ```

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "samples have 8 bits, coefficients 16, a block 64 of them, and what is shifted out is short"
)]

mod bits;
mod huffman;
mod scans;
mod transform;

use super::{REFUSED, chroma};
use crate::Reject;
use crate::limits::Budget;
use crate::planes::Planes;
use crate::raster::{Pixels, Raster};
use bits::segment;
use transform::{Block, Component, Samples};

pub(super) fn encode(raster: &Raster, quality: u8, budget: &Budget) -> Result<Vec<u8>, Reject> {
    let size = (raster.width as usize, raster.height as usize);
    let channels = raster.pixels.channels();
    let budget = &budget.less(raster.bytes());
    let plane = Pixels::Gray.bytes(raster.width, raster.height);
    if chroma::is_gray(raster) {
        budget.afford(plane)?;
        let levels =
            budget.collect(raster.data.len() / channels, raster.data.iter().step_by(channels).copied())?;
        return file(size, &[Samples { data: &levels, size, factor: 1 }], quality, budget);
    }
    if channels != 3 {
        return Err(REFUSED);
    }
    let halved = !chroma::shows_when_halved(raster);
    let factor = if halved { 2 } else { 1 };
    // The planes, and the first that is halved.
    budget.afford(3 * plane + plane.div_ceil(2))?;
    let [luma, blue, red] = planes(raster, budget)?;
    let chroma_size = (size.0.div_ceil(factor), size.1.div_ceil(factor));
    let halves = |plane: Vec<u8>| if halved { half(&plane, size, budget) } else { Ok(plane) };
    let (blue, red) = (halves(blue)?, halves(red)?);
    let luma = Samples { data: &luma, size, factor };
    let chroma = |data| Samples { data, size: chroma_size, factor: 1 };
    file(size, &[luma, chroma(&blue), chroma(&red)], quality, budget)
}

pub(super) fn encode_planes(planes: &Planes, quality: u8, budget: &Budget) -> Result<Vec<u8>, Reject> {
    let samples = |plane: &'_ crate::planes::Plane| (plane.width as usize, plane.height as usize);
    let size = samples(&planes.luma);
    let factor = if planes.chroma.is_some() { 2 } else { 1 };
    let mut components = vec![Samples { data: &planes.luma.data, size, factor }];
    for plane in planes.chroma.iter().flatten() {
        components.push(Samples { data: &plane.data, size: samples(plane), factor: 1 });
    }
    file(size, &components, quality, budget)
}

/// YCbCr (JFIF 1.02), in 16-bit fixed point.
fn planes(raster: &Raster, budget: &Budget) -> Result<[Vec<u8>; 3], Reject> {
    const HALF: i32 = 1 << 15;
    /// Chroma is shifted by 128. A trifle less than a half, as 255.5 would be 256.
    const SHIFTED: i32 = (128 << 16) + HALF - 1;
    let pixels = raster.data.as_chunks::<3>().0;
    let plane = |[red, green, blue]: [i32; 3], offset: i32| {
        let level = |pixel: &[u8; 3]| {
            let [r, g, b] = pixel.map(i32::from);
            ((red * r + green * g + blue * b + offset) >> 16).clamp(0, 255) as u8
        };
        budget.collect(pixels.len(), pixels.iter().map(level))
    };
    Ok([
        plane([19_595, 38_470, 7_471], HALF)?,
        plane([-11_059, -21_709, 32_768], SHIFTED)?,
        plane([32_768, -27_439, -5_329], SHIFTED)?,
    ])
}

/// The mean of each two by two samples; the last ones count for those that are not there.
fn half(plane: &[u8], (width, height): (usize, usize), budget: &Budget) -> Result<Vec<u8>, Reject> {
    let row = |y: usize| &plane[y.min(height - 1) * width..][..width];
    let mut halved = budget.room(width.div_ceil(2) * height.div_ceil(2))?;
    for y in (0..height).step_by(2) {
        let (above, below) = (row(y), row(y + 1));
        // Where the mean is halfway, it is rounded up and down in turns.
        for (turn, (above, below)) in (0_u16..).zip(above.chunks(2).zip(below.chunks(2))) {
            let sum = |pair: &[u8]| u16::from(pair[0]) + u16::from(*pair.last().unwrap_or(&pair[0]));
            halved.push(((sum(above) + sum(below) + 1 + (turn & 1)) / 4) as u8);
        }
    }
    Ok(halved)
}

/// A whole file. Luma comes first, and its factors are those of the frame.
fn file(
    size: (usize, usize), components: &[Samples], quality: u8, budget: &Budget,
) -> Result<Vec<u8>, Reject> {
    let (Ok(width), Ok(height)) = (u16::try_from(size.0), u16::try_from(size.1)) else {
        return Err(REFUSED);
    };
    if width == 0 || height == 0 {
        return Err(REFUSED);
    }
    let tables = transform::tables(quality);
    let used = if components.len() == 1 { &tables[..1] } else { &tables[..] };
    let most = components.iter().map(|samples| samples.factor).max().unwrap_or(1);
    let units = (size.0.div_ceil(8 * most), size.1.div_ceil(8 * most));
    let blocks =
        |samples: &Samples| (units.0 * samples.factor * units.1 * samples.factor * size_of::<Block>()) as u64;
    budget.afford(components.iter().map(|samples| samples.data.len() as u64 + blocks(samples)).sum())?;
    let mut coded: Vec<Component> = Vec::with_capacity(components.len());
    for (index, samples) in components.iter().enumerate() {
        coded.push(Component::new(samples, &tables[index.min(1)], units, budget)?);
    }

    let mut file = vec![0xff, 0xd8];
    // Version 1.2; square pixels of no particular size; no thumbnail.
    segment(&mut file, 0xe0, &[b"JFIF\0", &[1, 2, 0, 0, 1, 0, 1, 0, 0]]);
    for (number, steps) in (0..).zip(used) {
        segment(&mut file, 0xdb, &[&[number], &steps.map(|step| step as u8)]);
    }
    let mut frame = vec![8];
    frame.extend(height.to_be_bytes());
    frame.extend(width.to_be_bytes());
    frame.push(components.len() as u8);
    for (index, samples) in (0_u8..).zip(components) {
        // With one component, an MCU is one block whatever its factors (A.2.2).
        frame.extend([index + 1, (samples.factor * 0x11) as u8, index.min(1)]);
    }
    segment(&mut file, 0xc2, &[&frame]);
    scans::write(&mut file, &coded, units, budget)?;
    file.extend([0xff, 0xd9]);
    Ok(file)
}

#[cfg(test)]
mod tests;

//! AVIF: one AV1 picture for the colours, one for alpha, in boxes (AV1 Image File Format 1.1).

use std::time::{Duration, Instant};

use avif_serialize::Aviffy;
use avif_serialize::constants::MatrixCoefficients as Matrix;

use super::{REFUSED, chroma, quality};
use crate::Reject;
use crate::limits::Budget;
use crate::planes::{Chroma, Planes};
use crate::raster::{Pixels, Raster};

/// What rav1e holds for a pixel: the picture twice with its borders, what was decided for each block, and the
/// quantities that decisions are made of. It was 26 with halved chroma at 3 megapixels; whole chroma doubles the
/// picture's part of it.
const MEMORY_PER_PIXEL: u64 = 48;

/// For tables and the contexts of a tile, whatever the size.
const MEMORY: u64 = 8 << 20;

/// Samples of one kind, `width` in a row.
struct Samples<'a> {
    width: usize,
    data: &'a [u8],
}

/// A picture as AV1 takes it.
struct Source<'a> {
    size: (u32, u32),
    luma: Samples<'a>,
    chroma: Option<(Chroma, [Samples<'a>; 2])>,
}

pub(super) fn encode(raster: &Raster, quality: u8, budget: &Budget) -> Result<Vec<u8>, Reject> {
    let size = (raster.width, raster.height);
    afford(size, raster.pixels.has_alpha(), budget)?;
    let kind = if chroma::is_gray(raster) {
        None
    } else if chroma::shows_when_halved(raster) {
        Some(Chroma::Full)
    } else {
        Some(Chroma::Half)
    };
    let colours = chroma::seen(raster, budget)?;
    let luma = chroma::luma(&colours, budget)?;
    let planes = match kind {
        Some(kind) => Some((kind, chroma::chroma(&colours, raster.width as usize, kind, budget)?)),
        None => None,
    };
    drop(colours);
    let chroma = planes.as_ref().map(|(kind, planes)| {
        let width = kind.samples(size).0 as usize;
        (*kind, planes.each_ref().map(|data| Samples { width, data }))
    });
    let luma = Samples { width: raster.width as usize, data: &luma };
    let quantizer = quality::avif(quality);
    let source = Source { size, luma, chroma };
    in_time(&source, quantizer, budget)?;
    let colours = compress(&source, quantizer)?;

    let alpha = match raster.pixels {
        Pixels::GrayAlpha | Pixels::Rgba => {
            let channels = raster.pixels.channels();
            let data = raster.data.iter().skip(channels - 1).step_by(channels).copied();
            let data = budget.collect(raster.data.len() / channels, data)?;
            let luma = Samples { width: raster.width as usize, data: &data };
            Some(compress(&Source { size, luma, chroma: None }, quantizer / ALPHA)?)
        }
        Pixels::Gray | Pixels::Rgb | Pixels::Cmyk => None,
    };
    Ok(boxed(&colours, alpha.as_deref(), size, kind))
}

/// Edges of what is cut out are the sharpest and most looked at of a picture, and cost few bytes: alpha is
/// quantized by so much less than the colours.
const ALPHA: u8 = 3;

pub(super) fn encode_planes(planes: &Planes, quality: u8, budget: &Budget) -> Result<Vec<u8>, Reject> {
    let size = planes.size();
    afford(size, false, budget)?;
    let half = Chroma::Half.samples(size).0 as usize;
    let samples = |data| Samples { width: half, data };
    let chroma = planes.chroma.as_ref().map(|[blue, red]| [samples(&blue.data), samples(&red.data)]);
    let kind = planes.chroma.as_ref().map(|_| Chroma::Half);
    let luma = Samples { width: size.0 as usize, data: &planes.luma.data };
    let source = Source { size, luma, chroma: chroma.map(|chroma| (Chroma::Half, chroma)) };
    let quantizer = quality::avif(quality);
    in_time(&source, quantizer, budget)?;
    let colours = compress(&source, quantizer)?;
    Ok(boxed(&colours, None, size, kind))
}

fn afford((width, height): (u32, u32), alpha: bool, budget: &Budget) -> Result<(), Reject> {
    let pixels = Pixels::Gray.bytes(width, height);
    // The two pictures are made one after the other.
    let samples = if alpha { 8 } else { 7 };
    budget.afford(MEMORY + (MEMORY_PER_PIXEL + samples) * pixels)
}

/// rav1e makes a frame in one go, which nothing stops: 24 megapixels took two and a half minutes where there was one.
/// Of pictures with more pixels than this, a part is made first to see how long all of it will take.
const LARGE: u64 = 8_000_000;

/// Two parts, each one row of the largest blocks: a thirtieth of such a photograph, or less.
const PART: u32 = 64;

/// Refuses what cannot be done by the deadline before it is begun.
fn in_time(source: &Source, quantizer: u8, budget: &Budget) -> Result<(), Reject> {
    let (width, height) = source.size;
    if Pixels::Gray.bytes(width, height) > LARGE && height > 8 * PART {
        let start = Instant::now();
        if start + estimate(source, quantizer)? > budget.deadline {
            return Err(Reject::OutOfTime);
        }
    }
    budget.still_time()
}

/// How long all of it takes, by a part above the middle and one below it.
fn estimate(source: &Source, quantizer: u8) -> Result<Duration, Reject> {
    let height = source.size.1;
    let start = Instant::now();
    for quarter in [1, 3] {
        // Halved chroma has a row for two.
        let first = height / 4 * quarter / 2 * 2;
        compress(&source.rows(first, PART), quantizer)?;
    }
    Ok(start.elapsed() * height / (2 * PART))
}

impl Source<'_> {
    fn rows(&self, first: u32, count: u32) -> Self {
        let chroma = self.chroma.as_ref().map(|(kind, planes)| {
            let (_, first) = kind.samples((0, first));
            (*kind, planes.each_ref().map(|plane| plane.rows(first, kind.samples((0, count)).1)))
        });
        Self { size: (self.size.0, count), luma: self.luma.rows(first, count), chroma }
    }
}

impl<'a> Samples<'a> {
    fn rows(&self, first: u32, count: u32) -> Self {
        let (first, count) = (first as usize, count as usize);
        Self { width: self.width, data: &self.data[first * self.width..][..count * self.width] }
    }

    fn plane(&self) -> av1::Plane<'a> {
        av1::Plane { width: self.width, samples: self.data }
    }
}

/// One AV1 picture.
fn compress(source: &Source, quantizer: u8) -> Result<Vec<u8>, Reject> {
    let (width, height) = source.size;
    let chroma = match &source.chroma {
        None => av1::Chroma::None,
        Some((Chroma::Half, planes)) => av1::Chroma::Half(planes.each_ref().map(Samples::plane)),
        Some((Chroma::Full, planes)) => av1::Chroma::Full(planes.each_ref().map(Samples::plane)),
    };
    let size = (width as usize, height as usize);
    av1::encode(size, source.luma.plane(), chroma, quantizer).map_err(|av1::Refused| REFUSED)
}

fn boxed(colours: &[u8], alpha: Option<&[u8]>, (width, height): (u32, u32), kind: Option<Chroma>) -> Vec<u8> {
    let half = kind != Some(Chroma::Full);
    let mut boxes = Aviffy::new();
    boxes
        .set_matrix_coefficients(Matrix::Bt601)
        .set_full_color_range(true)
        .set_monochrome(kind.is_none())
        .set_chroma_subsampling((half, half))
        // AV1, 5.5.2: 4:4:4 is not in the main profile.
        .set_seq_profile(u8::from(!half));
    boxes.to_vec(colours, alpha, width, height, 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(seconds: u64) -> Budget {
        Budget { deadline: Instant::now() + Duration::from_secs(seconds), memory: 1 << 30 }
    }

    fn raster(width: u32, height: u32) -> Raster {
        let level = |at: u32| (at.wrapping_mul(2_654_435_761) >> 27) as u8;
        let data = (0..width * height).flat_map(|at| [level(at), level(at / width), 90]).collect();
        Raster { width, height, pixels: Pixels::Rgb, data }
    }

    #[test]
    fn a_large_picture_that_cannot_be_done_in_time_is_not_begun() {
        let large = raster(4_001, 2_001);
        let start = Instant::now();
        assert_eq!(encode(&large, 10, &budget(1)).unwrap_err(), Reject::OutOfTime);
        let refused = start.elapsed();
        let source = |luma, chroma| Source { size: (4_001, 2_001), luma, chroma };
        let samples = |width, data| Samples { width, data };
        let planes = [&large.data[..4_001 * 2_001], &large.data[..2_001 * 1_001]];
        let chroma = Some((Chroma::Half, [samples(2_001, planes[1]), samples(2_001, planes[1])]));
        let all = estimate(&source(samples(4_001, planes[0]), chroma), quality::avif(10)).unwrap();
        assert!(refused < all / 2, "{refused:?} to refuse {all:?}");
    }
}

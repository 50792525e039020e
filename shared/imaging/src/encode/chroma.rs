//! What a picture's colours are like, and how they are stored.

use super::REFUSED;
use crate::Reject;
use crate::limits::Budget;
use crate::planes::Chroma;
use crate::raster::{Pixels, Raster};

/// Whether there is no colour in it.
pub(super) fn is_gray(raster: &Raster) -> bool {
    match raster.pixels {
        Pixels::Gray | Pixels::GrayAlpha => true,
        Pixels::Rgb => raster.data.as_chunks::<3>().0.iter().all(|[r, g, b]| r == g && g == b),
        Pixels::Rgba => raster.data.as_chunks::<4>().0.iter().all(|[r, g, b, _]| r == g && g == b),
        Pixels::Cmyk => false,
    }
}

/// A block of two by two pixels whose chroma differs by more than this has colours of its own side by side.
const EDGE: i32 = 48;

/// One block in so many may be one before it shows. Most photographs of 320 and 640 pixels have one in 300 at
/// most, coloured text on a plain ground one in four.
const EDGES: usize = 200;

/// A block whose chroma differs by no more than this is of one colour.
const PLAIN: i32 = 16;

/// Where colours meet in a drawing, they meet sharply: nearly all blocks that are not plain are edges. Of leaves
/// before the sky it is one in three or less, though there may be one edge in 40 blocks.
const SHARP: usize = 2;

/// Whether halved chroma would blur it: whether it has sharp edges between colours, as drawings, text on
/// colour and screenshots have, and photographs hardly.
pub(super) fn shows_when_halved(raster: &Raster) -> bool {
    let channels = raster.pixels.channels();
    if channels < 3 {
        return false;
    }
    let stride = raster.width as usize * channels;
    let (mut blocks, mut coloured, mut edges) = (0_usize, 0_usize, 0_usize);
    for rows in raster.data.chunks_exact(2 * stride) {
        let (upper, lower) = rows.split_at(stride);
        for (upper, lower) in upper.chunks_exact(2 * channels).zip(lower.chunks_exact(2 * channels)) {
            let (a, b) = upper.split_at(channels);
            let (c, d) = lower.split_at(channels);
            // What cannot be seen has no colours.
            if channels == 4 && [a, b, c, d].iter().any(|pixel| pixel[3] < 32) {
                continue;
            }
            blocks += 1;
            let [a, b, c, d] = [a, b, c, d].map(|pixel| differences([pixel[0], pixel[1], pixel[2]]));
            let range = |of: fn([i32; 2]) -> i32| {
                let of = [of(a), of(b), of(c), of(d)];
                of.iter().max().zip(of.iter().min()).map_or(0, |(most, least)| most - least)
            };
            let range = range(|[blue, _]| blue).max(range(|[_, red]| red));
            coloured += usize::from(range > PLAIN);
            edges += usize::from(range > EDGE);
        }
    }
    edges * EDGES > blocks && edges * SHARP > coloured
}

/// Blue and red chroma around 0 (JFIF 1.02), times 65,536.
fn differences_of([r, g, b]: [i32; 3]) -> [i32; 2] {
    [32_768 * b - 11_059 * r - 21_709 * g, 32_768 * r - 27_439 * g - 5_329 * b]
}

fn differences(colour: [u8; 3]) -> [i32; 2] {
    differences_of(colour.map(i32::from)).map(|difference| difference >> 16)
}

fn level(value: i32) -> u8 {
    u8::try_from(value.clamp(0, 255)).unwrap_or(0)
}

/// Luma (JFIF 1.02) of each pixel.
pub(super) fn luma(colours: &[[u8; 3]], budget: &Budget) -> Result<Vec<u8>, Reject> {
    let luma = |colour: &[u8; 3]| {
        let [r, g, b] = colour.map(i32::from);
        level((19_595 * r + 38_470 * g + 7_471 * b + (1 << 15)) >> 16)
    };
    budget.collect(colours.len(), colours.iter().map(luma))
}

/// Blue and red chroma of pixels, `width` in a row. Halved, a sample is the mean of its block; at an odd side
/// the last pixels are a block of their own.
pub(super) fn chroma(
    colours: &[[u8; 3]], width: usize, kind: Chroma, budget: &Budget,
) -> Result<[Vec<u8>; 2], Reject> {
    let samples = match kind {
        Chroma::Full => colours.len(),
        Chroma::Half => width.div_ceil(2) * (colours.len() / width).div_ceil(2),
    };
    let mut planes = [budget.room(samples)?, budget.room(samples)?];
    let mut push = |differences: [i32; 2], shift: u32| {
        for (plane, difference) in planes.iter_mut().zip(differences) {
            plane.push(level(((difference + (1 << (shift - 1))) >> shift) + 128));
        }
    };
    match kind {
        Chroma::Full => {
            for colour in colours {
                push(differences_of(colour.map(i32::from)), 16);
            }
        }
        Chroma::Half => {
            for rows in colours.chunks(2 * width) {
                let (upper, lower) = rows.split_at(width);
                let lower = if lower.is_empty() { upper } else { lower };
                for (upper, lower) in upper.chunks(2).zip(lower.chunks(2)) {
                    let corners = [upper.first(), upper.last(), lower.first(), lower.last()];
                    let mut sum = [0; 3];
                    for corner in corners.into_iter().flatten() {
                        sum.iter_mut().zip(corner).for_each(|(sum, &level)| *sum += i32::from(level));
                    }
                    push(differences_of(sum), 18);
                }
            }
        }
    }
    Ok(planes)
}

/// The colours, those that cannot be seen replaced by smooth ones that go on from those that can: they
/// would ring into their neighbours, and cost bytes.
pub(super) fn seen(raster: &Raster, budget: &Budget) -> Result<Vec<[u8; 3]>, Reject> {
    let width = raster.width as usize;
    let count = width * raster.height as usize;
    match raster.pixels {
        Pixels::Rgba => {
            let (pixels, _) = raster.data.as_chunks::<4>();
            let known = pixels.iter().map(|&[r, g, b, a]| (a > 0).then_some([r, g, b]));
            let mut colours: Vec<Option<[u8; 3]>> = budget.collect(count, known)?;
            for at in 0..colours.len() {
                let left = if at % width > 0 { colours[at - 1] } else { None };
                let above = if at >= width { colours[at - width] } else { None };
                colours[at] = colours[at].or_else(|| between(left, above));
            }
            // What is before the first that can be seen.
            for at in (0..colours.len()).rev() {
                let right = if (at + 1) % width > 0 { colours[at + 1] } else { None };
                let below = colours.get(at + width).copied().flatten();
                colours[at] = colours[at].or_else(|| between(right, below));
            }
            budget.collect(count, colours.into_iter().map(Option::unwrap_or_default))
        }
        Pixels::Rgb => budget.copy(raster.data.as_chunks::<3>().0),
        Pixels::GrayAlpha => {
            budget.collect(count, raster.data.as_chunks::<2>().0.iter().map(|&[level, _]| [level; 3]))
        }
        Pixels::Gray => budget.collect(count, raster.data.iter().map(|&level| [level; 3])),
        Pixels::Cmyk => Err(REFUSED),
    }
}

fn between(a: Option<[u8; 3]>, b: Option<[u8; 3]>) -> Option<[u8; 3]> {
    match (a, b) {
        (Some([r, g, b]), Some([r2, g2, b2])) => Some([r.midpoint(r2), g.midpoint(g2), b.midpoint(b2)]),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raster(width: u32, height: u32, colour: impl Fn(u32, u32) -> [u8; 3]) -> Raster {
        let colour = &colour;
        let data = (0..height).flat_map(|y| (0..width).flat_map(move |x| colour(x, y))).collect();
        Raster { width, height, pixels: Pixels::Rgb, data }
    }

    #[test]
    fn coloured_edges_show_and_slopes_and_gray_do_not() {
        let slope = raster(64, 64, |x, y| [x, y, x + y].map(|level| u8::try_from(2 * level).unwrap()));
        assert!(!shows_when_halved(&slope) && !is_gray(&slope));
        let text = raster(64, 64, |x, y| if x % 7 == 0 && y % 9 > 2 { [200, 0, 0] } else { [255; 3] });
        assert!(shows_when_halved(&text));
        let black = raster(64, 64, |x, y| if x % 7 == 0 && y % 9 > 2 { [0; 3] } else { [255; 3] });
        assert!(!shows_when_halved(&black) && is_gray(&black));
        // Leaves: here and there an edge, and different greens everywhere.
        let leaves = raster(64, 64, |x, y| match x * 7 + y * 13 {
            spot if spot % 64 == 0 => [120, 160, 255],
            leaf if leaf % 3 == 0 => [50, 100, 10],
            _ => [70, 70, 40],
        });
        assert!(!shows_when_halved(&leaves));
        // A single dot is no reason.
        let dot = raster(64, 64, |x, y| if (x, y) == (9, 9) { [0, 0, 255] } else { [90; 3] });
        assert!(!shows_when_halved(&dot) && !is_gray(&dot));
    }

    #[test]
    fn planes_are_those_of_jfif() {
        let colours = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [0, 0, 0], [255, 255, 255], [90, 90, 90]];
        assert_eq!(luma(&colours, &Budget::for_tests()).unwrap(), [76, 150, 29, 0, 255, 90]);
        let [blue, red] = chroma(&colours, 3, Chroma::Full, &Budget::for_tests()).unwrap();
        assert_eq!(blue, [85, 44, 255, 128, 128, 128]);
        assert_eq!(red, [255, 21, 107, 128, 128, 128]);
        // The first four are one block; of the last column there is but a half.
        let [blue, red] = chroma(&colours, 3, Chroma::Half, &Budget::for_tests()).unwrap();
        assert_eq!((blue, red), (vec![96, 192], vec![133, 118]));
        let [blue, _] =
            chroma(&[[0, 0, 255], [0, 0, 255], [90; 3]], 1, Chroma::Half, &Budget::for_tests()).unwrap();
        assert_eq!(blue, [255, 128]);
    }

    #[test]
    fn what_cannot_be_seen_goes_on_from_what_can() {
        let data = [[9, 9, 9, 0], [200, 10, 10, 255], [0, 255, 0, 0], [0, 255, 0, 0]].concat();
        let raster = Raster { width: 2, height: 2, pixels: Pixels::Rgba, data };
        assert_eq!(seen(&raster, &Budget::for_tests()).unwrap(), [[200, 10, 10]; 4]);
        let nothing = Raster { width: 3, height: 1, pixels: Pixels::Rgba, data: vec![0; 12] };
        assert_eq!(seen(&nothing, &Budget::for_tests()).unwrap(), [[0; 3]; 3]);
    }
}

use std::collections::HashSet;

use quantizr::{Image, Options, QuantizeResult};

use crate::Reject;
use crate::encode::REFUSED;

/// How many pixels are looked at to choose colours: enough for 255 of them, and a bound on the memory that
/// choosing takes.
const SAMPLE: usize = 1 << 16;

/// A colour table with the way from any colour to the nearest one in it.
pub(super) struct Colours {
    table: Vec<[u8; 3]>,
    /// The last colours that were looked for, each where its bits send it, with what was found.
    found: Vec<Option<([u8; 3], u8)>>,
}

/// A power of two: 15 bits of a colour.
const CELLS: usize = 1 << 15;

impl Colours {
    /// The best few for these pixels, all of which are opaque: their own, where they are no more than that.
    pub(super) fn of(pixels: &[[u8; 4]], most: usize) -> Result<Self, Reject> {
        let mut own = HashSet::new();
        let mut last = None;
        for &[r, g, b, _] in pixels {
            if last != Some([r, g, b]) {
                last = Some([r, g, b]);
                own.insert([r, g, b]);
                if own.len() > most {
                    return Self::chosen(pixels, most);
                }
            }
        }
        let mut table: Vec<_> = own.into_iter().collect();
        table.sort_unstable();
        Ok(Self::from_table(table))
    }

    fn chosen(pixels: &[[u8; 4]], most: usize) -> Result<Self, Reject> {
        // A step that shares no factor with the width of most pictures, so that no columns are missed.
        let step = pixels.len().div_ceil(SAMPLE) | 1;
        let sample: Vec<u8> = pixels.iter().step_by(step).flatten().copied().collect();
        let mut options = Options::default();
        let most = i32::try_from(most).map_err(|_| REFUSED)?;
        options.set_max_colors(most).map_err(|_| REFUSED)?;
        let image = Image::new(&sample, sample.len() / 4, 1).map_err(|_| REFUSED)?;
        let result = QuantizeResult::quantize(&image, &options);
        let palette = result.get_palette();
        let entries = palette.entries.iter().take(palette.count as usize);
        Ok(Self::from_table(entries.map(|colour| [colour.r, colour.g, colour.b]).collect()))
    }

    fn from_table(table: Vec<[u8; 3]>) -> Self {
        Self { table, found: vec![None; CELLS] }
    }

    pub(super) fn table(&self) -> &[[u8; 3]] {
        &self.table
    }

    /// The index of the nearest colour.
    pub(super) fn nearest(&mut self, [r, g, b, _]: [u8; 4]) -> u8 {
        let colour = [r, g, b];
        let bits = u32::from_be_bytes([0, r, g, b]).wrapping_mul(0x9e37_79b1) >> 17;
        let cell = &mut self.found[bits as usize];
        if let Some((_, index)) = cell.filter(|(found, _)| *found == colour) {
            return index;
        }
        let distances = self.table.iter().map(|entry| distance(*entry, colour));
        let nearest = distances.enumerate().min_by_key(|&(_, distance)| distance);
        let index = nearest.and_then(|(index, _)| u8::try_from(index).ok()).unwrap_or_default();
        *cell = Some((colour, index));
        index
    }

    /// Whether these pixels look right in these colours: near on the whole, and none of them far off.
    pub(super) fn fit(&mut self, pixels: &[[u8; 4]]) -> bool {
        let mut sum = 0_u64;
        for &pixel in pixels {
            let nearest = usize::from(self.nearest(pixel));
            let Some(&nearest) = self.table.get(nearest) else { return false };
            let off = distance(nearest, [pixel[0], pixel[1], pixel[2]]);
            if off > levels(24) {
                return false;
            }
            sum += u64::from(off);
        }
        // At which libvips takes a palette for good enough as well.
        sum <= u64::from(levels(3)) * pixels.len() as u64
    }
}

/// The distance of colours so many levels apart in each primary.
fn levels(levels: u32) -> u32 {
    (2 + 4 + 1) * levels * levels
}

/// Squared, weighted by how bright the eye finds each primary: 2, 4 and 1.
fn distance([r, g, b]: [u8; 3], [r2, g2, b2]: [u8; 3]) -> u32 {
    let square = |a: u8, b: u8| u32::from(a.abs_diff(b)).pow(2);
    2 * square(r, r2) + 4 * square(g, g2) + square(b, b2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_colours_stay_what_they_are() {
        let pixels: Vec<[u8; 4]> = (0..=254).map(|level| [level, 255 - level, 7, 255]).collect();
        let mut colours = Colours::of(&pixels, 255).unwrap();
        assert_eq!(colours.table().len(), 255);
        for pixel in &pixels {
            let index = usize::from(colours.nearest(*pixel));
            assert_eq!(colours.table()[index], pixel[..3]);
        }
        assert!(colours.fit(&pixels));
        assert!(!colours.fit(&[&pixels[..], &[[255, 255, 255, 255]]].concat()), "one pixel is far off");
        assert!(Colours::of(&[], 255).unwrap().table().is_empty());
    }

    #[test]
    fn many_colours_become_near_ones() {
        let levels = || (0..=255_u8).step_by(5);
        let pixels: Vec<[u8; 4]> = levels()
            .flat_map(|r| levels().flat_map(move |g| levels().map(move |b| [r, g, b, 255])))
            .collect();
        let mut colours = Colours::of(&pixels, 255).unwrap();
        assert!((200..=255).contains(&colours.table().len()));
        // The cube cut into 255 equal ones has sides of 40 levels, 10 of them on average to the middle.
        let off = |pixel: &[u8; 4]| {
            let index = usize::from(colours.nearest(*pixel));
            colours.table[index].iter().zip(pixel).map(|(a, b)| u64::from(a.abs_diff(*b))).sum::<u64>()
        };
        let sum: u64 = pixels.iter().map(off).sum();
        assert!(sum < 3 * 15 * pixels.len() as u64, "{}", sum / (3 * pixels.len() as u64));
        assert!(!colours.fit(&pixels));
        let few = Colours::of(&pixels, 16).unwrap();
        assert!(few.table().len() <= 16);
    }
}

//! Making a picture smaller while its rows come in.

use crate::Reject;
use crate::limits::Budget;
use crate::raster::{Pixels, Raster};

/// So many pixels on a side remain for every one that is wanted: the mean of areas aliases a little, which
/// Lanczos at half size then removes.
const SPARE: u64 = 2;
/// Of more, the sums would not fit their numbers; and there is little left to gain.
const LARGEST: u32 = 16;

/// By how much a picture may be made smaller that is wanted so large. Only what divides both sides: then
/// every area is whole, and nothing shifts.
pub(super) fn factor((width, height): (u32, u32), wanted: (u32, u32)) -> u32 {
    let serves = |full: u32, wanted: u32, factor: u32| {
        full.is_multiple_of(factor) && u64::from(full / factor) >= SPARE * u64::from(wanted)
    };
    let serves = |factor: &u32| serves(width, wanted.0, *factor) && serves(height, wanted.1, *factor);
    (2..=LARGEST).rev().find(serves).unwrap_or(1)
}

/// Takes the mean of each area of `factor` times `factor` pixels.
pub(super) struct Shrink {
    factor: usize,
    channels: usize,
    /// The sums of the columns of one row of areas.
    sums: Vec<u16>,
    /// Rows in the sums.
    rows: usize,
    small: Raster,
    /// Samples that are done.
    done: usize,
}

impl Shrink {
    /// `factor` is from [`factor`]. Pixels must be opaque: the colours of invisible ones would bleed.
    pub(super) fn new(
        (width, height): (u32, u32), pixels: Pixels, factor: u32, budget: &Budget,
    ) -> Result<Self, Reject> {
        let (columns, rows) = (width / factor, height / factor);
        budget.afford(pixels.bytes(columns, rows) + 2 * pixels.bytes(width, 1))?;
        let small = Raster::blank(columns, rows, pixels, budget)?;
        let channels = pixels.channels();
        let sums = vec![0; width as usize * channels];
        Ok(Self { factor: factor as usize, channels, sums, rows: 0, small, done: 0 })
    }

    pub(super) fn row(&mut self, row: &[u8]) {
        for (sum, &sample) in self.sums.iter_mut().zip(row) {
            *sum += u16::from(sample);
        }
        self.rows += 1;
        if self.rows == self.factor {
            match (self.channels, self.factor) {
                (1, _) => self.means::<1, 0>(),
                (_, 2) => self.means::<3, 2>(),
                (_, 3) => self.means::<3, 3>(),
                (_, 4) => self.means::<3, 4>(),
                _ => self.means::<3, 0>(),
            }
            self.sums.fill(0);
            self.rows = 0;
        }
    }

    /// `FACTOR` is the factor if the compiler is to know it and unroll for it, or else 0.
    fn means<const N: usize, const FACTOR: usize>(&mut self) {
        let factor = if FACTOR == 0 { self.factor } else { FACTOR };
        let samples = u32::try_from(factor * factor).unwrap_or(1);
        // Division by at most 256 of at most 255.5 times as much: exact with 24 bits behind the point, and within
        // 32 bits.
        let reciprocal = (1_u32 << 24) / samples + 1;
        #[allow(clippy::cast_possible_truncation, reason = "a mean of samples is one")]
        let mean = |sum: u32| (((sum + samples / 2) * reciprocal) >> 24) as u8;
        let columns = self.sums.len() / (N * factor);
        let Some(target) = self.small.data.get_mut(self.done..self.done + columns * N) else { return };
        let areas = self.sums.as_chunks::<N>().0.chunks_exact(factor);
        for (area, pixel) in areas.zip(target.as_chunks_mut::<N>().0) {
            let mut sums = [0_u32; N];
            for column in area {
                for (sum, &part) in sums.iter_mut().zip(column) {
                    *sum += u32::from(part);
                }
            }
            *pixel = sums.map(mean);
        }
        self.done += columns * N;
    }

    pub(super) fn is_between_rows(&self) -> bool {
        self.rows == 0
    }

    /// `None` if rows are missing.
    pub(super) fn finish(self) -> Option<Raster> {
        (self.done == self.small.data.len()).then_some(self.small)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::cast_possible_truncation, reason = "the pictures are small")]

    use super::*;

    #[test]
    fn factors_leave_twice_what_is_wanted_and_divide_both_sides() {
        assert_eq!(factor((3840, 2160), (640, 360)), 3);
        assert_eq!(factor((3840, 2160), (320, 180)), 6);
        assert_eq!(factor((3840, 2160), (1280, 720)), 1);
        assert_eq!(factor((3841, 2160), (64, 36)), 1, "a prime side");
        assert_eq!(factor((32_000, 32_000), (1, 1)), 16);
    }

    #[test]
    fn every_sample_is_the_rounded_mean_of_its_area() {
        for (pixels, channels) in [(Pixels::Gray, 1), (Pixels::Rgb, 3)] {
            for factor in 2..=LARGEST {
                let side = factor as usize;
                let (width, height) = (3 * side, 2 * side);
                let sample = |x: usize, y: usize, channel: usize| {
                    // Blocks of extremes, and slopes.
                    if x < side { 255 } else { ((x * 37 + y * 91 + channel * 50) % 256) as u8 }
                };
                let size = (width as u32, height as u32);
                let mut shrink = Shrink::new(size, pixels, factor, &Budget::for_tests()).unwrap();
                for y in 0..height {
                    let row =
                        (0..width).flat_map(|x| (0..channels).map(move |channel| sample(x, y, channel)));
                    shrink.row(&row.collect::<Vec<u8>>());
                }
                let small = shrink.finish().unwrap();
                assert_eq!((small.width, small.height), (3, 2));
                for (at, &found) in small.data.iter().enumerate() {
                    let (x, y, channel) = (at / channels % 3, at / channels / 3, at % channels);
                    let area =
                        (0..side * side).map(|index| (x * side + index % side, y * side + index / side));
                    let sum: usize = area.map(|(x, y)| usize::from(sample(x, y, channel))).sum();
                    let mean = (sum + side * side / 2) / (side * side);
                    assert_eq!(usize::from(found), mean, "factor {factor}, sample {at}");
                }
            }
        }
    }

    #[test]
    fn a_missing_row_is_noticed() {
        let mut shrink = Shrink::new((4, 4), Pixels::Gray, 2, &Budget::for_tests()).unwrap();
        for _ in 0..3 {
            shrink.row(&[7; 4]);
        }
        assert!(shrink.finish().is_none());
    }
}

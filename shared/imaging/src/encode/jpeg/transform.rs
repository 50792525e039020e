//! From samples to quantised coefficients (T.81, A.3).
//!
//! As in the decoder (see `jpeg::idct`), what the transform leaves to be multiplied is in one number with the step
//! of quantisation, all columns are treated alike, and a block is transposed once.

use crate::Reject;
use crate::jpeg::TRANSPOSED;
use crate::limits::Budget;

/// The steps of luma and chroma in zigzag order, for a quality from 1 to 100: the tables of T.81, K.1, and
/// libjpeg's scale for them.
pub(super) fn tables(quality: u8) -> [[u16; 64]; 2] {
    let quality = u32::from(quality.clamp(1, 100));
    let percent = if quality < 50 { 5000 / quality } else { 200 - 2 * quality };
    [&LUMA, &CHROMA].map(|table| {
        let mut steps = [0; 64];
        for (step, &at) in steps.iter_mut().zip(&TRANSPOSED) {
            // The tables are written as one sees them.
            let seen = usize::from(at % 8) * 8 + usize::from(at / 8);
            *step = ((u32::from(table[seen]) * percent + 50) / 100).clamp(1, 255) as u16;
        }
        steps
    })
}

#[rustfmt::skip]
const LUMA: [u8; 64] = [
    16, 11, 10, 16,  24,  40,  51,  61,
    12, 12, 14, 19,  26,  58,  60,  55,
    14, 13, 16, 24,  40,  57,  69,  56,
    14, 17, 22, 29,  51,  87,  80,  62,
    18, 22, 37, 56,  68, 109, 103,  77,
    24, 35, 55, 64,  81, 104, 113,  92,
    49, 64, 78, 87, 103, 121, 120, 101,
    72, 92, 95, 98, 112, 100, 103,  99,
];

#[rustfmt::skip]
const CHROMA: [u8; 64] = [
    17, 18, 24, 47, 99, 99, 99, 99,
    18, 21, 26, 66, 99, 99, 99, 99,
    24, 26, 56, 99, 99, 99, 99, 99,
    47, 66, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99,
];

/// A component as it is.
pub(super) struct Samples<'a> {
    pub(super) data: &'a [u8],
    pub(super) size: (usize, usize),
    /// Its sampling factor, the same in both directions (A.1.1).
    pub(super) factor: usize,
}

/// Quantised coefficients in zigzag order.
#[derive(Clone)]
pub(super) struct Block {
    pub(super) values: [i16; 64],
    /// Which are not zero when their last 0, 1 or 2 bits are left out.
    pub(super) left: [u64; 3],
}

/// A component as it is coded.
pub(super) struct Component {
    /// Blocks of an MCU in each direction.
    pub(super) factor: usize,
    /// Blocks that the picture is in.
    pub(super) across: usize,
    pub(super) down: usize,
    /// Blocks of a row, with those that only fill up the last MCU.
    pub(super) columns: usize,
    pub(super) blocks: Vec<Block>,
}

impl Component {
    pub(super) fn new(
        samples: &Samples, steps: &[u16; 64], units: (usize, usize), budget: &Budget,
    ) -> Result<Self, Reject> {
        let (width, height) = samples.size;
        let factor = samples.factor;
        let (across, down) = (width.div_ceil(8), height.div_ceil(8));
        let (columns, rows) = (units.0 * factor, units.1 * factor);
        let factors = factors(steps);
        let mut blocks: Vec<Block> = budget.room(columns * rows)?;
        for y in 0..rows {
            for x in 0..columns {
                // What only fills up is a block of one level, that of the one before.
                if x >= across || y >= down {
                    let before = if x > 0 { blocks.last() } else { blocks.get(blocks.len() - columns) };
                    let first = before.map_or(0, |block| block.values[0]);
                    let mut values = [0; 64];
                    values[0] = first;
                    blocks.push(Block { values, left: [0; 3] });
                    continue;
                }
                blocks.push(Block::new(&rows_of(samples, x, y), &factors));
            }
        }
        Ok(Self { factor, across, down, columns, blocks })
    }
}

type Rows = [[f32; 8]; 8];

/// The samples of a block, shifted (A.3.1). Beyond the picture, they are like the last ones within it.
#[inline]
fn rows_of(samples: &Samples, x: usize, y: usize) -> Rows {
    const SHIFT: f32 = 128.0;
    let (width, height) = samples.size;
    let mut rows = [[0.0; 8]; 8];
    for (row, to) in rows.iter_mut().enumerate() {
        let from = &samples.data[(y * 8 + row).min(height - 1) * width..][..width][x * 8..];
        if let Some(from) = from.first_chunk::<8>() {
            *to = from.map(|sample| f32::from(sample) - SHIFT);
        } else {
            for (column, to) in to.iter_mut().enumerate() {
                *to = f32::from(from[column.min(from.len() - 1)]) - SHIFT;
            }
        }
    }
    rows
}

/// What to multiply transformed samples with to have them in steps, transposed.
fn factors(steps: &[u16; 64]) -> [f32; 64] {
    /// `cos(k * pi / 16) * sqrt(2)`, and 1 for 0: what [`eight`] leaves.
    const AAN: [f32; 8] =
        [1.0, 1.387_039_8, 1.306_563, 1.175_875_6, 1.0, 0.785_694_96, 0.541_196_1, 0.275_899_4];
    let mut factors = [0.0; 64];
    for (&step, &at) in steps.iter().zip(&TRANSPOSED) {
        let at = usize::from(at);
        factors[at] = 1.0 / (f32::from(step) * AAN[at / 8] * AAN[at % 8] * 8.0);
    }
    factors
}

impl Block {
    fn new(rows: &Rows, factors: &[f32; 64]) -> Self {
        let mut rows = *rows;
        eight(&mut rows);
        rows = std::array::from_fn(|row| std::array::from_fn(|lane| rows[lane][row]));
        eight(&mut rows);
        let mut quantised = [0; 64];
        for ((to, &from), &factor) in quantised.iter_mut().zip(rows.as_flattened()).zip(factors) {
            *to = rounded(from * factor);
        }
        let mut values = [0; 64];
        let mut left = [0; 3];
        for (at, (value, &from)) in values.iter_mut().zip(&TRANSPOSED).enumerate() {
            *value = quantised[usize::from(from & 63)];
            let size = value.unsigned_abs();
            for (bits, left) in left.iter_mut().enumerate() {
                *left |= u64::from(size >> bits != 0) << at;
            }
        }
        Self { values, left }
    }
}

/// To the nearest, halves to the even one. Written so that no step of it is special.
#[inline(always)]
fn rounded(value: f32) -> i16 {
    /// From half of this on, the distance between two numbers of 32 bits is 1.
    const WHOLE: f32 = 12_582_912.0;
    (value + WHOLE).to_bits() as i16
}

/// The transform of eight points, of all columns, by Arai, Agui and Nakajima (Trans. IEICE E71, 1988): five
/// multiplications, the others are in the [`factors`].
#[allow(clippy::needless_range_loop, reason = "a lane is a column of all rows")]
#[inline(always)]
fn eight(rows: &mut Rows) {
    const COS_4: f32 = std::f32::consts::FRAC_1_SQRT_2;
    const COS_6: f32 = 0.382_683_43; // cos(3 pi / 8)
    const DIFFERENCE: f32 = 0.541_196_1; // cos(pi / 8) - cos(3 pi / 8)
    const SUM: f32 = 1.306_563; // cos(pi / 8) + cos(3 pi / 8)
    for lane in 0..8 {
        let [r0, r1, r2, r3, r4, r5, r6, r7] = std::array::from_fn(|row| rows[row][lane]);
        let (sum_07, difference_07) = (r0 + r7, r0 - r7);
        let (sum_16, difference_16) = (r1 + r6, r1 - r6);
        let (sum_25, difference_25) = (r2 + r5, r2 - r5);
        let (sum_34, difference_34) = (r3 + r4, r3 - r4);

        let (outer, outer_mirror) = (sum_07 + sum_34, sum_07 - sum_34);
        let (inner, inner_mirror) = (sum_16 + sum_25, sum_16 - sum_25);
        rows[0][lane] = outer + inner;
        rows[4][lane] = outer - inner;
        let turned = (inner_mirror + outer_mirror) * COS_4;
        rows[2][lane] = outer_mirror + turned;
        rows[6][lane] = outer_mirror - turned;

        let (a, b, c) =
            (difference_34 + difference_25, difference_25 + difference_16, difference_16 + difference_07);
        let common = (a - c) * COS_6;
        let (low, high) = (a * DIFFERENCE + common, c * SUM + common);
        let middle = b * COS_4;
        let (sum, difference) = (difference_07 + middle, difference_07 - middle);
        rows[5][lane] = difference + low;
        rows[3][lane] = difference - low;
        rows[1][lane] = sum + high;
        rows[7][lane] = sum - high;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_what_the_formula_says() {
        let rows: Rows = std::array::from_fn(|y| {
            std::array::from_fn(|x| ((x * 37 + y * 59 + x * y * 7) % 256) as f32 - 128.0)
        });
        let block = Block::new(&rows, &factors(&[1; 64]));
        for (at, &transposed) in TRANSPOSED.iter().enumerate() {
            let (u, v) = (usize::from(transposed / 8), usize::from(transposed % 8));
            let norm = |frequency: usize| if frequency == 0 { std::f64::consts::FRAC_1_SQRT_2 } else { 1.0 };
            let wave = |place: usize, frequency: usize| {
                ((2 * place + 1) as f64 * frequency as f64 * std::f64::consts::PI / 16.0).cos()
            };
            let mut sum = 0.0;
            for (y, row) in rows.iter().enumerate() {
                for (x, &sample) in row.iter().enumerate() {
                    sum += f64::from(sample) * wave(x, u) * wave(y, v);
                }
            }
            let expected = sum * norm(u) * norm(v) / 4.0;
            assert!((f64::from(block.values[at]) - expected).abs() < 0.51, "{at}: {expected}");
            for bits in 0..3 {
                let left = block.values[at].abs() >> bits != 0;
                assert_eq!(block.left[bits] >> at & 1 == 1, left);
            }
        }
    }

    #[test]
    fn quality_scales_as_everywhere() {
        assert_eq!(tables(50)[0][..4], [16, 11, 12, 14]);
        assert_eq!(tables(80)[0][..4], [6, 4, 5, 6]);
        assert_eq!(tables(100), [[1; 64]; 2]);
        assert_eq!(tables(1)[1], [255; 64]);
    }
}

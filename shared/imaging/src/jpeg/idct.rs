//! From coefficients to samples (T.81, A.3.3), in full size and reduced.
//!
//! A block of 8 x 8 samples can be had as N x N for N in 1, 2, 4: the lowest N x N coefficients, by N/8, are
//! the coefficients of the picture reduced so, and go through the transform of N points. Nothing above
//! them is needed.
//!
//! Each first coefficient is multiplied by its step of quantisation and by what the transform leaves to
//! be multiplied, both in one number, when it is read. Coefficients are kept transposed: the first pass
//! then works on rows, and between it and the second, which works on columns, the block is transposed
//! once instead of twice. Both passes treat all rows or columns alike, eight numbers at a time, which
//! compilers turn into vector instructions of any processor.

use std::f32::consts::FRAC_1_SQRT_2;

/// How large a block of 8 x 8 becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scale {
    Eighth,
    Quarter,
    Half,
    Full,
}

impl Scale {
    pub(super) const ALL: [Self; 4] = [Self::Eighth, Self::Quarter, Self::Half, Self::Full];

    /// Samples of a block in each direction.
    pub(super) fn samples(self) -> u32 {
        u32::from(self.side())
    }

    /// The last coefficient, in zigzag order, that is needed.
    pub(super) const fn last(self) -> usize {
        match self {
            Self::Eighth => 0,
            Self::Quarter => 4,
            Self::Half => 24,
            Self::Full => 63,
        }
    }

    /// Where the coefficients that are needed stand among those that are, transposed; by the place in zigzag
    /// order, and of the others beyond all of them.
    pub(super) const fn slots(self) -> [u8; 64] {
        let side = self.side();
        let mut slots = [u8::MAX; 64];
        let mut at = 0;
        while at < 64 {
            let (row, column) = (TRANSPOSED[at] / 8, TRANSPOSED[at] % 8);
            if row < side && column < side {
                slots[at] = row * side + column;
            }
            at += 1;
        }
        slots
    }

    /// Those coefficients as bits, by their place in zigzag order.
    pub(super) const fn needs(self) -> u64 {
        let slots = self.slots();
        let (mut needs, mut at) = (0, 0);
        while at < 64 {
            if slots[at] != u8::MAX {
                needs |= 1 << at;
            }
            at += 1;
        }
        needs
    }

    const fn side(self) -> u8 {
        match self {
            Self::Eighth => 1,
            Self::Quarter => 2,
            Self::Half => 4,
            Self::Full => 8,
        }
    }
}

/// Where the coefficients of the zigzag order (T.81, figure A.6) stand in a transposed block.
pub(crate) const TRANSPOSED: [u8; 64] = [
    0, 8, 1, 2, 9, 16, 24, 17, 10, 3, 4, 11, 18, 25, 32, 40, 33, 26, 19, 12, 5, 6, 13, 20, 27, 34, 41, 48,
    56, 49, 42, 35, 28, 21, 14, 7, 15, 22, 29, 36, 43, 50, 57, 58, 51, 44, 37, 30, 23, 31, 38, 45, 52, 59,
    60, 53, 46, 39, 47, 54, 61, 62, 55, 63,
];

/// A transposed block of multiplied coefficients.
pub(super) type Block = [f32; 64];

/// What to multiply coefficients with, in zigzag order. `steps` is a quantisation table (T.81, B.2.4.1).
pub(super) fn multipliers(steps: &[u16; 64], scale: Scale) -> [f32; 64] {
    /// `cos(k * pi / 16) * sqrt(2)`, and 1 for 0: see [`eight`].
    const AAN: [f32; 8] =
        [1.0, 1.387_039_8, 1.306_563, 1.175_875_6, 1.0, 0.785_694_96, 0.541_196_1, 0.275_899_4];
    /// The norms of four points, that of 2 times `cos(pi / 4)`: see [`four`].
    const FOUR: [f32; 8] = [0.5, FRAC_1_SQRT_2, 0.5, FRAC_1_SQRT_2, 0.0, 0.0, 0.0, 0.0];

    let mut multipliers = [0.0; 64];
    for ((multiplier, &step), &at) in multipliers.iter_mut().zip(steps).zip(&TRANSPOSED) {
        let (u, v) = (usize::from(at / 8), usize::from(at % 8));
        let factor = match scale {
            Scale::Full => AAN[u] * AAN[v] / 8.0,
            Scale::Half => FOUR[u] * FOUR[v] / 2.0,
            Scale::Quarter | Scale::Eighth => 1.0 / 8.0,
        };
        *multiplier = f32::from(step) * factor;
    }
    multipliers
}

/// Samples are stored shifted (T.81, A.3.1).
const SHIFT: f32 = 128.0;

/// Rounded to the nearest, halves to the even one. Written so that no step of it is special.
#[inline(always)]
fn sample(value: f32) -> u8 {
    /// From here on, the distance between two numbers of 32 bits is 1.
    const WHOLE: f32 = 8_388_608.0;
    let shifted = value + SHIFT;
    let bounded = if shifted > 0.0 { shifted } else { 0.0 };
    let bounded = if bounded < 255.0 { bounded } else { 255.0 };
    (bounded + WHOLE).to_bits() as u8
}

#[inline(always)]
fn samples<const N: usize>(rows: &[Row<N>; N]) -> [[u8; N]; N] {
    let mut samples = [[0; N]; N];
    for (samples, row) in samples.iter_mut().zip(rows) {
        for (to, &from) in samples.iter_mut().zip(row) {
            *to = sample(from);
        }
    }
    samples
}

/// One sample for the whole block: where there is nothing but the first coefficient.
#[inline(always)]
pub(super) fn flat(first: f32) -> u8 {
    sample(first)
}

#[inline(always)]
pub(super) fn quarter(block: &Block) -> [[u8; 2]; 2] {
    let [a, b] = [block[0] + block[1], block[0] - block[1]];
    let [c, d] = [block[8] + block[9], block[8] - block[9]];
    [[sample(a + c), sample(a - c)], [sample(b + d), sample(b - d)]]
}

type Row<const N: usize> = [f32; N];

#[inline(always)]
fn transposed<const N: usize>(rows: [Row<N>; N]) -> [Row<N>; N] {
    std::array::from_fn(|row| std::array::from_fn(|lane| rows[lane][row]))
}

#[inline(always)]
pub(super) fn half(block: &Block) -> [[u8; 4]; 4] {
    let mut rows: [Row<4>; 4] = std::array::from_fn(|row| std::array::from_fn(|lane| block[row * 8 + lane]));
    four(&mut rows);
    rows = transposed(rows);
    four(&mut rows);
    samples(&rows)
}

/// The inverse transform of four points, of all columns.
#[allow(clippy::needless_range_loop, reason = "a lane is a column of all rows")]
#[inline(always)]
fn four(rows: &mut [Row<4>; 4]) {
    const COS_1: f32 = 0.923_879_5; // cos(pi / 8)
    const COS_3: f32 = 0.382_683_43; // cos(3 pi / 8)
    for lane in 0..4 {
        let [r0, r1, r2, r3] = std::array::from_fn(|row| rows[row][lane]);
        let (even, even_mirror) = (r0 + r2, r0 - r2);
        let (odd, odd_mirror) = (r1 * COS_1 + r3 * COS_3, r1 * COS_3 - r3 * COS_1);
        rows[0][lane] = even + odd;
        rows[1][lane] = even_mirror + odd_mirror;
        rows[2][lane] = even_mirror - odd_mirror;
        rows[3][lane] = even - odd;
    }
}

#[inline(always)]
pub(super) fn full(block: &Block) -> [[u8; 8]; 8] {
    let mut rows: [Row<8>; 8] = std::array::from_fn(|row| std::array::from_fn(|lane| block[row * 8 + lane]));
    eight(&mut rows);
    rows = transposed(rows);
    eight(&mut rows);
    samples(&rows)
}

/// The inverse transform of eight points, of all columns, by Arai, Agui and Nakajima (Trans. IEICE E71,
/// 1988): five multiplications, the others are in the [`multipliers`].
#[allow(clippy::needless_range_loop, reason = "a lane is a column of all rows")]
#[inline(always)]
fn eight(rows: &mut [Row<8>; 8]) {
    const SQRT_2: f32 = std::f32::consts::SQRT_2;
    const TWICE_COS_2: f32 = 1.847_759; // 2 cos(pi / 8)
    const DIFFERENCE: f32 = 1.082_392_2; // 2 (cos(pi / 8) - cos(3 pi / 8))
    const SUM: f32 = 2.613_126; // 2 (cos(pi / 8) + cos(3 pi / 8))
    for lane in 0..8 {
        let [r0, r1, r2, r3, r4, r5, r6, r7] = std::array::from_fn(|row| rows[row][lane]);
        let (sum_04, difference_04) = (r0 + r4, r0 - r4);
        let sum_26 = r2 + r6;
        let difference_26 = (r2 - r6) * SQRT_2 - sum_26;
        let (even_0, even_3) = (sum_04 + sum_26, sum_04 - sum_26);
        let (even_1, even_2) = (difference_04 + difference_26, difference_04 - difference_26);

        let (sum_53, difference_53) = (r5 + r3, r5 - r3);
        let (sum_17, difference_17) = (r1 + r7, r1 - r7);
        let common = (difference_53 + difference_17) * TWICE_COS_2;
        let odd_0 = sum_17 + sum_53;
        let odd_1 = common - difference_53 * SUM - odd_0;
        let odd_2 = (sum_17 - sum_53) * SQRT_2 - odd_1;
        let odd_3 = common - difference_17 * DIFFERENCE - odd_2;

        rows[0][lane] = even_0 + odd_0;
        rows[1][lane] = even_1 + odd_1;
        rows[2][lane] = even_2 + odd_2;
        rows[3][lane] = even_3 + odd_3;
        rows[4][lane] = even_3 - odd_3;
        rows[5][lane] = even_2 - odd_2;
        rows[6][lane] = even_1 - odd_1;
        rows[7][lane] = even_0 - odd_0;
    }
}

//! Ways past coefficients that are not needed: several symbols at a time.

use std::rc::Rc;

use super::huffman::{Table, extend};

/// More bits are fewer steps, but then what is looked up is no longer in the processor's nearest cache.
const SKIP_LOOKUP: u32 = 12;
/// The last symbol's value may go on for so many bits after them, as what it is does not matter.
const BEYOND: u32 = 6;
/// For so many skips, of 18 bits, there are bits after a refill.
pub(super) const STEPS: u32 = 3;

/// All symbols that are complete within the next [`SKIP_LOOKUP`] bits, taken together: how many bits they
/// have, how many coefficients they stand for, and the difference if they begin with one. In one number,
/// so that an addition keeps account of all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Skip(u32);

impl Skip {
    const COEFFICIENTS: u32 = 6;
    const VALUE: u32 = 16;
    /// The sign, which is the fastest to look at.
    const END_OF_BLOCK: u32 = 1 << 31;
    /// No symbol is complete: no bits, and more coefficients than any block has.
    const NONE: Self = Self(127 << Self::COEFFICIENTS);

    fn new(bits: u32, coefficients: u32, value: i32, ends_block: bool) -> Self {
        let end = if ends_block { Self::END_OF_BLOCK } else { 0 };
        let value = value.cast_unsigned() << Self::VALUE & !Self::END_OF_BLOCK;
        Self(bits | coefficients << Self::COEFFICIENTS | end | value)
    }

    /// This one, and if it can be, the other one after it.
    fn then(self, next: Self) -> Self {
        let coefficients = self.coefficients() + next.coefficients();
        if coefficients > 63 { self } else { Self(self.0 + next.0) }
    }

    #[inline(always)]
    pub(super) fn is_none(self) -> bool {
        self == Self::NONE
    }

    #[inline(always)]
    pub(super) fn bits(self) -> u32 {
        self.0 & 63
    }

    /// With the first one, if it begins with that.
    #[inline(always)]
    pub(super) fn coefficients(self) -> u32 {
        self.0 >> Self::COEFFICIENTS & 127
    }

    #[inline(always)]
    pub(super) fn ends_block(self) -> bool {
        self.0 & Self::END_OF_BLOCK != 0
    }

    /// The difference of the first coefficient, 0 if it is not there.
    #[inline(always)]
    pub(super) fn value(self) -> i32 {
        (self.0 << 1).cast_signed() >> (Self::VALUE + 1)
    }
}

/// What has been skipped of a block: the bits since the last refill, and the coefficients.
#[derive(Debug, Clone, Copy)]
pub(super) struct Skipped(u32);

impl Skipped {
    /// No bits. `coefficients` are those of a block and a run beyond it at most.
    #[inline(always)]
    pub(super) fn from(coefficients: usize) -> Self {
        Self((coefficients as u32) << Skip::COEFFICIENTS)
    }

    /// Of all skips since a refill, the bits must be below 64. After the end of a block, or a difference, only
    /// the bits mean anything.
    #[inline(always)]
    pub(super) fn and(self, skip: Skip) -> Self {
        Self(self.0.wrapping_add(skip.0))
    }

    #[inline(always)]
    pub(super) fn bits(self) -> u32 {
        self.0 & 63
    }

    /// Without those of a skip that ends the block.
    #[inline(always)]
    pub(super) fn coefficients(self) -> usize {
        ((self.0 & !Skip::END_OF_BLOCK) >> Skip::COEFFICIENTS) as usize
    }

    /// Whether all coefficients are there, the block has ended, or nothing could be skipped.
    #[inline(always)]
    pub(super) fn is_over(self) -> bool {
        self.0 >> (Skip::COEFFICIENTS + 6) != 0
    }
}

/// By the next [`SKIP_LOOKUP`] bits, what they begin with.
pub(super) type Lookup = [Skip; 1 << SKIP_LOOKUP];

/// Where `next`, which is what comes next in the highest bits, stands in a lookup.
#[inline(always)]
pub(super) fn place(next: u64) -> usize {
    (next >> (64 - SKIP_LOOKUP)) as usize
}

/// Ways past all coefficients of a block but the first.
pub(super) struct Skips {
    lookup: Rc<Lookup>,
    /// The same of fewer bits: these below a 1.
    fewer: Vec<Skip>,
}

impl Skips {
    pub(super) fn new(table: &Table) -> Self {
        // After a symbol, it goes on with what fewer bits begin with.
        let mut fewer = vec![Skip::default(); 1 << SKIP_LOOKUP];
        for bits in 1..SKIP_LOOKUP {
            for next in 0..1 << bits {
                fewer[below(next, bits)] = first(table, &fewer, next, bits);
            }
        }
        let lookup = lookup(|next| match first(table, &fewer, next, SKIP_LOOKUP) {
            skip if skip.bits() > 0 => skip,
            _ => Skip::NONE,
        });
        Self { lookup, fewer }
    }

    #[inline(always)]
    pub(super) fn lookup(&self) -> &Lookup {
        &self.lookup
    }

    /// For the beginning of a block: a whole difference, and what is complete after it.
    pub(super) fn leads(&self, dc: &Table) -> Rc<Lookup> {
        lookup(|next| {
            let entry = dc.entry(u64::from(next) << (64 - SKIP_LOOKUP));
            // There is a bit more here than the entry was made with.
            let rest = if entry.has_value() { 0 } else { entry.size() };
            let bits = entry.bits() + rest;
            if entry.is_unknown() || bits > SKIP_LOOKUP {
                return Skip::NONE;
            }
            let left = SKIP_LOOKUP - bits;
            let value =
                if rest == 0 { entry.value() } else { extend(next >> left & ((1 << rest) - 1), rest) };
            Skip::new(bits, 1, value, false).then(self.fewer[below(next, left)])
        })
    }
}

fn lookup(skip: impl Fn(u32) -> Skip) -> Rc<Lookup> {
    let skips: Rc<[Skip]> = (0..1 << SKIP_LOOKUP).map(skip).collect();
    skips.try_into().unwrap_or_else(|_| unreachable!("there are as many as were counted"))
}

/// What `next` begins with, which has so many `bits`. Of fewer bits, that must be known.
fn first(table: &Table, fewer: &[Skip], next: u32, bits: u32) -> Skip {
    let entry = table.entry(u64::from(next) << (64 - bits));
    let (code, read) = if entry.has_value() {
        let size = i32::BITS - entry.value().unsigned_abs().leading_zeros();
        (entry.bits() - size, entry.bits())
    } else {
        (entry.bits(), entry.bits() + entry.size())
    };
    if entry.is_unknown() || code > bits || read > bits + BEYOND {
        return Skip::default();
    }
    if entry.ends_block() {
        return Skip::new(read, 0, 0, true);
    }
    let skip = Skip::new(read, entry.run() as u32 + 1, 0, false);
    match bits.checked_sub(read) {
        Some(left) => skip.then(fewer[below(next, left)]),
        None => skip,
    }
}

/// Where so many of the last bits of `next` are known.
fn below(next: u32, bits: u32) -> usize {
    (1 << bits | next & ((1 << bits) - 1)) as usize
}

#[cfg(test)]
mod tests {
    use super::super::huffman::Class;
    use super::*;

    fn left(bits: u64, count: u32) -> u64 {
        bits << (64 - count)
    }

    #[test]
    fn skipping_takes_all_that_is_complete() {
        // Codes `0`, `10`, `110` and, of 12 bits, `1110_0000_0000`.
        let mut counts = [0; 16];
        counts[..3].fill(1);
        counts[11] = 1;
        let ac = Table::new(&counts, &[0x01, 0x00, 0x23, 0xf0], Class::Ac).unwrap();
        let mut counts = [0; 16];
        counts[1] = 2;
        let dc = Table::new(&counts, &[2, 12], Class::Dc).unwrap();
        let skips = Skips::new(&ac);
        let read = |skip: Skip| (skip.bits(), skip.coefficients(), skip.ends_block());
        let skip = |next| skips.lookup()[place(next)];
        // Two coefficients of one bit and the end of the block.
        assert_eq!(read(skip(left(0b00_01_10, 6))), (6, 2, true));
        assert_eq!(read(skip(left(0b000_1110_1011_1111, 15))), (10, 5, false));
        // Four coefficients of one bit and the code of one whose value goes on after what is looked up.
        assert_eq!(read(skip(left(0b110, 11))), (14, 7, false));
        assert_eq!(skip(left(0b1110_0000_0000, 12)), Skip::NONE, "a code of 12 bits");
        assert_eq!(skip(u64::MAX), Skip::NONE, "no code");
        // A difference of two bits, then the same.
        let leads = skips.leads(&dc);
        let lead = leads[place(left(0b00_01_00_01_10, 10))];
        assert_eq!((lead.value(), read(lead)), (-2, (10, 3, true)));
        let alone = leads[place(left(0b001_1111_1111_1111, 15))];
        assert_eq!((alone.value(), read(alone)), (3, (4, 1, false)));
        assert_eq!(leads[place(left(0b01, 2))], Skip::NONE, "a value of 12 bits");
        // 12 bits are one more than entries are made with.
        let long = Table::new(&counts, &[2, 10], Class::Dc).unwrap();
        let long = skips.leads(&long)[place(left(0b0110_0000_0000, 12))];
        assert_eq!((long.value(), read(long)), (512, (12, 1, false)));
    }
}

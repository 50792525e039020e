//! Huffman tables (T.81, annex C and F.2.2), made for looking up several things at once.

use crate::Reject;

const BROKEN: Reject = Reject::Undecodable("a Huffman table");

/// Most codes are shorter than this, and many together with the bits of their value.
pub(super) const LOOKUP: u32 = 11;

/// What the next [`LOOKUP`] bits begin with: a symbol (the run of zeros before a coefficient and the
/// number of bits that its value takes), with the value itself where its bits are among them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Entry(u32);

impl Entry {
    const VALUED: u32 = 1 << 15;
    const END_OF_BLOCK: u32 = 1 << 14;

    fn valued(bits: u32, run: u32, value: i16) -> Self {
        Self(bits | run << 8 | Self::VALUED | u32::from(value.cast_unsigned()) << 16)
    }

    fn symbol(bits: u32, symbol: u8) -> Self {
        Self(bits | u32::from(symbol >> 4) << 8 | u32::from(symbol & 15) << 16)
    }

    /// Whether the code is longer than the lookup, or none at all.
    #[inline]
    pub(super) fn is_unknown(self) -> bool {
        self.0 == 0
    }

    /// How many bits are read: the code's, and the value's where it is there.
    #[inline]
    pub(super) fn bits(self) -> u32 {
        self.0 & 31
    }

    #[inline]
    pub(super) fn run(self) -> usize {
        (self.0 >> 8 & 15) as usize
    }

    /// Whether the value is in the entry.
    #[inline]
    pub(super) fn has_value(self) -> bool {
        self.0 & Self::VALUED != 0
    }

    /// Whether the block ends here (T.81, F.1.2.2.1).
    #[inline]
    pub(super) fn ends_block(self) -> bool {
        self.0 & Self::END_OF_BLOCK != 0
    }

    #[inline]
    pub(super) fn value(self) -> i32 {
        self.0.cast_signed() >> 16
    }

    /// How many bits the value takes that is not in the entry.
    #[inline]
    pub(super) fn size(self) -> u32 {
        self.0 >> 16 & 15
    }
}

/// What a table is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Differences of the first coefficients: a symbol is the number of bits.
    Dc,
    /// The other coefficients: a symbol is a run and the number of bits.
    Ac,
}

/// One table.
#[derive(Debug, Clone)]
pub(super) struct Table {
    entries: Box<[Entry; 1 << LOOKUP]>,
    /// For codes longer than the lookup, by their length: the first 16 bits that are above all codes of
    /// this length (T.81, F.2.2.3), and what to add to a code to find its symbol.
    long: [(u32, i32); 17],
    symbols: Vec<u8>,
    class: Class,
}

impl Table {
    /// `counts` is the number of codes of each length from 1 to 16; `symbols` are in the order of codes.
    pub(super) fn new(counts: &[u8; 16], symbols: &[u8], class: Class) -> Result<Self, Reject> {
        if counts.iter().map(|&count| usize::from(count)).sum::<usize>() != symbols.len() {
            return Err(BROKEN);
        }
        if class == Class::Dc && symbols.iter().any(|&size| size > 15) {
            return Err(BROKEN);
        }
        let mut entries = vec![Entry::default(); 1 << LOOKUP];
        let mut long = [(0, 0); 17];
        // Codes of one length are consecutive numbers; the next length goes on from there (T.81, C.2).
        let (mut code, mut index) = (0_u32, 0_i32);
        for (length, &count) in (1_u32..).zip(counts) {
            let offset = index - code.cast_signed();
            for _ in 0..count {
                if code >= 1 << length {
                    return Err(BROKEN);
                }
                if length <= LOOKUP {
                    let free = LOOKUP - length;
                    let first = (code << free) as usize;
                    for (rest, entry) in (0..).zip(&mut entries[first..first + (1 << free)]) {
                        *entry = entry_for(symbols[index.unsigned_abs() as usize], length, rest, free, class);
                    }
                }
                code += 1;
                index += 1;
            }
            long[length as usize] = (code << (16 - length), offset);
            code <<= 1;
        }
        let entries: Box<[Entry; 1 << LOOKUP]> = entries.try_into().map_err(|_| BROKEN)?;
        Ok(Self { entries, long, symbols: symbols.to_vec(), class })
    }

    /// `next` is what comes next, in the highest bits.
    #[inline(always)]
    pub(super) fn entry(&self, next: u64) -> Entry {
        self.entries[(next >> (64 - LOOKUP)) as usize]
    }

    /// The symbol of a code that is longer than [`LOOKUP`]. `None` if there is no such code.
    #[cold]
    #[inline(never)]
    pub(super) fn long_entry(&self, next: u64) -> Option<Entry> {
        let next = (next >> 48) as u32;
        let length = (LOOKUP + 1..=16).find(|&length| next < self.long[length as usize].0)?;
        let (_, offset) = self.long[length as usize];
        let index = (next >> (16 - length)).cast_signed() + offset;
        let symbol = *self.symbols.get(usize::try_from(index).ok()?)?;
        // No bits are left for the value.
        Some(entry_for(symbol, length, 0, 0, self.class))
    }
}

/// The entry for a symbol whose code has `length` bits and is followed by `free` known bits, `rest`.
fn entry_for(symbol: u8, length: u32, rest: u32, free: u32, class: Class) -> Entry {
    let (run, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
    match (class, run, size) {
        (Class::Dc, _, 0) => Entry::valued(length, 0, 0),
        // Sixteen zeros (T.81, F.1.2.2.1): the last of them counts as the coefficient.
        (Class::Ac, 15, 0) => Entry::valued(length, 15, 0),
        // In progressive scans the run says how many blocks end (G.1.2.2). In others it has no meaning, and
        // one block ends, as it does in libjpeg.
        (Class::Ac, _, 0) => Entry(Entry::valued(length, run, 0).0 | Entry::END_OF_BLOCK),
        _ if size <= free => {
            let value = extend(rest >> (free - size), size);
            Entry::valued(length + size, run, i16::try_from(value).unwrap_or_default())
        }
        _ => Entry::symbol(length, symbol),
    }
}

/// Values of `size` bits whose highest bit is 0 are the negative ones (T.81, F.2.2.1). `size` is not 0.
#[inline(always)]
pub(super) fn extend(bits: u32, size: u32) -> i32 {
    let negative = (bits >> (size - 1)).cast_signed() - 1; // -1 or 0
    bits.cast_signed() + (negative & (1 - (1 << size)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(bits: u64, count: u32) -> u64 {
        bits << (64 - count)
    }

    /// Codes `0`, `10`, `110` and, of 12 bits, `1110_0000_0000`.
    fn table() -> Table {
        let mut counts = [0; 16];
        counts[..3].fill(1);
        counts[11] = 1;
        Table::new(&counts, &[0x01, 0x00, 0x23, 0xf0], Class::Ac).unwrap()
    }

    #[test]
    fn codes_come_with_their_values() {
        let table = table();
        let one = table.entry(left(0b01, 2));
        assert_eq!((one.bits(), one.run(), one.value()), (2, 0, 1));
        let minus_one = table.entry(left(0b00, 2));
        assert_eq!((minus_one.bits(), minus_one.value()), (2, -1));
        let end = table.entry(left(0b10, 2));
        assert!(end.ends_block() && end.bits() == 2);
        let long = table.entry(left(0b110_100, 6));
        assert_eq!((long.bits(), long.run(), long.value()), (6, 2, 4));
        let negative = table.entry(left(0b110_000, 6));
        assert_eq!(negative.value(), -7);
    }

    #[test]
    fn long_codes_are_found_and_codes_that_are_none_are_not() {
        let table = table();
        let next = left(0b1110_0000_0000, 12);
        assert!(table.entry(next).is_unknown());
        let zeros = table.long_entry(next).unwrap();
        assert_eq!((zeros.bits(), zeros.run(), zeros.value()), (12, 15, 0));
        assert_eq!(table.long_entry(u64::MAX), None);
        assert_eq!(table.long_entry(left(0b1110_0000_0001, 12)), None);
    }

    #[test]
    fn every_value_of_every_size_is_extended() {
        for size in 1..=15 {
            let half = 1 << (size - 1);
            let values: Vec<i32> = (0..1 << size).map(|bits| extend(bits, size)).collect();
            let expected: Vec<i32> = (1 - 2 * half..=-half).chain(half..2 * half).collect();
            assert_eq!(values, expected);
        }
    }

    #[test]
    fn impossible_tables_are_refused() {
        let mut counts = [0; 16];
        counts[0] = 3;
        assert!(Table::new(&counts, &[1, 2, 3], Class::Ac).is_err(), "three codes of one bit");
        counts[0] = 1;
        assert!(Table::new(&counts, &[], Class::Ac).is_err(), "a symbol is missing");
        assert!(Table::new(&counts, &[16], Class::Dc).is_err(), "a difference of 16 bits");
    }
}

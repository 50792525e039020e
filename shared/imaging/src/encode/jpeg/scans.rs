//! Progressive scans (T.81, annex G), in libjpeg's order: a blurred picture at once, then luma, then what is left of
//! both. Beside showing soon, that is smaller than all at once: most of the last bits are 0, and a run of blocks
//! that have no more coefficients is one symbol.
//!
//! Each scan is gone through twice: to count its symbols, and to write them with the codes that suit them best.

use crate::Reject;
use crate::limits::Budget;

use super::bits::{Bits, segment};
use super::huffman::{Counts, Table};
use super::transform::{Block, Component};

/// Of some components, those from `first` to `last` in zigzag order, the bits from `low` on; or only that bit, if
/// it `refines` what was there before (G.1.1.1).
struct Scan {
    components: &'static [usize],
    first: usize,
    last: usize,
    refines: bool,
    low: u8,
}

const fn scan(components: &'static [usize], (first, last): (usize, usize), refines: bool, low: u8) -> Scan {
    Scan { components, first, last, refines, low }
}

const GRAY: [Scan; 6] = [
    scan(&[0], (0, 0), false, 1),
    scan(&[0], (1, 5), false, 2),
    scan(&[0], (6, 63), false, 2),
    scan(&[0], (1, 63), true, 1),
    scan(&[0], (0, 0), true, 0),
    scan(&[0], (1, 63), true, 0),
];

const COLOURS: [Scan; 10] = [
    scan(&[0, 1, 2], (0, 0), false, 1),
    scan(&[0], (1, 5), false, 2),
    scan(&[2], (1, 63), false, 1),
    scan(&[1], (1, 63), false, 1),
    scan(&[0], (6, 63), false, 2),
    scan(&[0], (1, 63), true, 1),
    scan(&[0, 1, 2], (0, 0), true, 0),
    scan(&[2], (1, 63), true, 0),
    scan(&[1], (1, 63), true, 0),
    scan(&[0], (1, 63), true, 0),
];

/// Writes all scans of one component or three. `units` are the MCUs of the picture across and down.
pub(super) fn write(
    file: &mut Vec<u8>, components: &[Component], units: (usize, usize), budget: &Budget,
) -> Result<(), Reject> {
    let scans = if components.len() == 1 { &GRAY[..] } else { &COLOURS };
    for scan in scans {
        budget.still_time()?;
        let tables = scan.tables(components, units);
        for (destination, table) in (0_u8..).zip(&tables) {
            let class = if scan.first == 0 { 0 } else { 0x10 };
            segment(file, 0xc4, &[&[class | destination], &table.lengths, &table.symbols]);
        }
        let mut header = vec![scan.components.len() as u8];
        for &index in scan.components {
            let destination = scan.destination(index) as u8;
            header.extend([index as u8 + 1, if scan.first == 0 { destination << 4 } else { destination }]);
        }
        let high = if scan.refines { scan.low + 1 } else { 0 };
        header.extend([scan.first as u8, scan.last as u8, high << 4 | scan.low]);
        segment(file, 0xda, &[&header]);
        let mut writer = Writer { bits: Bits::new(file), tables };
        scan.code(components, units, &mut writer);
        writer.bits.finish();
    }
    Ok(())
}

/// Where symbols and bits go.
trait Sink {
    fn symbol(&mut self, destination: usize, symbol: u8);
    /// The last `count` of `bits`, which are at most 32; those above them are 0.
    fn bits(&mut self, bits: u32, count: u32);
}

struct Counter {
    counts: [Counts; 2],
}

impl Sink for Counter {
    #[inline]
    fn symbol(&mut self, destination: usize, symbol: u8) {
        self.counts[destination][usize::from(symbol)] += 1;
    }

    #[inline]
    fn bits(&mut self, _: u32, _: u32) {}
}

struct Writer<'a> {
    bits: Bits<'a>,
    tables: Vec<Table>,
}

impl Sink for Writer<'_> {
    #[inline]
    fn symbol(&mut self, destination: usize, symbol: u8) {
        let (code, length) = self.tables[destination].codes[usize::from(symbol)];
        self.bits.put(code.into(), length.into());
    }

    #[inline]
    fn bits(&mut self, bits: u32, count: u32) {
        self.bits.put(bits, count);
    }
}

impl Scan {
    /// The table that a component uses: of first coefficients, luma has one and chroma another.
    fn destination(&self, component: usize) -> usize {
        if self.first == 0 { component.min(1) } else { 0 }
    }

    fn tables(&self, components: &[Component], units: (usize, usize)) -> Vec<Table> {
        if self.first == 0 && self.refines {
            return Vec::new();
        }
        let mut counter = Counter { counts: [[0; 256]; 2] };
        self.code(components, units, &mut counter);
        let used = if self.components.len() > 1 { 2 } else { 1 };
        counter.counts[..used].iter().map(Table::new).collect()
    }

    fn code(&self, components: &[Component], units: (usize, usize), sink: &mut impl Sink) {
        if self.first == 0 {
            return self.first_coefficients(components, units, sink);
        }
        let [index] = *self.components else { return };
        let component = &components[index];
        let mut band = Band { scan: self, sink, ended: 0, corrections: Vec::new() };
        for row in component.blocks.chunks_exact(component.columns).take(component.down) {
            for block in &row[..component.across] {
                if self.refines { band.refine(block) } else { band.first(block) }
            }
        }
        band.end();
    }

    /// All components together, by MCU (A.2.3); one alone, by block.
    fn first_coefficients(&self, components: &[Component], units: (usize, usize), sink: &mut impl Sink) {
        let mut predicted = [0; 3];
        let alone = components.len() == 1;
        for y in 0..units.1 {
            for x in 0..units.0 {
                for &index in self.components {
                    let component = &components[index];
                    let factor = if alone { 1 } else { component.factor };
                    for y in y * factor..(y + 1) * factor {
                        for block in &component.blocks[y * component.columns..][x * factor..(x + 1) * factor]
                        {
                            let value = block.values[0] >> self.low;
                            if self.refines {
                                sink.bits(u32::from(value.cast_unsigned() & 1), 1);
                                continue;
                            }
                            let (bits, count) = size(value - predicted[index]);
                            predicted[index] = value;
                            sink.symbol(self.destination(index), count as u8);
                            sink.bits(bits, count);
                        }
                    }
                }
            }
        }
    }
}

/// The bits of a value, and how many these are (F.1.2.1): of negative ones, those of the value less 1.
#[inline]
fn size(value: i16) -> (u32, u32) {
    let count = 16 - value.unsigned_abs().leading_zeros();
    let bits = i32::from(value) - i32::from(value < 0);
    (bits.cast_unsigned() & ((1 << count) - 1), count)
}

/// The state of a scan of other than the first coefficients.
struct Band<'a, S> {
    scan: &'a Scan,
    sink: &'a mut S,
    /// In so many of the last blocks, there is nothing more to code.
    ended: u32,
    /// But these bits, with how many there are in each. They come after the symbol that says so.
    corrections: Vec<(u32, u32)>,
}

/// A run of blocks is at most so long (G.1.2.2).
const LONGEST: u32 = 0x7fff;
/// Sixteen zeros.
const ZEROS: u8 = 0xf0;

impl<S: Sink> Band<'_, S> {
    fn bits(&self) -> u64 {
        u64::MAX << self.scan.first & u64::MAX >> (63 - self.scan.last)
    }

    /// G.1.2.2.
    #[inline]
    fn first(&mut self, block: &Block) {
        let mut left = block.left[usize::from(self.scan.low)] & self.bits();
        let mut next = self.scan.first;
        if left != 0 {
            self.end();
        }
        while left != 0 {
            let at = left.trailing_zeros() as usize;
            left &= left - 1;
            let mut run = at - next;
            while run > 15 {
                self.sink.symbol(0, ZEROS);
                run -= 16;
            }
            let value = block.values[at];
            // The point transform rounds to 0 (G.1.2.1).
            let (bits, count) = size(value.signum() * (value.abs() >> self.scan.low));
            self.sink.symbol(0, (run as u8) << 4 | count as u8);
            self.sink.bits(bits, count);
            next = at + 1;
        }
        if next <= self.scan.last {
            self.end_block();
        }
    }

    /// G.1.2.3: runs count only what was 0 before and is so still, and the bits of what was not are put behind the
    /// symbol that passes over them.
    #[inline]
    fn refine(&mut self, block: &Block) {
        let low = usize::from(self.scan.low);
        let before = block.left[low + 1] & self.bits();
        let mut new = block.left[low] & self.bits() & !before;
        let mut rest = self.bits();
        while new != 0 {
            self.end();
            let one = new & new.wrapping_neg();
            new &= new - 1;
            let mut between = rest & (one - 1);
            while (between & !before).count_ones() > 15 {
                // Up to the sixteenth zero, and no further.
                let mut zeros = between & !before;
                for _ in 0..15 {
                    zeros &= zeros - 1;
                }
                let sixteenth = zeros & zeros.wrapping_neg();
                self.sink.symbol(0, ZEROS);
                self.correct(block, before & between & (sixteenth - 1));
                between &= !(sixteenth | (sixteenth - 1));
            }
            let run = (between & !before).count_ones();
            self.sink.symbol(0, (run as u8) << 4 | 1);
            self.sink.bits((block.values[one.trailing_zeros() as usize] > 0).into(), 1);
            self.correct(block, before & between);
            rest &= !(one | (one - 1));
        }
        if rest != 0 {
            let (bits, count) = corrections(block, before & rest, low);
            for (bits, count) in
                [((bits >> 32) as u32, count.saturating_sub(32)), (bits as u32, count.min(32))]
            {
                if count > 0 {
                    self.corrections.push((bits, count));
                }
            }
            self.end_block();
        }
    }

    fn correct(&mut self, block: &Block, which: u64) {
        let (bits, count) = corrections(block, which, self.scan.low.into());
        self.sink.bits((bits >> 32) as u32, count.saturating_sub(32));
        self.sink.bits(bits as u32, count.min(32));
    }

    #[inline]
    fn end_block(&mut self) {
        self.ended += 1;
        if self.ended == LONGEST {
            self.end();
        }
    }

    /// Says how many blocks have ended.
    #[inline]
    fn end(&mut self) {
        if self.ended == 0 {
            return;
        }
        let count = self.ended.ilog2();
        self.sink.symbol(0, (count as u8) << 4);
        self.sink.bits(self.ended & ((1 << count) - 1), count);
        self.ended = 0;
        for (bits, count) in self.corrections.drain(..) {
            self.sink.bits(bits, count);
        }
    }
}

/// A bit of each of these coefficients, and how many there are.
#[inline]
fn corrections(block: &Block, mut which: u64, low: usize) -> (u64, u32) {
    let count = which.count_ones();
    let mut bits = 0;
    while which != 0 {
        let value = block.values[which.trailing_zeros() as usize];
        which &= which - 1;
        bits = bits << 1 | u64::from(value.unsigned_abs() >> low & 1);
    }
    (bits, count)
}

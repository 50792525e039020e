//! Bits of entropy-coded segments (T.81, B.1.1.5 and F.2.2.5).

use memchr::memchr;

use super::huffman::{Table, extend};
use crate::Reject;

/// So many bytes are made ready at a time: few enough to stay in the processor's cache.
const WINDOW: usize = 32 << 10;
/// What one MCU takes at most: 10 blocks (T.81, B.2.3) of 64 coefficients, each a code of 16 bits and a
/// value of 15; and what is read ahead.
const MCU: usize = 10 * 64 * 31 / 8 + 2 * AHEAD;
/// How far a refill reads.
const AHEAD: usize = 8;

/// Reads the bits of a scan, one segment between restart markers after the other.
///
/// A window of the segment is freed of stuffed zeros before it is read, so that a refill is one load of
/// eight bytes whatever they are. What follows a segment reads as coded 1 bits, which no code consists
/// of (T.81, C), so that a segment which ends early is noticed at once.
pub(super) struct Bits<'a> {
    window: Vec<u8>,
    /// Bytes in the window.
    end: usize,
    /// The byte after those that are in `held`.
    at: usize,
    /// The next bits, the very next one highest. Below the `count` bits that count, there may be more,
    /// and these are right.
    held: u64,
    count: u32,
    /// What is not in the window yet, with stuffing.
    rest: &'a [u8],
    /// Whether the segment ends in the window.
    complete: bool,
}

impl<'a> Bits<'a> {
    /// `scan` is all entropy-coded data of a scan.
    pub(super) fn new(scan: &'a [u8]) -> Self {
        let mut bits = Self {
            window: vec![0; WINDOW + AHEAD],
            end: 0,
            at: 0,
            held: 0,
            count: 0,
            rest: scan,
            complete: false,
        };
        bits.fill();
        bits
    }

    /// Makes sure that the next MCU is in the window, if it is in the segment.
    #[inline(always)]
    pub(super) fn before_mcu(&mut self) {
        if !self.complete && self.end - self.at.min(self.end) < MCU {
            self.fill();
        }
    }

    #[cold]
    #[inline(never)]
    fn fill(&mut self) {
        let at = self.at.min(self.end);
        self.window.copy_within(at..self.end, 0);
        (self.at, self.end) = (0, self.end - at);
        while self.end < WINDOW {
            let near = self.rest.get(..WINDOW - self.end).unwrap_or(self.rest);
            let plain = memchr(0xff, near).unwrap_or(near.len());
            self.window[self.end..self.end + plain].copy_from_slice(&near[..plain]);
            self.end += plain;
            self.rest = &self.rest[plain..];
            match *self.rest {
                [0xff, 0x00, ..] if self.end < WINDOW => {
                    self.window[self.end] = 0xff;
                    self.end += 1;
                    self.rest = &self.rest[2..];
                }
                // Fill bytes before a marker.
                [0xff, 0xff, ..] => self.rest = &self.rest[1..],
                // The window is full.
                [0xff, 0x00, ..] => {}
                [first, ..] if first != 0xff => {}
                // A marker, or the end.
                _ => {
                    self.complete = true;
                    break;
                }
            }
        }
        self.window[self.end..self.end + AHEAD].fill(0xff);
    }

    /// Whether more was read than there is. (That some is left is not remarkable: encoders pad.)
    pub(super) fn is_exhausted(&self) -> bool {
        self.at * 8 > self.end * 8 + self.count as usize
    }

    /// Goes on after the restart marker of this number, modulo 8 (T.81, F.1.1.5.2 and E.2.4).
    pub(super) fn restart(&mut self, number: u8) -> Result<(), Reject> {
        if self.is_exhausted() {
            return Err(Reject::Truncated);
        }
        while !self.complete {
            self.at = self.end;
            self.fill();
        }
        let expected = 0xd0 | (number & 7);
        let Some(([0xff, marker], rest)) = self.rest.split_first_chunk() else {
            return Err(Reject::Truncated);
        };
        if *marker != expected {
            return Err(Reject::Undecodable("its restart markers are out of order"));
        }
        self.rest = rest;
        (self.end, self.at, self.held, self.count, self.complete) = (0, 0, 0, 0, false);
        self.fill();
        Ok(())
    }

    /// Afterwards, 56 bits are there at least: a code and its value are 31 at most.
    #[inline(always)]
    pub(super) fn refill(&mut self) {
        let next = self.window.get(self.at..).and_then(<[u8]>::first_chunk);
        let next = next.map_or(u64::MAX, |bytes| u64::from_be_bytes(*bytes));
        self.held |= next >> self.count;
        let bytes = (63 - self.count) / 8;
        self.at += bytes as usize;
        self.count += bytes * 8;
    }

    /// Only refills when there may be too few bits for a code and its value.
    #[inline(always)]
    fn ready(&mut self) {
        if self.count < 32 {
            self.refill();
        }
    }

    #[inline(always)]
    fn take(&mut self, bits: u32) {
        self.held <<= bits;
        self.count -= bits;
    }

    /// The difference of a first coefficient to the one before (T.81, F.2.2.1). `None` if it is no code.
    #[inline(always)]
    pub(super) fn difference(&mut self, table: &Table) -> Option<i32> {
        self.ready();
        self.coefficient(table).map(|(_, value, _)| value)
    }

    /// The run of zeros before the next coefficient, its value, and whether the block ends instead.
    /// The bits must be there.
    #[inline(always)]
    fn coefficient(&mut self, table: &Table) -> Option<(usize, i32, bool)> {
        let mut entry = table.entry(self.held);
        if entry.is_unknown() {
            entry = table.long_entry(self.held)?;
        }
        self.take(entry.bits());
        if entry.has_value() {
            return Some((entry.run(), entry.value(), entry.ends_block()));
        }
        let size = entry.size();
        let value = extend((self.held >> (64 - size)) as u32, size);
        self.take(size);
        Some((entry.run(), value, false))
    }

    /// Reads a block's coefficients up to the one at `last` in zigzag order, each given to `found` with
    /// its place, and passes over those after it (T.81, F.2.2.2). Returns whether there were any up to
    /// `last`, `None` if the data makes no sense.
    #[inline(always)]
    pub(super) fn coefficients(
        &mut self, table: &Table, last: usize, mut found: impl FnMut(usize, i32),
    ) -> Option<bool> {
        let mut at = 1;
        while at <= last {
            self.ready();
            let (run, value, end) = self.coefficient(table)?;
            if end {
                return Some(at > 1);
            }
            at += run;
            if at > 63 {
                return None;
            }
            if at <= last {
                found(at, value);
            }
            at += 1;
        }
        self.skip(table, at)?;
        Some(true)
    }

    /// Passes over the coefficients of a block from the one at `at` on.
    #[inline(always)]
    pub(super) fn skip(&mut self, table: &Table, mut at: usize) -> Option<()> {
        while at < 64 {
            self.ready();
            let skip = table.skip(self.held);
            // An end of block after the last coefficient would be the next block's code.
            let next = at + skip.coefficients();
            if skip.bits() > 0 && (next < 64 || (next == 64 && !skip.ends_block())) {
                self.take(skip.bits());
                if skip.ends_block() {
                    return Some(());
                }
                at = next;
                continue;
            }
            let (run, _, end) = self.coefficient(table)?;
            if end {
                return Some(());
            }
            at += run + 1;
        }
        (at == 64).then_some(())
    }
}

//! Bits of entropy-coded segments (T.81, B.1.1.5 and F.2.2.5).

use memchr::memchr;

use super::huffman::{Table, extend};
use super::skips::{Lookup, STEPS, Skipped, place};
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
    place: Place,
    /// What is not in the window yet, with stuffing.
    rest: &'a [u8],
    /// Whether the segment ends in the window.
    complete: bool,
}

/// Where reading goes on in a window.
#[derive(Clone, Copy, Default)]
struct Place {
    /// The byte after those that are in `held`.
    at: usize,
    /// The next bits, the very next one highest. Below the `count` bits that count, there may be more,
    /// and these are right.
    held: u64,
    count: u32,
}

/// Reads one MCU, or more. It is a value of its own so that what it is made of stays in registers.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    window: &'a [u8],
    place: Place,
    /// From here on, an MCU may not be there as a whole.
    low: usize,
}

impl<'a> Bits<'a> {
    /// `scan` is all entropy-coded data of a scan.
    pub(super) fn new(scan: &'a [u8]) -> Self {
        let mut bits = Self {
            window: vec![0; WINDOW + AHEAD],
            end: 0,
            place: Place::default(),
            rest: scan,
            complete: false,
        };
        bits.fill();
        bits
    }

    /// Lets `read` read the next MCU, which it can if it is in the segment; and what is after it, until
    /// the reader [is low](Reader::is_low).
    #[inline(always)]
    pub(super) fn mcu<T>(&mut self, read: impl FnOnce(&mut Reader) -> T) -> T {
        if !self.complete && self.end - self.place.at.min(self.end) < MCU {
            self.fill();
        }
        let low = if self.complete { usize::MAX } else { self.end.saturating_sub(MCU) };
        let mut reader = Reader { window: &self.window, place: self.place, low };
        let outcome = read(&mut reader);
        self.place = reader.place;
        outcome
    }

    #[cold]
    #[inline(never)]
    fn fill(&mut self) {
        let at = self.place.at.min(self.end);
        self.window.copy_within(at..self.end, 0);
        (self.place.at, self.end) = (0, self.end - at);
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
        self.place.at * 8 > self.end * 8 + self.place.count as usize
    }

    /// Goes on after the restart marker of this number, modulo 8 (T.81, F.1.1.5.2 and E.2.4).
    pub(super) fn restart(&mut self, number: u8) -> Result<(), Reject> {
        if self.is_exhausted() {
            return Err(Reject::Truncated);
        }
        while !self.complete {
            self.place.at = self.end;
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
        (self.end, self.place, self.complete) = (0, Place::default(), false);
        self.fill();
        Ok(())
    }
}

/// Counts MCUs up to the next restart marker (T.81, B.2.4.4).
pub(super) struct Intervals {
    every: usize,
    pub(super) left: usize,
    over: u8,
}

impl Intervals {
    pub(super) fn new(interval: u16) -> Self {
        // There are never so many in a picture.
        let every = if interval == 0 { usize::MAX } else { usize::from(interval) };
        Self { every, left: every, over: 0 }
    }

    /// Whether a restart marker was passed.
    #[inline(always)]
    pub(super) fn are_over(&mut self, bits: &mut Bits) -> Result<bool, Reject> {
        if self.left > 0 {
            return Ok(false);
        }
        bits.restart(self.over)?;
        (self.left, self.over) = (self.every, self.over.wrapping_add(1));
        Ok(true)
    }
}

impl Reader<'_> {
    /// Whether less than an MCU may be there, although the segment has more.
    #[inline(always)]
    pub(super) fn is_low(&self) -> bool {
        self.place.at > self.low
    }

    /// Afterwards, 56 bits are there at least: a code and its value are 31 at most.
    #[inline(always)]
    pub(super) fn refill(&mut self) {
        let Place { at, held, count } = &mut self.place;
        let next = self.window.get(*at..).and_then(<[u8]>::first_chunk);
        let next = next.map_or(u64::MAX, |bytes| u64::from_be_bytes(*bytes));
        *held |= next >> *count;
        *at += ((63 - *count) / 8) as usize;
        *count |= 0b11_1000;
    }

    /// Passes over bits that must be [settled](Self::settle) before others are read.
    #[inline(always)]
    pub(super) fn pass_over(&mut self, bits: u32) {
        self.place.held <<= bits;
    }

    /// So many bits were passed over.
    #[inline(always)]
    pub(super) fn settle(&mut self, bits: u32) {
        self.place.count -= bits;
    }

    /// Only refills when there may be too few bits for a code and its value.
    #[inline(always)]
    pub(super) fn ready(&mut self) {
        if self.place.count < 32 {
            self.refill();
        }
    }

    #[inline(always)]
    pub(super) fn take(&mut self, bits: u32) {
        self.place.held <<= bits;
        self.place.count -= bits;
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
    pub(super) fn coefficient(&mut self, table: &Table) -> Option<(usize, i32, bool)> {
        let mut entry = table.entry(self.place.held);
        if entry.is_unknown() {
            entry = table.long_entry(self.place.held)?;
        }
        self.take(entry.bits());
        if entry.has_value() {
            return Some((entry.run(), entry.value(), entry.ends_block()));
        }
        let size = entry.size();
        let value = extend((self.place.held >> (64 - size)) as u32, size);
        self.take(size);
        Some((entry.run(), value, false))
    }

    /// At most 32 bits, which must be there.
    #[inline(always)]
    pub(super) fn number(&mut self, bits: u32) -> u32 {
        // In two steps, as no bits at all are possible.
        let number = (self.place.held >> 1 >> (63 - bits)) as u32;
        self.take(bits);
        number
    }

    /// The next bits, of which 56 are there after a refill, the very next one highest.
    #[inline(always)]
    pub(super) fn next(&self) -> u64 {
        self.place.held
    }

    /// Passes over at most 64 bits.
    #[inline(always)]
    pub(super) fn pass(&mut self, bits: u32) {
        const MOST: u32 = 56;
        self.refill();
        self.take(bits.min(MOST));
        if bits > MOST {
            self.refill();
            self.take(bits - MOST);
        }
    }

    /// Reads a block's coefficients up to the one at `last` in zigzag order, each given to `found` with
    /// its place, and passes over those after it (T.81, F.2.2.2). Returns whether there were any up to
    /// `last`, `None` if the data makes no sense.
    #[inline(always)]
    pub(super) fn coefficients(
        &mut self, table: &Table, skips: Option<&Lookup>, last: usize, mut found: impl FnMut(usize, i32),
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
        match skips {
            Some(skips) => self.skip(table, skips, at)?,
            None if at < 64 => return None,
            None => {}
        }
        Some(true)
    }

    /// Passes over the coefficients of a block from the one at `at` on.
    #[inline(always)]
    fn skip(&mut self, table: &Table, skips: &Lookup, at: usize) -> Option<()> {
        self.refill();
        let mut skipped = Skipped::from(at);
        while skipped.coefficients() < 64 {
            for _ in 0..STEPS {
                let skip = skips[place(self.place.held)];
                let next = skipped.and(skip);
                if !next.is_over() {
                    self.place.held <<= skip.bits();
                    skipped = next;
                    continue;
                }
                self.place.count -= skipped.bits();
                if skip.ends_block() && next.coefficients() < 64 {
                    self.take(skip.bits());
                    return Some(());
                }
                // Nothing could be skipped, or the last coefficient is within the skip: an end of the
                // block after it would be the next block's code.
                skipped = Skipped::from(self.symbol(table, skipped.coefficients())?);
                break;
            }
            self.place.count -= skipped.bits();
            self.refill();
            skipped = Skipped::from(skipped.coefficients());
        }
        (skipped.coefficients() == 64).then(|| self.place.count -= skipped.bits())
    }

    /// Passes over one symbol. Returns where the block goes on, 64 if it does not.
    #[inline(always)]
    pub(super) fn symbol(&mut self, table: &Table, at: usize) -> Option<usize> {
        self.ready();
        let (run, _, end) = self.coefficient(table)?;
        if end { Some(64) } else { Some(at + run + 1) }
    }
}

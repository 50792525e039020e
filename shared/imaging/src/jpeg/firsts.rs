//! Sequential scans of blocks that become one sample each: of these, only the first coefficients are needed.
//!
//! Such a scan costs little more than finding where its blocks end, and no processor foresees that. So it is
//! read in steps that are the same wherever they are: each looks up what comes next, passes over the symbols
//! that are complete, and chooses the next lookup, of the same block or of the next one, without a branch.

use std::hint::select_unpredictable;
use std::ops::Range;
use std::rc::Rc;

use super::bits::{Bits, Intervals, Reader};
use super::huffman::Table;
use super::idct;
use super::scan::{Coding, NONSENSE};
use super::skips::{Lookup, STEPS, Skipped, Skips, place};
use crate::Reject;
use crate::limits::Budget;

/// So many blocks are read at a time, at most.
const BATCH: usize = 128;

/// What a scan has of one component.
struct Part<'a, 'b> {
    coding: &'a mut Coding<'b>,
    /// Its blocks among those of an MCU.
    blocks: Range<usize>,
    across: usize,
    down: usize,
}

/// How a block is read.
struct Way<'a> {
    dc: &'a Table,
    ac: &'a Table,
    leads: &'a Lookup,
    skips: &'a Lookup,
    multiplier: f32,
}

/// Where a lookup leads to: on in the block, or to the next one.
#[derive(Clone, Copy)]
struct Turn<'a> {
    on: &'a Lookup,
    next: &'a Lookup,
}

/// Decodes a scan. `units` are its MCUs across and down.
pub(super) fn decode(
    data: &[u8], codings: &mut [Coding], units: (usize, usize), restart_interval: u16, budget: &Budget,
) -> Result<(), Reject> {
    let lookups = lookups(codings).ok_or(NONSENSE)?;
    let mut ways = Vec::new();
    let mut parts = Vec::new();
    let interleaved = codings.len() > 1;
    for (coding, (leads, skips)) in codings.iter_mut().zip(&lookups) {
        // With a single component, an MCU is one block (A.2.2).
        let (across, down) =
            if interleaved { (coding.component.across, coding.component.down) } else { (1, 1) };
        let blocks = ways.len()..ways.len() + across * down;
        let (dc, ac, multiplier) = (coding.dc, coding.ac, coding.multipliers[0]);
        ways.extend(blocks.clone().map(|_| Way { dc, ac, leads, skips: skips.lookup(), multiplier }));
        parts.push(Part { coding, blocks, across, down });
    }
    // Of one component at least (B.2.3).
    let each = ways.len();
    let turns = std::array::from_fn(|at| {
        let (way, next) = (&ways[at % each], &ways[(at + 1) % each]);
        Turn { on: way.skips, next: next.leads }
    });
    let multipliers: [f32; BATCH] = std::array::from_fn(|at| ways[at % each].multiplier);

    let mut bits = Bits::new(data);
    let mut intervals = Intervals::new(restart_interval);
    let (mut sums, mut coefficients, mut samples) = ([0; BATCH], [0; BATCH], [0; BATCH]);
    for y in 0..units.1 {
        budget.still_time()?;
        let mut x = 0;
        while x < units.0 {
            if intervals.are_over(&mut bits)? {
                for part in &mut parts {
                    part.coding.predicted = 0;
                }
            }
            let count = (BATCH / each).min(intervals.left).min(units.0 - x);
            let sums = &mut sums[..count * each];
            add_up(&mut bits, &ways, &turns, sums).ok_or(NONSENSE)?;
            for part in &mut parts {
                part.predict(each, sums, &mut coefficients);
            }
            for ((sample, &value), multiplier) in samples.iter_mut().zip(&coefficients).zip(&multipliers) {
                *sample = idct::flat(value as f32 * multiplier);
            }
            for part in &mut parts {
                part.put(&samples[..count * each], each, x, y).ok_or(NONSENSE)?;
            }
            (x, intervals.left) = (x + count, intervals.left - count);
        }
        if bits.is_exhausted() {
            return Err(Reject::Truncated);
        }
    }
    Ok(())
}

/// What to look up of each component. Those of chroma mostly share it.
fn lookups(codings: &[Coding]) -> Option<Vec<(Rc<Lookup>, Rc<Skips>)>> {
    let mut lookups: Vec<(Rc<Lookup>, Rc<Skips>)> = Vec::new();
    for coding in codings {
        let same = |other: &Coding| std::ptr::eq(coding.dc, other.dc) && std::ptr::eq(coding.ac, other.ac);
        let shared = codings.iter().zip(&lookups).find(|(other, _)| same(other));
        lookups.push(if let Some((_, lookup)) = shared {
            lookup.clone()
        } else {
            let skips = coding.skips.as_ref()?;
            (skips.leads(coding.dc), Rc::clone(skips))
        });
    }
    Some(lookups)
}

/// Reads as many blocks as there are `sums`: of all differences so far, whatever their component is. Not
/// inlined, so that it has all registers for itself.
#[inline(never)]
fn add_up(bits: &mut Bits, ways: &[Way], turns: &[Turn; BATCH], sums: &mut [i32]) -> Option<()> {
    let mut block = 0;
    let mut sum = 0_i32;
    // Of the block, with the first one.
    let mut coefficients = 0;
    let mut lookup = ways.first()?.leads;
    while block < sums.len() {
        bits.mcu(|reader| {
            while block < sums.len() && !reader.is_low() {
                reader.refill();
                let mut passed = Skipped::from(0);
                for _ in 0..STEPS {
                    let Some(to) = sums.get_mut(block) else { break };
                    // Read before it is known which is taken, which leaves only that to wait for.
                    let Turn { on, next } = turns[block % BATCH];
                    let skip = lookup[place(reader.next())];
                    let with = coefficients + skip.coefficients();
                    if with > 63 {
                        reader.settle(passed.bits());
                        passed = Skipped::from(0);
                        // Of a copy, as what a call changes is not kept in registers.
                        let mut copy = *reader;
                        let (difference, at) =
                            plainly(&mut copy, &ways[block % ways.len()], coefficients, skip.is_none())?;
                        *reader = copy;
                        sum = sum.wrapping_add(difference);
                        *to = sum;
                        let ended = at == 64;
                        (lookup, coefficients) = if ended { (next, 0) } else { (on, at) };
                        block += usize::from(ended);
                        break;
                    }
                    reader.pass_over(skip.bits());
                    passed = passed.and(skip);
                    sum = sum.wrapping_add(skip.value());
                    *to = sum;
                    lookup = select_unpredictable(skip.ends_block(), next, on);
                    coefficients = select_unpredictable(skip.ends_block(), 0, with);
                    block += usize::from(skip.ends_block());
                }
                reader.settle(passed.bits());
            }
            Some(())
        })?;
    }
    Some(())
}

/// Passes over one symbol, or unless it is `one` that could not be looked up, over all up to the end of the
/// block, which is near. Returns the difference, if that is among them, and how many coefficients there are.
#[cold]
#[inline(never)]
fn plainly(reader: &mut Reader, way: &Way, coefficients: u32, one: bool) -> Option<(i32, u32)> {
    if coefficients == 0 {
        return Some((reader.difference(way.dc)?, 1));
    }
    let mut at = coefficients as usize;
    while at < 64 {
        at = reader.symbol(way.ac, at)?;
        if one {
            break;
        }
    }
    (at <= 64).then_some((0, at as u32))
}

impl Part<'_, '_> {
    /// Makes its coefficients of the sums of all differences, those of `each` block of an MCU (T.81, F.1.1.5.1).
    fn predict(&mut self, each: usize, sums: &[i32], coefficients: &mut [i32]) {
        let mut predicted = self.coding.predicted;
        let mut end = 0;
        for (sums, coefficients) in sums.chunks_exact(each).zip(coefficients.chunks_exact_mut(each)) {
            let before = self.blocks.start.checked_sub(1).map_or(end, |last| sums[last]);
            end = sums[each - 1];
            // All but this component's own differences.
            let others = before.wrapping_sub(predicted);
            for (&sum, coefficient) in
                sums[self.blocks.clone()].iter().zip(&mut coefficients[self.blocks.clone()])
            {
                predicted = sum.wrapping_sub(others);
                *coefficient = predicted;
            }
        }
        self.coding.predicted = predicted;
    }

    /// Puts its samples, among those of MCUs from `x` on, where they belong.
    fn put(&mut self, samples: &[u8], each: usize, x: usize, y: usize) -> Option<()> {
        match self.across {
            1 => self.put_rows::<1>(samples, each, x, y),
            2 => self.put_rows::<2>(samples, each, x, y),
            3 => self.put_rows::<3>(samples, each, x, y),
            _ => self.put_rows::<4>(samples, each, x, y),
        }
    }

    fn put_rows<const ACROSS: usize>(
        &mut self, samples: &[u8], each: usize, x: usize, y: usize,
    ) -> Option<()> {
        let component = &mut *self.coding.component;
        for row in 0..self.down {
            let start = (y * self.down + row) * component.stride + x * ACROSS;
            let places = component.samples.get_mut(start..)?.as_chunks_mut::<ACROSS>().0;
            let first = self.blocks.start + row * ACROSS;
            for (place, unit) in places.iter_mut().zip(samples.chunks_exact(each)) {
                *place = *unit.get(first..)?.first_chunk()?;
            }
        }
        Some(())
    }
}

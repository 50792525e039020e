//! Sequential scans (T.81, A.2 and F.2): from bits to the samples of each component.

use std::rc::Rc;

use super::bits::{Bits, Intervals, Reader};
use super::firsts;
use super::huffman::Table;
use super::idct::{self, Scale, TRANSPOSED};
use super::skips::Skips;
use crate::Reject;
use crate::limits::Budget;

/// A component's samples, as they come in.
pub(super) struct Component {
    pub(super) id: u8,
    /// The destination of its quantisation table.
    pub(super) steps: usize,
    /// Blocks of an MCU (B.2.2).
    pub(super) across: usize,
    pub(super) down: usize,
    /// The blocks that hold the picture; a scan of this component alone has no others (A.2.3).
    pub(super) blocks: (usize, usize),
    pub(super) scale: Scale,
    /// Samples of a row, with those of blocks that only fill up the last MCU.
    pub(super) stride: usize,
    pub(super) samples: Vec<u8>,
}

/// How one component of a scan is coded.
pub(super) struct Coding<'a> {
    pub(super) component: &'a mut Component,
    pub(super) dc: &'a Table,
    pub(super) ac: &'a Table,
    /// Where not all coefficients are needed.
    pub(super) skips: Option<Rc<Skips>>,
    pub(super) multipliers: [f32; 64],
    /// The last block's first coefficient (F.1.1.5.1).
    pub(super) predicted: i32,
}

pub(super) const NONSENSE: Reject = Reject::Undecodable("its data makes no sense");

/// Decodes a scan. `units` are the MCUs of a picture across and down.
pub(super) fn decode(
    data: &[u8], codings: &mut [Coding], units: (usize, usize), restart_interval: u16, budget: &Budget,
) -> Result<(), Reject> {
    // With a single component, an MCU is one block (A.2.2).
    let (units, interleaved) = match codings {
        [alone] => (alone.component.blocks, false),
        _ => (units, true),
    };
    if codings.iter().all(|coding| coding.component.scale == Scale::Eighth) {
        return firsts::decode(data, codings, units, restart_interval, budget);
    }
    let mut bits = Bits::new(data);
    let mut intervals = Intervals::new(restart_interval);
    for y in 0..units.1 {
        budget.still_time()?;
        for x in 0..units.0 {
            if intervals.are_over(&mut bits)? {
                for coding in &mut *codings {
                    coding.predicted = 0;
                }
            }
            intervals.left -= 1;
            let whole = bits.mcu(|reader| {
                for coding in &mut *codings {
                    let Component { across, down, .. } = *coding.component;
                    let (across, down) = if interleaved { (across, down) } else { (1, 1) };
                    for block_y in y * down..(y + 1) * down {
                        for block_x in x * across..(x + 1) * across {
                            coding.block(reader, block_x, block_y)?;
                        }
                    }
                }
                Some(())
            });
            whole.ok_or(NONSENSE)?;
        }
        if bits.is_exhausted() {
            return Err(Reject::Truncated);
        }
    }
    Ok(())
}

impl Coding<'_> {
    fn block(&mut self, bits: &mut Reader, x: usize, y: usize) -> Option<()> {
        self.predicted = self.predicted.wrapping_add(bits.difference(self.dc)?);
        let first = self.predicted as f32 * self.multipliers[0];
        match self.component.scale {
            Scale::Eighth => self.transformed(bits, first, x, y, |block| [[idct::flat(block[0])]]),
            Scale::Quarter => self.transformed(bits, first, x, y, idct::quarter),
            Scale::Half => self.transformed(bits, first, x, y, idct::half),
            Scale::Full => self.transformed(bits, first, x, y, idct::full),
        }
    }

    #[inline(always)]
    fn transformed<const N: usize>(
        &mut self, bits: &mut Reader, first: f32, x: usize, y: usize,
        transform: impl FnOnce(&idct::Block) -> [[u8; N]; N],
    ) -> Option<()> {
        let last = const {
            match N {
                1 => Scale::Eighth.last(),
                2 => Scale::Quarter.last(),
                4 => Scale::Half.last(),
                _ => Scale::Full.last(),
            }
        };
        let mut block: idct::Block = [0.0; 64];
        block[0] = first;
        let multipliers = &self.multipliers;
        let any =
            bits.coefficients(self.ac, self.skips.as_deref().map(Skips::lookup), last, |at, value| {
                block[usize::from(TRANSPOSED[at & 63] & 63)] = value as f32 * multipliers[at & 63];
            })?;
        let rows = if any { transform(&block) } else { [[idct::flat(first); N]; N] };
        let Component { stride, ref mut samples, .. } = *self.component;
        let target = samples.get_mut(y * N * stride + x * N..)?;
        for (row, target) in rows.iter().zip(target.chunks_mut(stride)) {
            target.get_mut(..N)?.copy_from_slice(row);
        }
        Some(())
    }
}

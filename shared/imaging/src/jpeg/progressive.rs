//! Progressive scans (T.81, annex G): coefficients arrive in bands and bit by bit, and become samples when the
//! last of them is there.
//!
//! Of each block only those coefficients are kept that the transform to the wanted scale needs: 1, 4, 16 or 64.
//! What refines others has to be read all the same if it refines kept ones too, and how it is coded depends on
//! which coefficients are not zero so far. Of a component that needs it, that is one bit for each of a block's 64.
//!
//! So with halved chroma, the memory for a pixel is 0.05, 0.2, 0.75 or 3 bytes of coefficients, and 0.2 of bits.
//!
//! Scans of nothing but coefficients that are not needed are not decoded, see [`needed`].

use super::bits::{Bits, Intervals, Reader};
use super::huffman::Table;
use super::idct::{self, Scale};
use super::scan::{Component, NONSENSE};
use super::tables::{Band, ScanHeader, Selected, Tables};
use super::{BROKEN_SCAN, Layout, MISSING_TABLE};
use crate::Reject;
use crate::container::jpeg::{
    DEFINE_HUFFMAN, DEFINE_QUANTISATION, Part, Parts, RESTART_INTERVAL, START_OF_SCAN, Whole,
};
use crate::limits::Budget;

/// So many blocks are read at a time: as much as an MCU may have.
const BATCH: usize = 8;

/// A component's coefficients, as they come in.
struct Store {
    component: Component,
    /// Those that are kept of each block, transposed; by rows of blocks, with those that only fill up the last
    /// MCU.
    kept: Vec<i16>,
    /// Which are not zero, by the place in zigzag order; of each block, or of none where it does not matter.
    known: Vec<u64>,
    columns: usize,
    /// The quantisation table that holds when the first scan comes.
    steps: Option<[u16; 64]>,
}

/// Decodes all scans of a progressive file into components whose samples are still missing.
pub(super) fn decode(
    bytes: &[u8], whole: &Whole, layout: &Layout, components: Vec<Component>, budget: &Budget,
) -> Result<Vec<Component>, Reject> {
    let headers = headers(whole.parts(bytes))?;
    let needed = needed(&headers, &components);
    let mut stores = stores(layout, components, &headers, &needed, budget)?;

    let mut tables = Tables::default();
    let mut scans = headers.iter().zip(needed);
    let mut scan = None;
    for part in whole.parts(bytes) {
        match part? {
            Part::Segment(DEFINE_QUANTISATION, payload) => tables.quantisation(payload)?,
            Part::Segment(DEFINE_HUFFMAN, payload) => tables.huffman(payload)?,
            Part::Segment(RESTART_INTERVAL, payload) => tables.restarts(payload)?,
            Part::Segment(START_OF_SCAN, _) => scan = scans.next(),
            Part::Segment(..) => {}
            Part::Scan(data) => {
                let (header, needed) = scan.take().ok_or(BROKEN_SCAN)?;
                if needed {
                    Scan { header, tables: &tables, budget }.decode(data, &mut stores, layout.units)?;
                }
            }
        }
    }
    for store in &mut stores {
        store.known = Vec::new();
    }
    stores.into_iter().map(|store| store.transformed(layout, budget)).collect()
}

pub(super) fn headers(parts: Parts) -> Result<Vec<ScanHeader>, Reject> {
    let mut headers = Vec::new();
    for part in parts {
        if let Part::Segment(START_OF_SCAN, payload) = part? {
            headers.push(ScanHeader::read(payload)?);
        }
    }
    Ok(headers)
}

impl ScanHeader {
    /// Whether it refines some of what another one brings, which is then needed to read it. That of first
    /// coefficients has one bit for each, whatever they are.
    fn depends_on(&self, other: &Self) -> bool {
        let (band, before) = (self.band, other.band);
        band.first > 0
            && band.high > 0
            && band.first <= before.last
            && before.first <= band.last
            && self.components.first().map(|one| one.id) == other.components.first().map(|one| one.id)
    }
}

/// Which scans have to be decoded: those with coefficients that are kept, the last one, and those without which
/// one of these cannot be read.
///
/// The last one tells whether the file is whole: if it ends within another scan, then those after it are
/// missing, which [`whole`](crate::container::jpeg::whole) sees.
pub(super) fn needed(headers: &[ScanHeader], components: &[Component]) -> Vec<bool> {
    let mut needed = vec![false; headers.len()];
    for (at, header) in headers.iter().enumerate().rev() {
        let keeps = |component: &Component| {
            let band = bits(header.band.first, header.band.last);
            component.scale.needs() & band != 0
                && header.components.iter().any(|selected| selected.id == component.id)
        };
        let mut later = headers.iter().zip(&needed).skip(at + 1);
        needed[at] = at + 1 == headers.len()
            || components.iter().any(keeps)
            || later.any(|(later, &needed)| needed && later.depends_on(header));
    }
    needed
}

/// Those from `first` to `last`.
#[inline(always)]
fn bits(first: usize, last: usize) -> u64 {
    u64::MAX << (first & 63) & u64::MAX >> (63 - (last & 63))
}

fn stores(
    layout: &Layout, components: Vec<Component>, headers: &[ScanHeader], needed: &[bool], budget: &Budget,
) -> Result<Vec<Store>, Reject> {
    let refined = |id: u8| {
        headers.iter().zip(needed).any(|(header, &needed)| {
            let Band { first, high, .. } = header.band;
            needed && first > 0 && high > 0 && header.components.iter().any(|selected| selected.id == id)
        })
    };
    let mut stores: Vec<Store> = components
        .into_iter()
        .map(|component| {
            let columns = layout.units.0 * component.across;
            Store { component, kept: Vec::new(), known: Vec::new(), columns, steps: None }
        })
        .collect();
    let sizes = |store: &Store| {
        let blocks = store.columns * layout.units.1 * store.component.down;
        let samples = store.component.scale.samples() as usize;
        (blocks * samples * samples, if refined(store.component.id) { blocks } else { 0 })
    };
    // There are samples only when the bits are no longer there.
    let (mut kept, mut known, mut samples) = (0, 0, 0);
    for store in &stores {
        let (coefficients, bits) = sizes(store);
        kept += 2 * coefficients as u64;
        known += 8 * bits as u64;
        samples += coefficients as u64;
    }
    let total = kept + known.max(samples);
    budget.afford(total)?;
    for store in &mut stores {
        let (kept, known) = sizes(store);
        // Affordable memory may still not be there; a failed allocation must not abort the process.
        store.kept.try_reserve_exact(kept).map_err(|_| budget.refusal(total))?;
        store.known.try_reserve_exact(known).map_err(|_| budget.refusal(total))?;
        store.kept.resize(kept, 0);
        store.known.resize(known, 0);
    }
    Ok(stores)
}

/// One scan, on the way into the stores.
struct Scan<'a> {
    header: &'a ScanHeader,
    tables: &'a Tables,
    budget: &'a Budget,
}

impl Scan<'_> {
    fn decode(&self, data: &[u8], stores: &mut [Store], units: (usize, usize)) -> Result<(), Reject> {
        let mut rest = stores.iter_mut();
        let mut chosen = Vec::new();
        for selected in &self.header.components {
            // They stand in the order of the frame (T.81, B.2.3), which is why the search goes on.
            let store = rest.find(|store| store.component.id == selected.id).ok_or(BROKEN_SCAN)?;
            if store.steps.is_none() {
                let steps = self.tables.steps.get(store.component.steps).copied().flatten();
                store.steps = Some(steps.ok_or(MISSING_TABLE)?);
            }
            chosen.push((selected, store));
        }
        let Band { first, high, .. } = self.header.band;
        match (&mut chosen[..], first, high) {
            (chosen, 0, 0) => self.first_coefficients(data, chosen, units),
            (chosen, 0, _) => self.refine_first_coefficients(data, chosen, units),
            ([(selected, store)], ..) => {
                let table = self.tables.ac.get(selected.ac).and_then(Option::as_ref).ok_or(MISSING_TABLE)?;
                match store.component.scale {
                    Scale::Eighth => self.others::<1>(data, table, store),
                    Scale::Quarter => self.others::<4>(data, table, store),
                    Scale::Half => self.others::<16>(data, table, store),
                    Scale::Full => self.others::<64>(data, table, store),
                }
            }
            _ => Err(BROKEN_SCAN),
        }
    }

    /// All bits but the last few (G.1.2.1): coded like those of a sequential scan.
    fn first_coefficients(
        &self, data: &[u8], chosen: &mut [(&Selected, &mut Store)], units: (usize, usize),
    ) -> Result<(), Reject> {
        let mut codings = Vec::new();
        for (selected, store) in chosen {
            let table = self.tables.dc.get(selected.dc).and_then(Option::as_ref).ok_or(MISSING_TABLE)?;
            codings.push((table, 0_i32, &mut **store));
        }
        let low = self.header.band.low;
        let decode = |reader: &mut Reader, (table, predicted, store): &mut (&Table, i32, &mut Store), at| {
            *predicted = predicted.wrapping_add(reader.difference(table)?);
            *store.first_of(at)? = (*predicted << low) as i16;
            Some(())
        };
        self.units(data, &mut codings, units, |coding| coding.2, decode, |coding| coding.1 = 0)
    }

    /// One more bit of each (G.1.2.1.1).
    fn refine_first_coefficients(
        &self, data: &[u8], chosen: &mut [(&Selected, &mut Store)], units: (usize, usize),
    ) -> Result<(), Reject> {
        let low = self.header.band.low;
        let decode = |reader: &mut Reader, (_, store): &mut (&Selected, &mut Store), at| {
            reader.ready();
            *store.first_of(at)? |= (reader.number(1) as i16) << low;
            Some(())
        };
        self.units(data, chosen, units, |chosen| chosen.1, decode, |_| {})
    }

    /// Lets `decode` decode each block of one or more components, which it finds at an index; between restart
    /// intervals, `restart` is called for each of these.
    fn units<C>(
        &self, data: &[u8], codings: &mut [C], units: (usize, usize), store: impl Fn(&mut C) -> &mut Store,
        decode: impl Fn(&mut Reader, &mut C, usize) -> Option<()>, restart: impl Fn(&mut C),
    ) -> Result<(), Reject> {
        // With a single component, an MCU is one block (A.2.2).
        let (units, interleaved) = match codings {
            [alone] => (store(alone).component.blocks, false),
            _ => (units, true),
        };
        let mut bits = Bits::new(data);
        let mut intervals = Intervals::new(self.tables.restart_interval);
        for y in 0..units.1 {
            self.budget.still_time()?;
            for x in 0..units.0 {
                if intervals.are_over(&mut bits)? {
                    codings.iter_mut().for_each(&restart);
                }
                intervals.left -= 1;
                let whole = bits.mcu(|reader| {
                    for coding in &mut *codings {
                        let Store { component: Component { across, down, .. }, columns, .. } = *store(coding);
                        let (across, down) = if interleaved { (across, down) } else { (1, 1) };
                        for y in y * down..(y + 1) * down {
                            for x in x * across..(x + 1) * across {
                                decode(reader, coding, y * columns + x)?;
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

    /// A band of the other coefficients, of one component alone; `KEPT` are kept of each block.
    fn others<const KEPT: usize>(&self, data: &[u8], table: &Table, store: &mut Store) -> Result<(), Reject> {
        let Store { component: Component { blocks, scale, .. }, columns, .. } = *store;
        let pass = Pass::<KEPT> { table, band: self.header.band, slots: scale.slots(), needs: scale.needs() };
        let mut bits = Bits::new(data);
        let mut intervals = Intervals::new(self.tables.restart_interval);
        // Blocks in which the band has ended (G.1.2.2).
        let mut ended = 0;
        let refines = self.header.band.high > 0;
        for y in 0..blocks.1 {
            self.budget.still_time()?;
            let row = y * columns..y * columns + blocks.0;
            let kept = store.kept.as_chunks_mut::<KEPT>().0.get_mut(row.clone()).ok_or(NONSENSE)?;
            // No bits are as good as a mask for each block that is thrown away.
            let known = store.known.get_mut(row).unwrap_or_default();
            let mut x = 0;
            while x < blocks.0 {
                if intervals.are_over(&mut bits)? {
                    ended = 0;
                }
                let most = intervals.left.min(blocks.0 - x);
                if ended > 0 && !refines {
                    let over = ended.min(most);
                    (x, ended, intervals.left) = (x + over, ended - over, intervals.left - over);
                    continue;
                }
                let batch = x..x + most.min(BATCH);
                let blocks = &mut kept[batch.clone()];
                let none = &mut [0; BATCH][..blocks.len()];
                let known = known.get_mut(batch).unwrap_or(none);
                let read = bits.mcu(|reader| {
                    if refines {
                        for (block, known) in blocks.iter_mut().zip(known) {
                            ended = pass.refine(reader, block, known, ended)?;
                        }
                        return Some(most.min(BATCH));
                    }
                    let mut read = 0;
                    for (block, known) in blocks.iter_mut().zip(known) {
                        ended = pass.first(reader, block, known)?;
                        read += 1;
                        if ended > 0 {
                            break;
                        }
                    }
                    Some(read)
                });
                let read = read.ok_or(NONSENSE)?;
                (x, intervals.left) = (x + read, intervals.left - read);
            }
            if bits.is_exhausted() {
                return Err(Reject::Truncated);
            }
        }
        Ok(())
    }
}

/// How the blocks of a band are read.
struct Pass<'a, const KEPT: usize> {
    table: &'a Table,
    band: Band,
    slots: [u8; 64],
    needs: u64,
}

impl<const KEPT: usize> Pass<'_, KEPT> {
    /// What comes first of a block (G.1.2.2). Returns in how many blocks after it the band has ended as well.
    #[inline(always)]
    fn first(&self, bits: &mut Reader, block: &mut [i16; KEPT], known: &mut u64) -> Option<usize> {
        let Band { first, last, low, .. } = self.band;
        let mut at = first;
        while at <= last {
            bits.ready();
            let (run, value, ends) = bits.coefficient(self.table)?;
            if ends {
                return Some(blocks_ended(bits, run) - 1);
            }
            at += run;
            if at > last {
                return None;
            }
            // Of sixteen zeros, the last one counts as the coefficient.
            *known |= u64::from(value != 0) << at;
            if let Some(kept) = block.get_mut(usize::from(self.slots[at & 63])) {
                *kept = (value << low) as i16;
            }
            at += 1;
        }
        Some(0)
    }

    /// One more bit of a block (G.1.2.3). In so many blocks, this one included, the band `ended` before; returns
    /// in how many after this.
    ///
    /// Those coefficients that become 1 or -1 are coded like those of a first pass, with runs that count only
    /// zeros; what is passed over by the way and is not zero has a bit that says whether it grows.
    #[inline(always)]
    fn refine(
        &self, bits: &mut Reader, block: &mut [i16; KEPT], known: &mut u64, mut ended: usize,
    ) -> Option<usize> {
        let Band { first, last, low, .. } = self.band;
        let mut rest = self::bits(first, last);
        while ended == 0 && rest != 0 {
            bits.ready();
            let (run, value, ends) = bits.coefficient(self.table)?;
            if ends {
                ended = blocks_ended(bits, run);
                break;
            }
            let mut zeros = rest & !*known;
            for _ in 0..run {
                zeros &= zeros.wrapping_sub(1);
            }
            // The one that the run leads to.
            let one = zeros & zeros.wrapping_neg();
            if one == 0 || value.unsigned_abs() > 1 {
                return None;
            }
            self.correct(bits, block, *known & rest & (one - 1));
            rest &= !(one | (one - 1));
            if value != 0 {
                *known |= one;
                let slot = self.slots[one.trailing_zeros() as usize & 63];
                if let Some(kept) = block.get_mut(usize::from(slot)) {
                    *kept = (value << low) as i16;
                }
            }
        }
        if ended > 0 {
            self.correct(bits, block, *known & rest);
            ended -= 1;
        }
        Some(ended)
    }

    /// Reads a bit for each of these, which are not zero: whether it is one further from it.
    #[inline(always)]
    fn correct(&self, bits: &mut Reader, block: &mut [i16; KEPT], which: u64) {
        if which & self.needs != 0 {
            self.correct_kept(bits, block, which);
        } else if which != 0 {
            bits.pass(which.count_ones());
        }
    }

    #[inline(always)]
    fn correct_kept(&self, bits: &mut Reader, block: &mut [i16; KEPT], mut which: u64) {
        // All up to the last that is kept.
        let near = u64::MAX >> self.needs.leading_zeros();
        let far = which & !near;
        which &= near;
        while which != 0 {
            bits.refill();
            let count = which.count_ones().min(56);
            let mut next = bits.next();
            bits.take(count);
            for _ in 0..count {
                let at = which.trailing_zeros() as usize;
                which &= which - 1;
                if let Some(kept) = block.get_mut(usize::from(self.slots[at & 63])) {
                    let grows = (next >> 63) as i16;
                    *kept = kept.wrapping_add((kept.signum() * grows) << self.band.low);
                }
                next <<= 1;
            }
        }
        if far != 0 {
            bits.pass(far.count_ones());
        }
    }
}

/// How many blocks an end of the band is for, this one included (G.1.2.2). A code of 16 bits and a run of 14 are
/// there.
#[inline(always)]
fn blocks_ended(bits: &mut Reader, run: usize) -> usize {
    let run = run as u32;
    (1 << run) + bits.number(run) as usize
}

impl Store {
    #[inline(always)]
    fn first_of(&mut self, block: usize) -> Option<&mut i16> {
        let each = self.component.scale.samples() as usize;
        self.kept.get_mut(block * each * each)
    }

    /// Makes samples of the coefficients.
    fn transformed(self, layout: &Layout, budget: &Budget) -> Result<Component, Reject> {
        let Self { mut component, kept, columns, steps, .. } = self;
        let steps = steps.ok_or(MISSING_TABLE)?;
        let by_place = idct::multipliers(&steps, component.scale);
        let mut multipliers = [0.0; 64];
        for (&slot, multiplier) in component.scale.slots().iter().zip(by_place) {
            if let Some(to) = multipliers.get_mut(usize::from(slot)) {
                *to = multiplier;
            }
        }
        component.allocate(layout, budget)?;
        let stride = component.stride;
        let samples = component.scale.samples() as usize;
        let rows = component.samples.chunks_exact_mut(stride * samples);
        for (rows, blocks) in rows.zip(kept.chunks_exact(columns * samples * samples)) {
            budget.still_time()?;
            match component.scale {
                Scale::Eighth => {
                    for (sample, &first) in rows.iter_mut().zip(blocks) {
                        *sample = idct::flat(f32::from(first) * multipliers[0]);
                    }
                }
                Scale::Quarter => transform::<2, 4>(blocks, &multipliers, rows, stride, idct::quarter),
                Scale::Half => transform::<4, 16>(blocks, &multipliers, rows, stride, idct::half),
                Scale::Full => transform::<8, 64>(blocks, &multipliers, rows, stride, idct::full),
            }
        }
        Ok(component)
    }
}

/// A row of blocks of `N` by `N` coefficients, which are `KEPT`.
#[inline(always)]
fn transform<const N: usize, const KEPT: usize>(
    blocks: &[i16], multipliers: &[f32; 64], rows: &mut [u8], stride: usize,
    transform: impl Fn(&idct::Block) -> [[u8; N]; N],
) {
    for (x, block) in blocks.as_chunks::<KEPT>().0.iter().enumerate() {
        let mut multiplied: idct::Block = [0.0; 64];
        for (row, to) in multiplied.as_chunks_mut::<8>().0.iter_mut().take(N).enumerate() {
            for (column, to) in to.iter_mut().take(N).enumerate() {
                let at = row * N + column;
                *to = f32::from(block[at]) * multipliers[at];
            }
        }
        let others = block.iter().skip(1).fold(0, |all, &coefficient| all | coefficient);
        let samples = if others == 0 { [[idct::flat(multiplied[0]); N]; N] } else { transform(&multiplied) };
        for (samples, row) in samples.iter().zip(rows.chunks_exact_mut(stride)) {
            if let Some(to) = row.get_mut(x * N..(x + 1) * N) {
                to.copy_from_slice(samples);
            }
        }
    }
}

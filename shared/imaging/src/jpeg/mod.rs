//! Huffman-coded JPEG (ITU-T T.81), sequential and progressive, decoded for renderings.
//!
//! A rendering is nearly always smaller than the photograph, and is encoded as luma and halved chroma.
//! So this decoder stops where it can: each component comes out as its own plane, reduced by the inverse
//! transform to the smallest of 1/8, 1/4, 1/2 and 1 that still serves; of the coefficients above
//! that, only the codes are read, several at a time; chroma is never enlarged, and no RGB is made.
//!
//! ```text
//! tables    DQT, DHT, DRI, SOS         huffman       codes, with runs and values together
//! bits      unstuffing, restarts       skips         several codes at once, without their values
//! scan      MCUs, blocks, prediction   firsts        the same where a block is one sample
//! idct      N points in each direction progressive   bands, bit by bit
//! ```
//!
//! Ink and RGB go through a general codec.

#![allow(clippy::inline_always, reason = "the decoder's state is to stay in registers; a call spills it")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "coefficients have 16 bits, sides of pictures too, and what is shifted out of 64 bits is short"
)]

mod bits;
mod firsts;
mod huffman;
mod idct;
mod progressive;
mod scan;
mod skips;
mod tables;

use std::rc::Rc;

use crate::container::jpeg::{
    DEFINE_HUFFMAN, DEFINE_QUANTISATION, Frame, Part, Parts, Process, RESTART_INTERVAL, START_OF_SCAN, Whole,
};
use crate::limits::Budget;
use crate::planes::{Plane, Planes};
use crate::{Header, Reject};

use idct::Scale;
pub(crate) use idct::TRANSPOSED;
use scan::{Coding, Component};
use skips::Skips;
use tables::{ScanHeader, Selected, Tables};

/// Of an interleaved scan, an MCU has at most so many blocks (T.81, B.2.3).
const MOST_BLOCKS: usize = 10;

const BROKEN_SCAN: Reject = Reject::Undecodable("a scan header");
const MISSING_TABLE: Reject = Reject::Undecodable("a table is missing");

/// Whether this decoder can decode the file: gray or YCbCr.
pub(crate) fn is_ours(whole: &Whole) -> bool {
    let sampled =
        whole.frame.factors().all(|(across, down)| (1..=4).contains(&across) && (1..=4).contains(&down));
    let blocks: u64 = whole.frame.factors().map(|(across, down)| across * down).sum();
    let colours = match whole.frame.components.len() {
        1 => true,
        3 => whole.is_ycbcr() && blocks <= MOST_BLOCKS as u64,
        _ => false,
    };
    sampled && colours
}

/// Decodes a file that is ours. The planes are at least as large as `luma` and `chroma`, in stored
/// orientation, or of full size.
pub(crate) fn decode(
    bytes: &[u8], whole: &Whole, header: &Header, luma: (u32, u32), chroma: (u32, u32), budget: &Budget,
) -> Result<Planes, Reject> {
    let frame = &whole.frame;
    let (width, height) = (u32::from(frame.width), u32::from(frame.height));
    if (width, height) != header.stored_size() {
        return Err(Reject::Undecodable("its data is not of the size that its header says"));
    }
    let layout = Layout::new(frame);
    let mut components = layout.components(frame, luma, chroma);
    match whole.process {
        Process::Progressive => components = progressive::decode(bytes, whole, &layout, components, budget)?,
        Process::Sequential | Process::ScanByScan => {
            let total = components.iter().map(|component| component.size(&layout)).sum();
            budget.afford(total)?;
            for component in &mut components {
                component.allocate(&layout, budget)?;
            }
            scans(whole.parts(bytes), &layout, &mut components, budget)?;
        }
    }

    let mut planes = components.into_iter().zip(frame.factors()).map(|(component, (across, down))| {
        let reduced = f64::from(component.scale.samples()) / 8.0;
        let extent =
            |side: u32, factor: u64, most: usize| f64::from(side) * factor as f64 / most as f64 * reduced;
        let extent = (extent(width, across, layout.across), extent(height, down, layout.down));
        Plane::of_decoder(component.samples, component.stride, extent)
    });
    let missing = Reject::Undecodable("its frame header");
    let luma = planes.next().ok_or(missing)?;
    let chroma = planes.next().zip(planes.next()).map(|(blue, red)| [blue, red]);
    Ok(Planes { luma, chroma })
}

/// How MCUs cover a picture (T.81, A.1.1 and A.2).
struct Layout {
    width: usize,
    height: usize,
    /// The largest sampling factors.
    across: usize,
    down: usize,
    /// MCUs across and down.
    units: (usize, usize),
}

impl Layout {
    fn new(frame: &Frame) -> Self {
        let most = |factor: fn((u64, u64)) -> u64| {
            let factors = frame.factors().map(factor);
            usize::try_from(factors.max().unwrap_or(1).max(1)).unwrap_or(1)
        };
        let (across, down) = (most(|(across, _)| across), most(|(_, down)| down));
        let (width, height) = (usize::from(frame.width), usize::from(frame.height));
        let units = (width.div_ceil(8 * across), height.div_ceil(8 * down));
        Self { width, height, across, down, units }
    }

    /// Without their samples.
    fn components(&self, frame: &Frame, luma: (u32, u32), chroma: (u32, u32)) -> Vec<Component> {
        let mut components = Vec::new();
        for (index, (&[id, _, steps], (across, down))) in
            frame.components.iter().zip(frame.factors()).enumerate()
        {
            let (across, down) = (across as usize, down as usize);
            let wanted = if index == 0 { luma } else { chroma };
            // Both sides times 8: N of the scale over it must reach what is wanted.
            let serves = |scale: &Scale| {
                let n = u64::from(scale.samples());
                let reaches = |side: usize, factor: usize, most: usize, wanted: u32| {
                    (side * factor) as u64 * n >= u64::from(wanted) * 8 * most as u64
                };
                reaches(self.width, across, self.across, wanted.0)
                    && reaches(self.height, down, self.down, wanted.1)
            };
            let scale = Scale::ALL.into_iter().find(serves).unwrap_or(Scale::Full);
            let samples = scale.samples() as usize;
            let blocks = |side: usize, factor: usize, most: usize| (side * factor).div_ceil(most).div_ceil(8);
            components.push(Component {
                id,
                steps: usize::from(steps),
                across,
                down,
                blocks: (blocks(self.width, across, self.across), blocks(self.height, down, self.down)),
                scale,
                stride: self.units.0 * across * samples,
                samples: Vec::new(),
            });
        }
        components
    }
}

impl Component {
    fn size(&self, layout: &Layout) -> u64 {
        self.stride as u64 * (layout.units.1 * self.down) as u64 * u64::from(self.scale.samples())
    }

    /// Makes room for its samples.
    fn allocate(&mut self, layout: &Layout, budget: &Budget) -> Result<(), Reject> {
        let size = self.size(layout);
        let refused = || budget.refusal(size);
        let size = usize::try_from(size).map_err(|_| refused())?;
        // Affordable memory may still not be there; a failed allocation must not abort the process.
        self.samples.try_reserve_exact(size).map_err(|_| refused())?;
        self.samples.resize(size, 0);
        Ok(())
    }
}

fn scans(parts: Parts, layout: &Layout, components: &mut [Component], budget: &Budget) -> Result<(), Reject> {
    let mut tables = Tables::default();
    let mut chosen = Vec::new();
    for part in parts {
        match part? {
            Part::Segment(DEFINE_QUANTISATION, payload) => tables.quantisation(payload)?,
            Part::Segment(DEFINE_HUFFMAN, payload) => tables.huffman(payload)?,
            Part::Segment(RESTART_INTERVAL, payload) => tables.restarts(payload)?,
            Part::Segment(START_OF_SCAN, payload) => chosen = ScanHeader::read(payload)?.components,
            Part::Segment(..) => {}
            Part::Scan(data) => {
                let mut codings = codings(&tables, &chosen, components)?;
                scan::decode(data, &mut codings, layout.units, tables.restart_interval, budget)?;
            }
        }
    }
    Ok(())
}

/// Brings a scan's components together with their tables.
fn codings<'a>(
    tables: &'a Tables, chosen: &[Selected], components: &'a mut [Component],
) -> Result<Vec<Coding<'a>>, Reject> {
    let mut components = components.iter_mut();
    let mut codings: Vec<Coding> = Vec::new();
    for &Selected { id, dc, ac } in chosen {
        // They stand in the order of the frame (T.81, B.2.3), which is why the search goes on.
        let component = components.find(|component| component.id == id).ok_or(BROKEN_SCAN)?;
        let steps = tables.steps.get(component.steps).and_then(Option::as_ref).ok_or(MISSING_TABLE)?;
        let dc = tables.dc.get(dc).and_then(Option::as_ref).ok_or(MISSING_TABLE)?;
        let ac = tables.ac.get(ac).and_then(Option::as_ref).ok_or(MISSING_TABLE)?;
        let skips = (component.scale != Scale::Full).then(|| {
            // The chroma components mostly share their tables.
            let same = |coding: &&Coding| std::ptr::eq(coding.ac, ac);
            let shared = codings.iter().filter(same).find_map(|coding| coding.skips.clone());
            shared.unwrap_or_else(|| Rc::new(Skips::new(ac)))
        });
        let multipliers = idct::multipliers(steps, component.scale);
        codings.push(Coding { multipliers, skips, dc, ac, predicted: 0, component });
    }
    Ok(codings)
}

#[cfg(test)]
mod tests;

use std::time::Duration;

use gif::{DisposalMethod, Encoder, Frame, Repeat};

use super::changes::changed_area;
use super::colours::Colours;
use crate::Reject;
use crate::animation::Loops;
use crate::animation::canvas::Area;
use crate::animation::clock::Clock;
use crate::encode::REFUSED;
use crate::limits::Budget;
use crate::raster::{Pixels, Raster};

/// Of 256 colours one is kept for transparency: what does not change is not drawn again.
const COLOURS: usize = 255;

/// Transparent; always the last of the table, so that it need not be looked for.
const NOTHING: [u8; 4] = [0; 4];

pub(crate) struct Gif {
    size: (u16, u16),
    budget: Budget,
    loops: Loops,
    clock: Clock,
    /// There from the first frame on, whose colours are those of the whole file.
    encoder: Option<Encoder<Vec<u8>>>,
    global: Option<Colours>,
    /// What shows now, each pixel opaque or [`NOTHING`].
    shown: Vec<[u8; 4]>,
    /// The frame that shows it. It is not written before it is known how it has to be disposed of.
    pending: Option<Pending>,
}

struct Pending {
    area: Area,
    indexes: Vec<u8>,
    transparent: u8,
    /// `None` for the colours of the whole file.
    table: Option<Vec<u8>>,
    delay: u16,
    clears: bool,
}

/// What shows and what comes next, 4 bytes a pixel; what of it changes, once more; two frames' indexes.
pub(super) fn memory((width, height): (u32, u32)) -> u64 {
    3 * Pixels::Rgba.bytes(width, height) + 2 * Pixels::Gray.bytes(width, height) + (8 << 20)
}

impl Gif {
    pub(super) fn new((width, height): (u32, u32), loops: Loops, budget: &Budget) -> Result<Self, Reject> {
        let side = |side: u32| u16::try_from(side).map_err(|_| REFUSED);
        Ok(Self {
            size: (side(width)?, side(height)?),
            budget: *budget,
            loops,
            clock: Clock::of_gif(),
            encoder: None,
            global: None,
            shown: budget.filled(NOTHING, width as usize * height as usize)?,
            pending: None,
        })
    }

    pub(super) fn push(&mut self, raster: &Raster, delay: Duration) -> Result<(), Reject> {
        self.budget.still_time()?;
        let next = opaque_or_nothing(raster, &self.budget)?;
        if next.len() != self.shown.len() {
            return Err(REFUSED);
        }
        let width = usize::from(self.size.0);
        let delay = u16::try_from(self.clock.tell(delay)).unwrap_or(u16::MAX);

        // Nothing can be drawn transparent: a pixel becomes so when the frame in which it lies is disposed of.
        let goes = |before, after| before != NOTHING && after == NOTHING;
        let vanished = changed_area(width, &self.shown, &next, goes);
        if let (Some(pending), Some(vanished)) = (&mut self.pending, vanished) {
            pending.grow(vanished, &self.budget)?;
            pending.clears = true;
            rows_mut(&mut self.shown, width, pending.area).for_each(|row| row.fill(NOTHING));
        }

        let changed = changed_area(width, &self.shown, &next, |before, after| before != after);
        if let (None, None, Some(pending)) = (vanished, changed, &mut self.pending)
            && let Some(sum) = pending.delay.checked_add(delay)
        {
            pending.delay = sum;
            return Ok(());
        }
        let area = changed.unwrap_or(Area { left: 0, top: 0, width: 1, height: 1 });
        let drawn = rows(&next, width, area)
            .zip(rows(&self.shown, width, area))
            .flat_map(|(next, shown)| next.iter().zip(shown))
            .map(|(next, shown)| if next == shown { NOTHING } else { *next });
        let drawn = self.budget.collect(area.width as usize * area.height as usize, drawn)?;
        self.shown = next;
        self.write_pending()?;
        self.pending = Some(self.draw(area, &drawn, delay)?);
        Ok(())
    }

    /// Gives every pixel its index, in the colours of the whole file where they do: a table of its own takes
    /// up to 768 bytes, more than most frames that change little.
    fn draw(&mut self, area: Area, pixels: &[[u8; 4]], delay: u16) -> Result<Pending, Reject> {
        let opaque = pixels.iter().copied().filter(|pixel| *pixel != NOTHING);
        let opaque = self.budget.collect(pixels.len(), opaque)?;
        let mut own = None;
        if self.global.as_mut().is_none_or(|global| !global.fit(&opaque)) {
            own = Some(Colours::of(&opaque, COLOURS)?);
        }
        drop(opaque);
        let is_first = self.global.is_none();
        if is_first {
            self.start(own.take())?;
        }
        let colours = own.as_mut().or(self.global.as_mut()).ok_or(REFUSED)?;
        let transparent = u8::try_from(colours.table().len()).map_err(|_| REFUSED)?;
        let index = |pixel: &[u8; 4]| if *pixel == NOTHING { transparent } else { colours.nearest(*pixel) };
        let indexes = self.budget.collect(pixels.len(), pixels.iter().map(index))?;
        let table = own.map(|own| table(&own));
        Ok(Pending { area, indexes, transparent, table, delay, clears: false })
    }

    /// Writes what comes before the first frame.
    fn start(&mut self, global: Option<Colours>) -> Result<(), Reject> {
        let global = global.ok_or(REFUSED)?;
        let mut encoder =
            Encoder::new(Vec::new(), self.size.0, self.size.1, &table(&global)).map_err(|_| REFUSED)?;
        let repeat = match self.loops {
            Loops::Forever => Some(Repeat::Infinite),
            // See `container::gif::loops`.
            Loops::Times(times @ 2..) => Some(Repeat::Finite(u16::try_from(times - 1).unwrap_or(u16::MAX))),
            Loops::Times(_) => None,
        };
        if let Some(repeat) = repeat {
            encoder.set_repeat(repeat).map_err(|_| REFUSED)?;
        }
        self.encoder = Some(encoder);
        self.global = Some(global);
        Ok(())
    }

    fn write_pending(&mut self) -> Result<(), Reject> {
        let (Some(pending), Some(encoder)) = (self.pending.take(), &mut self.encoder) else {
            return Ok(());
        };
        self.budget.still_time()?;
        let side = |side: u32| u16::try_from(side).map_err(|_| REFUSED);
        let frame = Frame {
            left: side(pending.area.left)?,
            top: side(pending.area.top)?,
            width: side(pending.area.width)?,
            height: side(pending.area.height)?,
            delay: pending.delay,
            dispose: if pending.clears { DisposalMethod::Background } else { DisposalMethod::Keep },
            transparent: Some(pending.transparent),
            palette: pending.table,
            buffer: pending.indexes.into(),
            ..Frame::default()
        };
        encoder.write_frame(&frame).map_err(|_| REFUSED)
    }

    pub(super) fn finish(mut self) -> Result<Vec<u8>, Reject> {
        self.write_pending()?;
        self.encoder.ok_or(REFUSED)?.into_inner().map_err(|_| REFUSED)
    }
}

impl Pending {
    /// Makes its box hold another as well, without drawing anything there.
    fn grow(&mut self, other: Area, budget: &Budget) -> Result<(), Reject> {
        let area = self.area.with(other);
        if area == self.area {
            return Ok(());
        }
        let mut indexes = budget.filled(self.transparent, area.width as usize * area.height as usize)?;
        let (left, top) = ((self.area.left - area.left) as usize, (self.area.top - area.top) as usize);
        let to = indexes.chunks_exact_mut(area.width as usize).skip(top);
        for (to, from) in to.zip(self.indexes.chunks_exact(self.area.width as usize)) {
            to[left..left + from.len()].copy_from_slice(from);
        }
        (self.area, self.indexes) = (area, indexes);
        Ok(())
    }
}

/// The colours, then one more for what is transparent.
fn table(colours: &Colours) -> Vec<u8> {
    [colours.table().as_flattened(), &[0; 3]].concat()
}

/// GIF knows no half transparency: what hides at least half of what is behind it hides all of it.
fn opaque_or_nothing(raster: &Raster, budget: &Budget) -> Result<Vec<[u8; 4]>, Reject> {
    let count = raster.width as usize * raster.height as usize;
    match raster.pixels {
        Pixels::Rgba => {
            let solid = |&[r, g, b, a]: &[u8; 4]| if a < 128 { NOTHING } else { [r, g, b, u8::MAX] };
            budget.collect(count, raster.data.as_chunks().0.iter().map(solid))
        }
        Pixels::Rgb => {
            budget.collect(count, raster.data.as_chunks().0.iter().map(|&[r, g, b]| [r, g, b, u8::MAX]))
        }
        Pixels::Gray | Pixels::GrayAlpha | Pixels::Cmyk => Err(REFUSED),
    }
}

fn rows(pixels: &[[u8; 4]], width: usize, area: Area) -> impl Iterator<Item = &[[u8; 4]]> {
    let (left, columns) = (area.left as usize, area.width as usize);
    let rows = pixels.chunks_exact(width).skip(area.top as usize).take(area.height as usize);
    rows.map(move |row| &row[left..left + columns])
}

fn rows_mut(pixels: &mut [[u8; 4]], width: usize, area: Area) -> impl Iterator<Item = &mut [[u8; 4]]> {
    let (left, columns) = (area.left as usize, area.width as usize);
    let rows = pixels.chunks_exact_mut(width).skip(area.top as usize).take(area.height as usize);
    rows.map(move |row| &mut row[left..left + columns])
}

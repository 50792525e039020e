use std::num::NonZeroU64;
use std::time::Duration;

use gif::{ColorOutput, DecodeOptions, Decoder, MemoryLimit};

use crate::animation::canvas::{Area, Canvas, Disposal};
use crate::animation::{self, Frame, as_browsers_wait};
use crate::decode::gif::reject;
use crate::limits::Budget;
use crate::raster::{Pixels, Raster};
use crate::{Header, Reject, container};

/// The canvas, what is behind a frame that is to be undone, and the indexes of one frame.
pub(crate) struct Frames<'a> {
    decoder: Decoder<&'a [u8]>,
    /// The library knows no disposal but the four of the specification.
    disposals: Box<dyn Iterator<Item = u8> + 'a>,
    canvas: Canvas,
    budget: Budget,
    /// Frames may be larger than the canvas, but none is larger than the largest.
    indexes: Vec<u8>,
}

impl<'a> Frames<'a> {
    pub(crate) fn new(bytes: &'a [u8], header: &Header, budget: Budget) -> Result<Self, Reject> {
        // Walks to the trailer: a file that ends before it is incomplete.
        container::gif::header(bytes)?;
        let canvas = Pixels::Rgba.bytes(header.width, header.height);
        budget.afford(2 * canvas + header.largest_frame + bytes.len() as u64)?;

        let mut options = DecodeOptions::new();
        options.set_color_output(ColorOutput::Indexed);
        // Of what the decoder keeps by itself, profiles and notes are all that has no fixed size.
        let notes = NonZeroU64::new(bytes.len() as u64).unwrap_or(NonZeroU64::MIN);
        options.set_memory_limit(MemoryLimit::Bytes(notes));
        options.allow_unknown_blocks(true);
        let decoder = options.read_info(bytes).map_err(reject)?;
        let canvas = Canvas::new((header.width, header.height), budget)?;
        let disposals = Box::new(container::gif::disposals(bytes)?);
        Ok(Self { decoder, disposals, canvas, budget, indexes: Vec::new() })
    }
}

impl animation::Decoder for Frames<'_> {
    fn next_frame(&mut self) -> Result<Option<Frame>, Reject> {
        let Some(frame) = self.decoder.next_frame_info().map_err(reject)? else { return Ok(None) };
        let area = Area {
            left: frame.left.into(),
            top: frame.top.into(),
            width: frame.width.into(),
            height: frame.height.into(),
        };
        let disposal = match self.disposals.next() {
            Some(2) => Disposal::Clear,
            // Some writers took the third bit for a flag, and browsers know it.
            Some(3 | 4) => Disposal::Restore,
            Some(_) | None => Disposal::Keep,
        };
        let (transparent, delay) = (frame.transparent, Duration::from_millis(10 * u64::from(frame.delay)));
        if !area.is_empty() {
            let needed = area.width as usize * area.height as usize;
            if self.indexes.len() < needed {
                self.indexes = Raster::blank(area.width, area.height, Pixels::Gray, &self.budget)?.data;
            }
            self.decoder.read_into_buffer(&mut self.indexes[..needed]).map_err(reject)?;
        }
        let palette = self.decoder.palette().map_err(reject)?;
        let (palette, _) = palette.as_chunks::<3>();
        let indexes = &self.indexes[..area.width as usize * area.height as usize];
        self.canvas.draw(area, disposal, indexes, |pixel, index| {
            if let (Some(&[r, g, b]), true) = (palette.get(usize::from(index)), transparent != Some(index)) {
                *pixel = [r, g, b, u8::MAX];
            }
        });
        Ok(Some(Frame { raster: self.canvas.shown()?, delay: as_browsers_wait(delay) }))
    }
}

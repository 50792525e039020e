use std::time::Duration;

use crate::animation::canvas::{Area, Blend, Canvas, Disposal, blend};
use crate::animation::{Decoder, Frame, as_browsers_wait};
use crate::container::webp::{self, Moving};
use crate::decode::webp::reject;
use crate::libwebp;
use crate::limits::Budget;
use crate::raster::{Pixels, Raster};
use crate::{Header, Reject};

/// The canvas, one frame, and what libwebp needs to decode that.
pub(crate) struct Frames<'a> {
    files: Box<dyn Iterator<Item = Result<Moving<'a>, Reject>> + 'a>,
    canvas: Canvas,
    budget: Budget,
}

impl<'a> Frames<'a> {
    pub(crate) fn new(bytes: &'a [u8], header: &Header, budget: Budget) -> Result<Self, Reject> {
        let (width, height) = header.stored_size();
        // The frame and, of lossless ones, the 32-bit pixels that the decoder keeps.
        budget.afford(3 * Pixels::Rgba.bytes(width, height) + bytes.len() as u64)?;
        let canvas = Canvas::new((width, height), budget)?;
        Ok(Self { files: Box::new(webp::moving(bytes)?), canvas, budget })
    }
}

impl Decoder for Frames<'_> {
    fn next_frame(&mut self) -> Result<Option<Frame>, Reject> {
        let Some(Moving { still, milliseconds, blends, clears }) = self.files.next().transpose()? else {
            return Ok(None);
        };
        let (width, height) = (still.width, still.height);
        let mut frame = Raster::blank(width, height, Pixels::Rgba, &self.budget)?;
        let file = still.file.as_deref().unwrap_or_default();
        libwebp::decode(file, (width, height), true, &mut frame.data).map_err(reject)?;

        let area = Area { left: still.x, top: still.y, width, height };
        let disposal = if clears { Disposal::Clear } else { Disposal::Keep };
        let kind = if blends { Blend::Over } else { Blend::Replace };
        self.canvas.draw(area, disposal, frame.data.as_chunks::<4>().0, blend(kind));
        drop(frame);
        let delay = as_browsers_wait(Duration::from_millis(milliseconds.into()));
        Ok(Some(Frame { raster: self.canvas.shown()?, delay }))
    }
}

use std::io::Cursor;
use std::time::Duration;

use png::{BlendOp, ColorType, DisposeOp, FrameControl, InterlaceInfo, Limits, Reader, Transformations};

use crate::animation::canvas::{Area, Blend, Canvas, Disposal, blend};
use crate::animation::{Decoder, Frame, as_browsers_wait};
use crate::decode::OTHER_SIZE;
use crate::decode::png::{DECODER_MEMORY, colours, reject};
use crate::limits::Budget;
use crate::raster::{Pixels, Raster};
use crate::{Header, Reject, codec, container};

/// The canvas, what is behind a frame that is to be undone, and one frame.
pub(crate) struct Frames<'a> {
    reader: Reader<Cursor<&'a [u8]>>,
    canvas: Canvas,
    budget: Budget,
    left: u32,
    /// What is said of the first frame, unless the first picture of the file is not one of the animation.
    first: Option<FrameControl>,
}

impl<'a> Frames<'a> {
    pub(crate) fn new(bytes: &'a [u8], header: &Header, budget: Budget) -> Result<Self, Reject> {
        container::png::whole(bytes)?;
        let (width, height) = header.stored_size();
        budget.afford(3 * Pixels::Rgba.bytes(width, height) + DECODER_MEMORY as u64)?;
        let reader = reader(bytes)?;
        if reader.info().size() != (width, height) {
            return Err(OTHER_SIZE);
        }
        let first = reader.info().frame_control;
        let canvas = Canvas::new((width, height), budget)?;
        Ok(Self { reader, canvas, budget, left: header.frames, first })
    }
}

fn reader(bytes: &[u8]) -> Result<Reader<Cursor<&[u8]>>, Reject> {
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), Limits { bytes: DECODER_MEMORY });
    // Always gray or colour with alpha, 8 bits.
    decoder.set_transformations(Transformations::ALPHA | Transformations::STRIP_16);
    decoder.set_ignore_text_chunk(true);
    decoder.read_info().map_err(reject)
}

pub(crate) fn icc(bytes: &[u8]) -> Option<Vec<u8>> {
    // Frames are drawn in colour, whatever they are in.
    let icc = |bytes| Ok(colours(reader(bytes)?.info(), Pixels::Rgba));
    codec::guard(|| icc(bytes)).ok().flatten()
}

impl Decoder for Frames<'_> {
    fn next_frame(&mut self) -> Result<Option<Frame>, Reject> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let control = match self.first.take() {
            Some(first) => first,
            None => *self.reader.next_frame_info().map_err(reject)?,
        };
        let pixels = match self.reader.output_color_type().0 {
            ColorType::GrayscaleAlpha => Pixels::GrayAlpha,
            ColorType::Rgba => Pixels::Rgba,
            _ => return Err(Reject::Undecodable("its colour type")),
        };
        let mut frame = Raster::blank(control.width, control.height, pixels, &self.budget)?;
        self.read(&mut frame)?;

        let (left, top, width, height) = (control.x_offset, control.y_offset, control.width, control.height);
        let area = Area { left, top, width, height };
        let disposal = match control.dispose_op {
            DisposeOp::None => Disposal::Keep,
            DisposeOp::Background => Disposal::Clear,
            DisposeOp::Previous => Disposal::Restore,
        };
        let lay = blend(match control.blend_op {
            BlendOp::Source => Blend::Replace,
            BlendOp::Over => Blend::Over,
        });
        if pixels == Pixels::Rgba {
            self.canvas.draw(area, disposal, frame.data.as_chunks::<4>().0, lay);
        } else {
            let gray = |to: &mut [u8; 4], [gray, alpha]: [u8; 2]| lay(to, [gray, gray, gray, alpha]);
            self.canvas.draw(area, disposal, frame.data.as_chunks::<2>().0, gray);
        }
        drop(frame);
        Ok(Some(Frame { raster: self.canvas.shown()?, delay: delay(control.delay_num, control.delay_den) }))
    }
}

impl Frames<'_> {
    /// Row by row: `next_frame` demands a buffer for the whole picture, and lays out interlaced frames
    /// that are smaller in another way than others.
    fn read(&mut self, frame: &mut Raster) -> Result<(), Reject> {
        let channels = frame.pixels.channels();
        let stride = frame.width as usize * channels;
        let mut y = 0;
        while let Some(row) = self.reader.next_interlaced_row().map_err(reject)? {
            match row.interlace() {
                InterlaceInfo::Null(_) => frame.data[y * stride..][..stride].copy_from_slice(row.data()),
                InterlaceInfo::Adam7(pass) => {
                    let bits = if channels == 4 { 32 } else { 16 };
                    png::expand_interlaced_row(&mut frame.data, stride, row.data(), pass, bits);
                }
            }
            y += 1;
        }
        Ok(())
    }
}

/// A fraction of a second; a denominator of 0 means hundredths (PNG, 11.3.4.2).
fn delay(numerator: u16, denominator: u16) -> Duration {
    let denominator = if denominator == 0 { 100 } else { u32::from(denominator) };
    as_browsers_wait(Duration::from_secs(numerator.into()) / denominator)
}

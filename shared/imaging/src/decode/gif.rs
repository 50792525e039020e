use std::num::NonZeroU64;

use gif::{ColorOutput, DecodeOptions, DecodingError, MemoryLimit};

use super::Decoded;
use crate::limits::Budget;
use crate::raster::{Pixels, Raster};
use crate::{Header, Reject, container};

pub(super) fn decode(bytes: &[u8], header: &Header, budget: &Budget) -> Result<Decoded, Reject> {
    // Walks to the trailer: a file that ends before it is incomplete, even if its first frame is not.
    container::gif::header(bytes)?;
    // The frame, and profiles and notes, which the decoder keeps as well.
    let memory = 4 * header.largest_frame + bytes.len() as u64;
    budget.afford(memory)?;

    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::RGBA);
    options.set_memory_limit(MemoryLimit::Bytes(NonZeroU64::new(memory).unwrap_or(NonZeroU64::MIN)));
    // Comments and plain text are skipped by the walker and have to be here.
    options.allow_unknown_blocks(true);
    let mut decoder = options.read_info(bytes).map_err(reject)?;
    let frame = decoder.next_frame_info().map_err(reject)?.ok_or(Reject::Undecodable("it has no picture"))?;
    let (width, height) = (u32::from(frame.width), u32::from(frame.height));
    let position = (u32::from(frame.left), u32::from(frame.top));
    if width == 0 || height == 0 {
        return Err(Reject::Undecodable("its first frame has no size"));
    }
    let mut raster = Raster::blank(width, height, Pixels::Rgba, budget)?;
    decoder.read_into_buffer(&mut raster.data).map_err(reject)?;
    let raster = raster.onto_canvas((header.width, header.height), position, budget)?;
    Ok(Decoded { raster, icc: decoder.icc_profile().map(<[u8]>::to_vec) })
}

pub(crate) fn reject(error: DecodingError) -> Reject {
    match error {
        DecodingError::UnexpectedEof => Reject::Truncated,
        DecodingError::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Reject::Truncated,
        _ => Reject::Undecodable("its data makes no sense"),
    }
}

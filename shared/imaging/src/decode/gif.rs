use std::num::NonZeroU64;

use gif::{ColorOutput, DecodeOptions, DecodingError, MemoryLimit};

use super::Decoded;
use crate::limits::Budget;
use crate::raster::{Pixels, Raster};
use crate::{Header, Reject, container};

pub(super) fn decode(bytes: &[u8], header: &Header, budget: &Budget) -> Result<Decoded, Reject> {
    // Walks to the trailer: a file that ends before it is incomplete, even if its first frame is not.
    container::gif::header(bytes)?;
    budget.afford(4 * header.largest_frame)?;

    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::RGBA);
    // The budget was just checked; this holds the decoder to the frame that it was checked for.
    let memory = NonZeroU64::new(4 * header.largest_frame).unwrap_or(NonZeroU64::MIN);
    options.set_memory_limit(MemoryLimit::Bytes(memory));
    // Comments and plain text are skipped by the walker and have to be here.
    options.allow_unknown_blocks(true);
    let mut decoder = options.read_info(bytes).map_err(reject)?;
    let frame = decoder.read_next_frame().map_err(reject)?.ok_or(Reject::Undecodable("it has no picture"))?;

    let (width, height) = (u32::from(frame.width), u32::from(frame.height));
    if width == 0 || height == 0 {
        return Err(Reject::Undecodable("its first frame has no size"));
    }
    let position = (u32::from(frame.left), u32::from(frame.top));
    let raster = Raster { width, height, pixels: Pixels::Rgba, data: frame.buffer.to_vec() };
    if raster.bytes() != Pixels::Rgba.bytes(width, height) {
        return Err(Reject::Truncated);
    }
    let raster = raster.onto_canvas((header.width, header.height), position, budget)?;
    Ok(Decoded { raster, icc: decoder.icc_profile().map(<[u8]>::to_vec) })
}

fn reject(error: DecodingError) -> Reject {
    match error {
        DecodingError::UnexpectedEof => Reject::Truncated,
        DecodingError::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Reject::Truncated,
        _ => Reject::Undecodable("its data makes no sense"),
    }
}

use std::io::{Cursor, ErrorKind};

use png::{BitDepth, ColorType, DecodingError, Info, Limits, Transformations};

use super::heif::profile;
use super::shrink::{Shrink, factor};
use super::{Decoded, OTHER_SIZE};
use crate::container;
use crate::container::heif::Nclx;
use crate::limits::Budget;
use crate::raster::{Pixels, Raster};
use crate::{Header, Reject};

/// For what the `png` crate allocates of its own: a few rows, and colour profiles, which are compressed
/// and may be bombs. A row of 16-bit RGBA at the widest is 240 KB.
pub(crate) const DECODER_MEMORY: usize = 16 << 20;

/// ITU-T H.273, table 2.
const SRGB_PRIMARIES: u8 = 1;

pub(super) fn decode(
    bytes: &[u8], header: &Header, wanted: (u32, u32), budget: &Budget,
) -> Result<Decoded, Reject> {
    container::png::whole(bytes)?;
    let limits = Limits { bytes: DECODER_MEMORY };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), limits);
    // Palettes and grays of few bits become 8-bit samples, transparent colours an alpha channel, and
    // 16 bits lose the lower 8.
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    decoder.set_ignore_text_chunk(true);
    let mut reader = decoder.read_info().map_err(reject)?;
    if reader.info().size() != header.stored_size() {
        return Err(OTHER_SIZE);
    }
    let pixels = match reader.output_color_type() {
        (ColorType::Grayscale, BitDepth::Eight) => Pixels::Gray,
        (ColorType::GrayscaleAlpha, BitDepth::Eight) => Pixels::GrayAlpha,
        (ColorType::Rgb, BitDepth::Eight) => Pixels::Rgb,
        (ColorType::Rgba, BitDepth::Eight) => Pixels::Rgba,
        _ => return Err(Reject::Undecodable("its colour type")),
    };
    let (width, height) = header.stored_size();
    if reader.output_buffer_size().map(|size| size as u64) != Some(pixels.bytes(width, height)) {
        return Err(OTHER_SIZE);
    }
    // The first picture: the one that a reader without animation shows. Where it fills the canvas, and its
    // rows come one after the other, they need not all be there at once.
    let info = reader.info();
    let whole = info.frame_control.is_none_or(|frame| {
        (frame.x_offset, frame.y_offset, frame.width, frame.height) == (0, 0, width, height)
    });
    let by_rows = whole && !info.interlaced;
    let factor = if by_rows && !pixels.has_alpha() { factor((width, height), wanted) } else { 1 };
    let raster = if factor > 1 {
        let mut shrink = Shrink::new((width, height), pixels, factor, budget)?;
        while let Some(row) = reader.next_row().map_err(reject)? {
            shrink.row(row.data());
            if shrink.is_between_rows() {
                budget.still_time()?;
            }
        }
        shrink.finish().ok_or(Reject::Truncated)?
    } else {
        let mut raster = Raster::blank(width, height, pixels, budget)?;
        if by_rows {
            let mut rows = raster.data.chunks_exact_mut(width as usize * pixels.channels());
            // After the last row, it sees to it that the data ends there.
            while reader.read_row(rows.next().unwrap_or_default()).map_err(reject)?.is_some() {
                budget.still_time()?;
            }
        } else {
            // What is interlaced, or less than the canvas, is laid out by this alone, in one step.
            reader.next_frame(&mut raster.data).map_err(reject)?;
        }
        raster
    };
    let icc = colours(reader.info(), pixels);
    Ok(Decoded { raster, icc })
}

/// The profile of the colours: by number (`cICP`), which comes before any other (PNG third edition, 4.3), or
/// as it stands in the file. `gAMA` and `cHRM` are not made use of, nor does libvips: they are the oldest way
/// to say it and the one that is most often wrong.
pub(crate) fn colours(info: &Info, pixels: Pixels) -> Option<Vec<u8>> {
    let Some(numbers) = info.coding_independent_code_points else {
        return info.icc_profile.as_ref().map(|profile| profile.to_vec());
    };
    // Gray is that of any primaries.
    let gray = matches!(pixels, Pixels::Gray | Pixels::GrayAlpha);
    profile(Nclx {
        primaries: if gray { SRGB_PRIMARIES } else { numbers.color_primaries },
        transfer: numbers.transfer_function,
        matrix: numbers.matrix_coefficients,
        full_range: numbers.is_video_full_range_image,
    })
}

pub(crate) fn reject(error: DecodingError) -> Reject {
    match error {
        DecodingError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => Reject::Truncated,
        _ => Reject::Undecodable("its data makes no sense"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_png_is_left_between_its_rows_at_the_deadline() {
        let file = include_bytes!("../../tests/fixtures/pngsuite/basn6a08.png");
        let header = crate::probe(file).unwrap();
        let budget = Budget::for_tests();
        assert!(decode(file, &header, (32, 32), &budget).is_ok());
        let late = Budget { deadline: Instant::now(), ..budget };
        assert_eq!(decode(file, &header, (32, 32), &late).unwrap_err(), Reject::OutOfTime);
    }
}

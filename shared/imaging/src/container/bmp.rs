//! BMP: a file header, an information header that has grown over time, a palette, pixels.
//!
//! Microsoft documents the versions 3 to 5 (`BITMAPINFOHEADER`, `BITMAPV4HEADER`, `BITMAPV5HEADER`);
//! OS/2 wrote the first (`BITMAPCOREHEADER`) and one of 64 bytes.

use super::Cursor;
use crate::{Format, Header, Orientation, Reject};

const BROKEN: Reject = Reject::Undecodable("its header makes no sense");

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    /// Indices into the palette, of so many bits.
    Indices(u16),
    /// The same, as runs (RLE4, RLE8).
    Runs(u16),
    /// Blue, green, red.
    Bytes,
    /// Numbers of 16 or 32 bits, with masks for red, green, blue and alpha.
    Masks(u16, [u32; 4]),
}

#[derive(Debug)]
pub(crate) struct Bitmap<'a> {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) top_down: bool,
    pub(crate) coding: Coding,
    /// Blue, green, red, which is as they are stored.
    pub(crate) palette: Vec<[u8; 3]>,
    /// Bytes of a row, which are a multiple of 4. Of runs 0.
    pub(crate) stride: usize,
    pub(crate) pixels: &'a [u8],
    pub(crate) icc: Option<&'a [u8]>,
}

impl Bitmap<'_> {
    pub(crate) fn has_alpha(&self) -> bool {
        matches!(self.coding, Coding::Masks(_, [.., alpha]) if alpha != 0)
    }
}

pub(crate) fn header(bytes: &[u8]) -> Result<Header, Reject> {
    let bitmap = bitmap(bytes)?;
    Ok(Header {
        format: Format::Bmp,
        width: bitmap.width,
        height: bitmap.height,
        orientation: Orientation::Upright,
        frames: 1,
        alpha: bitmap.has_alpha(),
        largest_frame: u64::from(bitmap.width) * u64::from(bitmap.height),
    })
}

/// Reads the headers, and finds that all pixels are there.
pub(crate) fn bitmap(bytes: &[u8]) -> Result<Bitmap<'_>, Reject> {
    let mut file = Cursor::new(bytes, 10);
    let pixels_at = u32::from_le_bytes(file.array()?) as usize;
    let size = u32::from_le_bytes(file.array()?) as usize;
    let info = Cursor::new(bytes, 14).take(size)?;
    let mut cursor = Cursor::new(info, 4);
    let mut number = || cursor.array().map_or(0, u32::from_le_bytes);
    let (width, height, bits, compression, colours) = match size {
        12 => {
            let (sides, planes_and_bits) = (number(), number());
            ((sides & 0xffff).cast_signed(), (sides >> 16).cast_signed(), planes_and_bits >> 16, 0, 0)
        }
        // The fields that are left out are zeros.
        16..=124 => {
            let (width, height, bits, compression) =
                (number().cast_signed(), number().cast_signed(), number() >> 16, number());
            let [_, _, _, colours] = [number(), number(), number(), number()];
            (width, height, bits, compression, colours)
        }
        _ => return Err(BROKEN),
    };
    let bits = u16::try_from(bits).map_err(|_| BROKEN)?;
    let top_down = height < 0;
    let (width, height) = (u32::try_from(width).map_err(|_| BROKEN)?, height.unsigned_abs());
    if width == 0 || height == 0 {
        return Err(Reject::Undecodable("it has no width or no height"));
    }

    let mut after = 14 + size;
    // Where the third version has masks, they follow its header; later headers include them.
    let mut masks = || {
        let (at, count) = match (size, compression) {
            (40, 6) => (after, 4),
            (40, _) => (after, 3),
            (52, _) => (14 + 40, 3),
            _ => (14 + 40, 4),
        };
        if size == 40 {
            after += 4 * count;
        }
        let mut cursor = Cursor::new(bytes, at);
        let mut masks = [0; 4];
        for mask in &mut masks[..count] {
            *mask = u32::from_le_bytes(cursor.array()?);
        }
        Ok(masks)
    };
    let coding = match (compression, bits) {
        (0, 1 | 2 | 4 | 8) => Coding::Indices(bits),
        (1, 8) | (2, 4) if size >= 40 && !top_down => Coding::Runs(bits),
        (0, 16) => Coding::Masks(16, [0x7c00, 0x03e0, 0x001f, 0]),
        (0, 24) => Coding::Bytes,
        // The fourth byte means nothing here, whatever is in it.
        (0, 32) => Coding::Masks(32, [0xff_0000, 0xff00, 0xff, 0]),
        (3 | 6, 16 | 32) if size >= 40 => Coding::Masks(bits, masks()?),
        (4 | 5, _) => return Err(Reject::UnsupportedFormat("BMP of another format")),
        _ => return Err(Reject::UnsupportedFormat("BMP of a rare kind")),
    };
    if let Coding::Masks(_, masks) = coding {
        // Each a run of ones, or none at all.
        let run = |mask: u32| {
            mask == 0
                || (mask >> mask.trailing_zeros()).wrapping_add(1).is_power_of_two()
                || mask >> mask.trailing_zeros() == u32::MAX
        };
        if !masks.into_iter().all(run) {
            return Err(BROKEN);
        }
    }

    let palette = if let Coding::Indices(bits) | Coding::Runs(bits) = coding {
        palette(bytes, after, size, bits, colours, pixels_at)?
    } else {
        vec![]
    };
    let stride = match coding {
        Coding::Runs(_) => 0,
        _ => (u64::from(width) * u64::from(bits)).div_ceil(32) * 4,
    };
    let stride = usize::try_from(stride).map_err(|_| BROKEN)?;
    let pixels = bytes.get(pixels_at..).ok_or(Reject::Truncated)?;
    let length = u64::from(height).checked_mul(stride as u64).ok_or(BROKEN)?;
    // The padding of the last row is often forgotten.
    let padding = (stride as u64).saturating_sub((u64::from(width) * u64::from(bits)).div_ceil(8));
    if (pixels.len() as u64) < length.saturating_sub(padding) || pixels_at < 14 + size {
        return Err(Reject::Truncated);
    }
    let icc = embedded_profile(info).and_then(|(at, length)| bytes.get(14 + at..)?.get(..length));
    Ok(Bitmap { width, height, top_down, coding, palette, stride, pixels, icc })
}

/// The palette, filled up with black to what its indices can say.
fn palette(
    bytes: &[u8], at: usize, size: usize, bits: u16, colours: u32, pixels_at: usize,
) -> Result<Vec<[u8; 3]>, Reject> {
    let most = 1_usize << bits;
    let entry = if size == 12 { 3 } else { 4 };
    let count = if colours == 0 { most } else { (colours as usize).min(most) };
    // The pixels begin where they begin, even if the palette says that it goes on.
    let room = pixels_at.checked_sub(at).ok_or(BROKEN)? / entry;
    let entries = Cursor::new(bytes, at).take(count.min(room) * entry)?;
    let mut palette: Vec<[u8; 3]> = entries.chunks_exact(entry).map(|e| [e[0], e[1], e[2]]).collect();
    palette.resize(most, [0; 3]);
    Ok(palette)
}

/// Where a fifth header says that its profile is: `bV5CSType` is "MBED", counted from the header.
fn embedded_profile(info: &[u8]) -> Option<(usize, usize)> {
    let word = |at: usize| Some(u32::from_le_bytes(*info.get(at..)?.first_chunk()?) as usize);
    (info.len() >= 124 && word(56)? == 0x4d42_4544).then(|| Some((word(112)?, word(116)?)))?
}

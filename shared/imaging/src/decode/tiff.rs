//! TIFF, row by row: what is compressed is never expanded as a whole, but for JPEG.
//!
//! The directory is read by [`container::tiff`]; the codecs are those of the formats that brought them
//! (LZW of GIF, Deflate of PNG, JPEG). The `tiff` crate puts the two together as well, but refuses
//! palettes, drops extra samples in the wrong order, and wants each strip, which may be the whole
//! picture, in memory next to the result.

use std::io::{ErrorKind, Read};

use flate2::bufread::ZlibDecoder;
use weezl::{BitOrder, LzwStatus};

use super::{Decoded, OTHER_SIZE, jpeg};
use crate::container::tiff::{Alpha, Colours, Compression, Page, page};
use crate::limits::Budget;
use crate::raster::{Pixels, Raster};
use crate::{Reject, container};

const GARBAGE: Reject = Reject::Undecodable("its data makes no sense");

pub(super) fn decode(bytes: &[u8], budget: &Budget) -> Result<Decoded, Reject> {
    let page = page(bytes)?;
    let pixels = pixels(&page);
    let mut raster = Raster::blank(page.width, page.height, pixels, budget)?;
    read(&page, budget, &mut raster.data, |sample, to| to.copy_from_slice(&[page.byte(sample)]))?;
    if page.alpha == Alpha::Associated {
        super::divide_by_alpha(&mut raster);
    }
    Ok(Decoded { raster, icc: page.icc.map(<[u8]>::to_vec) })
}

/// The pixels of a page of 16-bit samples as they are, big-endian: to keep them.
pub(crate) fn wide(page: &Page, budget: &Budget) -> Result<Vec<u8>, Reject> {
    let size = 2 * pixels(page).bytes(page.width, page.height);
    budget.afford(size)?;
    let size = usize::try_from(size).map_err(|_| budget.refusal(size))?;
    let mut data = Vec::new();
    data.try_reserve_exact(size).map_err(|_| budget.refusal(size as u64))?;
    data.resize(size, 0);
    read(page, budget, &mut data, |sample, to| to.copy_from_slice(&sample.to_be_bytes()))?;
    Ok(data)
}

pub(crate) fn pixels(page: &Page) -> Pixels {
    match (page.colours, page.alpha == Alpha::None) {
        (Colours::Gray { .. }, true) => Pixels::Gray,
        (Colours::Gray { .. }, false) => Pixels::GrayAlpha,
        (Colours::Rgb, false) => Pixels::Rgba,
        (Colours::Rgb | Colours::YCbCr | Colours::Palette, _) => Pixels::Rgb,
        (Colours::Cmyk, _) => Pixels::Cmyk,
    }
}

impl Page<'_> {
    /// A sample in 8 bits.
    fn byte(&self, sample: u16) -> u8 {
        let scaled = match self.bits {
            1 => sample * 255,
            2 => sample * 85,
            4 => sample * 17,
            8 => sample,
            _ => return round(sample),
        };
        u8::try_from(scaled).unwrap_or(u8::MAX)
    }
}

/// 16 bits to 8.
fn round(sample: u16) -> u8 {
    let rounded = (u32::from(sample) * 255 + 32_767) / 65_535;
    u8::try_from(rounded).unwrap_or(u8::MAX)
}

/// Reads all samples that are shown; `put` writes one.
fn read(page: &Page, budget: &Budget, to: &mut [u8], put: impl Fn(u16, &mut [u8])) -> Result<(), Reject> {
    let (chunk_width, chunk_height) = page.chunk;
    let across = page.width.div_ceil(chunk_width) as usize;
    let down = page.height.div_ceil(chunk_height) as usize;
    let stored = if page.planar { 1 } else { usize::from(page.samples) };
    let channels = pixels(page).channels();
    let size = to.len() / channels / page.width as usize / page.height as usize;

    let row_samples = u64::from(chunk_width) * stored as u64;
    let row_bytes = (row_samples * u64::from(page.bits)).div_ceil(8);
    // A row of the file and one of samples.
    budget.afford(to.len() as u64 + row_bytes + 2 * row_samples)?;
    let too_wide = |_| budget.refusal(row_bytes);
    let mut packed = vec![0; usize::try_from(row_bytes).map_err(too_wide)?];
    let mut samples = vec![0; usize::try_from(row_samples).map_err(too_wide)?];

    for (index, &chunk) in page.chunks.iter().enumerate() {
        budget.still_time()?;
        let (plane, place) = (index / (across * down), index % (across * down));
        if page.planar
            && plane >= usize::from(page.colours.samples()) + usize::from(page.alpha != Alpha::None)
        {
            break;
        }
        let (x, y) = ((place % across) * chunk_width as usize, (place / across) * chunk_height as usize);
        let width = (chunk_width as usize).min(page.width as usize - x);
        let height = (chunk_height as usize).min(page.height as usize - y);
        let rows_stored = if page.tiled { chunk_height as usize } else { height };
        let mut source = Source::open(page, chunk, (chunk_width, rows_stored), to.len(), budget)?;
        let rows = to.chunks_exact_mut(page.width as usize * channels * size).skip(y).take(height);
        for row in rows {
            source.fill(&mut packed)?;
            if page.reversed {
                for byte in &mut packed {
                    *byte = byte.reverse_bits();
                }
            }
            unpack(page, plane, stored, &packed, &mut samples);
            let pixels = row.chunks_exact_mut(channels * size).skip(x).take(width);
            for (pixel, samples) in pixels.zip(samples.chunks_exact(stored)) {
                if let (Colours::Palette, [index, ..]) = (page.colours, samples) {
                    let entries = page.palette.chunks_exact(1 << page.bits);
                    for (channel, entries) in pixel.iter_mut().zip(entries) {
                        // Half of the writers put 8 bits into both bytes, half into the upper one.
                        *channel = entries[usize::from(*index)].to_be_bytes()[0];
                    }
                } else if page.planar {
                    put(samples[0], &mut pixel[plane * size..][..size]);
                } else {
                    for (channel, &sample) in pixel.chunks_exact_mut(size).zip(samples) {
                        put(sample, channel);
                    }
                }
            }
        }
    }
    Ok(())
}

/// From a row of a plane as it is stored to its samples.
fn unpack(page: &Page, plane: usize, stored: usize, packed: &[u8], samples: &mut [u16]) {
    match page.bits {
        16 => {
            for (&pair, sample) in packed.as_chunks().0.iter().zip(samples.iter_mut()) {
                *sample =
                    if page.little_endian { u16::from_le_bytes(pair) } else { u16::from_be_bytes(pair) };
            }
        }
        8 => {
            for (&byte, sample) in packed.iter().zip(samples.iter_mut()) {
                *sample = byte.into();
            }
        }
        bits => {
            let each = usize::from(8 / bits);
            for (&byte, samples) in packed.iter().zip(samples.chunks_mut(each)) {
                for (place, sample) in (1..).zip(samples) {
                    *sample = u16::from(byte) >> (8 - bits * place) & ((1 << bits) - 1);
                }
            }
        }
    }
    if page.differences {
        let most = if page.bits == 8 { 0xff } else { 0xffff };
        for at in stored..samples.len() {
            samples[at] = samples[at].wrapping_add(samples[at - stored]) & most;
        }
    }
    // Gray is the first sample; that of transparency is in the same row or in a plane of its own.
    if plane == 0 && page.colours == (Colours::Gray { white_is_zero: true }) {
        let most = u16::MAX >> (16 - page.bits);
        for gray in samples.iter_mut().step_by(stored) {
            *gray = most - *gray;
        }
    }
}

/// A strip or a tile, from which rows are taken.
enum Source<'a> {
    Plain(&'a [u8]),
    PackBits(PackBits<'a>),
    Lzw(Box<weezl::decode::Decoder>, &'a [u8]),
    Deflate(Box<ZlibDecoder<&'a [u8]>>),
    Jpeg(Vec<u8>, usize),
}

impl<'a> Source<'a> {
    fn open(
        page: &Page, chunk: &'a [u8], size: (u32, usize), held: usize, budget: &Budget,
    ) -> Result<Self, Reject> {
        Ok(match page.compression {
            Compression::None => Self::Plain(chunk),
            Compression::PackBits => Self::PackBits(PackBits { data: chunk, run: Run::None }),
            Compression::Lzw => {
                let decoder = weezl::decode::Decoder::with_tiff_size_switch(BitOrder::Msb, 8);
                Self::Lzw(Box::new(decoder), chunk)
            }
            Compression::Deflate => Self::Deflate(Box::new(ZlibDecoder::new(chunk))),
            Compression::Jpeg => Self::Jpeg(jpeg_chunk(page, chunk, size, held, budget)?, 0),
        })
    }

    fn fill(&mut self, row: &mut [u8]) -> Result<(), Reject> {
        match self {
            Self::Plain(data) => {
                let (taken, rest) = data.split_at_checked(row.len()).ok_or(Reject::Truncated)?;
                row.copy_from_slice(taken);
                *data = rest;
            }
            Self::PackBits(runs) => runs.fill(row)?,
            Self::Lzw(decoder, data) => {
                let mut at = 0;
                while at < row.len() {
                    let done = decoder.decode_bytes(data, &mut row[at..]);
                    *data = &data[done.consumed_in..];
                    at += done.consumed_out;
                    match done.status {
                        Ok(LzwStatus::NoProgress | LzwStatus::Done) if at < row.len() => {
                            return Err(Reject::Truncated);
                        }
                        Ok(LzwStatus::Ok | LzwStatus::NoProgress | LzwStatus::Done) => {}
                        Err(_) => return Err(GARBAGE),
                    }
                }
            }
            Self::Deflate(decoder) => decoder.read_exact(row).map_err(|error| match error.kind() {
                ErrorKind::UnexpectedEof => Reject::Truncated,
                _ => GARBAGE,
            })?,
            Self::Jpeg(data, at) => {
                row.copy_from_slice(data.get(*at..*at + row.len()).ok_or(Reject::Truncated)?);
                *at += row.len();
            }
        }
        Ok(())
    }
}

/// Section 9: a count, then so many bytes, or one that is repeated.
struct PackBits<'a> {
    data: &'a [u8],
    run: Run,
}

enum Run {
    None,
    Literal(usize),
    Repeated(usize, u8),
}

impl PackBits<'_> {
    fn fill(&mut self, mut row: &mut [u8]) -> Result<(), Reject> {
        while !row.is_empty() {
            let done = match &mut self.run {
                Run::Literal(left) if *left > 0 => {
                    let count = row.len().min(*left);
                    let (taken, rest) = self.data.split_at_checked(count).ok_or(Reject::Truncated)?;
                    row[..count].copy_from_slice(taken);
                    self.data = rest;
                    *left -= count;
                    count
                }
                Run::Repeated(left, byte) if *left > 0 => {
                    let count = row.len().min(*left);
                    row[..count].fill(*byte);
                    *left -= count;
                    count
                }
                Run::None | Run::Literal(_) | Run::Repeated(..) => {
                    let (&count, rest) = self.data.split_first().ok_or(Reject::Truncated)?;
                    self.data = rest;
                    self.run = match count.cast_signed() {
                        -128 => Run::None,
                        literal @ 0.. => Run::Literal(usize::from(literal.unsigned_abs()) + 1),
                        repeated => {
                            let (&byte, rest) = self.data.split_first().ok_or(Reject::Truncated)?;
                            self.data = rest;
                            Run::Repeated(usize::from(repeated.unsigned_abs()) + 1, byte)
                        }
                    };
                    0
                }
            };
            row = &mut row[done..];
        }
        Ok(())
    }
}

/// Decodes a JPEG chunk: its tables may be kept once for all of them (TIFF Technical Note 2).
fn jpeg_chunk(
    page: &Page, chunk: &[u8], (width, height): (u32, usize), held: usize, budget: &Budget,
) -> Result<Vec<u8>, Reject> {
    /// Says that three components are red, green and blue.
    const RGB: &[u8] = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\0";
    if page.bits != 8 || page.differences {
        return Err(Reject::UnsupportedFormat("TIFF with samples of a rare kind"));
    }
    let start = [0xff, 0xd8];
    let tables = page.jpeg_tables.unwrap_or_default();
    let tables = tables.strip_prefix(&start).unwrap_or(tables);
    let tables = tables.strip_suffix(&[0xff, 0xd9]).unwrap_or(tables);
    let rest = chunk.strip_prefix(&start).ok_or(GARBAGE)?;
    let mark = if page.colours == Colours::Rgb && !page.planar { RGB } else { &[] };
    let file = [&start, mark, tables, rest].concat();

    let mut header = container::jpeg::header(&file)?;
    // What is said in the chunk of how it was held is not said of the page.
    let (stored_width, stored_height) = header.stored_size();
    (header.width, header.height) = (stored_width, stored_height);
    header.orientation = crate::Orientation::Upright;
    let full_height = if page.tiled { height } else { page.chunk.1 as usize };
    if stored_width != width || (stored_height as usize) < height || stored_height as usize > full_height {
        return Err(OTHER_SIZE);
    }
    let left = Budget { memory: budget.memory.saturating_sub(held as u64), ..*budget };
    let raster = jpeg::decode(&file, &header, &left)?.raster;
    let channels = if page.planar { 1 } else { usize::from(page.samples) };
    if raster.pixels.channels() == channels { Ok(raster.data) } else { Err(OTHER_SIZE) }
}

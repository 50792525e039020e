//! HEVC stills, by `heifer`.

use heifer_hevc_dec::Error;
use heifer_hevc_dec::decoder::{DecodeOptions, decode_picture};
use heifer_hevc_dec::nal::NalUnit;
use heifer_hevc_dec::params::Sps;
use heifer_hevc_dec::recon::Frame as Planes;
use memchr::memmem;

use super::OTHER_SIZE;
use super::yuv::{Chroma, Frame};
use crate::Reject;
use crate::container::Cursor;
use crate::container::heif::{Coded, Nclx};
use crate::limits::Budget;

/// Bytes that the decoder holds for each pixel besides the samples: measured at 3, with room to spare.
const WORK: u64 = 5;

/// A picture has at most 600 slices (H.265, A.4.2).
const MOST_UNITS: usize = 1_000;

/// Coding blocks are at most of this size, to a multiple of which pictures may be padded.
const BLOCK: u32 = 64;

const GARBAGE: Reject = Reject::Undecodable("its data makes no sense");

pub(super) struct Hevc {
    planes: Planes,
    nclx: Nclx,
}

pub(super) fn frame(coded: &Coded, size: (u32, u32), budget: &Budget) -> Result<Hevc, Reject> {
    budget.afford(3 * coded.data.len() as u64)?;
    let mut stream = Stream { bytes: Vec::with_capacity(coded.data.len() + 512), units: 0, found: None };
    let unit_length = parameters(coded.config, |unit| stream.push(unit, size)).map_err(damaged)?;
    let data = coded.data.join();
    let mut cursor = Cursor::new(&data, 0);
    while !cursor.rest().is_empty() {
        let length =
            cursor.take(unit_length)?.iter().fold(0, |length, &byte| length << 8 | usize::from(byte));
        stream.push(cursor.take(length)?, size)?;
    }
    drop(data);
    let (nclx, bytes) = stream.found.ok_or(GARBAGE)?;
    let max_pixels = u64::from(size.0.saturating_add(BLOCK)) * u64::from(size.1.saturating_add(BLOCK));
    budget.afford(max_pixels * (bytes + WORK) + 3 * coded.data.len() as u64)?;
    let options = DecodeOptions { max_pixels, ..DecodeOptions::default() };
    let planes = decode_picture(&stream.bytes, options).map_err(|error| match error {
        Error::UnexpectedEof => Reject::Truncated,
        Error::Unimplemented(_) => Reject::UnsupportedFormat("HEVC of a rare kind"),
        Error::Invalid(_) | Error::HashMismatch(_) => GARBAGE,
    })?;
    let fits = |found: u32, said: u32| found >= said && found - said < BLOCK;
    if !fits(planes.widths[0], size.0) || !fits(planes.heights[0], size.1) {
        return Err(OTHER_SIZE);
    }
    Ok(Hevc { planes, nclx })
}

/// What is missing within a property is not missing at the end of the file.
fn damaged(reject: Reject) -> Reject {
    if reject == Reject::Truncated { GARBAGE } else { reject }
}

/// Passes on the parameter sets in a `hvcC` property (ISO/IEC 14496-15, 8.3.2.1). Answers with how many
/// bytes say the length of a unit.
fn parameters(config: &[u8], mut push: impl FnMut(&[u8]) -> Result<(), Reject>) -> Result<usize, Reject> {
    let mut cursor = Cursor::new(config, 21);
    let unit_length = usize::from(cursor.u8()? & 3) + 1;
    for _ in 0..cursor.u8()? {
        cursor.u8()?;
        for _ in 0..u16::from_be_bytes(cursor.array()?) {
            let length = u16::from_be_bytes(cursor.array()?);
            push(cursor.take(length.into())?)?;
        }
    }
    Ok(unit_length)
}

/// The units of a picture with start codes between them (H.265, annex B).
struct Stream {
    bytes: Vec<u8>,
    units: usize,
    found: Option<(Nclx, u64)>,
}

impl Stream {
    fn push(&mut self, unit: &[u8], size: (u32, u32)) -> Result<(), Reject> {
        const START: [u8; 3] = [0, 0, 1];
        let &[first, second, ..] = unit else {
            return Ok(());
        };
        let (kind, layer) = (first >> 1 & 63, (first & 1) << 5 | second >> 3);
        // Slices and parameter sets of the base layer; the rest is remarks.
        if !matches!(kind, 0..=9 | 16..=21 | 32..=34) || layer != 0 {
            return Ok(());
        }
        self.units += 1;
        // A start code within a unit would be one more unit.
        if self.units > MOST_UNITS || memmem::find(unit, &START).is_some() {
            return Err(GARBAGE);
        }
        if kind == 33 {
            self.check(unit, size)?;
        }
        self.bytes.extend(START);
        self.bytes.extend(unit);
        Ok(())
    }

    /// Refuses dimensions that are not those of the picture before anything is sized by them.
    fn check(&mut self, unit: &[u8], size: (u32, u32)) -> Result<(), Reject> {
        let parsed = NalUnit::parse(unit).and_then(|unit| Sps::parse(&unit.rbsp));
        let sps = parsed.map_err(|_| GARBAGE)?;
        let fits = |found: u32, said: u32| found < said.saturating_add(2 * BLOCK);
        if !fits(sps.pic_width_in_luma_samples, size.0) || !fits(sps.pic_height_in_luma_samples, size.1) {
            return Err(OTHER_SIZE);
        }
        let vui = sps.vui.as_ref();
        let nclx = Nclx {
            primaries: vui.map_or(2, |vui| vui.colour_primaries),
            transfer: vui.map_or(2, |vui| vui.transfer_characteristics),
            matrix: vui.map_or(2, |vui| vui.matrix_coeffs),
            full_range: vui.is_some_and(|vui| vui.video_full_range_flag),
        };
        // 16 bits a sample, and once more if there is something to cut off.
        let samples = if sps.chroma_format_idc < 2 { 3 } else { 6 };
        let copies = if sps.conf_win_offsets == [0; 4] { 1 } else { 2 };
        self.found = Some((nclx, samples * copies));
        Ok(())
    }
}

impl Frame for Hevc {
    fn size(&self) -> (u32, u32) {
        (self.planes.widths[0], self.planes.heights[0])
    }

    fn depth(&self) -> u8 {
        self.planes.bit_depth[0]
    }

    fn chroma(&self) -> Chroma {
        match self.planes.chroma_format {
            _ if self.planes.widths[1] == 0 => Chroma::None,
            1 => Chroma::Both,
            2 => Chroma::Across,
            _ => Chroma::Full,
        }
    }

    fn nclx(&self) -> Nclx {
        self.nclx
    }

    fn row(&self, plane: usize, y: usize, to: &mut [u16]) {
        let width = self.planes.widths[plane] as usize;
        let row = self.planes.planes[plane].get(y * width..(y + 1) * width).unwrap_or_default();
        // Chroma may be of another depth, which no camera makes use of.
        let (own, luma) = (self.planes.bit_depth[usize::from(plane > 0)], self.planes.bit_depth[0]);
        for (to, &sample) in to.iter_mut().zip(row) {
            *to = if own > luma { sample >> (own - luma) } else { sample << (luma - own) };
        }
    }
}

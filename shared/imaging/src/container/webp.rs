//! WebP: RIFF chunks (RFC 9649, 2).

use super::Cursor;
use crate::animation::Loops;
use crate::metadata::orientation;
use crate::{Format, Header, Reject};

const ALPHA_FLAG: u8 = 0x10;
const ICC_FLAG: u8 = 0x20;
const EXIF_FLAG: u8 = 0x08;
const XMP_FLAG: u8 = 0x04;

/// What precedes the chunks within an animation frame: its place, duration and blending.
const FRAME_HEADER: usize = 16;

const BROKEN: Reject = Reject::Undecodable("its frame header");

struct Chunk<'a> {
    name: [u8; 4],
    data: &'a [u8],
}

struct Chunks<'a> {
    cursor: Cursor<'a>,
    over: bool,
}

impl<'a> Chunks<'a> {
    fn within(bytes: &'a [u8]) -> Self {
        Self { cursor: Cursor::new(bytes, 0), over: false }
    }

    /// The chunks of a file, as far as its RIFF header says that it goes.
    fn of_file(bytes: &'a [u8]) -> Result<Self, Reject> {
        let mut cursor = Cursor::new(bytes, 4);
        let length = u32::from_le_bytes(cursor.array()?);
        let body = cursor.take(length as usize)?;
        Ok(Self::within(body.strip_prefix(b"WEBP").ok_or(Reject::NotAnImage)?))
    }

    fn next_chunk(&mut self) -> Result<Chunk<'a>, Reject> {
        let name = self.cursor.array()?;
        let length = u32::from_le_bytes(self.cursor.array()?);
        let data = self.cursor.take(length as usize)?;
        // Chunks are padded to an even length; the padding of the last one is often forgotten.
        self.cursor.at += data.len() % 2;
        Ok(Chunk { name, data })
    }
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Result<Chunk<'a>, Reject>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over || self.cursor.rest().is_empty() {
            return None;
        }
        let chunk = self.next_chunk();
        self.over = chunk.is_err();
        Some(chunk)
    }
}

/// Three bytes, little-endian.
fn u24(bytes: [u8; 3]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0])
}

/// What a `VP8 ` or `VP8L` chunk says of itself: width, height, transparency.
fn bitstream(chunk: &Chunk) -> Result<Option<(u32, u32, bool)>, Reject> {
    match &chunk.name {
        // RFC 6386, 9.1: frame tag, start code, two times 14 bits and a scale.
        b"VP8 " => match *chunk.data {
            [tag, _, _, 0x9d, 0x01, 0x2a, w0, w1, h0, h1, ..] if tag & 1 == 0 => {
                let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
                Ok(Some((side(w0, w1), side(h0, h1), false)))
            }
            _ => Err(BROKEN),
        },
        // RFC 9649, 3.4: signature, two times 14 bits, each less one, then the hint for alpha.
        b"VP8L" => match *chunk.data {
            [0x2f, a, b, c, d, ..] => {
                let bits = u32::from_le_bytes([a, b, c, d]);
                let (width, height) = (1 + (bits & 0x3fff), 1 + ((bits >> 14) & 0x3fff));
                Ok(Some((width, height, bits & (1 << 28) != 0)))
            }
            _ => Err(BROKEN),
        },
        _ => Ok(None),
    }
}

pub(crate) fn header(bytes: &[u8]) -> Result<Header, Reject> {
    let (mut canvas, mut still, mut exif) = (None, None, None);
    let (mut frames, mut alpha, mut reach) = (0, false, (0, 0));
    for chunk in Chunks::of_file(bytes)? {
        let chunk = chunk?;
        match (&chunk.name, chunk.data) {
            (b"VP8X", &[flags, _, _, _, w0, w1, w2, h0, h1, h2, ..]) => {
                canvas = Some((1 + u24([w0, w1, w2]), 1 + u24([h0, h1, h2])));
                alpha |= flags & ALPHA_FLAG != 0;
            }
            (b"ANMF", data) => {
                frames += 1;
                let place = Place::read(data)?;
                reach.0 = reach.0.max(place.x + place.width);
                reach.1 = reach.1.max(place.y + place.height);
            }
            (b"EXIF", data) => exif = exif.or(Some(data)),
            _ => {
                if let Some((width, height, hint)) = bitstream(&chunk)? {
                    still = still.or(Some((width, height)));
                    alpha |= hint;
                }
            }
        }
    }
    let size = canvas.or(still).ok_or(BROKEN)?;
    if frames == 0 && still != Some(size) {
        return Err(Reject::Undecodable("its canvas is not the size of its picture"));
    }
    if reach.0 > size.0 || reach.1 > size.1 {
        return Err(Reject::Undecodable("a frame reaches out of its canvas"));
    }
    let exif = exif.map(|block: &[u8]| block.strip_prefix(b"Exif\0\0").unwrap_or(block));
    let orientation = exif.map(orientation).unwrap_or_default();
    let (width, height) = orientation.upright(size);
    Ok(Header {
        format: Format::Webp,
        width,
        height,
        orientation,
        frames: frames.max(1),
        alpha,
        largest_frame: u64::from(width) * u64::from(height),
    })
}

pub(crate) fn exif(bytes: &[u8]) -> Option<&[u8]> {
    let mut chunks = Chunks::of_file(bytes).ok()?.map_while(Result::ok);
    chunks.find(|chunk| chunk.name == *b"EXIF").map(|chunk| chunk.data)
}

/// The colour profile and the first picture of a complete file.
pub(crate) struct First<'a> {
    pub(crate) icc: Option<&'a [u8]>,
    pub(crate) x: u32,
    pub(crate) y: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) alpha: bool,
    pub(crate) lossless: bool,
    /// `None` for a still, which decodes as it is; else the frame as a file of its own.
    pub(crate) file: Option<Vec<u8>>,
}

/// Walks a file to its end and finds its first picture.
pub(crate) fn first(bytes: &[u8]) -> Result<First<'_>, Reject> {
    let (mut icc, mut first, mut flag) = (None, None, false);
    for chunk in Chunks::of_file(bytes)? {
        let chunk = chunk?;
        match (&chunk.name, chunk.data) {
            (b"VP8X", &[flags, ..]) => flag = flags & ALPHA_FLAG != 0,
            (b"ICCP", data) => icc = icc.or(Some(data)),
            (b"ANMF", data) if first.is_none() => first = Some(frame(data)?),
            _ => {
                if let (Some((width, height, hint)), None) = (bitstream(&chunk)?, &first) {
                    let lossless = chunk.name == *b"VP8L";
                    let alpha = if lossless { hint } else { flag };
                    let (x, y, file, icc) = (0, 0, None, None);
                    first = Some(First { icc, x, y, width, height, alpha, lossless, file });
                }
            }
        }
    }
    Ok(First { icc, ..first.ok_or(Reject::Undecodable("it has no picture"))? })
}

pub(crate) fn icc(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut chunks = Chunks::of_file(bytes).ok()?.map_while(Result::ok);
    chunks.find(|chunk| chunk.name == *b"ICCP").map(|chunk| chunk.data.to_vec())
}

/// How often the animation plays (2.7.1.1).
pub(crate) fn loops(bytes: &[u8]) -> Result<Loops, Reject> {
    for chunk in Chunks::of_file(bytes)? {
        let chunk = chunk?;
        if let (b"ANIM", &[_, _, _, _, low, high, ..]) = (&chunk.name, chunk.data) {
            return Ok(Loops::from_plays(u16::from_le_bytes([low, high]).into()));
        }
    }
    Ok(Loops::Times(1))
}

/// A frame of an animation.
pub(crate) struct Moving<'a> {
    pub(crate) still: First<'a>,
    pub(crate) milliseconds: u32,
    /// Whether it is laid over what is there, or takes its place.
    pub(crate) blends: bool,
    /// Whether its box is cleared before the next frame.
    pub(crate) clears: bool,
}

/// All frames of an animation, in order.
pub(crate) fn moving(bytes: &[u8]) -> Result<impl Iterator<Item = Result<Moving<'_>, Reject>>, Reject> {
    // A file that ends too early is refused before its first frame is decoded.
    Chunks::of_file(bytes)?.try_for_each(|chunk| chunk.map(drop))?;
    let frames = Chunks::of_file(bytes)?.filter_map(|chunk| {
        let data = match chunk {
            Ok(chunk) if chunk.name == *b"ANMF" => chunk.data,
            Ok(_) => return None,
            Err(reject) => return Some(Err(reject)),
        };
        Some(moving_frame(data))
    });
    Ok(frames)
}

fn moving_frame(data: &[u8]) -> Result<Moving<'_>, Reject> {
    let still = frame(data)?;
    let [d0, d1, d2, flags] = Cursor::new(data, FRAME_HEADER - 4).array()?;
    let (blends, clears) = (flags & 2 == 0, flags & 1 == 1);
    Ok(Moving { still, milliseconds: u24([d0, d1, d2]), blends, clears })
}

/// Where an animation frame goes on the canvas (2.7.1.1).
struct Place {
    x: u32,
    y: u32,
    width: u32,
    height: u32,
}

impl Place {
    fn read(frame: &[u8]) -> Result<Self, Reject> {
        let header = frame.first_chunk::<12>().ok_or(BROKEN)?;
        let [x0, x1, x2, y0, y1, y2, w0, w1, w2, h0, h1, h2] = *header;
        Ok(Self {
            x: 2 * u24([x0, x1, x2]),
            y: 2 * u24([y0, y1, y2]),
            width: 1 + u24([w0, w1, w2]),
            height: 1 + u24([h0, h1, h2]),
        })
    }
}

/// Makes a still of an animation frame.
fn frame(data: &[u8]) -> Result<First<'_>, Reject> {
    let Place { x, y, width, height } = Place::read(data)?;
    let rest = data.get(FRAME_HEADER..).ok_or(BROKEN)?;
    let (mut picture, mut alpha_chunk) = (None, None);
    for chunk in Chunks::within(rest) {
        let chunk = chunk?;
        if chunk.name == *b"ALPH" {
            alpha_chunk = Some(chunk.data);
        } else if let Some((real_width, real_height, hint)) = bitstream(&chunk)? {
            if (real_width, real_height) != (width, height) {
                return Err(Reject::Undecodable("a frame is not the size it says"));
            }
            picture = Some((chunk, hint));
        }
    }
    let (picture, hint) = picture.ok_or(BROKEN)?;
    let lossless = picture.name == *b"VP8L";
    let alpha = if lossless { hint } else { alpha_chunk.is_some() };
    let [w0, w1, w2, _] = (width - 1).to_le_bytes();
    let [h0, h1, h2, _] = (height - 1).to_le_bytes();

    let mut file = Vec::with_capacity(data.len() + 64);
    file.extend(b"RIFF\0\0\0\0WEBP");
    let flags = if alpha { ALPHA_FLAG } else { 0 };
    write_chunk(&mut file, *b"VP8X", &[flags, 0, 0, 0, w0, w1, w2, h0, h1, h2]);
    if let Some(data) = alpha_chunk.filter(|_| !lossless) {
        write_chunk(&mut file, *b"ALPH", data);
    }
    write_chunk(&mut file, picture.name, picture.data);
    set_length(&mut file);
    Ok(First { icc: None, x, y, width, height, alpha, lossless, file: Some(file) })
}

/// Copies the picture or the animation and the colour profile.
pub(crate) fn clean(bytes: &[u8], exif: Option<&[u8]>) -> Result<Vec<u8>, Reject> {
    let mut clean = Vec::with_capacity(bytes.len());
    clean.extend(b"RIFF\0\0\0\0WEBP");
    let mut pictures = 0;
    for chunk in Chunks::of_file(bytes)? {
        let chunk = chunk?;
        match (&chunk.name, chunk.data) {
            (b"VP8X", &[flags, _, _, _, ref size @ ..]) if size.len() >= 6 => {
                let kept = flags & !(EXIF_FLAG | XMP_FLAG);
                let flags = if exif.is_some() { kept | EXIF_FLAG } else { kept };
                let [w0, w1, w2, h0, h1, h2, ..] = *size else {
                    return Err(BROKEN);
                };
                write_chunk(&mut clean, chunk.name, &[flags, 0, 0, 0, w0, w1, w2, h0, h1, h2]);
            }
            (b"ANMF", data) => {
                pictures += 1;
                write_chunk(&mut clean, chunk.name, &clean_frame(data)?);
            }
            (b"VP8 " | b"VP8L", data) => {
                pictures += 1;
                write_chunk(&mut clean, chunk.name, data);
            }
            (b"ALPH" | b"ANIM" | b"ICCP", data) => write_chunk(&mut clean, chunk.name, data),
            _ => {}
        }
    }
    if pictures == 0 {
        return Err(Reject::Undecodable("it has no picture"));
    }
    if let Some(tiff) = exif {
        write_chunk(&mut clean, *b"EXIF", tiff);
    }
    set_length(&mut clean);
    Ok(clean)
}

/// Puts a colour profile before the picture and an EXIF block after it, in the order of 2.7, and says so in
/// the header, which a file without either may not have had.
pub(crate) fn carrying(file: &[u8], icc: Option<&[u8]>, exif: Option<&[u8]>) -> Result<Vec<u8>, Reject> {
    let header = header(file)?;
    let flags = Chunks::of_file(file)?.find_map(|chunk| match chunk {
        Ok(Chunk { name: [b'V', b'P', b'8', b'X'], data: &[flags, ..] }) => Some(flags),
        _ => None,
    });
    let mut flags = flags.unwrap_or(if header.alpha { ALPHA_FLAG } else { 0 });
    for (flag, carried) in [(ICC_FLAG, icc), (EXIF_FLAG, exif)] {
        flags |= if carried.is_some() { flag } else { 0 };
    }
    let [w0, w1, w2, _] = (header.width - 1).to_le_bytes();
    let [h0, h1, h2, _] = (header.height - 1).to_le_bytes();

    let mut carrying = Vec::with_capacity(file.len() + icc.map_or(0, <[u8]>::len) + 512);
    carrying.extend(b"RIFF\0\0\0\0WEBP");
    write_chunk(&mut carrying, *b"VP8X", &[flags, 0, 0, 0, w0, w1, w2, h0, h1, h2]);
    if let Some(icc) = icc {
        write_chunk(&mut carrying, *b"ICCP", icc);
    }
    for chunk in Chunks::of_file(file)? {
        let Chunk { name, data } = chunk?;
        if name != *b"VP8X" {
            write_chunk(&mut carrying, name, data);
        }
    }
    if let Some(exif) = exif {
        write_chunk(&mut carrying, *b"EXIF", exif);
    }
    set_length(&mut carrying);
    Ok(carrying)
}

fn clean_frame(data: &[u8]) -> Result<Vec<u8>, Reject> {
    let (header, rest) = data.split_at_checked(FRAME_HEADER).ok_or(BROKEN)?;
    let mut clean = header.to_vec();
    for chunk in Chunks::within(rest) {
        let chunk = chunk?;
        if matches!(&chunk.name, b"ALPH" | b"VP8 " | b"VP8L") {
            write_chunk(&mut clean, chunk.name, chunk.data);
        }
    }
    Ok(clean)
}

fn write_chunk(to: &mut Vec<u8>, name: [u8; 4], data: &[u8]) {
    let length = u32::try_from(data.len()).expect("what was in a chunk fits into one");
    to.extend(name);
    to.extend(length.to_le_bytes());
    to.extend(data);
    if data.len() % 2 == 1 {
        to.push(0);
    }
}

fn set_length(file: &mut [u8]) {
    let length = u32::try_from(file.len() - 8).expect("what was in a RIFF file fits into one");
    file[4..8].copy_from_slice(&length.to_le_bytes());
}

//! PNG: chunks (PNG third edition, 5).

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::Cursor;
use crate::animation::Loops;
use crate::metadata::orientation;
use crate::{Format, Header, Reject};

const SIGNATURE: usize = 8;

struct Chunk<'a> {
    name: [u8; 4],
    data: &'a [u8],
    /// Length, name, data and checksum.
    whole: &'a [u8],
}

/// The chunks up to and with `IEND`. What comes after is not looked at.
struct Chunks<'a> {
    cursor: Cursor<'a>,
    over: bool,
}

fn chunks(bytes: &[u8]) -> Chunks<'_> {
    Chunks { cursor: Cursor::new(bytes, SIGNATURE), over: false }
}

impl<'a> Chunks<'a> {
    fn next_chunk(&mut self) -> Result<Chunk<'a>, Reject> {
        let start = self.cursor.at;
        let length = u32::from_be_bytes(self.cursor.array()?);
        let name = self.cursor.array()?;
        if !name.iter().all(u8::is_ascii_alphabetic) {
            return Err(Reject::Undecodable("a chunk without a name"));
        }
        let data = self.cursor.take(length as usize)?;
        self.cursor.take(4)?;
        Ok(Chunk { name, data, whole: &self.cursor.bytes[start..self.cursor.at] })
    }
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Result<Chunk<'a>, Reject>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let chunk = self.next_chunk();
        self.over = !matches!(&chunk, Ok(chunk) if chunk.name != *b"IEND");
        Some(chunk)
    }
}

pub(crate) fn header(bytes: &[u8]) -> Result<Header, Reject> {
    let (mut size, mut exif, mut alpha, mut frames) = (None, None, false, 1);
    for chunk in chunks(bytes) {
        let Chunk { name, data, .. } = chunk?;
        match (&name, data) {
            (b"IHDR", &[w0, w1, w2, w3, h0, h1, h2, h3, _, colour, ..]) => {
                let (width, height) = ([w0, w1, w2, w3], [h0, h1, h2, h3]);
                size = Some((u32::from_be_bytes(width), u32::from_be_bytes(height)));
                alpha |= matches!(colour, 4 | 6);
            }
            (b"tRNS", _) => alpha = true,
            (b"acTL", &[n0, n1, n2, n3, ..]) => {
                frames = u32::from_be_bytes([n0, n1, n2, n3]).max(1);
            }
            (b"eXIf", data) => exif = exif.or(Some(data)),
            _ => {}
        }
        if size.is_none() {
            return Err(Reject::Undecodable("it does not begin with a header"));
        }
    }
    let size = size.ok_or(Reject::Truncated)?;
    let orientation = exif.map(orientation).unwrap_or_default();
    let (width, height) = orientation.upright(size);
    Ok(Header {
        format: Format::Png,
        width,
        height,
        orientation,
        frames,
        alpha,
        largest_frame: u64::from(width) * u64::from(height),
    })
}

pub(crate) fn exif(bytes: &[u8]) -> Option<&[u8]> {
    let mut chunks = chunks(bytes).map_while(Result::ok);
    chunks.find(|chunk| chunk.name == *b"eXIf").map(|chunk| chunk.data)
}

/// How often the animation plays (11.3.4.1).
pub(crate) fn loops(bytes: &[u8]) -> Result<Loops, Reject> {
    for chunk in chunks(bytes) {
        let chunk = chunk?;
        if let (b"acTL", &[_, _, _, _, n0, n1, n2, n3]) = (&chunk.name, chunk.data) {
            return Ok(Loops::from_plays(u32::from_be_bytes([n0, n1, n2, n3])));
        }
    }
    Ok(Loops::Times(1))
}

/// Whether the file goes on to its last chunk.
pub(crate) fn whole(bytes: &[u8]) -> Result<(), Reject> {
    chunks(bytes).try_for_each(|chunk| chunk.map(drop))
}

/// Copies what makes the picture and its animation, and what says how to read the colours.
pub(crate) fn clean(bytes: &[u8], exif: Option<&[u8]>) -> Result<Vec<u8>, Reject> {
    let mut clean = Vec::with_capacity(bytes.len());
    clean.extend(&bytes[..SIGNATURE]);
    for chunk in chunks(bytes) {
        let chunk = chunk?;
        match &chunk.name {
            b"IHDR" => {
                clean.extend(chunk.whole);
                if let Some(tiff) = exif {
                    write_chunk(&mut clean, *b"eXIf", tiff);
                }
            }
            b"PLTE" | b"IDAT" | b"IEND" | b"tRNS" | b"acTL" | b"fcTL" | b"fdAT" | b"bKGD" | b"cHRM"
            | b"cICP" | b"cLLI" | b"gAMA" | b"iCCP" | b"mDCV" | b"pHYs" | b"sBIT" | b"sRGB" => {
                clean.extend(chunk.whole);
            }
            // An unknown critical chunk means that the rest cannot be understood without it (5.4).
            [first, ..] if first.is_ascii_uppercase() => {
                return Err(Reject::Undecodable("a chunk of an unknown kind"));
            }
            _ => {}
        }
    }
    Ok(clean)
}

/// Puts a colour profile and an EXIF block after the header, which is where a profile has to be (5.6).
pub(crate) fn carrying(file: &[u8], icc: Option<&[u8]>, exif: Option<&[u8]>) -> Result<Vec<u8>, Reject> {
    let mut chunks = chunks(file);
    chunks.next_chunk()?;
    let (before, after) = file.split_at_checked(chunks.cursor.at).ok_or(Reject::Truncated)?;
    let mut carrying = before.to_vec();
    if let Some(icc) = icc {
        // A name, which nobody reads, and the method of compression, of which there is one (11.3.2.3).
        let data = b"ICC profile\0\0".to_vec();
        let mut compressed = ZlibEncoder::new(data, Compression::default());
        let written = compressed.write_all(icc).and_then(|()| compressed.finish());
        let data = written.map_err(|_| Reject::Undecodable("its colour profile"))?;
        write_chunk(&mut carrying, *b"iCCP", &data);
    }
    if let Some(exif) = exif {
        write_chunk(&mut carrying, *b"eXIf", exif);
    }
    carrying.extend(after);
    Ok(carrying)
}

fn write_chunk(to: &mut Vec<u8>, name: [u8; 4], data: &[u8]) {
    let length = u32::try_from(data.len()).expect("what is carried takes far less than 4 GB");
    to.extend(length.to_be_bytes());
    let start = to.len();
    to.extend(name);
    to.extend(data);
    let checksum = crc32fast::hash(&to[start..]);
    to.extend(checksum.to_be_bytes());
}

//! GIF: blocks (GIF 89a specification).

use super::Cursor;
use crate::animation::Loops;
use crate::{Format, Header, Orientation, Reject};

/// Signature, version, logical screen descriptor (sections 17 and 18).
const SCREEN: usize = 13;

enum Block<'a> {
    /// Transparency and timing of the picture that follows.
    Control {
        transparent: bool,
        whole: &'a [u8],
    },
    Application {
        name: &'a [u8],
        whole: &'a [u8],
    },
    /// The frame's box and all of its data.
    Picture {
        x: u16,
        y: u16,
        width: u16,
        height: u16,
        whole: &'a [u8],
    },
    /// Comments, plain text, and what no version of GIF knows.
    Other,
}

/// The blocks up to the trailer. What comes after is not looked at.
struct Blocks<'a> {
    cursor: Cursor<'a>,
    over: bool,
}

/// How long a colour table is that these packed fields announce (sections 18 and 20).
fn table_length(packed: u8) -> usize {
    if packed & 0x80 == 0 { 0 } else { 3 << (1 + (packed & 7)) }
}

/// What precedes the first block: the screen and its colour table.
fn screen(bytes: &[u8]) -> Result<&[u8], Reject> {
    let packed = *bytes.get(10).ok_or(Reject::Truncated)?;
    bytes.get(..SCREEN + table_length(packed)).ok_or(Reject::Truncated)
}

fn blocks(bytes: &[u8]) -> Result<Blocks<'_>, Reject> {
    Ok(Blocks { cursor: Cursor::new(bytes, screen(bytes)?.len()), over: false })
}

impl<'a> Blocks<'a> {
    /// Steps over data sub-blocks (section 15).
    fn skip_data(&mut self) -> Result<(), Reject> {
        loop {
            match self.cursor.u8()? {
                0 => return Ok(()),
                length => self.cursor.take(length.into())?,
            };
        }
    }

    fn next_block(&mut self) -> Result<Option<Block<'a>>, Reject> {
        let start = self.cursor.at;
        match self.cursor.u8()? {
            0x3b => Ok(None),
            0x2c => {
                let [x0, x1, y0, y1, w0, w1, h0, h1, packed] = self.cursor.array()?;
                // The colour table, and the size of the first code.
                self.cursor.take(table_length(packed) + 1)?;
                self.skip_data()?;
                Ok(Some(Block::Picture {
                    x: u16::from_le_bytes([x0, x1]),
                    y: u16::from_le_bytes([y0, y1]),
                    width: u16::from_le_bytes([w0, w1]),
                    height: u16::from_le_bytes([h0, h1]),
                    whole: &self.cursor.bytes[start..self.cursor.at],
                }))
            }
            0x21 => {
                let label = self.cursor.u8()?;
                let first = *self.cursor.rest().first().ok_or(Reject::Truncated)?;
                let fields = self.cursor.rest().get(1..=usize::from(first)).unwrap_or_default();
                self.skip_data()?;
                let whole = &self.cursor.bytes[start..self.cursor.at];
                Ok(Some(match (label, fields) {
                    (0xf9, &[packed, ..]) => Block::Control { transparent: packed & 1 == 1, whole },
                    (0xff, name) => Block::Application { name, whole },
                    _ => Block::Other,
                }))
            }
            _ => Err(Reject::Undecodable("a block of an unknown kind")),
        }
    }
}

impl<'a> Iterator for Blocks<'a> {
    type Item = Result<Block<'a>, Reject>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let block = self.next_block().transpose();
        self.over = !matches!(block, Some(Ok(_)));
        block
    }
}

/// The picture is the logical screen. A frame may stick out of it (and is cut off), or leave some of it
/// bare (which is transparent, as in browsers, whatever the background colour). A screen without a size,
/// which some writers leave behind, is as large as the first frame reaches.
pub(crate) fn header(bytes: &[u8]) -> Result<Header, Reject> {
    let mut cursor = Cursor::new(bytes, 6);
    let width = u32::from(u16::from_le_bytes(cursor.array()?));
    let height = u32::from(u16::from_le_bytes(cursor.array()?));
    let mut size = (width, height);
    let (mut frames, mut alpha, mut largest) = (0_u32, false, 0);
    for block in blocks(bytes)? {
        match block? {
            Block::Picture { x, y, width, height, .. } => {
                if frames == 0 {
                    let (reach_x, reach_y) =
                        (u32::from(x) + u32::from(width), u32::from(y) + u32::from(height));
                    if size.0 == 0 || size.1 == 0 {
                        size = (reach_x, reach_y);
                    }
                    alpha |= x > 0 || y > 0 || reach_x < size.0 || reach_y < size.1;
                }
                frames = frames.saturating_add(1);
                largest = largest.max(u64::from(width) * u64::from(height));
            }
            Block::Control { transparent, .. } => alpha |= transparent,
            Block::Application { .. } | Block::Other => {}
        }
    }
    if frames == 0 {
        return Err(Reject::Undecodable("it has no picture"));
    }
    Ok(Header {
        format: Format::Gif,
        width: size.0,
        height: size.1,
        orientation: Orientation::Upright,
        frames,
        alpha,
        largest_frame: largest.max(u64::from(size.0) * u64::from(size.1)),
    })
}

/// The disposal method of every picture (section 23.c.iv), as it is in the file.
pub(crate) fn disposals(bytes: &[u8]) -> Result<impl Iterator<Item = u8>, Reject> {
    let mut method = 0;
    Ok(blocks(bytes)?.map_while(Result::ok).filter_map(move |block| match block {
        Block::Control { whole, .. } => {
            // Introducer, label, length, packed fields.
            method = (whole.get(3).copied().unwrap_or_default() >> 2) & 7;
            None
        }
        Block::Picture { .. } => Some(std::mem::take(&mut method)),
        Block::Application { .. } | Block::Other => None,
    }))
}

/// What follows the name of an application block: its data, without the lengths of the sub-blocks.
fn application_data(name: &[u8], whole: &[u8]) -> Vec<u8> {
    // Introducer, label, length of the name, name.
    let mut cursor = Cursor::new(whole, 3 + name.len());
    let mut data = Vec::new();
    while let Ok(length @ 1..) = cursor.u8() {
        data.extend(cursor.take(length.into()).unwrap_or_default());
    }
    data
}

/// Netscape's block counts how often an animation is repeated after it played, and 0 is for ever: so
/// Chromium plays it and libwebp's `gif2webp` reads it. Without the block it plays once.
pub(crate) fn loops(bytes: &[u8]) -> Result<Loops, Reject> {
    for block in blocks(bytes)? {
        if let Block::Application { name: name @ (b"NETSCAPE2.0" | b"ANIMEXTS1.0"), whole } = block?
            && let [1, low, high, ..] = *application_data(name, whole)
        {
            let repeats = u16::from_le_bytes([low, high]);
            return Ok(if repeats == 0 { Loops::Forever } else { Loops::Times(u32::from(repeats) + 1) });
        }
    }
    Ok(Loops::Times(1))
}

pub(crate) fn icc(bytes: &[u8]) -> Option<Vec<u8>> {
    blocks(bytes).ok()?.map_while(Result::ok).find_map(|block| match block {
        Block::Application { name: name @ b"ICCRGBG1012", whole } => Some(application_data(name, whole)),
        Block::Application { .. } | Block::Control { .. } | Block::Picture { .. } | Block::Other => None,
    })
}

/// Copies the pictures with their timing, the loop count and the colour profile.
pub(crate) fn clean(bytes: &[u8]) -> Result<Vec<u8>, Reject> {
    let mut clean = Vec::with_capacity(bytes.len());
    clean.extend(screen(bytes)?);
    let mut control = None;
    for block in blocks(bytes)? {
        match block? {
            // Held back until it is known to belong to a picture, not to a plain text that goes.
            Block::Control { whole, .. } => control = Some(whole),
            Block::Picture { whole, .. } => {
                clean.extend(control.take().unwrap_or_default());
                clean.extend(whole);
            }
            Block::Application { name: b"NETSCAPE2.0" | b"ANIMEXTS1.0" | b"ICCRGBG1012", whole } => {
                clean.extend(whole);
            }
            Block::Application { .. } => {}
            Block::Other => control = None,
        }
    }
    clean.push(0x3b);
    Ok(clean)
}

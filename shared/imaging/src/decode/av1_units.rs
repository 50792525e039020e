//! The units of an AV1 stream (AV1 bitstream specification, 5.3), read before a decoder sees them: all of
//! them are there, there are no more frames than a still has, and they are not larger than the picture.

use crate::Reject;
use crate::container::Cursor;
use crate::container::heif::Nclx;

/// A still is one frame, or one for each of up to four layers; a hidden one may come before each.
pub(super) const MOST_FRAMES: usize = 8;

const GARBAGE: Reject = Reject::Undecodable("its data makes no sense");

/// Of a sequence header (5.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sequence {
    pub(super) width: u32,
    pub(super) height: u32,
    /// Of a pixel, at most.
    pub(super) bytes: u64,
    pub(super) nclx: Nclx,
}

/// Walks a stream to its end. `None` if it has no sequence header.
pub(super) fn sequence(data: &[u8]) -> Result<Option<Sequence>, Reject> {
    let mut cursor = Cursor::new(data, 0);
    let (mut found, mut frames) = (None, 0);
    while !cursor.rest().is_empty() {
        let header = cursor.u8()?;
        if header & 4 != 0 {
            cursor.u8()?;
        }
        let unit = if header & 2 == 0 {
            cursor.take(cursor.rest().len())?
        } else {
            let length = leb128(&mut cursor)?;
            cursor.take(length)?
        };
        match header >> 3 & 15 {
            1 => {
                let sequence = Bits { bytes: unit, at: 0 }.sequence().ok_or(GARBAGE)?;
                if found.is_some_and(|found| found != sequence) {
                    return Err(Reject::UnsupportedFormat("AV1 film"));
                }
                found = Some(sequence);
            }
            // A frame header, alone or with its tiles.
            3 | 6 => frames += 1,
            _ => {}
        }
    }
    if frames > MOST_FRAMES { Err(Reject::UnsupportedFormat("AV1 film")) } else { Ok(found) }
}

/// 4.10.5.
fn leb128(cursor: &mut Cursor) -> Result<usize, Reject> {
    let mut value = 0;
    for place in 0..5 {
        let byte = cursor.u8()?;
        value |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(GARBAGE)
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: u32) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self.bytes.get(self.at / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(value)
    }

    fn flag(&mut self) -> Option<bool> {
        Some(self.take(1)? == 1)
    }

    fn byte(&mut self) -> Option<u8> {
        u8::try_from(self.take(8)?).ok()
    }

    /// 4.10.3.
    fn uvlc(&mut self) -> Option<()> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
        }
        self.take(zeros.min(32)).map(drop)
    }

    /// 5.5.1.
    fn sequence(mut self) -> Option<Sequence> {
        let profile = self.take(3)?;
        self.flag()?;
        let reduced = self.flag()?;
        if reduced {
            self.take(5)?;
        } else {
            self.operating_points()?;
        }
        let (width_bits, height_bits) = (self.take(4)? + 1, self.take(4)? + 1);
        let (width, height) = (self.take(width_bits)? + 1, self.take(height_bits)? + 1);
        if !reduced && self.flag()? {
            self.take(4 + 3)?;
        }
        self.take(3)?;
        if !reduced {
            self.tools()?;
        }
        self.take(3)?;
        let (bytes, nclx) = self.colours(profile)?;
        Some(Sequence { width, height, bytes, nclx })
    }

    fn operating_points(&mut self) -> Option<()> {
        let mut delay_bits = None;
        if self.flag()? {
            self.take(32)?;
            self.take(32)?;
            if self.flag()? {
                self.uvlc()?;
            }
            if self.flag()? {
                delay_bits = Some(self.take(5)? + 1);
                self.take(32)?;
                self.take(5 + 5)?;
            }
        }
        let display_delay = self.flag()?;
        for _ in 0..=self.take(5)? {
            self.take(12)?;
            if self.take(5)? > 7 {
                self.flag()?;
            }
            if let Some(bits) = delay_bits
                && self.flag()?
            {
                self.take(bits)?;
                self.take(bits)?;
                self.flag()?;
            }
            if display_delay && self.flag()? {
                self.take(4)?;
            }
        }
        Some(())
    }

    /// What frames may make use of that refer to others.
    fn tools(&mut self) -> Option<()> {
        self.take(4)?;
        let order_hint = self.flag()?;
        if order_hint {
            self.take(2)?;
        }
        let screen_content = self.flag()? || self.flag()?;
        if screen_content && !self.flag()? {
            self.flag()?;
        }
        if order_hint {
            self.take(3)?;
        }
        Some(())
    }

    /// 5.5.2.
    fn colours(&mut self, profile: u32) -> Option<(u64, Nclx)> {
        let high = self.flag()?;
        if profile == 2 && high {
            self.flag()?;
        }
        let gray = profile != 1 && self.flag()?;
        let (primaries, transfer, matrix) =
            if self.flag()? { (self.byte()?, self.byte()?, self.byte()?) } else { (2, 2, 2) };
        let srgb = !gray && (primaries, transfer, matrix) == (1, 13, 0);
        let full_range = srgb || self.flag()?;
        // The profiles are 4:2:0, 4:4:4, and anything.
        let bytes = if profile == 0 { 2 } else { 3 } * if high { 2 } else { 1 };
        Some((bytes, Nclx { primaries, transfer, matrix, full_range }))
    }
}

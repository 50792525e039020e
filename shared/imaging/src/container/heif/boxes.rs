//! Boxes of the ISO base media file format (ISO/IEC 14496-12, 4.2).

use crate::Reject;
use crate::container::Cursor;

/// A length, a kind, and what is in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block<'a> {
    pub(super) kind: [u8; 4],
    pub(super) body: &'a [u8],
}

/// Boxes one after another. Ends at the end of the bytes, or after the first fault.
pub(super) struct Blocks<'a> {
    cursor: Cursor<'a>,
    over: bool,
}

pub(super) fn blocks(bytes: &[u8]) -> Blocks<'_> {
    Blocks { cursor: Cursor::new(bytes, 0), over: false }
}

impl<'a> Blocks<'a> {
    fn next_block(&mut self) -> Result<Block<'a>, Reject> {
        let start = self.cursor.at;
        let length = u32::from_be_bytes(self.cursor.array()?);
        let kind = self.cursor.array()?;
        let length = match length {
            // To the end of the file.
            0 => self.cursor.bytes.len() - start,
            1 => usize::try_from(u64::from_be_bytes(self.cursor.array()?)).map_err(|_| Reject::Truncated)?,
            length => length as usize,
        };
        let at = self.cursor.at;
        let body = length.checked_sub(at - start).ok_or(Reject::Undecodable("the length of a box"))?;
        Ok(Block { kind, body: self.cursor.take(body)? })
    }
}

impl<'a> Iterator for Blocks<'a> {
    type Item = Result<Block<'a>, Reject>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over || self.cursor.rest().is_empty() {
            return None;
        }
        let block = self.next_block();
        self.over = block.is_err();
        Some(block)
    }
}

/// Numbers as boxes hold them: big-endian, of a width that an earlier number says.
pub(super) trait Numbers {
    fn u16(&mut self) -> Result<u16, Reject>;
    fn u32(&mut self) -> Result<u32, Reject>;
    /// The version and the flags of a full box (4.2.2).
    fn version(&mut self) -> Result<(u8, u32), Reject>;
    /// A number of 0, 2, 4 or 8 bytes; no bytes are a zero.
    fn number(&mut self, bytes: u8) -> Result<u64, Reject>;
    /// 16 or 32 bits.
    fn id(&mut self, wide: bool) -> Result<u32, Reject>;
}

impl Numbers for Cursor<'_> {
    fn u16(&mut self) -> Result<u16, Reject> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, Reject> {
        self.array().map(u32::from_be_bytes)
    }

    fn version(&mut self) -> Result<(u8, u32), Reject> {
        let word = self.u32()?;
        let [version, ..] = word.to_be_bytes();
        Ok((version, word & 0x00ff_ffff))
    }

    fn number(&mut self, bytes: u8) -> Result<u64, Reject> {
        match bytes {
            0 => Ok(0),
            2 => self.u16().map(u64::from),
            4 => self.u32().map(u64::from),
            8 => self.array().map(u64::from_be_bytes),
            _ => Err(super::BROKEN),
        }
    }

    fn id(&mut self, wide: bool) -> Result<u32, Reject> {
        if wide { self.u32() } else { self.u16().map(u32::from) }
    }
}

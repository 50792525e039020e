//! The structure of each file format, walked without decoding: what `probe`, `clean` and `metadata`
//! read, and what proves a file complete before a codec sees it.
//!
//! These walkers are the project's own because one borrowed pass has to answer all of that, with
//! every length checked, and because lossless cleaning is an allow-list: what is not known is not kept.

pub(crate) mod bmp;
pub(crate) mod gif;
pub(crate) mod heif;
pub(crate) mod jpeg;
pub(crate) mod png;
pub(crate) mod tiff;
pub(crate) mod webp;

use crate::{Format, Reject};

/// The EXIF block (a TIFF file) within an image, without the prefix that some formats put before it.
pub(crate) fn exif(bytes: &[u8], format: Format) -> Option<&[u8]> {
    let block = match format {
        Format::Jpeg => jpeg::exif(bytes),
        Format::Png => png::exif(bytes),
        Format::Webp => webp::exif(bytes),
        Format::Avif | Format::Heic => heif::exif(bytes),
        // What cameras write into an EXIF block is a TIFF, and so a TIFF is one.
        Format::Tiff => Some(bytes),
        Format::Gif | Format::Bmp => None,
    }?;
    // JPEG demands the prefix; some writers put it into PNG and WebP as well, where it is wrong.
    Some(block.strip_prefix(b"Exif\0\0").unwrap_or(block))
}

/// Reads big- and little-endian numbers and slices; what is past the end is a truncation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], Reject> {
        let taken = self.rest().get(..length).ok_or(Reject::Truncated)?;
        self.at += length;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Reject> {
        let (array, _) = self.rest().split_first_chunk().ok_or(Reject::Truncated)?;
        self.at += N;
        Ok(*array)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Reject> {
        self.array().map(|[byte]| byte)
    }
}

use crate::container::{bmp, gif, heif, jpeg, png, tiff, webp};
use crate::{Orientation, Reject};

/// A format that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// ITU-T T.81, baseline or progressive, 8 bits.
    Jpeg,
    /// With or without an animation (APNG).
    Png,
    /// RFC 9649.
    Webp,
    /// GIF 87a and 89a.
    Gif,
    /// AV1 in HEIF; of a film the picture that stands for it.
    Avif,
    /// HEVC in HEIF.
    Heic,
    /// TIFF 6.0, the first page.
    Tiff,
    /// Windows and OS/2 bitmaps.
    Bmp,
}

impl Format {
    /// As in the `Content-Type` header.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Webp => "image/webp",
            Self::Gif => "image/gif",
            Self::Avif => "image/avif",
            Self::Heic => "image/heic",
            Self::Tiff => "image/tiff",
            Self::Bmp => "image/bmp",
        }
    }

    /// As at the end of a file name, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Webp => "webp",
            Self::Gif => "gif",
            Self::Avif => "avif",
            Self::Heic => "heic",
            Self::Tiff => "tiff",
            Self::Bmp => "bmp",
        }
    }
}

/// What a file says of itself. None of it has been proven by decoding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// By the magic bytes, never by a name.
    pub format: Format,
    /// Upright, that is, after `orientation` is applied.
    pub width: u32,
    /// Upright, that is, after `orientation` is applied.
    pub height: u32,
    /// How the stored pixels have to be turned.
    pub orientation: Orientation,
    /// 1, or the length of the animation.
    pub frames: u32,
    /// Whether the file declares transparency. The pixels may be opaque all the same.
    pub alpha: bool,
    /// Pixels of the picture or of the largest frame in the file: GIF lets a frame be the larger one.
    pub largest_frame: u64,
}

impl Header {
    /// The dimensions before `orientation` is applied.
    pub(crate) fn stored_size(&self) -> (u32, u32) {
        self.orientation.upright((self.width, self.height))
    }
}

/// Reads the header of a file: its structure is walked, nothing is decoded or decompressed.
///
/// The time this takes grows with the number of blocks in the file, and nothing of note is allocated,
/// whatever dimensions the header claims.
pub fn probe(bytes: &[u8]) -> Result<Header, Reject> {
    let header = match format(bytes)? {
        Format::Jpeg => jpeg::header(bytes),
        Format::Png => png::header(bytes),
        Format::Webp => webp::header(bytes),
        Format::Gif => gif::header(bytes),
        Format::Avif | Format::Heic => heif::header(bytes),
        Format::Tiff => tiff::header(bytes),
        Format::Bmp => bmp::header(bytes),
    }?;
    if header.width == 0 || header.height == 0 {
        return Err(Reject::Undecodable("it has no width or no height"));
    }
    Ok(header)
}

fn format(bytes: &[u8]) -> Result<Format, Reject> {
    /// The magic bytes of what is an image, with the place where they stand.
    const KNOWN: [(usize, &[u8], Result<Format, &str>); 14] = [
        (0, b"\xff\xd8\xff", Ok(Format::Jpeg)),
        (0, b"\x89PNG\r\n\x1a\n", Ok(Format::Png)),
        (8, b"WEBP", Ok(Format::Webp)),
        (0, b"GIF87a", Ok(Format::Gif)),
        (0, b"GIF89a", Ok(Format::Gif)),
        (0, b"II*\0", Ok(Format::Tiff)),
        (0, b"MM\0*", Ok(Format::Tiff)),
        (0, b"II+\0", Err("BigTIFF")),
        (0, b"MM\0+", Err("BigTIFF")),
        (0, b"BM", Ok(Format::Bmp)),
        (0, b"\xff\x0a", Err("JPEG XL")),
        (0, b"\0\0\0\x0cJXL \r\n\x87\n", Err("JPEG XL")),
        (0, b"\0\0\0\x0cjP  \r\n\x87\n", Err("JPEG 2000")),
        (0, b"8BPS", Err("Photoshop")),
    ];
    let known = KNOWN.iter().find(|(at, magic, _)| {
        bytes.get(*at..).is_some_and(|rest| rest.starts_with(magic))
            && (*magic != b"WEBP" || bytes.starts_with(b"RIFF"))
    });
    match known {
        Some((_, _, Ok(format))) => Ok(*format),
        Some((_, _, Err(name))) => Err(Reject::UnsupportedFormat(name)),
        None => heif::format(bytes).ok_or(Reject::NotAnImage),
    }
}

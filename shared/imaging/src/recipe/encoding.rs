/// What a rendering is encoded as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutputFormat {
    /// Progressive JPEG, 4:2:0, without alpha.
    Jpeg,
    /// PNG, 8 bits a sample; the quality has no meaning.
    Png,
    /// Lossy WebP, with alpha where there is any.
    Webp,
}

impl OutputFormat {
    /// As in the `Content-Type` header.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Webp => "image/webp",
        }
    }

    /// As at the end of a file name, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Webp => "webp",
        }
    }

    /// Whether the format can show what is behind a picture.
    pub fn has_alpha(self) -> bool {
        !matches!(self, Self::Jpeg)
    }

    /// Whether it stores colours at half the size (4:2:0).
    pub(crate) fn halves_chroma(self) -> bool {
        match self {
            Self::Jpeg | Self::Webp => true,
            Self::Png => false,
        }
    }

    /// The longest side that the format can express.
    pub(crate) fn longest_side(self) -> u32 {
        match self {
            Self::Jpeg => 65_535,                 // ITU-T T.81, B.2.2
            Self::Png => i32::MAX.unsigned_abs(), // PNG, 11.2.1
            Self::Webp => 16_383,                 // RFC 9649, 2.6
        }
    }
}

/// How a rendering is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Encoding {
    /// As what.
    pub format: OutputFormat,
    /// 1 to 100, on one scale: the same number looks the same in every format. What is outside is taken
    /// as the nearest.
    pub quality: u8,
    /// Every pixel as it is. PNG always is so and WebP can be; of the others it is their best quality.
    pub lossless: bool,
}

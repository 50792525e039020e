/// What a rendering is encoded as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutputFormat {
    /// Progressive JPEG, without alpha; chroma halved where that does not show.
    Jpeg,
    /// PNG of at most 8 bits a sample, with a palette where that is smaller; the quality has no meaning.
    Png,
    /// WebP, with alpha where there is any.
    Webp,
    /// AVIF of 8 bits a sample, with alpha where there is any; chroma halved where that does not show.
    Avif,
    /// GIF, at most 255 colours a frame, of which each is transparent or not; the quality has no meaning.
    Gif,
}

impl OutputFormat {
    /// As in the `Content-Type` header.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Webp => "image/webp",
            Self::Avif => "image/avif",
            Self::Gif => "image/gif",
        }
    }

    /// As at the end of a file name, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Webp => "webp",
            Self::Avif => "avif",
            Self::Gif => "gif",
        }
    }

    /// Whether the format can show what is behind a picture.
    pub fn has_alpha(self) -> bool {
        !matches!(self, Self::Jpeg)
    }

    /// Whether files of the format are given what they are to [keep](crate::Keep).
    pub fn carries(self) -> bool {
        match self {
            Self::Jpeg | Self::Png | Self::Webp => true,
            Self::Avif | Self::Gif => false,
        }
    }

    /// Whether it can hold an animation, of those that are written.
    pub(crate) fn moves(self) -> bool {
        match self {
            Self::Webp | Self::Gif => true,
            Self::Jpeg | Self::Png | Self::Avif => false,
        }
    }

    /// The longest side that the format can express.
    pub(crate) fn longest_side(self) -> u32 {
        match self {
            // ITU-T T.81, B.2.2; GIF 89a, 18; AV1 (5.5.1) has one more, but rav1e has not.
            Self::Jpeg | Self::Gif | Self::Avif => 65_535,
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

impl Encoding {
    /// Whether it stores photographs' colours at half the size (4:2:0).
    pub(crate) fn halves_chroma(self) -> bool {
        match self.format {
            OutputFormat::Jpeg | OutputFormat::Avif => true,
            OutputFormat::Webp => !self.lossless,
            OutputFormat::Png | OutputFormat::Gif => false,
        }
    }
}

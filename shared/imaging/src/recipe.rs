use crate::{Header, animation};

/// What a rendering is encoded as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutputFormat {
    /// Progressive JPEG, 4:2:0, without alpha.
    Jpeg,
    /// PNG, 8 bits a sample; the quality has no meaning.
    Png,
    /// Lossy WebP, with alpha where there is any.
    Webp,
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
            Self::Gif => "image/gif",
        }
    }

    /// As at the end of a file name, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Webp => "webp",
            Self::Gif => "gif",
        }
    }

    /// Whether the format can show what is behind a picture.
    pub fn has_alpha(self) -> bool {
        !matches!(self, Self::Jpeg)
    }

    /// Whether it can hold an animation, of those that are written.
    fn moves(self) -> bool {
        match self {
            Self::Webp | Self::Gif => true,
            Self::Jpeg | Self::Png => false,
        }
    }

    /// Whether it stores colours at half the size (4:2:0).
    pub(crate) fn halves_chroma(self) -> bool {
        match self {
            Self::Jpeg | Self::Webp => true,
            Self::Png | Self::Gif => false,
        }
    }

    /// The longest side that the format can express.
    fn longest_side(self) -> u32 {
        match self {
            Self::Jpeg | Self::Gif => 65_535,     // ITU-T T.81, B.2.2; GIF 89a, 18
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

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recipe {
    /// At most so wide. A picture is never made larger than it is.
    pub width: u32,
    /// How it is encoded.
    pub encoding: Encoding,
    /// Whether an animation stays one where the format has animations. Otherwise its first frame is shown,
    /// which is what a ladder of previews wants: a moving rendering takes as much work as it has frames.
    pub animated: bool,
}

/// A recipe resolved against a real picture: nothing in it can fail any more but the codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// The exact width of the result.
    pub width: u32,
    /// The exact height of the result.
    pub height: u32,
    /// How it is encoded, with a quality of 1 to 100.
    pub encoding: Encoding,
    /// Whether all frames are rendered: the picture has several, and the format can hold them.
    pub animated: bool,
}

impl Recipe {
    /// Resolves this recipe for a picture.
    ///
    /// The width is the smallest of the recipe's, the picture's and what the format can hold. The
    /// height follows the picture's shape, rounded to the nearest whole pixel, halves up, and is at
    /// least 1. Where that is more than the format can hold, the height is what it can hold, and the
    /// width follows by the same rule.
    pub fn plan(&self, header: &Header) -> Plan {
        let longest = self.encoding.format.longest_side();
        let (full_width, full_height) = (header.width.max(1), header.height.max(1));

        let width = self.width.clamp(1, full_width.min(longest));
        let height = proportional(full_height, width, full_width);
        let (width, height) = if height > longest {
            (proportional(full_width, longest, full_height), longest)
        } else {
            (width, height)
        };
        let encoding = Encoding { quality: self.encoding.quality.clamp(1, 100), ..self.encoding };
        let animated = self.animated && animation::moves(header) && self.encoding.format.moves();
        Plan { width, height, encoding, animated }
    }
}

/// `full * part / whole`, rounded halves up, at least 1. `part` is at most `whole`.
fn proportional(full: u32, part: u32, whole: u32) -> u32 {
    let (full, part, whole) = (u64::from(full), u64::from(part), u64::from(whole));
    let rounded = (2 * full * part + whole) / (2 * whole);
    u32::try_from(rounded.max(1)).expect("a part of a u32 is a u32")
}

/// Why a file is not accepted.
///
/// The message is a sentence for the person who sent the file: it says what is wrong and, where
/// there is something to do about it, what. [`Reject::code`] is for programs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reject {
    /// The first bytes belong to no image format.
    #[error("This file is not an image.")]
    NotAnImage,
    /// An image, but of a kind that is not processed.
    #[error("{0} is not supported. Send an ordinary JPEG, PNG, WebP, AVIF, HEIC, TIFF, BMP or GIF.")]
    UnsupportedFormat(&'static str),
    /// The file ends before the image does.
    #[error("The file is incomplete: it ends before the image does. Send it again.")]
    Truncated,
    /// A number in the header, or what processing would take, is over a limit.
    #[error("The image is too large: {found} {quantity}, and at most {limit} are accepted.")]
    TooLarge {
        /// What was counted, in the plural.
        quantity: &'static str,
        /// How many there are.
        found: u64,
        /// How many may be.
        limit: u64,
    },
    /// The animation is too long.
    #[error("The animation has {found} frames, and at most {limit} are accepted.")]
    TooManyFrames {
        /// How many there are.
        found: u32,
        /// How many may be.
        limit: u32,
    },
    /// The file breaks the rules of its own format.
    #[error("The image is damaged: {0}.")]
    Undecodable(&'static str),
    /// What was asked for has a watermark, and no picture for it was given.
    #[error("The image is to have a watermark, and there is none to put on it.")]
    NoWatermark,
    /// The deadline passed before the image was done.
    #[error("The image takes too long to process. Send a smaller or simpler one.")]
    OutOfTime,
}

impl Reject {
    /// A stable name for programs, in kebab case.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotAnImage => "not-an-image",
            Self::UnsupportedFormat(_) => "unsupported-format",
            Self::Truncated => "truncated",
            Self::TooLarge { .. } => "too-large",
            Self::TooManyFrames { .. } => "too-many-frames",
            Self::Undecodable(_) => "undecodable",
            Self::NoWatermark => "no-watermark",
            Self::OutOfTime => "out-of-time",
        }
    }
}

//! What was asked for: parsed, in range, and still without any picture.
//!
//! [`grammar`] is how it is written, `values` what it is made of; [`Recipe::plan`] is in `plan`.

mod encoding;
mod error;
pub mod grammar;
mod values;
mod written;

use crate::carry::Keep;

pub use encoding::{Encoding, OutputFormat};
pub use error::RecipeError;
pub use values::{
    Angle, Colour, Decimal, Factor, Fit, Flip, Focus, Length, MOST_PADDING, MOST_SIDE, Padding, Radius,
    Region, Share, Sharpen, Side, Sigma, Trim, Watermark,
};

/// What was asked for. [`grammar`] says what each of them does.
///
/// Every value is one that can be carried out, so nothing can be wrong with a recipe any more.
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Recipe {
    /// Only this part of the upright picture.
    pub crop: Option<Region>,
    /// Without a border of one colour.
    pub trim: Option<Trim>,
    /// Mirrored.
    pub flip: Option<Flip>,
    /// Turned clockwise.
    pub rotate: Angle,
    /// How wide.
    pub width: Option<Side>,
    /// How high.
    pub height: Option<Side>,
    /// What to do where the shape is another.
    pub fit: Fit,
    /// What to keep in sight.
    pub focus: Focus,
    /// Whether a picture may be made larger than it is.
    pub enlarge: bool,
    /// Whether light is averaged instead of the numbers that stand for it.
    pub linear: bool,
    /// Blurred.
    pub blur: Option<Sigma>,
    /// Sharpened.
    pub sharpen: Option<Sharpen>,
    /// Without colours.
    pub gray: bool,
    /// Times as bright.
    pub brightness: Factor,
    /// Times as colourful.
    pub saturation: Factor,
    /// With another picture on it.
    pub watermark: Option<Watermark>,
    /// With round corners.
    pub radius: Option<Radius>,
    /// With a margin around it.
    pub pad: Padding,
    /// What is behind it.
    pub background: Option<Colour>,
    /// How it is encoded.
    pub encoding: Encoding,
    /// Whether an animation stays one where the format has animations. Otherwise its first frame is shown,
    /// which is what a ladder of previews wants: a moving rendering takes as much work as it has frames.
    pub animated: bool,
    /// What of the file it carries on.
    pub keep: Keep,
}

impl Recipe {
    /// The whole picture, as it is.
    pub const fn new(encoding: Encoding) -> Self {
        Self {
            crop: None,
            trim: None,
            flip: None,
            rotate: Angle::NONE,
            width: None,
            height: None,
            fit: Fit::Inside,
            focus: Focus::CENTER,
            enlarge: false,
            linear: false,
            blur: None,
            sharpen: None,
            gray: false,
            brightness: Factor::ONE,
            saturation: Factor::ONE,
            watermark: None,
            radius: None,
            pad: Padding::NONE,
            background: None,
            encoding,
            animated: false,
            keep: Keep::NOTHING,
        }
    }

    /// At most so wide; what is more than [`MOST_SIDE`] is that.
    pub fn of_width(width: u32, encoding: Encoding) -> Self {
        Self { width: Some(Side::nearest(width)), ..Self::new(encoding) }
    }
}

impl Default for Recipe {
    fn default() -> Self {
        Self::new(Encoding { format: OutputFormat::Webp, quality: 80, lossless: false })
    }
}

//! What will be done: a recipe resolved against a real picture, as the list of its steps.

mod fit;
mod layout;

use std::fmt;

pub(crate) use fit::placed;
pub(crate) use layout::Layout;

use crate::carry::Keep;
use crate::operations::{Operation, rotate};
use crate::orientation::Orientation;
use crate::recipe::{Encoding, Flip, Length, Recipe, RecipeError, Region, Trim};
use crate::window::{Area, Window};
use crate::{Header, animation};

/// A recipe resolved against a real picture: nothing in it can fail any more but the codec.
///
/// Printed, it is the list of its steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The exact width of the result. Where a border is trimmed, which takes the pixels to know, it is what
    /// comes out if there is none.
    pub width: u32,
    /// The exact height of the result, or as for the width.
    pub height: u32,
    /// How it is encoded, with a quality of 1 to 100.
    pub encoding: Encoding,
    /// Whether all frames are rendered: the picture has several, and the format can hold them.
    pub animated: bool,
    /// What of the file it carries on.
    pub keep: Keep,
    /// From the picture's pixels to their place and number.
    pub(crate) geometry: Geometry,
    /// What is done to the pixels after that.
    pub(crate) operations: Vec<Operation>,
    /// What has to be trimmed first, and the recipe to go on with then.
    pub(crate) trim: Option<(Trim, Recipe)>,
}

/// What is cut out of an upright picture, how it is turned, and how large it becomes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Geometry {
    /// The upright picture.
    pub(crate) full: (u32, u32),
    /// What is cut out of it. Nothing beside it is ever seen.
    pub(crate) crop: Area,
    /// How that is turned.
    pub(crate) turn: Orientation,
    /// What of it, turned, becomes the result.
    pub(crate) window: Window,
    /// The size of the result.
    pub(crate) size: (u32, u32),
    /// Whether light is averaged.
    pub(crate) linear: bool,
    /// Whether the file's own colours are kept, if their profile can be carried along.
    pub(crate) own_colours: bool,
}

impl Geometry {
    /// All of a picture, at most so large.
    pub(crate) fn whole(full: (u32, u32), size: (u32, u32)) -> Self {
        let (crop, window) = (Area::whole(full), Window::whole(full));
        let turn = Orientation::Upright;
        Self { full, crop, turn, window, size, linear: false, own_colours: false }
    }

    /// All of a picture, its longer side so long or as long as it is.
    pub(crate) fn look(full: (u32, u32), side: u32) -> Self {
        let longest = full.0.max(full.1);
        let shrunk = |length: u32| {
            let shrunk = u64::from(length) * u64::from(side) / u64::from(longest);
            if longest > side { u32::try_from(shrunk).unwrap_or(side).max(1) } else { length }
        };
        Self::whole(full, (shrunk(full.0), shrunk(full.1)))
    }

    /// Whether it is all of the picture, upright and in its own shape but for the last pixel.
    pub(crate) fn shows_all(&self) -> bool {
        let ((width, height), (full_width, full_height)) = (self.size, self.full);
        let across = u64::from(width) * u64::from(full_height);
        let down = u64::from(height) * u64::from(full_width);
        let even = across.abs_diff(down) <= u64::from(full_width.max(full_height));
        even && *self == Self { linear: self.linear, ..Self::whole(self.full, self.size) }
    }

    /// Whether this can be made from what the other one left: it shows the same, and more of it.
    pub(crate) fn follows(&self, other: &Self) -> bool {
        let smaller = self.size.0 <= other.size.0 && self.size.1 <= other.size.1;
        smaller && *other == Self { size: other.size, ..*self }
    }

    /// How large the upright picture has to be for this to be made from it, at most as large as it is.
    pub(crate) fn wanted(&self) -> (u32, u32) {
        let full = self.turn.upright(self.full);
        let side = |full: u32, size: u32, window: f64| {
            let wanted = (f64::from(full) * (f64::from(size) / window) - 1e-6).ceil();
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
            (wanted as u32).clamp(1, full)
        };
        // What is averaged while decoding is not light.
        if self.linear && (self.size.0 < full.0 || self.size.1 < full.1) {
            return self.full;
        }
        let wanted =
            (side(full.0, self.size.0, self.window.width), side(full.1, self.size.1, self.window.height));
        self.turn.upright(wanted)
    }
}

impl Recipe {
    /// Resolves this recipe for a picture.
    ///
    /// The size of the result:
    ///
    /// - With one side given, or two and `inside`, that side is the result's or less, and the other one
    ///   follows the picture's shape, rounded to the nearest whole pixel, halves up, at least 1.
    /// - `cover` and `fill` make both sides as they were asked for, and `contain` does with background.
    /// - Without `enlarge`, no side gets longer than the picture's: `inside` and `contain` leave it as it
    ///   is, `fill` keeps that side, and `cover` keeps the shape that was asked for, as large as there is.
    /// - Where a format cannot hold the result, it becomes as large as the format holds.
    /// - Padding adds to it.
    ///
    /// A region is kept within the picture, moved to the nearest place where there is at least one pixel. Whoever
    /// asks on behalf of someone who wrote the recipe asks [`Self::check`] first.
    pub fn plan(&self, header: &Header) -> Plan {
        let full = (header.width.max(1), header.height.max(1));
        let crop = self.crop.map_or(Area::whole(full), |region| area(region, full));
        let Layout { geometry, operations, width, height } = self.layout(crop, full);
        let (encoding, keep) = (self.encoding(), self.keep);
        let trim = self.trim.map(|trim| (trim, *self));
        let animated = self.animated && animation::moves(header) && encoding.format.moves();
        Plan { width, height, encoding, animated, keep, geometry, operations, trim }
    }

    /// Refuses a picture that the recipe cannot have been written for: one that has nothing of the region in it.
    pub fn check(&self, header: &Header) -> Result<(), RecipeError> {
        let (width, height) = (header.width, header.height);
        let beyond =
            |region: Region| region.x.of(width) >= width.into() || region.y.of(height) >= height.into();
        if self.crop.is_some_and(beyond) { Err(RecipeError::Outside { width, height }) } else { Ok(()) }
    }

    fn encoding(&self) -> Encoding {
        Encoding { quality: self.encoding.quality.clamp(1, 100), ..self.encoding }
    }

    /// What the flip and the whole quarter turns do together, and the degrees that are left.
    fn turn(&self) -> (Orientation, f64) {
        let flip = match self.flip {
            None => Orientation::Upright,
            Some(Flip::Across) => Orientation::Mirror,
            Some(Flip::Down) => Orientation::Flip,
            Some(Flip::Both) => Orientation::Turn180,
        };
        let (quarters, rest) = self.rotate.quarters();
        let turned = (0..quarters).fold(flip, |turned, _| turned.then(Orientation::Turn90));
        (turned, rest)
    }
}

impl Plan {
    /// The plan for a picture whose border is known: what is within it.
    pub(crate) fn trimmed(&self, within: Area) -> Self {
        let Some((_, recipe)) = self.trim else { return self.clone() };
        let Layout { geometry, operations, width, height } = recipe.layout(within, self.geometry.full);
        Self { width, height, geometry, operations, trim: None, ..self.clone() }
    }

    /// How large the upright picture has to be at least when it is decoded.
    pub(crate) fn wanted(&self) -> (u32, u32) {
        if self.trim.is_some() { self.geometry.full } else { self.geometry.wanted() }
    }

    /// Whether luma and halved chroma are all that is needed.
    pub(crate) fn keeps_planes(&self) -> bool {
        self.encoding.halves_chroma()
            && !self.geometry.linear
            && self.trim.is_none()
            && self.operations.iter().all(|one| matches!(one, Operation::Gray | Operation::Flatten(_)))
    }

    /// Whether the pixels only have to be put in place.
    pub(crate) fn is_plain(&self) -> bool {
        self.trim.is_none() && self.operations.iter().all(|one| matches!(one, Operation::Flatten(_)))
    }
}

/// The pixels that a region takes in.
fn area(region: Region, (width, height): (u32, u32)) -> Area {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is kept in range")]
    let side = |start: Length, length: Length, full: u32| {
        let start = start.of(full);
        let end = (start + length.of(full)).round().clamp(1.0, full.into());
        let start = start.round().clamp(0.0, end - 1.0);
        (start as u32, (end - start) as u32)
    };
    let (x, width) = side(region.x, region.width, width);
    let (y, height) = side(region.y, region.height, height);
    Area { x, y, width, height }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Geometry { full, crop, turn, window, size, linear, own_colours } = self.geometry;
        let (width, height) = self.wanted();
        writeln!(f, "decode    at least {width}x{height} of {}x{}", full.0, full.1)?;
        if crop != Area::whole(full) {
            writeln!(f, "crop      {}x{} at {},{}", crop.width, crop.height, crop.x, crop.y)?;
        }
        if let Some((Trim(levels), _)) = self.trim {
            writeln!(f, "trim      a border within {levels} levels; what follows is as if there were none")?;
        }
        if turn != Orientation::Upright {
            writeln!(f, "turn      {turn:?}")?;
        }
        let (light, Window { x, y, width, height }) = (if linear { " of light" } else { "" }, window);
        let at = format!("{width:.2}x{height:.2} at {x:.2},{y:.2}");
        writeln!(f, "resize    {at} to {}x{}, Lanczos3{light}", size.0, size.1)?;
        writeln!(f, "colour    {}", if own_colours { "as it is, where it is RGB" } else { "to sRGB" })?;
        writeln!(f, "orient    upright")?;
        for operation in &self.operations {
            match operation {
                Operation::Rotate(rotate::Tilt { degrees, .. }) => writeln!(f, "rotate    {degrees} degrees"),
                Operation::Resize(size) => writeln!(f, "resize    to {}x{}", size.0, size.1),
                Operation::Blur(sigma) => writeln!(f, "blur      sigma {sigma}"),
                Operation::Sharpen(sharpen) => writeln!(f, "sharpen   {sharpen}"),
                Operation::Gray => writeln!(f, "gray"),
                Operation::Brightness(factor) => writeln!(f, "brighten  {factor} times"),
                Operation::Saturation(factor) => writeln!(f, "saturate  {factor} times"),
                Operation::Watermark(mark, _) => writeln!(f, "watermark {mark}"),
                Operation::Round(radius) => writeln!(f, "round     corners of {radius:.2}"),
                Operation::Extend(canvas) => {
                    let ((width, height), (x, y)) = (canvas.size, canvas.at);
                    writeln!(f, "extend    to {width}x{height}, the picture at {x},{y}, on {}", canvas.colour)
                }
                Operation::Flatten(colour) => writeln!(f, "flatten   what is transparent, onto {colour}"),
            }?;
        }
        let Encoding { format, quality, lossless } = self.encoding;
        let quality = if lossless { "lossless".to_owned() } else { format!("quality {quality}") };
        write!(f, "encode    {} of {}x{}, {quality}", format.extension(), self.width, self.height)
    }
}

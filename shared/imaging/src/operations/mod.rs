//! What is done to a picture's pixels after they have their place: a file for each.
//!
//! Everything here takes sRGB, as RGB or RGBA, and leaves it so.

#![allow(clippy::cast_precision_loss, reason = "places in pictures and levels are far below 2 to the 52nd")]

mod blur;
pub(crate) mod extend;
mod flatten;
pub(crate) mod linear;
pub(crate) mod rotate;
mod round;
mod sharpen;
mod tone;
pub(crate) mod trim;
mod watermark;

use crate::Reject;
use crate::limits::Budget;
use crate::raster::Raster;
use crate::recipe::{Colour, Factor, Sharpen, Sigma, Watermark};
use crate::resize::resize;

pub(crate) use flatten::onto;
pub use watermark::Overlay;
pub(crate) use watermark::sized;

/// One step, with all that it needs to know.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Operation {
    Rotate(rotate::Tilt),
    Resize((u32, u32)),
    Blur(Sigma),
    Sharpen(Sharpen),
    Gray,
    Brightness(Factor),
    Saturation(Factor),
    /// With the size of the picture that is marked.
    Watermark(Watermark, (u32, u32)),
    /// The radius in pixels.
    Round(f64),
    Extend(extend::Canvas),
    Flatten(Colour),
}

impl Operation {
    pub(crate) fn apply(
        self, raster: Raster, mark: Option<&Raster>, budget: &Budget,
    ) -> Result<Raster, Reject> {
        match self {
            Self::Rotate(tilt) => rotate::rotate(raster, &tilt, budget),
            Self::Resize(size) => resize(raster, size, budget),
            Self::Blur(sigma) => blur::blur(raster, sigma.value(), budget),
            Self::Sharpen(sharpen) => sharpen::sharpen(raster, sharpen, budget),
            Self::Gray => Ok(tone::gray(raster)),
            Self::Brightness(factor) => Ok(tone::brightness(raster, factor.value())),
            Self::Saturation(factor) => Ok(tone::saturation(raster, factor.value())),
            Self::Watermark(watermark, _) => watermark::lay(raster, watermark, mark),
            Self::Round(radius) => round::round(raster, radius, budget),
            Self::Extend(canvas) => extend::extend(&raster, &canvas, budget),
            Self::Flatten(colour) => onto(raster, colour, budget),
        }
    }
}

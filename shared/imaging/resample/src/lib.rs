//! `fast_image_resize`, compiled once.
//!
//! It is generic over what pictures are kept in, and makes code for each kind of pixel and each instruction
//! set: whoever calls it compiles all of that, and so only this crate does.

pub use fast_image_resize::images::{Image, ImageRef};
pub use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions};
use fast_image_resize::{MulDiv, Resizer};

/// That it would not do it: the pixels are of different kinds, or a window sticks out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused;

/// Resizes one picture into another one.
pub fn resize(from: &ImageRef, to: &mut Image, options: &ResizeOptions) -> Result<(), Refused> {
    Resizer::new().resize(from, to, options).map_err(|_| Refused)
}

/// Multiplies colours by alpha.
pub fn multiply_alpha(image: &mut Image) -> Result<(), Refused> {
    MulDiv::new().multiply_alpha_inplace(image).map_err(|_| Refused)
}

/// Divides colours by alpha.
pub fn divide_alpha(image: &mut Image) -> Result<(), Refused> {
    MulDiv::new().divide_alpha_inplace(image).map_err(|_| Refused)
}

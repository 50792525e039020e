use std::borrow::Cow;

use resample::{FilterType, Image, ImageRef, PixelType, Refused, ResizeAlg, ResizeOptions};

use crate::limits::Budget;
use crate::raster::{Pixels, Raster};
use crate::window::Window;
use crate::{Reject, codec};

pub(crate) const FAILED: Reject = Reject::Undecodable("it cannot be resized");

/// Brings a picture to this size with Lanczos3. A picture that has it already comes back untouched.
///
/// Colours are multiplied by alpha for the time being: invisible ones must not bleed into visible ones
/// when pixels are mixed. It happens in place, which is why the source is consumed: the library's own
/// way would copy it. One that is only lent is copied here, if it has alpha.
pub(crate) fn resize(raster: Raster, size: (u32, u32), budget: &Budget) -> Result<Raster, Reject> {
    let window = Window::whole((raster.width, raster.height));
    resize_window(Cow::Owned(raster), window, size, budget)
}

/// The same of a part. What is beside it is seen by the filter all the same.
pub(crate) fn resize_window(
    mut raster: Cow<'_, Raster>, window: Window, (width, height): (u32, u32), budget: &Budget,
) -> Result<Raster, Reject> {
    let all = window == Window::whole((raster.width, raster.height));
    if all && (raster.width, raster.height) == (width, height) {
        return Ok(raster.into_owned());
    }
    // The filter runs across first: its buffer is as wide as the result and as high as the source.
    let between = raster.pixels.bytes(width, raster.height);
    let result = raster.pixels.bytes(width, height);
    budget.afford(raster.bytes() + between + result)?;

    let mut resized = Raster::blank(width, height, raster.pixels, budget)?;
    if raster.pixels.has_alpha() {
        multiply_alpha(raster.to_mut())?;
    }
    codec::guard(|| {
        let kind = pixel_type(raster.pixels);
        let from = ImageRef::new(raster.width, raster.height, &raster.data, kind);
        let from = from.map_err(|_| FAILED)?;
        let to = Image::from_slice_u8(width, height, &mut resized.data, kind);
        let mut to = to.map_err(|_| FAILED)?;
        let lanczos = ResizeAlg::Convolution(FilterType::Lanczos3);
        let options = cropped(lanczos, window, (raster.width, raster.height)).use_alpha(false);
        resample::resize(&from, &mut to, &options).map_err(|Refused| FAILED)
    })?;
    divide_alpha(&mut resized)?;
    Ok(resized)
}

/// The window kept within the picture: what was computed in fractions may be over the edge by a trifle.
pub(crate) fn cropped(filter: ResizeAlg, window: Window, (width, height): (u32, u32)) -> ResizeOptions {
    let (width, height) = (f64::from(width), f64::from(height));
    let (x, y) = (window.x.clamp(0.0, width), window.y.clamp(0.0, height));
    let options = ResizeOptions::new().resize_alg(filter);
    options.crop(x, y, window.width.min(width - x), window.height.min(height - y))
}

/// Colours times alpha.
pub(crate) fn multiply_alpha(raster: &mut Raster) -> Result<(), Reject> {
    in_place(raster, resample::multiply_alpha)
}

/// Colours as they were before [`multiply_alpha`].
pub(crate) fn divide_alpha(raster: &mut Raster) -> Result<(), Reject> {
    in_place(raster, resample::divide_alpha)
}

/// Nothing happens to pixels without alpha.
fn in_place<E>(raster: &mut Raster, change: impl FnOnce(&mut Image) -> Result<(), E>) -> Result<(), Reject> {
    if !raster.pixels.has_alpha() {
        return Ok(());
    }
    codec::guard(|| {
        let kind = pixel_type(raster.pixels);
        let image = Image::from_slice_u8(raster.width, raster.height, &mut raster.data, kind);
        change(&mut image.map_err(|_| FAILED)?).map_err(|_| FAILED)
    })
}

fn pixel_type(pixels: Pixels) -> PixelType {
    match pixels {
        Pixels::Gray => PixelType::U8,
        Pixels::GrayAlpha => PixelType::U8x2,
        Pixels::Rgb => PixelType::U8x3,
        Pixels::Rgba | Pixels::Cmyk => PixelType::U8x4,
    }
}

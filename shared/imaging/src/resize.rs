use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, MulDiv, PixelType, ResizeAlg, ResizeOptions, Resizer};

use crate::limits::Budget;
use crate::raster::{Pixels, Raster};
use crate::{Reject, codec};

const FAILED: Reject = Reject::Undecodable("it cannot be resized");

/// Brings a picture to this size with Lanczos3. A picture that has it already comes back untouched.
///
/// Colours are multiplied by alpha for the time being: invisible ones must not bleed into visible ones
/// when pixels are mixed. It happens in place, which is why the source is consumed: the library's own
/// way would copy it.
pub(crate) fn resize(
    mut raster: Raster, (width, height): (u32, u32), budget: &Budget,
) -> Result<Raster, Reject> {
    if (raster.width, raster.height) == (width, height) {
        return Ok(raster);
    }
    // The filter runs across first: its buffer is as wide as the result and as high as the source.
    let between = raster.pixels.bytes(width, raster.height);
    let result = raster.pixels.bytes(width, height);
    budget.afford(raster.bytes() + between + result)?;

    let mut resized = Raster::blank(width, height, raster.pixels, budget)?;
    in_place(&mut raster, |image| MulDiv::new().multiply_alpha_inplace(image))?;
    codec::guard(|| {
        let kind = pixel_type(raster.pixels);
        let from = ImageRef::new(raster.width, raster.height, &raster.data, kind);
        let from = from.map_err(|_| FAILED)?;
        let to = Image::from_slice_u8(width, height, &mut resized.data, kind);
        let mut to = to.map_err(|_| FAILED)?;
        let lanczos = ResizeAlg::Convolution(FilterType::Lanczos3);
        let options = ResizeOptions::new().resize_alg(lanczos).use_alpha(false);
        Resizer::new().resize(&from, &mut to, &options).map_err(|_| FAILED)
    })?;
    in_place(&mut resized, |image| MulDiv::new().divide_alpha_inplace(image))?;
    Ok(resized)
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

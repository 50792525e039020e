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
        return Raster::owned(raster, budget);
    }
    let between = between_passes(8, (raster.width, raster.height), (width, height));
    let between = between * raster.pixels.channels() as u64;
    let result = raster.pixels.bytes(width, height);
    budget.afford(raster.bytes() + between + result)?;

    let mut resized = Raster::blank(width, height, raster.pixels, budget)?;
    if raster.pixels.has_alpha() {
        let mut multiplied = Raster::owned(raster, budget)?;
        multiply_alpha(&mut multiplied)?;
        raster = Cow::Owned(multiplied);
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

/// How many pixels lie between the two passes of the filter. With samples of 8 bits it runs down first, which is faster,
/// and with those of 16 across (`fast_image_resize` 6.1, `Resizer::do_convolution`).
pub(crate) fn between_passes(bits: u32, from: (u32, u32), to: (u32, u32)) -> u64 {
    let (width, height) = if bits == 8 { (from.0, to.1) } else { (to.0, from.1) };
    u64::from(width) * u64::from(height)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(width: u32, height: u32) -> Raster {
        let samples = 0..width * height * 3;
        let data = samples.map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        Raster { width, height, pixels: Pixels::Rgb, data }
    }

    #[test]
    fn samples_of_8_bits_are_filtered_down_first_and_take_what_that_takes() {
        let budget = Budget::for_tests();
        let from = (80, 60);
        let in_turns = |first: (u32, u32), size| {
            let between = resize(noise(from.0, from.1), first, &budget).unwrap();
            resize(between, size, &budget).unwrap().data
        };
        for size in [(4, 59), (79, 3), (20, 15)] {
            let at_once = |memory| resize(noise(from.0, from.1), size, &Budget { memory, ..budget });
            let down_first = u64::from(from.0 * size.1);
            let needed = 3 * (u64::from(from.0 * from.1) + down_first + u64::from(size.0 * size.1));
            assert_eq!(at_once(needed).unwrap().data, in_turns((from.0, size.1), size));
            assert_ne!(at_once(needed).unwrap().data, in_turns((size.0, from.1), size));
            assert_eq!(at_once(needed - 1).unwrap_err().code(), "too-large");
        }
    }

    #[test]
    fn samples_of_16_bits_are_filtered_across_first() {
        let resized = |from: &Image, (width, height)| {
            let mut to = Image::new(width, height, PixelType::U16);
            let lanczos = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3));
            let from = ImageRef::new(from.width(), from.height(), from.buffer(), PixelType::U16).unwrap();
            resample::resize(&from, &mut to, &lanczos).unwrap();
            to
        };
        let data = (0..80 * 60 * 2_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let from = Image::from_vec_u8(80, 60, data, PixelType::U16).unwrap();
        let at_once = resized(&from, (20, 15));
        let in_turns = |first| resized(&resized(&from, first), (20, 15));
        assert_eq!(at_once.buffer(), in_turns((20, 60)).buffer());
        assert_ne!(at_once.buffer(), in_turns((80, 15)).buffer());
        assert_eq!(between_passes(16, (80, 60), (20, 15)), 20 * 60);
    }
}

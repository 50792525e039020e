use std::sync::LazyLock;

use resample::{FilterType, Image, ImageRef, PixelType, Refused, ResizeAlg};

use crate::limits::Budget;
use crate::raster::{Pixels, Raster};
use crate::resize::{FAILED, between_passes, cropped};
use crate::window::Window;
use crate::{Reject, codec};

/// The light of every level of sRGB (IEC 61966-2-1), of 65,535.
static LIGHT: LazyLock<[u16; 256]> = LazyLock::new(|| std::array::from_fn(|level| light(level as f64)));

/// The least light of every level but the first.
static LEAST: LazyLock<[u16; 255]> = LazyLock::new(|| std::array::from_fn(|level| light(level as f64 + 0.5)));

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is kept in range")]
fn light(level: f64) -> u16 {
    let level = level / 255.0;
    let light = if level <= 0.040_45 { level / 12.92 } else { ((level + 0.055) / 1.055).powf(2.4) };
    (light * 65_535.0).round() as u16
}

#[allow(clippy::cast_possible_truncation, reason = "there are 255 of them")]
fn level(light: u16) -> u8 {
    LEAST.partition_point(|&least| least <= light) as u8
}

/// As [`crate::resize::resize_window`], but mixes light: fine patterns keep their brightness.
pub(crate) fn resize_window(
    raster: &Raster, window: Window, (width, height): (u32, u32), budget: &Budget,
) -> Result<Raster, Reject> {
    let alpha = raster.pixels == Pixels::Rgba;
    let kind = if alpha { PixelType::U16x4 } else { PixelType::U16x3 };
    let bytes = |width, height| 2 * raster.pixels.bytes(width, height);
    let channels = raster.pixels.channels();
    let between = between_passes(16, (raster.width, raster.height), (width, height)) * 2 * channels as u64;
    budget
        .afford(3 * raster.bytes() + between + bytes(width, height) + raster.pixels.bytes(width, height))?;

    let mut resized = Raster::blank(width, height, raster.pixels, budget)?;
    codec::guard(|| {
        let zeros = |width, height| {
            let samples = width as usize * height as usize * channels;
            let image = Image::from_vec_u8(width, height, budget.filled(0, 2 * samples)?, kind);
            image.map_err(|_| FAILED)
        };
        let mut from = zeros(raster.width, raster.height)?;
        let lights = from.buffer_mut();
        for (at, (light, level)) in lights.chunks_exact_mut(2).zip(&raster.data).enumerate() {
            let value = if at % channels == 3 { u16::from(*level) * 257 } else { LIGHT[usize::from(*level)] };
            light.copy_from_slice(&value.to_ne_bytes());
        }
        let mut to = zeros(width, height)?;
        if alpha {
            resample::multiply_alpha(&mut from).map_err(|Refused| FAILED)?;
        }
        let lanczos = ResizeAlg::Convolution(FilterType::Lanczos3);
        let options = cropped(lanczos, window, (raster.width, raster.height)).use_alpha(false);
        let from = ImageRef::new(raster.width, raster.height, from.buffer(), kind).map_err(|_| FAILED)?;
        resample::resize(&from, &mut to, &options).map_err(|Refused| FAILED)?;
        if alpha {
            resample::divide_alpha(&mut to).map_err(|Refused| FAILED)?;
        }
        for (at, (result, light)) in resized.data.iter_mut().zip(to.buffer().chunks_exact(2)).enumerate() {
            let light = u16::from_ne_bytes([light[0], light[1]]);
            // The rounded half of 257.
            *result = if at % channels == 3 {
                u8::try_from((u32::from(light) + 128) / 257).unwrap_or(u8::MAX)
            } else {
                level(light)
            };
        }
        Ok(())
    })?;
    Ok(resized)
}

use moxcms::{ColorProfile, DataColorSpace, Layout, Transform8BitExecutor, TransformOptions};

use crate::Reject;
use crate::codec;
use crate::limits::Budget;
use crate::raster::{Pixels, Raster};

/// What a profile does.
pub(crate) type Transform = std::sync::Arc<Transform8BitExecutor>;

/// Brings pixels into sRGB: RGB, or RGBA where there is alpha.
///
/// A profile that is broken, or is one for other pixels than these, is ignored: the picture then shows
/// as it does in a viewer that knows nothing of profiles.
pub(crate) fn to_srgb(
    raster: Raster, transform: Option<&Transform>, budget: &Budget,
) -> Result<Raster, Reject> {
    if transform.is_none() && matches!(raster.pixels, Pixels::Rgb | Pixels::Rgba) {
        return Ok(raster);
    }
    let pixels = if raster.pixels.has_alpha() { Pixels::Rgba } else { Pixels::Rgb };
    budget.afford(raster.bytes() + pixels.bytes(raster.width, raster.height))?;
    let mut converted = Raster::blank(raster.width, raster.height, pixels, budget)?;
    let done = transform.is_some_and(|transform| {
        codec::guard(|| {
            transform
                .transform(&raster.data, &mut converted.data)
                .map_err(|_| Reject::Undecodable("its colour profile"))
        })
        .is_ok()
    });
    if !done {
        plain(&raster, &mut converted);
    }
    Ok(converted)
}

/// `None` if there is nothing to do, or nothing can be done.
pub(crate) fn transform(icc: &[u8], pixels: Pixels) -> Option<Transform> {
    let (space, from, to) = match pixels {
        Pixels::Gray => (DataColorSpace::Gray, Layout::Gray, Layout::Rgb),
        Pixels::GrayAlpha => (DataColorSpace::Gray, Layout::GrayAlpha, Layout::Rgba),
        Pixels::Rgb => (DataColorSpace::Rgb, Layout::Rgb, Layout::Rgb),
        Pixels::Rgba => (DataColorSpace::Rgb, Layout::Rgba, Layout::Rgba),
        // moxcms passes ink through the layout of four channels.
        Pixels::Cmyk => (DataColorSpace::Cmyk, Layout::Rgba, Layout::Rgb),
    };
    codec::guard(|| {
        let broken = |_| Reject::Undecodable("its colour profile");
        let profile = ColorProfile::new_from_slice(icc).map_err(broken)?;
        if profile.color_space != space {
            return Ok(None);
        }
        let srgb = ColorProfile::new_srgb();
        let convert = |from, to| {
            profile.create_transform_8bit(from, &srgb, to, TransformOptions::default()).map_err(broken)
        };
        if space == DataColorSpace::Rgb && is_identity(&*convert(Layout::Rgb, Layout::Rgb)?) {
            return Ok(None);
        }
        convert(from, to).map(Some)
    })
    .ok()
    .flatten()
}

/// Most tagged pictures are tagged as sRGB, in one of many spellings. They are told by what the profile
/// does to a grid of colours, and are then left alone.
fn is_identity(transform: &Transform8BitExecutor) -> bool {
    const LEVELS: [u8; 9] = [0, 32, 64, 96, 128, 160, 192, 224, 255];
    let across = || LEVELS.iter().copied();
    let grid: Vec<u8> =
        across().flat_map(|r| across().flat_map(move |g| across().flat_map(move |b| [r, g, b]))).collect();
    let mut changed = vec![0; grid.len()];
    transform.transform(&grid, &mut changed).is_ok()
        && grid.iter().zip(&changed).all(|(before, after)| before.abs_diff(*after) <= 1)
}

/// Without a profile: gray is gray, and ink takes its share of white away.
fn plain(raster: &Raster, converted: &mut Raster) {
    let from = raster.data.chunks_exact(raster.pixels.channels());
    let to = converted.data.chunks_exact_mut(converted.pixels.channels());
    for (from, to) in from.zip(to) {
        match (from, raster.pixels) {
            (&[gray], _) => to.fill(gray),
            (&[gray, alpha], _) => to.copy_from_slice(&[gray, gray, gray, alpha]),
            (&[c, m, y, k], Pixels::Cmyk) => {
                to.copy_from_slice(&[c, m, y].map(|ink| multiply(!ink, !k)));
            }
            _ => to.copy_from_slice(from),
        }
    }
}

/// `a * b / 255`, rounded.
fn multiply(a: u8, b: u8) -> u8 {
    let product = (u16::from(a) * u16::from(b) + 127) / 255;
    u8::try_from(product).unwrap_or(u8::MAX)
}

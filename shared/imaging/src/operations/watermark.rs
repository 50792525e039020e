use std::borrow::Cow;

use super::Operation;
use crate::colour::{self, Conversion};
use crate::levels::over;
use crate::limits::{Budget, Limits};
use crate::orientation::orient;
use crate::plan::placed;
use crate::raster::Raster;
use crate::recipe::Watermark;
use crate::resize::resize_window;
use crate::window::Window;
use crate::{Reject, decode, probe};

/// A picture to lay onto others.
#[derive(Debug, Clone)]
pub struct Overlay {
    mark: Raster,
}

impl Overlay {
    pub(crate) fn bytes(&self) -> u64 {
        self.mark.bytes()
    }

    /// Decodes a file of any format.
    pub fn decode(bytes: &[u8], limits: &Limits, budget: &Budget) -> Result<Self, Reject> {
        let header = probe(bytes)?;
        limits.check(&header, bytes.len() as u64)?;
        let decoded = decode::decode(bytes, &header, header.stored_size(), budget)?;
        let (conversion, _) = Conversion::of(decoded.icc.as_deref(), decoded.raster.pixels);
        let mark = colour::to_srgb(decoded.raster, conversion.as_ref(), budget)?;
        Ok(Self { mark: orient(mark, header.orientation, budget)?.with_alpha(budget)? })
    }
}

/// The mark for a plan that asks for one, in the size that its picture has it in: the same for all frames of an
/// animation. A recipe with a watermark is never carried out without one.
pub(crate) fn sized(
    operations: &[Operation], overlay: Option<&Overlay>, budget: &Budget,
) -> Result<Option<Raster>, Reject> {
    let asked = operations.iter().find_map(|operation| match *operation {
        Operation::Watermark(watermark, picture) => Some((watermark, picture)),
        _ => None,
    });
    let Some((watermark, picture)) = asked else { return Ok(None) };
    let Overlay { mark } = overlay.ok_or(Reject::NoWatermark)?;
    let full = (mark.width, mark.height);
    let size = size(picture, full, watermark.scale.value());
    resize_window(Cow::Borrowed(mark), Window::whole(full), size, budget).map(Some)
}

/// Lays a mark that has its size onto a picture.
pub(super) fn lay(mut raster: Raster, watermark: Watermark, mark: Option<&Raster>) -> Result<Raster, Reject> {
    let mark = mark.ok_or(Reject::NoWatermark)?;
    let (picture, size) = ((raster.width, raster.height), (mark.width, mark.height));
    let at = placed(watermark.position, size, picture);

    let opacity = watermark.opacity.value();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it gets less")]
    let alphas: [u8; 256] = std::array::from_fn(|alpha| (alpha as f64 * opacity).round() as u8);
    let channels = raster.pixels.channels();
    let rows = raster.data.chunks_exact_mut(picture.0 as usize * channels).skip(at.1 as usize);
    for (row, mark) in rows.zip(mark.data.chunks_exact(size.0 as usize * 4)) {
        let pixels = row.chunks_exact_mut(channels).skip(at.0 as usize);
        for (pixel, &[r, g, b, alpha]) in pixels.zip(mark.as_chunks::<4>().0) {
            let below = [pixel[0], pixel[1], pixel[2], pixel.get(3).copied().unwrap_or(u8::MAX)];
            let mixed = over([r, g, b, alphas[usize::from(alpha)]], below);
            pixel.copy_from_slice(&mixed[..channels]);
        }
    }
    Ok(raster)
}

/// So wide as asked for, but no higher than the picture.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is kept within the picture")]
fn size(picture: (u32, u32), mark: (u32, u32), scale: f64) -> (u32, u32) {
    let (wide, high) = (f64::from(mark.0), f64::from(mark.1));
    let factor = (f64::from(picture.0) * scale / wide).min(f64::from(picture.1) / high);
    let side = |side: f64, most: u32| ((side * factor).round() as u32).clamp(1, most);
    (side(wide, picture.0), side(high, picture.1))
}

use super::{Decoded, OTHER_SIZE};
use crate::container::webp;
use crate::libwebp::{self, Fault};
use crate::limits::Budget;
use crate::raster::{Pixels, Raster};
use crate::{Header, Reject};

/// Scale while decoding only if what comes out still has so many pixels on a side for every one that is
/// wanted: the averaging of areas aliases a little, which Lanczos at half size then removes.
const SPARE: u32 = 2;

pub(super) fn decode(
    bytes: &[u8], header: &Header, wanted: (u32, u32), budget: &Budget,
) -> Result<Decoded, Reject> {
    let first = webp::first(bytes)?;
    let file = first.file.as_deref().unwrap_or(bytes);
    let (width, height) = (first.width, first.height);
    if libwebp::size(file).map_err(reject)? != (width, height) {
        return Err(OTHER_SIZE);
    }

    let canvas = header.stored_size();
    let is_canvas = (first.x, first.y, width, height) == (0, 0, canvas.0, canvas.1);
    let spare = (wanted.0.saturating_mul(SPARE), wanted.1.saturating_mul(SPARE));
    // Half again as many pixels to a side, or the rescaler costs more than it saves. Not with alpha:
    // it averages colours without regard to it, and those of invisible pixels would bleed.
    let gains = |full: u32, scaled: u32| u64::from(full) * 2 >= u64::from(scaled) * 3;
    let scales = is_canvas && !first.alpha && gains(width, spare.0) && gains(height, spare.1);
    let size = if scales { spare } else { (width, height) };

    let pixels = if first.alpha { Pixels::Rgba } else { Pixels::Rgb };
    // The lossless decoder keeps the whole picture as 32-bit pixels, the lossy one a plane of alpha.
    let own = match (first.lossless, first.alpha) {
        (true, _) => Pixels::Rgba.bytes(width, height),
        (false, true) => Pixels::Gray.bytes(width, height),
        (false, false) => 0,
    };
    budget.afford(pixels.bytes(size.0, size.1) + own)?;
    let mut raster = Raster::blank(size.0, size.1, pixels, budget)?;
    libwebp::decode(file, size, first.alpha, &mut raster.data).map_err(reject)?;
    if !is_canvas {
        raster = raster.onto_canvas(canvas, (first.x, first.y), budget)?;
    }
    Ok(Decoded { raster, icc: first.icc.map(<[u8]>::to_vec) })
}

pub(crate) fn reject(fault: Fault) -> Reject {
    match fault {
        Fault::Truncated => Reject::Truncated,
        Fault::Broken => Reject::Undecodable("its data makes no sense"),
    }
}

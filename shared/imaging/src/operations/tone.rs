use crate::raster::Raster;

/// How bright a colour is, as JPEG has it (JFIF 1.02): in 16-bit fixed point, rounded.
pub(super) fn luma([r, g, b]: [u8; 3]) -> u8 {
    let sum = 19_595 * u32::from(r) + 38_470 * u32::from(g) + 7_471 * u32::from(b);
    u8::try_from((sum + (1 << 15)) >> 16).unwrap_or(u8::MAX)
}

/// Every colour becomes the gray that is as bright.
pub(super) fn gray(raster: Raster) -> Raster {
    recoloured(raster, |colour| [luma(colour); 3])
}

/// Multiplies every colour: the `brightness()` of CSS (Filter Effects, 9.3).
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
pub(super) fn brightness(raster: Raster, factor: f64) -> Raster {
    let levels: [u8; 256] = std::array::from_fn(|level| (level as f64 * factor).round() as u8);
    recoloured(raster, |colour| colour.map(|level| levels[usize::from(level)]))
}

/// Moves every colour away from its gray, or nearer to it.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
pub(super) fn saturation(raster: Raster, factor: f64) -> Raster {
    let factor = factor as f32;
    recoloured(raster, |colour| {
        let gray = f32::from(luma(colour));
        colour.map(|level| (gray + factor * (f32::from(level) - gray)).round() as u8)
    })
}

/// Alpha stays.
fn recoloured(mut raster: Raster, change: impl Fn([u8; 3]) -> [u8; 3]) -> Raster {
    for pixel in raster.data.chunks_exact_mut(raster.pixels.channels()) {
        if let [r, g, b, ..] = pixel {
            [*r, *g, *b] = change([*r, *g, *b]);
        }
    }
    raster
}

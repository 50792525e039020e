use crate::raster::{Pixels, Raster};

/// Lays a premultiplied picture onto white, for formats that have no alpha: what is behind shines
/// through by what alpha leaves of it.
pub(crate) fn onto_white(raster: &Raster) -> Raster {
    let (pixels, _) = raster.data.as_chunks::<4>();
    let mut data = Vec::with_capacity(pixels.len() * 3);
    for &[r, g, b, a] in pixels {
        data.extend([r, g, b].map(|colour| colour.saturating_add(u8::MAX - a)));
    }
    Raster { width: raster.width, height: raster.height, pixels: Pixels::Rgb, data }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_transparent_becomes_white_and_what_is_not_stays() {
        let data = vec![10, 20, 30, 255, 0, 0, 0, 0, 64, 0, 0, 128];
        let raster = Raster { width: 3, height: 1, pixels: Pixels::Rgba, data };
        assert_eq!(onto_white(&raster).data, [10, 20, 30, 255, 255, 255, 191, 127, 127]);
    }
}

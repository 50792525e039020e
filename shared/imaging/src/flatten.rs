use crate::Reject;
use crate::limits::Budget;
use crate::raster::{Pixels, Raster};

/// Lays an RGBA picture onto white, for formats that have no alpha: white shines through by what alpha
/// leaves of it.
pub(crate) fn onto_white(raster: &Raster, budget: &Budget) -> Result<Raster, Reject> {
    let flat = Pixels::Rgb.bytes(raster.width, raster.height);
    budget.afford(raster.bytes() + flat)?;
    let (pixels, _) = raster.data.as_chunks::<4>();
    let mut data = Vec::with_capacity(pixels.len() * 3);
    for &[r, g, b, a] in pixels {
        data.extend([r, g, b].map(|colour| mix(colour, a)));
    }
    Ok(Raster { width: raster.width, height: raster.height, pixels: Pixels::Rgb, data })
}

/// `colour * alpha + white * (1 - alpha)`, rounded.
fn mix(colour: u8, alpha: u8) -> u8 {
    let (colour, alpha) = (u16::from(colour), u16::from(alpha));
    let mixed = (colour * alpha + 255 * (255 - alpha) + 127) / 255;
    u8::try_from(mixed).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_transparent_becomes_white_and_what_is_not_stays() {
        let raster = Raster {
            width: 3,
            height: 1,
            pixels: Pixels::Rgba,
            data: vec![10, 20, 30, 255, 0, 0, 0, 0, 128, 0, 0, 128],
        };
        let flat = onto_white(&raster, &Budget::for_tests()).unwrap();
        assert_eq!(flat.data, [10, 20, 30, 255, 255, 255, 191, 127, 127]);
    }
}

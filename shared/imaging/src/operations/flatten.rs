use crate::Reject;
use crate::levels::over;
use crate::limits::Budget;
use crate::raster::{Pixels, Raster};
use crate::recipe::Colour;

/// Lays a picture onto a colour, which shines through by what alpha leaves of it. On an opaque one, no alpha
/// is left.
pub(crate) fn onto(mut raster: Raster, colour: Colour, budget: &Budget) -> Result<Raster, Reject> {
    if raster.pixels != Pixels::Rgba {
        return Ok(raster);
    }
    budget.afford(raster.bytes())?;
    let below = colour.rgba();
    for pixel in raster.data.as_chunks_mut::<4>().0 {
        *pixel = over(*pixel, below);
    }
    if colour.alpha == u8::MAX {
        raster.drop_alpha();
    }
    Ok(raster)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> Raster {
        let data = vec![10, 20, 30, 255, 0, 0, 0, 0, 128, 0, 0, 128];
        Raster { width: 3, height: 1, pixels: Pixels::Rgba, data }
    }

    #[test]
    fn what_is_transparent_becomes_the_colour_and_what_is_not_stays() {
        let flat = onto(picture(), Colour::WHITE, &Budget::for_tests()).unwrap();
        assert_eq!(flat.data, [10, 20, 30, 255, 255, 255, 191, 127, 127]);
    }

    #[test]
    fn what_is_below_may_be_transparent_itself() {
        let half = Colour { red: 0, green: 0, blue: 255, alpha: 128 };
        let flat = onto(picture(), half, &Budget::for_tests()).unwrap();
        assert_eq!(flat.data[..8], [10, 20, 30, 255, 0, 0, 255, 128]);
        assert_eq!(flat.data[8..], [85, 0, 85, 192]);
        let flat = onto(picture(), Colour::TRANSPARENT, &Budget::for_tests()).unwrap();
        assert_eq!(flat.data, picture().data);
    }
}

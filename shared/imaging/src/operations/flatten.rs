use crate::Reject;
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
    for pixel in raster.data.as_chunks_mut::<4>().0 {
        *pixel = over(*pixel, colour);
    }
    if colour.alpha == u8::MAX {
        raster.drop_alpha();
    }
    Ok(raster)
}

/// Porter and Duff's "over", of colours that are not multiplied by alpha.
pub(super) fn over([r, g, b, a]: [u8; 4], below: Colour) -> [u8; 4] {
    // In 255 * 255ths.
    let above = u32::from(a) * 255;
    let rest = u32::from(below.alpha) * (255 - u32::from(a));
    let all = above + rest;
    if all == 0 {
        return [r, g, b, 0];
    }
    let mix = |colour: u8, below: u8| {
        let mixed = (u32::from(colour) * above + u32::from(below) * rest + all / 2) / all;
        u8::try_from(mixed).unwrap_or(u8::MAX)
    };
    let alpha = u8::try_from((all + 127) / 255).unwrap_or(u8::MAX);
    [mix(r, below.red), mix(g, below.green), mix(b, below.blue), alpha]
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

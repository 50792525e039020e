use crate::Reject;
use crate::limits::Budget;
use crate::raster::Raster;
use crate::window::Window;

/// How a stored picture has to be turned to stand upright: the EXIF tag 0x0112.
///
/// The names say what is done to the stored pixels (turns are clockwise).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Orientation {
    /// 1: nothing to do.
    #[default]
    Upright,
    /// 2: mirror left to right.
    Mirror,
    /// 3: turn by 180 degrees.
    Turn180,
    /// 4: mirror top to bottom.
    Flip,
    /// 5: mirror about the falling diagonal.
    Transpose,
    /// 6: turn by 90 degrees.
    Turn90,
    /// 7: mirror about the rising diagonal.
    Transverse,
    /// 8: turn by 270 degrees.
    Turn270,
}

impl Orientation {
    /// Reads the value of the EXIF tag. Values outside 1 to 8 mean nothing and change nothing.
    pub fn from_exif(value: u32) -> Self {
        match value {
            2 => Self::Mirror,
            3 => Self::Turn180,
            4 => Self::Flip,
            5 => Self::Transpose,
            6 => Self::Turn90,
            7 => Self::Transverse,
            8 => Self::Turn270,
            _ => Self::Upright,
        }
    }

    /// The value of the EXIF tag.
    pub fn to_exif(self) -> u16 {
        match self {
            Self::Upright => 1,
            Self::Mirror => 2,
            Self::Turn180 => 3,
            Self::Flip => 4,
            Self::Transpose => 5,
            Self::Turn90 => 6,
            Self::Transverse => 7,
            Self::Turn270 => 8,
        }
    }

    /// This one, and then another.
    pub(crate) fn then(self, next: Self) -> Self {
        let ((mirrored, turned), (mirrors, turns)) = (self.parts(), next.parts());
        // A mirror turns the other way round what was turned before it.
        let turned = if mirrors { 4 - turned } else { turned };
        match (mirrored != mirrors, (turned + turns) % 4) {
            (false, 0) => Self::Upright,
            (false, 1) => Self::Turn90,
            (false, 2) => Self::Turn180,
            (false, _) => Self::Turn270,
            (true, 0) => Self::Mirror,
            (true, 1) => Self::Transverse,
            (true, 2) => Self::Flip,
            (true, _) => Self::Transpose,
        }
    }

    /// Whether to mirror left to right, and how many quarters to turn after that.
    fn parts(self) -> (bool, u8) {
        match self {
            Self::Upright => (false, 0),
            Self::Turn90 => (false, 1),
            Self::Turn180 => (false, 2),
            Self::Turn270 => (false, 3),
            Self::Mirror => (true, 0),
            Self::Transverse => (true, 1),
            Self::Flip => (true, 2),
            Self::Transpose => (true, 3),
        }
    }

    /// Whether the right and the bottom of the stored picture become its left or its top.
    pub(crate) fn reverses(self) -> (bool, bool) {
        let across = matches!(self, Self::Mirror | Self::Turn180 | Self::Transverse | Self::Turn270);
        let down = matches!(self, Self::Flip | Self::Turn180 | Self::Transverse | Self::Turn90);
        (across, down)
    }

    /// Where a window of the upright picture, whose sides count as 1, is in the stored one.
    pub(crate) fn stored(self, window: Window) -> Window {
        let Window { x, y, width, height } = window;
        let (x, y, width, height) =
            if self.upright((0, 1)) == (0, 1) { (x, y, width, height) } else { (y, x, height, width) };
        let (across, down) = self.reverses();
        let x = if across { 1.0 - x - width } else { x };
        let y = if down { 1.0 - y - height } else { y };
        Window { x, y, width, height }
    }

    /// Turns stored dimensions into upright ones. It is its own inverse.
    pub(crate) fn upright(self, (width, height): (u32, u32)) -> (u32, u32) {
        match self {
            Self::Upright | Self::Mirror | Self::Turn180 | Self::Flip => (width, height),
            Self::Transpose | Self::Turn90 | Self::Transverse | Self::Turn270 => (height, width),
        }
    }
}

/// Turns the pixels of `raster` upright.
pub(crate) fn orient(raster: Raster, orientation: Orientation, budget: &Budget) -> Result<Raster, Reject> {
    if orientation == Orientation::Upright {
        return Ok(raster);
    }
    budget.afford(2 * raster.bytes())?;
    match raster.pixels.channels() {
        1 => reorder::<1>(&raster, orientation, budget),
        2 => reorder::<2>(&raster, orientation, budget),
        3 => reorder::<3>(&raster, orientation, budget),
        _ => reorder::<4>(&raster, orientation, budget),
    }
}

fn reorder<const N: usize>(
    stored: &Raster, orientation: Orientation, budget: &Budget,
) -> Result<Raster, Reject> {
    let (last_x, last_y) = (stored.width as usize - 1, stored.height as usize - 1);
    let (width, height) = orientation.upright((stored.width, stored.height));
    let (pixels, _) = stored.data.as_chunks::<N>();
    let stride = stored.width as usize;

    let mut data = budget.room(stored.data.len())?;
    for y in 0..height as usize {
        for x in 0..width as usize {
            let (from_x, from_y) = match orientation {
                Orientation::Upright => (x, y),
                Orientation::Mirror => (last_x - x, y),
                Orientation::Turn180 => (last_x - x, last_y - y),
                Orientation::Flip => (x, last_y - y),
                Orientation::Transpose => (y, x),
                Orientation::Turn90 => (y, last_y - x),
                Orientation::Transverse => (last_x - y, last_y - x),
                Orientation::Turn270 => (last_x - y, x),
            };
            data.extend_from_slice(&pixels[from_y * stride + from_x]);
        }
    }
    Ok(Raster { width, height, pixels: stored.pixels, data })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raster::Pixels;

    /// ```text
    /// 1 2 3
    /// 4 5 6
    /// ```
    fn stored() -> Raster {
        Raster { width: 3, height: 2, pixels: Pixels::Gray, data: vec![1, 2, 3, 4, 5, 6] }
    }

    #[test]
    fn every_orientation_moves_every_pixel_to_its_place() {
        for (value, size, data) in [
            (1, (3, 2), [1, 2, 3, 4, 5, 6]),
            (2, (3, 2), [3, 2, 1, 6, 5, 4]),
            (3, (3, 2), [6, 5, 4, 3, 2, 1]),
            (4, (3, 2), [4, 5, 6, 1, 2, 3]),
            (5, (2, 3), [1, 4, 2, 5, 3, 6]),
            (6, (2, 3), [4, 1, 5, 2, 6, 3]),
            (7, (2, 3), [6, 3, 5, 2, 4, 1]),
            (8, (2, 3), [3, 6, 2, 5, 1, 4]),
        ] {
            let orientation = Orientation::from_exif(value);
            let upright = orient(stored(), orientation, &Budget::for_tests()).unwrap();
            assert_eq!((upright.width, upright.height), size, "orientation {value}");
            assert_eq!(upright.data, data, "orientation {value}");
            assert_eq!(u32::from(orientation.to_exif()), value);
        }
    }

    #[test]
    fn a_window_shows_the_same_stored_or_upright() {
        for orientation in (1..=8).map(Orientation::from_exif) {
            let upright = orient(stored(), orientation, &Budget::for_tests()).unwrap();
            let (width, height) = (f64::from(upright.width), f64::from(upright.height));
            for (at, pixel) in upright.data.iter().enumerate() {
                let (x, y) = (at % upright.width as usize, at / upright.width as usize);
                let place = |at: usize| f64::from(u32::try_from(at).unwrap());
                let window = Window { x: place(x), y: place(y), width: 1.0, height: 1.0 };
                let Window { x, y, .. } = orientation.stored(window.scaled(1.0 / width, 1.0 / height));
                let index = (y * 2.0).round() * 3.0 + (x * 3.0).round();
                assert!((f64::from(*pixel) - index - 1.0).abs() < 1e-9, "{orientation:?}");
            }
        }
    }

    #[test]
    fn one_after_another_is_one() {
        for (first, second) in (1..=8).flat_map(|first| (1..=8).map(move |second| (first, second))) {
            let (first, second) = (Orientation::from_exif(first), Orientation::from_exif(second));
            let budget = Budget::for_tests();
            let twice = orient(orient(stored(), first, &budget).unwrap(), second, &budget).unwrap();
            let once = orient(stored(), first.then(second), &budget).unwrap();
            assert_eq!((once.width, once.data), (twice.width, twice.data), "{first:?} then {second:?}");
        }
    }

    #[test]
    fn values_outside_of_the_standard_change_nothing() {
        for value in [0, 9, 65_535] {
            assert_eq!(Orientation::from_exif(value), Orientation::Upright);
        }
    }
}

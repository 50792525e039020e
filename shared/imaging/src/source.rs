use std::borrow::Cow;
use std::sync::Arc;

use crate::Reject;
use crate::carry;
use crate::colour::{self, Conversion};
use crate::image::Image;
use crate::limits::Budget;
use crate::operations::{linear, trim};
use crate::orientation::{Orientation, orient};
use crate::plan::Geometry;
use crate::planes::{Chroma, Planes};
use crate::raster::{Pixels, Raster};
use crate::recipe::Trim;
use crate::resize::resize_window;
use crate::window::{Area, Window};

/// A decoded picture as it is stored: turned as the camera was held, in its own colours, and perhaps smaller
/// than it says, but then of the same shape to the fraction of a pixel.
///
/// What has to be done to it all the same costs the less the fewer pixels there are. So that is done to the
/// pixels of each rendering, when they are already few.
pub(crate) struct Source {
    pub(crate) stored: Stored,
    pub(crate) orientation: Orientation,
    pub(crate) conversion: Option<Arc<Conversion>>,
    /// The profile of its colours.
    pub(crate) icc: Option<Vec<u8>>,
}

/// What decoders leave.
pub(crate) enum Stored {
    Raster(Raster),
    Planes(Planes),
}

impl Stored {
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Self::Raster(raster) => raster.bytes(),
            Self::Planes(planes) => planes.bytes(),
        }
    }
}

impl Source {
    /// What of a part of the upright picture is within a border of one colour. It takes all the pixels that
    /// there are.
    pub(crate) fn within_border(
        &self, crop: Area, full: (u32, u32), levels: Trim, budget: &Budget,
    ) -> Result<Area, Reject> {
        let geometry =
            Geometry { crop, window: Window::whole(crop.size()), ..Geometry::whole(full, crop.size()) };
        let found = match self.show(&geometry, Chroma::Full, budget)? {
            Image::Raster(raster) => trim::within(&raster, levels),
            Image::Planes(_) => return Ok(crop),
        };
        Ok(Area { x: crop.x + found.x, y: crop.y + found.y, ..found })
    }

    /// The profile that what a geometry shows has to carry, as it keeps its colours.
    pub(crate) fn carries(&self, geometry: &Geometry) -> Option<Vec<u8>> {
        let pixels = match &self.stored {
            Stored::Raster(raster) => raster.pixels,
            Stored::Planes(planes) if planes.chroma.is_some() => Pixels::Rgb,
            Stored::Planes(_) => Pixels::Gray,
        };
        let conversion = self.conversion.as_ref()?;
        let keeps = geometry.own_colours && !geometry.linear && conversion.is_of_rgb(pixels);
        self.icc.as_deref().filter(|_| keeps).and_then(carry::profile)
    }

    /// What a geometry shows of this picture, upright and in sRGB or as it says; the picture stays.
    pub(crate) fn show(&self, geometry: &Geometry, chroma: Chroma, budget: &Budget) -> Result<Image, Reject> {
        let budget = budget.less(self.stored.bytes());
        let conversion = self.conversion(geometry);
        let stored = match &self.stored {
            Stored::Planes(planes) => Lent::Planes(Cow::Borrowed(planes)),
            Stored::Raster(raster) => Lent::Raster(Cow::Borrowed(raster)),
        };
        shown(stored, self.orientation, conversion, geometry, chroma, &budget)
    }

    /// The same, and nothing is left of the picture.
    pub(crate) fn into_shown(
        self, geometry: &Geometry, chroma: Chroma, budget: &Budget,
    ) -> Result<Image, Reject> {
        let conversion = self.conversion(geometry).cloned();
        let stored = match self.stored {
            Stored::Planes(planes) => Lent::Planes(Cow::Owned(planes)),
            Stored::Raster(raster) => Lent::Raster(Cow::Owned(raster)),
        };
        shown(stored, self.orientation, conversion.as_ref(), geometry, chroma, budget)
    }

    /// What has to be done to the colours that a geometry shows.
    fn conversion(&self, geometry: &Geometry) -> Option<&Arc<Conversion>> {
        if self.carries(geometry).is_some() { None } else { self.conversion.as_ref() }
    }
}

/// A stored picture that may be needed again, or not.
enum Lent<'a> {
    Raster(Cow<'a, Raster>),
    Planes(Cow<'a, Planes>),
}

fn shown(
    stored: Lent, orientation: Orientation, conversion: Option<&Arc<Conversion>>, geometry: &Geometry,
    chroma: Chroma, budget: &Budget,
) -> Result<Image, Reject> {
    let conversion = conversion.map(Arc::as_ref);
    let turn = orientation.then(geometry.turn);
    let crop = orientation.stored(geometry.crop.window().shares_of(geometry.full));
    let turned = geometry.turn.upright(geometry.crop.size());
    let window = turn.stored(geometry.window.shares_of(turned));
    let size = turn.upright(geometry.size);
    let cropped = geometry.crop.size() != geometry.full;

    let raster = match stored {
        Lent::Planes(planes) => {
            let planes = if cropped {
                planes.cut(crop, budget)?
            } else {
                budget.afford(planes.bytes())?;
                match planes {
                    Cow::Owned(planes) => planes,
                    Cow::Borrowed(planes) => planes.copy(budget)?,
                }
            };
            if chroma == Chroma::Half && !geometry.linear && conversion.is_none() {
                return Ok(Image::Planes(planes.resize_upright(window, size, chroma, turn, budget)?));
            }
            // Profiles and light are matters of whole pixels.
            if !geometry.linear {
                let planes = planes.resize_upright(window, size, Chroma::Full, turn, budget)?;
                budget.still_time()?;
                let raster = colour::to_srgb(planes.into_raster(budget)?, conversion, budget)?;
                return Ok(Image::Raster(raster));
            }
            let all = planes.pixels();
            let raster = planes.resize(all, Chroma::Full, budget)?.into_raster(budget)?;
            return light(colour::to_srgb(raster, conversion, budget)?, window, size, turn, budget);
        }
        Lent::Raster(raster) => raster,
    };
    let part = crop.scaled(raster.width.into(), raster.height.into());
    let (raster, window) = if cropped {
        let (area, part) = whole_pixels(part, (raster.width, raster.height));
        (Cow::Owned(raster.cut(area, budget)?), within(window, part))
    } else {
        (raster, within(window, part))
    };
    budget.still_time()?;
    if geometry.linear {
        budget.afford(raster.bytes())?;
        let raster = colour::to_srgb(Raster::owned(raster, budget)?, conversion, budget)?;
        let window = window.shares_of((raster.width, raster.height));
        return light(raster, window, size, turn, budget);
    }
    let raster = resize_window(raster, window, size, budget)?;
    budget.still_time()?;
    let raster = colour::to_srgb(raster, conversion, budget)?;
    budget.still_time()?;
    Ok(Image::Raster(orient(raster, turn, budget)?))
}

/// The rest of the way where light is averaged: from stored sRGB.
fn light(
    raster: Raster, window: Window, size: (u32, u32), turn: Orientation, budget: &Budget,
) -> Result<Image, Reject> {
    let window = window.scaled(raster.width.into(), raster.height.into());
    let same = (raster.width, raster.height) == size && window == Window::whole(size);
    let raster = if same { raster } else { linear::resize_window(&raster, window, size, budget)? };
    budget.still_time()?;
    Ok(Image::Raster(orient(raster, turn, budget)?))
}

/// The pixels that a part takes in, and where it is in them.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is kept within the picture")]
fn whole_pixels(part: Window, (width, height): (u32, u32)) -> (Area, Window) {
    let axis = |start: f64, length: f64, side: u32| {
        // What was computed in fractions is off by a trifle.
        let first = ((start + 1e-6).floor().max(0.0) as u32).min(side - 1);
        let end = ((start + length - 1e-6).ceil() as u32).clamp(first + 1, side);
        (first, end - first, (start - f64::from(first)).max(0.0))
    };
    let (x, wide, left) = axis(part.x, part.width, width);
    let (y, high, top) = axis(part.y, part.height, height);
    let (inner_width, inner_height) = (part.width.min(f64::from(wide)), part.height.min(f64::from(high)));
    let inner = Window { x: left, y: top, width: inner_width, height: inner_height };
    (Area { x, y, width: wide, height: high }, rounded(inner))
}

/// A window in shares of a part, in the pixels that the part is in.
fn within(window: Window, part: Window) -> Window {
    let Window { x, y, width, height } = window.scaled(part.width, part.height);
    rounded(Window { x: part.x + x, y: part.y + y, width, height })
}

/// What is a whole number but for the errors of computation is one.
fn rounded(window: Window) -> Window {
    let near = |value: f64| if (value - value.round()).abs() < 1e-6 { value.round() } else { value };
    let Window { x, y, width, height } = window;
    Window { x: near(x), y: near(y), width: near(width), height: near(height) }
}

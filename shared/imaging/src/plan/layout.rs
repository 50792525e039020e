use super::Geometry;
use super::fit::{Fitted, fitted};
use crate::operations::{Operation, extend::Canvas, rotate::Tilt};
use crate::recipe::{Colour, Factor, Radius, Recipe};
use crate::window::{Area, Window};

/// All of a plan that depends on how large the picture is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Layout {
    pub(crate) geometry: Geometry,
    pub(crate) operations: Vec<Operation>,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

impl Recipe {
    /// Lays out what is done to a part of a picture.
    pub(super) fn layout(&self, crop: Area, full: (u32, u32)) -> Layout {
        let (turn, degrees) = self.turn();
        let turned = turn.upright(crop.size());
        let tilted = degrees != 0.0;
        let frame = if tilted { frame(turned, degrees) } else { turned };

        let [top, right, bottom, left] = self.pad.sides();
        let longest = self.encoding.format.longest_side();
        let room = (longest.saturating_sub(left + right), longest.saturating_sub(top + bottom));
        let Fitted { window, size, canvas, at } = fitted(self, frame, room);

        let mut operations = Vec::new();
        let own_colours = self.keep.profile && self.encoding.format.carries();
        let mut geometry = Geometry { full, crop, turn, window, size, linear: self.linear, own_colours };
        if tilted {
            let tilt = tilt(turned, frame, degrees, window, size);
            (geometry.window, geometry.size) = (Window::whole(turned), tilt.from);
            operations.push(Operation::Rotate(tilt));
            if tilt.to != size {
                operations.push(Operation::Resize(size));
            }
        }
        operations.extend(self.blur.map(Operation::Blur));
        operations.extend(self.sharpen.map(Operation::Sharpen));
        operations.extend(self.gray.then_some(Operation::Gray));
        let changed = |factor| (factor != Factor::ONE).then_some(factor);
        operations.extend(changed(self.brightness).map(Operation::Brightness));
        operations.extend(changed(self.saturation).filter(|_| !self.gray).map(Operation::Saturation));
        operations.extend(self.watermark.map(|mark| Operation::Watermark(mark, size)));
        operations.extend(self.radius.map(|radius| Operation::Round(pixels(radius, size))));

        let (width, height) = (canvas.0 + left + right, canvas.1 + top + bottom);
        if (width, height) != size {
            // What is not opaque is laid under everything at the end, and must not be there twice.
            let opaque = self.background.filter(|colour| colour.alpha == u8::MAX);
            let colour = opaque.unwrap_or(Colour::TRANSPARENT);
            let at = (at.0 + left, at.1 + top);
            operations.push(Operation::Extend(Canvas { size: (width, height), at, colour }));
        }
        let paper = if self.encoding.format.has_alpha() { None } else { Some(Colour::WHITE) };
        operations.extend(self.background.map(Operation::Flatten));
        operations.extend(
            paper.filter(|_| self.background.is_none_or(|b| b.alpha < u8::MAX)).map(Operation::Flatten),
        );
        Layout { geometry, operations, width, height }
    }
}

/// How large a picture is that is turned by less than a quarter.
fn frame((width, height): (u32, u32), degrees: f64) -> (u32, u32) {
    let (sine, cosine) = degrees.to_radians().sin_cos();
    let (width, height) = (f64::from(width), f64::from(height));
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
    let whole = |length: f64| (length.round() as u32).max(1);
    (whole(width * cosine + height * sine), whole(width * sine + height * cosine))
}

/// A picture is first made about as large as it will be, by the filter that is good at it, and then
/// turned onto the very pixels of the result. Where the two directions are scaled differently, it is
/// turned at the larger scale and resized once more.
fn tilt(turned: (u32, u32), frame: (u32, u32), degrees: f64, window: Window, size: (u32, u32)) -> Tilt {
    let (across, down) = (f64::from(size.0) / window.width, f64::from(size.1) / window.height);
    let scale = across.max(down);
    let shrunk = scale.min(1.0);
    // One pixel more or less is no distortion.
    let longest = f64::from(size.0.max(size.1));
    let even = (1.0 - across.min(down) / scale) * longest <= 1.0;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
    let whole = |length: f64| (length.round() as u32).max(1);
    let from = (whole(f64::from(turned.0) * shrunk), whole(f64::from(turned.1) * shrunk));
    let to = if even { size } else { (whole(window.width * shrunk), whole(window.height * shrunk)) };
    Tilt { degrees, turned, frame, from, window, to }
}

/// Half of the shorter side is all there is room for.
fn pixels(radius: Radius, (width, height): (u32, u32)) -> f64 {
    let most = f64::from(width.min(height)) / 2.0;
    match radius {
        Radius::Length(length) => length.of(width.min(height)).min(most),
        Radius::Max => most,
    }
}

use crate::recipe::{Fit, Focus, MOST_SIDE, Recipe, Side};
use crate::window::Window;

/// How a picture gets its size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Fitted {
    /// What of the picture is seen.
    pub(super) window: Window,
    /// How large that becomes.
    pub(super) size: (u32, u32),
    /// How large all becomes, and where the picture is on it.
    pub(super) canvas: (u32, u32),
    pub(super) at: (u32, u32),
}

/// Brings a picture to the size that a recipe asks for, none of its sides longer than `longest`.
pub(super) fn fitted(recipe: &Recipe, full: (u32, u32), longest: (u32, u32)) -> Fitted {
    let asked = (recipe.width.map(Side::pixels), recipe.height.map(Side::pixels));
    let longest = (longest.0.max(1), longest.1.max(1));
    let fitted = |size| Fitted { window: Window::whole(full), size, canvas: size, at: (0, 0) };
    let (Some(width), Some(height)) = asked else {
        return fitted(within(inside(full, asked, recipe.enlarge), longest));
    };
    let target = (width.min(longest.0), height.min(longest.1));
    match recipe.fit {
        Fit::Inside => fitted(within(inside(full, asked, recipe.enlarge), longest)),
        Fit::Contain => {
            let size = within(inside(full, asked, recipe.enlarge), target);
            let at = placed(recipe.focus, size, target);
            Fitted { canvas: target, at, ..fitted(size) }
        }
        Fit::Fill if recipe.enlarge => fitted(target),
        Fit::Fill => fitted((target.0.min(full.0), target.1.min(full.1))),
        Fit::Cover => {
            // What fits into the picture of the shape that was asked for.
            let size = if recipe.enlarge { target } else { within(target, full) };
            Fitted { window: cover(full, size, recipe.focus), ..fitted(size) }
        }
    }
}

/// Where something is on something larger; halves are at the left and at the top.
pub(crate) fn placed(focus: Focus, size: (u32, u32), canvas: (u32, u32)) -> (u32, u32) {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is less than a side")]
    let at = |share: f64, size: u32, canvas: u32| (f64::from(canvas.saturating_sub(size)) * share) as u32;
    (at(focus.x.value(), size.0, canvas.0), at(focus.y.value(), size.1, canvas.1))
}

/// The whole picture, at most as large as asked for.
fn inside(full: (u32, u32), asked: (Option<u32>, Option<u32>), enlarge: bool) -> (u32, u32) {
    let by_width = |width: u32| (width, proportional(full.1, width, full.0));
    let by_height = |height: u32| (proportional(full.0, height, full.1), height);
    let size = match asked {
        (None, None) => full,
        (Some(width), None) => by_width(width),
        (Some(width), Some(height)) if narrower((width, height), full) => by_width(width),
        (_, Some(height)) => by_height(height),
    };
    if !enlarge && (size.0 > full.0 || size.1 > full.1) {
        return full;
    }
    // The side that was not asked for gets no longer than one that can be, unless the picture's is.
    within(size, (full.0.max(MOST_SIDE), full.1.max(MOST_SIDE)))
}

/// Of the same shape, no larger than the limit.
fn within(size: (u32, u32), limit: (u32, u32)) -> (u32, u32) {
    if size.0 <= limit.0 && size.1 <= limit.1 {
        size
    } else if narrower(limit, size) {
        (limit.0, proportional(size.1, limit.0, size.0).min(limit.1))
    } else {
        (proportional(size.0, limit.1, size.1).min(limit.0), limit.1)
    }
}

/// Whether the first is narrower for its height than the second, or of the same shape.
fn narrower(first: (u32, u32), second: (u32, u32)) -> bool {
    u64::from(first.0) * u64::from(second.1) <= u64::from(first.1) * u64::from(second.0)
}

/// What of a picture has the shape of a size, with the focus as near to the middle as can be.
fn cover(full: (u32, u32), size: (u32, u32), focus: Focus) -> Window {
    let (full_width, full_height) = (f64::from(full.0), f64::from(full.1));
    let (wide, high) = (f64::from(size.0), f64::from(size.1));
    let (width, height) = if narrower(size, full) {
        ((full_height * wide / high).min(full_width), full_height)
    } else {
        (full_width, (full_width * high / wide).min(full_height))
    };
    let start = |share: f64, length: f64, full: f64| (share * full - length / 2.0).clamp(0.0, full - length);
    let x = start(focus.x.value(), width, full_width);
    let y = start(focus.y.value(), height, full_height);
    Window { x, y, width, height }
}

/// `full * part / whole`, rounded halves up, at least 1.
fn proportional(full: u32, part: u32, whole: u32) -> u32 {
    let (full, part, whole) = (u128::from(full), u128::from(part), u128::from(whole));
    let rounded = (2 * full * part + whole) / (2 * whole);
    u32::try_from(rounded.max(1)).unwrap_or(u32::MAX)
}

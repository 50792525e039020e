use crate::Reject;
use crate::levels::over;
use crate::limits::Budget;
use crate::raster::{Pixels, Raster};

/// A box on a canvas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Area {
    pub(super) left: u32,
    pub(super) top: u32,
    pub(super) width: u32,
    pub(super) height: u32,
}

impl Area {
    pub(super) fn is_empty(self) -> bool {
        self.width == 0 || self.height == 0
    }

    /// What of this box lies on a canvas of this size.
    fn within(self, (width, height): (u32, u32)) -> Self {
        Self {
            width: self.width.min(width.saturating_sub(self.left)),
            height: self.height.min(height.saturating_sub(self.top)),
            ..self
        }
    }

    /// The smallest box that holds both.
    pub(super) fn with(self, other: Self) -> Self {
        let (left, top) = (self.left.min(other.left), self.top.min(other.top));
        let right = (self.left + self.width).max(other.left + other.width);
        let bottom = (self.top + self.height).max(other.top + other.height);
        Self { left, top, width: right - left, height: bottom - top }
    }
}

/// What becomes of a frame before the next one is drawn. GIF 89a, 23.c.iv; RFC 9649, 2.7.1.1; PNG, 11.3.4.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disposal {
    /// It stays.
    Keep,
    /// Its box becomes transparent. All three formats speak of a background colour for some cases, and
    /// no browser has ever shown it.
    Clear,
    /// Its box becomes what it was before.
    Restore,
}

/// How a frame meets what is on the canvas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blend {
    /// It is laid over it.
    Over,
    /// It takes its place, transparency and all.
    Replace,
}

/// What has been drawn so far: RGBA, at first transparent.
///
/// It takes its own size once, and where a frame is to be undone, what is behind that frame a second time.
pub(super) struct Canvas {
    raster: Raster,
    budget: Budget,
    disposal: Option<(Area, Disposal)>,
    /// What was in the box before.
    saved: Vec<u8>,
}

impl Canvas {
    pub(super) fn new((width, height): (u32, u32), budget: Budget) -> Result<Self, Reject> {
        let raster = Raster::blank(width, height, Pixels::Rgba, &budget)?;
        Ok(Self { raster, budget, disposal: None, saved: Vec::new() })
    }

    fn size(&self) -> (u32, u32) {
        (self.raster.width, self.raster.height)
    }

    /// The rows of a box that lies on the canvas.
    fn rows(&mut self, area: Area) -> impl Iterator<Item = &mut [[u8; 4]]> {
        let (pixels, _) = self.raster.data.as_chunks_mut::<4>();
        let (left, width) = (area.left as usize, area.width as usize);
        pixels
            .chunks_exact_mut(self.raster.width as usize)
            .skip(area.top as usize)
            .take(area.height as usize)
            .map(move |row| &mut row[left..left + width])
    }

    /// Disposes of the frame before, and says what will become of the next one, which is in `area`.
    fn begin(&mut self, area: Area, disposal: Disposal) {
        match self.disposal.take() {
            Some((last, Disposal::Clear)) => self.rows(last).for_each(|row| row.fill([0; 4])),
            Some((last, Disposal::Restore)) => {
                let saved = std::mem::take(&mut self.saved);
                let (pixels, _) = saved.as_chunks::<4>();
                let rows = pixels.chunks_exact((last.width as usize).max(1));
                self.rows(last).zip(rows).for_each(|(row, saved)| row.copy_from_slice(saved));
                self.saved = saved;
            }
            Some((_, Disposal::Keep)) | None => {}
        }
        if area.is_empty() {
            return;
        }
        if disposal == Disposal::Restore {
            let mut saved = std::mem::take(&mut self.saved);
            saved.clear();
            self.rows(area).for_each(|row| saved.extend(row.as_flattened()));
            self.saved = saved;
        }
        self.disposal = Some((area, disposal));
    }

    /// Draws a frame: `rows` are its own, of which what sticks out is cut off, and `draw` lays one of their
    /// pixels on one of the canvas. A frame without a size changes nothing but disposes of the one before.
    pub(super) fn draw<T: Copy>(
        &mut self, area: Area, disposal: Disposal, pixels: &[T], draw: impl Fn(&mut [u8; 4], T),
    ) {
        let visible = area.within(self.size());
        self.begin(visible, disposal);
        if visible.is_empty() {
            return;
        }
        let rows = pixels.chunks_exact(area.width as usize);
        for (to, from) in self.rows(visible).zip(rows) {
            to.iter_mut().zip(from).for_each(|(to, from)| draw(to, *from));
        }
    }

    /// A copy of what shows now.
    pub(super) fn shown(&self) -> Result<Raster, Reject> {
        let (width, height) = self.size();
        let mut copy = Raster::blank(width, height, Pixels::Rgba, &self.budget)?;
        copy.data.copy_from_slice(&self.raster.data);
        Ok(copy)
    }
}

/// Lays a pixel of a frame on one of the canvas.
pub(super) fn blend(blend: Blend) -> impl Fn(&mut [u8; 4], [u8; 4]) {
    move |to, from| {
        *to = match (blend, from[3], to[3]) {
            (Blend::Over, 0, _) => *to,
            (Blend::Replace, ..) | (_, 255, _) | (_, _, 0) => from,
            (Blend::Over, ..) => over(from, *to),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RED: [u8; 4] = [255, 0, 0, 255];
    const NONE: [u8; 4] = [0; 4];

    fn area(left: u32, top: u32, width: u32, height: u32) -> Area {
        Area { left, top, width, height }
    }

    fn reds(canvas: &Canvas) -> Vec<bool> {
        canvas.raster.data.as_chunks::<4>().0.iter().map(|&pixel| pixel == RED).collect()
    }

    fn canvas() -> Canvas {
        Canvas::new((3, 2), Budget::for_tests()).unwrap()
    }

    #[test]
    fn frames_stay_go_or_are_undone() {
        for (disposal, left) in [
            (Disposal::Keep, [true, true, false, false, false, false]),
            (Disposal::Clear, [false, false, false, false, false, false]),
            (Disposal::Restore, [true, false, false, false, false, false]),
        ] {
            let mut canvas = canvas();
            canvas.draw(area(0, 0, 1, 1), Disposal::Keep, &[RED], blend(Blend::Over));
            canvas.draw(area(0, 0, 2, 1), disposal, &[RED; 2], blend(Blend::Over));
            assert_eq!(reds(&canvas), [true, true, false, false, false, false]);
            canvas.draw(area(0, 0, 0, 9), Disposal::Keep, &[], blend(Blend::Over));
            assert_eq!(reds(&canvas), left, "{disposal:?}");
        }
    }

    #[test]
    fn what_sticks_out_is_cut_off_and_what_is_outside_is_nowhere() {
        let mut canvas = canvas();
        canvas.draw(area(2, 1, 5, 5), Disposal::Restore, &[RED; 25], blend(Blend::Over));
        assert_eq!(reds(&canvas), [false, false, false, false, false, true]);
        canvas.draw(area(3, 0, 4, 4), Disposal::Clear, &[RED; 16], blend(Blend::Over));
        assert_eq!(reds(&canvas), [false; 6]);
        canvas.draw(area(0, 65_535, 1, 1), Disposal::Clear, &[RED], blend(Blend::Over));
        assert_eq!(reds(&canvas), [false; 6]);
    }

    #[test]
    fn transparency_is_laid_over_or_takes_the_place() {
        let half = [0, 0, 255, 128];
        let laid = |kind, above, mut below| {
            blend(kind)(&mut below, above);
            below
        };
        assert_eq!(laid(Blend::Over, NONE, RED), RED);
        assert_eq!(laid(Blend::Replace, NONE, RED), NONE);
        assert_eq!(laid(Blend::Over, half, NONE), half);
        assert_eq!(laid(Blend::Over, half, RED), [127, 0, 128, 255]);
        // 128 of 255 above 100 of 255: 128 + 100 * 127 / 255 is 177.8.
        assert_eq!(laid(Blend::Over, half, [255, 0, 0, 100]), [71, 0, 184, 178]);
    }
}

use std::borrow::Cow;

use crate::Reject;
use crate::limits::Budget;
use crate::window::Area;

/// What the bytes of a [`Raster`] mean: 8 bits a sample, interleaved, alpha not
/// premultiplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pixels {
    Gray,
    GrayAlpha,
    Rgb,
    Rgba,
    /// Ink: 0 is none, 255 is all of it. (Adobe's JPEG files hold the inverse; the decoder undoes it.)
    Cmyk,
}

impl Pixels {
    pub(crate) fn channels(self) -> usize {
        match self {
            Self::Gray => 1,
            Self::GrayAlpha => 2,
            Self::Rgb => 3,
            Self::Rgba | Self::Cmyk => 4,
        }
    }

    pub(crate) fn has_alpha(self) -> bool {
        matches!(self, Self::GrayAlpha | Self::Rgba)
    }

    /// How many bytes a raster of this size takes.
    pub(crate) fn bytes(self, width: u32, height: u32) -> u64 {
        u64::from(width) * u64::from(height) * self.channels() as u64
    }
}

/// Decoded pixels. Invariant: `data.len() == width * height * channels`, and no side is 0.
#[derive(Debug, Clone)]
pub(crate) struct Raster {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) pixels: Pixels,
    pub(crate) data: Vec<u8>,
}

impl Raster {
    /// All zeros: black, or transparent where there is alpha.
    pub(crate) fn blank(width: u32, height: u32, pixels: Pixels, budget: &Budget) -> Result<Self, Reject> {
        let bytes = pixels.bytes(width, height);
        let size = usize::try_from(bytes).map_err(|_| budget.refusal(bytes))?;
        Ok(Self { width, height, pixels, data: budget.filled(0, size)? })
    }

    pub(crate) fn copy(&self, budget: &Budget) -> Result<Self, Reject> {
        let Self { width, height, pixels, ref data } = *self;
        Ok(Self { width, height, pixels, data: budget.copy(data)? })
    }

    /// This one, or a copy of it if it is only lent.
    pub(crate) fn owned(lent: Cow<'_, Self>, budget: &Budget) -> Result<Self, Reject> {
        match lent {
            Cow::Owned(raster) => Ok(raster),
            Cow::Borrowed(raster) => raster.copy(budget),
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.data.len() as u64
    }

    /// Whether every pixel hides what is behind it.
    pub(crate) fn is_opaque(&self) -> bool {
        let channels = self.pixels.channels();
        !self.pixels.has_alpha()
            || self.data.chunks_exact(channels).all(|pixel| pixel[channels - 1] == u8::MAX)
    }

    /// Removes an alpha channel, in place, whatever it holds.
    pub(crate) fn drop_alpha(&mut self) {
        let (channels, pixels) = match self.pixels {
            Pixels::GrayAlpha => (2, Pixels::Gray),
            Pixels::Rgba => (4, Pixels::Rgb),
            Pixels::Gray | Pixels::Rgb | Pixels::Cmyk => return,
        };
        let kept = channels - 1;
        let count = self.data.len() / channels;
        for pixel in 0..count {
            let from = pixel * channels;
            self.data.copy_within(from..from + kept, pixel * kept);
        }
        self.data.truncate(count * kept);
        self.data.shrink_to_fit();
        self.pixels = pixels;
    }

    /// RGBA, opaque if it was RGB.
    pub(crate) fn with_alpha(self, budget: &Budget) -> Result<Self, Reject> {
        let size = (self.width, self.height);
        if self.pixels == Pixels::Rgba {
            return Ok(self);
        }
        budget.afford(self.bytes() + Pixels::Rgba.bytes(size.0, size.1))?;
        let mut opaque = Self::blank(size.0, size.1, Pixels::Rgba, budget)?;
        for (from, to) in self.data.as_chunks::<3>().0.iter().zip(opaque.data.as_chunks_mut::<4>().0) {
            *to = [from[0], from[1], from[2], u8::MAX];
        }
        Ok(opaque)
    }

    /// Only a part.
    pub(crate) fn cut(&self, area: Area, budget: &Budget) -> Result<Self, Reject> {
        budget.afford(self.bytes() + self.pixels.bytes(area.width, area.height))?;
        let mut cut = Self::blank(area.width, area.height, self.pixels, budget)?;
        let channels = self.pixels.channels();
        let (stride, left) = (self.width as usize * channels, area.x as usize * channels);
        let row = area.width as usize * channels;
        let rows = self.data.chunks_exact(stride).skip(area.y as usize);
        for (from, to) in rows.zip(cut.data.chunks_exact_mut(row)) {
            to.copy_from_slice(&from[left..left + row]);
        }
        Ok(cut)
    }

    /// Lays this picture, which is RGB or RGBA, onto a transparent canvas at `(left, top)`. What sticks out is cut off.
    pub(crate) fn onto_canvas(
        self, (width, height): (u32, u32), (left, top): (u32, u32), budget: &Budget,
    ) -> Result<Self, Reject> {
        if (self.width, self.height, left, top) == (width, height, 0, 0) {
            return Ok(self);
        }
        budget.afford(self.bytes() + Pixels::Rgba.bytes(width, height))?;
        let mut canvas = Self::blank(width, height, Pixels::Rgba, budget)?;
        let columns = self.width.min(width.saturating_sub(left)) as usize;
        let rows = self.height.min(height.saturating_sub(top)) as usize;
        if columns == 0 {
            return Ok(canvas);
        }
        let channels = self.pixels.channels();
        let from_rows = self.data.chunks_exact(self.width as usize * channels);
        let to_rows = canvas.data.chunks_exact_mut(width as usize * 4).skip(top as usize);
        for (from, to) in from_rows.zip(to_rows).take(rows) {
            let from = from.chunks_exact(channels).take(columns);
            let to = to.chunks_exact_mut(4).skip(left as usize);
            for (from, to) in from.zip(to) {
                to[..channels].copy_from_slice(from);
                if channels == 3 {
                    to[3] = u8::MAX;
                }
            }
        }
        Ok(canvas)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn white(width: u32, height: u32) -> Raster {
        let data = vec![255; (width * height * 3) as usize];
        Raster { width, height, pixels: Pixels::Rgb, data }
    }

    fn alphas(canvas: &Raster) -> Vec<u8> {
        canvas.data.chunks_exact(4).map(|pixel| pixel[3]).collect()
    }

    #[test]
    fn a_frame_lands_where_it_belongs_and_is_cut_at_the_edge_of_the_canvas() {
        let placed = white(2, 2).onto_canvas((3, 3), (1, 2), &Budget::for_tests()).unwrap();
        assert_eq!(alphas(&placed), [0, 0, 0, 0, 0, 0, 0, 255, 255]);

        let outside = white(2, 2).onto_canvas((3, 3), (7, 9), &Budget::for_tests()).unwrap();
        assert_eq!(alphas(&outside), [0; 9]);

        let larger = white(9, 9).onto_canvas((2, 1), (0, 0), &Budget::for_tests()).unwrap();
        assert_eq!(alphas(&larger), [255; 2]);
    }

    #[test]
    fn dropping_alpha_keeps_the_colours() {
        let data = vec![1, 2, 3, 255, 4, 5, 6, 255];
        let mut raster = Raster { width: 2, height: 1, pixels: Pixels::Rgba, data };
        raster.drop_alpha();
        assert_eq!(raster.data, [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn what_is_over_the_budget_is_refused_before_it_is_allocated() {
        let refused = Raster::blank(60_000, 60_000, Pixels::Rgba, &Budget::for_tests()).unwrap_err();
        assert_eq!(refused.code(), "too-large");
    }
}

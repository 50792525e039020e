use resample::{FilterType, Image, ImageRef, PixelType, Refused, ResizeAlg, ResizeOptions};

use crate::limits::Budget;
use crate::orientation::{Orientation, orient};
use crate::raster::{Pixels, Raster};
use crate::resize::{FAILED, between_passes};
use crate::window::Window;
use crate::{Reject, codec};

/// About so many bytes between the two passes of the filter are enough: large planes are made in strips.
const STRIP: f64 = 2e6;

/// One component of a picture, 8 bits a sample.
///
/// The picture takes `extent` samples, which need not be whole: 17 pixels
/// have 8.5 samples of halved chroma, and 2.125 of luma at 1/8. Nothing is ever rounded to whole
/// samples on the way, or pictures would shift and chroma would bleed. What was cut out of a picture need
/// not begin at a whole sample either: `origin` is where it does, before the first sample's end.
///
/// Invariant: `data.len() == width * height`, no side is 0, and origin and extent are within them.
#[derive(Debug, Clone)]
pub(crate) struct Plane {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) data: Vec<u8>,
    origin: (f64, f64),
    extent: (f64, f64),
}

/// How dense the samples of chroma are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chroma {
    /// One for each pixel.
    Full,
    /// One for two by two pixels, in the middle of them (JFIF 1.02): what JPEG and WebP store.
    Half,
}

impl Chroma {
    fn step(self) -> u32 {
        match self {
            Self::Full => 1,
            Self::Half => 2,
        }
    }

    /// How many samples there are for so many pixels.
    pub(crate) fn samples(self, (width, height): (u32, u32)) -> (u32, u32) {
        (width.div_ceil(self.step()), height.div_ceil(self.step()))
    }
}

/// A picture as luma and chroma, of full range (JFIF 1.02), or as luma alone.
#[derive(Debug, Clone)]
pub(crate) struct Planes {
    pub(crate) luma: Plane,
    /// Blue and red.
    pub(crate) chroma: Option<[Plane; 2]>,
}

/// One direction of a plane that is to be made.
#[derive(Clone, Copy)]
struct Axis {
    /// Pixels of the picture.
    pixels: u32,
    /// Pixels for one sample. The last sample may stand for more than there are.
    step: u32,
    /// Whether it is rather the first that does.
    reversed: bool,
    /// The part of the picture that is wanted: where it starts, and how long it is, in shares of it.
    window: (f64, f64),
}

/// The part of a plane, in one direction, that becomes a new one.
struct Cut {
    /// How many samples to repeat the first and the last one for, as it goes beyond the plane.
    before: u32,
    after: u32,
    start: f64,
    length: f64,
    samples: u32,
}

impl Axis {
    fn cut(self, side: u32, origin: f64, extent: f64) -> Cut {
        let samples = self.pixels.div_ceil(self.step);
        let (origin, extent) = (origin + extent * self.window.0, extent * self.window.1);
        let length = extent * f64::from(samples * self.step) / f64::from(self.pixels);
        let start = if self.reversed { origin + extent - length } else { origin };
        let before = whole_samples(-start);
        let after = whole_samples(start + length - f64::from(side));
        let start = start + f64::from(before);
        // What was computed in fractions may be over the edge by a trifle.
        let length = length.min(f64::from(side + before + after) - start);
        Cut { before, after, start, length, samples }
    }

    fn extent(self) -> f64 {
        f64::from(self.pixels) / f64::from(self.step)
    }
}

/// Rounded up, but for what is only an error of computation; at least 0.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is 0 at least, and a side at most"
)]
fn whole_samples(length: f64) -> u32 {
    (length - 1e-6).ceil().max(0.0) as u32
}

impl Plane {
    /// Of a decoder's samples: `stride` in a row, of which only those of the picture are kept. Those next to
    /// it in the same row become like their neighbours, so that none of what they held gets into it.
    pub(crate) fn of_decoder(mut data: Vec<u8>, stride: usize, extent: (f64, f64)) -> Self {
        let columns = (whole_samples(extent.0) as usize).clamp(1, stride);
        let rows = (whole_samples(extent.1) as usize).clamp(1, data.len() / stride);
        data.truncate(rows * stride);
        if columns < stride {
            for row in data.chunks_exact_mut(stride) {
                let last = row[columns - 1];
                row[columns..].fill(last);
            }
        }
        let side = |side: usize| u32::try_from(side).expect("a side of a JPEG is below 65,536");
        let (width, height) = (side(stride), side(rows));
        let extent = (extent.0.min(f64::from(width)), extent.1.min(f64::from(height)));
        Self { width, height, data, origin: (0.0, 0.0), extent }
    }

    fn bytes(&self) -> u64 {
        self.data.len() as u64
    }

    /// Only those samples that a part of the picture is in.
    fn cut(&self, part: Window, budget: &Budget) -> Result<Self, Reject> {
        let axis = |side: u32, origin: f64, extent: f64, (start, length): (f64, f64)| {
            let start = (origin + extent * start).clamp(0.0, f64::from(side));
            let first = (start + 1e-6).floor().min(f64::from(side - 1));
            let end = (start + extent * length).clamp(first + 1e-3, f64::from(side));
            (whole_samples(first), whole_samples(end), (start - first).max(0.0), end - start.max(first))
        };
        let (left, right, x, wide) = axis(self.width, self.origin.0, self.extent.0, (part.x, part.width));
        let (top, bottom, y, high) = axis(self.height, self.origin.1, self.extent.1, (part.y, part.height));
        let (width, height) = (right - left, bottom - top);
        let rows = self.data.chunks_exact(self.width as usize).skip(top as usize).take(height as usize);
        let mut data = budget.room(width as usize * height as usize)?;
        rows.for_each(|row| data.extend_from_slice(&row[left as usize..right as usize]));
        Ok(Self { width, height, data, origin: (x, y), extent: (wide, high) })
    }

    fn resize(self, across: Axis, down: Axis, budget: &Budget) -> Result<Self, Reject> {
        let extent = (across.extent(), down.extent());
        let x = across.cut(self.width, self.origin.0, self.extent.0);
        let y = down.cut(self.height, self.origin.1, self.extent.1);
        let as_it_is = |cut: &Cut, side: u32| {
            cut.samples == side && cut.before + cut.after == 0 && (cut.length - f64::from(side)).abs() < 1e-6
        };
        if as_it_is(&x, self.width) && as_it_is(&y, self.height) {
            return Ok(Self { origin: (0.0, 0.0), extent, ..self });
        }
        let bytes = |width: u32, height: u32| u64::from(width) * u64::from(height);
        let source = (self.width + x.before + x.after, self.height + y.before + y.after);
        let between = |rows: u32| between_passes(8, source, (x.samples, rows));
        let rows = y.samples.div_ceil(whole_samples(between(y.samples) as f64 / STRIP).max(1));
        let extended = if source == (self.width, self.height) { 0 } else { bytes(source.0, source.1) };
        budget.afford(self.bytes() + extended + between(rows) + bytes(x.samples, y.samples))?;
        let plane = self.extended((x.before, x.after), (y.before, y.after), budget)?;

        let mut resized = Raster::blank(x.samples, y.samples, Pixels::Gray, budget)?;
        let step = y.length / f64::from(y.samples);
        codec::guard(|| {
            let from = ImageRef::new(plane.width, plane.height, &plane.data, PixelType::U8);
            let from = from.map_err(|_| FAILED)?;
            let strips = resized.data.chunks_mut(rows as usize * x.samples as usize);
            for (strip, first) in strips.zip((0..).step_by(rows as usize)) {
                budget.still_time()?;
                let rows = rows.min(y.samples - first);
                let to = Image::from_slice_u8(x.samples, rows, strip, PixelType::U8);
                let mut to = to.map_err(|_| FAILED)?;
                let lanczos = ResizeAlg::Convolution(FilterType::Lanczos3);
                let top = y.start + step * f64::from(first);
                let height = (step * f64::from(rows)).min(f64::from(plane.height) - top);
                let options = ResizeOptions::new().resize_alg(lanczos).crop(x.start, top, x.length, height);
                resample::resize(&from, &mut to, &options).map_err(|Refused| FAILED)?;
            }
            Ok(())
        })?;
        Ok(Self { width: x.samples, height: y.samples, data: resized.data, origin: (0.0, 0.0), extent })
    }

    /// With the outermost samples repeated.
    fn extended(
        self, (left, right): (u32, u32), (top, bottom): (u32, u32), budget: &Budget,
    ) -> Result<Self, Reject> {
        if left + right + top + bottom == 0 {
            return Ok(self);
        }
        let (width, height) = (self.width + left + right, self.height + top + bottom);
        let mut data = budget.room(width as usize * height as usize)?;
        for row in 0..height {
            let from = row.saturating_sub(top).min(self.height - 1) as usize * self.width as usize;
            let row = &self.data[from..from + self.width as usize];
            data.extend(std::iter::repeat_n(row[0], left as usize));
            data.extend_from_slice(row);
            data.extend(std::iter::repeat_n(row[row.len() - 1], right as usize));
        }
        Ok(Self { width, height, data, ..self })
    }

    fn upright(self, orientation: Orientation, budget: &Budget) -> Result<Self, Reject> {
        let extent = match orientation.upright((0, 1)) {
            (0, _) => self.extent,
            _ => (self.extent.1, self.extent.0),
        };
        let Self { width, height, data, .. } = self;
        let raster = orient(Raster { width, height, pixels: Pixels::Gray, data }, orientation, budget)?;
        Ok(Self { width: raster.width, height: raster.height, data: raster.data, origin: (0.0, 0.0), extent })
    }
}

impl Planes {
    pub(crate) fn size(&self) -> (u32, u32) {
        (self.luma.width, self.luma.height)
    }

    /// How many pixels there are samples for.
    pub(crate) fn pixels(&self) -> (u32, u32) {
        (whole_samples(self.luma.extent.0).max(1), whole_samples(self.luma.extent.1).max(1))
    }

    pub(crate) fn bytes(&self) -> u64 {
        let planes = self.chroma.iter().flatten().chain([&self.luma]);
        planes.map(Plane::bytes).sum()
    }

    pub(crate) fn copy(&self, budget: &Budget) -> Result<Self, Reject> {
        let copy = |plane: &Plane| -> Result<Plane, Reject> {
            let &Plane { width, height, ref data, origin, extent } = plane;
            Ok(Plane { width, height, data: budget.copy(data)?, origin, extent })
        };
        let chroma = match &self.chroma {
            Some([blue, red]) => Some([copy(blue)?, copy(red)?]),
            None => None,
        };
        Ok(Self { luma: copy(&self.luma)?, chroma })
    }

    /// Gray.
    pub(crate) fn without_chroma(self) -> Self {
        Self { chroma: None, ..self }
    }

    /// Only a part, in shares of the sides: what is beside it is gone, but for less than a sample.
    pub(crate) fn cut(&self, part: Window, budget: &Budget) -> Result<Self, Reject> {
        let mut held = self.bytes();
        let mut cut = |plane: &Plane| -> Result<Plane, Reject> {
            let cut = plane.cut(part, &budget.less(held))?;
            held += cut.bytes();
            Ok(cut)
        };
        let luma = cut(&self.luma)?;
        let chroma = match &self.chroma {
            Some([blue, red]) => Some([cut(blue)?, cut(red)?]),
            None => None,
        };
        Ok(Self { luma, chroma })
    }

    /// Brings a window of a stored picture, in shares of its sides, to this size, which is as stored as
    /// well, with Lanczos3, and turns it upright.
    ///
    /// An odd number of pixels has half a sample of chroma too much. It is where the picture ends when it
    /// stands upright.
    pub(crate) fn resize_upright(
        self, window: Window, (width, height): (u32, u32), chroma: Chroma, orientation: Orientation,
        budget: &Budget,
    ) -> Result<Self, Reject> {
        let reversed = orientation.reverses();
        let mut held = self.bytes();
        let mut resize = |plane: Plane, step: u32| -> Result<Plane, Reject> {
            let (x, y) = ((window.x, window.width), (window.y, window.height));
            let across = Axis { pixels: width, step, reversed: reversed.0, window: x };
            let down = Axis { pixels: height, step, reversed: reversed.1, window: y };
            held -= plane.bytes();
            let budget = budget.less(held);
            let resized = plane.resize(across, down, &budget)?.upright(orientation, &budget)?;
            held += resized.bytes();
            Ok(resized)
        };
        // The largest comes last, when the others are small already.
        let chroma = match self.chroma {
            Some([blue, red]) => Some([resize(blue, chroma.step())?, resize(red, chroma.step())?]),
            None => None,
        };
        Ok(Self { luma: resize(self.luma, 1)?, chroma })
    }

    /// The same for a picture that stands upright.
    pub(crate) fn resize(self, size: (u32, u32), chroma: Chroma, budget: &Budget) -> Result<Self, Reject> {
        self.resize_upright(Window::ALL, size, chroma, Orientation::Upright, budget)
    }

    /// As RGB (or gray). Chroma must be full.
    pub(crate) fn into_raster(self, budget: &Budget) -> Result<Raster, Reject> {
        let (width, height) = self.size();
        let Some([blue, red]) = self.chroma else {
            return Ok(Raster { width, height, pixels: Pixels::Gray, data: self.luma.data });
        };
        budget.afford(2 * Pixels::Rgb.bytes(width, height))?;
        let mut raster = Raster::blank(width, height, Pixels::Rgb, budget)?;
        let samples = self.luma.data.iter().zip(&blue.data).zip(&red.data);
        for (pixel, ((&luma, &blue), &red)) in raster.data.as_chunks_mut::<3>().0.iter_mut().zip(samples) {
            *pixel = rgb(luma, blue, red);
        }
        Ok(raster)
    }
}

/// JFIF 1.02, in 16-bit fixed point.
fn rgb(luma: u8, blue: u8, red: u8) -> [u8; 3] {
    let luma = (i32::from(luma) << 16) + (1 << 15);
    let (blue, red) = (i32::from(blue) - 128, i32::from(red) - 128);
    [luma + 91_881 * red, luma - 22_554 * blue - 46_802 * red, luma + 116_130 * blue]
        .map(|colour| u8::try_from((colour >> 16).clamp(0, 255)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A slope that rises by `step` each pixel across and by half of it down, as a decoder leaves it with
    /// `density` samples for a pixel.
    fn slope(pixels: (u32, u32), density: f64, step: f64) -> Plane {
        let extent = (f64::from(pixels.0) * density, f64::from(pixels.1) * density);
        let (stride, rows) = (whole_samples(extent.0) + 3, whole_samples(extent.1) + 2);
        let sample = |x: u32, y: u32| {
            let (x, y) = (f64::from(x), f64::from(y));
            if x >= extent.0 || y >= extent.1 {
                return 255;
            }
            let level = 20.0 + step * ((x + 0.5) / density + (y + 0.5) / density / 2.0);
            u8::try_from(whole_samples(level - 0.5)).unwrap()
        };
        let data = (0..rows).flat_map(|y| (0..stride).map(move |x| sample(x, y))).collect();
        Plane::of_decoder(data, stride as usize, extent)
    }

    const ALL: (f64, f64) = (0.0, 1.0);

    fn budget() -> Budget {
        Budget { memory: 64 << 20, ..Budget::for_tests() }
    }

    #[test]
    fn nothing_shifts_whatever_the_scale_was() {
        // No round number: its levels would all be rounded the same way.
        const STEP: f64 = 0.153_71;
        for pixels in [(801, 603), (800, 600), (407, 305)] {
            for density in [0.125, 0.25, 0.5, 1.0] {
                for target in [(97, 73), (64, 48), (33, 25)] {
                    for chroma in [Chroma::Full, Chroma::Half] {
                        let plane = slope(pixels, density, STEP);
                        let axis =
                            |pixels| Axis { pixels, step: chroma.step(), reversed: false, window: ALL };
                        let small = plane.resize(axis(target.0), axis(target.1), &budget()).unwrap();
                        assert_eq!((small.width, small.height), chroma.samples(target));
                        let scale = |target: u32, full: u32| {
                            f64::from(full) / f64::from(target) * f64::from(chroma.step())
                        };
                        let (across, down) = (scale(target.0, pixels.0), scale(target.1, pixels.1));
                        let (mut sum, mut count) = (0.0, 0.0);
                        // The filter sees less at the edges.
                        for y in 3..small.height - 4 {
                            for x in 3..small.width - 4 {
                                let at = (f64::from(x) + 0.5) * across + (f64::from(y) + 0.5) * down / 2.0;
                                let found = f64::from(small.data[(y * small.width + x) as usize]);
                                let expected = 20.0 + STEP * at;
                                assert!((found - expected).abs() < 2.0, "{found}, not {expected}");
                                (sum, count) = (sum + found - expected, count + 1.0);
                            }
                        }
                        // Half a sample of the source would be 0.9 levels at 1/8 and 0.2 at 1/2.
                        let mean: f64 = sum / count;
                        assert!(mean.abs() < 0.1, "{pixels:?} {density} {target:?} {chroma:?}: {mean}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_beside_the_picture_does_not_get_into_it() {
        let plane = slope((101, 67), 0.125, 0.0);
        let axis = |pixels, step| Axis { pixels, step, reversed: false, window: ALL };
        let small = plane.resize(axis(7, 2), axis(5, 2), &budget()).unwrap();
        assert_eq!(small.data, [20; 12]);
    }

    #[test]
    fn turning_planes_is_turning_the_picture() {
        for (size, target) in
            [((40, 30), (17, 13)), ((39, 31), (16, 11)), ((9, 9), (1, 1)), ((64, 48), (32, 24))]
        {
            for value in 1..=8 {
                let orientation = Orientation::from_exif(value);
                let planes = || Planes {
                    luma: slope(size, 1.0, 1.7),
                    chroma: Some([slope(size, 0.5, 2.0), slope(size, 0.5, 1.2)]),
                };
                let whole = |planes: Planes| planes.resize(target, Chroma::Full, &budget()).unwrap();
                let turned = orient(whole(planes()).into_raster(&budget()).unwrap(), orientation, &budget());
                let expected = turned.unwrap();

                let full = planes()
                    .resize_upright(Window::ALL, target, Chroma::Full, orientation, &budget())
                    .unwrap();
                let found = full.into_raster(&budget()).unwrap();
                assert_eq!((found.width, found.height), (expected.width, expected.height));
                assert_eq!(found.data, expected.data, "orientation {value}");

                // With halved chroma, every sample is the mean of the pixels it is for.
                let half = planes()
                    .resize_upright(Window::ALL, target, Chroma::Half, orientation, &budget())
                    .unwrap();
                let full = planes()
                    .resize_upright(Window::ALL, target, Chroma::Full, orientation, &budget())
                    .unwrap();
                assert_eq!(half.luma.data, full.luma.data);
                let (half, full) = (half.chroma.unwrap(), full.chroma.unwrap());
                for (half, full) in half.iter().zip(&full) {
                    assert_eq!((half.width, half.height), Chroma::Half.samples((full.width, full.height)));
                    let at = |x: u32, y: u32| f64::from(full.data[(y * full.width + x) as usize]);
                    for y in 1..full.height / 2 - 1.min(full.height / 2) {
                        for x in 1..full.width / 2 - 1.min(full.width / 2) {
                            let mean = f64::midpoint(at(2 * x, 2 * y), at(2 * x + 1, 2 * y + 1));
                            let found = f64::from(half.data[(y * half.width + x) as usize]);
                            assert!(
                                (found - mean).abs() < 1.6,
                                "{value} {size:?} {x} {y}: {found}, not {mean}"
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn strips_are_one_picture() {
        // 2,600 samples across and 2,000 of the result down make three strips.
        let data: Vec<u8> =
            (0..2_600_u32 * 3_000).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let plane = Plane::of_decoder(data, 2_600, (2_599.3, 2_998.7));
        let axis = |pixels| Axis { pixels, step: 1, reversed: false, window: ALL };
        let budget = Budget { memory: 64 << 20, ..budget() };
        let at_once = |part: Window, size: (u32, u32)| {
            let plane = plane.cut(part, &budget).unwrap();
            plane.resize(axis(size.0), axis(size.1), &budget).unwrap()
        };
        let tall = plane.clone().resize(axis(120), axis(2_000), &budget).unwrap();
        // A narrow part needs no strips.
        let narrow = at_once(Window { x: 0.0, y: 0.0, width: 0.1, height: 1.0 }, (12, 2_000));
        for y in 0..2_000 {
            for x in 0..9 {
                let (a, b) = (tall.data[y * 120 + x], narrow.data[y * 12 + x]);
                assert!(a.abs_diff(b) <= 1, "{x} {y}: {a} and {b}");
            }
        }
    }

    #[test]
    fn an_odd_side_keeps_its_colours_in_place() {
        // 2 pixels of 5 are one colour: the border is in the second sample of three.
        let data = [vec![50; 40], vec![200; 60]].concat().repeat(100);
        let plane = Plane::of_decoder(data, 100, (100.0, 100.0));
        let half = |reversed| {
            let axis = Axis { pixels: 5, step: 2, reversed, window: ALL };
            let down = Axis { pixels: 10, step: 2, reversed: false, window: ALL };
            plane.clone().resize(axis, down, &budget()).unwrap()
        };
        let row = |plane: Plane| plane.data[..3].to_vec();
        let near = |found: Vec<u8>, expected: [u8; 3]| {
            assert!(found.iter().zip(expected).all(|(a, b)| a.abs_diff(b) < 22), "{found:?}");
        };
        near(row(half(false)), [50, 200, 200]);
        // From the end, the pixels go together as (0), (1, 2), (3, 4).
        near(row(half(true)), [50, 125, 200]);
    }

    #[test]
    fn colours_are_those_of_jfif() {
        for (planes, colour) in [
            ([0, 128, 128], [0, 0, 0]),
            ([255, 128, 128], [255, 255, 255]),
            ([76, 85, 255], [254, 0, 0]),
            ([150, 44, 21], [0, 255, 1]),
            ([29, 255, 107], [0, 0, 254]),
        ] {
            let [luma, blue, red] = planes;
            assert_eq!(rgb(luma, blue, red), colour);
        }
    }
}

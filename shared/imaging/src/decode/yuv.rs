//! From luma and chroma, as AV1 and HEVC code them, to RGB (ITU-T H.273, 8.3).

use crate::Reject;
use crate::container::heif::{Crop, Nclx};
use crate::raster::{Pixels, Raster};

/// How many times fewer chroma samples there are than luma samples, across and down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chroma {
    None,
    /// 4:4:4.
    Full,
    /// 4:2:2.
    Across,
    /// 4:2:0.
    Both,
}

/// A decoded picture, in the memory of its codec.
pub(super) trait Frame {
    fn size(&self) -> (u32, u32);
    fn depth(&self) -> u8;
    fn chroma(&self) -> Chroma;
    /// What the coded stream says of its colours, which counts where the container is silent.
    fn nclx(&self) -> Nclx;
    /// Copies the beginning of a row of luma (0) or of one of the two chromas.
    fn row(&self, plane: usize, y: usize, to: &mut [u16]);
}

/// Fraction of the fixed-point arithmetic: 12-bit samples times 16 times a coefficient stay below 2^31.
const FRACTION: u32 = 20;

/// Upsampled chroma is 16 times the average of its neighbours.
const CHROMA: i32 = 16;

/// What samples are multiplied with.
struct Matrix {
    black: i32,
    luma: i32,
    grey: i32,
    /// Of the second chroma in red, of both in green, of the first in blue.
    red: i32,
    green: (i32, i32),
    blue: i32,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    /// Three planes that are green, blue and red.
    Identity,
    /// `YCgCo`.
    Difference,
    /// By the share of red and blue in luma.
    Weights(f64, f64),
}

fn kind(nclx: Nclx) -> Result<Kind, Reject> {
    Ok(match nclx.matrix {
        0 => Kind::Identity,
        1 => Kind::Weights(0.2126, 0.0722),
        4 => Kind::Weights(0.30, 0.11),
        7 => Kind::Weights(0.212, 0.087),
        8 => Kind::Difference,
        9 | 10 => Kind::Weights(0.2627, 0.0593),
        // Derived from the primaries; these are the ones in use.
        12 | 13 => match nclx.primaries {
            9 => Kind::Weights(0.2627, 0.0593),
            11 | 12 => Kind::Weights(0.228_975, 0.079_287),
            _ => Kind::Weights(0.2126, 0.0722),
        },
        // Unspecified is BT.601, as readers have agreed.
        2 | 5 | 6 => Kind::Weights(0.299, 0.114),
        _ => return Err(Reject::UnsupportedFormat("HEIF with rare colours")),
    })
}

#[allow(clippy::cast_possible_truncation, reason = "coefficients are below 2^31 at every depth")]
fn matrix(kind: Kind, full_range: bool, depth: u8) -> Matrix {
    let steps = f64::from(1_u32 << (depth - 8));
    let full = f64::from((1_u32 << depth) - 1);
    let (black, luma, chroma) =
        if full_range { (0.0, full, full) } else { (16.0 * steps, 219.0 * steps, 224.0 * steps) };
    let fixed = |factor: f64| (factor * f64::from(1_u32 << FRACTION)).round() as i32;
    let unit = 255.0 / chroma / f64::from(CHROMA);
    let (red, green, blue) = match kind {
        Kind::Weights(r, b) => {
            let g = 1.0 - r - b;
            let (from_red, from_blue) = (2.0 * (1.0 - r), 2.0 * (1.0 - b));
            (from_red, (-b * from_blue / g, -r * from_red / g), from_blue)
        }
        Kind::Identity | Kind::Difference => (1.0, (1.0, 1.0), 1.0),
    };
    Matrix {
        black: black as i32,
        luma: fixed(255.0 / luma),
        grey: CHROMA << (depth - 1),
        red: fixed(red * unit),
        green: (fixed(green.0 * unit), fixed(green.1 * unit)),
        blue: fixed(blue * unit),
    }
}

/// Which part of a frame goes where in the raster.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Of the frame in the whole picture.
    pub(super) at: (u32, u32),
    /// Of the frame, what is more being padding.
    pub(super) size: (u32, u32),
    /// Of the whole picture, what is shown.
    pub(super) crop: Crop,
}

impl Place {
    /// Along one side: where in the frame to begin, where in the raster, and how much there is.
    fn along(at: u32, size: u32, crop_at: u32, crop_size: u32) -> Option<(usize, usize, usize)> {
        let start = at.max(crop_at);
        let end = at.checked_add(size)?.min(crop_at.checked_add(crop_size)?);
        let count = end.checked_sub(start).filter(|&count| count > 0)?;
        Some(((start - at) as usize, (start - crop_at) as usize, count as usize))
    }

    fn columns(&self) -> Option<(usize, usize, usize)> {
        Self::along(self.at.0, self.size.0, self.crop.left, self.crop.width)
    }

    fn rows(&self) -> Option<(usize, usize, usize)> {
        Self::along(self.at.1, self.size.1, self.crop.top, self.crop.height)
    }
}

/// Puts a frame into its place in a raster of gray, RGB or RGBA, whose alpha is left alone.
pub(super) fn paint(frame: &impl Frame, nclx: Nclx, place: Place, raster: &mut Raster) -> Result<(), Reject> {
    let (Some((x, left, width)), Some((y, top, height))) = (place.columns(), place.rows()) else {
        return Ok(());
    };
    let chroma = frame.chroma();
    let kind = if chroma == Chroma::None { Kind::Weights(0.0, 0.0) } else { kind(nclx)? };
    if kind == Kind::Identity && chroma != Chroma::Full {
        return Err(Reject::Undecodable("its colours make no sense"));
    }
    let matrix = matrix(kind, nclx.full_range, frame.depth());
    let channels = raster.pixels.channels();
    let stride = raster.width as usize * channels;

    let (full_width, full_height) = (frame.size().0 as usize, frame.size().1 as usize);
    let mut luma = vec![0; full_width];
    let mut upsampler = Upsampler::new(chroma, full_width);
    let rows = raster.data.chunks_exact_mut(stride).skip(top).take(height);
    for (y, row) in (y..full_height).zip(rows) {
        frame.row(0, y, &mut luma);
        let luma = &luma[x..x + width];
        let row = &mut row[left * channels..][..width * channels];
        if chroma == Chroma::None || raster.pixels == Pixels::Gray {
            for (pixel, &luma) in row.chunks_exact_mut(channels).zip(luma) {
                let gray = to_byte((i32::from(luma) - matrix.black) * matrix.luma);
                pixel[..channels.min(3)].fill(gray);
            }
            continue;
        }
        let (first, second) = upsampler.rows(frame, y);
        let (first, second) = (&first[x..x + width], &second[x..x + width]);
        let samples = luma.iter().zip(first).zip(second);
        match channels {
            3 => {
                let pixels = row.as_chunks_mut::<3>().0;
                for (pixel, ((&luma, &first), &second)) in pixels.iter_mut().zip(samples) {
                    *pixel = colour(&matrix, kind, luma, first, second);
                }
            }
            _ => {
                for (pixel, ((&luma, &first), &second)) in row.chunks_exact_mut(channels).zip(samples) {
                    pixel[..3].copy_from_slice(&colour(&matrix, kind, luma, first, second));
                }
            }
        }
    }
    Ok(())
}

/// Puts the luma of a frame into the alpha of a raster of RGBA.
pub(super) fn paint_alpha(frame: &impl Frame, nclx: Option<Nclx>, place: Place, raster: &mut Raster) {
    let (Some((x, left, width)), Some((y, top, height))) = (place.columns(), place.rows()) else {
        return;
    };
    // Where it is limited, which is rare, the stream says so; the container speaks of colours.
    let full_range = nclx.unwrap_or_else(|| frame.nclx()).full_range;
    let matrix = matrix(Kind::Weights(0.0, 0.0), full_range, frame.depth());
    let stride = raster.width as usize * 4;
    let mut luma = vec![0; frame.size().0 as usize];
    let rows = raster.data.chunks_exact_mut(stride).skip(top).take(height);
    for (y, row) in (y..frame.size().1 as usize).zip(rows) {
        frame.row(0, y, &mut luma);
        let pixels = row.as_chunks_mut::<4>().0.iter_mut().skip(left).take(width);
        for ([_, _, _, alpha], &luma) in pixels.zip(&luma[x..]) {
            *alpha = to_byte((i32::from(luma) - matrix.black) * matrix.luma);
        }
    }
}

#[inline]
fn colour(matrix: &Matrix, kind: Kind, luma: u16, first: i32, second: i32) -> [u8; 3] {
    let (first, second) = (first - matrix.grey, second - matrix.grey);
    let bright = (i32::from(luma) - matrix.black) * matrix.luma;
    match kind {
        Kind::Weights(..) => [
            to_byte(bright + second * matrix.red),
            to_byte(bright + first * matrix.green.0 + second * matrix.green.1),
            to_byte(bright + first * matrix.blue),
        ],
        Kind::Difference => {
            let (green, orange) = (first * matrix.blue, second * matrix.red);
            [to_byte(bright - green + orange), to_byte(bright + green), to_byte(bright - green - orange)]
        }
        Kind::Identity => {
            // All three planes have the range of luma.
            let plane = |sample: i32| (sample + matrix.grey) / CHROMA - matrix.black;
            [to_byte(plane(second) * matrix.luma), to_byte(bright), to_byte(plane(first) * matrix.luma)]
        }
    }
}

/// Rounds.
#[inline]
fn to_byte(value: i32) -> u8 {
    let rounded = (value + (1 << (FRACTION - 1))) >> FRACTION;
    u8::try_from(rounded.clamp(0, 255)).unwrap_or(u8::MAX)
}

/// Makes rows of chroma as wide as luma. Halved samples lie in the middle between those of luma; each of
/// luma's positions takes three parts of the nearer one and one of the other.
struct Upsampler {
    chroma: Chroma,
    /// Width of a row of chroma.
    width: usize,
    near: Vec<u16>,
    far: Vec<u16>,
    mixed: Vec<i32>,
    first: Vec<i32>,
    second: Vec<i32>,
}

impl Upsampler {
    fn new(chroma: Chroma, luma_width: usize) -> Self {
        let width = match chroma {
            Chroma::None => 0,
            Chroma::Full => luma_width,
            Chroma::Across | Chroma::Both => luma_width.div_ceil(2),
        };
        let full = if width == 0 { 0 } else { luma_width };
        Self {
            chroma,
            width,
            near: vec![0; width],
            far: vec![0; width],
            mixed: vec![0; width],
            first: vec![0; full],
            second: vec![0; full],
        }
    }

    fn rows(&mut self, frame: &impl Frame, y: usize) -> (&[i32], &[i32]) {
        for plane in [1, 2] {
            match self.chroma {
                Chroma::None => {}
                Chroma::Full | Chroma::Across => {
                    frame.row(plane, y, &mut self.near);
                    for (mixed, &near) in self.mixed.iter_mut().zip(&self.near) {
                        *mixed = i32::from(near) * 4;
                    }
                }
                Chroma::Both => {
                    let last = (frame.size().1 as usize).div_ceil(2) - 1;
                    let near = y / 2;
                    let far = if y.is_multiple_of(2) { near.saturating_sub(1) } else { (near + 1).min(last) };
                    frame.row(plane, near, &mut self.near);
                    frame.row(plane, far, &mut self.far);
                    for ((mixed, &near), &far) in self.mixed.iter_mut().zip(&self.near).zip(&self.far) {
                        *mixed = i32::from(near) * 3 + i32::from(far);
                    }
                }
            }
            let wide = if plane == 1 { &mut self.first } else { &mut self.second };
            match self.chroma {
                Chroma::None => {}
                Chroma::Full => {
                    for (wide, mixed) in wide.iter_mut().zip(&self.mixed) {
                        *wide = mixed * 4;
                    }
                }
                Chroma::Across | Chroma::Both => widen(&self.mixed[..self.width], wide),
            }
        }
        (&self.first, &self.second)
    }
}

fn widen(narrow: &[i32], wide: &mut [i32]) {
    let (Some(&first), Some(&last)) = (narrow.first(), narrow.last()) else {
        return;
    };
    if let Some(edge) = wide.first_mut() {
        *edge = first * 4;
    }
    // Between two samples of chroma lie an odd and an even one of luma.
    let pairs = wide.get_mut(1..).unwrap_or_default().as_chunks_mut::<2>();
    for ([odd, even], two) in pairs.0.iter_mut().zip(narrow.array_windows::<2>()) {
        *odd = two[0] * 3 + two[1];
        *even = two[0] + two[1] * 3;
    }
    if let [edge] = pairs.1 {
        *edge = last * 4;
    }
}

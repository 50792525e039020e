//! From the colours of a file to sRGB, by its profile.
//!
//! As libvips and so sharp do it: the perceptual intent, and the darkest colour that a profile can
//! express becomes black. Profiles of screens are a matrix and curves, which moxcms applies; those of
//! printers and scanners are tables.

mod grid;
pub(crate) mod srgb;
mod table;

use moxcms::{
    ColorProfile, DataColorSpace, Layout, LutWarehouse, ParsingOptions, ProfileClass, ProfileVersion,
    Transform8BitExecutor, TransformOptions, Xyz,
};

use crate::levels::times;
use crate::limits::Budget;
use crate::raster::{Pixels, Raster};
use crate::{Note, Reject, codec};

use grid::Grid;
use srgb::{Black, byte, curve, from_lab};
use table::{Curve, Table};

/// The largest profiles are those of presses. They have a few hundred thousand nodes, of which a reader
/// needs those of one direction.
const LARGEST_PROFILE: usize = 4 << 20;

/// What ink looks like that comes without a profile: see `README.md` beside it.
const INK: &[u8] = include_bytes!("ink.icc");

/// How colours become sRGB.
pub(crate) enum Conversion {
    /// RGB of a screen or a camera.
    Matrix { solid: Transform, alpha: Transform },
    /// Ink, or RGB of a printer or a scanner.
    Grid(Grid),
    /// Gray, by level.
    Gray(Box<[u8; 256]>),
}

type Transform = std::sync::Arc<Transform8BitExecutor>;

impl Conversion {
    /// Whether it is one of RGB, which pictures can be kept in.
    pub(crate) fn is_of_rgb(&self, pixels: Pixels) -> bool {
        match self {
            Self::Matrix { .. } => true,
            Self::Grid(_) => matches!(pixels, Pixels::Rgb | Pixels::Rgba),
            Self::Gray(_) => false,
        }
    }

    /// That of a picture without a profile, or of one with this profile: none where colours are sRGB as they
    /// are.
    pub(crate) fn of(icc: Option<&[u8]>, pixels: Pixels) -> (Option<Self>, Option<Note>) {
        let broken = Reject::Undecodable("its colour profile");
        let read = icc.map(|icc| codec::guard(|| read(icc, pixels).ok_or(broken)));
        match read {
            Some(Ok(conversion)) => (conversion, None),
            Some(Err(_)) => (usual(pixels), Some(Note::ProfileIgnored)),
            None => (usual(pixels), None),
        }
    }
}

/// Without a profile, RGB and gray are those of sRGB.
fn usual(pixels: Pixels) -> Option<Conversion> {
    match pixels {
        Pixels::Cmyk => codec::guard(|| Ok(read(INK, pixels).flatten())).ok().flatten(),
        Pixels::Gray | Pixels::GrayAlpha | Pixels::Rgb | Pixels::Rgba => None,
    }
}

/// `None` if the profile cannot be used, `Some(None)` if it need not.
#[allow(clippy::option_option, reason = "the outer one is for `?`")]
fn read(icc: &[u8], pixels: Pixels) -> Option<Option<Conversion>> {
    let space = match pixels {
        Pixels::Gray | Pixels::GrayAlpha => DataColorSpace::Gray,
        Pixels::Rgb | Pixels::Rgba => DataColorSpace::Rgb,
        Pixels::Cmyk => DataColorSpace::Cmyk,
    };
    let options = ParsingOptions {
        max_profile_size: LARGEST_PROFILE,
        max_allowed_clut_size: LARGEST_PROFILE / 4,
        ..ParsingOptions::default()
    };
    let profile = ColorProfile::new_from_slice_with_options(icc, options).ok()?;
    let for_devices = match profile.profile_class {
        ProfileClass::InputDevice
        | ProfileClass::DisplayDevice
        | ProfileClass::OutputDevice
        | ProfileClass::ColorSpace => true,
        ProfileClass::DeviceLink | ProfileClass::Abstract | ProfileClass::Named => false,
    };
    if profile.color_space != space || !for_devices {
        return None;
    }
    match (table(&profile), space) {
        (Some(table), _) => {
            let inputs = pixels.channels() - usize::from(pixels.has_alpha());
            let table = Table::new(table, &profile, inputs)?;
            let version_4 = profile.version() >= ProfileVersion::V4_0;
            Some(Some(Conversion::Grid(Grid::new(&table, inputs, version_4, space == DataColorSpace::Cmyk))))
        }
        (None, DataColorSpace::Gray) => gray(&profile).map(Some),
        (None, DataColorSpace::Rgb) => matrix(&profile),
        (None, _) => None,
    }
}

/// The perceptual one, else what there is.
fn table(profile: &ColorProfile) -> Option<&LutWarehouse> {
    let tables =
        [&profile.lut_a_to_b_perceptual, &profile.lut_a_to_b_colorimetric, &profile.lut_a_to_b_saturation];
    tables.into_iter().find_map(Option::as_ref)
}

fn gray(profile: &ColorProfile) -> Option<Conversion> {
    let curve_of_gray = Curve::of(profile.gray_trc.as_ref()?)?;
    let luminance = |level: u8| {
        let value = curve_of_gray.at(f32::from(level) / 255.0);
        // With Lab as the connection space, the curve is one of lightness (ICC.1:2022, F.2).
        if profile.pcs == DataColorSpace::Lab { from_lab([value * 100.0, 0.0, 0.0]).y } else { value }
    };
    let black = luminance(0);
    let [_, black, _] = Black::of_darkest(Xyz { x: black, y: black, z: black }).0;
    let mut levels = [0; 256];
    for (level, to) in (0..=u8::MAX).zip(&mut levels) {
        *to = byte(curve((luminance(level) - black) / (1.0 - black)));
    }
    (levels[0] != levels[255]).then(|| Conversion::Gray(Box::new(levels)))
}

#[allow(clippy::option_option, reason = "as in `read`")]
fn matrix(profile: &ColorProfile) -> Option<Option<Conversion>> {
    let srgb = ColorProfile::new_srgb();
    let options = TransformOptions { allow_use_cicp_transfer: false, ..TransformOptions::default() };
    let transform = |layout| profile.create_transform_8bit(layout, &srgb, layout, options).ok();
    let solid = transform(Layout::Rgb)?;
    let mut ends = [0; 6];
    solid.transform(&[0, 0, 0, 255, 255, 255], &mut ends).ok()?;
    if ends[..3] == ends[3..] {
        return None;
    }
    if is_identity(&*solid) {
        return Some(None);
    }
    Some(Some(Conversion::Matrix { solid, alpha: transform(Layout::Rgba)? }))
}

/// Most tagged pictures are tagged as sRGB, in one of many spellings. They are told by what the profile
/// does to a grid of colours, and are then left alone.
fn is_identity(transform: &Transform8BitExecutor) -> bool {
    const LEVELS: [u8; 9] = [0, 32, 64, 96, 128, 160, 192, 224, 255];
    let across = || LEVELS.iter().copied();
    let grid: Vec<u8> =
        across().flat_map(|r| across().flat_map(move |g| across().flat_map(move |b| [r, g, b]))).collect();
    let mut changed = vec![0; grid.len()];
    transform.transform(&grid, &mut changed).is_ok()
        && grid.iter().zip(&changed).all(|(before, after)| before.abs_diff(*after) <= 1)
}

/// Brings pixels into sRGB: RGB, or RGBA where there is alpha.
pub(crate) fn to_srgb(
    raster: Raster, conversion: Option<&Conversion>, budget: &Budget,
) -> Result<Raster, Reject> {
    if conversion.is_none() && matches!(raster.pixels, Pixels::Rgb | Pixels::Rgba) {
        return Ok(raster);
    }
    let pixels = if raster.pixels.has_alpha() { Pixels::Rgba } else { Pixels::Rgb };
    budget.afford(raster.bytes() + pixels.bytes(raster.width, raster.height))?;
    let mut converted = Raster::blank(raster.width, raster.height, pixels, budget)?;
    codec::guard(|| {
        convert(&raster, conversion, &mut converted);
        Ok(())
    })?;
    Ok(converted)
}

fn convert(raster: &Raster, conversion: Option<&Conversion>, converted: &mut Raster) {
    let from = &raster.data;
    let to = &mut converted.data;
    match (raster.pixels, conversion) {
        (Pixels::Rgb, Some(Conversion::Matrix { solid: transform, .. }))
        | (Pixels::Rgba, Some(Conversion::Matrix { alpha: transform, .. })) => {
            // It fails for sizes that do not match; these do.
            let _ = transform.transform(from, to);
        }
        (Pixels::Gray, Some(Conversion::Gray(levels))) => {
            each(from, to, |[gray]| [levels[usize::from(gray)]; 3]);
        }
        (Pixels::GrayAlpha, Some(Conversion::Gray(levels))) => each(from, to, |[gray, alpha]| {
            let gray = levels[usize::from(gray)];
            [gray, gray, gray, alpha]
        }),
        (Pixels::Gray, Some(Conversion::Grid(grid))) => each(from, to, |gray: [u8; 1]| grid.look_up(gray)),
        (Pixels::GrayAlpha, Some(Conversion::Grid(grid))) => each(from, to, |[gray, alpha]| {
            let [r, g, b] = grid.look_up([gray]);
            [r, g, b, alpha]
        }),
        (Pixels::Rgb, Some(Conversion::Grid(grid))) => each(from, to, |rgb: [u8; 3]| grid.look_up(rgb)),
        (Pixels::Rgba, Some(Conversion::Grid(grid))) => each(from, to, |[r, g, b, alpha]| {
            let [r, g, b] = grid.look_up([r, g, b]);
            [r, g, b, alpha]
        }),
        (Pixels::Cmyk, Some(Conversion::Grid(grid))) => each(from, to, |ink: [u8; 4]| grid.look_up(ink)),
        // Conversions are made for the pixels they are used on; these are the pairs without one.
        (Pixels::Gray, _) => each(from, to, |[gray]| [gray; 3]),
        (Pixels::GrayAlpha, _) => each(from, to, |[gray, alpha]| [gray, gray, gray, alpha]),
        (Pixels::Rgb, _) => each(from, to, |rgb: [u8; 3]| rgb),
        (Pixels::Rgba, _) => each(from, to, |rgba: [u8; 4]| rgba),
        (Pixels::Cmyk, _) => each(from, to, |[c, m, y, k]| [c, m, y].map(|ink| times(!ink, !k))),
    }
}

fn each<const FROM: usize, const TO: usize>(
    from: &[u8], to: &mut [u8], convert: impl Fn([u8; FROM]) -> [u8; TO],
) {
    let (from, _) = from.as_chunks::<FROM>();
    let (to, _) = to.as_chunks_mut::<TO>();
    // Neighbours are often alike, and looking up costs more than comparing.
    let mut last = None;
    for (&from, to) in from.iter().zip(to) {
        *to = match last {
            Some((same, converted)) if same == from => converted,
            _ => convert(from),
        };
        last = Some((from, *to));
    }
}

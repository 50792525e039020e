//! AVIF and HEIC: decodes the tiles of a picture one by one into their places.

use moxcms::{CicpColorPrimaries, CicpProfile, ColorProfile, MatrixCoefficients, TransferCharacteristics};

#[cfg(feature = "heic")]
use super::heic;
use super::yuv::{Chroma, Frame, Place, paint, paint_alpha};
use super::{Decoded, avif};
use crate::Reject;
use crate::container::heif::{Codec, Coded, Layer, Nclx, Picture, picture};
use crate::limits::Budget;
use crate::raster::{Pixels, Raster};

pub(super) fn decode(bytes: &[u8], budget: &Budget) -> Result<Decoded, Reject> {
    let picture = picture(bytes)?;
    match picture.codec {
        Codec::Av1 => assemble(&picture, budget, avif::frame),
        #[cfg(feature = "heic")]
        Codec::Hevc => assemble(&picture, budget, heic::frame),
        #[cfg(not(feature = "heic"))]
        Codec::Hevc => Err(Reject::UnsupportedFormat("HEIC")),
    }
}

/// Decodes a tile of this size, with what the budget leaves.
trait Decode<F>: Fn(&Coded, (u32, u32), &Budget) -> Result<F, Reject> {}

impl<F, T: Fn(&Coded, (u32, u32), &Budget) -> Result<F, Reject>> Decode<F> for T {}

fn assemble<F: Frame>(picture: &Picture, budget: &Budget, frame: impl Decode<F>) -> Result<Decoded, Reject> {
    let (width, height) = (picture.crop.width, picture.crop.height);
    let pixels = if picture.alpha.is_some() { Pixels::Rgba } else { Pixels::Rgb };
    budget.afford(pixels.bytes(width, height))?;
    let left = Budget { memory: budget.memory - pixels.bytes(width, height), ..*budget };

    let mut raster = None;
    let mut nclx = picture.colour.nclx;
    each_tile(picture, &picture.colour, &left, &frame, |frame, place| {
        let nclx = *nclx.get_or_insert_with(|| frame.nclx());
        if raster.is_none() {
            // A profile for gray needs gray.
            let gray = frame.chroma() == Chroma::None
                && pixels == Pixels::Rgb
                && picture.icc.is_some_and(|icc| icc.get(16..20) == Some(b"GRAY"));
            raster = Some(Raster::blank(width, height, if gray { Pixels::Gray } else { pixels }, budget)?);
        }
        let raster = raster.as_mut().ok_or(Reject::Truncated)?;
        paint(frame, nclx, place, raster)
    })?;
    let mut raster = raster.ok_or(Reject::Undecodable("it has no picture"))?;

    if let Some(alpha) = &picture.alpha {
        each_tile(picture, alpha, &left, &frame, |frame, place| {
            paint_alpha(frame, alpha.nclx, place, &mut raster);
            Ok(())
        })?;
        if picture.premultiplied {
            super::divide_by_alpha(&mut raster);
        }
    }
    let icc = picture.icc.map(<[u8]>::to_vec).or_else(|| profile(nclx?));
    Ok(Decoded { raster, icc })
}

fn each_tile<F: Frame>(
    picture: &Picture, layer: &Layer, budget: &Budget, frame: impl Decode<F>,
    mut paint: impl FnMut(&F, Place) -> Result<(), Reject>,
) -> Result<(), Reject> {
    for (index, coded) in (0..).zip(&layer.tiles) {
        budget.still_time()?;
        let at = ((index % layer.columns) * layer.tile.0, (index / layer.columns) * layer.tile.1);
        let frame = frame(coded, layer.tile, budget)?;
        paint(&frame, Place { at, size: layer.tile, crop: picture.crop })?;
    }
    Ok(())
}

/// The colours as a profile, unless they are those of sRGB.
///
/// The curve of BT.709 is taken for that of sRGB: pictures that claim it were never graded for a dark
/// room, and no viewer shows them so.
pub(super) fn profile(nclx: Nclx) -> Option<Vec<u8>> {
    let transfer = match nclx.transfer {
        1 | 2 | 6 | 14 | 15 => 13,
        other => other,
    };
    if matches!(nclx.primaries, 1 | 2) && transfer == 13 {
        return None;
    }
    let cicp = CicpProfile {
        color_primaries: CicpColorPrimaries::try_from(nclx.primaries).ok()?,
        transfer_characteristics: TransferCharacteristics::try_from(transfer).ok()?,
        matrix_coefficients: MatrixCoefficients::Identity,
        full_range: true,
    };
    ColorProfile::new_from_cicp(cicp).encode().ok()
}

//! What a picture should look like at a size: decoded whole, by decoders that neither side uses for it, and
//! resized with Lanczos3 by neither side's resizer.

use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::imageops::{self, FilterType};
use image::{DynamicImage, ImageDecoder as _, ImageFormat, ImageReader, RgbImage};
use jpeg_decoder::PixelFormat;
use moxcms::{ColorProfile, DataColorSpace, Layout, TransformOptions};

use crate::Failure;

/// References of all pictures, made when they are first asked for.
#[derive(Default)]
pub struct References {
    sized: BTreeMap<(PathBuf, u32, u32), RgbImage>,
    /// The last picture, whole: they are too large to keep them all.
    whole: Option<(PathBuf, RgbImage)>,
}

impl References {
    /// The picture in `file` at this size.
    pub fn at(&mut self, file: &Path, width: u32, height: u32) -> Result<&RgbImage, Failure> {
        let key = (file.to_owned(), width, height);
        if !self.sized.contains_key(&key) {
            let whole = match self.whole.take().filter(|(last, _)| last == file) {
                Some((_, whole)) => whole,
                None => decode(&fs::read(file)?)?,
            };
            self.sized.insert(key.clone(), imageops::resize(&whole, width, height, FilterType::Lanczos3));
            self.whole = Some((file.to_owned(), whole));
        }
        Ok(&self.sized[&key])
    }
}

/// Decodes a picture: upright, sRGB, on white.
///
/// White goes behind a picture before it is resized and not after, because then no colour of a transparent
/// pixel can come through: it is what resizing with premultiplied alpha gives, as both steps are linear.
pub fn decode(bytes: &[u8]) -> Result<RgbImage, Failure> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    reader.no_limits();
    let is_jpeg = reader.format() == Some(ImageFormat::Jpeg);
    let mut decoder = reader.into_decoder()?;
    let (orientation, icc) = (decoder.orientation()?, decoder.icc_profile()?);

    // For JPEG `image` has the decoder that the engine has for some.
    let mut picture = match if is_jpeg { jpeg(bytes)? } else { None } {
        Some(picture) => picture,
        None => DynamicImage::from_decoder(decoder)?,
    };
    picture.apply_orientation(orientation);
    let mut pixels = if picture.color().has_alpha() { on_white(&picture) } else { picture.into_rgb8() };
    if let Some(icc) = icc {
        to_srgb(&mut pixels, &icc)?;
    }
    Ok(pixels)
}

/// A JPEG in gray or colour; nothing for one in inks.
fn jpeg(bytes: &[u8]) -> Result<Option<DynamicImage>, Failure> {
    let mut decoder = jpeg_decoder::Decoder::new(bytes);
    let pixels = decoder.decode()?;
    let info = decoder.info().ok_or("a JPEG without a frame")?;
    let (width, height) = (u32::from(info.width), u32::from(info.height));
    Ok(match info.pixel_format {
        PixelFormat::L8 => image::GrayImage::from_raw(width, height, pixels).map(DynamicImage::from),
        PixelFormat::RGB24 => RgbImage::from_raw(width, height, pixels).map(DynamicImage::from),
        PixelFormat::L16 | PixelFormat::CMYK32 => None,
    })
}

fn on_white(picture: &DynamicImage) -> RgbImage {
    let pixels = picture.to_rgba8();
    RgbImage::from_fn(pixels.width(), pixels.height(), |x, y| {
        let [red, green, blue, alpha] = pixels[(x, y)].0.map(u32::from);
        let behind = |colour: u32| u8::try_from((colour * alpha + 255 * (255 - alpha) + 127) / 255);
        image::Rgb([red, green, blue].map(|colour| behind(colour).unwrap_or(u8::MAX)))
    })
}

/// Applies the profile of an RGB picture. One that makes no sense is ignored, as both sides do.
fn to_srgb(pixels: &mut RgbImage, icc: &[u8]) -> Result<(), Failure> {
    let Ok(profile) = ColorProfile::new_from_slice(icc) else { return Ok(()) };
    if profile.color_space != DataColorSpace::Rgb {
        return Ok(());
    }
    let srgb = ColorProfile::new_srgb();
    let options = TransformOptions::default();
    let transform = profile.create_transform_8bit(Layout::Rgb, &srgb, Layout::Rgb, options)?;
    let from = pixels.as_raw().clone();
    transform.transform(&from, pixels)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use image::{Rgb, Rgba, RgbaImage};

    use super::*;

    fn png(picture: &DynamicImage) -> Vec<u8> {
        let mut bytes = Vec::new();
        picture.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png).unwrap();
        bytes
    }

    #[test]
    fn what_is_transparent_is_white_whatever_colour_it_has() {
        let mut picture = RgbaImage::from_pixel(16, 16, Rgba([255, 0, 0, 0]));
        picture.put_pixel(0, 0, Rgba([0, 0, 0, 255]));
        picture.put_pixel(1, 0, Rgba([0, 0, 255, 51]));
        let decoded = decode(&png(&picture.into())).unwrap();
        let found = [0, 1, 2].map(|x| decoded[(x, 0)]);
        assert_eq!(found, [Rgb([0, 0, 0]), Rgb([204, 204, 255]), Rgb([255, 255, 255])]);
    }

    #[test]
    fn a_reference_is_made_at_every_size_that_is_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("flat.png");
        let flat = RgbImage::from_pixel(64, 48, Rgb([10, 20, 30]));
        fs::write(&file, png(&flat.into())).unwrap();
        let mut references = References::default();
        for (width, height) in [(32, 24), (8, 6), (32, 24)] {
            let found = references.at(&file, width, height).unwrap();
            assert_eq!(found, &RgbImage::from_pixel(width, height, Rgb([10, 20, 30])));
        }
    }
}

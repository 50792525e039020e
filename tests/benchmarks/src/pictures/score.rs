//! How much a picture looks like its reference: SSIMULACRA2, 100 for the same, 90 for no difference to the eye,
//! 70 for high quality, 50 for medium. <https://github.com/cloudinary/ssimulacra2>

use image::RgbImage;
use ssimulacra2::{ColorPrimaries, LinearRgb, Rgb, TransferCharacteristic, compute_frame_ssimulacra2};

use crate::Failure;

/// Compares two pictures of the same size, sRGB.
pub fn score(reference: &RgbImage, picture: &RgbImage) -> Result<f64, Failure> {
    Ok(compute_frame_ssimulacra2(linear(reference)?, linear(picture)?)?)
}

fn linear(picture: &RgbImage) -> Result<LinearRgb, Failure> {
    let pixels = picture.pixels().map(|pixel| pixel.0.map(|sample| f32::from(sample) / 255.0)).collect();
    let (width, height) = (usize::try_from(picture.width())?, usize::try_from(picture.height())?);
    let (transfer, primaries) = (TransferCharacteristic::SRGB, ColorPrimaries::BT709);
    Ok(LinearRgb::try_from(Rgb::new(pixels, width, height, transfer, primaries)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_picture_scores_100_and_a_coarser_one_less() {
        let picture =
            RgbImage::from_fn(64, 64, |x, y| image::Rgb([x, y, x ^ y].map(|v| u8::try_from(v * 4).unwrap())));
        let coarse = |step: u8| {
            let mut coarse = picture.clone();
            coarse.iter_mut().for_each(|sample| *sample = *sample / step * step);
            coarse
        };
        let scores = [1, 8, 32].map(|step| score(&picture, &coarse(step)).unwrap());
        assert!((scores[0] - 100.0).abs() < 1e-6, "{scores:?}");
        assert!(scores[0] > scores[1] && scores[1] > scores[2], "{scores:?}");
    }
}

//! A picture that is as hard to process as a photograph, made the same on every machine.

use jpeg_encoder::{ColorType, Encoder, EncodingError, SamplingFactor};

/// The sizes in pixels of the features that are laid over each other, and how strong they are.
const OCTAVES: [(u32, f32); 6] = [(640, 90.0), (211, 45.0), (67, 22.0), (23, 11.0), (7, 6.0), (1, 7.0)];
/// What phones write.
const QUALITY: u8 = 90;

/// A JPEG of soft shapes, texture and the noise of a sensor, with the chroma subsampling of phones.
pub fn photograph(width: u16, height: u16) -> Result<Vec<u8>, EncodingError> {
    let mut pixels = Vec::with_capacity(usize::from(width) * usize::from(height) * 3);
    for y in 0..height {
        let sky = 70.0 - 60.0 * f32::from(y) / f32::from(height);
        for x in 0..width {
            let (x, y) = (u32::from(x), u32::from(y));
            let light =
                90.0 + OCTAVES.iter().map(|&(size, strength)| field(x, y, size) * strength).sum::<f32>();
            let tint = field(x, y, 389) * 35.0;
            for channel in [light + tint, light, light + sky - tint] {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
                pixels.push(channel.clamp(0.0, 255.0) as u8);
            }
        }
    }
    let mut jpeg = Vec::new();
    let mut encoder = Encoder::new(&mut jpeg, QUALITY);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    encoder.encode(&pixels, width, height, ColorType::Rgb)?;
    Ok(jpeg)
}

/// Value noise: random values from -1 to 1 at the corners of a grid, and something smooth between them.
fn field(x: u32, y: u32, size: u32) -> f32 {
    let corner = |dx: u32, dy: u32| noise(x / size + dx, y / size + dy, size);
    if size == 1 {
        return corner(0, 0);
    }
    let smooth = |offset: u32| {
        #[expect(clippy::cast_precision_loss, reason = "less than a thousand")]
        let t = offset as f32 / size as f32;
        t * t * (3.0 - 2.0 * t)
    };
    let (right, down) = (smooth(x % size), smooth(y % size));
    let between = |from: f32, to: f32, share: f32| from + (to - from) * share;
    let upper = between(corner(0, 0), corner(1, 0), right);
    let lower = between(corner(0, 1), corner(1, 1), right);
    between(upper, lower, down)
}

/// A number from -1 to 1 that looks random and belongs to a place: the finaliser of `SplitMix64`.
/// <https://prng.di.unimi.it/splitmix64.c>
fn noise(x: u32, y: u32, seed: u32) -> f32 {
    let place = (u64::from(x) << 40) ^ (u64::from(y) << 16) ^ u64::from(seed);
    let mut z = place.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let top = u16::try_from((z ^ (z >> 31)) >> 48).unwrap_or(0);
    f32::from(top) / 32_767.5 - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_photograph_is_the_same_every_time_and_has_detail() {
        let picture = photograph(320, 240).unwrap();
        assert_eq!(picture, photograph(320, 240).unwrap());
        // A flat picture of this size has about 3 KB; photographs have around 3 bits a pixel.
        assert!((15_000..60_000).contains(&picture.len()), "{}", picture.len());
    }
}

//! What is written is read by another decoder, and by ours.

use proptest::prelude::*;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;

use super::*;
use crate::raster::Pixels;

fn budget() -> Budget {
    Budget { memory: 64 << 20, ..Budget::for_tests() }
}

/// Slopes with waves and a little noise on them.
fn picture(width: u32, height: u32, channels: usize) -> Vec<u8> {
    let mut seed = 7_u32;
    let mut data = Vec::new();
    for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (x, y) = (f64::from(x), f64::from(y));
        let noise = f64::from(seed >> 27) - 16.0;
        let level = 128.0 + (x * 0.31).sin() * 50.0 + (y * 0.17 + x * 0.05).cos() * 45.0 + noise;
        let colours = [level, 255.0 - level * 0.7, 100.0 + x - y];
        data.extend(colours[..channels].iter().map(|level| level.clamp(0.0, 255.0).round() as u8));
    }
    data
}

fn decoded(file: &[u8], colours: ColorSpace) -> Vec<u8> {
    let options = DecoderOptions::new_safe().set_strict_mode(true).jpeg_set_out_colorspace(colours);
    zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(file), options).decode().unwrap()
}

fn mean_difference(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len());
    let sum: u64 = a.iter().zip(b).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    sum as f64 / a.len() as f64
}

fn gray(levels: &[u8], size: (usize, usize), quality: u8) -> Vec<u8> {
    file(size, &[Samples { data: levels, size, factor: 1 }], quality, &budget()).unwrap()
}

/// As many bytes as `jpeg-encoder` needs for the same coefficients in one scan with tables of its own.
fn sequential(levels: &[u8], (width, height): (u32, u32), quality: u8) -> usize {
    let mut file = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut file, quality);
    encoder.set_optimized_huffman_tables(true);
    encoder.encode(levels, width as u16, height as u16, jpeg_encoder::ColorType::Luma).unwrap();
    file.len()
}

#[test]
fn gray_of_every_quality_is_read_by_another_decoder() {
    let (width, height) = (97, 61);
    let levels = picture(width, height, 1);
    let mut before = f64::MAX;
    for quality in [1, 10, 30, 50, 70, 80, 90, 95, 100] {
        let file = gray(&levels, (width as usize, height as usize), quality);
        let off = mean_difference(&decoded(&file, ColorSpace::Luma), &levels);
        assert!(off < before + 0.01, "{quality}: {off} after {before}");
        before = off;
    }
    assert!(before < 0.4, "{before}");
}

#[test]
fn colours_of_every_size_are_read_by_another_decoder() {
    for (width, height) in [(1, 1), (7, 5), (8, 8), (16, 16), (17, 9), (33, 31), (100, 3), (3, 100), (65, 64)]
    {
        let data = picture(width, height, 3);
        let raster = Raster { width, height, pixels: Pixels::Rgb, data };
        let size = (width as usize, height as usize);
        let [luma, blue, red] = planes(&raster, &budget()).unwrap();
        for (quality, factor) in [(60, 1), (97, 1), (60, 2), (97, 2)] {
            let [blue, red] = [&blue, &red]
                .map(|plane| if factor == 2 { half(plane, size, &budget()).unwrap() } else { plane.clone() });
            let chroma_size = (size.0.div_ceil(factor), size.1.div_ceil(factor));
            let samples = [
                Samples { data: &luma, size, factor },
                Samples { data: &blue, size: chroma_size, factor: 1 },
                Samples { data: &red, size: chroma_size, factor: 1 },
            ];
            let file = file(size, &samples, quality, &budget()).unwrap();
            let found = decoded(&file, ColorSpace::YCbCr);
            let of = |channel| found.chunks(3).map(|pixel: &[u8]| pixel[channel]).collect::<Vec<u8>>();
            let most = 9.0 - f64::from(quality) / 12.0;
            let off = mean_difference(&of(0), &luma);
            assert!(off < most, "{width}x{height} {quality} {factor}: {off}");
            if factor == 1 {
                let off = mean_difference(&of(1), &blue).max(mean_difference(&of(2), &red));
                assert!(off < 2.0 * most, "chroma of {width}x{height} {quality}: {off}");
            }
        }
    }
}

#[test]
fn colours_are_those_of_jfif() {
    for (colour, expected) in [
        ([0, 0, 0], [0, 128, 128]),
        ([255, 255, 255], [255, 128, 128]),
        ([255, 0, 0], [76, 85, 255]),
        ([0, 255, 0], [150, 44, 21]),
        ([0, 0, 255], [29, 255, 107]),
    ] {
        let raster = Raster { width: 1, height: 1, pixels: Pixels::Rgb, data: colour.to_vec() };
        assert_eq!(planes(&raster, &budget()).unwrap().map(|plane| plane[0]), expected);
    }
}

#[test]
fn halved_chroma_is_the_mean_of_what_is_there() {
    assert_eq!(half(&[10, 20, 30, 40, 50, 60, 70, 80, 90], (3, 3), &budget()).unwrap(), [30, 45, 75, 90]);
    assert_eq!(half(&[7], (1, 1), &budget()).unwrap(), [7]);
}

#[test]
fn runs_of_blocks_as_long_as_they_can_be_are_written() {
    // 40,000 blocks, more than fit into one run, and something at the end.
    let (width, height) = (1600, 1600);
    let mut levels = vec![92_u8; width * height];
    for (at, level) in levels.iter_mut().rev().take(5).enumerate() {
        *level = 20 + 50 * at as u8;
    }
    let file = gray(&levels, (width, height), 90);
    // The first coefficients take two bits each.
    assert!(file.len() < 10_800, "{}", file.len());
    assert!(mean_difference(&decoded(&file, ColorSpace::Luma), &levels) < 0.01);
}

#[test]
fn scans_by_bits_are_smaller_than_one_scan() {
    let (width, height) = (320, 240);
    let levels = picture(width, height, 1);
    for quality in [50, 80, 95] {
        let (found, at_once) =
            (gray(&levels, (320, 240), quality).len(), sequential(&levels, (width, height), quality));
        assert!(found * 100 < at_once * 98, "{quality}: {found} and {at_once}");
    }
}

#[test]
fn memory_is_kept() {
    let data = picture(97, 61, 1);
    let encode = |memory| {
        let samples = [Samples { data: &data, size: (97, 61), factor: 1 }];
        file((97, 61), &samples, 80, &Budget { memory, ..budget() })
    };
    let needed = 13 * 8 * (128 + 24) + 97 * 61;
    assert!(encode(needed).is_ok());
    assert_eq!(encode(needed - 1).unwrap_err().code(), "too-large");
}

#[test]
fn sizes_that_jpeg_cannot_say_are_refused() {
    for size in [(65_536, 1), (1, 65_536), (0, 1), (1, 0)] {
        let data = vec![0; size.0 * size.1];
        assert!(file(size, &[Samples { data: &data, size, factor: 1 }], 80, &budget()).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    /// Noise has coefficients everywhere, and long ways between those that are new.
    #[test]
    fn any_samples_come_back(
        (width, height) in (1_usize..40, 1_usize..40), quality in 1_u8..=100, seed in any::<u32>(),
        sparse in 0_u32..3,
    ) {
        let mut random = seed | 1;
        let mut next = || {
            random ^= random << 13;
            random ^= random >> 17;
            random ^= random << 5;
            if sparse > 0 && !random.is_multiple_of(16 * sparse) { 128 } else { (random >> 8) as u8 }
        };
        let levels: Vec<u8> = (0..width * height).map(|_| next()).collect();
        let found = decoded(&gray(&levels, (width, height), quality), ColorSpace::Luma);
        let steps = transform::tables(quality)[0];
        // Half a step of each coefficient, and the rounding of samples.
        let most = steps.iter().map(|&step| f64::from(step) / 2.0).map(|off| off * off).sum::<f64>().sqrt() + 1.0;
        let blocks = width.div_ceil(8) * height.div_ceil(8) * 64;
        let off: f64 = found.iter().zip(&levels).map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2)).sum();
        prop_assert!((off / blocks as f64).sqrt() <= most, "{} of {most}", (off / blocks as f64).sqrt());
    }
}

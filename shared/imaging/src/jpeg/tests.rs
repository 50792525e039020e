//! Against another decoder, against its own full size, and against what is no JPEG any more.

#![allow(clippy::cast_sign_loss, reason = "levels are not negative")]

use jpeg_encoder::{ColorType, Encoder, SamplingFactor as Sampling};
use proptest::prelude::*;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;

use super::*;
use crate::container::jpeg::whole;

mod firsts;
mod progression;

const PHOTOGRAPH: &[u8] = include_bytes!("../../tests/fixtures/gps/DSCN0021.jpg");
const SAMPLINGS: [Sampling; 8] = [
    Sampling::F_1_1,
    Sampling::F_2_1,
    Sampling::F_1_2,
    Sampling::F_2_2,
    Sampling::F_4_1,
    Sampling::F_4_2,
    Sampling::F_1_4,
    Sampling::F_2_4,
];
const WHOLE: (u32, u32) = (u32::MAX, u32::MAX);

fn budget() -> Budget {
    Budget { memory: 64 << 20, ..Budget::for_tests() }
}

/// Slopes with waves on them, which fill blocks with coefficients. The colours are smooth.
fn picture(width: u16, height: u16) -> Vec<u8> {
    let level = |value: f32| (value.clamp(0.0, 255.0)) as u8;
    let pixel = |x: f32, y: f32| {
        let wave = (x * 0.9).sin() * 40.0 + (y * 0.6 + x * 0.2).cos() * 40.0;
        [level(90.0 + wave + x), level(120.0 + wave - y / 2.0), level(140.0 + wave + y)]
    };
    (0..height).flat_map(|y| (0..width).flat_map(move |x| pixel(f32::from(x), f32::from(y)))).collect()
}

fn file(width: u16, height: u16, sampling: Sampling, restart: u16, quality: u8) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, quality);
    encoder.set_sampling_factor(sampling);
    encoder.set_restart_interval(restart);
    encoder.encode(&picture(width, height), width, height, ColorType::Rgb).unwrap();
    file
}

fn try_planes(file: &[u8], luma: (u32, u32), chroma: (u32, u32)) -> Result<Planes, Reject> {
    let header = crate::probe(file)?;
    let whole = whole(file)?;
    assert!(is_ours(&whole));
    decode(file, &whole, &header, luma, chroma, &budget())
}

fn planes(file: &[u8], luma: (u32, u32), chroma: (u32, u32)) -> Planes {
    try_planes(file, luma, chroma).unwrap()
}

/// YCbCr pixels of the general codec, which enlarges chroma.
fn other_decoder(file: &[u8]) -> Vec<[u8; 3]> {
    let options = DecoderOptions::new_safe().jpeg_set_out_colorspace(ColorSpace::YCbCr);
    let mut decoder = zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(file), options);
    decoder.decode().unwrap().as_chunks().0.to_vec()
}

/// Mean and largest difference.
fn difference(pairs: impl Iterator<Item = (u8, u8)>) -> (f64, u8) {
    let (mut sum, mut count, mut largest) = (0_u64, 0_u64, 0);
    for (a, b) in pairs {
        let off = a.abs_diff(b);
        (sum, count, largest) = (sum + u64::from(off), count + 1, off.max(largest));
    }
    (sum as f64 / count as f64, largest)
}

#[test]
fn full_size_is_what_another_decoder_sees() {
    let sizes = [(16, 16), (33, 47), (70, 50), (129, 65)];
    // What the other decoder reads without fault.
    for sampling in [Sampling::F_1_1, Sampling::F_2_1, Sampling::F_1_2, Sampling::F_2_2] {
        for ((width, height), restart) in sizes.into_iter().flat_map(|size| [(size, 0), (size, 1), (size, 3)])
        {
            let file = file(width, height, sampling, restart, 90);
            let found = planes(&file, WHOLE, WHOLE);
            let expected = other_decoder(&file);
            let (width, height) = (usize::from(width), usize::from(height));
            let at = |plane: &Plane, x: usize, y: usize| plane.data[y * plane.width as usize + x];
            let pixels = || (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
            let luma = pixels().map(|(x, y)| (at(&found.luma, x, y), expected[y * width + x][0]));
            let (mean, largest) = difference(luma);
            assert!(mean < 0.1 && largest <= 1, "luma {sampling:?} {width}x{height}: {mean} {largest}");
            if sampling == Sampling::F_1_1 {
                for (channel, plane) in found.chroma.as_ref().unwrap().iter().enumerate() {
                    let pairs =
                        pixels().map(|(x, y)| (at(plane, x, y), expected[y * width + x][1 + channel]));
                    let (mean, largest) = difference(pairs);
                    assert!(mean < 0.1 && largest <= 1, "chroma {width}x{height}: {mean} {largest}");
                }
            }
        }
    }
}

#[test]
fn every_sampling_every_small_size_and_every_restart_interval_is_the_same_picture() {
    for sampling in SAMPLINGS {
        for size in (1..=17).flat_map(|side| [(side, 17), (17, side), (side, side), (side, 1)]) {
            let (width, height) = size;
            let rgb = |restart| {
                let size = (u32::from(width), u32::from(height));
                let planes = planes(&file(width, height, sampling, restart, 100), size, size);
                let planes = planes.resize(size, crate::planes::Chroma::Full, &budget()).unwrap();
                planes.into_raster(&budget()).unwrap().data
            };
            let plain = rgb(0);
            for restart in [1, 2, 5] {
                assert_eq!(rgb(restart), plain, "{sampling:?} {width}x{height} restart {restart}");
            }
            let (mean, _) = difference(plain.into_iter().zip(picture(width, height)));
            assert!(mean < 3.0, "{sampling:?} {width}x{height}: {mean}");
        }
    }
}

fn signal_to_noise(found: &Plane, expected: &Plane) -> f64 {
    assert_eq!((found.width, found.height), (expected.width, expected.height));
    let pairs = found.data.iter().zip(&expected.data);
    let errors: f64 = pairs.map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum();
    10.0 * (255.0_f64.powi(2) * found.data.len() as f64 / errors).log10()
}

#[test]
fn reduced_planes_look_like_the_whole_picture_made_smaller() {
    let header = crate::probe(PHOTOGRAPH).unwrap();
    let (width, height) = header.stored_size();
    let full = planes(PHOTOGRAPH, WHOLE, WHOLE);
    for (factor, least) in [(8, 32.0), (4, 32.0), (2, 36.0)] {
        let size = (width / factor, height / factor);
        let reduced = planes(PHOTOGRAPH, size, size);
        assert_eq!(reduced.luma.width, full.luma.width / factor);
        let chroma = crate::planes::Chroma::Full;
        let reduced = reduced.resize(size, chroma, &budget()).unwrap();
        let expected = full.clone().resize(size, chroma, &budget()).unwrap();
        let quality = signal_to_noise(&reduced.luma, &expected.luma);
        assert!(quality > least, "1/{factor}: {quality} dB");
        for (found, expected) in reduced.chroma.iter().flatten().zip(expected.chroma.iter().flatten()) {
            let quality = signal_to_noise(found, expected);
            assert!(quality > 40.0, "chroma at 1/{factor}: {quality} dB");
        }
    }
}

#[test]
fn components_in_scans_of_their_own_are_read() {
    // 4:1:1 is written so by the encoder; 4:2:0 it interleaves.
    let separate = file(75, 53, Sampling::F_4_1, 3, 90);
    assert_eq!(whole(&separate).unwrap().process, Process::ScanByScan);
    let planes = planes(&separate, WHOLE, WHOLE);
    let expected: Vec<u8> = picture(75, 53)
        .as_chunks()
        .0
        .iter()
        .map(|&[r, g, b]| (0.299 * f32::from(r) + 0.587 * f32::from(g) + 0.114 * f32::from(b)).round() as u8)
        .collect();
    let luma = (0..53_usize).flat_map(|y| (0..75).map(move |x| (x, y)));
    let pairs =
        luma.map(|(x, y)| (planes.luma.data[y * planes.luma.width as usize + x], expected[y * 75 + x]));
    let (mean, _) = difference(pairs);
    assert!(mean < 3.0, "{mean}");
}

#[test]
fn a_file_cut_anywhere_is_an_error() {
    for restart in [0, 2] {
        for sampling in [Sampling::F_1_1, Sampling::F_2_2, Sampling::F_4_1] {
            let file = file(40, 30, sampling, restart, 80);
            for wanted in [WHOLE, (20, 15), (10, 8), (5, 4)] {
                planes(&file, wanted, wanted);
                let end = file.len() - 2;
                for cut in 0..end {
                    assert!(try_planes(&file[..cut], wanted, wanted).is_err(), "cut at {cut} of {end}");
                    // Half a stuffed byte would take the end for data.
                    let glued = [&file[..cut], &[0xff, 0xd9]].concat();
                    let outcome =
                        crate::probe(&glued).and_then(|_| whole(&glued).map(|whole| is_ours(&whole)));
                    if outcome == Ok(true) {
                        // The last byte may be nothing but padding.
                        let decoded = try_planes(&glued, wanted, wanted).is_ok();
                        assert!(!decoded || cut + 1 >= end, "{wanted:?} glued at {cut} of {end}");
                    }
                }
            }
        }
    }
}

#[test]
fn restart_markers_out_of_order_are_an_error() {
    let mut file = file(64, 64, Sampling::F_1_1, 2, 80);
    let marker = file.windows(2).position(|pair| pair == [0xff, 0xd1]).unwrap();
    file[marker + 1] = 0xd2;
    assert!(try_planes(&file, WHOLE, WHOLE).is_err());
}

fn any_sampling() -> impl Strategy<Value = Sampling> {
    (0..SAMPLINGS.len()).prop_map(|index| SAMPLINGS[index])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn planes_are_as_large_as_wanted_or_whole(
        (width, height) in (1_u16..90, 1_u16..90), sampling in any_sampling(), restart in 0_u16..9,
        parts in (1_u32..=90, 1_u32..=90),
    ) {
        let file = file(width, height, sampling, restart, 70);
        let wanted = (parts.0.min(width.into()), parts.1.min(height.into()));
        let planes = planes(&file, wanted, wanted);
        prop_assert!(planes.luma.width >= wanted.0 && planes.luma.height >= wanted.1);
        let whole = planes.resize(wanted, crate::planes::Chroma::Half, &budget()).unwrap();
        prop_assert_eq!(whole.size(), wanted);
        for plane in whole.chroma.unwrap() {
            prop_assert_eq!((plane.width, plane.height), (wanted.0.div_ceil(2), wanted.1.div_ceil(2)));
        }
    }

    #[test]
    fn damage_is_an_error_or_a_picture_and_always_the_same(
        sampling in any_sampling(), restart in 0_u16..4, scale in 0_usize..4,
        flips in proptest::collection::vec((any::<prop::sample::Index>(), 0_u8..8), 1..6),
    ) {
        let mut file = file(48, 40, sampling, restart, 85);
        for (index, bit) in flips {
            let at = index.index(file.len());
            file[at] ^= 1 << bit;
        }
        let wanted = [(6, 5), (12, 10), (24, 20), WHOLE][scale];
        let decode = || {
            let header = crate::probe(&file).ok()?;
            let whole = whole(&file).ok().filter(is_ours)?;
            let planes = decode(&file, &whole, &header, wanted, wanted, &budget()).ok()?;
            Some((planes.luma.data, planes.chroma.map(|[blue, red]| (blue.data, red.data))))
        };
        prop_assert!(decode() == decode());
    }
}

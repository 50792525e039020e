//! Colours come out as sRGB, whatever they went in as.

use imaging::{Note, OutputFormat};
use moxcms::{ColorProfile, ToneReprCurve};

use crate::made::{
    Pixels, all, budget, chunk, drawing, fixture, from_png, header, ink_jpeg, jpeg, plain, png, png_with,
    process, recipe, segment, with_segments,
};

fn tagged(pixels: &Pixels, profile: &[u8]) -> Vec<u8> {
    png_with(pixels, |info| {
        info.icc_profile = Some(profile.to_vec().into());
    })
}

fn assert_close(found: [u8; 4], expected: [u8; 3], tolerance: u8) {
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.abs_diff(expected) <= tolerance, "{found} for {expected}");
    }
}

#[test]
fn display_p3_becomes_srgb() {
    let profile = ColorProfile::new_display_p3().encode().unwrap();
    // The corners of sRGB as Display P3 has them.
    for (p3, srgb) in [
        ([234, 51, 35, 255], [255, 0, 0]),
        ([117, 251, 76, 255], [0, 255, 0]),
        ([0, 0, 245, 255], [0, 0, 255]),
        ([255, 255, 255, 255], [255, 255, 255]),
        ([128, 128, 128, 255], [128, 128, 128]),
    ] {
        assert_close(all(&tagged(&plain(9, 9, p3), &profile)).at(4, 4), srgb, 4);
    }
    // The same through the segments of a JPEG, out of order.
    let (first, second) = profile.split_at(profile.len() / 2);
    let part = |number: u8, data: &[u8]| segment(0xe2, &[b"ICC_PROFILE\0", &[number, 2][..], data].concat());
    let photograph = jpeg(&plain(16, 16, [234, 51, 35, 255]));
    let file = with_segments(&photograph, &[part(2, second), part(1, first)]);
    assert_close(all(&file).at(8, 8), [255, 0, 0], 5);
    let broken = with_segments(&photograph, &[part(1, first)]);
    assert_close(all(&broken).at(8, 8), [234, 51, 35], 5);
}

#[test]
fn colours_by_number_come_before_the_profile_of_a_png() {
    let numbered = |file: &[u8], numbers| [&file[..33], &chunk(*b"cICP", numbers), &file[33..]].concat();
    let picture = plain(9, 9, [234, 51, 35, 255]);
    let adobe = ColorProfile::new_adobe_rgb().encode().unwrap();
    for file in [png(&picture), tagged(&picture, &adobe)] {
        let display_p3 = numbered(&file, &[12, 13, 0, 1]);
        assert_close(all(&display_p3).at(4, 4), [255, 0, 0], 4);
        // Cleaning keeps what says so.
        let cleaned = imaging::clean(&display_p3, &header(&display_p3), &budget()).unwrap();
        assert_eq!(all(&cleaned.bytes), all(&display_p3));
        assert_eq!(all(&numbered(&file, &[1, 13, 0, 1])), picture);
    }
    let gray = fixture!("pngsuite/basn0g08.png");
    let rendered = process(&numbered(gray, &[12, 13, 0, 1]), &[recipe(32, OutputFormat::Png)]).unwrap();
    assert_eq!(rendered.notes, []);
    assert_eq!(from_png(&rendered.pictures[0].bytes), all(gray));
}

#[test]
fn adobe_rgb_becomes_srgb_and_alpha_stays() {
    let profile = ColorProfile::new_adobe_rgb().encode().unwrap();
    let converted = all(&tagged(&plain(9, 9, [219, 0, 0, 100]), &profile)).at(4, 4);
    assert_close(converted, [255, 0, 0], 3);
    assert_eq!(converted[3], 100);
}

#[test]
fn srgb_by_any_name_is_left_alone() {
    let picture = drawing(64, 64);
    let profile = ColorProfile::new_srgb().encode().unwrap();
    assert_eq!(all(&tagged(&picture, &profile)), picture);
}

#[test]
fn a_broken_profile_is_ignored() {
    let picture = drawing(20, 20);
    let mut whole = ColorProfile::new_display_p3().encode().unwrap();
    for end in (0..whole.len()).step_by(37) {
        let pixels = all(&tagged(&picture, &whole[..end.max(1)]));
        assert_eq!((pixels.width, pixels.height), (20, 20));
    }
    assert_eq!(all(&tagged(&picture, b"no profile at all")), picture);
    assert_eq!(all(&tagged(&picture, &[0xff; 4096])), picture);
    // A tag count of four billion.
    whole[128..132].fill(0xff);
    assert_eq!(all(&tagged(&picture, &whole)), picture);
}

#[test]
fn a_profile_for_other_pixels_is_ignored() {
    let picture = drawing(20, 20);
    let gray = ColorProfile::new_gray_with_gamma(1.0).encode().unwrap();
    assert_eq!(all(&tagged(&picture, &gray)), picture);
}

#[test]
fn gray_profiles_are_applied() {
    let mut linear = ColorProfile::new_gray_with_gamma(1.0);
    linear.gray_trc = Some(ToneReprCurve::Parametric(vec![1.0]));
    let profile = linear.encode().unwrap();
    for (alpha, colour) in [(false, png::ColorType::Grayscale), (true, png::ColorType::GrayscaleAlpha)] {
        let mut file = Vec::new();
        let mut info = png::Info::with_size(4, 1);
        info.color_type = colour;
        info.bit_depth = png::BitDepth::Eight;
        info.icc_profile = Some(profile.clone().into());
        let encoder = png::Encoder::with_info(&mut file, info).unwrap();
        let mut writer = encoder.write_header().unwrap();
        let data: &[u8] = if alpha { &[55, 77, 55, 77, 55, 77, 55, 77] } else { &[55; 4] };
        writer.write_image_data(data).unwrap();
        writer.finish().unwrap();
        // 55/255 of the light is half of the way to white for the eye.
        let pixel = all(&file).at(1, 0);
        assert_close(pixel, [128, 128, 128], 2);
        assert_eq!(pixel[3], if alpha { 77 } else { 255 });
    }
}

const COLOURS: [[u8; 3]; 8] = [
    [0, 0, 0],
    [255, 255, 255],
    [128, 128, 128],
    [200, 40, 60],
    [30, 180, 90],
    [20, 60, 230],
    [250, 220, 40],
    [90, 10, 120],
];

/// Whether these colours become what lcms makes of them with the perceptual intent.
fn assert_becomes(profile: &[u8], gray: u8, colours: [[u8; 3]; 5]) {
    let expected = [[0; 3], [255; 3], [gray; 3]].into_iter().chain(colours);
    for (colour, expected) in COLOURS.into_iter().zip(expected) {
        for alpha in [255, 100] {
            let [r, g, b] = colour;
            let found = all(&tagged(&plain(3, 3, [r, g, b, alpha]), profile)).at(1, 1);
            let close = found.iter().zip(expected).all(|(found, expected)| found.abs_diff(expected) <= 3);
            assert!(close && found[3] == alpha, "{colour:?}: {found:?}, not {expected:?}");
        }
    }
}

#[test]
fn rgb_of_screens_becomes_what_it_is_elsewhere() {
    let p3 = ColorProfile::new_display_p3().encode().unwrap();
    assert_becomes(&p3, 128, [[218, 0, 54], [0, 183, 78], [0, 61, 239], [255, 219, 0], [99, 0, 125]]);
    let adobe = ColorProfile::new_adobe_rgb().encode().unwrap();
    assert_becomes(&adobe, 129, [[233, 35, 58], [0, 181, 83], [0, 57, 235], [255, 221, 0], [105, 3, 123]]);
    let prophoto = ColorProfile::new_pro_photo_rgb().encode().unwrap();
    assert_becomes(&prophoto, 146, [[255, 0, 77], [0, 211, 87], [0, 83, 250], [255, 221, 0], [132, 0, 148]]);
    let bt2020 = ColorProfile::new_bt2020().encode().unwrap();
    assert_becomes(&bt2020, 140, [[254, 0, 72], [0, 198, 91], [0, 76, 244], [255, 221, 0], [126, 0, 139]]);
    let generic = fixture!("profiles/generic-rgb.icc");
    assert_becomes(
        generic,
        146,
        [[212, 63, 76], [21, 190, 109], [27, 87, 235], [251, 224, 50], [111, 31, 139]],
    );
}

#[test]
fn rgb_by_tables_becomes_what_it_is_elsewhere() {
    let version_2 = fixture!("profiles/rgb-lut16-v2.icc");
    assert_becomes(
        version_2,
        146,
        [[229, 28, 71], [0, 196, 99], [15, 78, 244], [254, 226, 0], [120, 5, 144]],
    );
    let version_4 = fixture!("profiles/rgb-mab-v4.icc");
    assert_becomes(
        version_4,
        146,
        [[229, 42, 72], [0, 196, 98], [26, 79, 243], [254, 225, 0], [120, 6, 143]],
    );
}

fn gray_png(levels: &[u8], profile: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut info = png::Info::with_size(u32::try_from(levels.len()).unwrap(), 1);
    info.color_type = png::ColorType::Grayscale;
    info.bit_depth = png::BitDepth::Eight;
    info.icc_profile = Some(profile.to_vec().into());
    let mut writer = png::Encoder::with_info(&mut file, info).unwrap().write_header().unwrap();
    writer.write_image_data(levels).unwrap();
    writer.finish().unwrap();
    file
}

#[test]
fn gray_becomes_what_it_is_elsewhere() {
    for (profile, expected) in [
        (fixture!("profiles/gray-dot-gain.icc"), [0, 39, 89, 149, 211, 255]),
        (fixture!("profiles/gray-lightness.icc"), [0, 23, 60, 119, 194, 255]),
    ] {
        let made = all(&gray_png(&[0, 20, 64, 128, 200, 255], profile));
        for (x, expected) in (0..).zip(expected) {
            assert_close(made.at(x, 0), [expected; 3], 1);
        }
    }
}

const INK: [[u8; 4]; 9] = [
    [0, 0, 0, 0],
    [255, 0, 0, 0],
    [0, 255, 0, 0],
    [0, 0, 255, 0],
    [0, 0, 0, 255],
    [255, 255, 255, 255],
    [0, 128, 255, 64],
    [200, 120, 30, 40],
    [60, 50, 40, 10],
];

/// Whether ink becomes what lcms makes of it with the perceptual intent.
fn assert_ink_becomes(profile: Option<&[u8]>, expected: [[u8; 3]; 9]) {
    for ycck in [false, true] {
        for (ink, expected) in INK.into_iter().zip(expected) {
            let mut file = ink_jpeg(24, 24, ink, ycck);
            if let Some(profile) = profile {
                let part = segment(0xe2, &[b"ICC_PROFILE\0\x01\x01", profile].concat());
                file = with_segments(&file, &[part]);
            }
            let found = all(&file).at(12, 12);
            // The JPEG itself is off by one or two, which at the dark end the profile makes four.
            let close = found.iter().zip(expected).all(|(found, expected)| found.abs_diff(expected) <= 5);
            assert!(close, "{ink:?} ycck {ycck}: {found:?}, not {expected:?}");
        }
    }
}

#[test]
fn ink_becomes_what_it_is_elsewhere() {
    let version_2 = [
        [255, 255, 255],
        [62, 148, 207],
        [187, 61, 123],
        [232, 218, 68],
        [43, 43, 43],
        [0, 0, 0],
        [171, 125, 49],
        [95, 109, 146],
        [198, 192, 195],
    ];
    assert_ink_becomes(Some(fixture!("profiles/ink-lut8-v2.icc")), version_2);
    let version_4 = [
        [255, 255, 255],
        [61, 148, 206],
        [187, 61, 123],
        [231, 218, 67],
        [44, 44, 44],
        [4, 4, 3],
        [170, 124, 48],
        [94, 109, 145],
        [199, 192, 197],
    ];
    assert_ink_becomes(Some(fixture!("profiles/ink-mab-v4.icc")), version_4);
}

#[test]
fn ink_without_a_profile_becomes_what_libvips_makes_of_it() {
    let expected = [
        [255, 255, 255],
        [0, 153, 227],
        [234, 0, 128],
        [255, 240, 0],
        [20, 5, 0],
        [0, 0, 0],
        [188, 108, 0],
        [43, 97, 141],
        [179, 175, 182],
    ];
    assert_ink_becomes(None, expected);
    assert_ink_becomes(Some(b"no profile"), expected);
}

#[test]
fn a_profile_that_was_ignored_is_told() {
    let notes = |file: &[u8]| process(file, &[recipe(10, OutputFormat::Webp)]).unwrap().notes;
    let picture = drawing(20, 20);
    let gray = ColorProfile::new_gray_with_gamma(2.2).encode().unwrap();
    let p3 = ColorProfile::new_display_p3().encode().unwrap();
    let mut black = ColorProfile::new_srgb();
    black.red_colorant = moxcms::Xyzd::default();
    black.green_colorant = moxcms::Xyzd::default();
    black.blue_colorant = moxcms::Xyzd::default();
    let black = black.encode().unwrap();
    for wrong in [&gray[..], b"no profile at all", &p3[..200], fixture!("profiles/ink-lut8-v2.icc"), &black] {
        assert_eq!(notes(&tagged(&picture, wrong)), [Note::ProfileIgnored], "{} bytes", wrong.len());
        let part = segment(0xe2, &[b"ICC_PROFILE\0\x01\x01", wrong].concat());
        let photograph = with_segments(&jpeg(&picture), &[part]);
        assert_eq!(notes(&photograph), [Note::ProfileIgnored]);
        assert_eq!(all(&photograph), all(&jpeg(&picture)));
    }
    assert_eq!(notes(&tagged(&picture, &p3)), []);
    assert_eq!(notes(&png(&picture)), []);
}

#[test]
fn tables_that_are_not_what_they_say_are_ignored_without_a_panic() {
    for profile in [
        fixture!("profiles/rgb-lut16-v2.icc"),
        fixture!("profiles/rgb-mab-v4.icc"),
        fixture!("profiles/gray-dot-gain.icc"),
    ] {
        // Headers, counts, sizes and offsets are all in the first bytes and around the beginning of a table.
        let places = (0..260).chain(profile.len().saturating_sub(200)..profile.len());
        for (place, value) in places.flat_map(|place| [0x00, 0x01, 0x7f, 0xff].map(|value| (place, value))) {
            let mut broken = profile.to_vec();
            if let Some(byte) = broken.get_mut(place) {
                *byte = value;
            }
            let small = if profile.len() < 500 {
                gray_png(&[9, 99], &broken)
            } else {
                tagged(&plain(2, 1, [9, 99, 200, 255]), &broken)
            };
            assert_eq!(all(&small).width, 2);
        }
    }
}

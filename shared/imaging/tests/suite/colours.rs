//! Colours come out as sRGB, whatever they went in as.

use moxcms::{ColorProfile, ToneReprCurve};

use crate::made::{Pixels, all, drawing, ink_jpeg, jpeg, plain, png_with, segment, with_segments};

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

#[test]
fn ink_without_a_profile_takes_light_away() {
    for ycck in [false, true] {
        for (ink, srgb) in [
            ([0, 0, 0, 0], [255, 255, 255]),
            ([255, 0, 0, 0], [0, 255, 255]),
            ([0, 255, 0, 0], [255, 0, 255]),
            ([0, 0, 255, 0], [255, 255, 0]),
            ([0, 0, 0, 255], [0, 0, 0]),
            ([0, 128, 255, 64], [191, 95, 0]),
        ] {
            let pixel = all(&ink_jpeg(24, 24, ink, ycck)).at(12, 12);
            for (found, expected) in pixel.iter().zip(srgb) {
                let expected: u8 = expected;
                assert!(found.abs_diff(expected) <= 4, "{ink:?} ycck {ycck}: {pixel:?}");
            }
        }
    }
}

//! JPEG to JPEG and WebP, which goes without RGB, against the ways that go through it.

use imaging::{Encoding, OutputFormat, Recipe};
use jpeg_encoder::SamplingFactor as Sampling;
use moxcms::ColorProfile;

use crate::made::{
    Pixels, all, drawing, exif_orientation, fixture, gray_jpeg, header, jpeg, jpeg_with, look, one, plain,
    process, progressive, recipe, segment, with_segments,
};

/// Red, green, blue and yellow quarters.
fn quarters(width: u32, height: u32) -> Pixels {
    const COLOURS: [[u8; 4]; 4] =
        [[220, 30, 30, 255], [30, 180, 40, 255], [30, 40, 200, 255], [230, 220, 40, 255]];
    let mut picture = plain(width, height, [0; 4]);
    for (at, pixel) in (0..).zip(&mut picture.rgba) {
        let (x, y) = (at % width, at / width);
        *pixel = COLOURS[usize::from(x >= width / 2) + 2 * usize::from(y >= height / 2)];
    }
    picture
}

#[test]
fn colours_stay_what_they_are() {
    let picture = quarters(320, 240);
    for sampling in
        [Sampling::F_1_1, Sampling::F_2_1, Sampling::F_1_2, Sampling::F_2_2, Sampling::F_4_1, Sampling::F_1_4]
    {
        let file = jpeg_with(&picture, |encoder| encoder.set_sampling_factor(sampling));
        for format in [OutputFormat::Webp, OutputFormat::Jpeg] {
            for width in [320, 161, 80, 37] {
                // At less, what the encoders drop near the hard borders is more than what is looked for.
                let recipe = Recipe::of_width(width, Encoding { format, quality: 100, lossless: false });
                let made = all(&process(&file, &[recipe]).unwrap().pictures[0].bytes);
                for (x, y) in [(1, 1), (3, 1), (1, 3), (3, 3)] {
                    let expected = picture.at(x * 80, y * 60);
                    let found = made.at(x * made.width / 4, y * made.height / 4);
                    for (found, expected) in found.iter().zip(expected) {
                        assert!(
                            found.abs_diff(expected) <= 8,
                            "{sampling:?} {format:?} {width}: {found} for {expected}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn through_planes_or_through_rgb_it_is_one_picture() {
    for file in [fixture!("gps/DSCN0021.jpg").to_vec(), jpeg(&drawing(403, 301)), jpeg(&drawing(64, 64))] {
        for width in [400, 321, 160, 75, 16] {
            let picture = look(&file, width);
            for format in [OutputFormat::Webp, OutputFormat::Jpeg] {
                let straight = all(&one(&file, width, format).bytes);
                // A plan for PNG keeps all of them on the way through RGB.
                let recipes = [recipe(width, format), recipe(width, OutputFormat::Png)];
                let detour = all(&process(&file, &recipes).unwrap().pictures[0].bytes);
                let (a, b) = (straight.difference(&picture), detour.difference(&picture));
                assert!(a < b * 1.1 + 0.5, "{format:?} {width}: {a}, and {b} through RGB");
            }
        }
    }
}

#[test]
fn every_orientation_is_the_same_through_planes_and_through_rgb() {
    for (width, height) in [(120, 80), (121, 83), (41, 97)] {
        let file = jpeg(&drawing(width, height));
        for value in 1..=8 {
            let turned = with_segments(&file, &[exif_orientation(value)]);
            for asked in [width, 33, 20] {
                let expected = look(&turned, asked);
                let found = all(&one(&turned, asked, OutputFormat::Webp).bytes);
                assert_eq!((found.width, found.height), (expected.width, expected.height));
                let difference = found.difference(&expected);
                // The wrong orientation is off by 40 and more.
                assert!(difference < 4.0, "{width}x{height} orientation {value} to {asked}: {difference}");
            }
        }
    }
}

#[test]
fn gray_stays_gray_and_is_stored_as_such() {
    let file = gray_jpeg(&drawing(200, 120));
    let expected = look(&file, 90);
    for format in [OutputFormat::Jpeg, OutputFormat::Webp] {
        let made = one(&file, 90, format);
        assert!(all(&made.bytes).difference(&expected) < 1.5);
    }
    let made = one(&file, 90, OutputFormat::Jpeg).bytes;
    let frame = made.windows(2).position(|pair| pair == [0xff, 0xc2]).unwrap();
    assert_eq!(made[frame + 9], 1, "components");
}

#[test]
fn profiles_are_applied_to_photographs() {
    let profile = ColorProfile::new_display_p3().encode().unwrap();
    let part = segment(0xe2, &[b"ICC_PROFILE\0\x01\x01", &profile[..]].concat());
    let file = with_segments(&jpeg(&plain(64, 48, [234, 51, 35, 255])), &[part]);
    for format in [OutputFormat::Webp, OutputFormat::Jpeg] {
        let [r, g, b, _] = all(&one(&file, 32, format).bytes).at(16, 12);
        assert!(r > 249 && g < 8 && b < 8, "{format:?}: {r} {g} {b}");
    }
}

#[test]
fn sequential_and_progressive_files_of_a_picture_come_out_the_same() {
    let picture = drawing(500, 333);
    let sequential = jpeg_with(&picture, |encoder| encoder.set_sampling_factor(Sampling::F_2_2));
    let progressive = progressive(&picture);
    for width in [500, 249, 60] {
        let recipe =
            Recipe::of_width(width, Encoding { format: OutputFormat::Webp, quality: 95, lossless: false });
        let pixels = |file: &[u8]| all(&process(file, &[recipe]).unwrap().pictures[0].bytes);
        // The coefficients are the same, and so is everything that comes of them.
        let difference = pixels(&sequential).difference(&pixels(&progressive));
        assert!(difference < f64::EPSILON, "{width}: {difference}");
    }
}

#[test]
fn a_photograph_needs_little_more_memory_than_its_renderings() {
    let picture = drawing(1600, 1200);
    for file in [jpeg(&picture), progressive(&picture)] {
        let header = header(&file);
        let plans = [recipe(200, OutputFormat::Jpeg).plan(&header)];
        let mut budget = crate::made::budget();
        // A tenth of what its pixels take.
        budget.memory = 1600 * 1200 * 3 / 10;
        imaging::render(&file, &header, &plans, &budget).unwrap();
    }
}

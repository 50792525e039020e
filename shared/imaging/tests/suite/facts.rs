//! What is said of a picture by looking at it.

use imaging::{Encoding, Facts, OutputFormat, Recipe};

use crate::made::{
    Pixels, all, animated_webp, drawing, fixture, gif, jpeg, look, one, plain, png, process, recipe,
};

fn facts(file: &[u8]) -> Facts {
    process(file, &[recipe(320, OutputFormat::Webp)]).unwrap().facts
}

fn distance(a: &[u8], b: &[u8]) -> u32 {
    (facts(a).perceptual_hash ^ facts(b).perceptual_hash).count_ones()
}

fn doubled(picture: &Pixels) -> Pixels {
    let (width, height) = (2 * picture.width, 2 * picture.height);
    let rgba = (0..height).flat_map(|y| (0..width).map(move |x| picture.at(x / 2, y / 2))).collect();
    Pixels { width, height, rgba }
}

#[test]
fn a_picture_is_known_again_by_its_hash() {
    for photograph in [fixture!("gps/DSCN0021.jpg"), fixture!("orientation/Landscape_0.jpg")] {
        let original = all(photograph);
        for width in [original.width / 4, original.width / 3, original.width / 2] {
            let smaller = png(&look(photograph, width));
            assert!(distance(photograph, &smaller) <= 4, "{width}: {}", distance(photograph, &smaller));
        }
        assert!(distance(photograph, &png(&doubled(&original))) <= 4);
        for format in [OutputFormat::Jpeg, OutputFormat::Webp] {
            let recipe = Recipe::of_width(original.width, Encoding { format, quality: 40, lossless: false });
            let again = &process(photograph, &[recipe]).unwrap().pictures[0].bytes;
            assert!(distance(photograph, again) <= 4, "{format:?}: {}", distance(photograph, again));
        }
        let mut brighter = original;
        brighter
            .rgba
            .iter_mut()
            .flat_map(|pixel| &mut pixel[..3])
            .for_each(|level| *level = level.saturating_add(12));
        assert!(distance(photograph, &png(&brighter)) <= 4);
    }
}

#[test]
fn pictures_that_are_not_alike_have_hashes_that_are_not() {
    let pictures = [
        fixture!("gps/DSCN0021.jpg").to_vec(),
        fixture!("orientation/Landscape_0.jpg").to_vec(),
        fixture!("pngsuite/basn6a08.png").to_vec(),
        png(&drawing(200, 150)),
    ];
    for (index, one) in pictures.iter().enumerate() {
        for other in &pictures[..index] {
            assert!(distance(one, other) >= 20, "{}", distance(one, other));
        }
    }
}

#[test]
fn facts_do_not_depend_on_what_is_rendered() {
    let photograph = fixture!("gps/DSCN0021.jpg");
    let of = |recipes: &[Recipe]| process(photograph, recipes).unwrap().facts;
    let alone = of(&[]);
    for width in [120, 160, 500, 640] {
        for format in [OutputFormat::Png, OutputFormat::Jpeg] {
            let found = of(&[recipe(width, format)]);
            let bits = (found.perceptual_hash ^ alone.perceptual_hash).count_ones();
            assert!(bits <= 4, "{width} {format:?}: {bits}");
            assert_eq!(found.blurhash.len(), alone.blurhash.len());
        }
    }
}

#[test]
fn blurhashes_follow_the_shape() {
    const DIGITS: &[u8] =
        b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~";
    for (size, components) in
        [((90, 60), (4, 3)), ((60, 90), (3, 4)), ((70, 70), (4, 4)), ((300, 60), (6, 2)), ((1, 60), (2, 6))]
    {
        let (width, height) = size;
        let hash = facts(&png(&drawing(width, height))).blurhash;
        let (across, down): (usize, usize) = components;
        assert_eq!(hash.len(), 4 + 2 * across * down, "{size:?}");
        assert_eq!(usize::from(hash.as_bytes()[0]), usize::from(DIGITS[across - 1 + (down - 1) * 9]));
        assert!(hash.bytes().all(|digit| DIGITS.contains(&digit)));
    }
    // The mean colour, in digits 2 to 5, is that of the picture.
    let hash = facts(&png(&plain(50, 50, [200, 100, 50, 255]))).blurhash;
    let value =
        hash.bytes().skip(2).take(4).fold(0_usize, |value, digit| {
            value * 83 + DIGITS.iter().position(|&known| known == digit).unwrap()
        });
    // The library rounds halves twice.
    for (shift, expected) in [(16, 200), (8, 100), (0, 50)] {
        assert!((value >> shift & 0xff).abs_diff(expected) <= 1, "{value:06x}");
    }
}

#[test]
fn a_palette_is_of_what_is_there() {
    let mut picture = plain(100, 80, [250, 250, 250, 255]);
    for (at, pixel) in picture.rgba.iter_mut().enumerate() {
        if at % 100 < 50 {
            *pixel = if at / 100 < 40 { [220, 30, 40, 255] } else { [30, 60, 190, 255] };
        }
    }
    let found = facts(&png(&picture)).palette;
    let shares: Vec<u16> = found.iter().map(|swatch| swatch.permille).collect();
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(shares.is_sorted_by(|a, b| a >= b) && shares.iter().sum::<u16>() <= 1_001, "{shares:?}");
    assert!(found[0].color.iter().all(|&level| level >= 249), "{found:?}");
    assert!(facts(&png(&plain(9, 9, [1, 2, 3, 0]))).palette.is_empty());
}

#[test]
fn animations_are_told_from_stills() {
    let told = |file: &[u8]| {
        let facts = facts(file);
        (facts.animated, facts.frames)
    };
    assert_eq!(told(&jpeg(&drawing(8, 8))), (false, 1));
    assert_eq!(told(&gif((8, 8), &[(0, 0, 8, 8)], false)), (false, 1));
    assert_eq!(told(&gif((8, 8), &[(0, 0, 8, 8), (2, 2, 4, 4), (0, 0, 1, 1)], false)), (true, 3));
    assert_eq!(told(&animated_webp((20, 20), (2, 2))), (true, 2));
}

#[test]
fn the_smallest_pictures_have_facts_too() {
    for (width, height) in [(1, 1), (1, 300), (300, 1), (2, 3)] {
        let found = facts(&png(&plain(width, height, [10, 20, 30, 255])));
        assert_eq!(found.dominant_color, [10, 20, 30]);
        assert_eq!(found.palette.len(), 1);
        assert!(found.opaque);
    }
    let picture = one(&png(&drawing(3, 2)), 2, OutputFormat::Png);
    assert_eq!((picture.width, picture.height), (2, 1));
}

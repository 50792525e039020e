//! What files are like that come out: exact where that is promised, and as small as they can be.

use imaging::{Encoding, Format, OutputFormat, Recipe};

use crate::made::{Pixels, all, fixture, from_png, header, plain, png, process};

fn encoded(file: &[u8], format: OutputFormat, quality: u8, lossless: bool) -> Vec<u8> {
    let recipe = Recipe::new(Encoding { format, quality, lossless });
    process(file, &[recipe]).unwrap().pictures.remove(0).bytes
}

/// As many colours as asked for, the first half of which are transparent to some degree if there is `alpha`.
fn colours(width: u32, height: u32, count: u32, alpha: bool) -> Pixels {
    let byte = |number: u32| u8::try_from(number % 256).unwrap();
    // Without a pattern that a filter could find.
    let scattered = |at: u32| {
        let at = (at ^ at >> 15).wrapping_mul(0x2c1b_3c6d);
        let at = (at ^ at >> 12).wrapping_mul(0x297a_2d39);
        at ^ at >> 15
    };
    let pixel = |at: u32| {
        let number = scattered(at) % count;
        let a = if alpha && number < count / 2 { byte(number * 3) } else { 255 };
        [byte(number * 7), byte(number / 256 * 40), byte(255_u32.wrapping_sub(number)), a]
    };
    Pixels { width, height, rgba: (0..width * height).map(pixel).collect() }
}

/// Colour type and depth (PNG, 11.2.1).
fn kind(file: &[u8]) -> (u8, u8) {
    (file[25], file[24])
}

#[test]
fn png_and_lossless_webp_keep_every_pixel() {
    for (width, height) in [(1, 1), (1, 37), (37, 1), (31, 17), (8, 8), (97, 61)] {
        for count in [1, 2, 3, 4, 5, 16, 17, 200, 256, 257, 3_000] {
            for alpha in [false, true] {
                let picture = colours(width, height, count, alpha);
                let file = png(&picture);
                let again = encoded(&file, OutputFormat::Png, 1, false);
                assert_eq!(from_png(&again), picture, "{width} {height} {count} {alpha}");
                let webp = encoded(&file, OutputFormat::Webp, 1, true);
                assert_eq!(all(&webp), picture, "{width} {height} {count} {alpha}");
            }
        }
    }
}

#[test]
fn png_takes_the_fewest_bits() {
    let bits = |picture: &Pixels| kind(&encoded(&png(picture), OutputFormat::Png, 80, false));
    for (count, depth) in [(2, 1), (3, 2), (4, 2), (5, 4), (16, 4), (17, 8), (256, 8)] {
        for alpha in [false, true] {
            assert_eq!(bits(&colours(160, 160, count, alpha)), (3, depth), "{count} {alpha}");
        }
    }
    assert_eq!(bits(&colours(64, 64, 3_000, false)), (2, 8));
    assert_eq!(bits(&colours(64, 64, 3_000, true)), (6, 8));
    let gray = |step: u8| {
        let mut picture = colours(64, 64, 256 / u32::from(step), false);
        for pixel in &mut picture.rgba {
            let level = (255 - pixel[2]) * step;
            *pixel = [level, level, level, 255];
        }
        picture
    };
    assert_eq!(bits(&gray(255)), (0, 1));
    assert_eq!(bits(&gray(85)), (0, 2));
    assert_eq!(bits(&gray(17)), (0, 4));
    assert_eq!(bits(&gray(1)), (0, 8));
    let slope = (0..300 * 300).map(|at: u32| [u8::try_from(at % 256).unwrap(); 3]);
    let faint = slope
        .zip((0..300 * 300).map(|at: u32| u8::try_from(at / 353).unwrap()))
        .map(|([l, ..], a)| [l, l, l, a]);
    assert_eq!(bits(&Pixels { width: 300, height: 300, rgba: faint.collect() }), (4, 8));
}

#[test]
fn gray_stays_gray() {
    let mut picture = colours(64, 48, 256, false);
    for pixel in &mut picture.rgba {
        *pixel = [pixel[2], pixel[2], pixel[2], 255];
    }
    let file = png(&picture);
    let jpeg = encoded(&file, OutputFormat::Jpeg, 90, false);
    let components =
        |jpeg: &[u8]| jpeg.windows(2).position(|pair| pair == [0xff, 0xc2]).map(|at| jpeg[at + 9]);
    assert_eq!(components(&jpeg), Some(1));
    for format in [OutputFormat::Jpeg, OutputFormat::Avif] {
        let back = all(&encoded(&file, format, 90, false));
        assert!(back.rgba.iter().all(|[r, g, b, _]| r == g && g == b), "{format:?}");
    }
}

/// Red letters, or what looks as sharp as they do.
fn letters(width: u32, height: u32) -> Pixels {
    let pixel = |at: u32| {
        let (x, y) = (at % width, at / width);
        if (x * x + 3 * y) % 11 < 3 && y % 13 > 3 { [210, 0, 20, 255] } else { [250, 250, 255, 255] }
    };
    Pixels { width, height, rgba: (0..width * height).map(pixel).collect() }
}

#[test]
fn chroma_is_halved_where_that_does_not_show() {
    let sampling =
        |jpeg: &[u8]| jpeg.windows(2).position(|pair| pair == [0xff, 0xc2]).map(|at| jpeg[at + 11]);
    let of = |file: &[u8]| encoded(file, OutputFormat::Jpeg, 90, false);
    assert_eq!(sampling(&of(&png(&letters(120, 80)))), Some(0x11));
    assert_eq!(sampling(&of(fixture!("made/drawing.png"))), Some(0x22));
    assert_eq!(sampling(&of(fixture!("gps/DSCN0021.jpg"))), Some(0x22));

    let picture = letters(120, 80);
    let difference = |format| all(&encoded(&png(&picture), format, 95, false)).difference(&picture);
    // Halved, JPEG is off by 13 here.
    assert!(difference(OutputFormat::Jpeg) < 4.0, "{}", difference(OutputFormat::Jpeg));
    assert!(difference(OutputFormat::Avif) < 4.0, "{}", difference(OutputFormat::Avif));
}

#[test]
fn alpha_is_kept_and_what_is_hidden_does_not_show() {
    // A disc of a red that fades, on a green that cannot be seen.
    let pixel = |at: u32| {
        let (x, y) = (f64::from(at % 90) - 45.0, f64::from(at / 90) - 30.0);
        match x.hypot(y) {
            far if far > 25.0 => [0, 255, 0, 0],
            near if near > 20.0 => [220, 30, 40, 128],
            _ => [220, 30, 40, 255],
        }
    };
    let picture = Pixels { width: 90, height: 60, rgba: (0..90 * 60).map(pixel).collect() };
    for format in [OutputFormat::Avif, OutputFormat::Webp] {
        let file = encoded(&png(&picture), format, 80, false);
        assert!(header(&file).alpha, "{format:?}");
        let back = all(&file);
        let worst = back.rgba.iter().zip(&picture.rgba).map(|(a, b)| a[3].abs_diff(b[3])).max();
        assert!(worst < Some(40), "{format:?}: {worst:?}");
        let alpha: u32 =
            back.rgba.iter().zip(&picture.rgba).map(|(a, b)| u32::from(a[3].abs_diff(b[3]))).sum();
        assert!(alpha < 90 * 60 * 2, "{format:?}: {alpha}");
        let greenest = back.rgba.iter().filter(|pixel| pixel[3] > 60).map(|pixel| pixel[1]).max();
        assert!(greenest < Some(80), "{format:?}: {greenest:?}");
        assert!(back.difference(&picture) < 2.5, "{format:?}: {}", back.difference(&picture));
    }
}

#[test]
fn avif_of_the_smallest_and_the_longest_sides() {
    for (width, height) in
        [(1, 1), (1, 2), (2, 1), (3, 5), (1, 211), (211, 1), (17, 13), (30_000, 1), (1, 30_000)]
    {
        let picture = plain(width, height, [200, 100, 50, 255]);
        let file = encoded(&png(&picture), OutputFormat::Avif, 90, false);
        let read = header(&file);
        assert_eq!((read.format, read.width, read.height), (Format::Avif, width, height));
        if width.max(height) < 8_192 {
            assert!(all(&file).difference(&picture) < 3.0, "{width} {height}");
        }
    }
}

#[test]
fn better_quality_is_closer_and_larger() {
    let file = fixture!("gps/DSCN0021.jpg");
    let recipe = |encoding| [Recipe::of_width(240, encoding)];
    let make = |format, quality| {
        let encoding = Encoding { format, quality, lossless: false };
        process(file, &recipe(encoding)).unwrap().pictures.remove(0).bytes
    };
    let exact = from_png(&make(OutputFormat::Png, 100));
    for format in [OutputFormat::Jpeg, OutputFormat::Webp, OutputFormat::Avif] {
        let made = [10, 30, 50, 70, 80, 90, 100].map(|quality| {
            let bytes = make(format, quality);
            (bytes.len(), all(&bytes).difference(&exact))
        });
        for pair in made.windows(2) {
            let [(worse_bytes, worse), (better_bytes, better)] = [pair[0], pair[1]];
            assert!(worse_bytes < better_bytes && worse > better, "{format:?}: {made:?}");
        }
    }
}

#[test]
fn the_same_quality_is_as_close_in_every_format() {
    let file = fixture!("gps/DSCN0021.jpg");
    let make = |format, quality| {
        let recipe = Recipe::of_width(240, Encoding { format, quality, lossless: false });
        process(file, &[recipe]).unwrap().pictures.remove(0).bytes
    };
    let exact = from_png(&make(OutputFormat::Png, 100));
    for quality in [50, 60, 70, 80, 90] {
        let formats = [OutputFormat::Jpeg, OutputFormat::Webp, OutputFormat::Avif];
        let mut off = formats.map(|format| all(&make(format, quality)).difference(&exact));
        off.sort_by(f64::total_cmp);
        // The scale is of what photographs look like in general. In this noisy one JPEG is the furthest off; ten
        // steps of quality are a third.
        assert!(off[2] < off[0] * 1.8, "{quality}: {off:?}");
    }
}

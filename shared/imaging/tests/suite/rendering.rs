//! `render`: the right pixels, in the right order, within the budget.

use std::time::Instant;

use imaging::{Budget, Encoding, Format, Limits, OutputFormat, Overlay, Plan, Recipe, Reject, probe, render};

use crate::made::{
    Pixels, all, animated_webp, budget, drawing, fixture, gif, gray_jpeg, header, jpeg, jpeg_with, look, one,
    plain, png, process, progressive, recipe,
};

const FORMATS: [OutputFormat; 4] =
    [OutputFormat::Jpeg, OutputFormat::Png, OutputFormat::Webp, OutputFormat::Avif];

#[test]
fn every_format_becomes_every_format() {
    let picture = drawing(97, 61);
    let whole = all(fixture!("made/drawing.png"));
    let cases = [
        (jpeg(&picture), &picture, 1.5),
        (progressive(&picture), &picture, 2.5),
        (png(&picture), &picture, 0.0),
        (fixture!("made/lossy.webp").to_vec(), &all(fixture!("made/lossless.webp")), 2.5),
        (fixture!("made/lossless-alpha.webp").to_vec(), &whole, 0.0),
        (fixture!("made/lossy-alpha.webp").to_vec(), &whole, 3.0),
        (gif((97, 61), &[(0, 0, 97, 61)], false), &plain(97, 61, [255, 0, 0, 255]), 0.0),
    ];
    for (file, expected, decoding) in cases {
        let from = header(&file).format;
        for format in FORMATS {
            let made = one(&file, 97, format);
            let read = header(&made.bytes);
            assert_eq!((made.width, made.height, made.encoding.format), (97, 61, format));
            assert_eq!((read.width, read.height), (97, 61));
            assert_eq!(read.format.media_type(), format.media_type());
            let encoding = if format == OutputFormat::Png { 0.0 } else { 3.0 };
            let difference = all(&made.bytes).difference(expected);
            assert!(difference <= decoding + encoding, "{from:?} to {format:?}: {difference}");
        }
    }
}

#[test]
fn nothing_changes_where_nothing_is_asked() {
    for file in [
        fixture!("made/drawing.png"),
        fixture!("pngsuite/basn6a08.png"),
        fixture!("made/lossless-alpha.webp"),
    ] {
        let once = one(file, u32::MAX, OutputFormat::Png).bytes;
        assert_eq!(all(&once), all(file));
    }
    assert_eq!(all(fixture!("made/lossless-alpha.webp")), all(fixture!("made/drawing.png")));
    assert_eq!(all(&png(&drawing(31, 17))), drawing(31, 17));
}

#[test]
fn every_orientation_stands_upright() {
    let upright = all(fixture!("orientation/Landscape_0.jpg"));
    for (value, file) in [
        (1, fixture!("orientation/Landscape_1.jpg")),
        (2, fixture!("orientation/Landscape_2.jpg")),
        (3, fixture!("orientation/Landscape_3.jpg")),
        (4, fixture!("orientation/Landscape_4.jpg")),
        (5, fixture!("orientation/Landscape_5.jpg")),
        (6, fixture!("orientation/Landscape_6.jpg")),
        (7, fixture!("orientation/Landscape_7.jpg")),
        (8, fixture!("orientation/Landscape_8.jpg")),
    ] {
        // The files differ in the number in the middle. The wrong orientation is off by 40 and more.
        let difference = all(file).difference(&upright);
        assert!(difference < 4.0, "orientation {value}: {difference}");
        let small = look(file, 60);
        assert_eq!((small.width, small.height), (60, 40));
        assert!(small.difference(&look(fixture!("orientation/Landscape_0.jpg"), 60)) < 4.0);
        assert_eq!(header(&one(file, 60, OutputFormat::Jpeg).bytes).orientation.to_exif(), 1);
    }
}

#[test]
fn jpeg_of_every_sampling_is_read() {
    use jpeg_encoder::SamplingFactor as Sampling;
    let picture = drawing(75, 53);
    let file = |sampling, progressive, restart| {
        jpeg_with(&picture, |encoder| {
            encoder.set_sampling_factor(sampling);
            encoder.set_progressive(progressive);
            encoder.set_restart_interval(restart);
        })
    };
    // Those of four, without progression, the encoder writes scan by scan.
    let usual = [
        Sampling::F_1_1,
        Sampling::F_2_1,
        Sampling::F_1_2,
        Sampling::F_2_2,
        Sampling::F_4_1,
        Sampling::F_4_2,
    ];
    let cases = usual
        .iter()
        .flat_map(|&sampling| [(sampling, false), (sampling, true)])
        .chain([(Sampling::F_1_4, false), (Sampling::F_2_4, false)])
        .flat_map(|(sampling, progressive)| [0, 3, 5].map(|restart| (sampling, progressive, restart)));
    for (sampling, progressive, restart) in cases {
        let difference = all(&file(sampling, progressive, restart)).difference(&picture);
        assert!(difference < 4.0, "{sampling:?} {progressive} {restart}: {difference}");
    }
    let gray = all(&gray_jpeg(&picture));
    let green = |[_, g, _, a]: [u8; 4]| [g, g, g, a];
    let expected = picture.rgba.iter().copied().map(green).collect();
    let expected = Pixels { rgba: expected, ..picture };
    assert!(gray.difference(&expected) < 1.0);
}

#[test]
fn pictures_come_in_the_order_of_the_plans_and_each_from_the_next_larger() {
    let recipes = [
        recipe(20, OutputFormat::Png),
        recipe(500, OutputFormat::Webp),
        recipe(80, OutputFormat::Jpeg),
        recipe(900, OutputFormat::Webp),
        recipe(40, OutputFormat::Png),
    ];
    let rendered = process(&jpeg(&drawing(160, 100)), &recipes).unwrap();
    let made = |index: usize| {
        let picture = &rendered.pictures[index];
        (picture.width, picture.height, picture.encoding.format)
    };
    assert_eq!(made(0), (20, 13, OutputFormat::Png));
    assert_eq!(made(1), (160, 100, OutputFormat::Webp));
    assert_eq!(made(2), (80, 50, OutputFormat::Jpeg));
    assert_eq!(made(4), (40, 25, OutputFormat::Png));
    assert_eq!(rendered.pictures[1], rendered.pictures[3]);
    // Through four sizes or straight from the original, it is the same picture.
    let straight = look(&jpeg(&drawing(160, 100)), 20);
    assert!(all(&rendered.pictures[0].bytes).difference(&straight) < 1.0);
}

#[test]
fn alpha_never_bleeds() {
    // Opaque red beside a green that cannot be seen.
    let mut picture = plain(64, 64, [255, 0, 0, 255]);
    for (at, pixel) in picture.rgba.iter_mut().enumerate() {
        if at % 64 >= 33 {
            *pixel = [0, 255, 0, 0];
        }
    }
    let file = png(&picture);
    for width in [7, 16, 31] {
        for [r, g, b, a] in look(&file, width).rgba {
            assert!(a < 8 || (r > 240 && g < 15 && b < 15), "{r} {g} {b} {a} at {width}");
        }
    }
    // On white, nothing is left of the green either.
    let flat = all(&one(&file, 16, OutputFormat::Jpeg).bytes);
    assert!(flat.at(15, 8).iter().all(|&channel| channel > 245), "{:?}", flat.at(15, 8));
    assert!(flat.at(2, 8)[0] > 240 && flat.at(2, 8)[1] < 20, "{:?}", flat.at(2, 8));
}

#[test]
fn the_smallest_pictures_work() {
    for (width, height) in [(1, 1), (1, 200), (200, 1), (2, 3), (7, 1)] {
        let picture = plain(width, height, [200, 100, 50, 255]);
        let side = |side| u16::try_from(side).unwrap();
        let red = gif((side(width), side(height)), &[(0, 0, side(width), side(height))], false);
        for file in [png(&picture), jpeg(&picture), progressive(&picture), red] {
            for format in FORMATS {
                for asked in [1, 3, 1_000] {
                    let made = one(&file, asked, format);
                    let again = header(&made.bytes);
                    assert_eq!(again.width, asked.min(width));
                    assert_eq!((again.width, again.height), (made.width, made.height));
                }
            }
        }
    }
}

#[test]
fn pngsuite_is_read() {
    for file in [
        fixture!("pngsuite/tbbn0g04.png"),
        fixture!("pngsuite/tbgn2c16.png"),
        fixture!("pngsuite/s01n3p01.png"),
        fixture!("pngsuite/s09i3p02.png"),
        fixture!("pngsuite/s33n3p04.png"),
        fixture!("pngsuite/oi9n2c16.png"),
        fixture!("pngsuite/z09n2c08.png"),
        fixture!("pngsuite/ct1n0g04.png"),
        fixture!("pngsuite/ctzn0g04.png"),
        fixture!("pngsuite/exif2c08.png"),
        fixture!("pngsuite/cm9n0g04.png"),
        fixture!("pngsuite/ccwn2c08.png"),
        fixture!("pngsuite/f99n0g04.png"),
        fixture!("pngsuite/cs3n3p08.png"),
    ] {
        for format in FORMATS {
            one(file, 16, format);
        }
    }
    // Interlaced and not, each pair is one picture.
    macro_rules! pairs {
        ($($kind:literal)*) => {
            $(assert_eq!(
                all(fixture!(concat!("pngsuite/basi", $kind, ".png"))),
                all(fixture!(concat!("pngsuite/basn", $kind, ".png"))),
                $kind
            );)*
        };
    }
    pairs!("0g01" "0g02" "0g04" "0g08" "0g16" "2c08" "2c16" "3p01" "3p02" "3p04" "3p08" "4a08" "4a16" "6a08" "6a16");
    // What a transparent colour and what a palette's alpha hide.
    assert_eq!(all(fixture!("pngsuite/tbbn0g04.png")).at(0, 0)[3], 0);
    assert_eq!(all(fixture!("pngsuite/tbbn3p08.png")).at(0, 0)[3], 0);
    assert_eq!(all(fixture!("pngsuite/tp0n3p08.png")).at(0, 0)[3], 255);
}

#[test]
fn of_an_animation_the_first_frame_is_shown_where_it_stands() {
    let picture = all(&animated_webp((12, 10), (2, 4)));
    assert_eq!((picture.width, picture.height), (12, 10));
    assert_eq!(picture.at(0, 0)[3], 0);
    let [r, g, b, a] = picture.at(5, 6);
    assert!(r < 8 && g < 8 && b > 247 && a == 255, "{:?}", picture.at(5, 6));
    assert_eq!(picture.at(11, 9)[3], 0);
    assert!(all(&animated_webp((8, 6), (0, 0))).difference(&plain(8, 6, [0, 0, 255, 255])) < 4.0);
}

#[test]
fn gif_frames_that_do_not_fit_their_screen() {
    const RED: [u8; 4] = [255, 0, 0, 255];
    // Smaller than the screen: the rest is bare.
    let inside = all(&gif((6, 5), &[(2, 1, 3, 2)], false));
    assert_eq!((inside.width, inside.height), (6, 5));
    assert_eq!((inside.at(2, 1), inside.at(4, 2)), (RED, RED));
    assert_eq!((inside.at(1, 1)[3], inside.at(2, 3)[3], inside.at(5, 4)[3]), (0, 0, 0));
    // Sticking out, larger, and nowhere near.
    let out = all(&gif((4, 4), &[(3, 3, 9, 9)], false));
    assert_eq!((out.width, out.height, out.at(3, 3), out.at(2, 3)[3]), (4, 4, RED, 0));
    assert_eq!(all(&gif((4, 4), &[(0, 0, 9, 9)], false)), plain(4, 4, RED));
    let nothing = gif((4, 4), &[(90, 90, 3, 3)], false);
    assert!(all(&nothing).rgba.iter().all(|pixel| pixel[3] == 0));
    // A screen without a size is as large as its first frame reaches.
    let sizeless = gif((0, 0), &[(1, 0, 3, 3)], false);
    assert_eq!((header(&sizeless).width, header(&sizeless).height), (4, 3));
    assert_eq!(all(&sizeless).at(3, 2), RED);
    // Stripes of nothing.
    let striped = all(&gif((4, 4), &[(0, 0, 4, 4)], true));
    assert_eq!((striped.at(0, 0), striped.at(0, 1)[3], striped.at(0, 2)), (RED, 0, RED));
}

#[test]
fn webp_scaled_while_decoding_looks_like_webp_decoded_whole() {
    let picture = drawing(900, 600);
    let file = one(&png(&picture), 900, OutputFormat::Webp).bytes;
    let scaled = look(&file, 90);
    // A plan of the full width keeps the decoder from scaling.
    let recipes = [recipe(90, OutputFormat::Png), recipe(900, OutputFormat::Png)];
    let whole = all(&process(&file, &recipes).unwrap().pictures[0].bytes);
    let difference = scaled.difference(&whole);
    assert!(difference < 1.0, "{difference}");
}

#[test]
fn facts_tell_opacity_and_colour() {
    let facts = |file: &[u8]| process(file, &[]).unwrap().facts;
    let mut picture = plain(120, 80, [30, 60, 200, 255]);
    for pixel in &mut picture.rgba[..3_000] {
        *pixel = [240, 240, 10, 255];
    }
    let opaque = facts(&png(&picture));
    assert_eq!(opaque.dominant_color, [30, 60, 200]);
    assert!(opaque.opaque, "an alpha channel of nothing but 255 hides nothing");
    assert!((5..=25).contains(&opaque.thumbhash.len()));

    picture.rgba[9_599][3] = 254;
    assert!(!facts(&png(&picture)).opaque);
    // What cannot be seen is no colour of the picture.
    let mut hidden = plain(50, 50, [0, 255, 0, 0]);
    hidden.rgba[..400].fill([255, 0, 0, 255]);
    assert_eq!(facts(&png(&hidden)).dominant_color, [255, 0, 0]);

    let average = fast_thumbhash::thumb_hash_to_average_rgba(
        &facts(&jpeg(&plain(300, 200, [200, 100, 50, 255]))).thumbhash,
    );
    let (r, g, b, a) = average.unwrap();
    for (found, expected) in [(r, 200.0), (g, 100.0), (b, 50.0), (a, 255.0)] {
        assert!((found * 255.0 - expected).abs() < 12.0, "{found} for {expected}");
    }
}

#[test]
fn the_facts_are_of_the_picture_whatever_is_rendered() {
    let file = fixture!("gps/DSCN0021.jpg");
    let none = process(file, &[]).unwrap();
    assert!(none.pictures.is_empty());
    let recipes = [recipe(300, OutputFormat::Webp), recipe(120, OutputFormat::Jpeg)];
    let some = process(file, &recipes).unwrap();
    for (a, b) in none.facts.dominant_color.iter().zip(some.facts.dominant_color) {
        assert!(a.abs_diff(b) < 4);
    }
    assert_eq!(none.facts.opaque, some.facts.opaque);
}

#[test]
fn pictures_alone_are_those_that_come_with_facts() {
    let file = fixture!("gps/DSCN0021.jpg");
    let header = probe(file).unwrap();
    let alone = |plans: &[Plan]| imaging::pictures(file, &header, plans, None, &budget()).unwrap();
    let whole = [recipe(300, OutputFormat::Webp), recipe(120, OutputFormat::Jpeg)];
    let part = [Recipe { gray: true, ..recipe(200, OutputFormat::Png) }];
    for recipes in [&whole[..], &part] {
        let plans: Vec<Plan> = recipes.iter().map(|recipe| recipe.plan(&header)).collect();
        assert_eq!(alone(&plans), process(file, recipes).unwrap().pictures);
    }
    assert!(alone(&[]).is_empty());
}

#[test]
fn the_budget_is_kept() {
    let file = png(&drawing(400, 300));
    let header = probe(&file).unwrap();
    let plans = [recipe(100, OutputFormat::Webp).plan(&header)];
    let mut late = budget();
    late.deadline = Instant::now();
    assert_eq!(render(&file, &header, &plans, &late).unwrap_err(), Reject::OutOfTime);

    let mut poor = budget();
    poor.memory = 400 * 300 * 3;
    assert_eq!(render(&file, &header, &plans, &poor).unwrap_err().code(), "too-large");
    // Of a progressive photograph at a quarter, four coefficients of 64 are kept and become samples.
    poor.memory = 400 * 300 / 4;
    let photograph = progressive(&drawing(400, 300));
    let header = probe(&photograph).unwrap();
    assert_eq!(render(&photograph, &header, &plans, &poor).unwrap_err().code(), "too-large");
}

/// The least memory with which this is done.
fn least(bytes: &[u8], recipes: &[&str], mark: Option<&Overlay>) -> u64 {
    let header = header(bytes);
    let plans: Vec<Plan> = recipes.iter().map(|text| text.parse::<Recipe>().unwrap().plan(&header)).collect();
    let (mut refused, mut done) = (0, budget().memory);
    while done - refused > 1_000 {
        let budget = Budget { memory: u64::midpoint(refused, done), ..budget() };
        match imaging::pictures(bytes, &header, &plans, mark, &budget) {
            Ok(_) => done = budget.memory,
            Err(reject) => {
                assert_eq!(reject.code(), "too-large");
                refused = budget.memory;
            }
        }
    }
    done
}

const PIXELS: u64 = 200 * 150;

#[test]
fn what_is_decoded_counts_while_others_are_made_from_it() {
    let file = png(&drawing(200, 150));
    let part = least(&file, &["crop=0:0:100:150,f=jpeg"], None);
    // The whole is made at last, from what is stored: until then, that is held beside all of the part's making.
    let both = least(&file, &["crop=0:0:100:150,f=jpeg", "w=200,f=jpeg"], None);
    let coded = PIXELS * (3 + 3 + 3);
    assert!(both >= PIXELS * 3 + coded / 2 && both >= part, "{part} and {both}");
    let gif = least(&file, &["f=gif"], None);
    assert!(gif >= PIXELS * (3 + 14), "{gif}");
}

#[test]
fn an_overlay_counts_as_long_as_it_is_held() {
    let file = png(&drawing(200, 150));
    let mark = png(&drawing(500, 400));
    let mark = Overlay::decode(&mark, &Limits::default(), &budget()).unwrap();
    let (without, with) = (least(&file, &["f=jpeg"], None), least(&file, &["f=jpeg,watermark"], Some(&mark)));
    assert!(with >= 2 * 500 * 400 * 4, "{with}");
    assert!(least(&file, &["f=jpeg"], Some(&mark)) >= without + 500 * 400 * 4 - 2_000);
}

#[test]
fn encoders_count_what_they_hold() {
    let file = png(&drawing(200, 150));
    for (recipe, per_pixel) in [
        ("f=webp", 3 + 9),
        ("f=webp,lossless", 3 + 25),
        ("f=jpeg", 3 + 5),
        ("f=gif", 3 + 14),
        ("f=png", 9),
        ("f=avif", 26),
    ] {
        let found = least(&file, &[recipe], None);
        assert!(found >= PIXELS * per_pixel, "{recipe}: {found}, {} a pixel", found / PIXELS);
    }
    let planes = least(&jpeg(&drawing(200, 150)), &["f=webp"], None);
    assert!(planes >= PIXELS * (3 + 9), "{planes}");
}

#[test]
fn quality_is_worth_its_bytes() {
    let file = fixture!("gps/DSCN0021.jpg");
    let size = |format, quality| {
        let recipe = Recipe::of_width(320, Encoding { format, quality, lossless: false });
        process(file, &[recipe]).unwrap().pictures[0].bytes.len()
    };
    for format in [OutputFormat::Jpeg, OutputFormat::Webp, OutputFormat::Avif] {
        assert!(size(format, 30) < size(format, 60) && size(format, 60) < size(format, 90));
    }
    assert!(size(OutputFormat::Avif, 60) < size(OutputFormat::Webp, 60));
    let jpeg = one(file, 320, OutputFormat::Jpeg);
    assert!(jpeg.bytes.windows(2).any(|pair| pair == [0xff, 0xc2]), "it is not progressive");
    assert_eq!(header(&jpeg.bytes).format, Format::Jpeg);
}

#[test]
fn drawings_become_small_png() {
    let mut picture = plain(400, 300, [255, 255, 255, 255]);
    for (at, pixel) in picture.rgba.iter_mut().enumerate() {
        if (at % 400) / 20 % 2 == 0 && (at / 400) / 30 % 2 == 0 {
            *pixel = [10, 80, 160, 255];
        }
    }
    let made = one(&png(&picture), 400, OutputFormat::Png);
    assert!(made.bytes.len() < 1_500, "{} bytes", made.bytes.len());
    assert_eq!(all(&made.bytes), picture);
}

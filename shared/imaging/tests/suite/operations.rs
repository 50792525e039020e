//! What recipes do to pixels, at sizes that are easily got wrong.

use imaging::{Budget, Limits, Overlay, Recipe, Reject, render, render_marked};
use proptest::prelude::*;

use crate::made::{
    Pixels, all, budget, drawing, exif_orientation, fixture, header, jpeg, plain, png, progressive,
    with_segments,
};
use crate::recipes::any_recipe;

pub(crate) const RED: [u8; 4] = [255, 0, 0, 255];
pub(crate) const SIZES: [(u32, u32); 9] =
    [(1, 1), (1, 7), (13, 1), (2, 3), (3, 2), (7, 13), (31, 17), (64, 64), (97, 61)];

pub(crate) fn recipe(text: &str) -> Recipe {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The file that a recipe makes.
pub(crate) fn file(bytes: &[u8], text: &str) -> Vec<u8> {
    let header = header(bytes);
    let plan = recipe(text).plan(&header);
    let mut rendered = render(bytes, &header, &[plan], &budget()).unwrap_or_else(|e| panic!("{text}: {e}"));
    rendered.pictures.remove(0).bytes
}

/// The pixels that a recipe makes.
pub(crate) fn cook(bytes: &[u8], text: &str) -> Pixels {
    all(&file(bytes, format!("{text},f=png").trim_start_matches(',')))
}

pub(crate) fn picked(
    picture: &Pixels, (width, height): (u32, u32), from: impl Fn(u32, u32) -> (u32, u32),
) -> Pixels {
    let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    let rgba = places.map(|(x, y)| from(x, y)).map(|(x, y)| picture.at(x, y)).collect();
    Pixels { width, height, rgba }
}

pub(crate) fn cut(picture: &Pixels, (left, top, width, height): (u32, u32, u32, u32)) -> Pixels {
    picked(picture, (width, height), |x, y| (left + x, top + y))
}

/// Noise with transparent places.
pub(crate) fn noise(width: u32, height: u32) -> Pixels {
    let mut state = 12_345_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()
    };
    let rgba = (0..width * height).map(|_| next()).collect();
    Pixels { width, height, rgba }
}

/// Red, green, blue and yellow quarters.
pub(crate) fn quarters(width: u32, height: u32) -> Pixels {
    const COLOURS: [[u8; 4]; 4] = [RED, [0, 255, 0, 255], [0, 0, 255, 255], [255, 255, 0, 255]];
    let mut picture = plain(width, height, RED);
    for (at, pixel) in (0..).zip(&mut picture.rgba) {
        let (x, y) = (at % width, at / width);
        *pixel = COLOURS[usize::from(x >= width / 2) + 2 * usize::from(y >= height / 2)];
    }
    picture
}

#[test]
fn padding_and_background() {
    let picture = noise(5, 3);
    let bytes = png(&picture);
    let padded = cook(&bytes, "pad=1:2:3:4");
    assert_eq!((padded.width, padded.height), (5 + 2 + 4, 3 + 1 + 3));
    assert_eq!(cut(&padded, (4, 1, 5, 3)), picture);
    assert_eq!(padded.at(0, 0), [0; 4]);
    let half = cook(&bytes, "pad=2,bg=00ff0080");
    assert_eq!(half.at(0, 0), [0, 255, 0, 128]);
    // The background is behind the picture too.
    let [.., alpha] = half.at(2, 2);
    assert!(alpha >= 128);
    let white = all(&file(&bytes, "pad=2,f=jpeg,q=100"));
    assert!(white.at(0, 0).iter().all(|&level| level > 250));
    let blue = all(&file(&bytes, "pad=9,bg=blue,f=jpeg,q=100"));
    let [r, g, b, _] = blue.at(0, 0);
    assert!(r < 8 && g < 8 && b > 247);
}

#[test]
fn corners_are_round() {
    let bytes = png(&plain(101, 101, RED));
    let circle = cook(&bytes, "radius=max");
    let area: f64 = circle.rgba.iter().map(|pixel| f64::from(pixel[3]) / 255.0).sum();
    let exact = std::f64::consts::PI * 50.5 * 50.5;
    assert!((area - exact).abs() < exact * 0.002, "{area}, not {exact}");
    for y in 0..101 {
        for x in 0..101 {
            let alpha = |x, y| circle.at(x, y)[3];
            assert_eq!((alpha(x, y), alpha(x, y)), (alpha(100 - x, y), alpha(y, x)));
        }
    }
    let card = cook(&bytes, "radius=10");
    assert_eq!(
        (card.at(0, 0)[3], card.at(10, 0)[3], card.at(0, 10)[3], card.at(3, 3)[3]),
        (0, 255, 255, 255)
    );
    assert_eq!(cook(&bytes, "radius=0.5"), circle);
    for (width, height) in SIZES {
        let cooked = cook(&png(&plain(width, height, RED)), "radius=max");
        assert_eq!((cooked.width, cooked.height), (width, height));
        assert!(cooked.at(width / 2, height / 2)[3] > 100);
    }
}

#[test]
fn corners_padding_and_background_go_together() {
    let bytes = png(&plain(40, 20, RED));
    // The picture is round, not what is around it.
    let framed = cook(&bytes, "w=40,h=40,fit=contain,radius=max,pad=5");
    assert_eq!((framed.width, framed.height), (50, 50));
    assert_eq!((framed.at(5, 15)[3], framed.at(25, 25)), (0, RED));
    let card = cook(&bytes, "radius=max,pad=5,bg=00f");
    assert_eq!((card.at(0, 0), card.at(5, 5), card.at(25, 15)), ([0, 0, 255, 255], [0, 0, 255, 255], RED));
    let flat = all(&file(&bytes, "radius=max,f=jpeg,q=100"));
    assert!(flat.at(0, 0).iter().all(|&level| level > 240), "{:?}", flat.at(0, 0));
}

#[test]
fn tones_are_those_that_are_documented() {
    let bytes =
        png(&Pixels { width: 3, height: 1, rgba: vec![[200, 100, 50, 255], [255, 0, 0, 7], [9, 9, 9, 255]] });
    assert_eq!(cook(&bytes, "gray").rgba, [[124, 124, 124, 255], [76, 76, 76, 7], [9, 9, 9, 255]]);
    assert_eq!(cook(&bytes, "saturation=0").rgba, cook(&bytes, "gray").rgba);
    assert_eq!(cook(&bytes, "brightness=2").rgba, [[255, 200, 100, 255], [255, 0, 0, 7], [18, 18, 18, 255]]);
    assert_eq!(cook(&bytes, "brightness=0").rgba, [[0, 0, 0, 255], [0, 0, 0, 7], [0, 0, 0, 255]]);
    assert_eq!(cook(&bytes, "saturation=2").rgba[0], [255, 76, 0, 255]);
    assert_eq!(cook(&bytes, "saturation=2").rgba[2], [9, 9, 9, 255]);
    // Gray from luma alone is gray from RGB.
    let photograph = fixture!("gps/DSCN0021.jpg");
    let expected = cook(photograph, "gray,w=200");
    for format in ["webp,q=95", "jpeg,q=95"] {
        let found = all(&file(photograph, &format!("gray,w=200,f={format}")));
        assert!(found.difference(&expected) < 2.5, "{}", found.difference(&expected));
    }
}

#[test]
fn blur_is_a_gaussian() {
    for (width, height) in SIZES {
        for sigma in ["0.3", "2", "20", "100"] {
            let even = plain(width, height, [200, 100, 50, 255]);
            let found = cook(&png(&even), &format!("blur={sigma}"));
            assert_eq!((found.width, found.height), (width, height));
            let near = found.rgba.iter().flatten().zip(even.rgba.iter().flatten());
            assert!(near.into_iter().all(|(a, b)| a.abs_diff(*b) <= 1), "{sigma} at {width}x{height}");
        }
    }
    // A white line across the middle.
    let side = 241_u32;
    let mut line = plain(side, 3, [0, 0, 0, 255]);
    for y in 0..3 {
        for x in 100..=140 {
            line.rgba[(y * side + x) as usize] = [255; 4];
        }
    }
    for sigma in [0.8, 3.0, 7.5, 12.0, 25.0] {
        let found = cook(&png(&line), &format!("blur={sigma}"));
        for x in 0..side {
            let weight = |at: i32| (-(f64::from(at) - f64::from(x)).powi(2) / (2.0 * sigma * sigma)).exp();
            let all: f64 = (-200..450).map(weight).sum();
            let lit: f64 = (100..=140).map(weight).sum();
            let exact = 255.0 * lit / all;
            let level = f64::from(found.at(x, 1)[0]);
            assert!((level - exact).abs() < 2.5, "{sigma} at {x}: {level}, not {exact}");
        }
    }
}

#[test]
fn sharpening_is_of_edges_alone() {
    let even = plain(9, 7, [200, 100, 50, 255]);
    for text in ["sharpen=light", "sharpen=1.5", "sharpen=100"] {
        assert_eq!(cook(&png(&even), text), even, "{text}");
        assert_eq!(cook(&png(&plain(1, 1, RED)), text), plain(1, 1, RED));
    }
    // The documented filter: 32 of the pixel less its eight neighbours, by 24.
    let mut dot = plain(5, 5, [100, 100, 100, 255]);
    dot.rgba[12] = [148, 148, 148, 255];
    let sharp = cook(&png(&dot), "sharpen=light");
    assert_eq!((sharp.at(2, 2)[0], sharp.at(1, 1)[0], sharp.at(0, 0)[0]), (164, 98, 100));
    // Colours keep their hue, and alpha stays.
    let mut edge = plain(8, 4, [120, 60, 30, 255]);
    for (at, pixel) in edge.rgba.iter_mut().enumerate() {
        if at % 8 >= 4 {
            *pixel = [180, 120, 90, 128];
        }
    }
    let sharp = cook(&png(&edge), "sharpen=2");
    for (before, after) in edge.rgba.iter().zip(&sharp.rgba) {
        assert_eq!(before[3], after[3]);
        let moved = |channel: usize| i32::from(after[channel]) - i32::from(before[channel]);
        assert!((moved(0) - moved(1)).abs() <= 1 && (moved(1) - moved(2)).abs() <= 1);
    }
}

#[test]
fn any_angle_turns_the_picture_about_its_middle() {
    let square = cook(&png(&plain(100, 100, RED)), "rotate=45");
    assert_eq!((square.width, square.height), (141, 141));
    assert_eq!(
        (square.at(0, 0), square.at(70, 70), square.at(70, 3), square.at(3, 3)[3]),
        ([0; 4], RED, RED, 0)
    );
    let area: f64 = square.rgba.iter().map(|pixel| f64::from(pixel[3]) / 255.0).sum();
    assert!((area - 10_000.0).abs() < 60.0, "{area}");
    // A slope turned by 30 degrees is a slope in another direction.
    let (width, height) = (120_u32, 80_u32);
    let bytes = png(&drawing(width, height));
    for (text, scale) in [("rotate=30", 1.0), ("rotate=30,w=72", 0.5)] {
        let found = cook(&bytes, text);
        let (sine, cosine) = 30_f64.to_radians().sin_cos();
        for y in 0..found.height {
            for x in 0..found.width {
                let across = (f64::from(x) + 0.5 - f64::from(found.width) / 2.0) / scale;
                let down = (f64::from(y) + 0.5 - f64::from(found.height) / 2.0) / scale;
                let from_x = across * cosine + down * sine + f64::from(width) / 2.0 - 0.5;
                let from_y = down * cosine - across * sine + f64::from(height) / 2.0 - 0.5;
                let inside = (4.0..f64::from(width) - 4.0).contains(&from_x)
                    && (4.0..f64::from(height) - 4.0).contains(&from_y);
                if inside {
                    let exact = from_x * 255.0 / f64::from(width);
                    let [level, _, _, alpha] = found.at(x, y);
                    assert!(
                        (f64::from(level) - exact).abs() < 3.0 && alpha == 255,
                        "{x}, {y}: {level}, not {exact}"
                    );
                }
            }
        }
    }
    for (width, height) in SIZES {
        for angle in ["0.5", "30", "89.9999", "135", "301.7"] {
            let bytes = png(&plain(width, height, RED));
            for rest in ["", ",w=10,h=4,fit=fill,enlarge", ",w=9,h=9,fit=cover", ",w=3"] {
                let found = cook(&bytes, &format!("rotate={angle}{rest}"));
                let visible = found.rgba.iter().filter(|pixel| pixel[3] > 127);
                assert!(
                    visible.clone().all(|pixel| pixel[0] > 250 && pixel[1] < 5),
                    "{angle} {width}x{height}"
                );
            }
        }
    }
    let flat = all(&file(&png(&plain(50, 50, RED)), "rotate=45,f=jpeg,q=100,bg=00f"));
    let [r, g, b, _] = flat.at(1, 1);
    assert!(r < 12 && g < 12 && b > 240, "{r} {g} {b}");
}

#[test]
fn alpha_never_bleeds_into_anything() {
    // Opaque red beside a green that cannot be seen.
    let mut picture = plain(64, 64, RED);
    for (at, pixel) in picture.rgba.iter_mut().enumerate() {
        if at % 64 >= 33 {
            *pixel = [0, 255, 0, 0];
        }
    }
    let bytes = png(&picture);
    for text in [
        "w=17",
        "w=17,linear",
        "w=90,enlarge",
        "blur=1",
        "blur=5",
        "blur=30",
        "sharpen=light",
        "sharpen=3",
        "rotate=30",
        "rotate=30,w=20",
        "w=20,h=9,fit=cover",
        "radius=20",
        "pad=3",
        "crop=20:0:30:64,w=11",
    ] {
        for [r, g, b, a] in cook(&bytes, text).rgba {
            assert!(a < 12 || (r > 235 && g < 20 && b < 20), "{text}: {r} {g} {b} {a}");
        }
    }
}

#[test]
fn linear_light_keeps_brightness() {
    let checks = |x: u32, y: u32| if (x + y).is_multiple_of(2) { [255; 4] } else { [0, 0, 0, 255] };
    let rgba = (0..64 * 64).map(|at| checks(at % 64, at / 64)).collect();
    let bytes = png(&Pixels { width: 64, height: 64, rgba });
    let middle = |text: &str| cook(&bytes, text).at(8, 8)[0];
    assert!(middle("w=16").abs_diff(128) < 3);
    // Half of the light of white is level 188 (IEC 61966-2-1).
    assert!(middle("w=16,linear").abs_diff(188) < 3, "{}", middle("w=16,linear"));
    let photograph = fixture!("gps/DSCN0021.jpg");
    let difference = cook(photograph, "w=100,linear").difference(&cook(photograph, "w=100"));
    assert!((0.1..12.0).contains(&difference), "{difference}");
}

fn overlay(picture: &Pixels) -> Overlay {
    Overlay::decode(&png(picture), &Limits::default(), &budget()).unwrap()
}

fn marked(bytes: &[u8], text: &str, overlay: &Overlay) -> Pixels {
    let header = header(bytes);
    let plan = recipe(text).plan(&header);
    let rendered = render_marked(bytes, &header, &[plan], Some(overlay), &budget()).unwrap();
    all(&rendered.pictures[0].bytes)
}

#[test]
fn watermarks_are_where_they_belong() {
    const BLUE: [u8; 4] = [0, 0, 255, 255];
    let bytes = png(&plain(80, 40, RED));
    let mark = overlay(&plain(10, 5, BLUE));
    let seen = |text: &str| {
        let found = marked(&bytes, &format!("watermark={text},f=png"), &mark);
        let blue: Vec<_> = (0..80 * 40).filter(|at| found.at(at % 80, at / 80) != RED).collect();
        let across = blue.iter().map(|at| at % 80);
        let down = blue.iter().map(|at| at / 80);
        let ends = (across.clone().min(), down.clone().min(), across.max(), down.max());
        (ends.0.unwrap(), ends.1.unwrap(), ends.2.unwrap(), ends.3.unwrap())
    };
    assert_eq!(seen("bottom-right"), (60, 30, 79, 39));
    assert_eq!(seen("top-left:0.5"), (0, 0, 39, 19));
    assert_eq!(seen("center:0.25"), (30, 15, 49, 24));
    assert_eq!(seen("0.25:1:0.25"), (15, 30, 34, 39));
    assert_eq!(seen("center:1"), (0, 0, 79, 39));
    let half = marked(&bytes, "watermark=center:1:0.5,f=png", &mark);
    assert_eq!(half.at(40, 20), [127, 0, 128, 255]);
    // Never higher than the picture, and at least one pixel.
    let tall = overlay(&plain(1, 500, BLUE));
    assert_eq!(marked(&bytes, "watermark=center:1,f=png", &tall).at(39, 0), BLUE);
    assert_eq!(marked(&bytes, "watermark=top-left:0,f=png", &mark).at(0, 0), BLUE);
    for (width, height) in SIZES {
        let found = marked(&png(&noise(width, height)), "watermark=center:0.3:0.3,f=png", &mark);
        assert_eq!((found.width, found.height), (width, height));
    }
    // On nothing, the mark is all there is.
    let nothing = png(&plain(8, 4, [9, 9, 9, 0]));
    assert_eq!(marked(&nothing, "watermark=center:1,f=png", &mark).at(4, 2), BLUE);
}

#[test]
fn no_picture_is_made_without_the_watermark_that_it_is_to_have() {
    let bytes = png(&plain(8, 4, RED));
    let plan = recipe("watermark").plan(&header(&bytes));
    let refused = render(&bytes, &header(&bytes), &[plan], &budget()).unwrap_err();
    assert_eq!(refused, Reject::NoWatermark);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_recipe_can_be_carried_out_and_comes_out_as_planned(recipe in any_recipe(60), which in 0_usize..6) {
        let bytes = match which {
            0 => png(&noise(1, 1)),
            1 => png(&noise(37, 1)),
            2 => png(&noise(1, 23)),
            3 => png(&noise(31, 17)),
            4 => with_segments(&jpeg(&drawing(43, 29)), &[exif_orientation(5)]),
            _ => progressive(&drawing(29, 43)),
        };
        let header = header(&bytes);
        let mark = overlay(&noise(3, 2));
        let plan = recipe.plan(&header);
        let trims = recipe.trim.is_some();
        let (width, height) = (plan.width, plan.height);
        let rendered = render_marked(&bytes, &header, &[plan], Some(&mark), &budget()).unwrap();
        let made = &rendered.pictures[0];
        prop_assert!(trims || (made.width, made.height) == (width, height));
        let read = imaging::probe(&made.bytes).unwrap();
        prop_assert_eq!((read.width, read.height), (made.width, made.height));
    }

    #[test]
    fn a_small_budget_refuses_and_nothing_else(recipe in any_recipe(8_192), memory in 0_u64..2_000_000) {
        let bytes = png(&noise(31, 17));
        let header = header(&bytes);
        let mark = overlay(&noise(3, 2));
        let plan = recipe.plan(&header);
        let budget = Budget { memory, ..budget() };
        if let Err(reject) = render_marked(&bytes, &header, &[plan], Some(&mark), &budget) {
            prop_assert_eq!(reject.code(), "too-large");
        }
    }
}

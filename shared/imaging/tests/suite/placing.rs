//! Where recipes put pixels, at sizes that are easily got wrong.

use imaging::render;

use crate::made::{
    Pixels, all, budget, drawing, exif_orientation, fixture, header, jpeg, jpeg_with, plain, png,
    progressive, with_segments,
};
use crate::operations::{RED, SIZES, cook, cut, file, noise, picked, quarters, recipe};

#[test]
fn what_changes_nothing_changes_nothing() {
    for (width, height) in SIZES {
        let picture = noise(width, height);
        let bytes = png(&picture);
        for text in [
            "",
            "w=8192",
            "w=8192,h=8192,fit=fill",
            "crop=0:0:1.0:1.0",
            "crop=0:0:999:999",
            "rotate=360",
            "flip=hv,rotate=180",
            "brightness=1,saturation=1",
            "linear",
            "pad=0,radius=0",
            "bg=transparent",
        ] {
            assert_eq!(cook(&bytes, text), picture, "{text} at {width}x{height}");
        }
        let exact = format!("w={width},h={height},fit=");
        for fit in ["inside", "cover", "contain", "fill"] {
            assert_eq!(cook(&bytes, &format!("{exact}{fit},enlarge")), picture, "{fit} at {width}x{height}");
        }
    }
}

#[test]
fn flips_and_turns_move_every_pixel_to_its_place() {
    for (width, height) in SIZES {
        let picture = noise(width, height);
        let bytes = png(&picture);
        let (w, h) = (width - 1, height - 1);
        let same = |from: &dyn Fn(u32, u32) -> (u32, u32)| picked(&picture, (width, height), from);
        let turned = |from: &dyn Fn(u32, u32) -> (u32, u32)| picked(&picture, (height, width), from);
        assert_eq!(cook(&bytes, "flip=h"), same(&|x, y| (w - x, y)));
        assert_eq!(cook(&bytes, "flip=v"), same(&|x, y| (x, h - y)));
        assert_eq!(cook(&bytes, "rotate=180"), same(&|x, y| (w - x, h - y)));
        assert_eq!(cook(&bytes, "rotate=90"), turned(&|x, y| (y, h - x)));
        assert_eq!(cook(&bytes, "rotate=-90"), turned(&|x, y| (w - y, x)));
        // First the flip, then the turn.
        assert_eq!(cook(&bytes, "flip=h,rotate=90"), turned(&|x, y| (w - y, h - x)));
    }
}

#[test]
fn a_crop_is_those_pixels() {
    let picture = noise(31, 17);
    let bytes = png(&picture);
    for (text, area) in [
        ("crop=0:0:1:1", (0, 0, 1, 1)),
        ("crop=30:16:1:1", (30, 16, 1, 1)),
        ("crop=5:3:7:11", (5, 3, 7, 11)),
        ("crop=5:3:100:100", (5, 3, 26, 14)),
        ("crop=0.5:0.5:0.5:0.5", (16, 9, 15, 8)), // 15.5 to 31, 8.5 to 17
        ("crop=10:0.0:3:1.0", (10, 0, 3, 17)),
        ("crop=500:500:5:5", (30, 16, 1, 1)),
        ("crop=0.0:0.0:0.0001:0.0001", (0, 0, 1, 1)),
    ] {
        assert_eq!(cook(&bytes, text), cut(&picture, area), "{text}");
    }
    // The crop comes first, whatever else there is.
    let turned = picked(&picture, (3, 5), |x, y| (10 + y, 4 + 2 - x));
    assert_eq!(cook(&bytes, "rotate=90,crop=10:4:5:3"), turned);
}

#[test]
fn crops_of_photographs_are_where_they_belong_in_every_orientation() {
    for (width, height) in [(160, 120), (161, 97)] {
        let stored = jpeg(&drawing(width, height));
        for value in 1..=8 {
            let bytes = with_segments(&stored, &[exif_orientation(value)]);
            let upright = all(&bytes);
            let (right, bottom) = (upright.width - 41, upright.height - 33);
            for (x, y) in [(0, 0), (7, 5), (right, bottom)] {
                let expected = cut(&upright, (x, y, 41, 33));
                let text = format!("crop={x}:{y}:41:33");
                assert_eq!(cook(&bytes, &text), expected, "{text}, orientation {value}");
                let mirrored = picked(&expected, (41, 33), |x, y| (40 - x, y));
                assert_eq!(cook(&bytes, &format!("{text},flip=h")), mirrored, "orientation {value}");
                // Smaller, and by luma and chroma.
                let small = cook(&png(&expected), "w=20,h=16,fit=fill");
                for format in ["png", "webp,q=95", "jpeg,q=95"] {
                    let found = all(&file(&bytes, &format!("{text},w=20,h=16,fit=fill,f={format}")));
                    let difference = found.difference(&small);
                    assert!(difference < 2.5, "{text} {format} {width}, orientation {value}: {difference}");
                }
            }
        }
    }
}

#[test]
fn the_focus_is_kept_in_sight() {
    let bytes = png(&quarters(80, 60));
    for (focus, colour) in [
        ("top-left", [255, 0, 0, 255]),
        ("top-right", [0, 255, 0, 255]),
        ("bottom-left", [0, 0, 255, 255]),
        ("bottom-right", [255, 255, 0, 255]),
    ] {
        let wide = cook(&bytes, &format!("w=80,h=30,fit=cover,focus={focus}"));
        let (x, y) = (if focus.ends_with("left") { 5 } else { 75 }, 15);
        assert_eq!(wide.at(x, y), colour, "{focus}");
    }
    // 20 pixels of 80 around x = 0.25, and as near as can be to x = 0.05.
    let slope = drawing(80, 40);
    let bytes = png(&slope);
    assert_eq!(cook(&bytes, "w=20,h=40,fit=cover,focus=0.25:0.5"), cut(&slope, (10, 0, 20, 40)));
    assert_eq!(cook(&bytes, "w=20,h=40,fit=cover,focus=0.05:0.5"), cut(&slope, (0, 0, 20, 40)));
    assert_eq!(cook(&bytes, "w=20,h=40,fit=cover,focus=right"), cut(&slope, (60, 0, 20, 40)));
    assert_eq!(cook(&bytes, "w=20,h=40,fit=cover"), cut(&slope, (30, 0, 20, 40)));
}

#[test]
fn every_orientation_is_cropped_to_cover_alike() {
    for (width, height) in [(160, 120), (121, 163)] {
        let stored = jpeg(&quarters(width, height));
        for value in 1..=8 {
            let bytes = with_segments(&stored, &[exif_orientation(value)]);
            let upright = png(&all(&bytes));
            for text in ["w=40,h=40,fit=cover,focus=0.3:0.8", "w=17,h=60,fit=cover,focus=left,flip=v"] {
                let expected = cook(&upright, text);
                for format in ["png", "webp,q=95", "jpeg,q=95"] {
                    let found = all(&file(&bytes, &format!("{text},f={format}")));
                    let difference = found.difference(&expected);
                    // Colours at half the size; the wrong orientation is off by 40 and more.
                    assert!(difference < 7.0, "{text} {format}, orientation {value}: {difference}");
                }
            }
        }
    }
}

#[test]
fn crop_then_resize_is_resize_then_crop() {
    let picture = drawing(240, 160);
    for bytes in [png(&picture), jpeg(&picture), progressive(&picture)] {
        let whole = cook(&bytes, "w=60");
        let part = cook(&bytes, "crop=80:40:120:80,w=30");
        let difference = part.difference(&cut(&whole, (20, 10, 30, 20)));
        assert!(difference < 1.0, "{difference}");
        // At a scale that is no whole number, by fractions of pixels.
        let whole = cook(&bytes, "w=96");
        let part = cook(&bytes, "w=60,h=64,fit=cover,focus=left");
        assert!(part.difference(&cut(&whole, (0, 0, 60, 64))) < 1.0);
    }
}

#[test]
fn what_is_cropped_away_is_not_seen() {
    // White around black.
    let mut picture = plain(100, 100, [255; 4]);
    for (at, pixel) in (0..10_000_u32).zip(&mut picture.rgba) {
        if (20..80).contains(&(at % 100)) && (20..80).contains(&(at / 100)) {
            *pixel = [0, 0, 0, 255];
        }
    }
    for text in ["crop=20:20:60:60,w=6", "crop=20:20:60:60,w=7,h=5,fit=cover", "crop=20:20:60:60,w=9,linear"]
    {
        let cooked = cook(&png(&picture), text);
        assert!(cooked.rgba.iter().all(|pixel| *pixel == [0, 0, 0, 255]), "{text}");
    }
}

#[test]
fn contain_puts_the_picture_where_it_is_asked_to() {
    let picture = noise(20, 10);
    let bytes = png(&picture);
    let middle = cook(&bytes, "w=21,h=21,fit=contain");
    assert_eq!((middle.width, middle.height), (21, 21));
    assert_eq!(cut(&middle, (0, 5, 20, 10)), picture);
    assert_eq!((middle.at(0, 4), middle.at(0, 15), middle.at(20, 8)), ([0; 4], [0; 4], [0; 4]));
    let corner = cook(&bytes, "w=21,h=21,fit=contain,focus=bottom-right,bg=00f");
    assert_eq!(corner.at(0, 0), [0, 0, 255, 255]);
    assert!(corner.rgba.iter().all(|pixel| pixel[3] == 255));
}

#[test]
fn nothing_gets_larger_unless_it_is_asked_to() {
    let bytes = png(&drawing(30, 20));
    for (text, size) in [
        ("w=60", (30, 20)),
        ("w=60,h=90", (30, 20)),
        ("w=60,h=10,fit=fill", (30, 10)),
        ("w=60,h=60,fit=cover", (20, 20)),
        ("w=60,h=15,fit=cover", (30, 8)),
        ("w=60,h=60,fit=contain", (60, 60)),
        ("w=60,enlarge", (60, 40)),
        ("h=61,enlarge", (92, 61)), // 91.5
        ("w=60,h=60,fit=cover,enlarge", (60, 60)),
        ("w=60,h=10,fit=fill,enlarge", (60, 10)),
    ] {
        let cooked = cook(&bytes, text);
        assert_eq!((cooked.width, cooked.height), size, "{text}");
    }
    let shown = cook(&bytes, "w=60,h=60,fit=contain");
    assert_eq!(cut(&shown, (15, 20, 30, 20)), drawing(30, 20));
    let larger = cook(&bytes, "w=90,enlarge");
    assert!(cook(&png(&larger), "w=30").difference(&drawing(30, 20)) < 1.0);
}

#[test]
fn borders_are_trimmed() {
    let bordered = |colour: [u8; 4], (left, top): (u32, u32), inner: &Pixels, (right, bottom): (u32, u32)| {
        let mut picture = plain(inner.width + left + right, inner.height + top + bottom, colour);
        for y in 0..inner.height {
            for x in 0..inner.width {
                picture.rgba[((y + top) * picture.width + x + left) as usize] = inner.at(x, y);
            }
        }
        picture
    };
    let inner = plain(9, 5, [200, 30, 30, 255]);
    for (colour, before, after) in [
        ([255; 4], (3, 1), (0, 7)),
        ([0, 0, 0, 255], (1, 1), (1, 1)),
        ([7, 99, 3, 0], (2, 5), (4, 3)),
        ([255; 4], (40, 2), (1, 30)),
    ] {
        let picture = bordered(colour, before, &inner, after);
        assert_eq!(cook(&png(&picture), "trim"), inner, "{colour:?}");
        assert_eq!(cook(&png(&picture), "trim=255"), picture, "nothing but border within 255 levels");
        assert_eq!(cook(&png(&picture), "trim,rotate=90"), cook(&png(&inner), "rotate=90"));
        let turned = with_segments(&jpeg(&picture), &[exif_orientation(6)]);
        if colour[3] == 255 {
            let found = cook(&turned, "trim=30");
            assert_eq!((found.width, found.height), (5, 9), "{colour:?}");
        }
    }
    let specks = bordered([255, 255, 255, 255], (4, 4), &plain(1, 1, [250, 250, 250, 255]), (4, 4));
    assert_eq!(cook(&png(&specks), "trim").width, 9);
    assert_eq!(cook(&png(&specks), "trim=4").width, 1);
    // What is within is then what `w` and `focus` are about, and crop comes before.
    let picture = bordered([255; 4], (10, 10), &quarters(20, 20), (10, 10));
    assert_eq!(cook(&png(&picture), "trim,w=10"), cook(&png(&quarters(20, 20)), "w=10"));
    let cropped = cook(&png(&picture), "crop=0:0:20:20,trim");
    assert_eq!(cropped, plain(10, 10, RED));
}

#[test]
fn luma_and_chroma_or_rgb_it_is_the_same_picture() {
    let smooth = jpeg_with(&drawing(403, 301), |encoder| {
        encoder.set_sampling_factor(jpeg_encoder::SamplingFactor::F_2_2);
    });
    for bytes in [fixture!("gps/DSCN0021.jpg").to_vec(), smooth] {
        for text in [
            "w=160",
            "w=75,h=75,fit=cover",
            "w=75,h=75,fit=cover,focus=0.1:0.9,rotate=90",
            "w=61,h=90,fit=fill",
            "crop=0.25:0.25:0.5:0.5,w=100",
            "crop=33:21:201:151",
            "crop=0.1:0.6:0.3:0.3,w=33,flip=h",
        ] {
            let by_pixels = cook(&bytes, text);
            for format in ["webp", "jpeg"] {
                let straight = all(&file(&bytes, &format!("{text},q=97,f={format}")));
                let through = all(&file(&png(&by_pixels), &format!("q=97,f={format}")));
                let (a, b) = (straight.difference(&by_pixels), through.difference(&by_pixels));
                // From pixels, JPEG may keep its chroma whole.
                assert!(a < b * 1.15 + 2.0, "{text} {format}: {a}, and {b} through RGB");
            }
        }
    }
}

#[test]
fn together_or_alone_it_is_the_same_picture() {
    const TEXTS: [&str; 9] = [
        "w=120,f=png",
        "w=60,f=png",
        "w=60,h=60,fit=cover,f=png",
        "w=30,h=30,fit=cover,f=png",
        "w=40,rotate=90,f=png",
        "w=50,blur=2,f=png",
        "trim,w=60,f=png",
        "crop=10:10:60:60,f=png",
        "w=20,h=90,fit=fill,f=png",
    ];
    let picture = quarters(200, 130);
    for bytes in [png(&picture), jpeg(&picture), png(&drawing(90, 31))] {
        let header = header(&bytes);
        let plans: Vec<_> = TEXTS.iter().map(|text| recipe(text).plan(&header)).collect();
        let together = render(&bytes, &header, &plans, &budget()).unwrap();
        for (picture, text) in together.pictures.iter().zip(TEXTS) {
            let alone = all(&file(&bytes, text));
            let difference = all(&picture.bytes).difference(&alone);
            // From the next larger one or from the whole, a hard edge is not the very same.
            assert!(difference < 2.0, "{text}: {difference}");
        }
    }
}

#[test]
fn a_plan_can_be_read() {
    let header = header(&jpeg(&drawing(400, 300)));
    let text =
        recipe("crop=10:20:300:200,w=90,h=90,fit=cover,rotate=5,sharpen=light,pad=3,f=jpeg").plan(&header);
    let steps: Vec<_> =
        text.to_string().lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(
        steps,
        ["decode", "crop", "resize", "colour", "orient", "rotate", "sharpen", "extend", "flatten", "encode"]
    );
}

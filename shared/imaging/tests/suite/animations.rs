//! Animations, in and out: every frame shows as other decoders show it, for as long as it did.

use std::time::Instant;

use imaging::recipe::{OutputFormat, Recipe};
use imaging::{Format, Limits, probe};

use crate::made::{all, budget, chunk, drawing, header, look, plain};
use crate::moving::{
    Part, Shown, animate, animated, delays, exactly_remade, moving_gif, moving_png, moving_webp, part, parts,
    played, plays, remade, shown,
};

const CANVAS: (u32, u32) = (24, 18);
const SCREEN: (u16, u16) = (24, 18);

struct Made {
    name: &'static str,
    file: Vec<u8>,
    shows: Vec<Shown>,
}

fn files() -> Vec<Made> {
    let mut replaced = parts(&[0, 1, 0, 1, 1, 0]);
    replaced.iter_mut().step_by(2).for_each(|part| part.over = false);
    let gif = |name, disposals: &[u8], repeats| {
        let parts = parts(disposals);
        let shows = played(CANVAS, &parts, Format::Gif);
        Made { name, file: moving_gif(SCREEN, &parts, repeats), shows }
    };
    let png = |name, parts: &[Part], still| {
        let shows = played(CANVAS, parts, Format::Png);
        Made { name, file: moving_png(CANVAS, parts, 3, still), shows }
    };
    let webp = |name, parts: &[Part]| {
        let shows = played(CANVAS, parts, Format::Webp);
        Made { name, file: moving_webp(CANVAS, parts, 7), shows }
    };
    vec![
        gif("gif", &[1, 2, 3, 0, 3, 2, 1], Some(0)),
        gif("gif, disposed of from the first", &[2, 3, 1, 2], Some(4)),
        gif("gif, undone from the first", &[3, 3, 1, 2], None),
        gif("gif of what is not specified", &[1, 4, 5, 6, 4, 7, 1], None),
        png("png", &parts(&[0, 1, 2, 0, 2, 1, 0]), None),
        png("png, undone from the first", &parts(&[2, 2, 1, 0]), None),
        png("png, replacing", &replaced, Some(&plain(24, 18, [9, 9, 9, 255]))),
        webp("webp", &parts(&[0, 1, 1, 0, 0, 1])),
        webp("webp, replacing", &replaced),
    ]
}

#[test]
fn every_frame_shows_as_specified_whatever_becomes_of_the_one_before() {
    for Made { name, file, shows } in files() {
        for after in [remade(&file, OutputFormat::Gif), exactly_remade(&file)] {
            let after = shown(&after);
            assert_eq!(after.len(), shows.len(), "{name}");
            for (number, (before, after)) in shows.iter().zip(&after).enumerate() {
                assert!(after == before, "{name}, frame {number}");
            }
        }
    }
}

#[test]
fn smooth_frames_come_out_close() {
    let frame = |salt: u32| {
        let mut pixels = drawing(60, 40);
        for pixel in &mut pixels.rgba[salt as usize * 300..][..300] {
            *pixel = [200, 40, 90, 255];
        }
        Part { pixels, ..part(salt, (0, 0, 60, 40), 0) }
    };
    let frames = [frame(0), frame(1), frame(2)];
    let file = moving_png((60, 40), &frames, 0, None);
    let before = played((60, 40), &frames, Format::Png);
    // To be looked at, WebP becomes GIF.
    for (format, most) in [(OutputFormat::Gif, 5.0), (OutputFormat::Webp, 8.0)] {
        let after = shown(&remade(&file, format));
        assert_eq!(after.len(), 3);
        for (before, after) in before.iter().zip(&after) {
            let difference = after.pixels.difference(&before.pixels);
            assert!(difference < most, "{format:?}: {difference}");
        }
    }
}

#[test]
fn frames_are_cut_at_the_edge_of_the_canvas() {
    let boxes = [(0, 0, 24, 18), (20, 12, 30, 40), (0, 0, 60, 50), (90, 90, 5, 5), (3, 3, 4, 4)];
    let frames: Vec<Part> = boxes
        .iter()
        .zip(1..)
        .map(|(&area, salt)| part(salt, area, u8::try_from(salt % 4).unwrap()))
        .collect();
    let file = moving_gif(SCREEN, &frames, Some(0));
    assert!(shown(&remade(&file, OutputFormat::Gif)) == played(CANVAS, &frames, Format::Gif));
}

#[test]
fn a_picture_that_is_not_part_of_the_animation_is_what_a_still_shows() {
    let still = drawing(24, 18);
    let file = moving_png(CANVAS, &parts(&[0, 0, 0]), 2, Some(&still));
    assert_eq!(header(&file).frames, 3);
    assert_eq!(all(&file), still);
    assert_eq!(shown(&remade(&file, OutputFormat::Gif)).len(), 3);
}

#[test]
fn delays_are_those_of_browsers_and_add_up() {
    let timed = |delays: &[u32]| -> Vec<Part> {
        let salted = delays.iter().zip(0..);
        salted.map(|(&milliseconds, salt)| Part { milliseconds, ..part(salt, (0, 0, 24, 18), 0) }).collect()
    };
    let file = moving_gif(SCREEN, &timed(&[0, 10, 20, 30, 655_350]), None);
    for format in [OutputFormat::Gif, OutputFormat::Webp] {
        assert_eq!(delays(&remade(&file, format)), [100, 100, 20, 30, 655_350]);
    }

    let file = moving_webp(CANVAS, &timed(&[33, 33, 34, 33, 33, 34, 5, 11]), 0);
    assert_eq!(delays(&remade(&file, OutputFormat::Webp)), [33, 33, 34, 33, 33, 34, 100, 11]);
    assert_eq!(delays(&remade(&file, OutputFormat::Gif)), [30, 40, 30, 30, 40, 30, 100, 20]);

    let file = moving_png(CANVAS, &timed(&[25; 8]), 0, None);
    assert_eq!(delays(&remade(&file, OutputFormat::Gif)), [30, 20, 30, 20, 30, 20, 30, 20]);
}

#[test]
fn animations_play_as_often_as_they_did() {
    let frames = parts(&[1, 1]);
    for (file, times) in [
        (moving_gif(SCREEN, &frames, None), 1),
        (moving_gif(SCREEN, &frames, Some(0)), 0),
        (moving_gif(SCREEN, &frames, Some(1)), 2),
        (moving_gif(SCREEN, &frames, Some(65_534)), 65_535),
        (moving_webp(CANVAS, &frames, 0), 0),
        (moving_webp(CANVAS, &frames, 1), 1),
        (moving_webp(CANVAS, &frames, 65_535), 65_535),
        (moving_png(CANVAS, &frames, 0, None), 0),
        (moving_png(CANVAS, &frames, 12, None), 12),
        (moving_png(CANVAS, &frames, 100_000, None), 65_535),
    ] {
        assert_eq!(plays(&remade(&file, OutputFormat::Webp)), times);
        let gif = plays(&remade(&file, OutputFormat::Gif));
        assert!(gif == times || (times, gif) == (65_535, 65_536), "{gif} and not {times}");
    }
}

#[test]
fn animations_get_smaller_in_one_pass_and_stills_stay_stills() {
    let file = moving_gif(SCREEN, &parts(&[1, 2, 3, 0, 3, 2]), Some(0));
    let still = Recipe { animated: false, ..animated(12, OutputFormat::Webp) };
    let recipes = [
        animated(6, OutputFormat::Gif),
        still,
        animated(12, OutputFormat::Webp),
        animated(12, OutputFormat::Gif),
        animated(12, OutputFormat::Png),
        animated(12, OutputFormat::Jpeg),
        animated(6, OutputFormat::Gif),
    ];
    let pictures = animate(&file, &recipes).unwrap();
    let frames: Vec<u32> = pictures.iter().map(|picture| header(&picture.bytes).frames).collect();
    assert_eq!(frames, [6, 1, 6, 6, 1, 1, 6]);
    for (picture, recipe) in pictures.iter().zip(&recipes) {
        assert_eq!((picture.width, picture.encoding), (recipe.width.unwrap().pixels(), recipe.encoding));
        let made = header(&picture.bytes);
        assert_eq!((made.width, made.height), (picture.width, picture.height));
    }
    assert_eq!(pictures[0], pictures[6]);
    // The first frame of a moving rendering is the still one.
    assert!(all(&pictures[3].bytes).difference(&look(&file, 12)) < 1.0);
    // Alone or together, they are the same.
    assert_eq!(animate(&file, &recipes[2..3]).unwrap()[0], pictures[2]);

    // A picture that does not move has nothing to animate.
    let picture = crate::made::png(&drawing(20, 10));
    assert_eq!(header(&remade(&picture, OutputFormat::Webp)).frames, 1);
    let gif = remade(&picture, OutputFormat::Gif);
    assert_eq!(header(&gif).frames, 1);
    assert!(all(&gif).difference(&drawing(20, 10)) < 4.0);
}

#[test]
fn what_is_asked_for_is_done_to_every_frame() {
    let file = moving_gif(SCREEN, &parts(&[1, 2, 3, 0]), Some(0));
    let recipes = ["f=gif,animated,gray,flip=h", "f=gif,animated,crop=2:4:8:6", "f=gif,animated,bg=fff"];
    let recipes = recipes.map(|text| text.parse::<Recipe>().unwrap());
    let made = animate(&file, &recipes).unwrap();
    let before = played(CANVAS, &parts(&[1, 2, 3, 0]), Format::Gif);
    let [gray, cropped, flat] = [0, 1, 2].map(|at: usize| shown(&made[at].bytes));
    for frame in 0..4 {
        let (before, gray) = (&before[frame].pixels, &gray[frame].pixels);
        for (x, y) in [(0, 0), (3, 5), (10, 17), (23, 9)] {
            let ([r, g, b, alpha], was) = (gray.at(23 - x, y), before.at(x, y));
            assert_eq!(alpha, was[3]);
            assert!(r == g && g == b);
        }
        assert_eq!((cropped[frame].pixels.width, cropped[frame].pixels.height), (8, 6));
        for (x, y) in [(0, 0), (7, 5), (4, 2)] {
            assert_eq!(cropped[frame].pixels.at(x, y), before.at(x + 2, y + 4));
        }
        assert!(flat[frame].pixels.rgba.iter().all(|pixel| pixel[3] == 255));
    }
}

#[test]
fn animations_of_nothing_stay_that() {
    let nothing = |salt| {
        let mut part = part(salt, (0, 0, 24, 18), 2);
        part.pixels.rgba.fill([0; 4]);
        part
    };
    let file = moving_gif(SCREEN, &[nothing(1), nothing(2), part(3, (4, 4, 5, 5), 2), nothing(4)], Some(0));
    for format in [OutputFormat::Gif, OutputFormat::Webp] {
        let after = shown(&remade(&file, format));
        assert_eq!(after.iter().map(|shown| shown.milliseconds).collect::<Vec<_>>(), [90, 60, 70]);
        assert!(after[1].pixels.at(5, 5)[3] > 0 || after[1].pixels.at(6, 5)[3] > 0);
        assert_eq!(after[0].pixels, plain(24, 18, [0; 4]));
        assert_eq!(after[2].pixels, plain(24, 18, [0; 4]));
    }
}

#[test]
fn what_does_not_change_is_not_stored_again() {
    let mut frames = vec![part(0, (0, 0, 200, 150), 1)];
    frames.extend((1..20).map(|salt| part(salt, (20 + salt, 30, 6, 6), 1)));
    let file = moving_gif((200, 150), &frames, Some(0));
    for format in [OutputFormat::Gif, OutputFormat::Webp] {
        let first = remade(&moving_gif((200, 150), &frames[..2], Some(0)), format).len();
        let whole = remade(&file, format).len();
        assert!(
            whole < first + 19 * 500,
            "{format:?}: {whole} bytes, of which the first frame takes {first}"
        );
    }
    // Nor are frames in which nothing happens.
    let same = vec![part(0, (0, 0, 24, 18), 1); 5];
    let made = remade(&moving_gif(SCREEN, &[&same[..], &parts(&[1, 1])].concat(), None), OutputFormat::Gif);
    assert_eq!((header(&made).frames, delays(&made)), (2, vec![6 * 30, 40]));
}

#[test]
fn frames_without_a_size_wait_and_draw_nothing() {
    let mut frames = parts(&[1, 2, 1]);
    frames.insert(2, part(9, (4, 4, 0, 0), 1));
    let after = shown(&remade(&moving_gif(SCREEN, &frames, None), OutputFormat::Gif));
    assert_eq!(after.iter().map(|shown| shown.milliseconds).collect::<Vec<_>>(), [30, 40, 120, 50]);
    // The one before is disposed of all the same.
    assert_eq!(after[2].pixels.at(2, 2), [0; 4]);
}

#[test]
fn frames_after_the_end_are_not_there() {
    let file = moving_gif(SCREEN, &parts(&[1, 1]), Some(0));
    let more = moving_gif(SCREEN, &parts(&[1, 1, 1]), Some(0));
    let made = remade(&[&file[..], &more[13..]].concat(), OutputFormat::Gif);
    assert_eq!(made, remade(&file, OutputFormat::Gif));
}

#[test]
fn thousands_of_empty_frames_are_too_many_and_hundreds_become_one() {
    let empty: Vec<Part> = (0..3_000).map(|_| part(0, (0, 0, 1, 1), 1)).collect();
    let file = moving_gif((500, 500), &empty, Some(0));
    assert_eq!(animate(&file, &[animated(500, OutputFormat::Gif)]).unwrap_err().code(), "too-many-frames");

    let file = moving_gif((100, 100), &empty[..1_000], Some(0));
    let made = remade(&file, OutputFormat::Gif);
    assert_eq!((header(&made).frames, delays(&made)), (1, vec![30_000]));
}

#[test]
fn an_animation_that_breaks_its_promise_is_refused() {
    // Fewer frames than announced.
    let file = moving_png(CANVAS, &parts(&[0, 0, 0]), 0, None);
    let at = file.windows(4).position(|name| name == b"acTL").unwrap() - 4;
    let more = chunk(*b"acTL", &[0, 0, 0, 9, 0, 0, 0, 0]);
    let file = [&file[..at], &more, &file[at + 20..]].concat();
    assert!(animate(&file, &[animated(24, OutputFormat::Webp)]).is_err());

    // A frame with data for half of it.
    let mut file = moving_gif(SCREEN, &parts(&[1, 1, 1]), None);
    let last = file.windows(4).rposition(|window| window == [0x21, 0xf9, 4, 4]).unwrap() + 8;
    assert_eq!(file[last], 0x2c);
    file[last + 7] = 200;
    assert_eq!(animate(&file, &[animated(24, OutputFormat::Webp)]).unwrap_err().code(), "undecodable");
}

#[test]
fn no_part_of_an_animation_passes_for_the_whole() {
    for Made { name, file, .. } in files() {
        for end in (0..file.len()).step_by(7).chain(file.len() - 30..file.len()) {
            let reject = animate(&file[..end], &[animated(24, OutputFormat::Webp)]).expect_err(name);
            if end > 40 {
                assert_eq!(reject.code(), "truncated", "{name} cut at {end} of {}", file.len());
            }
        }
    }
}

#[test]
fn flipped_bits_in_animations_end_in_pictures_or_an_error() {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % below as u64).unwrap()
    };
    for Made { name, file, .. } in files() {
        for round in 0..150 {
            let mut broken = file.clone();
            for _ in 0..=random(4) {
                broken[random(file.len())] ^= 1 << random(8);
            }
            let recipes = [animated(20, OutputFormat::Webp), animated(10, OutputFormat::Gif)];
            if let Ok(pictures) = animate(&broken, &recipes) {
                assert_eq!(pictures.len(), 2, "{name} round {round}");
            }
        }
    }
}

#[test]
fn the_budget_of_an_animation_is_kept() {
    let file = moving_gif((400, 300), &[part(0, (0, 0, 400, 300), 1), part(1, (0, 0, 400, 300), 1)], None);
    let made = probe(&file).unwrap();
    let plans = [animated(400, OutputFormat::Webp).plan(&made)];
    let mut late = budget();
    late.deadline = Instant::now();
    assert_eq!(imaging::render(&file, &made, &plans, &late).unwrap_err().code(), "out-of-time");

    let mut poor = budget();
    poor.memory = 10 * 400 * 300 * 4;
    assert_eq!(imaging::render(&file, &made, &plans, &poor).unwrap_err().code(), "too-large");
    poor.memory = 20 * 400 * 300 * 4;
    imaging::render(&file, &made, &plans, &poor).unwrap();

    let tight = Limits { frame_pixels: 2 * 400 * 300 - 1, ..Limits::default() };
    assert_eq!(tight.check(&made, file.len() as u64).unwrap_err().code(), "too-large");
}

#[test]
fn a_watermark_is_brought_to_size_once_for_all_frames() {
    let mark = crate::made::png(&drawing(2_000, 1_500));
    let mark = imaging::Overlay::decode(&mark, &Limits::default(), &budget()).unwrap();
    let took = |frames: u32| {
        let frames: Vec<_> = (0..frames).map(|at| part(at % 2, (0, 0, 20, 15), 1)).collect();
        let file = moving_gif((20, 15), &frames, None);
        let header = header(&file);
        let plans = ["f=webp,animated,watermark".parse::<imaging::Recipe>().unwrap().plan(&header)];
        assert!(plans[0].animated);
        let start = Instant::now();
        imaging::pictures(&file, &header, &plans, Some(&mark), &budget()).unwrap();
        start.elapsed()
    };
    let (few, many) = (took(2), took(90));
    assert!(many < 15 * few, "{few:?} for 2 frames, {many:?} for 90");
}

#[test]
fn cleaning_keeps_what_moves() {
    for Made { name, file, .. } in files() {
        let cleaned = imaging::clean(&file, &header(&file), &budget()).unwrap().bytes;
        assert_eq!(cleaned, file, "{name}");
    }
}

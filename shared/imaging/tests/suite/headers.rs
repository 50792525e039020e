//! `probe` and `Limits`: what a header read can tell, and what it costs.

use std::time::{Duration, Instant};

use imaging::{Format, Limits, Orientation, Reject, probe};

use crate::made::{animated_webp, chunk, drawing, extended, fixture, gif, header, jpeg, png, riff, segment};

#[test]
fn the_format_is_told_by_the_magic_bytes() {
    let size = |bytes: &[u8]| {
        let header = header(bytes);
        (header.format, header.width, header.height, header.alpha)
    };
    assert_eq!(size(&jpeg(&drawing(9, 5))), (Format::Jpeg, 9, 5, false));
    assert_eq!(size(&png(&drawing(9, 5))), (Format::Png, 9, 5, true));
    assert_eq!(size(&gif((9, 5), &[(0, 0, 9, 5)], false)), (Format::Gif, 9, 5, false));
    assert_eq!(size(fixture!("made/lossy.webp")), (Format::Webp, 97, 61, false));
    assert_eq!(size(fixture!("made/lossy-alpha.webp")), (Format::Webp, 97, 61, true));
    assert_eq!(size(fixture!("made/lossless.webp")), (Format::Webp, 97, 61, false));
    assert_eq!(size(fixture!("made/lossless-alpha.webp")), (Format::Webp, 97, 61, true));
    assert_eq!(size(fixture!("pngsuite/tp0n3p08.png")), (Format::Png, 32, 32, false));
    assert_eq!(size(fixture!("pngsuite/tbbn3p08.png")), (Format::Png, 32, 32, true));
}

#[test]
fn what_is_no_image_and_what_is_another_one_are_told_apart() {
    for bytes in [&b""[..], b"\xff", b"GIF", b"<svg/>", b"%PDF-1.7", b"RIFF\x10\0\0\0WAVE", b"aaaaaaaaWEBP"] {
        assert_eq!(probe(bytes).unwrap_err(), Reject::NotAnImage);
    }
    for bytes in [&b"8BPS\0\x01"[..], b"\xff\x0a\xfa", b"\0\0\0\x0cjP  \r\n\x87\n"] {
        assert_eq!(probe(bytes).unwrap_err().code(), "unsupported-format");
    }
}

#[test]
fn jpeg_of_other_processes_is_refused_by_name() {
    for (marker, name) in [(0xc9, "Arithmetic"), (0xc3, "Lossless"), (0xc5, "Hierarchical")] {
        let mut file = jpeg(&drawing(9, 5));
        let frame = file.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
        file[frame + 1] = marker;
        let reject = probe(&file).unwrap_err();
        assert_eq!(reject.code(), "unsupported-format");
        assert!(reject.to_string().starts_with(name), "{reject}");
    }
    let mut file = jpeg(&drawing(9, 5));
    let frame = file.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    file[frame + 4] = 12;
    assert_eq!(probe(&file).unwrap_err().code(), "unsupported-format");
}

#[test]
fn dimensions_are_upright() {
    let upright = header(fixture!("orientation/Landscape_6.jpg"));
    assert_eq!((upright.width, upright.height), (240, 160));
    assert_eq!(upright.orientation, Orientation::Turn90);
    let stored = header(fixture!("orientation/Landscape_2.jpg"));
    assert_eq!((stored.width, stored.height), (240, 160));
}

#[test]
fn frames_are_counted_without_decoding_any() {
    let frames = vec![(0, 0, 2, 2); 10_000];
    let file = gif((2, 2), &frames, false);
    let start = Instant::now();
    let header = header(&file);
    assert!(start.elapsed() < Duration::from_millis(200));
    assert_eq!(header.frames, 10_000);
    assert_eq!(
        Limits::default().check(&header, file.len() as u64).unwrap_err(),
        Reject::TooManyFrames { found: 10_000, limit: 1_000 }
    );
    assert_eq!(probe(&animated_webp((8, 6), (0, 0))).unwrap().frames, 2);
    let still = png(&drawing(3, 3));
    let animation = [&still[..33], &chunk(*b"acTL", &[0, 0, 0, 7, 0, 0, 0, 0]), &still[33..]].concat();
    assert_eq!(probe(&animation).unwrap().frames, 7);
}

#[test]
fn a_bomb_costs_a_header_read() {
    let huge = 65_000_u32.to_be_bytes();
    let header_chunk = chunk(*b"IHDR", &[&huge[..], &huge, &[8, 6, 0, 0, 0]].concat());
    let png = [b"\x89PNG\r\n\x1a\n", &header_chunk[..], &chunk(*b"IDAT", &[0; 900]), &chunk(*b"IEND", &[])]
        .concat();
    assert!(png.len() < 1024);

    let mut jpeg = jpeg(&drawing(9, 5));
    let frame = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 9].fill(0xff);

    let webp = riff(&[extended(0x02, 1 << 24, 1 << 24), crate::made::riff_chunk(*b"ANMF", &[0; 16])]);
    let gif = gif((2, 2), &[(0, 0, 2, 2)], false);
    let mut wide = gif.clone();
    wide[6..10].fill(0xff);
    // A frame of four gigapixels on a screen of four pixels.
    let mut large_frame = gif;
    let descriptor = large_frame.windows(9).position(|nine| nine == [0x2c, 0, 0, 0, 0, 2, 0, 2, 0]);
    let at = descriptor.unwrap() + 5;
    large_frame[at..at + 4].fill(0xff);

    for bomb in [png, jpeg, webp, wide, large_frame] {
        let header = probe(&bomb).unwrap();
        let reject = Limits::default().check(&header, bomb.len() as u64).unwrap_err();
        assert_eq!(reject.code(), "too-large", "{header:?}");
    }
}

#[test]
fn limits_hold_for_every_number_and_do_not_overflow() {
    let limits = Limits::default();
    let fine = header(&png(&drawing(10, 10)));
    limits.check(&fine, 1_000).unwrap();
    assert_eq!(limits.check(&fine, limits.bytes + 1).unwrap_err().code(), "too-large");
    for (width, height, frames, code) in [
        (30_001, 1, 1, "too-large"),
        (1, 30_001, 1, "too-large"),
        (12_000, 10_001, 1, "too-large"),
        (u32::MAX, u32::MAX, u32::MAX, "too-large"),
        (10, 10, 1_001, "too-many-frames"),
        (1_000, 1_000, 501, "too-large"),
    ] {
        let mut header = fine.clone();
        (header.width, header.height, header.frames) = (width, height, frames);
        assert_eq!(limits.check(&header, 1).unwrap_err().code(), code, "{header:?}");
    }
    let mut largest = fine;
    (largest.width, largest.height) = (12_000, 10_000);
    limits.check(&largest, 1).unwrap();
}

#[test]
fn a_picture_without_a_side_or_without_a_frame_is_no_picture() {
    let mut flat = png(&drawing(3, 3));
    flat[16..20].fill(0);
    let endless = [&b"\xff\xd8"[..], &segment(0xc0, &[8, 0, 0, 0, 5, 1, 1, 0x11, 0])].concat();
    let bare = gif((5, 5), &[], false);
    for file in [flat, [endless, segment(0xda, &[1, 1, 0, 0, 63, 0])].concat(), bare] {
        assert_eq!(probe(&file).unwrap_err().code(), "undecodable");
    }
}

#[test]
fn rejects_read_as_sentences() {
    for reject in [
        Reject::NotAnImage,
        Reject::UnsupportedFormat("TIFF"),
        Reject::Truncated,
        Reject::TooManyFrames { found: 9, limit: 5 },
        Reject::Undecodable("its frame header"),
        Reject::OutOfTime,
    ] {
        let sentence = reject.to_string();
        assert!(sentence.ends_with('.') && sentence.starts_with(char::is_uppercase), "{sentence}");
        assert!(reject.code().chars().all(|c| c == '-' || c.is_ascii_lowercase()));
    }
}

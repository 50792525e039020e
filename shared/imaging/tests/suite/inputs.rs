//! AVIF, HEIC, TIFF and BMP: every kind of each shows the picture it was made from.

use std::time::{Duration, Instant};

use imaging::{Budget, Format, Limits, Orientation, Reject, probe};

use crate::made::{Pixels, all, budget, fixture, header, process};

fn drawing() -> Pixels {
    all(fixture!("made/small-drawing.png"))
}

fn drawing_with_alpha() -> Pixels {
    all(fixture!("made/drawing-alpha.png"))
}

macro_rules! shows {
    ($expected:expr, $format:expr, $alpha:expr, $difference:expr, $($name:literal)*) => {
        $({
            let file = fixture!($name);
            let header = header(file);
            let found = (header.format, header.alpha, header.frames);
            assert_eq!(found, ($format, $alpha, 1), $name);
            let difference = all(file).difference(&$expected);
            assert!(difference <= $difference, "{}: {difference}", $name);
        })*
    };
}

#[test]
fn avif_of_every_kind_shows_its_picture() {
    let expected = drawing();
    shows!(expected, Format::Avif, false, 3.0, "avif/420.avif" "avif/422.avif" "avif/limited.avif");
    shows!(expected, Format::Avif, false, 1.5, "avif/444.avif");
    shows!(drawing_with_alpha(), Format::Avif, true, 1.5, "avif/alpha.avif" "avif/premultiplied.avif");
    shows!(gray(&expected), Format::Avif, false, 1.0, "avif/gray.avif");
    shows!(all(fixture!("made/grid.png")), Format::Avif, false, 1.5, "avif/grid.avif");
}

#[test]
fn heic_of_every_kind_shows_its_picture() {
    let expected = drawing();
    shows!(expected, Format::Heic, false, 2.5, "heic/420.heic" "heic/422.heic" "heic/10bit.heic");
    shows!(expected, Format::Heic, false, 1.0, "heic/444.heic");
    shows!(drawing_with_alpha(), Format::Heic, true, 1.0, "heic/alpha.heic");
    shows!(gray(&expected), Format::Heic, false, 1.0, "heic/gray.heic");
    shows!(all(fixture!("made/grid.png")), Format::Heic, false, 1.0, "heic/grid.heic");
}

#[test]
fn tiff_of_every_kind_shows_its_picture() {
    let expected = drawing();
    shows!(expected, Format::Tiff, false, 0.0,
        "tiff/rgb-none.tiff" "tiff/rgb-lzw.tiff" "tiff/rgb-deflate.tiff" "tiff/rgb-packbits.tiff"
        "tiff/strips-lzw.tiff" "tiff/tiles-deflate.tiff" "tiff/planar-strips.tiff" "tiff/pages.tiff"
        "tiff/unspecified-extra.tiff");
    shows!(expected, Format::Tiff, false, 0.5, "tiff/rgb16-deflate.tiff" "tiff/rgb16-big-endian.tiff");
    shows!(expected, Format::Tiff, false, 5.0, "tiff/rgb-jpeg.tiff" "tiff/tiles-jpeg.tiff");
    // 200 colours and 16.
    shows!(expected, Format::Tiff, false, 5.0, "tiff/palette.tiff");
    shows!(expected, Format::Tiff, false, 20.0, "tiff/palette4.tiff");
    // As libvips shows ink without a profile.
    let ink = all(fixture!("made/ink.png"));
    shows!(ink, Format::Tiff, false, 1.0, "tiff/cmyk.tiff");
    shows!(ink, Format::Tiff, false, 6.0, "tiff/cmyk-jpeg.tiff");
    let alpha = drawing_with_alpha();
    shows!(alpha, Format::Tiff, true, 0.0, "tiff/rgba.tiff" "tiff/planar-tiles.tiff");
    shows!(alpha, Format::Tiff, true, 0.5, "tiff/rgba16.tiff" "tiff/associated.tiff");
    shows!(gray(&expected), Format::Tiff, false, 0.0, "tiff/gray-lzw.tiff");
    shows!(gray(&expected), Format::Tiff, false, 2.0, "tiff/gray-jpeg.tiff");
    shows!(gray(&expected), Format::Tiff, true, 0.0, "tiff/graya.tiff");
    shows!(one_channel(&expected, |green| green), Format::Tiff, false, 0.5, "tiff/gray16.tiff");
    shows!(one_channel(&expected, |green| green), Format::Tiff, false, 0.0, "tiff/white-is-zero.tiff");
    shows!(one_channel(&expected, |green| green / 17 * 17), Format::Tiff, false, 0.0, "tiff/gray4.tiff");
    assert_eq!(all(fixture!("tiff/bits1.tiff")), all(fixture!("bmp/bits1.bmp")));
}

#[test]
fn bmp_of_every_kind_shows_its_picture() {
    let expected = drawing();
    shows!(expected, Format::Bmp, false, 0.0,
        "bmp/rgb24.bmp" "bmp/top-down.bmp" "bmp/rgbx32.bmp" "bmp/os2.bmp");
    shows!(expected, Format::Bmp, false, 4.0, "bmp/rgb555.bmp" "bmp/rgb565.bmp");
    shows!(drawing_with_alpha(), Format::Bmp, true, 0.0, "bmp/v4-alpha.bmp" "bmp/v5-alpha.bmp");
    shows!(gray(&expected), Format::Bmp, false, 0.0, "bmp/gray8.bmp");
    let (full, sixteen) = (all(fixture!("tiff/palette.tiff")), all(fixture!("tiff/palette4.tiff")));
    shows!(full, Format::Bmp, false, 0.0, "bmp/palette8.bmp" "bmp/rle8.bmp");
    shows!(sixteen, Format::Bmp, false, 0.0, "bmp/palette4.bmp" "bmp/rle4.bmp");
}

/// As Pillow makes it: ITU-R BT.601 in 16-bit fixed point.
fn gray(picture: &Pixels) -> Pixels {
    let rgba = picture.rgba.iter().map(|&[r, g, b, a]| {
        let luma = 19_595 * u32::from(r) + 38_470 * u32::from(g) + 7_471 * u32::from(b) + 0x8000;
        let luma = u8::try_from(luma >> 16).unwrap();
        [luma, luma, luma, a]
    });
    Pixels { rgba: rgba.collect(), ..*picture }
}

fn one_channel(picture: &Pixels, change: impl Fn(u8) -> u8) -> Pixels {
    let rgba = picture.rgba.iter().map(|&[_, green, _, a]| {
        let gray = change(green);
        [gray, gray, gray, a]
    });
    Pixels { rgba: rgba.collect(), ..*picture }
}

#[test]
fn heif_turns_by_its_properties() {
    let expected = drawing();
    for (file, orientation) in [
        (fixture!("avif/turned-2.avif"), Orientation::Mirror),
        (fixture!("avif/turned-4.avif"), Orientation::Flip),
        (fixture!("avif/turned-5.avif"), Orientation::Transpose),
        (fixture!("avif/turned-7.avif"), Orientation::Transverse),
        (fixture!("avif/turned-8.avif"), Orientation::Turn270),
    ] {
        let header = header(file);
        assert_eq!(header.orientation, orientation);
        let (shown, (last_x, last_y)) = (all(file), (expected.width - 1, expected.height - 1));
        assert_eq!((shown.width, shown.height), (header.width, header.height));
        let mut upright = expected.clone();
        upright.width = shown.width;
        upright.height = shown.height;
        upright.rgba = (0..shown.height)
            .flat_map(|y| (0..shown.width).map(move |x| (x, y)))
            .map(|(x, y)| match orientation {
                Orientation::Mirror => expected.at(last_x - x, y),
                Orientation::Flip => expected.at(x, last_y - y),
                Orientation::Transpose => expected.at(y, x),
                Orientation::Transverse => expected.at(last_x - y, last_y - x),
                _ => expected.at(last_x - y, x),
            })
            .collect();
        let difference = shown.difference(&upright);
        assert!(difference < 1.5, "{orientation:?}: {difference}");
    }
}

#[test]
fn the_exif_block_does_not_turn_heif() {
    // Both say "turn by 90 degrees"; then the property says that there is nothing to do.
    let mut file = fixture!("heic/exif.heic").to_vec();
    assert!(file.windows(10).any(|ten| ten == b"\x01\x12\0\x03\0\0\0\x01\0\x06"));
    assert_eq!(header(&file).orientation, Orientation::Turn90);
    let turned = all(&file);
    let property = file.windows(4).position(|kind| kind == b"irot").unwrap();
    file[property + 4] = 0;
    assert_eq!(header(&file).orientation, Orientation::Upright);
    let stored = all(&file);
    assert_eq!((stored.width, stored.height), (turned.height, turned.width));
    assert_eq!(stored.at(0, 0), turned.at(turned.width - 1, 0));
}

#[test]
fn a_cut_a_turn_and_a_mirror_come_in_order() {
    let whole = all(fixture!("made/grid.png"));
    for file in [fixture!("avif/turned-grid.avif"), fixture!("heic/turned-grid.heic")] {
        let shown = all(file);
        assert_eq!((shown.width, shown.height), (60, 100));
        // Of 100 x 60 from (10, 20); turned anticlockwise and then mirrored top to bottom, rows become
        // columns.
        let rgba = (0..100).flat_map(|y| (0..60).map(move |x| (x, y)));
        let expected =
            Pixels { width: 60, height: 100, rgba: rgba.map(|(x, y)| whole.at(10 + y, 20 + x)).collect() };
        let difference = shown.difference(&expected);
        assert!(difference < 1.5, "{difference}");
    }
}

#[test]
fn profiles_of_every_format_are_applied() {
    let expected = all(fixture!("tiff/wide-gamut.tiff"));
    let ignored = expected.difference(&drawing());
    assert!(ignored > 5.0, "the profile changes next to nothing: {ignored}");
    for file in
        [fixture!("avif/wide-gamut.avif"), fixture!("heic/wide-gamut.heic"), fixture!("bmp/v5-profile.bmp")]
    {
        let difference = all(file).difference(&expected);
        assert!(difference < 4.0, "{:?}: {difference}", header(file).format);
    }
}

/// Replaces the colours of an AVIF, which Pillow writes as sRGB, full range.
fn with_colours(primaries: u8, transfer: u8) -> Vec<u8> {
    let mut file = fixture!("avif/444.avif").to_vec();
    let at = file.windows(8).position(|eight| eight == b"colrnclx").unwrap() + 8;
    (file[at + 1], file[at + 3]) = (primaries, transfer);
    file
}

#[test]
fn colours_by_number_are_applied() {
    let plain = all(fixture!("avif/444.avif"));
    // The curve of BT.709 is taken for that of sRGB.
    assert_eq!(all(&with_colours(1, 1)), plain);
    assert_eq!(all(&with_colours(2, 2)), plain);
    // Display P3: pure colours leave sRGB, gray stays.
    let wide = all(&with_colours(12, 13));
    let saturated = |picture: &Pixels| {
        picture
            .rgba
            .iter()
            .map(|p| u32::from(p[0].abs_diff(p[1])) + u32::from(p[1].abs_diff(p[2])))
            .sum::<u32>()
    };
    assert!(saturated(&wide) > saturated(&plain) * 102 / 100);
    assert!(all(&with_colours(9, 16)).difference(&plain) > 10.0);
}

#[test]
fn what_a_camera_wrote_is_found() {
    for file in [fixture!("avif/exif.avif"), fixture!("heic/exif.heic"), fixture!("tiff/exif.tiff")] {
        let metadata = imaging::metadata(file, &header(file));
        assert_eq!(metadata.camera.as_deref(), Some("Nobody Nothing 1"));
        assert_eq!(metadata.taken_at.as_deref(), Some("2020-02-02T20:20:20"));
    }
}

#[test]
fn the_tag_of_a_tiff_turns_it() {
    let header = header(fixture!("tiff/exif.tiff"));
    assert_eq!(header.orientation, Orientation::Turn90);
    assert_eq!((header.width, header.height), (43, 61));
}

#[test]
fn brands_tell_heif_apart() {
    for (brand, format) in [(b"mif1", Format::Avif), (b"avis", Format::Avif), (b"avif", Format::Avif)] {
        let mut file = fixture!("avif/444.avif").to_vec();
        file[8..12].copy_from_slice(brand);
        assert_eq!(header(&file).format, format);
    }
    let mut other = fixture!("avif/444.avif").to_vec();
    let length = usize::from(other[3]);
    other[8..length].fill(b'x');
    assert_eq!(probe(&other).unwrap_err(), Reject::NotAnImage);
    assert_eq!(probe(b"\0\0\0\x14ftypqt  \0\0\0\0qt  ").unwrap_err(), Reject::NotAnImage);
}

#[test]
fn what_is_not_read_says_so() {
    for file in [&b"II+\0\x08\0\0\0"[..], b"MM\0+\0\x08\0\0"] {
        assert_eq!(probe(file).unwrap_err().code(), "unsupported-format");
    }
    // A TIFF whose first picture is a thumbnail.
    let mut raw = fixture!("tiff/gray4.tiff").to_vec();
    let directory = u32::from_le_bytes(raw[4..8].try_into().unwrap()) as usize;
    raw[directory + 2 + 5 * 12..][..12].copy_from_slice(b"\xfe\0\x04\0\x01\0\0\0\x01\0\0\0");
    assert_eq!(probe(&raw).unwrap_err().code(), "unsupported-format");
    let mut film = fixture!("avif/444.avif").to_vec();
    let meta = film.windows(4).position(|kind| kind == b"meta").unwrap();
    film[meta..meta + 4].copy_from_slice(b"moov");
    assert_eq!(probe(&film).unwrap_err().code(), "unsupported-format");
}

/// Replaces all places where a file says these dimensions.
fn claiming(file: &[u8], from: (u32, u32), to: (u32, u32)) -> Vec<u8> {
    let both = |(width, height): (u32, u32)| [width.to_be_bytes(), height.to_be_bytes()].concat();
    let (from, to) = (both(from), both(to));
    let mut file = file.to_vec();
    let places: Vec<usize> =
        file.windows(8).enumerate().filter(|(_, eight)| *eight == from).map(|(at, _)| at).collect();
    assert!(!places.is_empty());
    for at in places {
        file[at..at + 8].copy_from_slice(&to);
    }
    file
}

#[test]
fn what_the_container_says_must_be_what_the_codec_finds() {
    for file in [fixture!("avif/420.avif"), fixture!("avif/alpha.avif"), fixture!("heic/420.heic")] {
        let header = header(file);
        for size in
            [(header.width * 2, header.height), (header.width, header.height - 1), (8, 8), (9_000, 9_000)]
        {
            let stored = if header.format == Format::Heic { (64, 64) } else { (61, 43) };
            let file = claiming(file, stored, size);
            assert!(process(&file, &[]).is_err(), "{size:?}");
        }
    }
}

#[test]
fn a_bomb_in_a_new_format_costs_a_header_read() {
    let mut bmp = fixture!("bmp/rle8.bmp").to_vec();
    bmp[18..26].copy_from_slice(&[0, 0, 1, 0, 0, 0, 1, 0]);
    for bomb in [claiming(fixture!("avif/420.avif"), (61, 43), (60_000, 60_000)), bmp] {
        let header = probe(&bomb).unwrap();
        let reject = Limits::default().check(&header, bomb.len() as u64).unwrap_err();
        assert_eq!(reject.code(), "too-large");
    }
    // A tile far larger than the picture.
    let mut tiff = fixture!("tiff/tiles-deflate.tiff").to_vec();
    let tile =
        tiff.windows(4).position(|four| matches!(four, b"\x42\x01\x03\0" | b"\x42\x01\x04\0")).unwrap();
    tiff[tile + 2] = 4;
    tiff[tile + 8..tile + 12].copy_from_slice(&0x7fff_fff0_u32.to_le_bytes());
    let checked = probe(&tiff).and_then(|header| Limits::default().check(&header, 9));
    assert!(checked.is_err());
}

#[test]
fn decoding_stays_within_its_budget() {
    for file in [
        fixture!("avif/444.avif"),
        fixture!("heic/444.heic"),
        fixture!("tiff/rgb16-deflate.tiff"),
        fixture!("tiff/tiles-jpeg.tiff"),
        fixture!("bmp/rle8.bmp"),
    ] {
        let header = header(file);
        // Less than the picture takes.
        let budget = Budget { memory: 61 * 43 * 3 - 1, ..budget() };
        let reject = imaging::render(file, &header, &[], &budget).unwrap_err();
        assert_eq!(reject.code(), "too-large", "{:?}", header.format);
    }
}

#[test]
fn a_directory_that_points_at_itself_is_walked_once() {
    let mut file = fixture!("tiff/gray4.tiff").to_vec();
    let directory = u32::from_le_bytes(file[4..8].try_into().unwrap()) as usize;
    let next = directory + 2 + 12 * usize::from(file[directory]);
    let at = file[4..8].to_vec();
    file[next..next + 4].copy_from_slice(&at);
    let start = Instant::now();
    process(&file, &[]).unwrap();
    imaging::metadata(&file, &header(&file));
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[test]
fn a_bitmap_may_lack_its_last_padding_or_mark_and_no_more() {
    for file in [fixture!("bmp/gray8.bmp"), fixture!("bmp/rle8.bmp"), fixture!("bmp/palette4.bmp")] {
        for end in (54..file.len() - 4).step_by(7) {
            let reject = process(&file[..end], &[]).unwrap_err();
            assert_eq!(reject.code(), "truncated", "cut at {end} of {}", file.len());
        }
        assert_eq!(all(&file[..file.len() - 1]), all(file));
    }
}

//! `clean`: what leaves a file, and what must not change.

use std::io::Cursor;

use exif::{In, Reader, Tag};

use crate::made::{
    all, animated_webp, bitstream, budget, chunk, drawing, extended, fixture, gif, gray_jpeg, header,
    ink_jpeg, jpeg, png, png_with, process, progressive, riff, riff_chunk, segment, with_segments,
};

const SECRET: &[u8] = b"59.3293 N, 18.0686 E";

fn clean(file: &[u8]) -> Vec<u8> {
    imaging::clean(file, &header(file), &budget()).unwrap().bytes
}

fn contains(file: &[u8], part: &[u8]) -> bool {
    file.windows(part.len()).any(|window| window == part)
}

/// The picture is the same, the secret is gone, and there is nothing left to clean.
fn assert_clean(dirty: &[u8]) -> Vec<u8> {
    assert!(contains(dirty, SECRET), "the test hides no secret");
    let cleaned = clean(dirty);
    assert!(!contains(&cleaned, SECRET));
    assert_eq!(all(&cleaned), all(dirty));
    assert_eq!(header(&cleaned), header(dirty));
    assert_eq!(clean(&cleaned), cleaned);
    cleaned
}

#[test]
fn a_photograph_loses_its_place_and_keeps_its_pixels() {
    let photograph = fixture!("gps/DSCN0021.jpg");
    let before = Reader::new().read_from_container(&mut Cursor::new(photograph)).unwrap();
    let latitude = before.get_field(Tag::GPSLatitude, In::PRIMARY).unwrap();
    let exif::Value::Rational(degrees) = &latitude.value else { panic!("not a latitude") };
    let place: Vec<u8> =
        degrees.iter().flat_map(|part| [part.num.to_le_bytes(), part.denom.to_le_bytes()].concat()).collect();
    assert!(contains(photograph, &place), "the test looks for the wrong bytes");

    let cleaned = clean(photograph);
    assert!(Reader::new().read_from_container(&mut Cursor::new(&cleaned)).is_err());
    for part in [&place[..], b"Exif", b"GPS", b"Nikon", b"NIKON", b"COOLPIX", b"2008:10:22", b"WGS"] {
        assert!(!contains(&cleaned, part), "{}", String::from_utf8_lossy(part));
    }
    // A thumbnail would be a second image.
    assert_eq!(cleaned.windows(3).filter(|three| three == b"\xff\xd8\xff").count(), 1);
    assert_eq!(all(&cleaned), all(photograph));
    assert_eq!(clean(&cleaned), cleaned);
}

#[test]
fn of_the_exif_block_the_orientation_alone_stays() {
    for (file, value) in [
        (fixture!("orientation/Landscape_3.jpg"), 3),
        (fixture!("orientation/Landscape_6.jpg"), 6),
        (fixture!("orientation/Landscape_7.jpg"), 7),
    ] {
        let cleaned = clean(file);
        let exif = Reader::new().read_from_container(&mut Cursor::new(&cleaned)).unwrap();
        let fields: Vec<_> = exif.fields().collect();
        assert_eq!(fields.len(), 1);
        assert_eq!(fields[0].tag, Tag::Orientation);
        assert_eq!(fields[0].value.get_uint(0), Some(value));
        assert_eq!(header(&cleaned), header(file));
        assert_eq!(all(&cleaned), all(file));
        assert_eq!(clean(&cleaned), cleaned);
    }
    let upright = clean(fixture!("orientation/Landscape_1.jpg"));
    assert!(!contains(&upright, b"Exif"));
}

#[test]
fn jpeg_keeps_tables_scans_and_profile() {
    let profile = [b"ICC_PROFILE\0\x01\x01", &[7_u8; 300][..]].concat();
    let adobe = [b"Adobe\0\x64\0\0\0\0\x01", SECRET].concat();
    let jfif_thumbnail = [b"JFIF\0\x01\x02\x01\0\x48\0\x48\x02\x02", &[9; 12][..], SECRET].concat();
    let hidden = [
        segment(0xe0, &jfif_thumbnail),
        segment(0xe0, &[b"JFXX\0", SECRET].concat()),
        segment(0xe1, &[b"Exif\0\0", SECRET].concat()),
        segment(0xe1, &[b"http://ns.adobe.com/xap/1.0/\0", SECRET].concat()),
        segment(0xe2, &[b"MPF\0", SECRET].concat()),
        segment(0xe2, &profile),
        segment(0xed, &[b"Photoshop 3.0\0", SECRET].concat()),
        segment(0xee, &adobe),
        segment(0xef, SECRET),
        segment(0xfe, SECRET),
    ];
    for picture in [jpeg(&drawing(40, 30)), progressive(&drawing(40, 30))] {
        let dirty = [&with_segments(&picture, &hidden)[..], SECRET].concat();
        let cleaned = assert_clean(&dirty);
        assert!(contains(&cleaned, &segment(0xe2, &profile)));
        assert!(contains(&cleaned, &segment(0xee, &adobe[..12])));
        assert!(contains(&cleaned, b"JFIF\0\x01\x02\x01\0\x48\0\x48\0\0"));
        assert!(!contains(&cleaned, b"MPF"));
        // From the first table on, the file is what it was.
        let tables = picture.windows(2).position(|pair| pair == [0xff, 0xdb]).unwrap();
        assert!(cleaned.ends_with(&picture[tables..]));
    }
}

#[test]
fn a_comment_between_two_scans_goes_as_well() {
    let picture = progressive(&drawing(40, 30));
    let second_scan = picture.windows(2).rposition(|pair| pair == [0xff, 0xda]).unwrap();
    let (before, after) = picture.split_at(second_scan);
    let cleaned = assert_clean(&[before, &segment(0xfe, SECRET), after].concat());
    assert_eq!(cleaned, picture);
}

#[test]
fn stray_bytes_between_segments_are_passed_over_and_go() {
    let pictures = [
        jpeg(&drawing(40, 30)),
        progressive(&drawing(40, 30)),
        gray_jpeg(&drawing(40, 30)),
        ink_jpeg(40, 30, [9, 99, 200, 50], true),
    ];
    for picture in pictures {
        for marker in [0xdb, 0xc4, 0xda] {
            let at = picture.windows(2).position(|pair| pair == [0xff, marker]).unwrap();
            let stray = |bytes: &[u8]| [&picture[..at], bytes, &picture[at..]].concat();
            for file in [stray(&[0]), stray(SECRET), stray(&[7; 63])] {
                assert_eq!(clean(&file), clean(&picture));
                assert_eq!(all(&file), all(&picture));
            }
            // That much is another file.
            let hidden = stray(&[7; 1_000]);
            assert_eq!(process(&hidden, &[]).unwrap_err().code(), "undecodable");
        }
    }
}

#[test]
fn png_keeps_what_makes_the_picture_and_its_colours() {
    let picture = png_with(&drawing(20, 10), |info| {
        info.icc_profile = Some(vec![7; 300].into());
    });
    let at = picture.windows(4).position(|name| name == b"IDAT").unwrap() - 4;
    let (before, after) = picture.split_at(at);
    let hidden = [
        chunk(*b"tEXt", &[b"Comment\0", SECRET].concat()),
        chunk(*b"iTXt", &[b"XML:com.adobe.xmp\0\0\0\0\0", SECRET].concat()),
        chunk(*b"tIME", &[7, 232, 5, 1, 8, 0, 0]),
        chunk(*b"eXIf", &[b"MM\0*\0\0\0\x08\0\0\0\0\0\0", SECRET].concat()),
        chunk(*b"prVt", SECRET),
        chunk(*b"pHYs", &[0, 0, 11, 19, 0, 0, 11, 19, 1]),
    ];
    let dirty = [before, &hidden.concat(), after, SECRET].concat();
    let cleaned = assert_clean(&dirty);
    let expected = [before, &hidden[5], after].concat();
    assert_eq!(cleaned, expected);
    assert!(contains(&cleaned, b"iCCP"));
}

#[test]
fn png_keeps_its_orientation_in_a_chunk_that_decoders_accept() {
    let picture = png(&drawing(20, 10));
    let turned = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let dirty = [&picture[..33], &chunk(*b"eXIf", &[&turned[..], SECRET].concat()), &picture[33..]];
    let cleaned = assert_clean(&dirty.concat());
    assert_eq!(header(&cleaned).width, 10);
}

#[test]
fn a_critical_chunk_that_nobody_knows_is_refused() {
    let picture = png(&drawing(20, 10));
    let file = [&picture[..33], &chunk(*b"ABCD", b"?"), &picture[33..]].concat();
    assert_eq!(imaging::clean(&file, &header(&file), &budget()).unwrap_err().code(), "undecodable");
}

#[test]
fn webp_keeps_picture_alpha_and_profile() {
    let picture = fixture!("made/lossy-alpha.webp");
    let size = header(picture);
    // The fixture is VP8X, ALPH, VP8.
    let chunks = &picture[12 + 18..];
    let profile = riff_chunk(*b"ICCP", &[7; 301]);
    let dirty = riff(&[
        extended(0x3c, size.width, size.height),
        profile.clone(),
        chunks.to_vec(),
        riff_chunk(*b"EXIF", SECRET),
        riff_chunk(*b"XMP ", SECRET),
        riff_chunk(*b"prVt", SECRET),
    ]);
    let cleaned = assert_clean(&[&dirty[..], SECRET].concat());
    let expected = riff(&[extended(0x30, size.width, size.height), profile, chunks.to_vec()]);
    assert_eq!(cleaned, expected);
}

#[test]
fn webp_keeps_its_orientation() {
    let picture = fixture!("made/lossy.webp");
    let turned = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x08\0\0\0\0\0\0";
    let dirty = riff(&[
        extended(0x08, 97, 61),
        bitstream(picture),
        riff_chunk(*b"EXIF", &[&turned[..], SECRET].concat()),
    ]);
    let cleaned = assert_clean(&dirty);
    assert_eq!((header(&cleaned).width, header(&cleaned).height), (61, 97));
}

#[test]
fn animations_keep_every_frame() {
    let animation = animated_webp((12, 10), (2, 4));
    let dirty = riff(&[animation[12..].to_vec(), riff_chunk(*b"XMP ", SECRET)]);
    assert_eq!(assert_clean(&dirty), animation);

    let hidden_in_frame = {
        let frame = animation.windows(4).position(|name| name == b"ANMF").unwrap();
        let length = u32::from_le_bytes(animation[frame + 4..frame + 8].try_into().unwrap());
        let end = frame + 8 + length as usize;
        let data = [&animation[frame + 8..end], &riff_chunk(*b"prVt", SECRET)].concat();
        riff(&[animation[12..frame].to_vec(), riff_chunk(*b"ANMF", &data), animation[end..].to_vec()])
    };
    assert_eq!(assert_clean(&hidden_in_frame), animation);
}

#[test]
fn gif_keeps_frames_loops_and_profile() {
    let picture = gif((6, 4), &[(0, 0, 6, 4), (1, 1, 2, 2), (0, 2, 6, 2)], true);
    assert!(contains(&picture, b"NETSCAPE2.0"), "the test has no loop count");
    let blocks = |data: &[u8]| [&[u8::try_from(data.len()).unwrap()][..], data, b"\0"].concat();
    let extension = |label: u8, head: &[u8], data: &[u8]| {
        let length = u8::try_from(head.len()).unwrap();
        [&[0x21, label, length][..], head, &blocks(data)].concat()
    };
    let profile = extension(0xff, b"ICCRGBG1012", &[7; 100]);
    let hidden = [
        [b"\x21\xfe".to_vec(), blocks(SECRET)].concat(),
        extension(0xff, b"XMP DataXMP", SECRET),
        // A plain text with a control of its own.
        b"\x21\xf9\x04\x01\x05\0\x01\0".to_vec(),
        extension(0x01, &[0; 12], SECRET),
        profile.clone(),
    ];
    // The screen and a colour table of two colours.
    let (before, after) = picture.split_at(13 + 6);
    let dirty = [before, &hidden.concat(), after, SECRET].concat();
    assert_eq!(assert_clean(&dirty), [before, &profile, after].concat());
}

#[test]
fn heif_keeps_its_pictures_and_how_they_belong_together() {
    for file in [fixture!("avif/exif.avif"), fixture!("heic/exif.heic")] {
        let cleaned = assert_clean(file);
        for part in [&b"Exif"[..], b"xmpmeta", b"Nobody", b"2020:02:02"] {
            assert!(!contains(&cleaned, part), "{}", String::from_utf8_lossy(part));
        }
    }
    let secret_box = |kind: &[u8]| {
        let length = u32::try_from(8 + SECRET.len()).unwrap().to_be_bytes();
        [&length[..], kind, SECRET].concat()
    };
    for file in [
        fixture!("avif/alpha.avif"),
        fixture!("avif/premultiplied.avif"),
        fixture!("avif/grid.avif"),
        fixture!("avif/turned-grid.avif"),
        fixture!("avif/wide-gamut.avif"),
        fixture!("heic/alpha.heic"),
        fixture!("heic/turned-grid.heic"),
    ] {
        assert_clean(&[file, &secret_box(b"free")].concat());
        assert_clean(&[file, &secret_box(b"uuid"), b"PK\x03\x04"].concat());
        assert_clean(&[file, SECRET].concat());
    }
}

#[test]
fn tiff_and_bmp_become_png_and_say_so() {
    for file in [
        fixture!("tiff/exif.tiff"),
        fixture!("tiff/rgba.tiff"),
        fixture!("tiff/wide-gamut.tiff"),
        fixture!("tiff/graya.tiff"),
        fixture!("tiff/palette.tiff"),
        fixture!("tiff/cmyk.tiff"),
        fixture!("tiff/associated.tiff"),
        fixture!("bmp/v5-profile.bmp"),
        fixture!("bmp/v4-alpha.bmp"),
    ] {
        let dirty = [file, SECRET].concat();
        let before = header(&dirty);
        let cleaned = imaging::clean(&dirty, &before, &budget()).unwrap();
        assert!(cleaned.reencoded);
        let after = header(&cleaned.bytes);
        assert_eq!((after.format, cleaned.format), (imaging::Format::Png, imaging::Format::Png));
        assert_eq!(
            (after.width, after.height, after.orientation),
            (before.width, before.height, before.orientation)
        );
        assert_eq!(all(&cleaned.bytes), all(&dirty));
        assert!(!contains(&cleaned.bytes, SECRET));
    }
    let jpeg = jpeg(&drawing(9, 5));
    assert!(!imaging::clean(&jpeg, &header(&jpeg), &budget()).unwrap().reencoded);
}

#[test]
fn sixteen_bits_stay_sixteen_bits() {
    for (file, channels) in [
        (fixture!("tiff/rgb16-deflate.tiff"), 3),
        (fixture!("tiff/rgb16-big-endian.tiff"), 3),
        (fixture!("tiff/gray16.tiff"), 1),
        (fixture!("tiff/rgba16.tiff"), 4),
    ] {
        let cleaned = clean(file);
        let mut reader = png::Decoder::new(Cursor::new(&cleaned)).read_info().unwrap();
        assert_eq!(reader.info().bit_depth, png::BitDepth::Sixteen);
        let mut data = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut data).unwrap();
        // The first and the last row of the drawing: green runs from top to bottom.
        let green = usize::from(channels > 1);
        let sample = |at: usize| u16::from_be_bytes([data[at], data[at + 1]]);
        let last_row = 2 * channels * 61 * 42;
        assert_eq!(sample(2 * green), 0);
        assert_eq!(u32::from(sample(last_row + 2 * green)), (42 * 255 * 257 * 2 + 43) / (43 * 2));
    }
}

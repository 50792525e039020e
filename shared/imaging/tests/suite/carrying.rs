//! What renderings carry: nothing, or what was asked for.

use imaging::{Keep, OutputFormat, Plan, Recipe, Rendered};
use moxcms::ColorProfile;

use crate::made::{
    Field, Pixels, all, budget, drawing, exif_orientation, fixture, header, ink_jpeg, jpeg, plain, png,
    png_with, recipe, segment, tiff, with_segments,
};

const FORMATS: [OutputFormat; 3] = [OutputFormat::Jpeg, OutputFormat::Png, OutputFormat::Webp];

const ALL: Keep = Keep { profile: true, copyright: true };

fn render(file: &[u8], plans: &[(u32, OutputFormat, Keep)]) -> Rendered {
    let header = header(file);
    let plans: Vec<Plan> = plans
        .iter()
        .map(|&(width, format, keep)| Recipe { keep, ..recipe(width, format) }.plan(&header))
        .collect();
    imaging::render(file, &header, &plans, &budget()).unwrap()
}

fn kept(file: &[u8], format: OutputFormat, keep: Keep) -> Vec<u8> {
    render(file, &[(40, format, keep)]).pictures.remove(0).bytes
}

fn photograph(pixels: &Pixels, profile: Option<&[u8]>, exif: Option<&[u8]>) -> Vec<u8> {
    let mut segments = Vec::new();
    segments.extend(exif.map(|exif| segment(0xe1, &[b"Exif\0\0", exif].concat())));
    segments.extend(profile.map(|profile| segment(0xe2, &[b"ICC_PROFILE\0\x01\x01", profile].concat())));
    with_segments(&jpeg(pixels), &segments)
}

fn contains(file: &[u8], part: &[u8]) -> bool {
    file.windows(part.len()).any(|window| window == part)
}

/// As a reader of the format finds it.
fn profile_in(file: &[u8], format: OutputFormat) -> Option<Vec<u8>> {
    match format {
        OutputFormat::Png => {
            let reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
            reader.info().icc_profile.as_ref().map(|profile| profile.to_vec())
        }
        OutputFormat::Jpeg => {
            let mut decoder = zune_jpeg::JpegDecoder::new(zune_core::bytestream::ZCursor::new(file));
            decoder.decode_headers().unwrap();
            decoder.icc_profile()
        }
        OutputFormat::Avif | OutputFormat::Gif => unreachable!("they carry nothing"),
        OutputFormat::Webp => {
            // Right after the extended header, and announced in it.
            let extended = &file[12..16] == b"VP8X" && file[20] & 0x20 != 0 && &file[30..34] == b"ICCP";
            let length = u32::from_le_bytes(file[34..38].try_into().unwrap()) as usize;
            extended.then(|| file[38..38 + length].to_vec())
        }
    }
}

#[test]
fn nothing_is_carried_unless_it_is_asked_for() {
    let profile = ColorProfile::new_display_p3().encode().unwrap();
    let owner = tiff(&[Field::text(0x013b, "Ada"), Field::text(0x8298, "(c) Ada Lovelace")], &[], &[]);
    let file = photograph(&plain(64, 48, [234, 51, 35, 255]), Some(&profile), Some(&owner));
    for format in FORMATS {
        let plain = kept(&file, format, Keep::default());
        assert!(!contains(&plain, b"Lovelace"));
        assert_eq!(profile_in(&plain, format), None);
        let [r, g, b, _] = all(&plain).at(20, 15);
        assert!(r > 248 && g < 8 && b < 8, "{format:?}: {r} {g} {b}");
        assert_eq!(imaging::metadata(&plain, &header(&plain)), imaging::Metadata::default());
    }
}

#[test]
fn wide_colours_stay_with_their_profile() {
    for made in
        [ColorProfile::new_display_p3(), ColorProfile::new_adobe_rgb(), ColorProfile::new_pro_photo_rgb()]
    {
        let profile = made.encode().unwrap();
        let wide = [220, 60, 40, 255];
        let tagged =
            |pixels: &Pixels| png_with(pixels, |info| info.icc_profile = Some(profile.clone().into()));
        let solid = plain(64, 48, wide);
        let transparent = plain(64, 48, [220, 60, 40, 128]);
        for file in [photograph(&solid, Some(&profile), None), tagged(&solid), tagged(&transparent)] {
            let expected = all(&file).at(20, 15);
            for format in FORMATS {
                let picture = kept(&file, format, ALL);
                let carried = profile_in(&picture, format).unwrap();
                assert_eq!(carried.len() % 4, 0);
                assert_eq!(carried[4..profile.len()], profile[4..]);
                // Read with the profile, it is the colour that it was; without it, it is the number.
                let found = all(&picture).at(20, 15);
                let expected = if format.has_alpha() || expected[3] == 255 { expected } else { found };
                let close = found.iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= 6);
                assert!(close, "{format:?}: {found:?}, not {expected:?}");
            }
        }
    }
}

#[test]
fn one_that_keeps_and_one_that_does_not_are_made_together() {
    let profile = ColorProfile::new_display_p3().encode().unwrap();
    let file = photograph(&drawing(120, 90), Some(&profile), None);
    let keep = Keep { profile: true, copyright: false };
    let plans = [
        (60, OutputFormat::Png, keep),
        (60, OutputFormat::Png, Keep::default()),
        (30, OutputFormat::Webp, Keep::default()),
        (30, OutputFormat::Webp, keep),
    ];
    let together = render(&file, &plans);
    for (plan, picture) in plans.iter().zip(&together.pictures) {
        assert_eq!(profile_in(&picture.bytes, plan.1).is_some(), plan.2.profile);
        let alone = render(&file, &[*plan]).pictures.remove(0);
        let difference = all(&picture.bytes).difference(&all(&alone.bytes));
        // What is made from another rendering, and coded with loss, differs a little.
        assert!(difference < 2.5, "{plan:?}: {difference}");
    }
    // Facts are of sRGB in any case.
    let alone = render(&file, &[(60, OutputFormat::Png, Keep::default())]).facts;
    assert!(together.facts.dominant_color.iter().zip(alone.dominant_color).all(|(a, b)| a.abs_diff(b) <= 12));
}

#[test]
fn srgb_ink_gray_and_broken_profiles_are_not_carried() {
    let srgb = ColorProfile::new_srgb().encode().unwrap();
    let ink = segment(0xe2, &[b"ICC_PROFILE\0\x01\x01", fixture!("profiles/ink-lut8-v2.icc")].concat());
    for file in [
        photograph(&drawing(64, 48), Some(&srgb), None),
        photograph(&drawing(64, 48), Some(b"no profile"), None),
        jpeg(&drawing(64, 48)),
        with_segments(&ink_jpeg(64, 48, [0, 128, 255, 64], false), &[ink]),
    ] {
        for format in FORMATS {
            assert_eq!(profile_in(&kept(&file, format, ALL), format), None);
        }
    }
}

#[test]
fn a_gray_picture_keeps_the_grays_of_its_profile() {
    let profile = ColorProfile::new_pro_photo_rgb().encode().unwrap();
    for level in [40, 128, 200] {
        let pixels = plain(64, 48, [level, level, level, 255]);
        let file = png_with(&pixels, |info| info.icc_profile = Some(profile.clone().into()));
        let expected = all(&file).at(9, 9);
        assert!(expected[0] > level + 5);
        for format in FORMATS {
            let picture = kept(&file, format, ALL);
            assert!(profile_in(&picture, format).is_some());
            let found = all(&picture).at(9, 9);
            assert!(
                found.iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= 2),
                "{format:?}: {found:?}, not {expected:?}"
            );
        }
    }
}

#[test]
fn large_profiles_are_split_and_huge_ones_applied() {
    let profile = ColorProfile::new_display_p3().encode().unwrap();
    let padded = |size: usize| {
        let mut padded = profile.clone();
        padded.resize(size, 7);
        padded[..4].copy_from_slice(&u32::try_from(size).unwrap().to_be_bytes());
        png_with(&plain(64, 48, [234, 51, 35, 255]), |info| info.icc_profile = Some(padded.clone().into()))
    };
    for format in FORMATS {
        let carried = profile_in(&kept(&padded(200_000), format, ALL), format).unwrap();
        assert_eq!(carried.len(), 200_000);
        let applied = kept(&padded(600_000), format, ALL);
        assert_eq!(profile_in(&applied, format), None);
        assert!(all(&applied).at(20, 15)[0] > 248);
    }
}

#[test]
fn copyright_is_carried_and_nothing_beside_it() {
    let owner = tiff(
        &[Field::text(0x010f, "Canon"), Field::text(0x013b, "Ada"), Field::text(0x8298, "© Ada Lovelace")],
        &[Field::text(0x9003, "2024:05:01 08:00:59"), Field::rationals(0x829a, &[(1, 250)])],
        &[
            Field::text(1, "N"),
            Field::rationals(2, &[(40, 1), (0, 1), (0, 1)]),
            Field::text(3, "E"),
            Field::rationals(4, &[(20, 1), (0, 1), (0, 1)]),
        ],
    );
    let keep = Keep { profile: false, copyright: true };
    let alpha = png(&plain(64, 48, [10, 200, 30, 90]));
    for format in FORMATS {
        let made = kept(&photograph(&drawing(64, 48), None, Some(&owner)), format, keep);
        let read = imaging::metadata(&made, &header(&made));
        assert_eq!(read.copyright.as_deref(), Some("© Ada Lovelace"));
        assert_eq!(read.artist.as_deref(), Some("Ada"));
        let rest = imaging::Metadata { copyright: None, artist: None, ..read };
        assert_eq!(rest, imaging::Metadata::default());
        // The pixels are as without it, and nothing of it is left after cleaning.
        let plain = kept(&photograph(&drawing(64, 48), None, Some(&owner)), format, Keep::default());
        assert_eq!(all(&made), all(&plain));
        assert_eq!(imaging::clean(&made, &header(&made), &budget()).unwrap().bytes.len(), {
            let without = imaging::clean(&plain, &header(&plain), &budget()).unwrap().bytes.len();
            if format == OutputFormat::Webp { without + 18 } else { without }
        });
        // With alpha, there may be an extended header already.
        let exif = [b"Exif\0\0", &owner[..]].concat();
        let with = [&alpha[..33], &crate::made::chunk(*b"eXIf", &exif), &alpha[33..]].concat();
        let made = kept(&with, format, keep);
        assert_eq!(imaging::metadata(&made, &header(&made)).artist.as_deref(), Some("Ada"));
        assert_eq!(all(&made).at(9, 9)[3] == 255, !format.has_alpha());
    }
}

#[test]
fn carried_blocks_do_not_turn_the_picture_again() {
    let owner = tiff(&[Field::text(0x8298, "(c)")], &[], &[]);
    let file = with_segments(&photograph(&drawing(64, 48), None, Some(&owner)), &[exif_orientation(6)]);
    for format in FORMATS {
        let made = kept(&file, format, ALL);
        assert_eq!((header(&made).width, header(&made).height), (40, 53));
    }
}

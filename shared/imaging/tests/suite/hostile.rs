//! Files that lie, end early, or were never images: an error, soon, and never a panic or half a picture.

use std::time::{Duration, Instant};

use imaging::{Budget, OutputFormat, probe};

use crate::made::{
    animated_webp, budget, chunk, drawing, fixture, gif, gray_jpeg, ink_jpeg, jpeg, jpeg_with, plain, png,
    process, progressive, recipe,
};

fn render(file: &[u8]) -> Result<(), imaging::Reject> {
    process(file, &[recipe(50, OutputFormat::Webp)]).map(drop)
}

fn files() -> Vec<(&'static str, Vec<u8>)> {
    let picture = drawing(70, 50);
    let restarts = jpeg_with(&picture, |encoder| {
        encoder.set_restart_interval(2);
    });
    vec![
        ("jpeg", jpeg(&picture)),
        ("jpeg with restarts", restarts),
        ("gray jpeg", gray_jpeg(&picture)),
        ("ycck jpeg", ink_jpeg(40, 30, [9, 99, 200, 50], true)),
        ("progressive jpeg", progressive(&picture)),
        ("refined progressive jpeg", fixture!("progressive/420-progressive.jpg").to_vec()),
        ("jpeg with exif", fixture!("orientation/Landscape_8.jpg").to_vec()),
        ("png", png(&picture)),
        ("interlaced png", fixture!("pngsuite/basi6a16.png").to_vec()),
        ("palette png", fixture!("pngsuite/tbbn3p08.png").to_vec()),
        ("lossy webp", fixture!("made/lossy.webp").to_vec()),
        ("lossless webp", fixture!("made/lossless.webp").to_vec()),
        ("webp with alpha", fixture!("made/lossy-alpha.webp").to_vec()),
        ("animated webp", animated_webp((12, 10), (2, 4))),
        ("avif", fixture!("avif/420.avif").to_vec()),
        ("avif with alpha", fixture!("avif/alpha.avif").to_vec()),
        ("avif grid", fixture!("avif/grid.avif").to_vec()),
        ("heic", fixture!("heic/420.heic").to_vec()),
        ("heic with 10 bits", fixture!("heic/10bit.heic").to_vec()),
        ("heic grid", fixture!("heic/grid.heic").to_vec()),
        ("tiff with lzw", fixture!("tiff/strips-lzw.tiff").to_vec()),
        ("tiff with deflate", fixture!("tiff/rgb16-deflate.tiff").to_vec()),
        ("tiff with jpeg", fixture!("tiff/tiles-jpeg.tiff").to_vec()),
        ("planar tiff", fixture!("tiff/planar-tiles.tiff").to_vec()),
        ("palette tiff", fixture!("tiff/palette4.tiff").to_vec()),
        ("bmp", fixture!("bmp/v4-alpha.bmp").to_vec()),
        ("gif", gif((20, 16), &[(0, 0, 20, 16), (3, 3, 9, 9)], true)),
    ]
}

#[test]
fn no_part_of_a_picture_passes_for_the_whole() {
    for (name, file) in files() {
        render(&file).unwrap_or_else(|reject| panic!("{name}: {reject}"));
        let step = file.len() / 300 + 1;
        for end in (0..file.len()).step_by(step).chain(file.len().saturating_sub(40)..file.len()) {
            let part = &file[..end];
            let reject = render(part).expect_err(name);
            if end > 40 {
                assert_eq!(reject.code(), "truncated", "{name} cut at {end} of {}", file.len());
            }
            if let Ok(header) = probe(part) {
                assert!(imaging::clean(part, &header, &budget()).is_err(), "{name} cut at {end}");
                imaging::metadata(part, &header);
            }
        }
    }
}

#[test]
fn an_end_glued_onto_half_a_jpeg_does_not_make_it_whole() {
    let end = [0xff, 0xd9];
    for (name, file) in [
        ("baseline", jpeg(&drawing(200, 160))),
        ("gray", gray_jpeg(&drawing(200, 160))),
        ("photograph", fixture!("gps/DSCN0021.jpg").to_vec()),
    ] {
        let scan = file.windows(2).rposition(|pair| pair == [0xff, 0xda]).unwrap() + 14;
        for tenths in 0..10 {
            let cut = scan + (file.len() - scan) * tenths / 10;
            // A cut in the middle of a stuffed byte would be something else.
            let cut = if file[cut - 1] == 0xff { cut - 1 } else { cut };
            let glued = [&file[..cut], &end].concat();
            assert!(render(&glued).is_err(), "{name} cut at {tenths} tenths");
        }
    }
    // Refined bit by bit; in 12 pixels, luma's last scans leave no trace.
    for file in [fixture!("progressive/420-progressive.jpg"), fixture!("progressive/444-progressive.jpg")] {
        let first = file.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap();
        for cut in (first..file.len() - 4).filter(|&cut| file[cut - 1] != 0xff) {
            let glued = [&file[..cut], &end].concat();
            for width in [12, 97] {
                let made = process(&glued, &[recipe(width, OutputFormat::Jpeg)]);
                assert!(made.is_err(), "progressive cut at {cut} of {}", file.len());
            }
        }
    }
    // Between any two scans.
    let file = progressive(&drawing(200, 160));
    let scans: Vec<usize> =
        file.windows(2).enumerate().filter_map(|(at, pair)| (pair == [0xff, 0xda]).then_some(at)).collect();
    assert!(scans.len() > 3);
    for cut in scans {
        let reject = render(&[&file[..cut], &end].concat()).unwrap_err();
        assert_eq!(reject.code(), "truncated", "cut at {cut}");
    }
}

#[test]
fn flipped_bits_end_in_a_picture_or_an_error_soon() {
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % below as u64).unwrap()
    };
    for (name, file) in files() {
        for round in 0..60 {
            let mut broken = file.clone();
            // The first rounds aim at the headers.
            let reach = if round < 30 { broken.len().min(200) } else { broken.len() };
            for _ in 0..=random(4) {
                broken[random(reach)] ^= 1 << random(8);
            }
            let start = Instant::now();
            let _ = render(&broken);
            if let Ok(header) = probe(&broken) {
                imaging::metadata(&broken, &header);
            }
            let took = start.elapsed();
            assert!(took < Duration::from_secs(5), "{name} round {round}: {took:?}");
        }
    }
}

#[test]
fn pngsuites_corrupt_files_are_refused() {
    macro_rules! corrupt {
        ($($name:literal)*) => {
            $(assert!(render(fixture!(concat!("pngsuite/", $name, ".png"))).is_err(), $name);)*
        };
    }
    corrupt!("xc1n0g08" "xc9n2c08" "xcrn0g04" "xcsn0g01" "xd0n2c08" "xd3n2c08" "xd9n2c08");
    corrupt!("xdtn0g01" "xhdn0g08" "xlfn0g04" "xs1n0g01" "xs2n0g01" "xs4n0g01" "xs7n0g01");
}

#[test]
fn headers_that_promise_other_dimensions_than_the_data_has() {
    let mut jpeg = jpeg(&drawing(64, 64));
    let frame = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[2, 0, 2, 0]);
    assert!(render(&jpeg).is_err());

    let small = png(&drawing(64, 64));
    let large = 512_u32.to_be_bytes();
    let header = chunk(*b"IHDR", &[&large[..], &large, &[8, 6, 0, 0, 0]].concat());
    assert!(render(&[&small[..8], &header, &small[33..]].concat()).is_err());

    let mut webp = fixture!("made/lossy-alpha.webp").to_vec();
    webp[24] = webp[24].wrapping_add(50);
    assert!(render(&webp).is_err());

    // A frame that reaches out of its canvas.
    assert!(render(&animated_webp((12, 10), (6, 4))).is_err());

    let mut gif = gif((20, 16), &[(0, 0, 20, 16)], false);
    let frame = gif.windows(3).position(|three| three == [0x2c, 0, 0]).unwrap();
    gif[frame + 7] = 200;
    assert!(render(&gif).is_err());
}

#[test]
fn a_compressed_profile_that_expands_without_end_is_not_expanded() {
    // 200 MB of zeros.
    let mut bomb = Vec::new();
    {
        let mut encoder = png::Encoder::new(&mut bomb, 10_000, 20_000);
        encoder.set_color(png::ColorType::Grayscale);
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(&vec![0; 200_000_000]).unwrap();
    }
    let data = bomb.windows(4).position(|name| name == b"IDAT").unwrap();
    let length = u32::from_be_bytes(bomb[data - 4..data].try_into().unwrap()) as usize;
    let zlib = &bomb[data + 4..data + 4 + length];
    let profile = chunk(*b"iCCP", &[b"bomb\0\0", zlib].concat());
    let picture = png(&drawing(16, 16));
    let file = [&picture[..33], &profile, &picture[33..]].concat();
    let start = Instant::now();
    // Refused or shown without its profile: either is right, as long as it is soon.
    let _ = render(&file);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[test]
fn a_large_png_is_left_at_its_deadline() {
    let picture = png(&plain(4_000, 4_000, [9, 99, 200, 50]));
    let header = probe(&picture).unwrap();
    let start = Instant::now();
    imaging::render(&picture, &header, &[], &budget()).unwrap();
    let whole = start.elapsed();
    let start = Instant::now();
    let late = Budget { deadline: start + whole / 10, ..budget() };
    assert_eq!(imaging::render(&picture, &header, &[], &late).unwrap_err(), imaging::Reject::OutOfTime);
    assert!(start.elapsed() < whole / 2, "{:?} of {whole:?}", start.elapsed());
}

#[test]
fn a_jpeg_of_endless_scans_is_refused() {
    let file = progressive(&drawing(64, 64));
    let last = file.windows(2).rposition(|pair| pair == [0xff, 0xda]).unwrap();
    let scan = &file[last..file.len() - 2];
    let file = [&file[..file.len() - 2], &scan.repeat(5_000), &[0xff, 0xd9]].concat();
    let start = Instant::now();
    assert_eq!(render(&file).unwrap_err().code(), "undecodable");
    assert!(start.elapsed() < Duration::from_millis(500));
}

#[test]
fn noise_behind_every_magic_number_is_refused() {
    for magic in [
        &b"\xff\xd8\xff"[..],
        b"\xff\xd8\xff\xe0",
        b"\x89PNG\r\n\x1a\n",
        b"RIFF\xff\xff\xff\x7fWEBP",
        b"RIFF\0\0\0\0WEBP",
        b"GIF89a",
        b"\0\0\0\x14ftypavif\0\0\0\0mif1\0\0\0\x40meta\0\0\0\0",
        b"II*\0\x08\0\0\0\x20\0",
        b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0",
    ] {
        for salt in 0..50_u32 {
            let noise = (0..2_000_u32)
                .map(|at| (at ^ salt).wrapping_mul(2_654_435_761).wrapping_add(salt).to_be_bytes()[0]);
            let file: Vec<u8> = magic.iter().copied().chain(noise).collect();
            assert!(render(&file).is_err());
        }
    }
}

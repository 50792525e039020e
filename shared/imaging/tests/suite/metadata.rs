//! `metadata`: what the camera wrote.

use imaging::Metadata;

use crate::made::{chunk, drawing, exif, fixture, header, jpeg, png, segment, with_segments};

const MAKE: u16 = 0x010f;
const MODEL: u16 = 0x0110;
const CHANGED: u16 = 0x0132;
const TAKEN: u16 = 0x9003;
const DIGITIZED: u16 = 0x9004;
const OFFSET: u16 = 0x9011;
const FRACTION: u16 = 0x9291;

fn metadata(block: &[u8]) -> Metadata {
    let app1 = segment(0xe1, &[b"Exif\0\0", block].concat());
    let file = with_segments(&jpeg(&drawing(4, 4)), &[app1]);
    imaging::metadata(&file, &header(&file))
}

fn taken(fields: &[(u16, &str)]) -> Option<String> {
    metadata(&exif(&[], fields)).taken_at
}

fn camera(make: &str, model: &str) -> Option<String> {
    metadata(&exif(&[(MAKE, make), (MODEL, model)], &[])).camera
}

#[test]
fn a_real_camera_is_read() {
    let file = fixture!("gps/DSCN0021.jpg");
    let read = imaging::metadata(file, &header(file));
    assert_eq!(read.taken_at.as_deref(), Some("2008-10-22T16:38:20"));
    assert_eq!(read.camera.as_deref(), Some("NIKON COOLPIX P6000"));
}

#[test]
fn a_zone_is_told_only_where_the_camera_told_it() {
    let date = (TAKEN, "2024:05:01 08:00:59");
    assert_eq!(taken(&[date]).unwrap(), "2024-05-01T08:00:59");
    assert_eq!(taken(&[date, (OFFSET, "+02:00")]).unwrap(), "2024-05-01T08:00:59+02:00");
    assert_eq!(taken(&[date, (OFFSET, "-09:30")]).unwrap(), "2024-05-01T08:00:59-09:30");
    assert_eq!(
        taken(&[date, (OFFSET, "+02:00"), (FRACTION, "25 ")]).unwrap(),
        "2024-05-01T08:00:59.250+02:00"
    );
    for nonsense in ["   :  ", "+99:99", "Z", "0200"] {
        assert_eq!(taken(&[date, (OFFSET, nonsense)]).unwrap(), "2024-05-01T08:00:59");
    }
}

#[test]
fn dates_that_never_were_are_none() {
    for date in [
        "0000:00:00 00:00:00",
        "    :  :     :  :  ",
        "2023:02:29 10:00:00",
        "2024:13:01 10:00:00",
        "2024:05:01 24:00:00",
        "2024-05-01T10:00:00",
        "yesterday",
        "",
    ] {
        assert_eq!(taken(&[(TAKEN, date)]), None, "{date}");
    }
    assert_eq!(taken(&[(TAKEN, "2024:02:29 10:00:00")]).unwrap(), "2024-02-29T10:00:00");
}

#[test]
fn the_next_best_date_is_that_of_digitizing_and_never_that_of_a_change() {
    let scanned = (DIGITIZED, "2001:01:01 01:01:01");
    assert_eq!(taken(&[scanned]).unwrap(), "2001-01-01T01:01:01");
    assert_eq!(taken(&[(TAKEN, "broken"), scanned]).unwrap(), "2001-01-01T01:01:01");
    assert_eq!(metadata(&exif(&[(CHANGED, "2020:01:01 01:01:01")], &[])).taken_at, None);
}

#[test]
fn cameras_are_named_once_and_cleanly() {
    assert_eq!(camera("Canon", "Canon EOS R5").unwrap(), "Canon EOS R5");
    assert_eq!(camera("NIKON CORPORATION", "NIKON D850").unwrap(), "NIKON D850");
    assert_eq!(camera("Apple", "iPhone 15 Pro").unwrap(), "Apple iPhone 15 Pro");
    assert_eq!(camera("", "  X100V \t").unwrap(), "X100V");
    assert_eq!(camera("Leica", "").unwrap(), "Leica");
    assert_eq!(camera(" ", " "), None);
    assert_eq!(camera("a\u{7}b\r\nc", "<b>").unwrap(), "a b c <b>");
    assert_eq!(camera(&"x".repeat(500), "").unwrap().len(), 80);
}

#[test]
fn png_carries_it_too_with_or_without_the_prefix_of_jpeg() {
    let still = png(&drawing(4, 4));
    let block = exif(&[(MAKE, "Canon")], &[]);
    for data in [block.clone(), [b"Exif\0\0", &block[..]].concat()] {
        let file = [&still[..33], &chunk(*b"eXIf", &data), &still[33..]].concat();
        assert_eq!(imaging::metadata(&file, &header(&file)).camera.as_deref(), Some("Canon"));
    }
}

#[test]
fn garbage_is_none_and_never_a_panic() {
    let whole = exif(&[(MAKE, "Canon"), (MODEL, "EOS")], &[(TAKEN, "2024:05:01 08:00:59")]);
    for end in 0..whole.len() {
        metadata(&whole[..end]);
    }
    for at in 0..whole.len() {
        for value in [0x00, 0x01, 0x7f, 0x80, 0xff] {
            let mut broken = whole.clone();
            broken[at] = value;
            metadata(&broken);
        }
    }
    let noise: Vec<u8> = (0..60_000_u32).map(|at| at.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    assert_eq!(metadata(&noise), Metadata::default());
    // A directory that is its own successor.
    let mut ring = exif(&[(MAKE, "Canon")], &[]);
    ring[22..26].copy_from_slice(&[0, 0, 0, 8]);
    metadata(&ring);
}

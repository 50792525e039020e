//! `metadata`: what the camera wrote.

use std::time::{Duration, Instant};

use imaging::{Location, Metadata};

use crate::made::{Field, chunk, drawing, exif, fixture, header, jpeg, png, segment, tiff, with_segments};

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
    assert_eq!(read.exposure.time.unwrap().to_string(), "1/96");
    assert_eq!(read.exposure.f_number, Some(4.7));
    assert_eq!(read.exposure.iso, Some(64));
    assert_eq!(read.exposure.focal_length, Some(16.6));
    assert_eq!(read.exposure.focal_length_35mm, Some(77));
    assert_eq!(read.exposure.flash, Some(false));
    let location = read.location.unwrap();
    // 43 deg 28' 1.49" N, 11 deg 53' 4.34" E
    assert!((location.latitude - 43.467_081_7).abs() < 1e-6, "{location:?}");
    assert!((location.longitude - 11.884_538_3).abs() < 1e-6, "{location:?}");
    assert_eq!(location.altitude, None);
    assert_eq!((read.lens, read.copyright, read.artist), (None, None, None));
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

fn place(fields: &[Field]) -> Option<Location> {
    metadata(&tiff(&[], &[], fields)).location
}

const LATITUDE: u16 = 2;
const LONGITUDE: u16 = 4;

fn north(latitude: &[(u32, u32)]) -> [Field; 4] {
    [
        Field::text(1, "N"),
        Field::rationals(LATITUDE, latitude),
        Field::text(3, "W"),
        Field::rationals(LONGITUDE, &[(100, 1), (30, 1), (0, 1)]),
    ]
}

#[test]
fn a_place_has_sides_and_a_height() {
    let [_, latitude, west, longitude] = north(&[(51, 1), (2850, 100), (36, 1)]);
    let fields = |side, reference: u8, height| {
        let height = [Field::byte(5, reference), Field::rationals(6, &[height])];
        [Field::text(1, side), latitude.clone(), west.clone(), longitude.clone()]
            .into_iter()
            .chain(height)
            .collect::<Vec<_>>()
    };
    let found = place(&fields("S", 1, (123, 10))).unwrap();
    assert!((found.latitude + 51.485).abs() < 1e-9 && (found.longitude + 100.5).abs() < 1e-9, "{found:?}");
    assert_eq!(found.altitude, Some(-12.3));
    assert_eq!(place(&fields("N", 0, (8_848, 1))).unwrap().altitude, Some(8_848.0));
    for (reference, height) in
        [(0, (1, 0)), (0, (0, 0)), (0, (4_000_000_000, 1)), (1, (12_000, 1)), (9, (1, 1))]
    {
        let found = place(&fields("N", reference, height)).unwrap();
        assert_eq!(found.altitude, None, "{reference} {height:?}");
    }
}

#[test]
fn places_that_are_nowhere_are_none() {
    assert!(place(&north(&[(90, 1), (0, 1), (0, 1)])).is_some());
    for latitude in [
        &[(90, 1), (0, 1), (1, 1)][..],
        &[(91, 1), (0, 1), (0, 1)],
        &[(40, 1), (61, 1), (0, 1)],
        &[(40, 1), (0, 1), (61, 1)],
        &[(40, 0), (0, 1), (0, 1)],
        &[(40, 1), (0, 0), (0, 1)],
        &[(40, 1), (0, 1), (0, 0)],
        &[(40, 1), (0, 1)],
        &[(40, 1)],
        &[(u32::MAX, 1), (u32::MAX, 1), (u32::MAX, 1)],
    ] {
        assert_eq!(place(&north(latitude)), None, "{latitude:?}");
    }
    for missing in 0..4 {
        let mut fields = north(&[(40, 1), (0, 1), (0, 1)]).to_vec();
        fields.remove(missing);
        assert_eq!(place(&fields), None);
    }
    for side in ["", "n", "E", "North", "\u{1}"] {
        let mut fields = north(&[(40, 1), (0, 1), (0, 1)]);
        fields[0] = Field::text(1, side);
        assert_eq!(place(&fields), None, "{side}");
    }
    let zero = [(0, 1); 3];
    let mut fields = north(&zero);
    fields[3] = Field::rationals(LONGITUDE, &zero);
    assert_eq!(place(&fields), None);
}

#[test]
fn exposures_are_told_as_photographers_do() {
    let time = |time| {
        let read = metadata(&tiff(&[], &[Field::rationals(0x829a, &[time])], &[]));
        read.exposure.time.map(|time| time.to_string())
    };
    for (written, told) in [
        ((1, 250), "1/250"),
        ((10, 2_500), "1/250"),
        ((16_666, 1_000_000), "1/60"),
        ((3, 10), "3/10"),
        ((30, 1), "30"),
        ((25, 10), "5/2"),
        ((1, 1), "1"),
        ((1, u32::MAX), "1/4294967295"),
    ] {
        assert_eq!(time(written).as_deref(), Some(told), "{written:?}");
    }
    for nonsense in [(0, 1), (1, 0), (0, 0), (u32::MAX, 1)] {
        assert_eq!(time(nonsense), None, "{nonsense:?}");
    }

    let read = |fields: &[Field]| metadata(&tiff(&[], fields, &[])).exposure;
    assert_eq!(read(&[Field::rationals(0x829d, &[(28, 10)])]).f_number, Some(2.8));
    assert_eq!(read(&[Field::rationals(0x829d, &[(0, 10)])]).f_number, None);
    assert_eq!(read(&[Field::rationals(0x829d, &[(0, 0)])]).f_number, None);
    assert_eq!(read(&[Field::short(0x8827, 800)]).iso, Some(800));
    assert_eq!(read(&[Field::short(0x8827, 0)]).iso, None);
    let large = [Field::short(0x8827, u16::MAX), Field::long(0x8832, 102_400)];
    assert_eq!(read(&large).iso, Some(102_400));
    assert_eq!(read(&[Field::short(0xa405, 0)]).focal_length_35mm, None);
    assert_eq!(read(&[Field::short(0x9209, 0x19)]).flash, Some(true));
    assert_eq!(read(&[Field::short(0x9209, 0x18)]).flash, Some(false));
    assert_eq!(read(&[]).flash, None);
    assert_eq!(read(&[Field::text(0x829d, "2.8")]).f_number, None);
}

#[test]
fn lenses_and_owners_are_read() {
    let lens = |name| metadata(&tiff(&[], &[Field::text(0xa434, name)], &[])).lens;
    assert_eq!(lens("EF24-70mm  f/2.8L II USM ").as_deref(), Some("EF24-70mm f/2.8L II USM"));
    assert_eq!(lens("----"), None);
    let owner = |notice: &[u8]| metadata(&tiff(&[Field::bytes(0x8298, notice)], &[], &[])).copyright;
    assert_eq!(owner(b"(c) Ada\0").as_deref(), Some("(c) Ada"));
    assert_eq!(owner(b"Ada\0Editor\0").as_deref(), Some("Ada"));
    assert_eq!(owner(b" \0Editor\0").as_deref(), Some("Editor"));
    assert_eq!(owner("© Zoë\0".as_bytes()).as_deref(), Some("© Zoë"));
    assert_eq!(owner(b"\xa9 Zo\xeb\0").as_deref(), Some("© Zoë"));
    assert_eq!(owner(b" \0 \0"), None);
    assert_eq!(owner(&[b'x'; 5_000]).unwrap().len(), 300);
    let artist = metadata(&tiff(&[Field::text(0x013b, "Ada")], &[], &[])).artist;
    assert_eq!(artist.as_deref(), Some("Ada"));
}

#[test]
fn a_large_tiff_has_a_camera_too() {
    let fields = [Field::text(MAKE, "Canon"), Field::text(MODEL, "EOS R5")];
    let taken = [Field::text(TAKEN, "2024:05:01 08:00:59")];
    let picture = [
        Field::short(256, 1_200),
        Field::short(257, 1_000),
        Field::short(258, 8),
        Field::short(262, 1),
        Field::long(273, 1_000),
        Field::long(279, 1_200_000),
    ];
    let mut file = tiff(&[&picture[..], &fields].concat(), &taken, &[]);
    file.resize(1_000 + 1_200_000, 0);
    let read = imaging::metadata(&file, &header(&file));
    assert_eq!(read.camera.as_deref(), Some("Canon EOS R5"));
    assert_eq!(read.taken_at.as_deref(), Some("2024-05-01T08:00:59"));
}

#[test]
fn a_block_full_of_pointers_to_itself_is_read_soon() {
    for tag in [0x8769_u16, 0x8825, 0xa005] {
        let entries = [tag.to_be_bytes().as_slice(), &[0, 4, 0, 0, 0, 1, 0, 0, 0, 8]].concat().repeat(5_400);
        // The next directory is this one again.
        let block =
            [b"MM\0*\0\0\0\x08".as_slice(), &5_400_u16.to_be_bytes(), &entries, &[0, 0, 0, 8]].concat();
        let start = Instant::now();
        assert_eq!(metadata(&block), Metadata::default());
        assert!(start.elapsed() < Duration::from_millis(100), "{:?}", start.elapsed());
    }
}

//! A progressive file and a sequential one with the same coefficients are the same picture, to the last bit.

use super::*;

macro_rules! pairs {
    ($($name:literal)*) => {
        [$((
            $name,
            include_bytes!(concat!("../../../tests/fixtures/progressive/", $name, ".jpg")).as_slice(),
            include_bytes!(concat!("../../../tests/fixtures/progressive/", $name, "-progressive.jpg")).as_slice(),
        )),*]
    };
}

/// The same coefficients (`jpegtran`), sequential and progressive: in libjpeg's scans, with restart markers,
/// in mozjpeg's, and in many small ones. 97 x 61 pixels.
const PAIRS: [(&str, &[u8], &[u8]); 6] = pairs!("420" "422" "440" "411" "444" "gray");

/// All scales, and one for luma with another for chroma.
const WANTED: [[(u32, u32); 2]; 6] = [
    [WHOLE, WHOLE],
    [(48, 30), (48, 30)],
    [(24, 15), (24, 15)],
    [(12, 7), (12, 7)],
    [(48, 30), (12, 7)],
    [(97, 61), (24, 15)],
];

fn samples(planes: Planes) -> (Vec<u8>, Option<[Vec<u8>; 2]>) {
    (planes.luma.data, planes.chroma.map(|planes| planes.map(|plane| plane.data)))
}

fn with_end(file: &[u8]) -> Vec<u8> {
    [file, &[0xff, 0xd9]].concat()
}

/// The places of the scan headers' markers.
fn scans_of(file: &[u8]) -> Vec<usize> {
    let markers = file.windows(2).enumerate();
    markers.filter_map(|(at, pair)| (pair == [0xff, START_OF_SCAN]).then_some(at)).collect()
}

#[test]
fn the_same_coefficients_are_the_same_samples() {
    for (name, sequential, progressive) in PAIRS {
        assert_eq!(whole(progressive).unwrap().process, Process::Progressive);
        for [luma, chroma] in WANTED {
            let expected = samples(planes(sequential, luma, chroma));
            assert!(samples(planes(progressive, luma, chroma)) == expected, "{name} {luma:?} {chroma:?}");
        }
    }
}

#[test]
fn every_sampling_and_size_is_as_in_a_sequential_file() {
    for sampling in SAMPLINGS {
        for size in [(1, 1), (3, 17), (16, 16), (47, 33), (90, 61)] {
            for restart in [0, 1, 5] {
                let [sequential, progressive] = [false, true].map(|progressive| {
                    let mut file = Vec::new();
                    let mut encoder = Encoder::new(&mut file, 92);
                    encoder.set_sampling_factor(sampling);
                    encoder.set_restart_interval(restart);
                    encoder.set_progressive(progressive);
                    encoder.encode(&picture(size.0, size.1), size.0, size.1, ColorType::Rgb).unwrap();
                    file
                });
                let size = (u32::from(size.0), u32::from(size.1));
                for wanted in [size, (size.0.div_ceil(8), size.1.div_ceil(8)), (size.0 / 3, size.1 / 3)] {
                    let expected = samples(planes(&sequential, wanted, wanted));
                    let found = samples(planes(&progressive, wanted, wanted));
                    assert!(found == expected, "{sampling:?} {size:?} restart {restart} to {wanted:?}");
                }
            }
        }
    }
}

#[test]
fn full_size_is_what_another_decoder_sees() {
    for (name, _, file) in PAIRS.into_iter().filter(|(name, ..)| ["420", "422", "444"].contains(name)) {
        let found = planes(file, WHOLE, WHOLE).luma;
        let expected = other_decoder(file);
        let rows = expected.chunks(97).zip(found.data.chunks(found.width as usize));
        let pairs = rows.flat_map(|(expected, row)| expected.iter().zip(row));
        let (mean, largest) = difference(pairs.map(|(expected, &found)| (found, expected[0])));
        assert!(mean < 0.1 && largest <= 1, "{name}: {mean} {largest}");
    }
}

#[test]
fn a_file_cut_anywhere_is_truncated_at_any_scale() {
    for (name, _, file) in PAIRS {
        for [luma, chroma] in [WANTED[0], WANTED[2], WANTED[3]] {
            let end = file.len() - 2;
            for cut in 0..end {
                let plain = try_planes(&file[..cut], luma, chroma).map(drop);
                assert!(plain.is_err(), "{name} cut at {cut} of {end}");
                // Half a stuffed byte would take the end for data.
                let glued = with_end(&file[..cut]);
                if crate::probe(&glued).is_err() || !whole(&glued).is_ok_and(|whole| is_ours(&whole)) {
                    continue;
                }
                match try_planes(&glued, luma, chroma) {
                    Err(reject) => {
                        assert!(reject == Reject::Truncated || reject == scan::NONSENSE, "{name} {cut}");
                    }
                    // The last byte may be nothing but padding.
                    Ok(_) => assert!(cut + 1 >= end, "{name} to {luma:?} glued at {cut} of {end}"),
                }
            }
        }
    }
}

#[test]
fn scans_that_are_missing_are_noticed_wherever_they_were() {
    for (name, _, file) in PAIRS {
        let scans = scans_of(file);
        for (index, &start) in scans.iter().enumerate() {
            // Tables come before their scan and stay.
            let after = file[start + 4..]
                .windows(2)
                .position(|pair| pair[0] == 0xff && !matches!(pair[1], 0x00 | 0xd0..=0xd7 | 0xff));
            let without = [&file[..start], &file[start + 4 + after.unwrap()..]].concat();
            for [luma, chroma] in [WANTED[0], WANTED[3]] {
                assert!(try_planes_if_whole(&without, luma, chroma).is_err(), "{name} without scan {index}");
            }
        }
    }
}

fn try_planes_if_whole(file: &[u8], luma: (u32, u32), chroma: (u32, u32)) -> Result<Planes, Reject> {
    whole(file)?;
    try_planes(file, luma, chroma)
}

#[test]
fn bits_that_do_not_follow_on_one_another_are_refused() {
    let (_, _, file) = PAIRS[0];
    // Of 4:2:0, the fifth scan from the end refines all of luma; the last byte of its header says from where on.
    let refining = scans_of(file).into_iter().find(|&at| file[at + 4] == 1 && file[at + 9] == 0x21).unwrap();
    for approximation in [0x20, 0x31, 0x32, 0x10, 0x00, 0x01, 0x12, 0xff] {
        let mut broken = file.to_vec();
        broken[refining + 9] = approximation;
        assert!(whole(&broken).is_err(), "{approximation:#x}");
    }
    for (first, last) in [(0, 63), (0, 5), (64, 64), (9, 3), (1, 64)] {
        let mut broken = file.to_vec();
        broken[refining + 7..refining + 9].copy_from_slice(&[first, last]);
        assert!(whole(&broken).is_err(), "{first} to {last}");
    }
}

#[test]
fn scans_are_read_only_where_they_matter() {
    let count = |name: &str, luma, chroma| {
        let (_, _, file) = PAIRS.into_iter().find(|pair| pair.0 == name).unwrap();
        let whole = whole(file).unwrap();
        let components = Layout::new(&whole.frame).components(&whole.frame, luma, chroma);
        let needed = progressive::needed(&progressive::headers(whole.parts(file)).unwrap(), &components);
        (needed.iter().filter(|&&needed| needed).count(), needed.len())
    };
    for (name, ..) in PAIRS {
        let (needed, all) = count(name, WHOLE, WHOLE);
        assert_eq!(needed, all, "{name}");
    }
    // Of the last scan, which refines luma, all scans of luma are needed; of chroma, those of the first
    // coefficients.
    assert_eq!(count("420", (12, 7), (6, 3)), (6, 10));
    assert_eq!(count("422", (12, 7), (6, 3)), (6, 10));
    // The last scan brings red from the ninth coefficient on, and needs no other.
    assert_eq!(count("444", (12, 7), (12, 7)), (2, 9));
    assert_eq!(count("444", (24, 15), (12, 7)), (6, 9));
}

#[test]
fn restart_markers_out_of_order_are_an_error() {
    let (_, _, file) = PAIRS[1];
    let last = *scans_of(file).last().unwrap();
    let marker = last + file[last..].windows(2).position(|pair| pair == [0xff, 0xd1]).unwrap();
    let mut broken = file.to_vec();
    broken[marker + 1] = 0xd2;
    for [luma, chroma] in WANTED {
        assert!(try_planes(&broken, luma, chroma).is_err());
    }
}

#[test]
fn time_and_memory_are_kept() {
    let (_, _, file) = PAIRS[0];
    let (header, whole) = (crate::probe(file).unwrap(), whole(file).unwrap());
    let late = Budget { deadline: std::time::Instant::now(), ..budget() };
    assert_eq!(decode(file, &whole, &header, WHOLE, WHOLE, &late).unwrap_err(), Reject::OutOfTime);
    // 7 x 4 MCUs of six blocks: at 1/8 a coefficient each and the bits of luma's; whole, 64 of two bytes, and
    // the larger of bits and samples.
    let eighth = 7 * 4 * (6 * 2 + 4 * 8);
    for (luma, chroma, needed) in [((12, 7), (6, 3), eighth), (WHOLE, WHOLE, 7 * 4 * 6 * 64 * 3)] {
        let decode =
            |memory| decode(file, &whole, &header, luma, chroma, &Budget { memory, ..budget() }).map(drop);
        assert_eq!(decode(needed), Ok(()));
        assert_eq!(decode(needed - 1).unwrap_err().code(), "too-large");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damage_is_an_error_or_a_picture_and_always_the_same(
        pair in 0_usize..PAIRS.len(), wanted in 0_usize..WANTED.len(),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), 0_u8..8), 1..6),
    ) {
        let mut file = PAIRS[pair].2.to_vec();
        for (index, bit) in flips {
            let at = index.index(file.len());
            file[at] ^= 1 << bit;
        }
        let [luma, chroma] = WANTED[wanted];
        let decode = || {
            let header = crate::probe(&file).ok()?;
            let whole = whole(&file).ok().filter(is_ours)?;
            decode(&file, &whole, &header, luma, chroma, &budget()).ok().map(samples)
        };
        prop_assert!(decode() == decode());
    }
}

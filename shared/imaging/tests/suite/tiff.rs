//! TIFF put together by hand: fields and strips in combinations that few writers make.

use imaging::{Reject, probe};

use crate::made::{Field, all, tiff};

const KIND: u16 = 254;
const BITS: u16 = 258;
const COMPRESSION: u16 = 259;
const PHOTOMETRIC: u16 = 262;
const FILL_ORDER: u16 = 266;
const SAMPLES: u16 = 277;
const PLANAR: u16 = 284;
const BELOW: u16 = 330;
const EXTRA: u16 = 338;

/// A picture of this size in one strip a plane.
fn picture(width: u16, height: u16, fields: &[Field], strips: &[&[u8]]) -> Vec<u8> {
    const START: u32 = 1_000;
    let lengths: Vec<u32> = strips.iter().map(|strip| u32::try_from(strip.len()).unwrap()).collect();
    let starts = (0..lengths.len()).map(|at| START + lengths[..at].iter().sum::<u32>());
    let places = [
        Field::short(256, width),
        Field::short(257, height),
        Field::longs(273, &starts.collect::<Vec<_>>()),
        Field::longs(279, &lengths),
    ];
    let mut file = tiff(&[&places, fields].concat(), &[], &[]);
    file.resize(START as usize, 0);
    [file, strips.concat()].concat()
}

#[test]
fn transparency_is_not_inverted_where_white_is_zero() {
    let fields = |planar| {
        [
            Field::shorts(BITS, &[8, 8]),
            Field::short(PHOTOMETRIC, 0),
            Field::short(SAMPLES, 2),
            Field::short(PLANAR, planar),
            Field::short(EXTRA, 2),
        ]
    };
    let chunky = picture(2, 1, &fields(1), &[&[0, 200, 255, 90]]);
    let planar = picture(2, 1, &fields(2), &[&[0, 255], &[200, 90]]);
    for file in [chunky, planar] {
        assert_eq!(all(&file).rgba, [[255, 255, 255, 200], [0, 0, 0, 90]]);
    }
}

#[test]
fn bits_in_reverse_are_turned_around() {
    let file = |order, strip: &[u8]| {
        picture(10, 1, &[Field::short(PHOTOMETRIC, 1), Field::short(FILL_ORDER, order)], &[strip])
    };
    let usual = all(&file(1, &[0b1010_0000, 0b0100_0000]));
    assert_eq!(usual.at(0, 0), [255; 4]);
    assert_eq!(usual.at(1, 0), [0, 0, 0, 255]);
    assert_eq!(all(&file(2, &[0b0000_0101, 0b0000_0010])), usual);
}

#[test]
fn a_tiff_that_is_not_read_is_refused_by_what_it_is() {
    let name = |fields: &[Field]| match probe(&picture(
        8,
        1,
        &[fields, &[Field::short(PHOTOMETRIC, 0)]].concat(),
        &[&[0]],
    )) {
        Err(Reject::UnsupportedFormat(name)) => name,
        other => panic!("{other:?}"),
    };
    for fax in [2, 3, 4, 32_771] {
        assert_eq!(name(&[Field::short(COMPRESSION, fax)]), "TIFF with fax compression (CCITT)");
    }
    let reversed = name(&[Field::short(COMPRESSION, 5), Field::short(FILL_ORDER, 2)]);
    assert_eq!(reversed, "Compressed TIFF with its bits in reverse");
    assert_eq!(name(&[Field::long(KIND, 1)]), "TIFF that begins with a thumbnail");
    assert_eq!(name(&[Field::long(KIND, 1), Field::long(BELOW, 8)]), "Camera raw");
    let message = Reject::UnsupportedFormat("TIFF with fax compression (CCITT)").to_string();
    assert!(message.starts_with("TIFF with fax compression (CCITT) is not supported. Send an ordinary "));
}

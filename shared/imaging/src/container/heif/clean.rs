//! Writes a file anew around the coded pictures, which stay byte for byte.
//!
//! Blanking out what has to go would leave items that promise a thumbnail or an EXIF block and hold
//! zeros. So the lists are written again, with what the primary picture is made of and no more.

use std::collections::{HashMap, HashSet};

use super::boxes::Numbers;
use super::meta::{Item, Meta};
use super::{BROKEN, Codec, alpha, known, meta, picture};
use crate::Reject;
use crate::container::Cursor;

/// The references that say how pictures belong together.
const KEPT_REFERENCES: [[u8; 4]; 3] = [*b"dimg", *b"auxl", *b"prem"];

/// Brands that say what a reader needs for the primary picture.
const KEPT_BRANDS: [&[u8; 4]; 11] =
    [b"avif", b"MA1A", b"MA1B", b"heic", b"heix", b"heim", b"heis", b"mif1", b"mif2", b"miaf", b"MiHE"];

pub(crate) fn clean(bytes: &[u8]) -> Result<Vec<u8>, Reject> {
    let codec = picture(bytes)?.codec;
    let meta = meta(bytes)?;
    let kept = kept(&meta)?;
    let mut data = Vec::with_capacity(bytes.len());
    let mut lengths = Vec::with_capacity(kept.len());
    for item in &kept {
        let item = meta.data(item)?;
        // Items may share bytes; together they are not more than the file.
        if data.len() + item.len() > bytes.len() {
            return Err(BROKEN);
        }
        lengths.push(u32::try_from(item.len()).map_err(|_| BROKEN)?);
        item.pieces.iter().for_each(|piece| data.extend_from_slice(piece));
    }

    let mut clean = ftyp(bytes, codec)?;
    let lists = |start: u32| lists(&meta, &kept, &lengths, start);
    // Where the data begins changes nothing about the length of what says so.
    let start = clean.len() + lists(0)?.len() + 8;
    clean.extend(lists(u32::try_from(start).map_err(|_| BROKEN)?)?);
    write_box(&mut clean, *b"mdat", |body| body.extend(data))?;
    Ok(clean)
}

/// The primary item, its transparency, and the tiles of both.
fn kept<'m>(meta: &'m Meta) -> Result<Vec<&'m Item>, Reject> {
    let mut ids = Vec::new();
    for id in [Some(meta.primary), alpha(meta)].into_iter().flatten() {
        ids.push(id);
        if meta.item(id)?.kind == *b"grid" {
            ids.extend(meta.referred(id, *b"dimg"));
        }
    }
    let mut seen = HashSet::new();
    ids.retain(|&id| seen.insert(id));
    ids.into_iter().map(|id| meta.item(id)).collect()
}

fn ftyp(bytes: &[u8], codec: Codec) -> Result<Vec<u8>, Reject> {
    let mut cursor = Cursor::new(bytes, 0);
    let length = cursor.u32()? as usize;
    let brands = bytes.get(8..length).ok_or(BROKEN)?.as_chunks::<4>().0;
    let main = match codec {
        Codec::Av1 => *b"avif",
        Codec::Hevc => *b"heic",
    };
    let major = brands.first().filter(|brand| KEPT_BRANDS.contains(brand)).copied().unwrap_or(main);
    let mut compatible: Vec<[u8; 4]> =
        brands.iter().skip(2).filter(|brand| KEPT_BRANDS.contains(brand)).copied().collect();
    for needed in [main, *b"mif1"] {
        if !compatible.contains(&needed) {
            compatible.push(needed);
        }
    }
    compatible.sort_unstable();
    compatible.dedup();
    let mut file = Vec::new();
    write_box(&mut file, *b"ftyp", |body| {
        body.extend(major);
        body.extend([0; 4]);
        body.extend(compatible.as_flattened());
    })?;
    Ok(file)
}

/// The `meta` box. Items are numbered from 1 in the order in which they are kept.
fn lists(meta: &Meta, kept: &[&Item], lengths: &[u32], start: u32) -> Result<Vec<u8>, Reject> {
    let numbers: HashMap<u32, u16> = kept.iter().map(|item| item.id).zip(1..).collect();
    let count = u16::try_from(kept.len()).map_err(|_| BROKEN)?;
    let used: Vec<u16> = {
        let all = kept.iter().flat_map(|item| &item.properties).map(|(index, _)| *index);
        let kinds = |index: &u16| meta.property_at(*index).is_some_and(|property| known(property.kind));
        let mut used: Vec<u16> = all.filter(kinds).collect();
        used.sort_unstable();
        used.dedup();
        used
    };

    let mut body = vec![0; 4];
    write_full(&mut body, *b"hdlr", 0, |hdlr| hdlr.extend(b"\0\0\0\0pict\0\0\0\0\0\0\0\0\0\0\0\0\0"))?;
    write_full(&mut body, *b"pitm", 0, |pitm| pitm.extend([0, 1]))?;

    write_full(&mut body, *b"iloc", 0, |iloc| {
        iloc.extend([0x44, 0]);
        iloc.extend(count.to_be_bytes());
        let mut at = start;
        for (number, length) in (1_u16..).zip(lengths) {
            iloc.extend(number.to_be_bytes());
            iloc.extend([0, 0, 0, 1]);
            iloc.extend(at.to_be_bytes());
            iloc.extend(length.to_be_bytes());
            at = at.wrapping_add(*length);
        }
    })?;

    // A tile is hidden (ISO/IEC 23008-12, 6.4.2), the primary item never is, whatever else is made of it.
    let shown = [Some(meta.primary), alpha(meta)];
    let mut entries = count.to_be_bytes().to_vec();
    for (number, item) in (1_u16..).zip(kept) {
        let tile = !shown.contains(&Some(item.id));
        write_full(&mut entries, *b"infe", 0x0200_0000 | u32::from(tile), |infe| {
            infe.extend(number.to_be_bytes());
            infe.extend([0, 0]);
            infe.extend(item.kind);
            infe.push(0);
        })?;
    }
    write_full(&mut body, *b"iinf", 0, |iinf| iinf.extend(entries))?;

    let mut references = Vec::new();
    for (from, item) in (1_u16..).zip(kept) {
        for kind in KEPT_REFERENCES {
            let targets = meta.referred(item.id, kind).filter_map(|id| numbers.get(&id));
            let targets: Vec<u8> = targets.flat_map(|number| number.to_be_bytes()).collect();
            if targets.is_empty() {
                continue;
            }
            let count = u16::try_from(targets.len() / 2).map_err(|_| BROKEN)?;
            write_box(&mut references, kind, |body| {
                body.extend(from.to_be_bytes());
                body.extend(count.to_be_bytes());
                body.extend(targets);
            })?;
        }
    }
    if !references.is_empty() {
        write_full(&mut body, *b"iref", 0, |iref| iref.extend(references))?;
    }

    let mut iprp = Vec::new();
    let mut ipco = Vec::new();
    for property in used.iter().filter_map(|&index| meta.property_at(index)) {
        write_box(&mut ipco, property.kind, |body| body.extend(property.body))?;
    }
    write_box(&mut iprp, *b"ipco", |body| body.extend(ipco))?;
    // Version 0 with 15-bit indices.
    write_full(&mut iprp, *b"ipma", 1, |ipma| {
        ipma.extend(u32::from(count).to_be_bytes());
        for (number, item) in (1_u16..).zip(kept) {
            let places = item.properties.iter().filter_map(|(index, essential)| {
                let place = u16::try_from(used.binary_search(index).ok()? + 1).ok()?;
                Some(place | if *essential { 0x8000 } else { 0 })
            });
            let places: Vec<u8> = places.flat_map(u16::to_be_bytes).collect();
            ipma.extend(number.to_be_bytes());
            ipma.push(u8::try_from(places.len() / 2).unwrap_or(u8::MAX));
            ipma.extend(places);
        }
    })?;
    write_box(&mut body, *b"iprp", |whole| whole.extend(iprp))?;

    let mut file = Vec::new();
    write_box(&mut file, *b"meta", |whole| whole.extend(body))?;
    Ok(file)
}

fn write_box(to: &mut Vec<u8>, kind: [u8; 4], body: impl FnOnce(&mut Vec<u8>)) -> Result<(), Reject> {
    let start = to.len();
    to.extend([0; 4]);
    to.extend(kind);
    body(to);
    let length = u32::try_from(to.len() - start).map_err(|_| BROKEN)?;
    to[start..start + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

/// A box with a version and flags.
fn write_full(
    to: &mut Vec<u8>, kind: [u8; 4], version: u32, body: impl FnOnce(&mut Vec<u8>),
) -> Result<(), Reject> {
    write_box(to, kind, |whole| {
        whole.extend(version.to_be_bytes());
        body(whole);
    })
}

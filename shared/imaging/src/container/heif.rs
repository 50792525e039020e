//! HEIF (ISO/IEC 23008-12) with AV1 (AVIF) or HEVC (HEIC) in it.
//!
//! A file is a list of boxes; one of them, `meta`, lists items. One item is the primary one: a coded
//! picture, or a grid of coded tiles. Transparency is another picture that refers to it. Everything else
//! (thumbnails, depth, EXIF, XMP, films) is no part of the picture.

mod boxes;
mod clean;
mod meta;
mod transform;

use std::collections::HashSet;

use boxes::{Numbers, blocks};
pub(crate) use clean::clean;
use meta::{Data, Item, Meta};

use super::Cursor;
use crate::{Format, Header, Orientation, Reject};

const BROKEN: Reject = Reject::Undecodable("its boxes make no sense");

/// Brands of files in which a still picture is the primary item (ISO/IEC 23008-12, 10, and AVIF, 6). The
/// compatible ones count as much as the major one.
const BRANDS: [(&[u8; 4], Format); 12] = [
    (b"avif", Format::Avif),
    (b"avis", Format::Avif),
    (b"heic", Format::Heic),
    (b"heix", Format::Heic),
    (b"heim", Format::Heic),
    (b"heis", Format::Heic),
    (b"hevc", Format::Heic),
    (b"hevx", Format::Heic),
    (b"hevm", Format::Heic),
    (b"hevs", Format::Heic),
    (b"mif1", Format::Heic),
    (b"msf1", Format::Heic),
];

/// What the `ftyp` box says. Of a file that is only "HEIF" the header tells the rest.
pub(crate) fn format(bytes: &[u8]) -> Option<Format> {
    let mut cursor = Cursor::new(bytes, 0);
    let length = u32::from_be_bytes(cursor.array().ok()?) as usize;
    if cursor.array().ok()? != *b"ftyp" {
        return None;
    }
    let brands = bytes.get(8..length.min(bytes.len()))?.as_chunks::<4>().0;
    let compatible = brands.iter().enumerate().filter(|(at, _)| *at != 1).map(|(_, brand)| brand);
    compatible.take(64).find_map(|brand| Some(BRANDS.iter().find(|(known, _)| *known == brand)?.1))
}

/// How the pixels of an item are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    Av1,
    Hevc,
}

/// The `nclx` colours of ISO/IEC 14496-12, 12.1.5: code points of ITU-T H.273.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Nclx {
    pub(crate) primaries: u8,
    pub(crate) transfer: u8,
    pub(crate) matrix: u8,
    pub(crate) full_range: bool,
}

/// The primary item, resolved.
#[derive(Debug)]
pub(crate) struct Picture<'a> {
    pub(crate) codec: Codec,
    pub(crate) colour: Layer<'a>,
    pub(crate) alpha: Option<Layer<'a>>,
    /// Whether colours are already multiplied by alpha (the `prem` reference).
    pub(crate) premultiplied: bool,
    pub(crate) crop: Crop,
    pub(crate) icc: Option<&'a [u8]>,
    orientation: Orientation,
}

/// A coded picture, or many in a grid.
#[derive(Debug)]
pub(crate) struct Layer<'a> {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) tile: (u32, u32),
    pub(crate) columns: u32,
    /// In reading order.
    pub(crate) tiles: Vec<Coded<'a>>,
    pub(crate) nclx: Option<Nclx>,
}

#[derive(Debug)]
pub(crate) struct Coded<'a> {
    /// The body of the `av1C` or `hvcC` property.
    pub(crate) config: &'a [u8],
    pub(crate) data: Data<'a>,
}

/// The part of the coded picture that is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Crop {
    pub(crate) left: u32,
    pub(crate) top: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

fn meta(bytes: &[u8]) -> Result<Meta<'_>, Reject> {
    let mut meta = None;
    let mut film = false;
    for block in blocks(bytes) {
        match block {
            Ok(block) if block.kind == *b"meta" => meta = meta.or(Some(block.body)),
            Ok(block) => film |= block.kind == *b"moov",
            // Something appended, which is no box, does not make the file incomplete. That all items lie
            // within it is checked where they are read.
            Err(_) => break,
        }
    }
    match meta {
        Some(body) => Meta::read(body, bytes),
        None if film => Err(Reject::UnsupportedFormat("HEIF film")),
        None => Err(Reject::Truncated),
    }
}

pub(crate) fn header(bytes: &[u8]) -> Result<Header, Reject> {
    let picture = picture(bytes)?;
    let Crop { width, height, .. } = picture.crop;
    let (width, height) = picture.orientation.upright((width, height));
    let pixels = |(width, height): (u32, u32)| u64::from(width) * u64::from(height);
    let layers = || [Some(&picture.colour), picture.alpha.as_ref()].into_iter().flatten();
    let largest = layers().map(|layer| pixels(layer.tile).max(pixels((layer.width, layer.height)))).max();
    Ok(Header {
        format: match picture.codec {
            Codec::Av1 => Format::Avif,
            Codec::Hevc => Format::Heic,
        },
        width,
        height,
        orientation: picture.orientation,
        frames: 1,
        alpha: picture.alpha.is_some(),
        largest_frame: largest.unwrap_or_default(),
    })
}

/// The EXIF block. It describes the picture, but does not turn it: in HEIF only properties do
/// (ISO/IEC 23008-12, A.2.1).
pub(crate) fn exif(bytes: &[u8]) -> Option<&[u8]> {
    let meta = meta(bytes).ok()?;
    let of_primary =
        |item: &&Item| meta.referred(item.id, *b"cdsc").any(|described| described == meta.primary);
    let exif = meta.items().iter().filter(|item| item.kind == *b"Exif").find(of_primary)?;
    let (offset, block) = meta.data(exif).ok()?.piece()?.split_first_chunk()?;
    block.get(u32::from_be_bytes(*offset) as usize..)
}

/// Finds everything that the primary item is made of, and that all of it is there. Nothing is copied.
pub(crate) fn picture(bytes: &[u8]) -> Result<Picture<'_>, Reject> {
    let meta = meta(bytes)?;
    let primary = meta.item(meta.primary)?;
    let (codec, colour) = layer(&meta, primary)?;
    let (crop, orientation) = transform::read(&meta, primary, (colour.width, colour.height))?;

    let alpha = alpha(&meta).map(|id| layer(&meta, meta.item(id)?)).transpose()?;
    if alpha.as_ref().is_some_and(|(other, alpha)| {
        *other != codec || (alpha.width, alpha.height) != (colour.width, colour.height)
    }) {
        return Err(Reject::UnsupportedFormat("HEIF with transparency of another size"));
    }
    // Tiles may share bytes, but not in a file made by a camera: so decoding puts together no more than there
    // is in the file.
    let layers = [Some(&colour), alpha.as_ref().map(|(_, alpha)| alpha)].into_iter().flatten();
    if layers.flat_map(|layer| &layer.tiles).map(|coded| coded.data.len()).sum::<usize>() > bytes.len() {
        return Err(BROKEN);
    }
    let alpha_id = self::alpha(&meta);
    let premultiplied = meta.referred(meta.primary, *b"prem").any(|id| Some(id) == alpha_id);

    // Colours may stand at the grid or at its tiles.
    let first_tile = meta.referred(primary.id, *b"dimg").next().map(|id| meta.item(id)).transpose()?;
    let icc = icc(&meta, primary).or_else(|| icc(&meta, first_tile?));
    let alpha = alpha.map(|(_, alpha)| alpha);
    Ok(Picture { codec, colour, alpha, premultiplied, crop, icc, orientation })
}

/// The item that is the transparency of the primary one.
fn alpha(meta: &Meta) -> Option<u32> {
    const ALPHA: [&[u8]; 2] = [b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1"];
    meta.referring(meta.primary, *b"auxl").find(|&id| {
        let kind = meta.item(id).ok().and_then(|item| meta.property(item, *b"auxC"));
        let name = kind.and_then(|kind| kind.get(4..)?.split(|&byte| byte == 0).next());
        name.is_some_and(|name| ALPHA.contains(&name))
    })
}

fn layer<'a>(meta: &Meta<'a>, item: &Item) -> Result<(Codec, Layer<'a>), Reject> {
    let (width, height) = size(meta, item)?;
    if item.kind != *b"grid" {
        let (codec, coded) = coded(meta, item)?;
        let nclx = nclx(meta, item);
        let layer = Layer { width, height, tile: (width, height), columns: 1, tiles: vec![coded], nclx };
        return Ok((codec, layer));
    }
    let data = meta.data(item)?;
    let data: Vec<u8> = data.pieces.into_iter().flatten().take(LONGEST_GRID).copied().collect();
    let (columns, rows, size_in_data) = grid(&data).map_err(|_| BROKEN)?;
    let tiles = meta.referred(item.id, *b"dimg").map(|id| meta.item(id)).collect::<Result<Vec<_>, _>>()?;
    // ISO/IEC 14496-12, 8.11.12.1: in such a list "a given value shall occur at most once".
    let mut seen = HashSet::new();
    if !tiles.iter().all(|tile| seen.insert(tile.id)) {
        return Err(Reject::Undecodable("it has one tile in two places"));
    }
    let first = *tiles.first().ok_or(BROKEN)?;
    let tile = size(meta, first)?;
    let covers = |tile: u32, count: u32, side: u32| {
        let (tile, count, side) = (u64::from(tile), u64::from(count), u64::from(side));
        tile * count >= side && tile * (count - 1) < side
    };
    if size_in_data != (width, height)
        || tiles.len() as u64 != u64::from(columns) * u64::from(rows)
        || !covers(tile.0, columns, width)
        || !covers(tile.1, rows, height)
    {
        return Err(Reject::Undecodable("its tiles do not cover it"));
    }
    let coded = tiles
        .iter()
        .map(|&item| {
            if size(meta, item)? != tile {
                return Err(Reject::Undecodable("its tiles are not of one size"));
            }
            coded(meta, item)
        })
        .collect::<Result<Vec<_>, _>>()?;
    let codec = coded[0].0;
    if coded.iter().any(|(other, _)| *other != codec) {
        return Err(Reject::Undecodable("its tiles are not of one kind"));
    }
    let nclx = nclx(meta, item).or_else(|| nclx(meta, first));
    let tiles = coded.into_iter().map(|(_, coded)| coded).collect();
    Ok((codec, Layer { width, height, tile, columns, tiles, nclx }))
}

/// A version, flags, rows, columns, and a size in 32 bits.
const LONGEST_GRID: usize = 12;

/// Columns, rows, and the size of the whole (ISO/IEC 23008-12, 6.6.2.3.2).
fn grid(data: &[u8]) -> Result<(u32, u32, (u32, u32)), Reject> {
    let mut cursor = Cursor::new(data, 0);
    let [_, flags, rows, columns] = cursor.array()?;
    let wide = flags & 1 == 1;
    let size = (cursor.id(wide)?, cursor.id(wide)?);
    Ok((1 + u32::from(columns), 1 + u32::from(rows), size))
}

fn coded<'a>(meta: &Meta<'a>, item: &Item) -> Result<(Codec, Coded<'a>), Reject> {
    let (codec, config) = match &item.kind {
        b"av01" => (Codec::Av1, b"av1C"),
        b"hvc1" | b"hev1" => (Codec::Hevc, b"hvcC"),
        b"grid" | b"iden" | b"iovl" | b"tmap" => {
            return Err(Reject::UnsupportedFormat("HEIF of derived pictures"));
        }
        b"jpeg" | b"j2k1" | b"avc1" | b"vvc1" | b"unci" => {
            return Err(Reject::UnsupportedFormat("HEIF of another coding"));
        }
        _ => return Err(Reject::Undecodable("its primary item is no picture")),
    };
    if meta.properties(item).any(|(property, essential)| essential && !known(property.kind)) {
        return Err(Reject::UnsupportedFormat("HEIF with unknown properties"));
    }
    let config = meta.property(item, *config).ok_or(BROKEN)?;
    Ok((codec, Coded { config, data: meta.data(item)? }))
}

/// Properties of a picture that are understood, or change nothing in it.
fn known(kind: [u8; 4]) -> bool {
    matches!(
        &kind,
        b"ispe"
            | b"pixi"
            | b"colr"
            | b"av1C"
            | b"hvcC"
            | b"irot"
            | b"imir"
            | b"clap"
            | b"auxC"
            | b"pasp"
            | b"clli"
            | b"mdcv"
            | b"cclv"
            | b"amve"
            | b"a1op"
            | b"a1lx"
            | b"lsel"
            | b"rloc"
    )
}

fn size(meta: &Meta, item: &Item) -> Result<(u32, u32), Reject> {
    let ispe = meta.property(item, *b"ispe").ok_or(Reject::Undecodable("it has no width or no height"))?;
    let mut cursor = Cursor::new(ispe, 4);
    let size = cursor.u32().and_then(|width| Ok((width, cursor.u32()?))).map_err(|_| BROKEN)?;
    if size.0 == 0 || size.1 == 0 {
        return Err(Reject::Undecodable("it has no width or no height"));
    }
    Ok(size)
}

fn colours<'a>(meta: &Meta<'a>, item: &Item) -> impl Iterator<Item = &'a [u8]> {
    meta.properties(item).filter(|(property, _)| property.kind == *b"colr").map(|(property, _)| property.body)
}

fn icc<'a>(meta: &Meta<'a>, item: &Item) -> Option<&'a [u8]> {
    colours(meta, item).find_map(|colour| colour.strip_prefix(b"prof").or(colour.strip_prefix(b"rICC")))
}

fn nclx(meta: &Meta, item: &Item) -> Option<Nclx> {
    let colour = colours(meta, item).find_map(|colour| colour.strip_prefix(b"nclx"))?;
    let [0, primaries, 0, transfer, 0, matrix, range, ..] = *colour else {
        return None;
    };
    Some(Nclx { primaries, transfer, matrix, full_range: range & 0x80 != 0 })
}

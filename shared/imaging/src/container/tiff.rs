//! TIFF 6.0: the first directory, and where the pieces of its picture lie.
//!
//! The chain of directories is not followed: other pages are no part of the picture, and so a chain that
//! loops is of no concern.

use super::Cursor;
use crate::{Format, Header, Orientation, Reject};

const BROKEN: Reject = Reject::Undecodable("its directory makes no sense");

/// Strips or tiles. A picture at the limit of pixels in tiles of 64 x 64 has 30,000.
const MOST_CHUNKS: usize = 100_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    PackBits,
    Lzw,
    Deflate,
    Jpeg,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colours {
    Gray {
        white_is_zero: bool,
    },
    Rgb,
    Palette,
    Cmyk,
    /// Stored as luma and chroma, which only JPEG is allowed to be.
    YCbCr,
}

impl Colours {
    /// Samples of a pixel, without the extra ones.
    pub(crate) fn samples(self) -> u16 {
        match self {
            Self::Gray { .. } | Self::Palette => 1,
            Self::Rgb | Self::YCbCr => 3,
            Self::Cmyk => 4,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alpha {
    None,
    /// Colours are multiplied by it.
    Associated,
    Straight,
}

/// The first page.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a yes or no of the format")]
pub(crate) struct Page<'a> {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) little_endian: bool,
    pub(crate) compression: Compression,
    pub(crate) colours: Colours,
    pub(crate) alpha: Alpha,
    /// Of a pixel, with those that are not shown.
    pub(crate) samples: u16,
    /// Of a sample: 1, 2, 4, 8 or 16.
    pub(crate) bits: u16,
    /// Whether every sample but the first of a row is the difference to the one before it (section 14).
    pub(crate) differences: bool,
    /// Whether the first pixel is in the lowest bits of a byte and not in the highest.
    pub(crate) reversed: bool,
    /// Whether each sample has planes, and so chunks, of its own.
    pub(crate) planar: bool,
    /// Of a strip or tile. The last strip is shorter, tiles are never.
    pub(crate) chunk: (u32, u32),
    pub(crate) tiled: bool,
    /// The strips or tiles in reading order, plane after plane.
    pub(crate) chunks: Vec<&'a [u8]>,
    /// Red, then green, then blue.
    pub(crate) palette: Vec<u16>,
    /// Of JPEG chunks, which leave out their tables.
    pub(crate) jpeg_tables: Option<&'a [u8]>,
    pub(crate) icc: Option<&'a [u8]>,
    orientation: Orientation,
}

impl Page<'_> {
    /// Whether its samples do not fit into 8 bits, nor into 16 bits of another meaning: colour alpha has
    /// been multiplied into, and ink.
    pub(crate) fn is_wide(&self) -> bool {
        self.bits == 16 && self.colours != Colours::Cmyk && self.alpha != Alpha::Associated
    }
}

/// The entries of a directory.
struct Directory<'a> {
    file: &'a [u8],
    little_endian: bool,
    entries: &'a [[u8; 12]],
}

/// One value or a list of them.
struct Field<'a> {
    kind: u16,
    bytes: &'a [u8],
    little_endian: bool,
}

/// The bytes of a value of this type (section 2).
pub(crate) fn size_of(kind: u16) -> Option<usize> {
    match kind {
        1 | 2 | 6 | 7 => Some(1),
        3 | 8 => Some(2),
        4 | 9 | 11 | 13 => Some(4),
        5 | 10 | 12 => Some(8),
        _ => None,
    }
}

pub(crate) fn u16_of(bytes: [u8; 2], little_endian: bool) -> u16 {
    if little_endian { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) }
}

pub(crate) fn u32_of(bytes: [u8; 4], little_endian: bool) -> u32 {
    if little_endian { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) }
}

impl<'a> Directory<'a> {
    fn first(file: &'a [u8]) -> Result<Self, Reject> {
        let mut cursor = Cursor::new(file, 0);
        let little_endian = cursor.array()? == *b"II";
        if u16_of(cursor.array()?, little_endian) != 42 {
            return Err(Reject::UnsupportedFormat("BigTIFF"));
        }
        let mut cursor = Cursor::new(file, u32_of(cursor.array()?, little_endian) as usize);
        let count = usize::from(u16_of(cursor.array()?, little_endian));
        let (entries, _) = cursor.take(12 * count)?.as_chunks();
        Ok(Self { file, little_endian, entries })
    }

    fn field(&self, tag: u16) -> Result<Option<Field<'a>>, Reject> {
        let tag_of = |entry: &&[u8; 12]| u16_of([entry[0], entry[1]], self.little_endian) == tag;
        let Some(&[_, _, k0, k1, c0, c1, c2, c3, ref value @ ..]) = self.entries.iter().find(tag_of) else {
            return Ok(None);
        };
        let kind = u16_of([k0, k1], self.little_endian);
        let count = u32_of([c0, c1, c2, c3], self.little_endian) as usize;
        let length = size_of(kind).and_then(|size| count.checked_mul(size)).ok_or(BROKEN)?;
        let value: &'a [u8; 4] = value;
        let bytes = if length <= 4 {
            &value[..length]
        } else {
            Cursor::new(self.file, u32_of(*value, self.little_endian) as usize).take(length)?
        };
        Ok(Some(Field { kind, bytes, little_endian: self.little_endian }))
    }

    /// Whole numbers, at most `most` of them.
    fn numbers(&self, tag: u16, most: usize) -> Result<Vec<u32>, Reject> {
        let Some(field) = self.field(tag)? else {
            return Ok(vec![]);
        };
        let numbers: Vec<u32> = match field.kind {
            1 => field.bytes.iter().take(most + 1).map(|&byte| byte.into()).collect(),
            3 => {
                let shorts = field.bytes.as_chunks().0.iter().take(most + 1);
                shorts.map(|&short| u16_of(short, field.little_endian).into()).collect()
            }
            4 | 13 => {
                let longs = field.bytes.as_chunks().0.iter().take(most + 1);
                longs.map(|&long| u32_of(long, field.little_endian)).collect()
            }
            _ => return Err(BROKEN),
        };
        if numbers.len() > most { Err(BROKEN) } else { Ok(numbers) }
    }

    fn number(&self, tag: u16) -> Result<Option<u32>, Reject> {
        Ok(self.numbers(tag, MOST_CHUNKS)?.first().copied())
    }

    fn bytes(&self, tag: u16) -> Result<Option<&'a [u8]>, Reject> {
        Ok(self.field(tag)?.filter(|field| matches!(field.kind, 1 | 7)).map(|field| field.bytes))
    }
}

pub(crate) fn header(bytes: &[u8]) -> Result<Header, Reject> {
    let page = page(bytes)?;
    let (width, height) = page.orientation.upright((page.width, page.height));
    let pixels = |(width, height): (u32, u32)| u64::from(width) * u64::from(height);
    Ok(Header {
        format: Format::Tiff,
        width,
        height,
        orientation: page.orientation,
        frames: 1,
        alpha: page.alpha != Alpha::None,
        largest_frame: pixels(page.chunk).max(pixels((page.width, page.height))),
    })
}

/// Reads the first directory, and finds that all of its picture is there.
pub(crate) fn page(bytes: &[u8]) -> Result<Page<'_>, Reject> {
    let directory = Directory::first(bytes)?;
    let number = |tag| directory.number(tag);
    let required = |tag| number(tag)?.ok_or(BROKEN);

    is_the_picture(&directory)?;
    let (width, height) = (required(256)?, required(257)?);
    let bits = directory.numbers(258, 64)?;
    let format = directory.numbers(339, 64)?;
    let bits_of_first = bits.first().copied().unwrap_or(1);
    if bits.iter().any(|&bits| bits != bits_of_first)
        || !matches!(bits_of_first, 1 | 2 | 4 | 8 | 16)
        || format.iter().any(|&format| format != 1)
    {
        return Err(Reject::UnsupportedFormat("TIFF with samples of a rare kind"));
    }
    let (compression, reversed) = compression(&directory)?;
    let colours = match required(262)? {
        0 => Colours::Gray { white_is_zero: true },
        1 => Colours::Gray { white_is_zero: false },
        2 => Colours::Rgb,
        3 => Colours::Palette,
        5 => Colours::Cmyk,
        6 if compression == Compression::Jpeg => Colours::YCbCr,
        _ => return Err(Reject::UnsupportedFormat("TIFF with rare colours")),
    };
    let samples = u16::try_from(number(277)?.unwrap_or(1)).map_err(|_| BROKEN)?;
    let extra = samples.checked_sub(colours.samples()).ok_or(BROKEN)?;
    let alpha = match (directory.numbers(338, 64)?.first(), colours) {
        _ if extra == 0 => Alpha::None,
        (Some(1), Colours::Gray { .. } | Colours::Rgb) => Alpha::Associated,
        (Some(2), Colours::Gray { .. } | Colours::Rgb) => Alpha::Straight,
        _ => Alpha::None,
    };
    if samples > 16 || (bits_of_first < 8 && samples > 1) || (compression == Compression::Jpeg && extra > 0) {
        return Err(Reject::UnsupportedFormat("TIFF with samples of a rare kind"));
    }
    let differences = match number(317)?.unwrap_or(1) {
        1 => false,
        2 if bits_of_first >= 8 => true,
        _ => return Err(Reject::UnsupportedFormat("TIFF of a rare compression")),
    };
    let ink_set = number(332)?.unwrap_or(1);
    if colours == Colours::Cmyk && ink_set != 1 {
        return Err(Reject::UnsupportedFormat("TIFF with rare colours"));
    }

    let planar = number(284)? == Some(2) && samples > 1;
    let tiled = directory.field(322)?.is_some();
    let chunk = if tiled {
        (required(322)?, required(323)?)
    } else {
        (width, number(278)?.unwrap_or(height).min(height))
    };
    let per_plane = if width == 0 || height == 0 || chunk.0 == 0 || chunk.1 == 0 {
        return Err(Reject::Undecodable("it has no width or no height"));
    } else {
        u64::from(width.div_ceil(chunk.0)) * u64::from(height.div_ceil(chunk.1))
    };
    let count = per_plane * if planar { u64::from(samples) } else { 1 };
    let (at, lengths) = if tiled { (324, 325) } else { (273, 279) };
    let (at, lengths) = (directory.numbers(at, MOST_CHUNKS)?, directory.numbers(lengths, MOST_CHUNKS)?);
    if at.len() as u64 != count || lengths.len() as u64 != count {
        return Err(Reject::Undecodable("it has not as many pieces as it needs"));
    }
    let chunks =
        at.iter().zip(&lengths).map(|(&at, &length)| Cursor::new(bytes, at as usize).take(length as usize));
    let orientation = number(274)?.map(Orientation::from_exif).unwrap_or_default();
    let bits = u16::try_from(bits_of_first).map_err(|_| BROKEN)?;
    Ok(Page {
        width,
        height,
        little_endian: directory.little_endian,
        compression,
        colours,
        alpha,
        samples,
        bits,
        differences,
        reversed,
        planar,
        chunk,
        tiled,
        chunks: chunks.collect::<Result<_, _>>()?,
        palette: palette(&directory, colours, bits)?,
        jpeg_tables: directory.bytes(347)?,
        icc: directory.bytes(34_675)?,
        orientation,
    })
}

/// Refuses what begins with a thumbnail. Most of it is cameras' raw files, which are TIFFs too: with a mark of
/// their own, or with the picture in a directory below that of the thumbnail.
fn is_the_picture(directory: &Directory) -> Result<(), Reject> {
    let marked = directory.field(0xc612)?.is_some() || directory.file.get(8..10) == Some(b"CR");
    let thumbnail = directory.number(254)?.is_some_and(|kind| kind & 1 == 1);
    if marked || thumbnail && directory.field(330)?.is_some() {
        Err(Reject::UnsupportedFormat("Camera raw"))
    } else if thumbnail {
        Err(Reject::UnsupportedFormat("TIFF that begins with a thumbnail"))
    } else {
        Ok(())
    }
}

/// How chunks are compressed, and whether bits are reversed in their bytes. That is for uncompressed data, and
/// would be ambiguous with what has an order of bits of its own (section 8); libtiff ignores it in JPEG.
fn compression(directory: &Directory) -> Result<(Compression, bool), Reject> {
    let compression = match directory.number(259)?.unwrap_or(1) {
        1 => Compression::None,
        2..=4 | 32_771 => return Err(Reject::UnsupportedFormat("TIFF with fax compression (CCITT)")),
        5 => Compression::Lzw,
        6 => return Err(Reject::UnsupportedFormat("TIFF with JPEG of the old kind")),
        7 => Compression::Jpeg,
        8 | 32_946 => Compression::Deflate,
        32_773 => Compression::PackBits,
        _ => return Err(Reject::UnsupportedFormat("TIFF of a rare compression")),
    };
    let reversed = directory.number(266)? == Some(2);
    match compression {
        Compression::None => Ok((compression, reversed)),
        Compression::Jpeg => Ok((compression, false)),
        _ if reversed => Err(Reject::UnsupportedFormat("Compressed TIFF with its bits in reverse")),
        _ => Ok((compression, false)),
    }
}

fn palette(directory: &Directory, colours: Colours, bits: u16) -> Result<Vec<u16>, Reject> {
    if colours != Colours::Palette {
        return Ok(vec![]);
    }
    if bits > 8 {
        return Err(Reject::UnsupportedFormat("TIFF with samples of a rare kind"));
    }
    let entries = directory.numbers(320, 3 << 8)?;
    if entries.len() != 3 << bits {
        return Err(Reject::Undecodable("its palette is not of the size it needs"));
    }
    // Some writers forget that entries have 16 bits.
    let scale = if entries.iter().all(|&entry| entry < 256) { 257 } else { 1 };
    Ok(entries.iter().map(|&entry| u16::try_from(entry * scale).unwrap_or(u16::MAX)).collect())
}

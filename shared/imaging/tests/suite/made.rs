//! Files made for the tests, and the ways back to pixels.

use std::time::{Duration, Instant};

use imaging::{Budget, Encoding, Header, OutputFormat, Picture, Plan, Recipe, Reject, Rendered};
use jpeg_encoder::{ColorType as JpegColour, Encoder as JpegEncoder, SamplingFactor};

macro_rules! fixture {
    ($name:expr) => {
        include_bytes!(concat!("../fixtures/", $name)).as_slice()
    };
}
pub(crate) use fixture;

/// Straight RGBA.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pixels {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) rgba: Vec<[u8; 4]>,
}

impl Pixels {
    pub(crate) fn at(&self, x: u32, y: u32) -> [u8; 4] {
        self.rgba[(y * self.width + x) as usize]
    }

    /// The mean difference of colours as they look on white.
    pub(crate) fn difference(&self, other: &Self) -> f64 {
        assert_eq!((self.width, self.height), (other.width, other.height));
        let seen = |[r, g, b, a]: [u8; 4]| {
            let alpha = f64::from(a) / 255.0;
            [r, g, b].map(|colour| f64::from(colour) * alpha + 255.0 * (1.0 - alpha))
        };
        let pairs = self.rgba.iter().zip(&other.rgba);
        let sum: f64 = pairs
            .flat_map(|(a, b)| {
                let (a, b) = (seen(*a), seen(*b));
                (0..3).map(move |channel| (a[channel] - b[channel]).abs())
            })
            .sum();
        sum / (f64::from(self.width * self.height) * 3.0)
    }
}

pub(crate) fn budget() -> Budget {
    Budget { deadline: Instant::now() + Duration::from_mins(1), memory: 512 << 20 }
}

pub(crate) fn recipe(width: u32, format: OutputFormat) -> Recipe {
    Recipe::of_width(width, Encoding { format, quality: 90, lossless: false })
}

/// What `process-upload` does to every file.
pub(crate) fn process(bytes: &[u8], recipes: &[Recipe]) -> Result<Rendered, Reject> {
    let header = imaging::probe(bytes)?;
    imaging::Limits::default().check(&header, bytes.len() as u64)?;
    imaging::clean(bytes, &header, &budget())?;
    let plans: Vec<Plan> = recipes.iter().map(|recipe| recipe.plan(&header)).collect();
    imaging::render(bytes, &header, &plans, &budget())
}

pub(crate) fn one(bytes: &[u8], width: u32, format: OutputFormat) -> Picture {
    process(bytes, &[recipe(width, format)]).unwrap().pictures.remove(0)
}

/// The pixels of any file, at most `width` wide.
pub(crate) fn look(bytes: &[u8], width: u32) -> Pixels {
    let picture = one(bytes, width, OutputFormat::Png);
    from_png(&picture.bytes)
}

pub(crate) fn from_png(file: &[u8]) -> Pixels {
    let mut decoder = png::Decoder::new(std::io::Cursor::new(file));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().unwrap();
    let mut data = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut data).unwrap();
    data.truncate(info.buffer_size());
    let channels = info.color_type.samples();
    let pixel = |pixel: &[u8]| match *pixel {
        [level] => [level, level, level, 255],
        [level, alpha] => [level, level, level, alpha],
        [r, g, b] => [r, g, b, 255],
        [r, g, b, a] => [r, g, b, a],
        _ => panic!("{channels} channels"),
    };
    let rgba = data.chunks_exact(channels).map(pixel).collect();
    Pixels { width: info.width, height: info.height, rgba }
}

pub(crate) fn all(bytes: &[u8]) -> Pixels {
    look(bytes, u32::MAX)
}

pub(crate) fn header(bytes: &[u8]) -> Header {
    imaging::probe(bytes).unwrap()
}

/// Smooth in every channel, so that lossy codecs stay close to it.
pub(crate) fn drawing(width: u32, height: u32) -> Pixels {
    let share = |part: u32, whole: u32| u8::try_from(part * 255 / whole.max(1)).unwrap();
    let rgba = (0..height)
        .flat_map(|y| {
            (0..width).map(move |x| [share(x, width), share(y, height), share(x + y, width + height), 255])
        })
        .collect();
    Pixels { width, height, rgba }
}

pub(crate) fn plain(width: u32, height: u32, colour: [u8; 4]) -> Pixels {
    let rgba = vec![colour; (width * height) as usize];
    Pixels { width, height, rgba }
}

fn rgb(pixels: &Pixels) -> Vec<u8> {
    pixels.rgba.iter().flat_map(|&[r, g, b, _]| [r, g, b]).collect()
}

pub(crate) fn png(pixels: &Pixels) -> Vec<u8> {
    png_with(pixels, |_| {})
}

pub(crate) fn png_with(pixels: &Pixels, set: impl FnOnce(&mut png::Info)) -> Vec<u8> {
    let mut info = png::Info::with_size(pixels.width, pixels.height);
    info.color_type = png::ColorType::Rgba;
    info.bit_depth = png::BitDepth::Eight;
    set(&mut info);
    let mut file = Vec::new();
    let mut writer = png::Encoder::with_info(&mut file, info).unwrap().write_header().unwrap();
    writer.write_image_data(pixels.rgba.as_flattened()).unwrap();
    writer.finish().unwrap();
    file
}

/// A PNG chunk with its checksum.
pub(crate) fn chunk(name: [u8; 4], data: &[u8]) -> Vec<u8> {
    let body = [&name[..], data].concat();
    let crc = !body.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)))
    });
    let length = u32::try_from(data.len()).unwrap().to_be_bytes();
    [&length[..], &body, &crc.to_be_bytes()].concat()
}

pub(crate) fn jpeg(pixels: &Pixels) -> Vec<u8> {
    jpeg_with(pixels, |_| {})
}

pub(crate) fn jpeg_with(pixels: &Pixels, set: impl FnOnce(&mut JpegEncoder<&mut Vec<u8>>)) -> Vec<u8> {
    encode_jpeg(pixels, &rgb(pixels), JpegColour::Rgb, set)
}

pub(crate) fn gray_jpeg(pixels: &Pixels) -> Vec<u8> {
    let gray: Vec<u8> = pixels.rgba.iter().map(|pixel| pixel[1]).collect();
    encode_jpeg(pixels, &gray, JpegColour::Luma, |_| {})
}

/// `ycck` decides between Adobe's two ways to store ink.
pub(crate) fn ink_jpeg(width: u16, height: u16, ink: [u8; 4], ycck: bool) -> Vec<u8> {
    let pixels = plain(u32::from(width), u32::from(height), ink);
    let colour = if ycck { JpegColour::CmykAsYcck } else { JpegColour::Cmyk };
    encode_jpeg(&pixels, pixels.rgba.as_flattened(), colour, |_| {})
}

fn encode_jpeg(
    pixels: &Pixels, data: &[u8], colour: JpegColour, set: impl FnOnce(&mut JpegEncoder<&mut Vec<u8>>),
) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = JpegEncoder::new(&mut file, 95);
    encoder.set_sampling_factor(SamplingFactor::F_1_1);
    set(&mut encoder);
    let side = |side: u32| u16::try_from(side).unwrap();
    encoder.encode(data, side(pixels.width), side(pixels.height), colour).unwrap();
    file
}

pub(crate) fn progressive(pixels: &Pixels) -> Vec<u8> {
    jpeg_with(pixels, |encoder| {
        encoder.set_progressive(true);
        encoder.set_sampling_factor(SamplingFactor::F_2_2);
    })
}

/// A JPEG segment.
pub(crate) fn segment(marker: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len() + 2).unwrap().to_be_bytes();
    [&[0xff, marker][..], &length, payload].concat()
}

/// Puts segments right after the start of a JPEG.
pub(crate) fn with_segments(file: &[u8], segments: &[Vec<u8>]) -> Vec<u8> {
    [&file[..2], &segments.concat(), &file[2..]].concat()
}

/// A GIF's box: left, top, width, height.
pub(crate) type FrameBox = (u16, u16, u16, u16);

/// Frames of two colours, red and (where `transparent`) nothing, in stripes.
pub(crate) fn gif(screen: (u16, u16), frames: &[FrameBox], transparent: bool) -> Vec<u8> {
    let mut file = Vec::new();
    let palette = [255, 0, 0, 0, 255, 0];
    let mut encoder = gif::Encoder::new(&mut file, screen.0, screen.1, &palette).unwrap();
    encoder.set_repeat(gif::Repeat::Infinite).unwrap();
    for &(left, top, width, height) in frames {
        let stripes = (0..usize::from(width) * usize::from(height))
            .map(|at| u8::from(transparent && (at / usize::from(width)) % 2 == 1));
        let frame = gif::Frame {
            left,
            top,
            width,
            height,
            transparent: transparent.then_some(1),
            delay: 4,
            buffer: stripes.collect::<Vec<u8>>().into(),
            ..gif::Frame::default()
        };
        encoder.write_frame(&frame).unwrap();
    }
    drop(encoder);
    file
}

/// A RIFF chunk.
pub(crate) fn riff_chunk(name: [u8; 4], data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).unwrap().to_le_bytes();
    let padding = vec![0; data.len() % 2];
    [&name[..], &length, data, &padding].concat()
}

pub(crate) fn riff(chunks: &[Vec<u8>]) -> Vec<u8> {
    riff_chunk(*b"RIFF", &[b"WEBP", &chunks.concat()[..]].concat())
}

/// The `VP8X` chunk.
pub(crate) fn extended(flags: u8, width: u32, height: u32) -> Vec<u8> {
    let size = |side: u32| (side - 1).to_le_bytes()[..3].to_vec();
    riff_chunk(*b"VP8X", &[&[flags, 0, 0, 0][..], &size(width), &size(height)].concat())
}

/// The bitstream chunk of a simple WebP file.
pub(crate) fn bitstream(file: &[u8]) -> Vec<u8> {
    file[12..].to_vec()
}

/// An animation of two frames of 8 x 6 at `(left, top)`, which are even.
pub(crate) fn animated_webp(canvas: (u32, u32), (left, top): (u32, u32)) -> Vec<u8> {
    let frame = |colour| {
        let still = one(&png(&plain(8, 6, colour)), 8, OutputFormat::Webp).bytes;
        let u24 = |value: u32| value.to_le_bytes()[..3].to_vec();
        let head = [u24(left / 2), u24(top / 2), u24(7), u24(5), u24(40), vec![0]].concat();
        riff_chunk(*b"ANMF", &[head, bitstream(&still)].concat())
    };
    riff(&[
        extended(0x12, canvas.0, canvas.1),
        riff_chunk(*b"ANIM", &[0; 6]),
        frame([0, 0, 255, 255]),
        frame([255, 0, 0, 255]),
    ])
}

/// A big-endian TIFF block with ASCII fields in its first and (after a pointer) its EXIF directory.
pub(crate) fn exif(first: &[(u16, &str)], exif: &[(u16, &str)]) -> Vec<u8> {
    let mut block = b"MM\0*\0\0\0\x08".to_vec();
    let pointer_at = directory(&mut block, first, !exif.is_empty());
    if let Some(at) = pointer_at {
        let offset = u32::try_from(block.len()).unwrap().to_be_bytes();
        block[at..at + 4].copy_from_slice(&offset);
        directory(&mut block, exif, false);
    }
    block
}

/// Appends a directory and its values. Returns where the pointer to the EXIF directory has to go.
fn directory(block: &mut Vec<u8>, fields: &[(u16, &str)], pointer: bool) -> Option<usize> {
    let count = fields.len() + usize::from(pointer);
    let mut values_at = block.len() + 2 + 12 * count + 4;
    let mut values = Vec::new();
    block.extend(u16::try_from(count).unwrap().to_be_bytes());
    for (tag, text) in fields {
        let text = [text.as_bytes(), b"\0"].concat();
        block.extend(tag.to_be_bytes());
        block.extend(2_u16.to_be_bytes());
        block.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
        if text.len() <= 4 {
            block.extend(text.iter().chain(&[0; 4]).take(4));
        } else {
            block.extend(u32::try_from(values_at).unwrap().to_be_bytes());
            values_at += text.len();
            values.extend(text);
        }
    }
    let at = pointer.then(|| {
        block.extend([0x87, 0x69, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0]);
        block.len() - 4
    });
    block.extend([0; 4]);
    block.extend(values);
    at
}

/// A field of a TIFF directory: its tag, its type, how many values, and these.
#[derive(Clone)]
pub(crate) struct Field(u16, u16, usize, Vec<u8>);

impl Field {
    pub(crate) fn byte(tag: u16, value: u8) -> Self {
        Self(tag, 1, 1, vec![value])
    }

    pub(crate) fn bytes(tag: u16, text: &[u8]) -> Self {
        Self(tag, 2, text.len(), text.to_vec())
    }

    pub(crate) fn text(tag: u16, text: &str) -> Self {
        Self::bytes(tag, &[text.as_bytes(), b"\0"].concat())
    }

    pub(crate) fn short(tag: u16, value: u16) -> Self {
        Self::shorts(tag, &[value])
    }

    pub(crate) fn shorts(tag: u16, values: &[u16]) -> Self {
        Self(tag, 3, values.len(), values.iter().flat_map(|value| value.to_be_bytes()).collect())
    }

    pub(crate) fn long(tag: u16, value: u32) -> Self {
        Self::longs(tag, &[value])
    }

    pub(crate) fn longs(tag: u16, values: &[u32]) -> Self {
        Self(tag, 4, values.len(), values.iter().flat_map(|value| value.to_be_bytes()).collect())
    }

    pub(crate) fn rationals(tag: u16, values: &[(u32, u32)]) -> Self {
        let bytes =
            values.iter().flat_map(|(above, below)| [above.to_be_bytes(), below.to_be_bytes()].concat());
        Self(tag, 5, values.len(), bytes.collect())
    }
}

/// A big-endian TIFF block with fields in its first, its EXIF and its GPS directory.
pub(crate) fn tiff(first: &[Field], exif: &[Field], gps: &[Field]) -> Vec<u8> {
    let size = |fields: &[Field]| {
        let outside = fields.iter().map(|field| field.3.len()).filter(|&size| size > 4);
        2 + 12 * fields.len() + 4 + outside.sum::<usize>()
    };
    let at = |at: usize| u32::try_from(at).unwrap();
    let exif_at = 8 + size(first) + 24;
    let pointers = [Field::long(0x8769, at(exif_at)), Field::long(0x8825, at(exif_at + size(exif)))];
    let mut block = b"MM\0*\0\0\0\x08".to_vec();
    for fields in [&[first, &pointers].concat()[..], exif, gps] {
        let mut values_at = block.len() + 2 + 12 * fields.len() + 4;
        let mut values: Vec<u8> = Vec::new();
        block.extend(u16::try_from(fields.len()).unwrap().to_be_bytes());
        for Field(tag, kind, count, data) in fields {
            block.extend([tag.to_be_bytes(), kind.to_be_bytes()].concat());
            block.extend(at(*count).to_be_bytes());
            if data.len() <= 4 {
                block.extend(data.iter().chain(&[0; 4]).take(4));
            } else {
                block.extend(at(values_at).to_be_bytes());
                values_at += data.len();
                values.extend(data);
            }
        }
        block.extend([0; 4]);
        block.extend(values);
    }
    block
}

/// A JPEG's EXIF segment that says how the picture was held.
pub(crate) fn exif_orientation(value: u8) -> Vec<u8> {
    let directory = [0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, value, 0, 0, 0, 0, 0, 0];
    segment(0xe1, &[b"Exif\0\0MM\0*\0\0\0\x08".as_slice(), &directory].concat())
}

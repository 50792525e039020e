//! Pictures to send, good and bad. They are made by other codecs than the ones under test.

use std::io::Cursor;

use image::codecs::gif::GifEncoder;
use image::codecs::jpeg::JpegEncoder;
use image::{Frame, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};

/// The colour of a photograph's left half.
pub const LEFT: Rgb<u8> = Rgb([200, 40, 40]);
/// The colour of its right half.
pub const RIGHT: Rgb<u8> = Rgb([40, 60, 200]);

/// What the private metadata says, each in a place of its own.
pub const SECRETS: [&str; 5] =
    ["secret-gps-area", "secret-serial-number", "secret-comment", "secret-xmp", "secret-trailer"];

/// Two halves of different colours.
pub fn halves(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, _| if x < width / 2 { LEFT } else { RIGHT })
}

/// Something that no codec makes small, and that takes a while to work on. The same every time.
pub fn noise(width: u32, height: u32) -> RgbImage {
    let mut state = 0x2545_f491_u32;
    RgbImage::from_fn(width, height, |_, _| {
        // Marsaglia's xorshift, which is random enough for a picture.
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        let [a, b, c, _] = state.to_le_bytes();
        Rgb([a, b, c])
    })
}

/// A JPEG.
pub fn jpeg(picture: &RgbImage) -> Vec<u8> {
    let mut bytes = vec![];
    JpegEncoder::new_with_quality(&mut bytes, 85).encode_image(picture).unwrap();
    bytes
}

/// A PNG.
pub fn png(picture: &RgbaImage) -> Vec<u8> {
    encoded(|bytes| picture.write_to(bytes, ImageFormat::Png))
}

/// A WebP.
pub fn webp(picture: &RgbImage) -> Vec<u8> {
    encoded(|bytes| picture.write_to(bytes, ImageFormat::WebP))
}

fn encoded(write: impl FnOnce(&mut Cursor<Vec<u8>>) -> image::ImageResult<()>) -> Vec<u8> {
    let mut bytes = Cursor::new(vec![]);
    write(&mut bytes).unwrap();
    bytes.into_inner()
}

/// A disc on nothing.
pub fn disc(size: u32) -> RgbaImage {
    let radius = i64::from(size) / 2;
    RgbaImage::from_fn(size, size, |x, y| {
        let (x, y) = (i64::from(x) - radius, i64::from(y) - radius);
        if x * x + y * y < radius * radius { Rgba([20, 160, 80, 255]) } else { Rgba([0, 0, 0, 0]) }
    })
}

/// An animation of two frames: two halves, then nothing but the right one's colour.
pub fn gif(width: u32, height: u32) -> Vec<u8> {
    let first = image::DynamicImage::from(halves(width, height)).into_rgba8();
    let [red, green, blue] = RIGHT.0;
    let second = RgbaImage::from_pixel(width, height, Rgba([red, green, blue, 255]));
    let mut bytes = vec![];
    {
        let mut encoder = GifEncoder::new(&mut bytes);
        encoder.encode_frames([Frame::new(first), Frame::new(second)]).unwrap();
    }
    bytes
}

/// An animation of so many frames, a pixel each: 17 bytes a frame.
pub fn long_gif(frames: usize) -> Vec<u8> {
    let mut bytes = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff".to_vec();
    for _ in 0..frames {
        bytes.extend_from_slice(b"\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00");
    }
    bytes.push(0x3b);
    bytes
}

/// A PNG whose header says that it is so large, and which is a kilobyte.
pub fn png_of(width: u32, height: u32) -> Vec<u8> {
    let mut header = vec![];
    header.extend_from_slice(&width.to_be_bytes());
    header.extend_from_slice(&height.to_be_bytes());
    // Eight bits a channel, RGB, and the one compression, filter and interlacing that there is.
    header.extend_from_slice(&[8, 2, 0, 0, 0]);
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, content) in [(b"IHDR", header), (b"IDAT", vec![0; 900]), (b"IEND", vec![])] {
        bytes.extend_from_slice(&u32::try_from(content.len()).unwrap().to_be_bytes());
        let mut checked = kind.to_vec();
        checked.extend_from_slice(&content);
        bytes.extend_from_slice(&checked);
        bytes.extend_from_slice(&crc32fast::hash(&checked).to_be_bytes());
    }
    bytes
}

/// A JPEG with an orientation and with everything that is nobody's business: where it was taken, with
/// which camera, comments, XMP, and bytes behind the end.
pub fn with_metadata(jpeg: &[u8], orientation: u16) -> Vec<u8> {
    let [gps, serial, comment, xmp, trailer] = SECRETS;
    let mut bytes = jpeg[..2].to_vec();
    segment(&mut bytes, 0xe1, &[b"Exif\0\0", tiff(orientation, gps, serial).as_slice()].concat());
    segment(&mut bytes, 0xe1, format!("http://ns.adobe.com/xap/1.0/\0<x:xmpmeta>{xmp}").as_bytes());
    segment(&mut bytes, 0xfe, comment.as_bytes());
    bytes.extend_from_slice(&jpeg[2..]);
    bytes.extend_from_slice(trailer.as_bytes());
    bytes
}

fn segment(bytes: &mut Vec<u8>, marker: u8, content: &[u8]) {
    bytes.extend_from_slice(&[0xff, marker]);
    bytes.extend_from_slice(&u16::try_from(content.len() + 2).unwrap().to_be_bytes());
    bytes.extend_from_slice(content);
}

/// A field of a TIFF directory: tag, type, count, and the value or where it is.
type Field = (u16, u16, u32, u32);

/// An EXIF block with three directories: the image's, the camera's and the place's.
/// <https://www.cipa.jp/std/documents/e/DC-008-2012_E.pdf>, section 4.6
fn tiff(orientation: u16, area: &str, serial: &str) -> Vec<u8> {
    let length = |text: &str| u32::try_from(text.len()).unwrap();
    // Each directory begins where the one before ends: a count, twelve bytes a field, a link to nowhere.
    let after = |start: u32, fields: u32| start + 2 + 12 * fields + 4;
    let camera_at = after(8, 3);
    let place_at = after(camera_at, 1);
    let serial_at = after(place_at, 2);
    let area_at = serial_at + length(serial);
    let image: [Field; 3] =
        [(0x0112, 3, 1, orientation.into()), (0x8769, 4, 1, camera_at), (0x8825, 4, 1, place_at)];
    let camera: [Field; 1] = [(0xa431, 2, length(serial), serial_at)];
    let place: [Field; 2] = [(0x0001, 2, 2, u32::from(b'N')), (0x001c, 7, length(area), area_at)];
    let mut bytes = b"II\x2a\x00\x08\x00\x00\x00".to_vec();
    for directory in [image.as_slice(), &camera, &place] {
        bytes.extend_from_slice(&u16::try_from(directory.len()).unwrap().to_le_bytes());
        for (tag, kind, count, value) in directory {
            bytes.extend_from_slice(&tag.to_le_bytes());
            bytes.extend_from_slice(&kind.to_le_bytes());
            bytes.extend_from_slice(&count.to_le_bytes());
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        bytes.extend_from_slice(&[0; 4]);
    }
    bytes.extend_from_slice(serial.as_bytes());
    bytes.extend_from_slice(area.as_bytes());
    bytes
}

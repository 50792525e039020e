use std::borrow::Cow;

use png::{BitDepth, ColorType, Encoder};

use crate::colour::{self, Conversion};
use crate::container::{gif, heif, jpeg, png as png_file, tiff, webp};
use crate::decode::{self, decode};
use crate::limits::Budget;
use crate::raster::Pixels;
use crate::{Format, Header, Orientation, Reject};

/// A file that holds the picture and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cleaned {
    /// The file.
    pub bytes: Vec<u8>,
    /// What it is in. Another format than before if it is `reencoded`.
    pub format: Format,
    /// `false`: the coded pixels are those of the original, byte for byte. `true`: they were decoded and
    /// are a PNG now, with the same pixels; only ink became sRGB, which PNG cannot do without.
    pub reencoded: bool,
}

/// Takes out of a file everything that is not the picture, without touching the picture.
///
/// Camera data, places, thumbnails, comments, editors' notes and what is hidden after the end of the
/// image are gone. The coded pixels and the colour profile stay byte for byte, and of the EXIF block the
/// orientation, where there is one to apply. It is an allow-list: what is not known is not kept.
///
/// TIFF and BMP have no structure that lets pixels be told from the rest of the file with certainty: any
/// part of it may be pointed at, or not. They become PNG, for which pixels are decoded within the budget.
pub fn clean(bytes: &[u8], header: &Header, budget: &Budget) -> Result<Cleaned, Reject> {
    let exif = (header.orientation != Orientation::Upright).then(|| exif(header.orientation));
    let exif = exif.as_ref().map(<[u8; 26]>::as_slice);
    let bytes = match header.format {
        Format::Jpeg => jpeg::clean(bytes, exif),
        Format::Png => png_file::clean(bytes, exif),
        Format::Webp => webp::clean(bytes, exif),
        Format::Gif => gif::clean(bytes),
        Format::Avif | Format::Heic => heif::clean(bytes),
        Format::Tiff | Format::Bmp => {
            let bytes = reencode(bytes, header, exif, budget)?;
            return Ok(Cleaned { bytes, format: Format::Png, reencoded: true });
        }
    }?;
    Ok(Cleaned { bytes, format: header.format, reencoded: false })
}

fn reencode(bytes: &[u8], header: &Header, exif: Option<&[u8]>, budget: &Budget) -> Result<Vec<u8>, Reject> {
    let (pixels, depth, data, icc) = samples(bytes, header, budget)?;
    // PNG may come out a little larger than the pixels.
    budget.afford(2 * data.len() as u64)?;
    let (width, height) = header.stored_size();
    let mut info = png::Info::with_size(width, height);
    info.color_type = match pixels {
        Pixels::Gray => ColorType::Grayscale,
        Pixels::GrayAlpha => ColorType::GrayscaleAlpha,
        Pixels::Rgb => ColorType::Rgb,
        Pixels::Rgba | Pixels::Cmyk => ColorType::Rgba,
    };
    info.bit_depth = depth;
    info.icc_profile = icc.map(Cow::Owned);
    info.exif_metadata = exif.map(|block| Cow::Owned(block.to_vec()));
    let unwritable = |_| Reject::Undecodable("it cannot be encoded");
    let mut file = Vec::new();
    let mut encoder = Encoder::with_info(&mut file, info).map_err(unwritable)?;
    encoder.set_compression(png::Compression::Fast);
    encoder.set_filter(png::Filter::Adaptive);
    let mut writer = encoder.write_header().map_err(unwritable)?;
    writer.write_image_data(&data).map_err(unwritable)?;
    writer.finish().map_err(unwritable)?;
    Ok(file)
}

/// Pixels, the depth of their samples, those, and the profile of their colours.
type Samples = (Pixels, BitDepth, Vec<u8>, Option<Vec<u8>>);

/// All there is of the pixels: of 16 bits, 16.
fn samples(bytes: &[u8], header: &Header, budget: &Budget) -> Result<Samples, Reject> {
    if header.format == Format::Tiff {
        let page = tiff::page(bytes)?;
        if page.is_wide() {
            let data = decode::tiff::wide(&page, budget)?;
            return Ok((decode::tiff::pixels(&page), BitDepth::Sixteen, data, page.icc.map(<[u8]>::to_vec)));
        }
    }
    let decoded = decode(bytes, header, header.stored_size(), budget)?;
    let (mut raster, mut icc) = (decoded.raster, decoded.icc);
    if raster.pixels == Pixels::Cmyk {
        let (conversion, _) = Conversion::of(icc.take().as_deref(), raster.pixels);
        raster = colour::to_srgb(raster, conversion.as_ref(), budget)?;
    }
    Ok((raster.pixels, BitDepth::Eight, raster.data, icc))
}

/// The smallest EXIF block that holds an orientation: a big-endian TIFF header, then one directory with
/// one entry (tag 0x0112, type SHORT, count 1) and no next one.
fn exif(orientation: Orientation) -> [u8; 26] {
    let [high, low] = orientation.to_exif().to_be_bytes();
    [
        b'M', b'M', 0, 42, 0, 0, 0, 8, //
        0, 1, //
        0x01, 0x12, 0, 3, 0, 0, 0, 1, high, low, 0, 0, //
        0, 0, 0, 0,
    ]
}

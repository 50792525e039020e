use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use super::{Decoded, OTHER_SIZE};
use crate::container::jpeg::{self, Process, Whole};
use crate::limits::Budget;
use crate::raster::{Pixels, Raster};
use crate::{Header, Reject};

/// `zune-jpeg` takes what it gets: it fills a scan that ends early with zeros or grey and reports
/// success, in strict mode too if an end-of-image marker follows. So completeness is proven here. The
/// marker's presence and the set of scans are `whole`'s business; data that runs out before a sequential
/// scan is done is caught by what follows it instead of the end-of-image marker: coded 1 bits, which no
/// Huffman code consists of (T.81, C), and which a complete scan never gets to read.
const TRIPWIRE: [u8; 32] = {
    let mut bytes = [0; 32];
    let mut at = 0;
    while at < bytes.len() {
        bytes[at] = 0xff; // followed by a stuffed zero (B.1.1.5)
        at += 2;
    }
    bytes
};

/// Decodes what [`crate::jpeg`] does not: ink and RGB.
pub(super) fn decode(bytes: &[u8], header: &Header, budget: &Budget) -> Result<Decoded, Reject> {
    // Without what may stray between segments, which `zune-jpeg` does not pass over.
    let bytes = &jpeg::clean(bytes, None)?;
    let whole = jpeg::whole(bytes)?;
    known_to_decode(&whole)?;
    let (width, height) = header.stored_size();
    // Of a picture that is not sequential, the coefficients are kept until the last scan.
    let kept = match whole.process {
        Process::Sequential => 0,
        Process::ScanByScan | Process::Progressive => 2 * whole.frame.coefficients(),
    };
    let decoded = u64::from(width) * u64::from(height) * whole.frame.components.len() as u64;
    budget.afford(decoded + kept + 2 * bytes.len() as u64)?;

    let raster = if whole.process == Process::Progressive {
        pixels(bytes, &whole, header, budget)?
    } else {
        let data = bytes.get(..whole.data_end()).ok_or(Reject::Truncated)?;
        pixels(&[data, &TRIPWIRE].concat(), &whole, header, budget)?
    };
    Ok(Decoded { raster, icc: jpeg::icc(bytes) })
}

/// Refuses what zune-jpeg 0.5 turns into noise without an error, as a comparison with libjpeg-turbo
/// over all sampling factors shows. All of it is rarer than damaged files are.
fn known_to_decode(whole: &Whole) -> Result<(), Reject> {
    let (first_across, first_down) = whole.frame.factors().next().unwrap_or_default();
    let usual = whole.frame.factors().all(|(across, down)| {
        let powers = across.is_power_of_two() && down.is_power_of_two();
        powers && across <= first_across && down <= first_down
    });
    if !usual {
        return Err(Reject::UnsupportedFormat("Unusually subsampled JPEG"));
    }
    let tall = whole.frame.factors().any(|(_, down)| down > 1);
    if whole.process == Process::ScanByScan && (whole.restarts || tall) {
        return Err(Reject::UnsupportedFormat("Non-interleaved JPEG"));
    }
    Ok(())
}

fn pixels(bytes: &[u8], whole: &Whole, header: &Header, budget: &Budget) -> Result<Raster, Reject> {
    let (width, height) = header.stored_size();
    let options = DecoderOptions::new_fast()
        .set_strict_mode(true)
        .set_max_width(width as usize)
        .set_max_height(height as usize);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(|error| reject(&error))?;
    if decoder.dimensions() != Some((width as usize, height as usize)) {
        return Err(OTHER_SIZE);
    }
    // Ink stays ink: the profile, not the codec, knows what it looks like.
    let (colours, pixels) = match decoder.input_colorspace() {
        Some(ColorSpace::Luma) => (ColorSpace::Luma, Pixels::Gray),
        Some(ColorSpace::YCCK) => (ColorSpace::YCCK, Pixels::Cmyk),
        // A three-component file whose Adobe segment says "no transform" is RGB, but zune-jpeg calls it
        // CMYK until it decodes.
        Some(ColorSpace::CMYK) if decoder.info().is_some_and(|info| info.components == 4) => {
            (ColorSpace::CMYK, Pixels::Cmyk)
        }
        _ => (ColorSpace::RGB, Pixels::Rgb),
    };
    decoder.set_options(options.jpeg_set_out_colorspace(colours));
    if decoder.output_buffer_size().map(|size| size as u64) != Some(pixels.bytes(width, height)) {
        return Err(OTHER_SIZE);
    }
    let mut raster = Raster::blank(width, height, pixels, budget)?;
    decoder.decode_into(&mut raster.data).map_err(|error| reject(&error))?;

    if colours == ColorSpace::YCCK {
        ycck_to_cmyk(&mut raster.data);
    }
    if pixels == Pixels::Cmyk && whole.adobe.is_some() {
        raster.data.iter_mut().for_each(|ink| *ink = !*ink);
    }
    Ok(raster)
}

/// YCCK is CMYK whose first three inks, inverted, went through the transform to YCbCr (Adobe technical
/// note 5116): 16-bit fixed point, as in JFIF 1.02.
fn ycck_to_cmyk(data: &mut [u8]) {
    let (pixels, _) = data.as_chunks_mut::<4>();
    for [c, m, y, _] in pixels {
        let (luma, blue, red) = (i32::from(*c) << 16, i32::from(*m) - 128, i32::from(*y) - 128);
        let ink = |value: i32| !u8::try_from(((value + (1 << 15)) >> 16).clamp(0, 255)).unwrap_or(0);
        *c = ink(luma + 91_881 * red);
        *m = ink(luma - 22_554 * blue - 46_802 * red);
        *y = ink(luma + 116_130 * blue);
    }
}

fn reject(error: &DecodeErrors) -> Reject {
    match error {
        DecodeErrors::ExhaustedData | DecodeErrors::FormatStatic("Premature end of buffer") => {
            Reject::Truncated
        }
        DecodeErrors::LargeDimensions(_) => OTHER_SIZE,
        DecodeErrors::Unsupported(_) => Reject::UnsupportedFormat("JPEG of a rare kind"),
        _ => Reject::Undecodable("its data makes no sense"),
    }
}

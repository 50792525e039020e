use jpeg_encoder::{ChromaSubsamplingMethod, ColorType, Encoder, ImageBuffer, JpegColorType, SamplingFactor};

use super::{REFUSED, chroma};
use crate::Reject;
use crate::planes::Planes;
use crate::raster::Raster;

/// Progressive and with Huffman tables of its own, which costs time and saves bytes at the same quality.
fn encoder(file: &mut Vec<u8>, quality: u8, sampling: SamplingFactor) -> Encoder<&mut Vec<u8>> {
    let mut encoder = Encoder::new(file, quality);
    encoder.set_progressive(true);
    encoder.set_optimized_huffman_tables(true);
    encoder.set_sampling_factor(sampling);
    encoder
}

pub(super) fn encode(raster: &Raster, quality: u8) -> Result<Vec<u8>, Reject> {
    let width = u16::try_from(raster.width).map_err(|_| REFUSED)?;
    let height = u16::try_from(raster.height).map_err(|_| REFUSED)?;
    let mut file = Vec::new();
    if chroma::is_gray(raster) {
        let levels: Vec<u8> = raster.data.iter().step_by(raster.pixels.channels()).copied().collect();
        let encoder = encoder(&mut file, quality, SamplingFactor::F_1_1);
        encoder.encode(&levels, width, height, ColorType::Luma).map_err(|_| REFUSED)?;
        return Ok(file);
    }
    let sampling =
        if chroma::shows_when_halved(raster) { SamplingFactor::F_1_1 } else { SamplingFactor::F_2_2 };
    let mut encoder = encoder(&mut file, quality, sampling);
    // The default takes every other colour and drops the rest.
    encoder.set_chroma_subsampling_method(ChromaSubsamplingMethod::Average);
    encoder.encode(&raster.data, width, height, ColorType::Rgb).map_err(|_| REFUSED)?;
    Ok(file)
}

pub(super) fn encode_planes(planes: &Planes, quality: u8) -> Result<Vec<u8>, Reject> {
    let (width, height) = planes.size();
    let (Ok(width), Ok(height)) = (u16::try_from(width), u16::try_from(height)) else {
        return Err(REFUSED);
    };
    let mut file = Vec::new();
    let encoder = encoder(&mut file, quality, SamplingFactor::F_2_2);
    encoder.encode_image(Rows { planes, width, height }).map_err(|_| REFUSED)?;
    Ok(file)
}

/// Rows for an encoder that wants full chroma and then takes every other sample of it: each is given
/// twice, so that it takes what there was.
struct Rows<'a> {
    planes: &'a Planes,
    width: u16,
    height: u16,
}

impl ImageBuffer for Rows<'_> {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        if self.planes.chroma.is_some() { JpegColorType::Ycbcr } else { JpegColorType::Luma }
    }

    fn width(&self) -> u16 {
        self.width
    }

    fn height(&self) -> u16 {
        self.height
    }

    fn fill_buffers(&self, y: u16, buffers: &mut [Vec<u8>; 4]) {
        let (y, width) = (usize::from(y), usize::from(self.width));
        let [luma, chroma @ .., _] = buffers;
        luma.extend_from_slice(&self.planes.luma.data[y * width..(y + 1) * width]);
        let half = width.div_ceil(2);
        for (buffer, plane) in chroma.iter_mut().zip(self.planes.chroma.iter().flatten()) {
            let row = &plane.data[y / 2 * half..(y / 2 + 1) * half];
            let end = buffer.len() + width;
            buffer.extend(row.iter().flat_map(|&sample| [sample, sample]));
            buffer.truncate(end);
        }
    }
}

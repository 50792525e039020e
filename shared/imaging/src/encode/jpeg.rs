use jpeg_encoder::{ChromaSubsamplingMethod, ColorType, Encoder, SamplingFactor};

use super::REFUSED;
use crate::Reject;
use crate::raster::Raster;

/// Progressive and with Huffman tables of its own, which costs time and saves bytes at the same quality.
pub(super) fn encode(raster: &Raster, quality: u8) -> Result<Vec<u8>, Reject> {
    let width = u16::try_from(raster.width).map_err(|_| REFUSED)?;
    let height = u16::try_from(raster.height).map_err(|_| REFUSED)?;
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, quality);
    encoder.set_progressive(true);
    encoder.set_optimized_huffman_tables(true);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    // The default takes every other colour and drops the rest.
    encoder.set_chroma_subsampling_method(ChromaSubsamplingMethod::Average);
    encoder.encode(&raster.data, width, height, ColorType::Rgb).map_err(|_| REFUSED)?;
    Ok(file)
}

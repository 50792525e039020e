use png::{BitDepth, ColorType, Compression, Encoder};

use super::REFUSED;
use crate::Reject;
use crate::raster::{Pixels, Raster};

pub(super) fn encode(raster: &Raster) -> Result<Vec<u8>, Reject> {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, raster.width, raster.height);
    encoder.set_color(if raster.pixels == Pixels::Rgba { ColorType::Rgba } else { ColorType::Rgb });
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(Compression::Balanced);
    let mut writer = encoder.write_header().map_err(|_| REFUSED)?;
    writer.write_image_data(&raster.data).map_err(|_| REFUSED)?;
    writer.finish().map_err(|_| REFUSED)?;
    Ok(file)
}

//! AVIF: one AV1 picture for the colours, one for alpha, in boxes (AV1 Image File Format 1.1).

use avif_serialize::Aviffy;
use avif_serialize::constants::MatrixCoefficients as Matrix;
use rav1e::prelude::{
    BlockSize, ChromaSampling, ColorDescription, ColorPrimaries, Config, Context, EncoderConfig,
    EncoderStatus, MatrixCoefficients, PartitionRange, PixelRange, Plane, SceneDetectionSpeed, SpeedSettings,
    TransferCharacteristics,
};

use super::{REFUSED, chroma, quality};
use crate::Reject;
use crate::limits::Budget;
use crate::planes::{Chroma, Planes};
use crate::raster::{Pixels, Raster};

/// What rav1e holds for a pixel: the picture twice with its borders, what was decided for each block, and the
/// quantities that decisions are made of. It was 26 with halved chroma at 3 megapixels; whole chroma doubles the
/// picture's part of it.
const MEMORY_PER_PIXEL: u64 = 48;

/// For tables and the contexts of a tile, whatever the size.
const MEMORY: u64 = 8 << 20;

/// Samples of one kind, `width` in a row.
struct Samples<'a> {
    width: usize,
    data: &'a [u8],
}

/// A picture as AV1 takes it.
struct Source<'a> {
    size: (u32, u32),
    luma: Samples<'a>,
    chroma: Option<(Chroma, [Samples<'a>; 2])>,
}

pub(super) fn encode(raster: &Raster, quality: u8, budget: &Budget) -> Result<Vec<u8>, Reject> {
    let size = (raster.width, raster.height);
    afford(size, raster.pixels.has_alpha(), budget)?;
    let kind = if chroma::is_gray(raster) {
        None
    } else if chroma::shows_when_halved(raster) {
        Some(Chroma::Full)
    } else {
        Some(Chroma::Half)
    };
    let colours = chroma::seen(raster);
    let luma = chroma::luma(&colours);
    let planes = kind.map(|kind| (kind, chroma::chroma(&colours, raster.width as usize, kind)));
    drop(colours);
    let chroma = planes.as_ref().map(|(kind, planes)| {
        let width = kind.samples(size).0 as usize;
        (*kind, planes.each_ref().map(|data| Samples { width, data }))
    });
    let luma = Samples { width: raster.width as usize, data: &luma };
    let quantizer = quality::avif(quality);
    let colours = compress(&Source { size, luma, chroma }, quantizer)?;

    let alpha = match raster.pixels {
        Pixels::GrayAlpha | Pixels::Rgba => {
            let channels = raster.pixels.channels();
            let data: Vec<u8> = raster.data.iter().skip(channels - 1).step_by(channels).copied().collect();
            let luma = Samples { width: raster.width as usize, data: &data };
            Some(compress(&Source { size, luma, chroma: None }, quantizer / ALPHA)?)
        }
        Pixels::Gray | Pixels::Rgb | Pixels::Cmyk => None,
    };
    Ok(boxed(&colours, alpha.as_deref(), size, kind))
}

/// Edges of what is cut out are the sharpest and most looked at of a picture, and cost few bytes: alpha is
/// quantized by so much less than the colours.
const ALPHA: u8 = 3;

pub(super) fn encode_planes(planes: &Planes, quality: u8, budget: &Budget) -> Result<Vec<u8>, Reject> {
    let size = planes.size();
    afford(size, false, budget)?;
    let half = Chroma::Half.samples(size).0 as usize;
    let samples = |data| Samples { width: half, data };
    let chroma = planes.chroma.as_ref().map(|[blue, red]| [samples(&blue.data), samples(&red.data)]);
    let kind = planes.chroma.as_ref().map(|_| Chroma::Half);
    let luma = Samples { width: size.0 as usize, data: &planes.luma.data };
    let source = Source { size, luma, chroma: chroma.map(|chroma| (Chroma::Half, chroma)) };
    let colours = compress(&source, quality::avif(quality))?;
    Ok(boxed(&colours, None, size, kind))
}

fn afford((width, height): (u32, u32), alpha: bool, budget: &Budget) -> Result<(), Reject> {
    let pixels = Pixels::Gray.bytes(width, height);
    // The two pictures are made one after the other.
    let samples = if alpha { 8 } else { 7 };
    budget.afford(MEMORY + (MEMORY_PER_PIXEL + samples) * pixels)
}

/// One AV1 picture. Samples are of full range and those of JPEG (JFIF), which AV1 calls BT.601.
fn compress(source: &Source, quantizer: u8) -> Result<Vec<u8>, Reject> {
    let (width, height) = source.size;
    let config = EncoderConfig {
        width: width as usize,
        height: height as usize,
        still_picture: true,
        low_latency: true,
        bit_depth: 8,
        chroma_sampling: match source.chroma {
            None => ChromaSampling::Cs400,
            Some((Chroma::Half, _)) => ChromaSampling::Cs420,
            Some((Chroma::Full, _)) => ChromaSampling::Cs444,
        },
        pixel_range: PixelRange::Full,
        color_description: Some(ColorDescription {
            color_primaries: ColorPrimaries::BT709,
            transfer_characteristics: TransferCharacteristics::SRGB,
            matrix_coefficients: MatrixCoefficients::BT601,
        }),
        quantizer: usize::from(quantizer),
        speed_settings: speed(),
        ..EncoderConfig::default()
    };
    let config = Config::new().with_encoder_config(config).with_threads(1);
    let mut context: Context<u8> = config.new_context().map_err(|_| REFUSED)?;

    let mut frame = context.new_frame();
    let [luma, blue, red] = &mut frame.planes;
    fill(luma, &source.luma);
    if let Some((_, [blues, reds])) = &source.chroma {
        fill(blue, blues);
        fill(red, reds);
    }
    context.send_frame(frame).map_err(|_| REFUSED)?;
    context.flush();
    let mut stream = Vec::new();
    loop {
        match context.receive_packet() {
            Ok(packet) => stream.extend(packet.data),
            Err(EncoderStatus::Encoded) => {}
            Err(EncoderStatus::LimitReached) => return Ok(stream),
            Err(_) => return Err(REFUSED),
        }
    }
}

#[allow(clippy::default_trait_access, reason = "rav1e does not export the type")]
fn fill(plane: &mut Plane<u8>, samples: &Samples) {
    let mut to = plane.mut_slice(Default::default());
    for (to, from) in to.rows_iter_mut().zip(samples.data.chunks_exact(samples.width)) {
        to[..samples.width].copy_from_slice(from);
    }
}

/// rav1e's preset 8, and of what the slower ones do, the little that pays for stills. On three photographs of
/// 640 pixels full of detail, at the score of sharp's default (SSIMULACRA2 70), with assembly, against sharp
/// (over five, of which two are of sky and mist, this is 1.15 and 1 / 5.3; without assembly 1 / 1.8):
///
/// | | bytes | CPU time |
/// |---|---|---|
/// | this | 1.19 | 1 / 5.1 |
/// | preset 8 | 1.22 | 1 / 6.8 |
/// | preset 4 | 1.16 | 1 / 0.8 |
/// | preset 2 | 1.14 | 1 / 0.3 |
///
/// What is left is libaom's: it has quantization matrices and a mode for stills, and rav1e has neither. Ten bits
/// a sample save 1 to 2% more, for a quarter more time.
fn speed() -> SpeedSettings {
    let mut speed = SpeedSettings::from_preset(8);
    speed.partition.encode_bottomup = true;
    speed.partition.partition_range = PartitionRange::new(BlockSize::BLOCK_8X8, BlockSize::BLOCK_32X32);
    speed.transform.reduced_tx_set = false;
    speed.transform.tx_domain_distortion = false;
    // There is but one frame.
    speed.multiref = false;
    speed.rdo_lookahead_frames = 1;
    speed.scene_detection_mode = SceneDetectionSpeed::None;
    speed
}

fn boxed(colours: &[u8], alpha: Option<&[u8]>, (width, height): (u32, u32), kind: Option<Chroma>) -> Vec<u8> {
    let half = kind != Some(Chroma::Full);
    let mut boxes = Aviffy::new();
    boxes
        .set_matrix_coefficients(Matrix::Bt601)
        .set_full_color_range(true)
        .set_monochrome(kind.is_none())
        .set_chroma_subsampling((half, half))
        // AV1, 5.5.2: 4:4:4 is not in the main profile.
        .set_seq_profile(u8::from(!half));
    boxes.to_vec(colours, alpha, width, height, 8)
}

//! AV1 stills, by rav1e.
//!
//! A crate of its own because rav1e is generic over the depth of samples: whoever calls it compiles all of
//! it, and so only this crate does.

use rav1e::prelude::{
    BlockSize, ChromaSampling, ColorDescription, ColorPrimaries, Config, Context, EncoderConfig,
    EncoderStatus, MatrixCoefficients, PartitionRange, PixelRange, SceneDetectionSpeed, SpeedSettings,
    TransferCharacteristics,
};

/// Samples of one kind, 8 bits each, `width` in a row.
#[derive(Debug, Clone, Copy)]
pub struct Plane<'a> {
    /// Samples in a row.
    pub width: usize,
    /// Row after row.
    pub samples: &'a [u8],
}

/// Blue and red, where there are any.
#[derive(Debug, Clone, Copy)]
pub enum Chroma<'a> {
    /// Gray.
    None,
    /// One sample for two by two pixels.
    Half([Plane<'a>; 2]),
    /// One for each pixel.
    Full([Plane<'a>; 2]),
}

/// That rav1e would not do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused;

/// One AV1 picture of this size. Samples are of full range and those of JPEG (JFIF), which AV1 calls BT.601.
/// `quantizer` goes from 0, the best, to 255.
pub fn encode(
    (width, height): (usize, usize), luma: Plane, chroma: Chroma, quantizer: u8,
) -> Result<Vec<u8>, Refused> {
    let config = EncoderConfig {
        width,
        height,
        still_picture: true,
        low_latency: true,
        bit_depth: 8,
        chroma_sampling: match chroma {
            Chroma::None => ChromaSampling::Cs400,
            Chroma::Half(_) => ChromaSampling::Cs420,
            Chroma::Full(_) => ChromaSampling::Cs444,
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
    let mut context: Context<u8> = config.new_context().map_err(|_| Refused)?;

    let mut frame = context.new_frame();
    let [first, second, third] = &mut frame.planes;
    fill(first, luma);
    match chroma {
        Chroma::None => {}
        Chroma::Half([blue, red]) | Chroma::Full([blue, red]) => {
            fill(second, blue);
            fill(third, red);
        }
    }
    context.send_frame(frame).map_err(|_| Refused)?;
    context.flush();
    let mut stream = Vec::new();
    loop {
        match context.receive_packet() {
            Ok(packet) => stream.extend(packet.data),
            Err(EncoderStatus::Encoded) => {}
            Err(EncoderStatus::LimitReached) => return Ok(stream),
            Err(_) => return Err(Refused),
        }
    }
}

#[allow(clippy::default_trait_access, reason = "rav1e does not export the type")]
fn fill(plane: &mut rav1e::prelude::Plane<u8>, from: Plane) {
    let mut to = plane.mut_slice(Default::default());
    for (to, from) in to.rows_iter_mut().zip(from.samples.chunks_exact(from.width)) {
        to[..from.len()].copy_from_slice(from);
    }
}

/// rav1e's preset 8, and of what the slower ones do, what pays for stills: at least three times faster than sharp at
/// its default, and with the fewest bytes that this leaves room for. On four photographs of 640 pixels, at the score of
/// sharp's (SSIMULACRA2 64 to 75), with assembly, against sharp's bytes and CPU time:
///
/// | | bytes | CPU time |
/// |---|---|---|
/// | this | 1.10 | 1 / 4.5 |
/// | blocks of up to 32 pixels | 1.12 | 1 / 5.1 |
/// | this, and all predictions | 1.09 | 1 / 2.8 |
/// | this, and ten bits a sample | 1.09 | 1 / 3.3 |
///
/// On some of them: blocks of 4 pixels and ones that are not square take twice the time for 1% to 1.5% of the bytes,
/// transforms chosen by trial four times for 2%; loop restoration, every segmentation there is and tuning for PSNR save
/// nothing. All predictions or ten bits would be below three times for some photographs.
///
/// What is left is libaom's: it has quantization matrices and a mode for stills, and rav1e has neither. Where there
/// is much detail and little quality that is a quarter of the bytes, elsewhere a tenth or less.
fn speed() -> SpeedSettings {
    let mut speed = SpeedSettings::from_preset(8);
    speed.partition.encode_bottomup = true;
    speed.partition.partition_range = PartitionRange::new(BlockSize::BLOCK_8X8, BlockSize::BLOCK_64X64);
    speed.transform.reduced_tx_set = false;
    speed.transform.tx_domain_distortion = false;
    // There is but one frame.
    speed.multiref = false;
    speed.rdo_lookahead_frames = 1;
    speed.scene_detection_mode = SceneDetectionSpeed::None;
    speed
}

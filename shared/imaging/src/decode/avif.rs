//! AV1 stills, by `rav1d`.

use std::cell::OnceCell;

use rav1d::{Decoder, PixelLayout, PlanarImageComponent, Plane, Settings};

use super::OTHER_SIZE;
use super::av1_units::{self, MOST_FRAMES};
use super::yuv::{Chroma, Frame};
use crate::Reject;
use crate::container::heif::{Coded, Nclx};
use crate::limits::Budget;

/// Bytes that the decoder holds for each pixel besides the samples: measured at 1.5, with room to spare.
const WORK: u64 = 3;

const GARBAGE: Reject = Reject::Undecodable("its data makes no sense");

pub(super) struct Av1 {
    picture: rav1d::Picture,
    nclx: Nclx,
    planes: [OnceCell<Plane>; 3],
}

pub(super) fn frame(coded: &Coded, size: (u32, u32), budget: &Budget) -> Result<Av1, Reject> {
    // The header may stand in the configuration alone (AV1-ISOBMFF, 2.3.3).
    let in_config = coded.config.get(4..).unwrap_or_default();
    // The pieces put together, and once more behind the configuration.
    let held = 2 * coded.data.len() as u64 + in_config.len() as u64;
    budget.afford(held)?;
    let data = coded.data.join();
    let in_data = av1_units::sequence(&data)?;
    let data = if in_data.is_some() { data.into_owned() } else { [in_config, &data].concat() };
    let sequence = match in_data {
        Some(sequence) => sequence,
        None => av1_units::sequence(in_config)?.ok_or(GARBAGE)?,
    };
    if (sequence.width, sequence.height) != size {
        return Err(OTHER_SIZE);
    }
    let pixels = u64::from(size.0) * u64::from(size.1);
    budget.afford(pixels * (sequence.bytes + WORK) + held)?;
    let mut settings = Settings::new();
    // In this thread: nothing is left running when it is done.
    settings.set_n_threads(1);
    settings.set_max_frame_delay(1);
    settings.set_all_layers(false);
    let limit = size.0.checked_mul(size.1).ok_or(OTHER_SIZE)?;
    settings.set_frame_size_limit(limit);

    let mut decoder = Decoder::with_settings(&settings).map_err(|_| GARBAGE)?;
    match decoder.send_data(data, None, None, None) {
        Err(error) if !error.is_again() => return Err(GARBAGE),
        _ => {}
    }
    let mut picture = decoder.get_picture();
    for _ in 0..MOST_FRAMES {
        match &picture {
            Err(error) if error.is_again() => {
                match decoder.send_pending_data() {
                    Err(error) if !error.is_again() => return Err(GARBAGE),
                    _ => {}
                }
                picture = decoder.get_picture();
            }
            _ => break,
        }
    }
    let picture = picture.map_err(|_| GARBAGE)?;
    if (picture.width(), picture.height()) != size {
        return Err(OTHER_SIZE);
    }
    Ok(Av1 { picture, nclx: sequence.nclx, planes: Default::default() })
}

impl Frame for Av1 {
    fn size(&self) -> (u32, u32) {
        (self.picture.width(), self.picture.height())
    }

    fn depth(&self) -> u8 {
        // 8, 10 or 12.
        u8::try_from(self.picture.bit_depth()).unwrap_or(8)
    }

    fn chroma(&self) -> Chroma {
        match self.picture.pixel_layout() {
            PixelLayout::I400 => Chroma::None,
            PixelLayout::I420 => Chroma::Both,
            PixelLayout::I422 => Chroma::Across,
            PixelLayout::I444 => Chroma::Full,
        }
    }

    fn nclx(&self) -> Nclx {
        self.nclx
    }

    fn row(&self, plane: usize, y: usize, to: &mut [u16]) {
        let component = match plane {
            0 => PlanarImageComponent::Y,
            1 => PlanarImageComponent::U,
            _ => PlanarImageComponent::V,
        };
        let stride = self.picture.stride(component) as usize;
        let plane = self.planes[plane.min(2)].get_or_init(|| self.picture.plane(component));
        let row = plane.get(y * stride..).unwrap_or_default();
        if self.depth() == 8 {
            for (to, &sample) in to.iter_mut().zip(row) {
                *to = sample.into();
            }
        } else {
            for (to, &sample) in to.iter_mut().zip(row.as_chunks().0) {
                *to = u16::from_ne_bytes(sample);
            }
        }
    }
}

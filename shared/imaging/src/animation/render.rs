use super::{Animator, Frame, MovingFormat, frames, icc, loops};
use crate::limits::Budget;
use crate::orientation::orient;
use crate::raster::Pixels;
use crate::recipe::{OutputFormat, Plan};
use crate::resize::resize;
use crate::{Header, Reject, colour};

/// Makes every animated rendering in one pass over the frames. `plans` are those, from the largest to the
/// smallest.
///
/// Each frame goes through the steps of a still: decode, resize to the largest plan, colour, orientation,
/// and for every plan the resize from the next larger one and the encoder.
///
/// In memory at any time are the decoder's canvas and what it keeps of another, the frame on its way
/// ([`working_set`]), and for every plan what its encoder keeps, which is a few frames of the plan's size
/// ([`MovingFormat::memory`]), and the files so far. It does not grow with the number of frames otherwise.
pub(crate) fn render(
    bytes: &[u8], header: &Header, plans: &[Plan], budget: &Budget,
) -> Result<Vec<Vec<u8>>, Reject> {
    let Some(largest) = plans.first() else { return Ok(Vec::new()) };
    let stored = header.orientation.upright((largest.width, largest.height));
    let mut rungs = Vec::with_capacity(plans.len());
    let mut memory = working_set(header, stored);
    let loops = loops(bytes, header)?;
    for plan in plans {
        let (format, size) = (moving_format(plan.format)?, (plan.width, plan.height));
        memory = memory.saturating_add(format.memory(size));
        budget.afford(memory)?;
        rungs.push((size, Animator::new(format, size, plan.quality, loops, budget)?));
    }
    let transform = icc(bytes, header).and_then(|icc| colour::transform(&icc, Pixels::Rgba));

    for frame in frames(bytes, header, budget)? {
        let Frame { raster, delay } = frame?;
        budget.still_time()?;
        let mut raster = resize(raster, stored, budget)?;
        raster = colour::to_srgb(raster, transform.as_ref(), budget)?;
        raster = orient(raster, header.orientation, budget)?;
        for (size, animator) in &mut rungs {
            budget.still_time()?;
            raster = resize(raster, *size, budget)?;
            animator.push(&raster, delay)?;
        }
    }
    budget.still_time()?;
    rungs.into_iter().map(|(_, animator)| animator.finish()).collect()
}

/// What decoding one frame and bringing it to the size of the largest plan takes: the canvas, what is
/// behind a frame, the frame itself, its copy, and while that is resized, the buffer between the two
/// passes of the filter and the result.
fn working_set(header: &Header, stored: (u32, u32)) -> u64 {
    let (width, height) = header.stored_size();
    3 * Pixels::Rgba.bytes(width, height)
        + 4 * header.largest_frame
        + Pixels::Rgba.bytes(stored.0, height)
        + 2 * Pixels::Rgba.bytes(stored.0, stored.1)
}

fn moving_format(format: OutputFormat) -> Result<MovingFormat, Reject> {
    match format {
        OutputFormat::Webp => Ok(MovingFormat::Webp),
        OutputFormat::Gif => Ok(MovingFormat::Gif),
        OutputFormat::Jpeg | OutputFormat::Png => Err(crate::encode::REFUSED),
    }
}

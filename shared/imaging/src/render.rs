use std::cmp::Reverse;

use crate::decode::{Decoded, decode};
use crate::encode::encode;
use crate::facts::{Facts, facts};
use crate::flatten::onto_white;
use crate::limits::Budget;
use crate::orientation::orient;
use crate::raster::Raster;
use crate::recipe::{OutputFormat, Plan};
use crate::resize::resize;
use crate::{Header, Reject, colour};

/// One finished rendering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// As planned.
    pub width: u32,
    /// As planned.
    pub height: u32,
    /// As planned.
    pub format: OutputFormat,
    /// The file.
    pub bytes: Vec<u8>,
}

/// What came of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// In the order of the plans.
    pub pictures: Vec<Picture>,
    /// Of the picture, not of any one rendering.
    pub facts: Facts,
}

/// How large the picture is made to be looked at when nothing is to be rendered from it.
const LOOK: u32 = 100;

/// Makes all renderings of one picture, of an animation those of its first frame.
///
/// The file is decoded once, as small as the largest plan allows, and brought to that plan's size; only
/// then come colours and orientation, which are the cheaper the fewer the pixels. Each plan is made from
/// the next larger one. Between any two steps the budget is checked.
///
/// The steps and what each leaves behind:
///
/// 1. **decode** (scale on load): the file's own colours and orientation;
/// 2. **resize** to the largest plan;
/// 3. **colour**: sRGB;
/// 4. **orient**: upright;
/// 5. for every plan, from the largest to the smallest: **resize**, **flatten** where the format has no
///    alpha, **encode**;
/// 6. **facts**, from the smallest.
pub fn render(bytes: &[u8], header: &Header, plans: &[Plan], budget: &Budget) -> Result<Rendered, Reject> {
    budget.still_time()?;
    let mut order: Vec<usize> = (0..plans.len()).collect();
    order.sort_by_key(|&index| {
        let Plan { width, height, format, quality } = plans[index];
        Reverse((width, height, format.extension(), quality))
    });
    let largest = order.first().map_or((LOOK.min(header.width), LOOK.min(header.height)), |&index| {
        (plans[index].width, plans[index].height)
    });

    let (mut raster, opaque) = prepare(bytes, header, largest, budget)?;
    let mut pictures: Vec<Option<Picture>> = vec![None; plans.len()];
    let mut last: Option<usize> = None;
    for index in order {
        let plan = plans[index];
        // A small picture has the same plan at every width above its own.
        if let Some(last) = last.filter(|&last| plans[last] == plan) {
            let twin = pictures[last].clone();
            pictures[index] = twin;
            continue;
        }
        raster = resize(raster, (plan.width, plan.height), budget)?;
        budget.still_time()?;
        let bytes = finish(&raster, &plan, budget)?;
        let Plan { width, height, format, .. } = plan;
        pictures[index] = Some(Picture { width, height, format, bytes });
        last = Some(index);
        budget.still_time()?;
    }
    let facts = facts(raster, opaque, budget)?;
    Ok(Rendered { pictures: pictures.into_iter().flatten().collect(), facts })
}

/// Steps 1 to 4: the picture at the size of the largest plan, sRGB, upright; and whether it is opaque.
fn prepare(
    bytes: &[u8], header: &Header, largest: (u32, u32), budget: &Budget,
) -> Result<(Raster, bool), Reject> {
    let stored = header.orientation.upright(largest);

    let Decoded { mut raster, icc } = decode(bytes, header, stored, budget)?;
    budget.still_time()?;

    let opaque = raster.is_opaque();
    if opaque {
        raster.drop_alpha();
    }
    raster = resize(raster, stored, budget)?;
    budget.still_time()?;

    raster = colour::to_srgb(raster, icc.as_deref(), budget)?;
    budget.still_time()?;

    raster = orient(raster, header.orientation, budget)?;
    budget.still_time()?;
    Ok((raster, opaque))
}

/// Step 5, after the resize.
fn finish(raster: &Raster, plan: &Plan, budget: &Budget) -> Result<Vec<u8>, Reject> {
    if raster.pixels.has_alpha() && !plan.format.has_alpha() {
        return encode(&onto_white(raster, budget)?, plan);
    }
    encode(raster, plan)
}

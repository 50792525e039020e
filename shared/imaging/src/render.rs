use std::cmp::Reverse;

use crate::animation::{Film, Take};
use crate::container::jpeg::{self as jpeg_file, Whole};
use crate::decode::{Decoded, decode};
use crate::encode::{encode, encode_planes};
use crate::facts::{Facts, facts};
use crate::flatten::onto_white;
use crate::image::Image;
use crate::limits::Budget;
use crate::orientation::orient;
use crate::planes::Chroma;
use crate::raster::{Pixels, Raster};
use crate::recipe::{Encoding, Plan};
use crate::resize::resize;
use crate::{Format, Header, Reject, animation, codec, colour, jpeg};

/// One finished rendering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// As planned.
    pub width: u32,
    /// As planned.
    pub height: u32,
    /// As planned.
    pub encoding: Encoding,
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

/// Makes all renderings of one picture. Of an animation those of its first frame, and where a plan is
/// animated, of all of them, in a pass of their own (see [`crate::animation`]).
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
///
/// Photographs in JPEG go through the same steps as luma and chroma, which is how they are stored and how
/// JPEG and WebP store them again; RGB is made where a step needs it, after the resize: for colour
/// profiles, for PNG, and of the smallest for the facts.
pub fn render(bytes: &[u8], header: &Header, plans: &[Plan], budget: &Budget) -> Result<Rendered, Reject> {
    budget.still_time()?;
    let mut order: Vec<usize> = (0..plans.len()).collect();
    order.sort_by_key(|&index| {
        let Plan { width, height, encoding, animated } = plans[index];
        Reverse((width, height, encoding.format.extension(), encoding.lossless, encoding.quality, animated))
    });
    let (moving, order): (Vec<_>, Vec<_>) = order.into_iter().partition(|&index| plans[index].animated);
    let largest = order.first().map_or((LOOK.min(header.width), LOOK.min(header.height)), |&index| {
        (plans[index].width, plans[index].height)
    });

    let chroma = if plans.iter().all(|plan| plan.encoding.format.halves_chroma()) {
        Chroma::Half
    } else {
        Chroma::Full
    };
    let (mut image, opaque) = prepare(bytes, header, largest, chroma, budget)?;
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
        image = image.resize((plan.width, plan.height), budget)?;
        budget.still_time()?;
        let bytes = finish(&image, plan.encoding, budget)?;
        let Plan { width, height, encoding, .. } = plan;
        pictures[index] = Some(Picture { width, height, encoding, bytes });
        last = Some(index);
        budget.still_time()?;
    }
    let facts = facts(image, opaque, budget)?;
    for (index, bytes) in moving.iter().zip(animated(bytes, header, plans, &moving, budget)?) {
        let Plan { width, height, encoding, .. } = plans[*index];
        pictures[*index] = Some(Picture { width, height, encoding, bytes });
    }
    Ok(Rendered { pictures: pictures.into_iter().flatten().collect(), facts })
}

/// The files of the plans at these places, in this order, each of which is made once: all frames go through
/// steps 1 to 5.
fn animated(
    bytes: &[u8], header: &Header, plans: &[Plan], places: &[usize], budget: &Budget,
) -> Result<Vec<Vec<u8>>, Reject> {
    let mut different: Vec<Plan> = places.iter().map(|&index| plans[index]).collect();
    different.dedup();
    let Some(largest) = different.first() else { return Ok(Vec::new()) };
    let stored = header.orientation.upright((largest.width, largest.height));
    // While a frame is resized, the buffer between the two passes of the filter and what comes of it.
    let working =
        Pixels::Rgba.bytes(stored.0, header.stored_size().1) + 2 * Pixels::Rgba.bytes(stored.0, stored.1);
    let film_of = |plan: &Plan| Film { size: (plan.width, plan.height), encoding: plan.encoding };
    let films: Vec<Film> = different.iter().map(film_of).collect();
    let icc = animation::icc(bytes, header);
    let transform = icc.and_then(|icc| colour::transform(&icc, Pixels::Rgba));
    let show = |mut raster: Raster, take: Take| {
        raster = resize(raster, stored, budget)?;
        raster = colour::to_srgb(raster, transform.as_ref(), budget)?;
        raster = orient(raster, header.orientation, budget)?;
        for (film, Film { size, .. }) in films.iter().enumerate() {
            raster = resize(raster, *size, budget)?;
            take(film, &raster)?;
        }
        Ok(())
    };
    let made = animation::render(bytes, header, &films, working, budget, show)?;
    let made = |&index: &usize| different.iter().position(|plan| *plan == plans[index]);
    Ok(places.iter().filter_map(made).filter_map(|at| files.get(at).cloned()).collect())
}

/// Steps 1 to 4: the picture at the size of the largest plan, sRGB, upright; and whether it is opaque.
fn prepare(
    bytes: &[u8], header: &Header, largest: (u32, u32), chroma: Chroma, budget: &Budget,
) -> Result<(Image, bool), Reject> {
    let stored = header.orientation.upright(largest);
    if header.format == Format::Jpeg {
        let whole = jpeg_file::whole(bytes)?;
        if jpeg::is_ours(&whole) {
            return Ok((photograph(bytes, &whole, header, stored, chroma, budget)?, true));
        }
    }

    let Decoded { mut raster, icc } = decode(bytes, header, stored, budget)?;
    budget.still_time()?;

    let opaque = raster.is_opaque();
    if opaque {
        raster.drop_alpha();
    }
    raster = resize(raster, stored, budget)?;
    budget.still_time()?;

    let transform = icc.and_then(|icc| colour::transform(&icc, raster.pixels));
    raster = colour::to_srgb(raster, transform.as_ref(), budget)?;
    budget.still_time()?;

    raster = orient(raster, header.orientation, budget)?;
    budget.still_time()?;
    Ok((Image::Raster(raster), opaque))
}

/// The same for a JPEG that need not be made RGB first. Chroma stays whole if a colour profile has to be
/// applied.
fn photograph(
    bytes: &[u8], whole: &Whole, header: &Header, stored: (u32, u32), chroma: Chroma, budget: &Budget,
) -> Result<Image, Reject> {
    let pixels = if whole.frame.components.len() == 1 { Pixels::Gray } else { Pixels::Rgb };
    let transform = jpeg_file::icc(bytes).and_then(|icc| colour::transform(&icc, pixels));
    let chroma = if transform.is_some() { Chroma::Full } else { chroma };

    let decode = || jpeg::decode(bytes, &whole.frame, header, stored, chroma.samples(stored), budget);
    let planes = codec::guard(decode)?;
    budget.still_time()?;

    let planes = planes.resize_upright(stored, chroma, header.orientation, budget)?;
    budget.still_time()?;

    if chroma == Chroma::Half {
        return Ok(Image::Planes(planes));
    }
    let raster = colour::to_srgb(planes.into_raster(budget)?, transform.as_ref(), budget)?;
    budget.still_time()?;
    Ok(Image::Raster(raster))
}

/// Step 5, after the resize.
fn finish(image: &Image, encoding: Encoding, budget: &Budget) -> Result<Vec<u8>, Reject> {
    match image {
        Image::Planes(planes) => encode_planes(planes, encoding),
        Image::Raster(raster) if raster.pixels.has_alpha() && !encoding.format.has_alpha() => {
            encode(&onto_white(raster, budget)?, encoding)
        }
        Image::Raster(raster) => encode(raster, encoding),
    }
}

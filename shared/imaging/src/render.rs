use std::cmp::Reverse;
use std::sync::Arc;

use crate::animation::{Film, Take};
use crate::colour::Conversion;
use crate::container::jpeg as jpeg_file;
use crate::decode::{Decoded, decode};
use crate::encode::{encode, encode_planes};
use crate::facts::{Facts, facts};
use crate::image::Image;
use crate::limits::Budget;
use crate::operations::{Operation, Overlay, onto, sized};
use crate::plan::{Geometry, Plan};
use crate::planes::Chroma;
use crate::raster::{Pixels, Raster};
use crate::recipe::Encoding;
use crate::source::{Source, Stored};
use crate::{Format, Header, Note, Reject, animation, carry, codec, jpeg};

/// One finished rendering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// As planned, or what was left of it by trimming.
    pub width: u32,
    /// As planned, or what was left of it by trimming.
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
    /// What the file asked for and did not get.
    pub notes: Vec<Note>,
}

/// How large the picture is made to be looked at when nothing of all of it is to be rendered.
const LOOK: u32 = 100;

/// Makes all renderings of one picture. Of an animation those of its first frame, and where a plan is
/// animated, of all of them, in a pass of their own (see `animation`).
///
/// The file is decoded once, as small as the plans allow. A plan of nothing but a place and a size is made
/// from the next larger one that shows the same; the others, and the largest of each place, from what was
/// decoded. Between any two steps the budget is checked.
///
/// The steps of a plan and what each leaves behind:
///
/// 1. **decode** (scale on load): the file's own colours and orientation;
/// 2. **trim**, where it is asked for: where the border ends;
/// 3. **crop** and **resize**, aligned to the fraction of a pixel;
/// 4. **colour**: sRGB; cheap, now that the pixels are few (before the resize if light is to be averaged);
/// 5. **orient**: upright, and turned as asked for;
/// 6. what else is asked for, in this order: **rotate** by less than a quarter, **blur**, **sharpen**,
///    **gray**, **brighten**, **saturate**, **watermark**, **round**, **extend**, **flatten**;
/// 7. **encode**.
///
/// Photographs in JPEG go through the first steps as luma and chroma, which is how they are stored and how
/// JPEG and WebP store them again; RGB is made where a step needs it, after the resize: for colour profiles,
/// for most operations, for PNG, and of the smallest for the facts.
pub fn render(bytes: &[u8], header: &Header, plans: &[Plan], budget: &Budget) -> Result<Rendered, Reject> {
    render_marked(bytes, header, plans, None, budget)
}

/// The same with a picture for the watermarks that are asked for.
pub fn render_marked(
    bytes: &[u8], header: &Header, plans: &[Plan], overlay: Option<&Overlay>, budget: &Budget,
) -> Result<Rendered, Reject> {
    let Made { pictures, seen, notes } = make(bytes, header, plans, overlay, true, budget)?;
    let Seen { image, opaque } = seen.ok_or(Reject::Undecodable("it cannot be looked at"))?;
    let facts = facts(image, header, opaque, budget)?;
    Ok(Rendered { pictures, facts, notes })
}

/// The renderings alone, for who knows the picture already: looking at it is a quarter of the work of a thumbnail.
pub fn pictures(
    bytes: &[u8], header: &Header, plans: &[Plan], overlay: Option<&Overlay>, budget: &Budget,
) -> Result<Vec<Picture>, Reject> {
    Ok(make(bytes, header, plans, overlay, false, budget)?.pictures)
}

struct Made {
    pictures: Vec<Picture>,
    /// What facts can be taken from. It is always there if it was asked for.
    seen: Option<Seen>,
    notes: Vec<Note>,
}

/// All of the picture, in the smallest size that was made.
struct Seen {
    image: Image,
    opaque: bool,
}

fn make(
    bytes: &[u8], header: &Header, plans: &[Plan], overlay: Option<&Overlay>, look: bool, budget: &Budget,
) -> Result<Made, Reject> {
    budget.still_time()?;
    let budget = &budget.less(overlay.map_or(0, Overlay::bytes));
    let Prepared { source, opaque, note } = prepare(bytes, header, plans, look, budget)?;
    let notes = note.into_iter().collect();
    let copyright = plans.iter().any(|plan| plan.keep.copyright);
    let exif = copyright.then(|| carry::copyright(bytes, header)).flatten();
    let plans = plans.iter().map(|plan| trimmed(plan, &source, budget));
    let plans = plans.collect::<Result<Vec<Plan>, Reject>>()?;
    let (chains, last) = chains(&plans, header);

    let mut pictures = vec![None; plans.len()];
    let left = budget.less(source.stored.bytes());
    animate(bytes, header, &plans, overlay, exif.as_deref(), &mut pictures, &left)?;
    for chain in chains {
        let image = source.show(&chain.geometry, chain.chroma(&plans), budget)?;
        budget.still_time()?;
        let carried = Carried { icc: source.carries(&chain.geometry), exif: exif.clone() };
        chain.make(image, &plans, overlay, &carried, &mut pictures, &left)?;
    }
    let seen = if look || !last.plans.is_empty() {
        let image = source.into_shown(&last.geometry, last.chroma(&plans), budget)?;
        budget.still_time()?;
        let image = last.make(image, &plans, overlay, &Carried { icc: None, exif }, &mut pictures, budget)?;
        Some(Seen { image, opaque })
    } else {
        None
    };
    Ok(Made { pictures: pictures.into_iter().flatten().collect(), seen, notes })
}

struct Prepared {
    source: Source,
    opaque: bool,
    note: Option<Note>,
}

/// What goes along with the pixels of a rendering that asks for it.
struct Carried {
    icc: Option<Vec<u8>>,
    exif: Option<Vec<u8>>,
}

/// Step 1, and the colour profile; and whether the picture is opaque.
fn prepare(
    bytes: &[u8], header: &Header, plans: &[Plan], look: bool, budget: &Budget,
) -> Result<Prepared, Reject> {
    let orientation = header.orientation;
    // The smallest of these will do to look at, too.
    let shown = plans.iter().any(|plan| plan.is_plain() && !plan.animated && plan.geometry.shows_all());
    let least = if shown || !look { (1, 1) } else { (LOOK.min(header.width), LOOK.min(header.height)) };
    let wanted = plans.iter().map(Plan::wanted).fold(least, |a, b| (a.0.max(b.0), a.1.max(b.1)));
    let wanted = header.orientation.upright(wanted);
    if header.format == Format::Jpeg {
        let whole = jpeg_file::whole(bytes)?;
        if jpeg::is_ours(&whole) {
            let pixels = if whole.frame.components.len() == 1 { Pixels::Gray } else { Pixels::Rgb };
            let icc = jpeg_file::icc(bytes);
            let (conversion, note) = Conversion::of(icc.as_deref(), pixels);
            let half = conversion.is_none() && plans.iter().all(Plan::keeps_planes);
            let chroma = if half { Chroma::Half } else { Chroma::Full };
            let decode = || jpeg::decode(bytes, &whole, header, wanted, chroma.samples(wanted), budget);
            let stored = Stored::Planes(codec::guard(decode)?);
            budget.still_time()?;
            let conversion = conversion.map(Arc::new);
            let source = Source { stored, orientation, conversion, icc };
            return Ok(Prepared { source, opaque: true, note });
        }
    }

    let Decoded { mut raster, icc } = decode(bytes, header, wanted, budget)?;
    budget.still_time()?;
    let opaque = raster.is_opaque();
    if opaque {
        raster.drop_alpha();
    }
    let (conversion, note) = Conversion::of(icc.as_deref(), raster.pixels);
    let (stored, conversion) = (Stored::Raster(raster), conversion.map(Arc::new));
    let source = Source { stored, orientation, conversion, icc };
    Ok(Prepared { source, opaque, note })
}

/// Step 2.
fn trimmed(plan: &Plan, source: &Source, budget: &Budget) -> Result<Plan, Reject> {
    let Some((levels, _)) = plan.trim else { return Ok(plan.clone()) };
    let Geometry { crop, full, .. } = plan.geometry;
    Ok(plan.trimmed(source.within_border(crop, full, levels, budget)?))
}

/// Plans that show the same, each not larger than the one before it; or equal ones.
struct Chain {
    geometry: Geometry,
    plans: Vec<usize>,
}

/// Puts plans into chains, and apart from them the one that shows all of the picture as it is, in which there
/// may be no plan.
fn chains(plans: &[Plan], header: &Header) -> (Vec<Chain>, Chain) {
    let mut order: Vec<usize> = (0..plans.len()).filter(|&index| !plans[index].animated).collect();
    order.sort_by_key(|&index| {
        let Plan { width, height, encoding, keep, .. } = plans[index];
        Reverse((width, height, encoding.format.extension(), encoding.quality, encoding.lossless, keep))
    });
    let mut chains: Vec<Chain> = Vec::new();
    for index in order {
        let plan = &plans[index];
        let found = chains.iter_mut().find(|chain| {
            let Some(&last) = chain.plans.last() else { return false };
            let last = &plans[last];
            *last == *plan || last.is_plain() && plan.is_plain() && plan.geometry.follows(&last.geometry)
        });
        match found {
            Some(chain) => chain.plans.push(index),
            None => chains.push(Chain { geometry: plan.geometry, plans: vec![index] }),
        }
    }
    let all = chains.iter().position(|chain| {
        chain.geometry.shows_all() && chain.plans.iter().all(|&index| plans[index].is_plain())
    });
    let last = if let Some(at) = all {
        chains.remove(at)
    } else {
        let full = (header.width.max(1), header.height.max(1));
        Chain { geometry: Geometry::look(full, LOOK), plans: Vec::new() }
    };
    (chains, last)
}

impl Chain {
    fn chroma(&self, plans: &[Plan]) -> Chroma {
        let half = self.plans.iter().all(|&index| plans[index].keeps_planes());
        if half { Chroma::Half } else { Chroma::Full }
    }

    /// Steps 3, but for the first of them, to 7. What is left is the smallest.
    fn make(
        &self, mut image: Image, plans: &[Plan], overlay: Option<&Overlay>, carried: &Carried,
        pictures: &mut [Option<Picture>], budget: &Budget,
    ) -> Result<Image, Reject> {
        let mut last: Option<usize> = None;
        for &index in &self.plans {
            let plan = &plans[index];
            // A small picture has the same plan at every width above its own.
            if let Some(last) = last.filter(|&last| plans[last] == *plan) {
                let twin = pictures[last].clone();
                pictures[index] = twin;
                continue;
            }
            image = image.resize(plan.geometry.size, budget)?;
            budget.still_time()?;
            if !plan.is_plain() {
                let mark = sized(&plan.operations, overlay, &budget.less(image.bytes()))?;
                let left = budget.less(mark.as_ref().map_or(0, Raster::bytes));
                image = operate(image, plan, mark.as_ref(), &left)?;
            }
            let bytes = finish(&image, plan, budget)?;
            let Plan { width, height, encoding, keep, .. } = *plan;
            let exif = carried.exif.as_deref();
            let exif = exif.filter(|_| keep.copyright && encoding.format.carries());
            let bytes = carry::attach(bytes, encoding.format, carried.icc.as_deref(), exif)?;
            pictures[index] = Some(Picture { width, height, encoding, bytes });
            last = Some(index);
            budget.still_time()?;
        }
        Ok(image)
    }
}

/// Makes the plans that are animated, each of which is made once: every frame goes through steps 3 to 6.
fn animate(
    bytes: &[u8], header: &Header, plans: &[Plan], overlay: Option<&Overlay>, exif: Option<&[u8]>,
    pictures: &mut [Option<Picture>], budget: &Budget,
) -> Result<(), Reject> {
    let mut different: Vec<&Plan> = Vec::new();
    for plan in plans.iter().filter(|plan| plan.animated) {
        if !different.contains(&plan) {
            different.push(plan);
        }
    }
    if different.is_empty() {
        return Ok(());
    }
    let mut left = *budget;
    let mut marks = Vec::with_capacity(different.len());
    for plan in &different {
        let mark = sized(&plan.operations, overlay, &left)?;
        left = left.less(mark.as_ref().map_or(0, Raster::bytes));
        marks.push(mark);
    }
    let film_of = |plan: &&Plan| Film { size: (plan.width, plan.height), encoding: plan.encoding };
    let films: Vec<Film> = different.iter().map(film_of).collect();
    let icc = animation::icc(bytes, header);
    let conversion = Conversion::of(icc.as_deref(), Pixels::Rgba).0.map(Arc::new);
    let mut profiles = vec![None; different.len()];
    let show = |raster: Raster, take: Take, budget: &Budget| {
        let (stored, orientation) = (Stored::Raster(raster), header.orientation);
        let source = Source { stored, orientation, conversion: conversion.clone(), icc: icc.clone() };
        for (film, (plan, mark)) in different.iter().zip(&marks).enumerate() {
            profiles[film] = source.carries(&plan.geometry);
            let image = source.show(&plan.geometry, Chroma::Full, budget)?;
            let left = budget.less(source.stored.bytes());
            if let Image::Raster(raster) = operate(image, plan, mark.as_ref(), &left)? {
                take(film, &raster)?;
            }
        }
        Ok(())
    };
    let made = animation::render(bytes, header, &films, &left, show)?;
    for (plan, picture) in plans.iter().zip(pictures) {
        let at = different.iter().position(|other| plan.animated && *other == plan);
        if let Some((file, icc)) = at.and_then(|at| Some((made.get(at)?.clone(), profiles.get(at)?))) {
            let Plan { width, height, encoding, keep, .. } = *plan;
            let exif = exif.filter(|_| keep.copyright && encoding.format.carries());
            let bytes = carry::attach(file, encoding.format, icc.as_deref(), exif)?;
            *picture = Some(Picture { width, height, encoding, bytes });
        }
    }
    Ok(())
}

/// Step 6.
fn operate(image: Image, plan: &Plan, mark: Option<&Raster>, budget: &Budget) -> Result<Image, Reject> {
    let mut raster = match image {
        Image::Planes(planes) => return Ok(Image::Planes(planes.without_chroma())),
        Image::Raster(raster) => raster,
    };
    for operation in &plan.operations {
        raster = operation.apply(raster, mark, budget)?;
        budget.still_time()?;
    }
    Ok(Image::Raster(raster))
}

/// Step 7, and of a plain plan the only operation that there may be.
fn finish(image: &Image, plan: &Plan, budget: &Budget) -> Result<Vec<u8>, Reject> {
    let raster = match image {
        Image::Planes(planes) => return encode_planes(planes, plan.encoding, budget),
        Image::Raster(raster) => raster,
    };
    let colours = plan.operations.iter().filter_map(|operation| {
        let Operation::Flatten(colour) = operation else { return None };
        Some(*colour)
    });
    if !plan.is_plain() || !raster.pixels.has_alpha() || colours.clone().next().is_none() {
        return encode(raster, plan.encoding, budget);
    }
    budget.afford(2 * raster.bytes())?;
    let mut flat: Raster = raster.copy(budget)?;
    for colour in colours {
        flat = onto(flat, colour, budget)?;
    }
    encode(&flat, plan.encoding, &budget.less(raster.bytes()))
}

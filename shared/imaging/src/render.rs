use std::cmp::Reverse;

use crate::colour::Conversion;
use crate::container::jpeg::{self as jpeg_file, Whole};
use crate::decode::{Decoded, decode};
use crate::encode::{encode, encode_planes};
use crate::facts::{Facts, facts, small};
use crate::flatten::onto_white;
use crate::image::Image;
use crate::limits::Budget;
use crate::orientation::orient;
use crate::planes::Chroma;
use crate::raster::{Pixels, Raster};
use crate::recipe::{OutputFormat, Plan};
use crate::resize::resize;
use crate::{Format, Header, Note, Reject, carry, codec, colour, jpeg};

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
    /// What the file asked for and did not get.
    pub notes: Vec<Note>,
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
///
/// Photographs in JPEG go through the same steps as luma and chroma, which is how they are stored and how
/// JPEG and WebP store them again; RGB is made where a step needs it, after the resize: for colour
/// profiles, for PNG, and of the smallest for the facts.
pub fn render(bytes: &[u8], header: &Header, plans: &[Plan], budget: &Budget) -> Result<Rendered, Reject> {
    budget.still_time()?;
    let mut order: Vec<usize> = (0..plans.len()).collect();
    order.sort_by_key(|&index| {
        let Plan { width, height, format, quality, keep } = plans[index];
        Reverse((width, height, format.extension(), quality, keep))
    });
    let largest = order.first().map_or((LOOK.min(header.width), LOOK.min(header.height)), |&index| {
        (plans[index].width, plans[index].height)
    });

    let chroma =
        if plans.iter().all(|plan| plan.format.halves_chroma()) { Chroma::Half } else { Chroma::Full };
    let wide = plans.iter().any(keeps_profile);
    let Prepared { mut image, opaque, note, source } = prepare(bytes, header, largest, chroma, wide, budget)?;
    let exif =
        plans.iter().any(|plan| plan.keep.copyright).then(|| carry::copyright(bytes, header)).flatten();
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
        let bytes = finish(&image, &plan, source.as_ref(), budget)?;
        let icc = source.as_ref().filter(|_| keeps_profile(&plan)).map(|source| source.icc.as_slice());
        let exif = exif.as_deref().filter(|_| plan.keep.copyright && carry::can_carry(plan.format));
        let bytes = carry::attach(bytes, plan.format, icc, exif)?;
        let Plan { width, height, format, .. } = plan;
        pictures[index] = Some(Picture { width, height, format, bytes });
        last = Some(index);
        budget.still_time()?;
    }
    if let Some(source) = source {
        let size = small(image.size());
        image = Image::Raster(source.to_srgb(image.into_raster(size, budget)?, budget)?);
    }
    let facts = facts(image, header, opaque, budget)?;
    Ok(Rendered {
        pictures: pictures.into_iter().flatten().collect(),
        facts,
        notes: note.into_iter().collect(),
    })
}

struct Prepared {
    image: Image,
    opaque: bool,
    note: Option<Note>,
    /// The colours that the image is in, if it is not in sRGB.
    source: Option<Source>,
}

/// Colours that some rendering keeps.
struct Source {
    conversion: Conversion,
    icc: Vec<u8>,
}

impl Source {
    fn to_srgb(&self, raster: Raster, budget: &Budget) -> Result<Raster, Reject> {
        colour::to_srgb(raster, Some(&self.conversion), budget)
    }

    /// Brings a picture into sRGB, or leaves it as it is and says in what.
    fn apply(
        raster: Raster, icc: Option<&[u8]>, conversion: Option<Conversion>, keep: bool, budget: &Budget,
    ) -> Result<(Raster, Option<Self>), Reject> {
        match (conversion, icc.filter(|_| keep).and_then(carry::profile)) {
            (Some(conversion), Some(icc)) if conversion.is_of_rgb(raster.pixels) => {
                Ok((raster, Some(Self { conversion, icc })))
            }
            (conversion, _) => Ok((colour::to_srgb(raster, conversion.as_ref(), budget)?, None)),
        }
    }
}

fn keeps_profile(plan: &Plan) -> bool {
    plan.keep.profile && carry::can_carry(plan.format)
}

/// Steps 1 to 4: the picture at the size of the largest plan, sRGB, upright; and whether it is opaque.
fn prepare(
    bytes: &[u8], header: &Header, largest: (u32, u32), chroma: Chroma, wide: bool, budget: &Budget,
) -> Result<Prepared, Reject> {
    let stored = header.orientation.upright(largest);
    if header.format == Format::Jpeg {
        let whole = jpeg_file::whole(bytes)?;
        if jpeg::is_ours(&whole) {
            return photograph(bytes, &whole, header, stored, chroma, wide, budget);
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

    let (conversion, note) = Conversion::of(icc.as_deref(), raster.pixels);
    let (mut raster, source) = Source::apply(raster, icc.as_deref(), conversion, wide, budget)?;
    budget.still_time()?;

    raster = orient(raster, header.orientation, budget)?;
    budget.still_time()?;
    Ok(Prepared { image: Image::Raster(raster), opaque, note, source })
}

/// The same for a JPEG that need not be made RGB first. Chroma stays whole if a colour profile has to be
/// applied.
fn photograph(
    bytes: &[u8], whole: &Whole, header: &Header, stored: (u32, u32), chroma: Chroma, wide: bool,
    budget: &Budget,
) -> Result<Prepared, Reject> {
    let pixels = if whole.frame.components.len() == 1 { Pixels::Gray } else { Pixels::Rgb };
    let icc = jpeg_file::icc(bytes);
    let (conversion, note) = Conversion::of(icc.as_deref(), pixels);
    let chroma = if conversion.is_some() { Chroma::Full } else { chroma };

    let decode = || jpeg::decode(bytes, &whole.frame, header, stored, chroma.samples(stored), budget);
    let planes = codec::guard(decode)?;
    budget.still_time()?;

    let planes = planes.resize_upright(stored, chroma, header.orientation, budget)?;
    budget.still_time()?;

    if chroma == Chroma::Half {
        return Ok(Prepared { image: Image::Planes(planes), opaque: true, note, source: None });
    }
    let (raster, source) =
        Source::apply(planes.into_raster(budget)?, icc.as_deref(), conversion, wide, budget)?;
    budget.still_time()?;
    Ok(Prepared { image: Image::Raster(raster), opaque: true, note, source })
}

/// Step 5, after the resize.
fn finish(image: &Image, plan: &Plan, source: Option<&Source>, budget: &Budget) -> Result<Vec<u8>, Reject> {
    match (image, source) {
        (Image::Planes(planes), _) => encode_planes(planes, plan),
        (Image::Raster(raster), Some(source)) if !keeps_profile(plan) => {
            budget.afford(3 * raster.bytes())?;
            flat(&source.to_srgb(raster.clone(), budget)?, plan, budget)
        }
        (Image::Raster(raster), _) => flat(raster, plan, budget),
    }
}

fn flat(raster: &Raster, plan: &Plan, budget: &Budget) -> Result<Vec<u8>, Reject> {
    if raster.pixels.has_alpha() && !plan.format.has_alpha() {
        encode(&onto_white(raster, budget)?, plan)
    } else {
        encode(raster, plan)
    }
}

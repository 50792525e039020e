//! How a recipe is written: `w=320,h=240,fit=cover,focus=0.3:0.7,q=80,f=webp`.
//!
//! Parts with commas between them, each a key, `=` and a value; a flag may go without. In any order, no key
//! twice, no unknown ones. What is printed is the canonical form: the order of this table, which is the
//! order in which things are done, and nothing that is as it would be anyway. Reading it gives the same
//! recipe, and equal recipes are written the same.
//!
//! | key | value | without it |
//! |---|---|---|
//! | `crop` | `x:y:width:height` of the upright picture | all of it |
//! | `trim` | a flag, or by how many levels (0 to 255) a border of one colour, that of the left top pixel, may differ from it: cut away | 16 with the flag; no |
//! | `flip` | `h` (left to right), `v` (top to bottom), `hv` | no |
//! | `rotate` | degrees clockwise, after the flip; corners are filled with `bg` | 0 |
//! | `w`, `h` | 1 to 8192 pixels | follows the other one; both: as it is |
//! | `fit` | with both sides given: `inside` (all of the picture, no larger), `cover` (cut to shape), `contain` (all of it, `bg` around it), `fill` (distorted) | `inside` |
//! | `focus` | what `cover` keeps in sight and where `contain` puts the picture: `x:y` from 0 to 1, or `center`, `top`, `bottom`, `left`, `right`, `top-left`, `top-right`, `bottom-left`, `bottom-right` | `center` |
//! | `enlarge` | flag: a picture smaller than `w` and `h` is made larger | no: a smaller one stays as it is, and `cover` cuts it to the shape of `w` and `h` |
//! | `linear` | flag: averages light, not the numbers that stand for it; slow | no |
//! | `blur` | sigma of a Gaussian, 0.3 to 100 pixels of the result | no |
//! | `sharpen` | `light`, or the sigma of an unsharp mask, 0.3 to 100 | no |
//! | `gray` | flag | no |
//! | `brightness` | factor, 0 to 10 | 1 |
//! | `saturation` | factor, 0 to 10 | 1 |
//! | `watermark` | flag, or `position[:scale[:opacity]]`: the position as for `focus`, the mark's width and how much of it is seen from 0 to 1 | `bottom-right:0.25:1` with the flag; none |
//! | `radius` | round corners: a length of the shorter side, or `max` | square |
//! | `pad` | margin around the picture and beyond `w` and `h`: pixels up to 2048 for all sides, or `vertical:horizontal`, or `top:right:bottom:left` | 0 |
//! | `bg` | what is behind the picture wherever it does not hide it: `rgb`, `rgba`, `rrggbb` or `rrggbbaa` in hexadecimal, or one of the sixteen colours of HTML, or `transparent` | nothing, and white where the format has no alpha |
//! | `f` | `jpeg`, `png`, `webp`, `avif`, `gif` | `webp` |
//! | `q` | 1 to 100 | 80 |
//! | `lossless` | flag | no |
//! | `animated` | flag: an animation stays one, where the format has them | no: its first frame |
//! | `keep` | what of the file goes along: `profile` (its own colours, where they are RGB), `copyright`, or `profile:copyright` | nothing: sRGB without a word |
//!
//! Lengths are pixels if they are written without a point (`100`) and shares of the side with one (`0.5`,
//! or `50%`). Flags are written alone or with `=true`, `=false`. `off` takes back `crop`, `trim`, `flip`,
//! `blur`, `sharpen`, `watermark`, `radius`, `bg` and `keep`, and `false` those of them that are flags as well.
//! Numbers have at most four digits after the point; more are rounded.
//!
//! Each thing is done to what the one before it has left: `focus` is a place in what `crop`, `trim`, `flip`
//! and `rotate` made of the picture, and `w` and `h` are the sides of that.

use std::str::FromStr;

use crate::carry::Keep;

use super::{
    Angle, Colour, Decimal, Factor, Fit, Flip, Focus, Length, OutputFormat, Padding, Radius, Recipe,
    RecipeError, Region, Share, Sharpen, Side, Sigma, Trim, Watermark,
};

/// More than all keys with their longest values.
const MOST_TEXT: usize = 1_024;

const KEYS: [&str; 24] = [
    "crop",
    "trim",
    "flip",
    "rotate",
    "w",
    "h",
    "fit",
    "focus",
    "enlarge",
    "linear",
    "blur",
    "sharpen",
    "gray",
    "brightness",
    "saturation",
    "watermark",
    "radius",
    "pad",
    "bg",
    "f",
    "q",
    "lossless",
    "animated",
    "keep",
];

/// What other programs call them.
const OTHERS: [(&str, &str); 25] = [
    ("width", "w"),
    ("height", "h"),
    ("format", "f"),
    ("quality", "q"),
    ("gravity", "focus"),
    ("position", "focus"),
    ("background", "bg"),
    ("color", "bg"),
    ("padding", "pad"),
    ("margin", "pad"),
    ("round", "radius"),
    ("rounded", "radius"),
    ("grayscale", "gray"),
    ("greyscale", "gray"),
    ("grey", "gray"),
    ("extract", "crop"),
    ("region", "crop"),
    ("flop", "flip"),
    ("mirror", "flip"),
    ("angle", "rotate"),
    ("resize", "fit"),
    ("mode", "fit"),
    ("upscale", "enlarge"),
    ("mark", "watermark"),
    ("overlay", "watermark"),
];

/// What sharp calls places. Its `attention` and `entropy` have no equal.
const OTHER_PLACES: [(&str, &str); 9] = [
    ("centre", "center"),
    ("north", "top"),
    ("northeast", "top-right"),
    ("east", "right"),
    ("southeast", "bottom-right"),
    ("south", "bottom"),
    ("southwest", "bottom-left"),
    ("west", "left"),
    ("northwest", "top-left"),
];

impl FromStr for Recipe {
    type Err = RecipeError;

    fn from_str(text: &str) -> Result<Self, RecipeError> {
        Self::default().changed(text)
    }
}

impl Recipe {
    /// This recipe with what a text says instead of what it says itself.
    pub fn changed(mut self, text: &str) -> Result<Self, RecipeError> {
        if text.len() > MOST_TEXT {
            return Err(RecipeError::TooLong { found: text.len(), limit: MOST_TEXT });
        }
        if text.trim().is_empty() {
            return Ok(self);
        }
        let mut seen = Vec::new();
        for part in text.split(',').map(str::trim) {
            if part.is_empty() {
                return Err(RecipeError::EmptyPart);
            }
            let (key, value) = match part.split_once('=') {
                Some((key, value)) => (key.trim(), Some(value.trim())),
                None => (part, None),
            };
            let key = self.change(key, value)?;
            if seen.contains(&key) {
                return Err(RecipeError::Repeated(key));
            }
            seen.push(key);
        }
        Ok(self)
    }

    /// Sets what a key stands for, and answers with the key.
    fn change(&mut self, key: &str, value: Option<&str>) -> Result<&'static str, RecipeError> {
        macro_rules! keys {
            ($($name:literal => $place:expr, $read:expr, $allowed:expr;)*) => {
                match key {
                    $($name => {
                        $place = Asked { key: $name, value }.read($allowed, $read)?;
                        Ok($name)
                    })*
                    _ => Err(RecipeError::UnknownKey { key: shortened(key), near: near_key(key) }),
                }
            };
        }
        keys! {
            "crop" => self.crop, or_off(region), "x:y:width:height or off";
            "trim" => self.trim, trim, "a number of levels from 0 to 255, or off";
            "flip" => self.flip, or_off(|text| named(&FLIPS, text)), "h, v, hv or off";
            "rotate" => self.rotate, some(|text| Decimal::read(text).map(Angle::of)), "degrees, such as 90 or -7.5";
            "w" => self.width, some(|text| side(text).map(Some)), "1 to 8192 pixels";
            "h" => self.height, some(|text| side(text).map(Some)), "1 to 8192 pixels";
            "fit" => self.fit, some(|text| named(&FITS, text)), "inside, cover, contain or fill";
            "focus" => self.focus, some(focus), FOCUS;
            "enlarge" => self.enlarge, flag, FLAG;
            "linear" => self.linear, flag, FLAG;
            "blur" => self.blur, or_off(Sigma::read), "a sigma from 0.3 to 100, or off";
            "sharpen" => self.sharpen, or_off(sharpen), "light, a sigma from 0.3 to 100, or off";
            "gray" => self.gray, flag, FLAG;
            "brightness" => self.brightness, some(Factor::read), "a factor from 0 to 10";
            "saturation" => self.saturation, some(Factor::read), "a factor from 0 to 10";
            "watermark" => self.watermark, watermark, "position:scale:opacity, such as bottom-right:0.25:0.8, or off";
            "radius" => self.radius, or_off(radius), "pixels, a share such as 0.1 or 10%, max or off";
            "pad" => self.pad, some(padding), "one, two or four numbers from 0 to 2048 with colons between them";
            "bg" => self.background, or_off(colour), "a colour such as fff, 336699, 33669980, white or transparent, or off";
            "f" => self.encoding.format, some(|text| named(&FORMATS, text)), "jpeg, png, webp, avif or gif";
            "q" => self.encoding.quality, some(quality), "1 to 100";
            "lossless" => self.encoding.lossless, flag, FLAG;
            "animated" => self.animated, flag, FLAG;
            "keep" => self.keep, some(|text| named(&KEPT, text)), "profile, copyright, profile:copyright or off";
        }
    }
}

const FLAG: &str = "true or false";
const FOCUS: &str = "x:y from 0 to 1 (such as 0.3:0.7), center, top, bottom, left, right, top-left, \
                     top-right, bottom-left or bottom-right";
pub(super) const FITS: [(&str, Fit); 4] =
    [("inside", Fit::Inside), ("cover", Fit::Cover), ("contain", Fit::Contain), ("fill", Fit::Fill)];
pub(super) const FLIPS: [(&str, Flip); 3] = [("h", Flip::Across), ("v", Flip::Down), ("hv", Flip::Both)];
pub(super) const KEPT: [(&str, Keep); 4] = [
    ("profile", Keep { profile: true, copyright: false }),
    ("copyright", Keep { profile: false, copyright: true }),
    ("profile:copyright", Keep { profile: true, copyright: true }),
    ("off", Keep::NOTHING),
];
pub(super) const FORMATS: [(&str, OutputFormat); 6] = [
    ("jpeg", OutputFormat::Jpeg),
    ("jpg", OutputFormat::Jpeg),
    ("png", OutputFormat::Png),
    ("webp", OutputFormat::Webp),
    ("avif", OutputFormat::Avif),
    ("gif", OutputFormat::Gif),
];

/// A key with what was written after it.
struct Asked<'a> {
    key: &'static str,
    value: Option<&'a str>,
}

impl Asked<'_> {
    fn read<T>(
        &self, allowed: &'static str, read: impl FnOnce(Option<&str>) -> Option<T>,
    ) -> Result<T, RecipeError> {
        let key = self.key;
        read(self.value).ok_or_else(|| match self.value {
            None | Some("") => RecipeError::NoValue { key, allowed },
            Some(value) => {
                RecipeError::Value { key, value: shortened(value), allowed, near: near_value(key, value) }
            }
        })
    }
}

/// What is repeated to people who may not have written it is kept short.
fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

fn near_key(key: &str) -> Option<&'static str> {
    let known = KEYS.into_iter().map(|key| (key, key)).chain(OTHERS);
    nearest(&key.to_ascii_lowercase(), known)
}

fn near_value(key: &str, value: &str) -> Option<&'static str> {
    fn names<T, const N: usize>(table: &[(&'static str, T); N]) -> Vec<&'static str> {
        table.iter().map(|(name, _)| *name).collect()
    }
    let known = match key {
        "fit" => names(&FITS),
        "flip" => names(&FLIPS),
        "focus" | "watermark" => names(&Focus::NAMED),
        "bg" => names(&Colour::NAMED),
        "f" => names(&FORMATS),
        "keep" => names(&KEPT),
        "sharpen" => vec!["light", "off"],
        "radius" => vec!["max", "off"],
        _ => return None,
    };
    let others = if matches!(key, "focus" | "watermark") { &OTHER_PLACES[..] } else { &[] };
    let known = known.into_iter().map(|value| (value, value)).chain(others.iter().copied());
    nearest(&value.to_ascii_lowercase(), known)
}

/// What is meant by the name that a text is nearest to.
fn nearest(text: &str, known: impl Iterator<Item = (&'static str, &'static str)>) -> Option<&'static str> {
    // Two slips, but not more than half of a short word.
    known
        .map(|(name, meant)| (strsim::osa_distance(text, name), name, meant))
        .filter(|&(slips, name, _)| slips <= 2 && slips * 2 <= name.len())
        .min_by_key(|&(slips, ..)| slips)
        .map(|(.., meant)| meant)
}

fn some<T>(read: impl FnOnce(&str) -> Option<T>) -> impl FnOnce(Option<&str>) -> Option<T> {
    move |value| value.and_then(read)
}

/// What is read, or is switched off.
type OrOff<T> = Option<T>;

fn or_off<T>(read: impl FnOnce(&str) -> Option<T>) -> impl FnOnce(Option<&str>) -> Option<OrOff<T>> {
    move |value| match value? {
        "off" => Some(None),
        value => read(value).map(Some),
    }
}

fn flag(value: Option<&str>) -> Option<bool> {
    match value {
        None | Some("true") => Some(true),
        Some("false") => Some(false),
        Some(_) => None,
    }
}

fn named<T: Copy>(table: &[(&str, T)], text: &str) -> Option<T> {
    table.iter().find(|(name, _)| *name == text).map(|(_, value)| *value)
}

fn whole(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn side(text: &str) -> Option<Side> {
    whole(text).and_then(Side::new)
}

fn quality(text: &str) -> Option<u8> {
    whole(text).filter(|quality| (1..=100).contains(quality)).and_then(|quality| quality.try_into().ok())
}

fn trim(value: Option<&str>) -> Option<OrOff<Trim>> {
    match value {
        None | Some("true") => Some(Some(Trim::default())),
        Some("off" | "false") => Some(None),
        Some(text) => whole(text)?.try_into().ok().map(|levels| Some(Trim(levels))),
    }
}

fn length(text: &str) -> Option<Length> {
    if let Some(percent) = text.strip_suffix('%') {
        return Share::new(Decimal::read(percent)?.value() / 100.0).map(Length::Share);
    }
    if text.contains('.') {
        Share::read(text).map(Length::Share)
    } else {
        // No picture has a longer side.
        whole(text).filter(|&pixels| pixels <= 1_000_000).map(Length::Pixels)
    }
}

/// As many parts as there have to be.
fn parts<const N: usize>(text: &str) -> Option<[&str; N]> {
    text.split(':').collect::<Vec<_>>().try_into().ok()
}

fn region(text: &str) -> Option<Region> {
    let [x, y, width, height] = parts(text)?.map(length);
    let (width, height) = (width?, height?);
    let none = |side| matches!(side, Length::Pixels(0) | Length::Share(Share::NONE));
    let region = Region { x: x?, y: y?, width, height };
    (!none(width) && !none(height)).then_some(region)
}

fn focus(text: &str) -> Option<Focus> {
    named(&Focus::NAMED, text).or_else(|| {
        let [x, y] = parts(text)?.map(Share::read);
        Some(Focus { x: x?, y: y? })
    })
}

fn sharpen(text: &str) -> Option<Sharpen> {
    if text == "light" { Some(Sharpen::Light) } else { Sigma::read(text).map(Sharpen::Sigma) }
}

fn watermark(value: Option<&str>) -> Option<OrOff<Watermark>> {
    let text = match value {
        None | Some("true") => return Some(Some(Watermark::default())),
        Some("off" | "false") => return Some(None),
        Some(text) => text,
    };
    let mut parts: Vec<_> = text.split(':').collect();
    // A place has a name or takes two parts.
    let named = named(&Focus::NAMED, parts.first()?).map(|position| (position, 1));
    let (position, taken) = match named {
        Some(named) => named,
        None => (focus(&parts.get(..2)?.join(":"))?, 2),
    };
    parts.drain(..taken);
    let default = Watermark::default();
    let share = |at: usize, default| parts.get(at).map_or(Some(default), |text| Share::read(text));
    let (scale, opacity) = (share(0, default.scale)?, share(1, default.opacity)?);
    (parts.len() <= 2).then_some(Some(Watermark { position, scale, opacity }))
}

fn radius(text: &str) -> Option<Radius> {
    if text == "max" { Some(Radius::Max) } else { length(text).map(Radius::Length) }
}

fn padding(text: &str) -> Option<Padding> {
    let sides: Option<Vec<u32>> = text.split(':').map(whole).collect();
    Padding::new(match sides?[..] {
        [all] => [all; 4],
        [vertical, horizontal] => [vertical, horizontal, vertical, horizontal],
        [top, right, bottom, left] => [top, right, bottom, left],
        _ => return None,
    })
}

fn colour(text: &str) -> Option<Colour> {
    if let Some(colour) = named(&Colour::NAMED, text) {
        return Some(colour);
    }
    let text = text.strip_prefix('#').unwrap_or(text);
    let digits: Option<Vec<u8>> =
        text.chars().map(|digit| digit.to_digit(16).and_then(|digit| digit.try_into().ok())).collect();
    let digits = digits?;
    let bytes: Vec<u8> = match digits.len() {
        3 | 4 => digits.iter().map(|digit| 17 * digit).collect(),
        6 | 8 => digits.as_chunks::<2>().0.iter().map(|[upper, lower]| 16 * upper + lower).collect(),
        _ => return None,
    };
    let &[red, green, blue, ref alpha @ ..] = bytes.as_slice() else { return None };
    let alpha = alpha.first().copied().unwrap_or(u8::MAX);
    Some(Colour { red, green, blue, alpha })
}

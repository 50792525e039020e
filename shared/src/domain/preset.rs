//! Presets: the named sizes that every picture has, and how a request for one is resolved.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// A rung of the eager ladder: the width that its name says, or the picture's own if that is smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PresetName {
    /// 160 pixels wide.
    W160,
    /// 320 pixels wide.
    W320,
    /// 640 pixels wide.
    W640,
    /// 1280 pixels wide.
    W1280,
    /// 2048 pixels wide.
    W2048,
}

impl PresetName {
    /// Every rung, the smallest first.
    pub const ALL: [Self; 5] = [Self::W160, Self::W320, Self::W640, Self::W1280, Self::W2048];
    /// The rung that is also made as JPEG or PNG, for whoever cannot read WebP.
    pub const FALLBACK: Self = Self::W1280;
    /// The rung that lists show.
    pub const THUMBNAIL: Self = Self::W320;

    /// How wide it is at most.
    pub const fn width(self) -> u32 {
        match self {
            Self::W160 => 160,
            Self::W320 => 320,
            Self::W640 => 640,
            Self::W1280 => 1280,
            Self::W2048 => 2048,
        }
    }
}

impl fmt::Display for PresetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "w{}", self.width())
    }
}

/// The formats that variants are stored in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum VariantFormat {
    /// WebP, the format of the whole ladder.
    Webp,
    /// JPEG, for pictures without transparency.
    Jpeg,
    /// PNG, for pictures with it.
    Png,
}

impl VariantFormat {
    /// Every format.
    pub const ALL: [Self; 3] = [Self::Webp, Self::Jpeg, Self::Png];

    /// `image/webp`.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Webp => "image/webp",
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
        }
    }

    /// `webp`; `jpg` for JPEG.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Webp => "webp",
            Self::Jpeg => "jpg",
            Self::Png => "png",
        }
    }
}

/// The last segment of a delivery path: `w640.webp`, or `w640` for whichever format suits the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PictureName {
    /// The preset.
    pub preset: PresetName,
    /// The format; `None` negotiates it.
    pub format: Option<VariantFormat>,
}

/// A segment that names no preset or no format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a preset such as `w640`, or `w640.webp`")]
pub struct InvalidPictureName;

impl fmt::Display for PictureName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.preset)?;
        self.format.map_or(Ok(()), |format| write!(f, ".{}", format.extension()))
    }
}

impl FromStr for PictureName {
    type Err = InvalidPictureName;

    fn from_str(text: &str) -> Result<Self, InvalidPictureName> {
        let (preset, extension) =
            text.split_once('.').map_or((text, None), |(preset, extension)| (preset, Some(extension)));
        let preset =
            PresetName::ALL.into_iter().find(|p| p.to_string() == preset).ok_or(InvalidPictureName)?;
        let format = extension
            .map(|extension| {
                let known = |format: &VariantFormat| format.extension() == extension;
                VariantFormat::ALL.into_iter().find(known).ok_or(InvalidPictureName)
            })
            .transpose()?;
        Ok(Self { preset, format })
    }
}

impl PartialSchema for PictureName {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("A preset, and the format; without one, the format is negotiated by `Accept`."))
            .pattern(Some(r"^w(160|320|640|1280|2048)(\.(webp|jpg|png))?$"))
            .examples(["w640.webp", "w640"])
            .into()
    }
}

impl ToSchema for PictureName {}

/// A stored rendering.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variant {
    /// The preset it was made for.
    pub preset: PresetName,
    /// Its format.
    pub format: VariantFormat,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Its size.
    pub bytes: u64,
}

impl Variant {
    /// Its name in paths and object keys.
    pub const fn name(&self) -> PictureName {
        PictureName { preset: self.preset, format: Some(self.format) }
    }
}

/// The renderings that are made of a picture as soon as it arrives.
///
/// WebP at every rung below the picture's width and at the first one that holds it whole, never
/// enlarged; and a JPEG (a PNG where there is transparency) at [`PresetName::FALLBACK`].
pub fn eager_ladder(width: u32, alpha: bool) -> Vec<(PresetName, VariantFormat)> {
    let last = PresetName::ALL.iter().position(|rung| rung.width() >= width);
    let rungs = &PresetName::ALL[..last.map_or(PresetName::ALL.len(), |last| last + 1)];
    let fallback = if alpha { VariantFormat::Png } else { VariantFormat::Jpeg };
    rungs.iter().map(|&rung| (rung, VariantFormat::Webp)).chain([(PresetName::FALLBACK, fallback)]).collect()
}

/// Finds the stored variant that answers a request.
///
/// A preset wider than the picture is the picture at its own width. Without a format, WebP goes to who
/// accepts it, and the fallback to everybody else.
pub fn resolve(variants: &[Variant], name: PictureName, accepts_webp: bool) -> Option<&Variant> {
    let stored = |format: VariantFormat, preset: PresetName| {
        let of_format = || variants.iter().filter(move |variant| variant.format == format);
        of_format().find(|variant| variant.preset == preset).or_else(|| {
            let widest = of_format().max_by_key(|variant| variant.preset)?;
            // Narrower than its own preset: this is the whole picture, and there is nothing wider.
            (widest.preset < preset && widest.width < widest.preset.width()).then_some(widest)
        })
    };
    match name.format {
        Some(format) => stored(format, name.preset),
        None if accepts_webp => stored(VariantFormat::Webp, name.preset),
        None => [VariantFormat::Jpeg, VariantFormat::Png]
            .into_iter()
            .find_map(|format| stored(format, PresetName::FALLBACK)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(width: u32) -> Vec<Variant> {
        eager_ladder(width, false)
            .into_iter()
            .map(|(preset, format)| {
                let width = width.min(preset.width());
                Variant { preset, format, width, height: 100, bytes: 1 }
            })
            .collect()
    }

    fn answer(width: u32, name: &str, accepts_webp: bool) -> Option<String> {
        resolve(&stored(width), name.parse().unwrap(), accepts_webp)
            .map(|variant| format!("{} {}", variant.name(), variant.width))
    }

    #[test]
    fn the_ladder_never_enlarges_and_holds_the_whole_picture() {
        let names = |width| stored(width).iter().map(|v| v.name().to_string()).collect::<Vec<_>>();
        assert_eq!(names(100), ["w160.webp", "w1280.jpg"]);
        assert_eq!(names(640), ["w160.webp", "w320.webp", "w640.webp", "w1280.jpg"]);
        assert_eq!(names(641).len(), 5);
        assert_eq!(names(9000).len(), 6);
    }

    #[test]
    fn a_preset_wider_than_the_picture_is_the_picture() {
        assert_eq!(answer(500, "w2048.webp", true).as_deref(), Some("w640.webp 500"));
        assert_eq!(answer(500, "w2048.jpg", true).as_deref(), Some("w1280.jpg 500"));
        assert_eq!(answer(5000, "w2048.jpg", true), None);
        assert_eq!(answer(500, "w640.jpg", true), None);
        assert_eq!(answer(500, "w640.png", true), None);
    }

    #[test]
    fn the_format_is_negotiated_where_none_is_asked_for() {
        assert_eq!(answer(5000, "w320", true).as_deref(), Some("w320.webp 320"));
        assert_eq!(answer(5000, "w320", false).as_deref(), Some("w1280.jpg 1280"));
    }

    #[test]
    fn names_have_one_spelling() {
        for bad in ["", "w", "w641", "W640", "w640.", "w640.jpeg", "w640.webp.png", "640", "../w640"] {
            assert_eq!(bad.parse::<PictureName>(), Err(InvalidPictureName), "{bad}");
        }
    }
}

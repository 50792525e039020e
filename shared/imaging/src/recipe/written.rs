//! The canonical text of a recipe and of its values; see [`super::grammar`].

use std::fmt;

use super::grammar;
use super::{
    Colour, Decimal, Encoding, Focus, Length, Padding, Radius, Recipe, Region, Sharpen, Side, Trim, Watermark,
};

impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = Self::default();
        let mut parts: Vec<String> = Vec::new();
        let mut write = |key: &str, differs: bool, value: &dyn fmt::Display| {
            if differs {
                parts.push(format!("{key}={value}"));
            }
        };
        macro_rules! optional {
            ($key:literal, $value:expr) => {
                if let Some(value) = $value {
                    write($key, true, &value);
                }
            };
        }
        let Self { encoding: Encoding { format, quality, lossless }, .. } = *self;
        optional!("crop", self.crop);
        optional!("trim", self.trim.map(|Trim(levels)| levels));
        optional!("flip", self.flip.and_then(|flip| name(&grammar::FLIPS, &flip)));
        write("rotate", self.rotate != plain.rotate, &Decimal::new(self.rotate.degrees()));
        optional!("w", self.width.map(Side::pixels));
        optional!("h", self.height.map(Side::pixels));
        write("fit", self.fit != plain.fit, &name(&grammar::FITS, &self.fit).unwrap_or_default());
        write("focus", self.focus != plain.focus, &self.focus);
        write("enlarge", self.enlarge, &true);
        write("linear", self.linear, &true);
        optional!("blur", self.blur);
        optional!("sharpen", self.sharpen);
        write("gray", self.gray, &true);
        write("brightness", self.brightness != plain.brightness, &self.brightness);
        write("saturation", self.saturation != plain.saturation, &self.saturation);
        optional!("watermark", self.watermark);
        optional!("radius", self.radius);
        write("pad", self.pad != plain.pad, &self.pad);
        optional!("bg", self.background);
        write("f", format != plain.encoding.format, &name(&grammar::FORMATS, &format).unwrap_or_default());
        let quality = quality.clamp(1, 100);
        write("q", quality != plain.encoding.quality, &quality);
        write("lossless", lossless, &true);
        write("animated", self.animated, &true);
        write("keep", self.keep != plain.keep, &name(&grammar::KEPT, &self.keep).unwrap_or_default());
        f.write_str(&parts.join(",").replace("=true", ""))
    }
}

fn name<T: PartialEq>(table: &[(&'static str, T)], value: &T) -> Option<&'static str> {
    table.iter().find(|(_, other)| other == value).map(|(name, _)| *name)
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pixels(pixels) => pixels.fmt(f),
            // With a point, which is what makes it a share.
            Self::Share(share) => write!(f, "{:?}", share.value()),
        }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}:{}", self.x, self.y, self.width, self.height)
    }
}

impl fmt::Display for Focus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match name(&Self::NAMED, self) {
            Some(name) => f.write_str(name),
            None => write!(f, "{}:{}", self.x, self.y),
        }
    }
}

impl fmt::Display for Sharpen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Light => f.write_str("light"),
            Self::Sigma(sigma) => sigma.fmt(f),
        }
    }
}

impl fmt::Display for Watermark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.position, self.scale, self.opacity)
    }
}

impl fmt::Display for Radius {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(length) => length.fmt(f),
            Self::Max => f.write_str("max"),
        }
    }
}

impl fmt::Display for Padding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [top, right, bottom, left] = self.sides();
        if (top, left) != (bottom, right) {
            write!(f, "{top}:{right}:{bottom}:{left}")
        } else if top == left {
            top.fmt(f)
        } else {
            write!(f, "{top}:{left}")
        }
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { red, green, blue, alpha } = self;
        write!(f, "{red:02x}{green:02x}{blue:02x}")?;
        if *alpha == u8::MAX { Ok(()) } else { write!(f, "{alpha:02x}") }
    }
}

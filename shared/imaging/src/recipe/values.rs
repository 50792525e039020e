use std::fmt;

/// The longest side that can be asked for, and the longest that a picture is enlarged to: 8K video has
/// 7,680. So no recipe makes more than 67 million pixels of a small picture.
pub const MOST_SIDE: u32 = 8_192;

/// The widest margin on one side, in pixels.
pub const MOST_PADDING: u32 = 2_048;

/// A number of a recipe, exact to a ten-thousandth: so its text and itself are one to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decimal(i32);

impl Decimal {
    const ONE: i32 = 10_000;
    /// In ten-thousandths.
    const MOST: i32 = 100_000 * Self::ONE;

    /// The nearest there is; up to 100,000 either way, and 0 for what is no number.
    #[allow(clippy::cast_possible_truncation, reason = "it is kept in range")]
    pub fn new(value: f64) -> Self {
        let most = f64::from(Self::MOST);
        Self((value * f64::from(Self::ONE)).round().clamp(-most, most) as i32)
    }

    /// As a number to compute with.
    pub fn value(self) -> f64 {
        f64::from(self.0) / f64::from(Self::ONE)
    }

    /// Digits, with a sign and a point or without: no exponents, no infinities.
    pub(super) fn read(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
        let plain = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
        let some = (1..=5).contains(&whole.len()) && (1..=20).contains(&part.len());
        if some && plain(whole) && plain(part) { text.parse().ok().map(Self::new) } else { None }
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.value())
    }
}

macro_rules! bounded {
    ($(#[$about:meta])* $name:ident, $least:literal, $most:literal) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Decimal);

        impl $name {
            /// `None` if it is out of range.
            pub fn new(value: f64) -> Option<Self> {
                Self::within(Decimal::new(value)).filter(|_| !value.is_nan())
            }

            pub(super) fn within(value: Decimal) -> Option<Self> {
                (Decimal::new($least)..=Decimal::new($most)).contains(&value).then_some(Self(value))
            }

            pub(super) fn read(text: &str) -> Option<Self> {
                Decimal::read(text).and_then(Self::within)
            }

            /// As a number to compute with.
            pub fn value(self) -> f64 {
                self.0.value()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

bounded! {
    /// The standard deviation of a Gaussian, in pixels of the result: 0.3 to 100.
    Sigma, 0.3, 100.0
}
bounded! {
    /// How many times as much: 0 to 10.
    Factor, 0.0, 10.0
}
bounded! {
    /// A part of a whole: 0 to 1.
    Share, 0.0, 1.0
}

impl Factor {
    pub(crate) const ONE: Self = Self(Decimal(Decimal::ONE));
}

impl Share {
    pub(crate) const NONE: Self = Self(Decimal(0));
    pub(crate) const HALF: Self = Self(Decimal(Decimal::ONE / 2));
    pub(crate) const QUARTER: Self = Self(Decimal(Decimal::ONE / 4));
    pub(crate) const ALL: Self = Self(Decimal(Decimal::ONE));
}

/// A side of a picture: 1 to [`MOST_SIDE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Side(u32);

impl Side {
    /// `None` if it is out of range.
    pub fn new(pixels: u32) -> Option<Self> {
        (1..=MOST_SIDE).contains(&pixels).then_some(Self(pixels))
    }

    /// The nearest that is in range.
    pub fn nearest(pixels: u32) -> Self {
        Self(pixels.clamp(1, MOST_SIDE))
    }

    /// In pixels.
    pub fn pixels(self) -> u32 {
        self.0
    }
}

/// What to do where the picture has another shape than what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fit {
    /// All of the picture, no larger than asked for.
    Inside,
    /// As large as asked for, and what sticks out is cut off.
    Cover,
    /// All of the picture, and background around it.
    Contain,
    /// All of the picture, distorted.
    Fill,
}

/// Mirrored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flip {
    /// Left to right.
    Across,
    /// Top to bottom.
    Down,
    /// Both.
    Both,
}

/// A place in a picture, in shares from its left and from its top.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Focus {
    /// From the left.
    pub x: Share,
    /// From the top.
    pub y: Share,
}

impl Focus {
    /// The middle.
    pub const CENTER: Self = Self { x: Share::HALF, y: Share::HALF };
    /// Where photographers put their names.
    pub(super) const BOTTOM_RIGHT: Self = Self { x: Share::ALL, y: Share::ALL };

    pub(super) const NAMED: [(&str, Self); 9] = {
        const fn at(x: Share, y: Share) -> Focus {
            Focus { x, y }
        }
        [
            ("center", Self::CENTER),
            ("top", at(Share::HALF, Share::NONE)),
            ("bottom", at(Share::HALF, Share::ALL)),
            ("left", at(Share::NONE, Share::HALF)),
            ("right", at(Share::ALL, Share::HALF)),
            ("top-left", at(Share::NONE, Share::NONE)),
            ("top-right", at(Share::ALL, Share::NONE)),
            ("bottom-left", at(Share::NONE, Share::ALL)),
            ("bottom-right", Self::BOTTOM_RIGHT),
        ]
    };
}

/// A length along a side of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Length {
    /// So many.
    Pixels(u32),
    /// A part of the side.
    Share(Share),
}

impl Length {
    /// In pixels, of a side of so many.
    pub(crate) fn of(self, side: u32) -> f64 {
        match self {
            Self::Pixels(pixels) => pixels.into(),
            Self::Share(share) => share.value() * f64::from(side),
        }
    }
}

/// A part of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Region {
    /// From the left.
    pub x: Length,
    /// From the top.
    pub y: Length,
    /// To the right of `x`.
    pub width: Length,
    /// Below `y`.
    pub height: Length,
}

/// By how many levels of 255 a border may differ from the pixel in its corner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Trim(pub u8);

impl Default for Trim {
    /// What JPEG makes of a border of one colour, but for the blocks that the picture is in.
    fn default() -> Self {
        Self(16)
    }
}

/// A turn clockwise, in degrees from 0 to below 360.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Angle(Decimal);

impl Angle {
    pub(crate) const NONE: Self = Self(Decimal(0));
    const ROUND: i32 = 360 * Decimal::ONE;
    const QUARTER: i32 = Self::ROUND / 4;

    /// Any number of degrees, also negative ones.
    pub fn new(degrees: f64) -> Self {
        Self::of(Decimal::new(degrees))
    }

    pub(super) fn of(degrees: Decimal) -> Self {
        Self(Decimal(degrees.0.rem_euclid(Self::ROUND)))
    }

    /// From 0 to below 360.
    pub fn degrees(self) -> f64 {
        self.0.value()
    }

    /// Whole turns by 90 degrees, and the rest in degrees.
    pub(crate) fn quarters(self) -> (u32, f64) {
        let quarters = (self.0.0 / Self::QUARTER).unsigned_abs();
        (quarters, Decimal(self.0.0 % Self::QUARTER).value())
    }
}

/// How a picture is sharpened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sharpen {
    /// A little, and only the finest detail.
    Light,
    /// Detail of this size.
    Sigma(Sigma),
}

/// In sRGB; an alpha of 255 hides everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Colour {
    /// 0 to 255.
    pub red: u8,
    /// 0 to 255.
    pub green: u8,
    /// 0 to 255.
    pub blue: u8,
    /// 0 to 255.
    pub alpha: u8,
}

impl Colour {
    /// Nothing at all.
    pub const TRANSPARENT: Self = Self { red: 0, green: 0, blue: 0, alpha: 0 };
    /// Paper.
    pub const WHITE: Self = Self { red: 255, green: 255, blue: 255, alpha: 255 };

    pub(crate) fn rgba(self) -> [u8; 4] {
        [self.red, self.green, self.blue, self.alpha]
    }

    /// The sixteen of HTML 4 (6.5), and nothing.
    pub(super) const NAMED: [(&str, Self); 17] = {
        const fn rgb(rgb: u32) -> Colour {
            let [_, red, green, blue] = rgb.to_be_bytes();
            Colour { red, green, blue, alpha: 255 }
        }
        [
            ("transparent", Self::TRANSPARENT),
            ("white", Self::WHITE),
            ("black", rgb(0)),
            ("gray", rgb(0x80_8080)),
            ("silver", rgb(0xc0_c0c0)),
            ("red", rgb(0xff_0000)),
            ("maroon", rgb(0x80_0000)),
            ("yellow", rgb(0xff_ff00)),
            ("olive", rgb(0x80_8000)),
            ("lime", rgb(0x00_ff00)),
            ("green", rgb(0x00_8000)),
            ("aqua", rgb(0x00_ffff)),
            ("teal", rgb(0x00_8080)),
            ("blue", rgb(0x00_00ff)),
            ("navy", rgb(0x00_0080)),
            ("fuchsia", rgb(0xff_00ff)),
            ("purple", rgb(0x80_0080)),
        ]
    };
}

/// Margins in pixels, each at most [`MOST_PADDING`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Padding {
    top: u32,
    right: u32,
    bottom: u32,
    left: u32,
}

impl Padding {
    pub(crate) const NONE: Self = Self { top: 0, right: 0, bottom: 0, left: 0 };

    /// In the order of CSS: top, right, bottom, left. `None` if one is out of range.
    pub fn new(sides: [u32; 4]) -> Option<Self> {
        let [top, right, bottom, left] = sides;
        sides.iter().all(|&side| side <= MOST_PADDING).then_some(Self { top, right, bottom, left })
    }

    /// In the order of CSS: top, right, bottom, left.
    pub fn sides(self) -> [u32; 4] {
        [self.top, self.right, self.bottom, self.left]
    }
}

/// How round corners are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Radius {
    /// So much; shares are of the shorter side.
    Length(Length),
    /// As much as there is room for: a square becomes a circle.
    Max,
}

/// Another picture on a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Watermark {
    /// Where it is: at `right`, its right side is at the picture's.
    pub position: Focus,
    /// How wide it is, of the picture's width. It is never higher than the picture.
    pub scale: Share,
    /// How much of it is seen.
    pub opacity: Share,
}

impl Default for Watermark {
    fn default() -> Self {
        Self { position: Focus::BOTTOM_RIGHT, scale: Share::QUARTER, opacity: Share::ALL }
    }
}

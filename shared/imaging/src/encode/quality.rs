//! One scale of quality for all formats.

/// JPEG is the scale itself; what it looks like at these qualities, the others do at theirs.
#[derive(Clone, Copy)]
struct Equal {
    quality: u8,
    /// libwebp's quality.
    webp: u8,
    /// AV1's quantizer index, of which less is better.
    avif: u8,
}

const EQUAL: [Equal; 3] = [
    Equal { quality: 1, webp: 1, avif: 255 },
    Equal { quality: 80, webp: 80, avif: 100 },
    Equal { quality: 100, webp: 100, avif: 1 },
];

/// libwebp's quality for one on the scale.
pub(super) fn webp(quality: u8) -> u8 {
    between(quality, |equal| equal.webp)
}

/// AV1's quantizer index for a quality on the scale.
pub(super) fn avif(quality: u8) -> u8 {
    between(quality, |equal| equal.avif)
}

/// On the straight line between the two nearest rows, rounded to the better.
fn between(quality: u8, native: impl Fn(Equal) -> u8) -> u8 {
    let mut below = EQUAL[0];
    for above in EQUAL {
        if quality <= above.quality {
            let (from, to) = (i32::from(native(below)), i32::from(native(above)));
            let part = i32::from(quality.saturating_sub(below.quality));
            let whole = i32::from(above.quality - below.quality).max(1);
            return u8::try_from(from + (to - from) * part / whole).unwrap_or_default();
        }
        below = above;
    }
    native(below)
}

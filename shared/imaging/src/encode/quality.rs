//! One scale of quality for all formats: the same number looks the same.
//!
//! The scale is JPEG's, which is the one people know. Where the others are on it was measured with
//! SSIMULACRA2 on six photographs at 320 and 640 pixels and three of them at 1280, each encoded at nine
//! qualities by `jpeg-encoder` (4:2:0), libwebp (method 4) and rav1e (4:2:0): a row holds the native quality
//! that has the median score of that JPEG. At 80 that is 81.4, for 69, 61 and 52 KB.
//!
//! Of WebP, the rows from 70 to 85 hold a little less. At equal scores, 80 would be libwebp's 84 and 12% more
//! bytes than everyone who writes 80 expects; 82 is 5% more, and 1.5 points below JPEG, less than from one
//! photograph to the next.

/// Native qualities that look alike.
#[derive(Clone, Copy)]
struct Equal {
    /// The scale, and JPEG's own.
    quality: u8,
    /// libwebp's.
    webp: u8,
    /// AV1's quantizer index, of which less is better.
    avif: u8,
}

const EQUAL: [Equal; 11] = [
    Equal { quality: 1, webp: 1, avif: 255 },
    Equal { quality: 30, webp: 31, avif: 165 },
    Equal { quality: 40, webp: 43, avif: 150 },
    Equal { quality: 50, webp: 55, avif: 137 },
    Equal { quality: 60, webp: 65, avif: 130 },
    Equal { quality: 70, webp: 74, avif: 116 },
    Equal { quality: 80, webp: 82, avif: 95 },
    Equal { quality: 85, webp: 86, avif: 78 },
    Equal { quality: 90, webp: 91, avif: 53 },
    Equal { quality: 95, webp: 96, avif: 28 },
    Equal { quality: 100, webp: 100, avif: 1 },
];

/// libwebp's quality for one on the scale.
pub(crate) fn webp(quality: u8) -> u8 {
    between(quality, |equal| equal.webp)
}

/// AV1's quantizer index for a quality on the scale.
pub(super) fn avif(quality: u8) -> u8 {
    between(quality, |equal| equal.avif)
}

/// On the straight line between the two nearest rows.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn better_is_never_worse_and_rows_are_what_they_say() {
        for quality in 1..100 {
            assert!(webp(quality) <= webp(quality + 1) && avif(quality) >= avif(quality + 1), "{quality}");
        }
        for row in EQUAL {
            assert_eq!((webp(row.quality), avif(row.quality)), (row.webp, row.avif));
        }
        assert_eq!((webp(75), avif(75)), (78, 106));
        assert_eq!((webp(0), avif(0)), (1, 255));
        assert_eq!((webp(200), avif(200)), (100, 1));
    }
}

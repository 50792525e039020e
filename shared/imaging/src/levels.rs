//! Levels of colour and alpha, 0 to 255.

/// `a * b / 255`, rounded.
pub(crate) fn times(a: u8, b: u8) -> u8 {
    let product = (u16::from(a) * u16::from(b) + 127) / 255;
    u8::try_from(product).unwrap_or(u8::MAX)
}

/// One colour laid over another, neither of which is multiplied by its alpha: Porter and Duff's "over", which is that of
/// WebP (RFC 9649, 2.7.1.1) and PNG (13.16), rounded to the nearest level.
pub(crate) fn over([r, g, b, a]: [u8; 4], below: [u8; 4]) -> [u8; 4] {
    // In 255 * 255ths.
    let above = u32::from(a) * 255;
    let rest = u32::from(below[3]) * (255 - u32::from(a));
    let all = above + rest;
    if all == 0 {
        return [r, g, b, 0];
    }
    let mix = |colour: u8, below: u8| {
        let mixed = (u32::from(colour) * above + u32::from(below) * rest + all / 2) / all;
        u8::try_from(mixed).unwrap_or(u8::MAX)
    };
    let alpha = u8::try_from((all + 127) / 255).unwrap_or(u8::MAX);
    [mix(r, below[0]), mix(g, below[1]), mix(b, below[2]), alpha]
}

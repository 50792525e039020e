//! Animations made for the tests, what they show, and the ways back to their frames.

use std::io::Cursor;

use image::codecs::gif::GifDecoder;
use image::codecs::webp::WebPEncoder;
use image::{AnimationDecoder, ExtendedColorType};
use imaging::recipe::{Encoding, OutputFormat, Recipe};
use imaging::{Format, Picture, Plan, Reject};

use crate::made::{Pixels, budget, extended, header, riff, riff_chunk};

/// One frame of an animation, as its file says it.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) left: u32,
    pub(crate) top: u32,
    pub(crate) pixels: Pixels,
    /// In GIF: 0 to 7. In APNG: 0 keep, 1 clear, 2 undo. In WebP: 0 keep, 1 clear.
    pub(crate) dispose: u8,
    /// Where the format has it: laid over what is there.
    pub(crate) over: bool,
    pub(crate) milliseconds: u32,
}

/// A box of eight colours and some holes, different in every `salt`.
pub(crate) fn part(salt: u32, (left, top, width, height): (u32, u32, u32, u32), dispose: u8) -> Part {
    let rgba = (0..width * height)
        .map(|at| {
            let noise = (at ^ (salt << 9)).wrapping_mul(2_654_435_761).wrapping_add(salt) >> 27;
            let level = |bit: u32| if noise >> bit & 1 == 1 { 240 } else { 20 };
            let hole = noise >> 3 == 0 && salt > 0;
            if hole { [0; 4] } else { [level(0), level(1), level(2), 255] }
        })
        .collect();
    let pixels = Pixels { width, height, rgba };
    Part { left, top, pixels, dispose, over: true, milliseconds: 30 + 10 * salt }
}

/// A whole canvas, then boxes in it, each disposed of in one of these ways.
pub(crate) fn parts(disposals: &[u8]) -> Vec<Part> {
    let boxes = [(0, 0, 24, 18), (2, 2, 9, 7), (8, 4, 12, 12), (0, 10, 24, 5), (6, 0, 3, 18), (4, 6, 15, 3)];
    let salted = disposals.iter().zip(boxes.iter().cycle()).zip(0..);
    salted.map(|((&dispose, &area), salt)| part(salt, area, dispose)).collect()
}

/// `repeats` as in Netscape's block, which is left out for `None`. Every other frame is interlaced, and
/// every frame has its own colours.
pub(crate) fn moving_gif(screen: (u16, u16), parts: &[Part], repeats: Option<u16>) -> Vec<u8> {
    let short = |value: u32| u16::try_from(value).unwrap();
    let mut file = Vec::new();
    let mut encoder = gif::Encoder::new(&mut file, screen.0, screen.1, &[]).unwrap();
    if let Some(repeats) = repeats {
        let repeat = if repeats == 0 { gif::Repeat::Infinite } else { gif::Repeat::Finite(repeats) };
        encoder.set_repeat(repeat).unwrap();
    }
    for (number, part) in parts.iter().enumerate() {
        let mut colours: Vec<[u8; 4]> = part.pixels.rgba.clone();
        colours.sort_unstable();
        colours.dedup();
        let index = |pixel: &[u8; 4]| u8::try_from(colours.binary_search(pixel).unwrap()).unwrap();
        let indexes: Vec<u8> = part.pixels.rgba.iter().map(index).collect();
        let interlaced = number % 2 == 1;
        let width = part.pixels.width as usize;
        let rows = || indexes.chunks(width.max(1));
        let passes = [(0, 8), (4, 8), (2, 4), (1, 2)];
        let buffer = if interlaced {
            passes
                .iter()
                .flat_map(|&(first, step)| rows().skip(first).step_by(step))
                .flatten()
                .copied()
                .collect()
        } else {
            indexes.clone()
        };
        let frame = gif::Frame {
            left: short(part.left),
            top: short(part.top),
            width: short(part.pixels.width),
            height: short(part.pixels.height),
            delay: short(part.milliseconds / 10),
            transparent: colours.binary_search(&[0; 4]).ok().map(|at| u8::try_from(at).unwrap()),
            palette: Some(colours.iter().flat_map(|&[r, g, b, _]| [r, g, b]).collect()),
            buffer: buffer.into(),
            interlaced,
            ..gif::Frame::default()
        };
        encoder.write_frame(&frame).unwrap();
    }
    drop(encoder);
    // The library writes no disposal but the four that there are.
    let mut disposals = parts.iter().map(|part| part.dispose);
    for at in 0..file.len() - 4 {
        if file[at..at + 3] == [0x21, 0xf9, 4] {
            file[at + 3] = file[at + 3] & !0x1c | disposals.next().unwrap() << 2;
        }
    }
    file
}

/// `still` is a picture that is not part of the animation.
pub(crate) fn moving_png(
    (width, height): (u32, u32), parts: &[Part], plays: u32, still: Option<&Pixels>,
) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_animated(u32::try_from(parts.len()).unwrap(), plays).unwrap();
    encoder.set_sep_def_img(still.is_some()).unwrap();
    let mut writer = encoder.write_header().unwrap();
    if let Some(still) = still {
        writer.write_image_data(still.rgba.as_flattened()).unwrap();
    }
    for part in parts {
        let blend = if part.over { png::BlendOp::Over } else { png::BlendOp::Source };
        let dispose = [png::DisposeOp::None, png::DisposeOp::Background, png::DisposeOp::Previous];
        writer.reset_frame_position().unwrap();
        writer.set_frame_dimension(part.pixels.width, part.pixels.height).unwrap();
        writer.set_frame_position(part.left, part.top).unwrap();
        writer.set_frame_delay(u16::try_from(part.milliseconds).unwrap(), 1_000).unwrap();
        writer.set_blend_op(blend).unwrap();
        writer.set_dispose_op(dispose[usize::from(part.dispose)]).unwrap();
        writer.write_image_data(part.pixels.rgba.as_flattened()).unwrap();
    }
    writer.finish().unwrap();
    file
}

/// Lossless.
pub(crate) fn moving_webp((width, height): (u32, u32), parts: &[Part], plays: u16) -> Vec<u8> {
    let mut chunks = vec![
        extended(0x12, width, height),
        // A background that no browser shows.
        riff_chunk(*b"ANIM", &[&[9, 99, 199, 255][..], &plays.to_le_bytes()].concat()),
    ];
    for part in parts {
        let u24 = |value: u32| value.to_le_bytes()[..3].to_vec();
        let Pixels { width, height, rgba } = &part.pixels;
        let mut still = Vec::new();
        let encoder = WebPEncoder::new_lossless(&mut still);
        encoder.encode(rgba.as_flattened(), *width, *height, ExtendedColorType::Rgba8).unwrap();
        let bitstream = still.windows(4).position(|name| name == b"VP8L").unwrap();
        let size = [u24(width - 1), u24(height - 1), u24(part.milliseconds)].concat();
        let flags = vec![part.dispose | if part.over { 0 } else { 2 }];
        let head = [u24(part.left / 2), u24(part.top / 2), size, flags].concat();
        chunks.push(riff_chunk(*b"ANMF", &[&head[..], &still[bitstream..]].concat()));
    }
    riff(&chunks)
}

/// What shows when: frames that show the same are one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Shown {
    pub(crate) pixels: Pixels,
    pub(crate) milliseconds: u32,
}

fn add(shown: &mut Vec<Shown>, next: Shown) {
    match shown.last_mut() {
        Some(last) if last.pixels == next.pixels => last.milliseconds += next.milliseconds,
        _ => shown.push(next),
    }
}

/// What parts show on a canvas of this size, by the specification of the format.
pub(crate) fn played((width, height): (u32, u32), parts: &[Part], format: Format) -> Vec<Shown> {
    let mut canvas = vec![[0; 4]; (width * height) as usize];
    let mut shown = Vec::new();
    for part in parts {
        let before = canvas.clone();
        let size = (part.pixels.width, part.pixels.height);
        let inside = (0..size.1).flat_map(|y| (0..size.0).map(move |x| (x, y)));
        let inside = inside.filter(|(x, y)| part.left + x < width && part.top + y < height);
        let places: Vec<(usize, [u8; 4])> = inside
            .map(|(x, y)| (((part.top + y) * width + part.left + x) as usize, part.pixels.at(x, y)))
            .collect();
        for &(place, pixel) in &places {
            if pixel[3] > 0 || !part.over {
                canvas[place] = pixel;
            }
        }
        let pixels = Pixels { width, height, rgba: canvas.clone() };
        add(&mut shown, Shown { pixels, milliseconds: part.milliseconds });
        let (clear, undo) = match format {
            Format::Gif => (part.dispose == 2, matches!(part.dispose, 3 | 4)),
            Format::Png => (part.dispose == 1, part.dispose == 2),
            _ => (part.dispose == 1, false),
        };
        if clear {
            for &(place, _) in &places {
                canvas[place] = [0; 4];
            }
        }
        if undo {
            canvas = before;
        }
    }
    shown
}

/// What a GIF shows to another decoder, and a WebP as a GIF.
pub(crate) fn shown(bytes: &[u8]) -> Vec<Shown> {
    if header(bytes).format == Format::Webp {
        return shown(&remade(bytes, OutputFormat::Gif));
    }
    let mut shown = Vec::new();
    for frame in GifDecoder::new(Cursor::new(bytes)).unwrap().into_frames() {
        let frame = frame.unwrap();
        let (numerator, denominator) = frame.delay().numer_denom_ms();
        let buffer = frame.buffer();
        let visible = |pixel: &image::Rgba<u8>| if pixel.0[3] == 0 { [0; 4] } else { pixel.0 };
        let rgba = buffer.pixels().map(visible).collect();
        let pixels = Pixels { width: buffer.width(), height: buffer.height(), rgba };
        add(&mut shown, Shown { pixels, milliseconds: numerator / denominator });
    }
    shown
}

/// How long the frames of a file say that they show.
pub(crate) fn delays(bytes: &[u8]) -> Vec<u32> {
    if header(bytes).format == Format::Gif {
        return shown(bytes).iter().map(|shown| shown.milliseconds).collect();
    }
    let names = bytes.windows(4).enumerate().filter(|(_, name)| name == b"ANMF");
    names.map(|(at, _)| u32::from_le_bytes([bytes[at + 20], bytes[at + 21], bytes[at + 22], 0])).collect()
}

/// How often a file says that it plays; 0 is for ever.
pub(crate) fn plays(bytes: &[u8]) -> u32 {
    let after = |name: &[u8]| {
        let at = bytes.windows(name.len()).position(|window| window == name)?;
        Some(&bytes[at + name.len()..])
    };
    match header(bytes).format {
        Format::Gif => after(b"NETSCAPE2.0\x03\x01").map_or(1, |rest| {
            let repeats = u32::from(u16::from_le_bytes([rest[0], rest[1]]));
            if repeats == 0 { 0 } else { repeats + 1 }
        }),
        Format::Webp => after(b"ANIM").map_or(1, |rest| u32::from(u16::from_le_bytes([rest[8], rest[9]]))),
        format => panic!("{format:?} is not written"),
    }
}

pub(crate) fn animated(width: u32, format: OutputFormat) -> Recipe {
    let encoding = Encoding { format, quality: 90, lossless: false };
    Recipe { animated: true, ..Recipe::of_width(width, encoding) }
}

/// What a function does to an animation that is to stay one.
pub(crate) fn animate(bytes: &[u8], recipes: &[Recipe]) -> Result<Vec<Picture>, Reject> {
    let header = imaging::probe(bytes)?;
    imaging::Limits::default().check(&header, bytes.len() as u64)?;
    let plans: Vec<Plan> = recipes.iter().map(|recipe| recipe.plan(&header)).collect();
    Ok(imaging::render(bytes, &header, &plans, &budget())?.pictures)
}

/// One animated rendering at full size.
pub(crate) fn remade(bytes: &[u8], format: OutputFormat) -> Vec<u8> {
    animate(bytes, &[animated(u32::MAX, format)]).unwrap().remove(0).bytes
}

/// As WebP, pixel by pixel.
pub(crate) fn exactly_remade(bytes: &[u8]) -> Vec<u8> {
    let mut recipe = animated(u32::MAX, OutputFormat::Webp);
    recipe.encoding.lossless = true;
    animate(bytes, &[recipe]).unwrap().remove(0).bytes
}

//! Makes the contact sheet of all operations: `contact-sheet PHOTOGRAPH OUT.webp`.
//!
//! Every tile is the photograph by one recipe, in the order of `docs/recipes.md`, on a checkerboard that shows
//! where there is nothing.

use std::io::Cursor;
use std::time::{Duration, Instant};

use imaging::{Budget, Limits, Overlay, Recipe};

const TILE: (u32, u32) = (220, 165);
const GAP: u32 = 8;
const COLUMNS: u32 = 5;

/// Every one ends up within a tile.
const RECIPES: [&str; 30] = [
    "w=220",
    "w=160,h=160,fit=inside",
    "w=160,h=160,fit=cover",
    "w=160,h=160,fit=contain,bg=336699",
    "w=160,h=160,fit=fill",
    "w=100,h=160,fit=cover,focus=right",
    "w=100,h=160,fit=cover,focus=0.29:0.35",
    "crop=0.12:0.08:0.34:0.46,w=220,h=165",
    "crop=3900:1950:900:675,w=220",
    "trim,w=220",
    "flip=h,w=220",
    "flip=v,w=220",
    "rotate=90,h=160",
    "rotate=15,w=220,h=160",
    "rotate=-30,w=220,h=160,bg=fc0",
    "w=220,linear",
    "w=220,sharpen=light",
    "w=220,sharpen=1.5",
    "w=220,blur=2",
    "w=220,blur=12",
    "w=220,gray",
    "w=220,brightness=1.4",
    "w=220,brightness=0.6",
    "w=220,saturation=2",
    "w=220,saturation=0.4",
    "w=220,watermark=bottom-right:0.25:0.8",
    "w=220,radius=20",
    "w=150,h=150,fit=cover,radius=max",
    "w=180,pad=12:20,bg=fff",
    "w=180,radius=16,pad=12,bg=223344,gray",
];

type Failure = Box<dyn std::error::Error>;

struct Picture {
    width: u32,
    height: u32,
    rgba: Vec<[u8; 4]>,
}

fn budget() -> Budget {
    Budget { deadline: Instant::now() + Duration::from_mins(1), memory: 1 << 30 }
}

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let (Some(input), Some(output)) = (arguments.next(), arguments.next()) else {
        return Err("contact-sheet PHOTOGRAPH OUT.webp".into());
    };
    let photograph = std::fs::read(&input)?;
    let header = imaging::probe(&photograph)?;
    Limits::default().check(&header, photograph.len() as u64)?;
    let plans = RECIPES
        .iter()
        .map(|text| Ok(text.parse::<Recipe>()?.changed("f=png")?.plan(&header)))
        .collect::<Result<Vec<_>, Failure>>()?;
    let mark = Overlay::decode(&png_file(&mark())?, &Limits::default(), &budget())?;
    let rendered = imaging::render_marked(&photograph, &header, &plans, Some(&mark), &budget())?;
    let bordered = rendering(&photograph, "w=600,pad=40:90,bg=fff,f=png")?;

    let rows = u32::try_from(RECIPES.len())?.div_ceil(COLUMNS);
    let mut sheet = board(COLUMNS * (TILE.0 + GAP) + GAP, rows * (TILE.1 + GAP) + GAP);
    for (at, picture) in (0..).zip(rendered.pictures) {
        let recipe = RECIPES[at as usize];
        let trimmed = if recipe.starts_with("trim") {
            Some(rendering(&bordered, &format!("{recipe},f=png"))?)
        } else {
            None
        };
        let tile = pixels(trimmed.as_ref().unwrap_or(&picture.bytes))?;
        let left = GAP + at % COLUMNS * (TILE.0 + GAP) + (TILE.0.saturating_sub(tile.width)) / 2;
        let top = GAP + at / COLUMNS * (TILE.1 + GAP) + (TILE.1.saturating_sub(tile.height)) / 2;
        lay(&mut sheet, &tile, (left, top));
    }
    std::fs::write(output, rendering(&png_file(&sheet)?, "q=82,f=webp")?)?;
    Ok(())
}

fn rendering(file: &[u8], recipe: &str) -> Result<Vec<u8>, Failure> {
    let header = imaging::probe(file)?;
    let plan = recipe.parse::<Recipe>()?.plan(&header);
    let mut rendered = imaging::render(file, &header, &[plan], &budget())?;
    Ok(rendered.pictures.remove(0).bytes)
}

/// Squares in two grays.
fn board(width: u32, height: u32) -> Picture {
    let square = |x: u32, y: u32| if (x / 8 + y / 8).is_multiple_of(2) { 235 } else { 215 };
    let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    let rgba = places.map(|(x, y)| [square(x, y), square(x, y), square(x, y), 255]).collect();
    Picture { width, height, rgba }
}

/// A white ring.
fn mark() -> Picture {
    const SIDE: i32 = 200;
    let alpha = |x: i32, y: i32| {
        let (x, y) = (2 * x - SIDE + 1, 2 * y - SIDE + 1);
        if ((SIDE - 50) * (SIDE - 50)..SIDE * SIDE).contains(&(x * x + y * y)) { 255 } else { 0 }
    };
    let places = (0..SIDE).flat_map(|y| (0..SIDE).map(move |x| (x, y)));
    let rgba = places.map(|(x, y)| [255, 255, 255, alpha(x, y)]).collect();
    Picture { width: SIDE.unsigned_abs(), height: SIDE.unsigned_abs(), rgba }
}

fn lay(sheet: &mut Picture, tile: &Picture, (left, top): (u32, u32)) {
    for (at, &[r, g, b, alpha]) in (0..).zip(&tile.rgba) {
        let (x, y) = (left + at % tile.width, top + at / tile.width);
        let below = &mut sheet.rgba[(y * sheet.width + x) as usize];
        for (below, above) in below.iter_mut().zip([r, g, b]) {
            let mixed = u16::from(above) * u16::from(alpha) + u16::from(*below) * (255 - u16::from(alpha));
            *below = u8::try_from((mixed + 127) / 255).unwrap_or(u8::MAX);
        }
    }
}

fn pixels(file: &[u8]) -> Result<Picture, Failure> {
    let mut decoder = png::Decoder::new(Cursor::new(file));
    decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::ALPHA);
    let mut reader = decoder.read_info()?;
    let mut data = vec![0; reader.output_buffer_size().ok_or("too large")?];
    let info = reader.next_frame(&mut data)?;
    let rgba = match info.color_type {
        png::ColorType::GrayscaleAlpha => data.as_chunks().0.iter().map(|&[g, a]| [g, g, g, a]).collect(),
        _ => data.as_chunks().0.to_vec(),
    };
    Ok(Picture { width: info.width, height: info.height, rgba })
}

fn png_file(picture: &Picture) -> Result<Vec<u8>, Failure> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, picture.width, picture.height);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(picture.rgba.as_flattened())?;
    writer.finish()?;
    Ok(file)
}

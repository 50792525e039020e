//! Renders one file as an upload is rendered, and prints what it took: `ladder FILE [all|thumbnail]`.
//!
//! `all` is the WebP ladder with its JPEG, `thumbnail` a JPEG of 320 pixels alone.

use std::time::{Duration, Instant};

use imaging::{Budget, Encoding, Limits, OutputFormat, Plan, Recipe};

const LADDER: [(u32, OutputFormat); 6] = [
    (2048, OutputFormat::Webp),
    (1280, OutputFormat::Webp),
    (1280, OutputFormat::Jpeg),
    (640, OutputFormat::Webp),
    (320, OutputFormat::Webp),
    (160, OutputFormat::Webp),
];
const THUMBNAIL: [(u32, OutputFormat); 1] = [(320, OutputFormat::Jpeg)];

#[allow(clippy::print_stdout, reason = "it is what the program is for")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("ladder FILE [all|thumbnail]")?;
    let recipes: &[_] = if arguments.next().as_deref() == Some("thumbnail") { &THUMBNAIL } else { &LADDER };

    let file = std::fs::read(&path)?;
    let start = Instant::now();
    let header = imaging::probe(&file)?;
    Limits::default().check(&header, file.len() as u64)?;
    let plan = |&(width, format): &(u32, OutputFormat)| {
        Recipe::of_width(width, Encoding { format, quality: 80, lossless: false }).plan(&header)
    };
    let plans: Vec<Plan> = recipes.iter().map(plan).collect();
    let budget = Budget { deadline: start + Duration::from_mins(1), memory: 1 << 30 };
    let rendered = imaging::render(&file, &header, &plans, &budget)?;
    let took = start.elapsed().as_secs_f64() * 1_000.0;

    let bytes: Vec<usize> = rendered.pictures.iter().map(|picture| picture.bytes.len()).collect();
    println!("{path} {}x{} {took:.1} ms {bytes:?} bytes", header.width, header.height);
    Ok(())
}

//! What must hold of any bytes whatever. The fuzzer calls these with bytes it makes up, `cargo test` with
//! those that once broke something (`regressions/`).

#![allow(dead_code, reason = "each target calls one of these")]

use std::time::{Duration, Instant};

use imaging::{Budget, Format, Limits, OutputFormat, Recipe, clean, metadata, probe};

/// Small, so that the fuzzer is fast, and so that what is over a limit is soon found.
fn limits() -> Limits {
    Limits { pixels: 1 << 21, frame_pixels: 1 << 22, frames: 100, ..Limits::default() }
}

/// The fuzzer's own limits on memory and time are some way above these.
fn budget() -> Budget {
    Budget { deadline: Instant::now() + Duration::from_secs(10), memory: 64 << 20 }
}

/// One rendering through luma and chroma, one through RGB, one with alpha.
fn recipes() -> [Recipe; 2] {
    [(40, OutputFormat::Jpeg), (17, OutputFormat::Png)].map(|(width, format)| Recipe { width, format, quality: 80 })
}

/// A file of one format is refused, or becomes pictures of the sizes that were planned.
pub fn decode(format: Format, bytes: &[u8]) {
    let Ok(header) = probe(bytes) else { return };
    if header.format != format || limits().check(&header, bytes.len() as u64).is_err() {
        return;
    }
    let plans = recipes().map(|recipe| recipe.plan(&header));
    if let Ok(rendered) = imaging::render(bytes, &header, &plans, &budget()) {
        assert_eq!(rendered.pictures.len(), plans.len());
        for picture in rendered.pictures {
            let header = probe(&picture.bytes).expect("what was rendered can be read");
            assert_eq!((header.width, header.height), (picture.width, picture.height));
        }
    }
}

/// Cleaning a file twice is cleaning it once, and leaves the same picture and nothing private.
pub fn cleaning(bytes: &[u8]) {
    let Ok(header) = probe(bytes) else { return };
    if limits().check(&header, bytes.len() as u64).is_err() {
        return;
    }
    let Ok(cleaned) = clean(bytes, &header) else { return };
    let again = probe(&cleaned).expect("what was cleaned can be read");
    assert_eq!((again.width, again.height, again.frames), (header.width, header.height, header.frames));
    assert_eq!(metadata(&cleaned, &again), imaging::Metadata::default());
    assert_eq!(clean(&cleaned, &again).expect("what is clean can be cleaned"), cleaned);
}

/// Metadata are read or not, whatever the bytes.
pub fn facts(bytes: &[u8]) {
    let Ok(header) = probe(bytes) else { return };
    metadata(bytes, &header);
}

//! What must hold of any bytes whatever. The fuzzer calls these with bytes it makes up, `cargo test` with
//! those that once broke something (`regressions/`).

#![allow(dead_code, reason = "each target calls one of these")]

use std::sync::Once;
use std::time::{Duration, Instant};

use imaging::{
    Budget, Format, Limits, Metadata, Overlay, Recipe, clean, metadata, probe, render, render_marked,
};

/// A panic within a codec is caught by the engine and makes one refused file; the fuzzer's own hook would
/// end the process before that. What is not caught still does. Not for `cargo test`, whose other tests have
/// something to say when they panic.
pub fn let_panics_be_caught() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| std::panic::set_hook(Box::new(|_| {})));
}

/// Small, so that the fuzzer is fast, and so that what is over a limit is soon found.
fn limits() -> Limits {
    Limits { pixels: 1 << 20, frame_pixels: 1 << 22, frames: 100, ..Limits::default() }
}

/// The fuzzer's own limits on memory and time are some way above these.
fn budget() -> Budget {
    Budget { deadline: Instant::now() + Duration::from_secs(10), memory: 64 << 20 }
}

/// One through luma and chroma where the file has them, one through RGB with alpha, and an animation.
const RECIPES: [&str; 3] = ["w=40,f=jpeg", "w=17,h=19,fit=cover,f=png,keep=profile", "w=16,f=webp,animated"];

/// A file of one format is refused, or becomes pictures of the sizes that were planned.
pub fn decode(format: Format, bytes: &[u8]) {
    let Ok(header) = probe(bytes) else { return };
    if header.format != format || limits().check(&header, bytes.len() as u64).is_err() {
        return;
    }
    let plans = RECIPES.map(|text| text.parse::<Recipe>().expect("it is a recipe").plan(&header));
    if let Ok(rendered) = render(bytes, &header, &plans, &budget()) {
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
    let Ok(cleaned) = clean(bytes, &header, &budget()) else { return };
    let again = probe(&cleaned.bytes).expect("what was cleaned can be read");
    assert_eq!((again.width, again.height), (header.width, header.height));
    assert_eq!(metadata(&cleaned.bytes, &again), Metadata::default());
    let twice = clean(&cleaned.bytes, &again, &budget()).expect("what is clean can be cleaned");
    assert_eq!(twice.bytes, cleaned.bytes);
}

/// Metadata are read or not, whatever the bytes.
pub fn facts(bytes: &[u8]) {
    let Ok(header) = probe(bytes) else { return };
    metadata(bytes, &header);
}

/// What reads as a recipe is written in one form, which reads as the same recipe; and every recipe can be
/// carried out on a small picture.
pub fn recipe(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(recipe) = text.parse::<Recipe>() else { return };
    let written = recipe.to_string();
    assert_eq!(written.parse::<Recipe>().expect("what was written can be read"), recipe);
    let picture = include_bytes!("../tests/fixtures/made/lossy-alpha.webp");
    let header = probe(picture).expect("it is a picture");
    let plan = recipe.plan(&header);
    // The encoders' time grows with the result; what a large one takes is no matter of the recipe.
    if u64::from(plan.width) * u64::from(plan.height) > 1 << 16 {
        return;
    }
    let mark = Overlay::decode(picture, &Limits::default(), &budget()).expect("it is a picture");
    match render_marked(picture, &header, &[plan], Some(&mark), &budget()) {
        Ok(rendered) => assert_eq!(rendered.pictures.len(), 1),
        Err(reject) => assert!(matches!(reject.code(), "out-of-time" | "too-large"), "{recipe}: {reject}"),
    }
}

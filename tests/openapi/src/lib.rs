//! The document that describes the API (`OpenAPI` 3.1).
//!
//! The functions describe themselves (`#[utoipa::path(...)]` beside the code); this library gathers them and adds
//! what is true of all: who may call, what the gateway answers on its own, problems and headers.

mod breaking;
mod finish;
mod problems;

pub use breaking::breaking;
use serde_json::Value;
use utoipa::OpenApi as _;

#[allow(
    warnings,
    clippy::all,
    clippy::pedantic,
    reason = "binaries, of which only the descriptions are used"
)]
mod functions {
    include!(concat!(env!("OUT_DIR"), "/functions.rs"));
}

/// The whole document.
///
/// # Panics
///
/// When a function describes itself with words that this library does not know, such as a header without a
/// description.
pub fn document() -> Value {
    let written = serde_json::to_value(functions::Functions::openapi()).expect("a description is a document");
    finish::finish(written)
}

//! Pictures: what a file is, what of it may be kept, and every size of it.
//!
//! ```text
//! probe(bytes) -> Header -> Limits::check          a bomb costs a header read
//! clean(bytes) -> Cleaned                          the picture without what else is in the file
//! Recipe + Header -> Plan                          total: nothing left to fail but the codec
//! render(bytes, plans, budget) -> pictures, facts  one decode for all of them
//! metadata(bytes) -> date, camera, place...        never fails
//! ```
//!
//! Pure functions over bytes: no files, no network, no clock but the deadline in [`Budget`]. Bytes are
//! hostile until proven otherwise: no input makes these functions panic, and none makes them allocate
//! more than [`Limits`] and [`Budget`] allow. [`render()`] is the place to start reading.

#![allow(
    clippy::cast_precision_loss,
    clippy::many_single_char_names,
    clippy::similar_names,
    reason = "sides of pictures are far below 2^52, and what stands for one direction or colour has a sibling"
)]

mod animation;
mod carry;
mod clean;
mod codec;
mod colour;
mod container;
mod decode;
mod encode;
mod facts;
mod header;
mod image;
mod jpeg;
mod levels;
mod libwebp;
mod libwebp_animation;
mod limits;
mod metadata;
mod notes;
mod operations;
mod orientation;
mod plan;
mod planes;
mod raster;
pub mod recipe;
mod reject;
mod render;
mod resize;
mod source;
mod window;

pub use carry::Keep;
pub use clean::{Cleaned, clean};
pub use facts::{Facts, Swatch};
pub use header::{Format, Header, probe};
pub use limits::{Budget, Limits};
pub use metadata::{Exposure, Fraction, Location, Metadata, metadata};
pub use notes::Note;
pub use operations::Overlay;
pub use orientation::Orientation;
pub use plan::Plan;
pub use recipe::{Encoding, OutputFormat, Recipe, RecipeError};
pub use reject::Reject;
pub use render::{Picture, Rendered, pictures, render, render_marked};

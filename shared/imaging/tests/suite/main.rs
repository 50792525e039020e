//! The engine as its callers see it.

#![allow(clippy::unwrap_used, reason = "clippy's exception for tests ends at helper functions")]
#![allow(clippy::cast_precision_loss, clippy::similar_names, reason = "as in the crate itself")]

mod animations;
mod carrying;
mod cleaning;
mod colours;
mod encoding;
mod facts;
mod headers;
mod heif;
mod hostile;
mod inputs;
mod made;
mod metadata;
mod moving;
mod operations;
mod photographs;
mod placing;
mod planning;
mod recipes;
mod regressions;
mod rendering;
mod tiff;

//! From a file to its frames as they show.

pub(super) mod gif;
pub(super) mod png;
pub(super) mod webp;

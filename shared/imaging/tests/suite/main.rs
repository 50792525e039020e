//! The engine as its callers see it.

#![allow(clippy::unwrap_used, reason = "clippy's exception for tests ends at helper functions")]

mod carrying;
mod cleaning;
mod colours;
mod facts;
mod headers;
mod hostile;
mod made;
mod metadata;
mod operations;
mod photographs;
mod planning;
mod recipes;
mod rendering;

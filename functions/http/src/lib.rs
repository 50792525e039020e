//! What several endpoints do alike: uploads, whole or in parts, for our own clients and for Uppy's.

pub mod companion;
pub mod parts;
pub mod reservation;

//! Imaging.

//! The whole of it: the functions' binaries on the local stack, with ordinary clients.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod api;
mod bad_input;
mod costs;
mod crashes;
mod deliver;
mod faults;
mod identity;
mod images;
mod isolation;
mod local_stack;
mod multipart;
mod once;
mod operations;
mod originals;
mod upload;

//! The whole of it: the functions' binaries on the local stack, with ordinary clients.

mod api;
mod deliver;
mod upload;

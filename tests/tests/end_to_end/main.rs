//! The whole of it: the functions' binaries on the local stack, with ordinary clients.

mod api;
mod bad_input;
mod crashes;
mod deliver;
mod faults;
mod isolation;
mod local_stack;
mod upload;

//! What the end-to-end tests stand on: the local stack as a child process with the functions' real
//! binaries in it, and ordinary clients to talk to it.
//!
//! A test asks for a [`Stack`], does something, and waits until what must come of it has come. When the
//! stack goes, it is looked at once more: a message that nobody explained, an image that is stuck or an
//! object that belongs to no image fails the test (see [`leftovers`]).

#![expect(
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    reason = "what goes wrong in a harness fails the test that uses it"
)]

mod api;
mod command;
mod issuer;
pub mod leftovers;
pub mod pictures;
mod process;
mod programs;
mod root;
mod stack;

use std::time::{Duration, Instant};

pub use api::{Answer, Api, Reservation, answer};
pub use command::{command, command_in};
pub use issuer::Issuer;
pub use programs::{template, tintype};
pub use root::Root;
pub use stack::{Ready, Stack};

/// How long anything may take before it is taken for stuck.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How often a condition is looked at.
const PAUSE: Duration = Duration::from_millis(30);

/// Waits until a condition gives a value. `what` completes "still waiting for".
pub async fn wait_until<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(begun.elapsed() < PATIENCE, "after {PATIENCE:?} still waiting for {what}");
        tokio::time::sleep(PAUSE).await;
    }
}

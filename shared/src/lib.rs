//! The common crate of every function.
//!
//! - [`domain`] is what an image is and what may happen to it. No AWS, no tokio.
//! - [`http`] is how a request is read and answered.
//! - [`store`] is DynamoDB.
//! - [`media`] is S3.
//! - [`platform`] is what a function stands on when it runs: environment, clients, logs, batches.

pub mod domain;
pub mod http;
pub mod media;
pub mod platform;
pub mod store;

//! The common crate of every function.
//!
//! - [`domain`]: what an image is and what may happen to it. No AWS, no tokio.
//! - [`http`]: how a request is read and answered.
//! - [`store`]: DynamoDB.
//! - [`media`]: S3.
//! - [`platform`]: what a function stands on when it runs: environment, clients, logs, batches.

pub mod domain;
pub mod http;
pub mod media;
pub mod platform;
pub mod store;

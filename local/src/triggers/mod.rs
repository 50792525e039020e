//! What invokes functions without anybody asking: queues, streams and timers.
//!
//! Every mapping is one future that runs until its token is cancelled, and then finishes the
//! invocations that are under way. The services are seen through the small traits below.

pub mod pattern;
pub mod queue;
pub mod schedule;
pub mod stream;

mod backoff;
#[cfg(test)]
mod fakes;
mod response;

use std::error::Error;
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

/// Why a service or a function did not do as it was told. Mappings only log it and try again.
pub type Failure = Box<dyn Error + Send + Sync>;

/// A received message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its id, by which a function reports its failure.
    pub id: String,
    /// The receipt that deletes it.
    pub receipt: String,
    /// Itself, as the event for Lambda shows it.
    pub record: Value,
}

/// A record of a table's stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its place in the stream.
    pub sequence: String,
    /// Itself, as the event for Lambda shows it.
    pub record: Value,
}

/// The queues.
pub trait Messages: Clone + Send + Sync + 'static {
    /// Receives up to `max` (at most ten) messages, waiting for the first for at most `wait`.
    fn receive(
        &self, queue: &str, max: usize, wait: Duration,
    ) -> impl Future<Output = Result<Vec<Message>, Failure>> + Send;

    /// Deletes messages that are done.
    fn delete(&self, queue: &str, receipts: &[String]) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Sends a message.
    fn send(&self, queue: &str, body: String) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// The tables' streams, with the place that each consumer has reached.
pub trait Records: Clone + Send + Sync + 'static {
    /// The next records behind the consumer's place.
    fn read(
        &self, table: &str, consumer: &str, max: usize,
    ) -> impl Future<Output = Result<Vec<Record>, Failure>> + Send;

    /// Moves the consumer's place behind a record.
    fn advance(
        &self, table: &str, consumer: &str, sequence: &str,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Waits until the stream has grown. It may return too early.
    fn changed(&self, table: &str) -> impl Future<Output = ()> + Send;
}

/// The functions.
pub trait Invoke: Clone + Send + Sync + 'static {
    /// Invokes a function, by its logical id, and waits for its answer.
    fn invoke(&self, function: &str, event: Bytes) -> impl Future<Output = Result<Bytes, Failure>> + Send;
}

/// The event of a batch.
fn batch_event<'a>(records: impl Iterator<Item = &'a Value>) -> Bytes {
    let records: Vec<&Value> = records.collect();
    Bytes::from(serde_json::json!({ "Records": records }).to_string())
}

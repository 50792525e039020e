//! Queues: Amazon SQS as the functions and the event source mappings see it, kept in SQLite.
//!
//! Standard queues with visibility timeouts, delays, retention, long polling and dead-letter queues;
//! what is acknowledged survives a killed process. [`http`] serves the protocol, the methods of
//! [`Queues`] are for the parts of the stack that live in the same process.
//!
//! A redrive (`StartMessageMoveTask`) is done when the call returns, so there is nothing to list or
//! cancel, and what was sent to a dead-letter queue directly stays there unless the call names a
//! destination.

mod error;
mod http;
mod message;
mod operations;
mod requests;
mod store;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indexmap::IndexMap;
use tokio::sync::Notify;
use tokio::time::Instant;

pub use self::error::QueueError;
pub use self::message::Message;
use self::message::{Attributes, NewMessage, Receipt, md5_of};
use self::store::{Change, Received, Store, now_ms};
use crate::faults::Faults;
use crate::template::model::Queue;

/// The queues of a stack. Clones are handles to the same queues.
#[derive(Debug, Clone)]
pub struct Queues(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// By ARN, in the template's order.
    queues: IndexMap<String, Open>,
    store: Mutex<Store>,
    faults: Faults,
}

/// A queue and the signal that something in it may have become visible.
#[derive(Debug)]
struct Open {
    queue: Queue,
    arrived: Notify,
}

/// How many messages a queue holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueCounts {
    /// The queue's logical id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// Messages that can be received now.
    pub visible: usize,
    /// Messages that were received and neither deleted nor given back.
    pub in_flight: usize,
    /// Messages that nobody may receive yet.
    pub delayed: usize,
    /// Whether another queue gives up its messages to this one.
    pub dead_letter: bool,
}

/// A message that was looked at and not received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peeked {
    /// What was sent.
    pub body: String,
    /// How often it was received, in any queue.
    pub received: i64,
}

/// What a receive asks for.
#[derive(Debug, Clone, Copy)]
struct Receive {
    max: usize,
    wait: Duration,
    /// Instead of the queue's own visibility timeout.
    visibility: Option<Duration>,
}

impl Queues {
    /// Opens the queues of a template, in the given file or in memory. Messages that were in flight
    /// when the file was last used are visible again.
    pub fn open(path: Option<&Path>, queues: &[Queue], faults: Faults) -> Result<Self, QueueError> {
        let store = Store::open(path).map_err(QueueError::Storage)?;
        let queues = queues
            .iter()
            .map(|q| (q.arn.clone(), Open { queue: q.clone(), arrived: Notify::new() }))
            .collect();
        Ok(Self(Arc::new(Shared { queues, store: Mutex::new(store), faults })))
    }

    /// Sends a message and returns its id.
    pub async fn send(&self, queue_arn: &str, body: String) -> Result<String, QueueError> {
        let message = NewMessage::new(body, Attributes::new(), 0, "root")?;
        let id = message.id.clone();
        self.insert(queue_arn, vec![message]).await?;
        Ok(id)
    }

    /// Receives messages for the queue's visibility timeout, waiting until there is at least one.
    pub async fn receive(
        &self, queue_arn: &str, max: usize, wait: Duration,
    ) -> Result<Vec<Message>, QueueError> {
        let received = self.take(queue_arn, Receive { max, wait, visibility: None }).await?;
        let queue = &self.get(queue_arn)?.queue;
        Ok(received.into_iter().map(|r| message(queue, r)).collect())
    }

    /// Deletes received messages. A receipt that is not from a message's latest receive is ignored.
    pub async fn delete(&self, queue_arn: &str, receipts: &[String]) -> Result<(), QueueError> {
        let name = &self.get(queue_arn)?.queue.name;
        let receipts =
            receipts.iter().map(|handle| Receipt::parse(handle, name)).collect::<Result<Vec<_>, _>>()?;
        let duplicate = self.0.faults.duplicates();
        let queue = queue_arn.to_owned();
        if self.with_store(move |store| store.delete(&queue, &receipts, duplicate)).await? {
            self.get(queue_arn)?.arrived.notify_waiters();
        }
        Ok(())
    }

    /// Sets when a received message becomes visible again, counted from now.
    pub async fn change_visibility(
        &self, queue_arn: &str, receipt: &str, visibility: Duration,
    ) -> Result<(), QueueError> {
        let open = self.get(queue_arn)?;
        let parsed = Receipt::parse(receipt, &open.queue.name)?;
        let queue = queue_arn.to_owned();
        let change = self.with_store(move |store| store.change_visibility(&queue, parsed, visibility));
        match change.await? {
            Change::Done => {
                open.arrived.notify_waiters();
                Ok(())
            }
            Change::NotInFlight => Err(QueueError::NotInFlight),
            Change::Gone => Err(QueueError::InvalidParameter(format!(
                "Value {receipt} for parameter ReceiptHandle is invalid. Reason: Message does not \
                 exist or is not available for visibility timeout change."
            ))),
        }
    }

    /// What every queue holds, in the template's order.
    pub fn counts(&self) -> Result<Vec<QueueCounts>, QueueError> {
        let mut store = self.0.store();
        self.0
            .queues
            .values()
            .map(|Open { queue, .. }| {
                let tally = store.tally(queue).map_err(QueueError::Storage)?;
                Ok(QueueCounts {
                    id: queue.id.clone(),
                    name: queue.name.clone(),
                    arn: queue.arn.clone(),
                    visible: tally.visible,
                    in_flight: tally.in_flight,
                    delayed: tally.delayed,
                    dead_letter: self.is_dead_letter(&queue.arn),
                })
            })
            .collect()
    }

    /// Shows the oldest messages of a queue without receiving them.
    pub async fn peek(&self, queue_arn: &str, max: usize) -> Result<Vec<Peeked>, QueueError> {
        let queue = self.get(queue_arn)?.queue.clone();
        let found = self.with_store(move |store| store.peek(&queue, max)).await?;
        Ok(found.into_iter().map(|(body, received)| Peeked { body, received }).collect())
    }

    /// Makes every message in flight visible now, instead of waiting for the visibility timeout.
    pub async fn release(&self, queue_arn: &str) -> Result<usize, QueueError> {
        let arrived = &self.get(queue_arn)?.arrived;
        let queue = queue_arn.to_owned();
        let released = self.with_store(move |store| store.release(&queue)).await?;
        arrived.notify_waiters();
        Ok(released)
    }

    /// Sends what a dead-letter queue holds back to the queues it came from, and returns how many
    /// messages that were.
    pub async fn redrive(&self, dead_letter_arn: &str) -> Result<usize, QueueError> {
        self.redrive_to(dead_letter_arn, None).await
    }

    async fn redrive_to(
        &self, dead_letter_arn: &str, destination: Option<String>,
    ) -> Result<usize, QueueError> {
        self.get(dead_letter_arn)?;
        if let Some(destination) = &destination {
            self.get(destination)?;
        }
        let queue = dead_letter_arn.to_owned();
        let moved = self.with_store(move |store| store.redrive(&queue, destination.as_deref())).await?;
        for open in self.0.queues.values() {
            open.arrived.notify_waiters();
        }
        Ok(moved)
    }

    async fn purge(&self, queue_arn: &str) -> Result<usize, QueueError> {
        let queue = self.get(queue_arn)?.queue.arn.clone();
        self.with_store(move |store| store.purge(&queue)).await
    }

    async fn insert(&self, queue_arn: &str, messages: Vec<NewMessage>) -> Result<(), QueueError> {
        let arrived = &self.get(queue_arn)?.arrived;
        let queue = queue_arn.to_owned();
        self.with_store(move |store| store.insert(&queue, &messages)).await?;
        arrived.notify_waiters();
        Ok(())
    }

    /// Waits for messages: for a signal, or for the moment the next one becomes visible by itself.
    async fn take(&self, queue_arn: &str, ask: Receive) -> Result<Vec<Received>, QueueError> {
        let open = self.get(queue_arn)?;
        let deadline = Instant::now() + ask.wait;
        loop {
            let arrived = open.arrived.notified();
            tokio::pin!(arrived);
            // Before the look into the store: what arrives after it must not go unnoticed.
            arrived.as_mut().enable();
            let queue = open.queue.clone();
            let faults = self.0.faults.clone();
            let visibility = ask.visibility.unwrap_or(queue.visibility);
            let taken = self
                .with_store(move |store| {
                    let shuffle = faults.reorders().then_some(|found: &mut [i64]| faults.shuffle(found));
                    store.take(&queue, ask.max, visibility, shuffle)
                })
                .await?;
            if taken.gave_up
                && let Some(redrive) = &open.queue.redrive
                && let Ok(dead_letter) = self.get(&redrive.dead_letter)
            {
                dead_letter.arrived.notify_waiters();
            }
            if !taken.messages.is_empty() || Instant::now() >= deadline {
                return Ok(taken.messages);
            }
            let wake = taken.next_visible.map_or(deadline, |at| {
                let wait = u64::try_from(at.saturating_sub(now_ms())).unwrap_or_default();
                deadline.min(Instant::now() + Duration::from_millis(wait))
            });
            tokio::select! {
                () = arrived => {}
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }

    fn get(&self, arn: &str) -> Result<&Open, QueueError> {
        self.0.queues.get(arn).ok_or(QueueError::NoSuchQueue)
    }

    fn is_dead_letter(&self, arn: &str) -> bool {
        self.sources_of(arn).next().is_some()
    }

    fn sources_of(&self, dead_letter: &str) -> impl Iterator<Item = &Queue> {
        self.0
            .queues
            .values()
            .map(|open| &open.queue)
            .filter(move |q| q.redrive.as_ref().is_some_and(|r| r.dead_letter == dead_letter))
    }

    /// Works on the store where blocking is allowed.
    async fn with_store<T: Send + 'static>(
        &self, work: impl FnOnce(&mut Store) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, QueueError> {
        let shared = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || work(&mut shared.store()))
            .await
            .map_err(|_| QueueError::Stopped)?
            .map_err(QueueError::Storage)
    }
}

impl Shared {
    fn store(&self) -> MutexGuard<'_, Store> {
        // A panic drops its transaction, which rolls back: the store is as it was before.
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn message(queue: &Queue, received: Received) -> Message {
    Message {
        receipt_handle: received.receipt.handle(&queue.name),
        md5_of_body: md5_of(&received.body),
        attributes: system_attributes(&received),
        message_id: received.id,
        body: received.body,
        message_attributes: received.attributes,
        event_source: "aws:sqs",
        event_source_arn: queue.arn.clone(),
        aws_region: queue.arn.split(':').nth(3).unwrap_or_default().to_owned(),
    }
}

fn system_attributes(received: &Received) -> BTreeMap<&'static str, String> {
    let mut attributes = BTreeMap::from([
        ("ApproximateReceiveCount", received.receives.to_string()),
        ("SentTimestamp", received.sent_at.to_string()),
        ("SenderId", received.sender.clone()),
        ("ApproximateFirstReceiveTimestamp", received.first_received_at.to_string()),
    ]);
    if let Some(source) = &received.source {
        attributes.insert("DeadLetterQueueSourceArn", source.clone());
    }
    attributes
}

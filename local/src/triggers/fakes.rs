//! Services and functions in memory, which remember what happened and can be waited for.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;

use super::{Bytes, Failure, Invoke, Message, Messages, Record, Records, Value};

/// How a function answers: the ids (or sequence numbers) of its event in, its answer out.
type Behaviour = dyn Fn(&[String]) -> Result<String, String> + Send + Sync;

/// What happened.
#[derive(Debug, Default)]
pub struct State {
    /// Messages waiting to be received.
    pub waiting: VecDeque<Message>,
    /// Receipts of deleted messages.
    pub deleted: Vec<String>,
    /// Messages sent: queue and body.
    pub sent: Vec<(String, String)>,
    /// The stream.
    pub stream: Vec<Record>,
    /// How many records of the stream the consumer has left behind.
    pub place: usize,
    /// The events of all invocations begun.
    pub events: Vec<Value>,
    /// How many invocations are under way, and how many were at most.
    pub running: usize,
    /// The most that `running` has been.
    pub most_running: usize,
}

/// All services at once.
#[derive(Clone)]
pub struct Fakes {
    state: Arc<Mutex<State>>,
    behaviour: Arc<Behaviour>,
    /// While `true`, invocations do not end.
    held: watch::Sender<bool>,
    changes: watch::Sender<u64>,
}

impl Fakes {
    pub fn new(behaviour: impl Fn(&[String]) -> Result<String, String> + Send + Sync + 'static) -> Self {
        Self {
            state: Arc::default(),
            behaviour: Arc::new(behaviour),
            held: watch::Sender::new(false),
            changes: watch::Sender::new(0),
        }
    }

    pub fn hold(&self, held: bool) {
        self.held.send_replace(held);
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.state());
        self.changes.send_modify(|count| *count += 1);
        result
    }

    /// Waits until something is so, for five seconds at most.
    pub async fn until(&self, what: &str, condition: impl Fn(&State) -> bool) {
        let mut changes = self.changes.subscribe();
        let wait = changes.wait_for(|_| condition(&self.state()));
        let result = tokio::time::timeout(Duration::from_secs(5), wait).await.map(|it| it.is_ok());
        assert!(result == Ok(true), "waited in vain for: {what}; {:?}", self.state());
    }

    pub fn send_body(&self, id: &str, body: &str) {
        let record = json!({ "messageId": id, "body": body });
        let message = Message { id: id.to_owned(), receipt: format!("receipt-{id}"), record };
        self.change(|state| state.waiting.push_back(message));
    }

    pub fn write(&self, sequence: u32, name: &str) {
        let record = json!({
            "eventName": name,
            "eventSourceARN": "arn:stream",
            "dynamodb": { "SequenceNumber": sequence.to_string(), "ApproximateCreationDateTime": 1_700_000_000 },
        });
        self.change(|state| {
            state.stream.push(Record { sequence: sequence.to_string(), record });
        });
    }

    /// The ids, or the sequence numbers, of each event so far.
    pub fn batches(&self) -> Vec<Vec<String>> {
        self.state().events.iter().map(ids).collect()
    }
}

fn ids(event: &Value) -> Vec<String> {
    let records = event["Records"].as_array().into_iter().flatten();
    records
        .filter_map(|record| record["messageId"].as_str().or(record["dynamodb"]["SequenceNumber"].as_str()))
        .map(str::to_owned)
        .collect()
}

impl Messages for Fakes {
    async fn receive(&self, _: &str, max: usize, wait: Duration) -> Result<Vec<Message>, Failure> {
        let mut changes = self.changes.subscribe();
        let came = changes.wait_for(|_| !self.state().waiting.is_empty());
        let _ = tokio::time::timeout(wait, came).await;
        Ok(self.change(|state| {
            let count = state.waiting.len().min(max);
            state.waiting.drain(..count).collect()
        }))
    }

    async fn delete(&self, _: &str, receipts: &[String]) -> Result<(), Failure> {
        self.change(|state| state.deleted.extend_from_slice(receipts));
        Ok(())
    }

    async fn send(&self, queue: &str, body: String) -> Result<(), Failure> {
        self.change(|state| state.sent.push((queue.to_owned(), body)));
        Ok(())
    }
}

impl Records for Fakes {
    async fn read(&self, _: &str, _: &str, max: usize) -> Result<Vec<Record>, Failure> {
        let state = self.state();
        Ok(state.stream.iter().skip(state.place).take(max).cloned().collect())
    }

    async fn advance(&self, _: &str, _: &str, sequence: &str) -> Result<(), Failure> {
        self.change(|state| {
            let index =
                state.stream.iter().position(|record| record.sequence == sequence).ok_or("no such record")?;
            state.place = state.place.max(index + 1);
            Ok(())
        })
    }

    async fn changed(&self, _: &str) {
        let mut changes = self.changes.subscribe();
        let grown = |state: &State| state.stream.len() > state.place;
        let _ = changes.wait_for(|_| grown(&self.state())).await;
    }
}

impl Invoke for Fakes {
    async fn invoke(&self, _: &str, event: Bytes) -> Result<Bytes, Failure> {
        let event: Value = serde_json::from_slice(&event)?;
        let ids = ids(&event);
        self.change(|state| {
            state.events.push(event);
            state.running += 1;
            state.most_running = state.most_running.max(state.running);
        });
        self.held.subscribe().wait_for(|held| !held).await?;
        self.change(|state| state.running -= 1);
        Ok(Bytes::from((self.behaviour)(&ids)?))
    }
}

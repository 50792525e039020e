//! The event source mapping from SQS.
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html>

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::backoff::Backoff;
use super::pattern::{Filters, PatternError};
use super::{Failure, Invoke, Message, Messages, batch_event, response};
use crate::template::model::QueueMapping;

/// How many invocations Lambda begins with, before it sees how much there is to do.
const CONCURRENCY: usize = 5;
/// The most that one call to SQS receives.
const RECEIVE_AT_MOST: usize = 10;
/// How long one call waits for messages.
const LONG_POLL: Duration = Duration::from_secs(20);

/// A mapping that is ready to run.
#[derive(Debug, Clone)]
pub struct QueuePoller<Q, F> {
    function: String,
    mapping: QueueMapping,
    filters: Filters,
    queues: Q,
    functions: F,
    backoff: Backoff,
}

impl<Q: Messages, F: Invoke> QueuePoller<Q, F> {
    /// A mapping of a queue to a function.
    pub fn new(function: &str, mapping: QueueMapping, queues: Q, functions: F) -> Result<Self, PatternError> {
        let filters = Filters::parse(&mapping.filters)?;
        let function = function.to_owned();
        Ok(Self { function, mapping, filters, queues, functions, backoff: Backoff::default() })
    }

    /// Invokes the function for what arrives, until the token is cancelled and the last invocation is done.
    pub async fn run(self, stop: CancellationToken) {
        let concurrency = self.mapping.maximum_concurrency.unwrap_or(CONCURRENCY).max(1);
        let permits = Arc::new(Semaphore::new(concurrency));
        let mut invocations = JoinSet::new();
        let mut failures = 0;
        // A permit first, a batch then: messages that are received and not worked on would spend
        // their visibility timeout waiting.
        while let Some(Ok(permit)) = stop.run_until_cancelled(Arc::clone(&permits).acquire_owned()).await {
            while invocations.try_join_next().is_some() {}
            match self.gather(&stop).await {
                Ok(batch) => {
                    failures = 0;
                    if !batch.is_empty() {
                        let poller = self.clone();
                        invocations.spawn(async move {
                            poller.work_off(batch).await;
                            drop(permit);
                        });
                    }
                }
                Err(error) => {
                    tracing::warn!(queue = self.mapping.queue, error, "cannot receive messages");
                    failures += 1;
                    self.backoff.wait(failures, &stop).await;
                }
            }
        }
        invocations.join_all().await;
    }

    /// One batch: what is there at once, or what comes within the window after the first message.
    async fn gather(&self, stop: &CancellationToken) -> Result<Vec<Message>, Failure> {
        let mut batch: Vec<Message> = Vec::new();
        let mut deadline = None;
        while batch.len() < self.mapping.batch_size {
            let wait = match deadline {
                None => LONG_POLL,
                Some(deadline) => Instant::now().max(deadline).duration_since(Instant::now()),
            };
            let max = (self.mapping.batch_size - batch.len()).min(RECEIVE_AT_MOST);
            let receive = self.queues.receive(&self.mapping.queue, max, wait);
            let Some(received) = stop.run_until_cancelled(receive).await else {
                break;
            };
            let received = match received {
                Ok(received) => received,
                // What has been received is worked on; the next call will tell of the error again.
                Err(error) if batch.is_empty() => return Err(error),
                Err(_) => break,
            };
            let nothing_came = received.is_empty();
            batch.extend(self.filter(received).await);
            if nothing_came && (batch.is_empty() || wait.is_zero()) {
                break;
            }
            if !batch.is_empty() {
                deadline.get_or_insert_with(|| Instant::now() + self.mapping.window);
            }
        }
        Ok(batch)
    }

    /// Lambda deletes the messages that no filter lets pass.
    async fn filter(&self, received: Vec<Message>) -> Vec<Message> {
        let (pass, rest): (Vec<_>, Vec<_>) =
            received.into_iter().partition(|message| self.filters.pass_message(&message.record));
        self.delete(&rest).await;
        pass
    }

    async fn work_off(&self, batch: Vec<Message>) {
        let event = batch_event(batch.iter().map(|message| &message.record));
        match self.functions.invoke(&self.function, event).await {
            Ok(answer) => match self.done(&batch, &answer) {
                Ok(done) => self.delete(&done).await,
                Err(reason) => {
                    tracing::warn!(function = self.function, "the whole batch failed: {reason}");
                }
            },
            // The messages come back when their visibility timeout is over.
            Err(error) => {
                tracing::debug!(function = self.function, error, messages = batch.len(), "the batch failed");
            }
        }
    }

    /// The messages that the function's answer does not call failed.
    fn done(&self, batch: &[Message], answer: &Bytes) -> Result<Vec<Message>, String> {
        if !self.mapping.report_failures {
            return Ok(batch.to_vec());
        }
        let failed: HashSet<String> =
            response::failures(answer).map_err(|error| error.to_string())?.into_iter().collect();
        if let Some(unknown) = failed.iter().find(|id| batch.iter().all(|message| message.id != **id)) {
            return Err(format!("its answer names the message `{unknown}`, which it was not given"));
        }
        Ok(batch.iter().filter(|message| !failed.contains(&message.id)).cloned().collect())
    }

    async fn delete(&self, messages: &[Message]) {
        if messages.is_empty() {
            return;
        }
        let receipts: Vec<String> = messages.iter().map(|message| message.receipt.clone()).collect();
        if let Err(error) = self.queues.delete(&self.mapping.queue, &receipts).await {
            tracing::warn!(queue = self.mapping.queue, error, "cannot delete messages: they will come again");
        }
    }
}

#[cfg(test)]
mod tests;

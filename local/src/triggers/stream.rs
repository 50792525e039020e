//! The event source mapping from a table's stream.
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html>

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::backoff::Backoff;
use super::pattern::{Filters, PatternError};
use super::{Failure, Invoke, Messages, Record, Records, batch_event, response};
use crate::template::model::{Function, StreamMapping};

/// How often the stream is read when nothing says that it has grown.
const POLL: Duration = Duration::from_secs(1);

/// A mapping that is ready to run. The place in the stream is kept under the function's name.
#[derive(Debug)]
pub struct StreamReader<R, F, Q> {
    function: String,
    function_arn: String,
    mapping: StreamMapping,
    filters: Filters,
    records: R,
    functions: F,
    queues: Q,
    backoff: Backoff,
}

/// A piece of a batch, which bisecting makes smaller.
struct Piece {
    records: Vec<Record>,
    retries: u32,
}

/// The token was cancelled before the work was done.
struct Stopped;

impl<R: Records, F: Invoke, Q: Messages> StreamReader<R, F, Q> {
    /// A mapping of a table's stream to a function; `queues` take what cannot be worked off.
    pub fn new(
        function: &Function, mapping: StreamMapping, records: R, functions: F, queues: Q,
    ) -> Result<Self, PatternError> {
        Ok(Self {
            function: function.name.clone(),
            function_arn: function.arn.clone(),
            filters: Filters::parse(&mapping.filters)?,
            mapping,
            records,
            functions,
            queues,
            backoff: Backoff::default(),
        })
    }

    /// Invokes the function for what the stream holds, in order, until the token is cancelled and the
    /// invocation under way is done.
    pub async fn run(self, stop: CancellationToken) {
        let mut failures = 0;
        while !stop.is_cancelled() {
            match self.gather(&stop).await {
                Ok(batch) if batch.is_empty() => {
                    failures = 0;
                    let changed = tokio::time::timeout(POLL, self.records.changed(&self.mapping.table));
                    stop.run_until_cancelled(changed).await;
                }
                Ok(batch) => {
                    failures = 0;
                    if self.work_off(batch, &stop).await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    tracing::warn!(table = self.mapping.table, error, "cannot read the stream");
                    failures += 1;
                    self.backoff.wait(failures, &stop).await;
                }
            }
        }
    }

    async fn read(&self) -> Result<Vec<Record>, Failure> {
        self.records.read(&self.mapping.table, &self.function, self.mapping.batch_size).await
    }

    /// The next batch; one that is not full waits for the window to end.
    async fn gather(&self, stop: &CancellationToken) -> Result<Vec<Record>, Failure> {
        let batch = self.read().await?;
        if batch.is_empty() || batch.len() >= self.mapping.batch_size || self.mapping.window.is_zero() {
            return Ok(batch);
        }
        if stop.run_until_cancelled(tokio::time::sleep(self.mapping.window)).await.is_none() {
            return Ok(batch);
        }
        self.read().await
    }

    async fn work_off(&self, batch: Vec<Record>, stop: &CancellationToken) -> Result<(), Stopped> {
        let Some(last) = batch.last().map(|record| record.sequence.clone()) else {
            return Ok(());
        };
        let wanted: Vec<Record> =
            batch.into_iter().filter(|record| self.filters.pass(&record.record)).collect();
        let mut pieces = vec![Piece { records: wanted, retries: 0 }];
        let mut failures = 0;
        while let Some(mut piece) = pieces.pop() {
            if piece.records.is_empty() {
                continue;
            }
            if stop.is_cancelled() {
                return Err(Stopped);
            }
            let done = self.invoke(&piece.records).await;
            if let Some(record) = done.checked_sub(1).and_then(|index| piece.records.get(index)) {
                self.advance(&record.sequence).await;
                failures = 0;
            }
            if done == piece.records.len() {
                continue;
            }
            failures += 1;
            let rest = piece.records.split_off(done);
            let retries = if done > 0 { 0 } else { piece.retries };
            if self.mapping.bisect && done == 0 && rest.len() > 1 {
                // Splitting is not a retry: it only finds out which record it is.
                let (first, second) = rest.split_at(rest.len() / 2);
                pieces.push(Piece { records: second.to_vec(), retries });
                pieces.push(Piece { records: first.to_vec(), retries });
            } else if self.mapping.maximum_retries.is_some_and(|maximum| retries >= maximum) {
                self.give_up(&rest, retries + 1, stop).await?;
                if let Some(record) = rest.last() {
                    self.advance(&record.sequence).await;
                }
                continue;
            } else {
                pieces.push(Piece { records: rest, retries: retries + 1 });
            }
            if !self.backoff.wait(failures, stop).await {
                return Err(Stopped);
            }
        }
        // Behind the records that the filters held back, too.
        self.advance(&last).await;
        Ok(())
    }

    /// How many of the records, from the first, are done.
    async fn invoke(&self, records: &[Record]) -> usize {
        let event = batch_event(records.iter().map(|record| &record.record));
        match self.functions.invoke(&self.function, event).await {
            Ok(answer) => self.done(records, &answer).unwrap_or_else(|reason| {
                tracing::warn!(function = self.function, "the whole batch failed: {reason}");
                0
            }),
            Err(error) => {
                tracing::debug!(function = self.function, error, records = records.len(), "the batch failed");
                0
            }
        }
    }

    /// Everything before the first record that is reported is done, and nothing behind it.
    fn done(&self, records: &[Record], answer: &Bytes) -> Result<usize, String> {
        if !self.mapping.report_failures {
            return Ok(records.len());
        }
        let mut done = records.len();
        for sequence in response::failures(answer).map_err(|error| error.to_string())? {
            let index = records.iter().position(|record| record.sequence == sequence).ok_or_else(|| {
                format!("its answer names the sequence number `{sequence}`, which it was not given")
            })?;
            done = done.min(index);
        }
        Ok(done)
    }

    async fn advance(&self, sequence: &str) {
        if let Err(error) = self.records.advance(&self.mapping.table, &self.function, sequence).await {
            tracing::warn!(table = self.mapping.table, error, "cannot keep the place in the stream");
        }
    }

    /// Tells the failure destination where the records are; they themselves are not in it.
    async fn give_up(
        &self, records: &[Record], invocations: u32, stop: &CancellationToken,
    ) -> Result<(), Stopped> {
        tracing::warn!(
            function = self.function,
            records = records.len(),
            "gave up on records of the stream after {invocations} invocations"
        );
        let Some(queue) = &self.mapping.on_failure else {
            return Ok(());
        };
        let body = self.positions(records, invocations).to_string();
        let mut failures = 0;
        while let Err(error) = self.queues.send(queue, body.clone()).await {
            tracing::warn!(queue, error, "cannot send to the failure destination");
            failures += 1;
            if !self.backoff.wait(failures, stop).await {
                return Err(Stopped);
            }
        }
        Ok(())
    }

    /// <https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html>
    fn positions(&self, records: &[Record], invocations: u32) -> Value {
        let first = records.first();
        let last = records.last();
        json!({
            "requestContext": {
                "requestId": format!("{:032x}", rand::random::<u128>()),
                "functionArn": self.function_arn,
                "condition": "RetryAttemptsExhausted",
                "approximateInvokeCount": invocations,
            },
            "responseContext": {
                "statusCode": 200,
                "executedVersion": "$LATEST",
                "functionError": "Unhandled",
            },
            "version": "1.0",
            "timestamp": format!("{:.3}", Timestamp::now()),
            "DDBStreamBatchInfo": {
                "shardId": "shardId-00000000000000000000-00000000",
                "startSequenceNumber": first.map(|record| &record.sequence),
                "endSequenceNumber": last.map(|record| &record.sequence),
                "approximateArrivalOfFirstRecord": first.and_then(arrival),
                "approximateArrivalOfLastRecord": last.and_then(arrival),
                "batchSize": records.len(),
                "streamArn": first.map(|record| &record.record["eventSourceARN"]),
            },
        })
    }
}

/// When a record was made, which the event says in whole seconds.
fn arrival(record: &Record) -> Option<String> {
    let seconds = record.record["dynamodb"]["ApproximateCreationDateTime"].as_f64()?;
    #[expect(clippy::cast_possible_truncation, reason = "fractions of a second do not matter")]
    let timestamp = Timestamp::from_second(seconds as i64).ok()?;
    Some(format!("{timestamp:.3}"))
}

#[cfg(test)]
mod tests;

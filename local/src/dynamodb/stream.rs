//! The streams of the tables: every change once, in order, for every consumer that asks.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dynoxide::Database;
use dynoxide::actions::get_records::{GetRecordsRequest, Record};
use dynoxide::actions::get_shard_iterator::encode_shard_iterator;
use dynoxide::streams::shard_id;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{Stream, TableError, Tables};

/// What the engine adds to the sequence numbers it stores when it shows them.
const SEQUENCE_NUMBER_OFFSET: u128 = 100_000_000_000_000_000_000;

/// How long DynamoDB keeps a record.
const RETENTION: Duration = Duration::from_hours(24);

/// A change of an item.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamRecord {
    /// Its place in the stream.
    pub sequence_number: String,
    /// The record of the event that Lambda makes of it.
    /// <https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html>
    pub event: Value,
}

impl Tables {
    /// A receiver that `changed().await`s until something may have been written since it was created
    /// or last completed. Each consumer needs one of its own, taken before its first read.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.0.written.subscribe()
    }

    /// The next records that this consumer has not advanced past, in order, up to `max`. A consumer
    /// begins with the oldest record there is. Updates that changed nothing are not records.
    pub async fn stream(
        &self, table_id: &str, consumer: &str, max: usize,
    ) -> Result<Vec<StreamRecord>, TableError> {
        let stream = self.get_stream(table_id)?;
        let key = (stream.table.clone(), consumer.to_owned());
        let new = self.readers().insert(key.clone());
        let shared = Arc::clone(&self.0);
        let mut position =
            spawn(move || shared.with_own(|own| if new { register(own, &key) } else { position(own, &key) }))
                .await?;
        let mut records = Vec::new();
        while records.len() < max {
            let (table, limit) = (stream.table.clone(), max - records.len());
            let page = self.with_engine(move |engine| page(engine, &table, position, limit)).await??;
            let Some(last) = page.last() else { break };
            position = stored(&last.dynamodb.sequence_number)?;
            for record in page {
                if let Some(record) = stream.event(record)? {
                    records.push(record);
                }
            }
        }
        Ok(records)
    }

    /// Remembers, for good, that a consumer is done with everything up to a record, and deletes what
    /// every consumer is done with. The last such record stays: the engine counts on from the largest
    /// sequence number that it finds, and would otherwise go back with a clock that is set back.
    pub async fn advance(
        &self, table_id: &str, consumer: &str, sequence_number: &str,
    ) -> Result<(), TableError> {
        let table = self.get_stream(table_id)?.table.clone();
        let consumer = consumer.to_owned();
        let position = stored(sequence_number)?;
        let shared = Arc::clone(&self.0);
        spawn(move || {
            shared.with_own(|own| {
                let transaction = own.transaction()?;
                transaction
                    .prepare_cached(
                        "INSERT INTO \"stack:consumers\" (name, consumer, position) VALUES (?1, ?2, ?3)
                         ON CONFLICT DO UPDATE SET position = MAX(position, excluded.position)",
                    )?
                    .execute(params![table, consumer, position])?;
                transaction
                    .prepare_cached(
                        "DELETE FROM _stream_records WHERE table_name = ?1
                         AND CAST(sequence_number AS INTEGER) <
                             (SELECT MIN(position) FROM \"stack:consumers\" WHERE name = ?1)",
                    )?
                    .execute([table])?;
                transaction.commit()
            })
        })
        .await
    }

    /// Deletes records that are a day old, as DynamoDB does, except those that a consumer which has
    /// read since the stack started is not done with: the stack may have been off for a weekend.
    pub(super) fn trim_streams(&self) -> Result<(), TableError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let old = i64::try_from(now.saturating_sub(RETENTION).as_secs()).unwrap_or(i64::MAX);
        let readers = self.readers().clone();
        self.0.with_own(|own| {
            for stream in self.0.streams.values() {
                let mut done = i64::MAX;
                for reader in readers.iter().filter(|(table, _)| *table == stream.table) {
                    done = done.min(position(own, reader)?);
                }
                own.execute(
                    "DELETE FROM _stream_records WHERE table_name = ?1 AND created_at < ?2
                     AND CAST(sequence_number AS INTEGER) < MIN(?3,
                         (SELECT MAX(CAST(sequence_number AS INTEGER)) FROM _stream_records
                          WHERE table_name = ?1))",
                    params![stream.table, old, done],
                )?;
            }
            Ok(())
        })
    }

    fn get_stream(&self, table_id: &str) -> Result<&Stream, TableError> {
        self.0.streams.get(table_id).ok_or_else(|| TableError::NoStream(table_id.to_owned()))
    }

    fn readers(&self) -> std::sync::MutexGuard<'_, std::collections::HashSet<(String, String)>> {
        self.0.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stream {
    /// A record as Lambda delivers it; `None` if nothing changed.
    fn event(&self, record: Record) -> Result<Option<StreamRecord>, TableError> {
        let sequence_number = record.dynamodb.sequence_number.clone();
        #[expect(clippy::cast_possible_truncation, reason = "whole seconds, far from the limit")]
        let created = record.dynamodb.approximate_creation_date_time as i64;
        let mut event = serde_json::to_value(record).map_err(|e| TableError::Engine {
            context: "reading a stream".to_owned(),
            reason: dynoxide::DynoxideError::InternalServerError(e.to_string()),
        })?;
        let images = &event["dynamodb"];
        // The engine records every update; DynamoDB only those that change something.
        if event["eventName"] == "MODIFY"
            && images["NewImage"].is_object()
            && same_item(&images["OldImage"], &images["NewImage"])
        {
            return Ok(None);
        }
        event["dynamodb"]["ApproximateCreationDateTime"] = json!(created);
        event["awsRegion"] = json!(self.region);
        event["eventSourceARN"] = json!(self.arn);
        Ok(Some(StreamRecord { sequence_number, event }))
    }
}

/// Whether two values are the same to DynamoDB, whose sets have no order.
fn same_item(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(name, a)| {
                    b.get(name).is_some_and(|b| match (name.as_str(), a.as_array(), b.as_array()) {
                        ("SS" | "NS" | "BS", Some(a), Some(b)) => {
                            let set = |values: &[Value]| -> BTreeSet<String> {
                                values.iter().map(Value::to_string).collect()
                            };
                            set(a) == set(b)
                        }
                        _ => same_item(a, b),
                    })
                })
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_item(a, b))
        }
        _ => a == b,
    }
}

fn page(engine: &Database, table: &str, after: i64, limit: usize) -> Result<Vec<Record>, TableError> {
    let shard_iterator = encode_shard_iterator(table, &shard_id(table), after);
    engine
        .get_records(GetRecordsRequest { shard_iterator, limit: Some(limit) })
        .map(|answer| answer.records)
        .map_err(TableError::engine(format!("reading the stream of table {table}")))
}

/// Notes that there is this consumer, so that what it has not read is kept for it.
fn register(own: &Connection, key: &(String, String)) -> rusqlite::Result<i64> {
    own.execute(
        "INSERT OR IGNORE INTO \"stack:consumers\" (name, consumer, position) VALUES (?1, ?2, 0)",
        params![key.0, key.1],
    )?;
    position(own, key)
}

fn position(own: &Connection, (table, consumer): &(String, String)) -> rusqlite::Result<i64> {
    own.prepare_cached("SELECT position FROM \"stack:consumers\" WHERE name = ?1 AND consumer = ?2")?
        .query_row([table, consumer], |row| row.get(0))
        .optional()
        .map(Option::unwrap_or_default)
}

/// The sequence number as the engine stores it.
fn stored(shown: &str) -> Result<i64, TableError> {
    shown
        .parse::<u128>()
        .ok()
        .and_then(|number| i64::try_from(number.checked_sub(SEQUENCE_NUMBER_OFFSET)?).ok())
        .ok_or_else(|| TableError::SequenceNumber(shown.to_owned()))
}

async fn spawn<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, TableError> + Send + 'static,
) -> Result<T, TableError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| TableError::Stopped)?
}

//! Where the messages are: one SQLite table for all queues.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};

use super::message::{Attributes, NewMessage, Receipt};
use crate::template::model::{Queue, Redrive};

/// `visible_at` alone decides who may receive a message; `in_flight` tells a received one from a
/// delayed one. `received` counts over all queues, as `ApproximateReceiveCount` does, `received_here`
/// decides about the dead-letter queue. `receipt` is the number of the receive whose handle is valid.
const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS messages (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    queue TEXT NOT NULL,
    id TEXT NOT NULL,
    body TEXT NOT NULL,
    attributes TEXT NOT NULL,
    sender TEXT NOT NULL,
    sent_at INTEGER NOT NULL,
    visible_at INTEGER NOT NULL,
    in_flight INTEGER NOT NULL DEFAULT 0,
    received INTEGER NOT NULL DEFAULT 0,
    received_here INTEGER NOT NULL DEFAULT 0,
    first_received_at INTEGER,
    receipt INTEGER,
    source TEXT,
    repeated INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX IF NOT EXISTS messages_by_visibility ON messages (queue, visible_at);
CREATE INDEX IF NOT EXISTS messages_by_age ON messages (queue, sent_at);";

/// How many messages can overtake each other.
const REORDER_WINDOW: i64 = 1000;

/// The clock of the queues, in milliseconds since 1970.
pub(super) fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    millis(now)
}

/// A duration in the clock's unit.
pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A message as it is stored, at one of its receives.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) receipt: Receipt,
    pub(super) id: String,
    pub(super) body: String,
    pub(super) attributes: Attributes,
    pub(super) sender: String,
    pub(super) sent_at: i64,
    pub(super) receives: i64,
    pub(super) first_received_at: i64,
    pub(super) source: Option<String>,
}

/// What a look into a queue found.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) messages: Vec<Received>,
    /// Whether messages went to the dead-letter queue.
    pub(super) gave_up: bool,
    /// When the next message becomes visible that is not now.
    pub(super) next_visible: Option<i64>,
}

/// How many messages a queue holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) visible: usize,
    pub(super) in_flight: usize,
    pub(super) delayed: usize,
}

/// What became of a request to change a message's visibility.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    Done,
    Gone,
    NotInFlight,
}

/// The connection that everything goes through, one at a time.
#[derive(Debug)]
pub(super) struct Store(Connection);

impl Store {
    /// Opens the file, or memory without one. Whoever had messages in flight died with the process
    /// that served them, so they are visible again.
    pub(super) fn open(path: Option<&Path>) -> rusqlite::Result<Self> {
        let connection = match path {
            Some(path) => Connection::open(path)?,
            None => Connection::open_in_memory()?,
        };
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // An acknowledged message is on the disk, not only with the kernel.
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.execute_batch(SCHEMA)?;
        connection
            .execute("UPDATE messages SET in_flight = 0, visible_at = ?1 WHERE in_flight = 1", [now_ms()])?;
        Ok(Self(connection))
    }

    /// Stores messages together or not at all.
    pub(super) fn insert(&mut self, queue: &str, messages: &[NewMessage]) -> rusqlite::Result<()> {
        let now = now_ms();
        let transaction = self.0.transaction()?;
        for message in messages {
            transaction
                .prepare_cached(
                    "INSERT INTO messages (queue, id, body, attributes, sender, sent_at, visible_at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?
                .execute(params![
                    queue,
                    message.id,
                    message.body,
                    serde_json::to_string(&message.attributes).unwrap_or_default(),
                    message.sender,
                    now,
                    now.saturating_add(message.delay_ms),
                ])?;
        }
        transaction.commit()
    }

    /// Receives up to `max` messages. Those that were received too often go to the dead-letter queue
    /// now, which is when Amazon SQS moves them.
    pub(super) fn take(
        &mut self, queue: &Queue, max: usize, visibility: Duration, shuffle: Option<impl FnOnce(&mut [i64])>,
    ) -> rusqlite::Result<Taken> {
        let now = now_ms();
        let limit = i64::try_from(max).unwrap_or(i64::MAX);
        let transaction = self.0.transaction_with_behavior(TransactionBehavior::Immediate)?;
        expire(&transaction, queue, now)?;
        let mut taken = Taken::default();
        if let Some(redrive) = &queue.redrive {
            taken.gave_up = give_up(&transaction, queue, redrive, now)? > 0;
        }
        let window = if shuffle.is_some() { limit.max(REORDER_WINDOW) } else { limit };
        // By the time since when they are visible: a message that comes back does not overtake those
        // that wait for their first receive.
        let mut sequences: Vec<i64> = transaction
            .prepare_cached(
                "SELECT sequence FROM messages WHERE queue = ?1 AND visible_at <= ?2
                 ORDER BY visible_at, sequence LIMIT ?3",
            )?
            .query_map(params![queue.arn, now, window], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        if let Some(shuffle) = shuffle {
            shuffle(&mut sequences);
            sequences.truncate(max);
        }
        for sequence in sequences {
            taken.messages.push(
                transaction
                    .prepare_cached(
                        "UPDATE messages SET
                             in_flight = 1, visible_at = ?2, received = received + 1,
                             received_here = received_here + 1, receipt = received + 1,
                             first_received_at = COALESCE(first_received_at, ?3)
                         WHERE sequence = ?1
                         RETURNING sequence, receipt, id, body, attributes, sender, sent_at, received,
                             first_received_at, source",
                    )?
                    .query_row(params![sequence, now.saturating_add(millis(visibility)), now], received)?,
            );
        }
        if taken.messages.is_empty() {
            taken.next_visible = transaction
                .prepare_cached("SELECT MIN(visible_at) FROM messages WHERE queue = ?1 AND visible_at > ?2")?
                .query_row(params![queue.arn, now], |row| row.get(0))?;
        }
        transaction.commit()?;
        Ok(taken)
    }

    /// Deletes messages whose latest receive these receipts are from; an older receipt does nothing.
    /// With `duplicate`, each message comes back once before it is gone. Returns whether any did.
    pub(super) fn delete(
        &mut self, queue: &str, receipts: &[Receipt], duplicate: bool,
    ) -> rusqlite::Result<bool> {
        let now = now_ms();
        let transaction = self.0.transaction()?;
        let mut repeated = 0;
        for receipt in receipts {
            let key = params![receipt.sequence, queue, receipt.number];
            if duplicate {
                let sql = "UPDATE messages SET repeated = 1, in_flight = 0, visible_at = ?4,
                               receipt = NULL, received_here = 0
                           WHERE sequence = ?1 AND queue = ?2 AND receipt = ?3 AND repeated = 0";
                let key = params![receipt.sequence, queue, receipt.number, now];
                let again = transaction.prepare_cached(sql)?.execute(key)?;
                repeated += again;
                if again > 0 {
                    continue;
                }
            }
            transaction
                .prepare_cached("DELETE FROM messages WHERE sequence = ?1 AND queue = ?2 AND receipt = ?3")?
                .execute(key)?;
        }
        transaction.commit()?;
        Ok(repeated > 0)
    }

    /// Sets when a message in flight becomes visible, counted from now.
    pub(super) fn change_visibility(
        &mut self, queue: &str, receipt: Receipt, visibility: Duration,
    ) -> rusqlite::Result<Change> {
        let now = now_ms();
        let found: Option<bool> = self
            .0
            .prepare_cached(
                "SELECT in_flight = 1 AND visible_at > ?4 FROM messages
                 WHERE sequence = ?1 AND queue = ?2 AND receipt = ?3",
            )?
            .query_row(params![receipt.sequence, queue, receipt.number, now], |row| row.get(0))
            .optional()?;
        match found {
            None => Ok(Change::Gone),
            Some(false) => Ok(Change::NotInFlight),
            Some(true) if visibility.is_zero() => {
                self.0
                    .prepare_cached("UPDATE messages SET visible_at = ?2, in_flight = 0 WHERE sequence = ?1")?
                    .execute(params![receipt.sequence, now])?;
                Ok(Change::Done)
            }
            Some(true) => {
                let visible_at = now.saturating_add(millis(visibility));
                self.0
                    .prepare_cached("UPDATE messages SET visible_at = ?2 WHERE sequence = ?1")?
                    .execute(params![receipt.sequence, visible_at])?;
                Ok(Change::Done)
            }
        }
    }

    /// Counts what a queue holds.
    pub(super) fn tally(&mut self, queue: &Queue) -> rusqlite::Result<Tally> {
        let now = now_ms();
        expire(&self.0, queue, now)?;
        let count =
            |row: &Row<'_>, column| row.get(column).map(|n: i64| usize::try_from(n).unwrap_or_default());
        self.0
            .prepare_cached(
                "SELECT COUNT(*) FILTER (WHERE visible_at <= ?2),
                        COUNT(*) FILTER (WHERE visible_at > ?2 AND in_flight = 1),
                        COUNT(*) FILTER (WHERE visible_at > ?2 AND in_flight = 0)
                 FROM messages WHERE queue = ?1",
            )?
            .query_row(params![queue.arn, now], |row| {
                Ok(Tally { visible: count(row, 0)?, in_flight: count(row, 1)?, delayed: count(row, 2)? })
            })
    }

    /// Bodies and receive counts in the order of sending, without receiving.
    pub(super) fn peek(&mut self, queue: &Queue, max: usize) -> rusqlite::Result<Vec<(String, i64)>> {
        expire(&self.0, queue, now_ms())?;
        self.0
            .prepare_cached(
                "SELECT body, received FROM messages WHERE queue = ?1 ORDER BY sequence LIMIT ?2",
            )?
            .query_map(params![queue.arn, i64::try_from(max).unwrap_or(i64::MAX)], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?
            .collect()
    }

    /// Makes every message in flight visible. Their receipts stay good.
    pub(super) fn release(&mut self, queue: &str) -> rusqlite::Result<usize> {
        self.0.execute(
            "UPDATE messages SET in_flight = 0, visible_at = ?2
             WHERE queue = ?1 AND in_flight = 1 AND visible_at > ?2",
            params![queue, now_ms()],
        )
    }

    /// Deletes everything in a queue.
    pub(super) fn purge(&mut self, queue: &str) -> rusqlite::Result<usize> {
        self.0.execute("DELETE FROM messages WHERE queue = ?1", [queue])
    }

    /// Moves what is visible in a dead-letter queue to `destination`, or each message to the queue it
    /// came from, as new messages: a new id, sent now, never received. What was sent to the queue
    /// directly has nowhere to go back to and stays.
    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-configure-dead-letter-queue-redrive.html>
    pub(super) fn redrive(
        &mut self, dead_letter: &str, destination: Option<&str>,
    ) -> rusqlite::Result<usize> {
        let now = now_ms();
        let transaction = self.0.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let sequences: Vec<i64> = transaction
            .prepare_cached(
                "SELECT sequence FROM messages
                 WHERE queue = ?1 AND visible_at <= ?2 AND (source IS NOT NULL OR ?3 IS NOT NULL)",
            )?
            .query_map(params![dead_letter, now, destination], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        for sequence in &sequences {
            transaction
                .prepare_cached(
                    "UPDATE messages SET
                         queue = COALESCE(?2, source), id = ?3, sent_at = ?4, visible_at = ?4,
                         in_flight = 0, received = 0, received_here = 0, first_received_at = NULL,
                         receipt = NULL, source = NULL
                     WHERE sequence = ?1",
                )?
                .execute(params![sequence, destination, uuid::Uuid::new_v4().to_string(), now])?;
        }
        transaction.commit()?;
        Ok(sequences.len())
    }
}

fn expire(connection: &Connection, queue: &Queue, now: i64) -> rusqlite::Result<usize> {
    connection
        .prepare_cached("DELETE FROM messages WHERE queue = ?1 AND sent_at < ?2")?
        .execute(params![queue.arn, now.saturating_sub(millis(queue.retention))])
}

/// A message keeps its id and the time it was sent when it goes to the dead-letter queue.
fn give_up(connection: &Connection, queue: &Queue, redrive: &Redrive, now: i64) -> rusqlite::Result<usize> {
    connection
        .prepare_cached(
            "UPDATE messages SET queue = ?3, source = ?1, in_flight = 0, received_here = 0,
                 receipt = NULL
             WHERE queue = ?1 AND visible_at <= ?2 AND received_here >= ?4",
        )?
        .execute(params![queue.arn, now, redrive.dead_letter, redrive.maximum_receives])
}

fn received(row: &Row<'_>) -> rusqlite::Result<Received> {
    let attributes: String = row.get(4)?;
    Ok(Received {
        receipt: Receipt { sequence: row.get(0)?, number: row.get(1)? },
        id: row.get(2)?,
        body: row.get(3)?,
        attributes: serde_json::from_str(&attributes).unwrap_or_default(),
        sender: row.get(5)?,
        sent_at: row.get(6)?,
        receives: row.get(7)?,
        first_received_at: row.get(8)?,
        source: row.get(9)?,
    })
}

//! Records of attempts that took effect.

use std::future::Future;

use super::item::{Item, decode, encode, number, primary_key, unavailable};
use super::transaction::{Cancelled, Expression, Part, Transaction};
use super::{Store, keys};
use crate::domain::idempotency::{Attempt, REMEMBERED_FOR, Record};
use crate::domain::{Time, Unavailable};

const SORT_KEY: &str = "IDEM";

/// Finds out whether an attempt was made before.
pub trait RecallAttempt {
    /// The record of the attempt by this name, if it took effect within the last day.
    fn recall_attempt(
        &self, attempt: &Attempt, now: Time,
    ) -> impl Future<Output = Result<Option<Record>, Unavailable>> + Send;
}

/// Remembers an attempt by itself: one that changed nothing, or many things one by one.
pub trait RecordAttempt {
    /// Keeps the record, unless there is one by this name. That one is given back.
    fn record_attempt(
        &self, record: &Record, now: Time,
    ) -> impl Future<Output = Result<Option<Record>, Unavailable>> + Send;
}

/// Writes down what came of an attempt that was begun.
pub trait FinishAttempt {
    /// Keeps the record in the place of the one that it was begun with.
    fn finish_attempt(&self, record: &Record) -> impl Future<Output = Result<(), Unavailable>> + Send;
}

impl RecordAttempt for Store {
    async fn record_attempt(&self, record: &Record, now: Time) -> Result<Option<Record>, Unavailable> {
        const OPERATION: &str = "record_attempt";
        let condition = unless_there_is_one(now.as_secs());
        match self.put_record(OPERATION, record, Some(condition)).await {
            Ok(()) => Ok(None),
            Err(Cancelled::By(_, there)) => decode(OPERATION, there).map(Some),
            Err(Cancelled::Contended) => Err(Unavailable::new(OPERATION, "others kept writing")),
            Err(Cancelled::Unavailable(error)) => Err(error),
        }
    }
}

impl FinishAttempt for Store {
    async fn finish_attempt(&self, record: &Record) -> Result<(), Unavailable> {
        const OPERATION: &str = "finish_attempt";
        self.put_record(OPERATION, record, None).await.map_err(|cancelled| match cancelled {
            Cancelled::By(..) | Cancelled::Contended => Unavailable::new(OPERATION, "others kept writing"),
            Cancelled::Unavailable(error) => error,
        })
    }
}

impl RecallAttempt for Store {
    async fn recall_attempt(&self, attempt: &Attempt, now: Time) -> Result<Option<Record>, Unavailable> {
        const OPERATION: &str = "recall_attempt";
        let found = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(primary_key(keys::attempt(attempt), SORT_KEY)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|e| unavailable(OPERATION, e))?;
        let record: Option<Record> = found.item.map(|item| decode(OPERATION, item)).transpose()?;
        Ok(record.filter(|record| record.is_current(now)))
    }
}

impl Store {
    /// Puts a record by itself. A transaction may be writing it at this moment.
    async fn put_record(
        &self, operation: &'static str, record: &Record, condition: Option<Expression>,
    ) -> Result<(), Cancelled> {
        let mut transaction = Transaction::new(&self.table, operation);
        let put = row(record).and_then(|item| transaction.put(Part::Record, item, condition));
        put.map_err(Cancelled::Unavailable)?;
        transaction.send(&self.client).await
    }
}

/// Keeps the record of an attempt, unless there is one.
pub fn record(transaction: &mut Transaction<'_>, record: &Record) -> Result<(), Unavailable> {
    let item = row(record)?;
    // The table deletes what has expired late.
    let now = record.expires_at.saturating_sub(i64::try_from(REMEMBERED_FOR.as_secs()).unwrap_or(0));
    transaction.put(Part::Record, item, Some(unless_there_is_one(now)))
}

fn unless_there_is_one(now: i64) -> Expression {
    Expression::new("attribute_not_exists(PK) OR expires_at <= :now")
        .value(":now", number(u64::try_from(now).unwrap_or(0)))
}

fn row(record: &Record) -> Result<Item, Unavailable> {
    let key = primary_key(keys::attempt(&record.attempt), SORT_KEY);
    encode("record_attempt", "attempt", key, record)
}

//! Records of attempts that took effect.

use std::future::Future;

use super::item::{decode, encode, number, primary_key, unavailable};
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

/// Keeps what came of an attempt whose effect is not in the table.
pub trait RecordAttempt {
    /// Keeps the record, unless there is one: that is returned then.
    fn record_attempt(
        &self, record: &Record,
    ) -> impl Future<Output = Result<Option<Record>, Unavailable>> + Send;
}

impl RecordAttempt for Store {
    async fn record_attempt(&self, attempt: &Record) -> Result<Option<Record>, Unavailable> {
        const OPERATION: &str = "record_attempt";
        let mut transaction = Transaction::new(&self.table, OPERATION);
        record(&mut transaction, attempt)?;
        match transaction.send(&self.client).await {
            Ok(()) => Ok(None),
            // One that was written alone does not come back with the refusal.
            Err(Cancelled::By(..)) => {
                let made = attempt.expires_at.saturating_sub(lifetime());
                self.recall_attempt(&attempt.attempt, Time::from_secs(made)).await
            }
            Err(Cancelled::Contended) => Err(Unavailable::new(OPERATION, "others kept writing")),
            Err(Cancelled::Unavailable(error)) => Err(error),
        }
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

fn lifetime() -> i64 {
    i64::try_from(REMEMBERED_FOR.as_secs()).unwrap_or(0)
}

/// Keeps the record of an attempt, unless there is one.
pub fn record(transaction: &mut Transaction<'_>, record: &Record) -> Result<(), Unavailable> {
    let key = primary_key(keys::attempt(&record.attempt), SORT_KEY);
    let item = encode("record_attempt", "attempt", key, record)?;
    // The table deletes what has expired late.
    let now = record.expires_at.saturating_sub(lifetime());
    let condition = Expression::new("attribute_not_exists(PK) OR expires_at <= :now")
        .value(":now", number(u64::try_from(now).unwrap_or(0)));
    transaction.put(Part::Record, item, Some(condition))
}

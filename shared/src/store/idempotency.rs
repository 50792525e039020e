//! Records of attempts that took effect.

use std::future::Future;

use super::item::{decode, encode, number, primary_key, unavailable};
use super::transaction::{Expression, Part, Transaction};
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

/// Keeps the record of an attempt, unless there is one.
pub fn record(transaction: &mut Transaction<'_>, record: &Record) -> Result<(), Unavailable> {
    let key = primary_key(keys::attempt(&record.attempt), SORT_KEY);
    let item = encode("record_attempt", "attempt", key, record)?;
    // The table deletes what has expired late.
    let now = record.expires_at.saturating_sub(i64::try_from(REMEMBERED_FOR.as_secs()).unwrap_or(0));
    let condition = Expression::new("attribute_not_exists(PK) OR expires_at <= :now")
        .value(":now", number(u64::try_from(now).unwrap_or(0)));
    transaction.put(Part::Record, item, Some(condition))
}

//! Records of attempts that took effect.

use std::future::Future;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;

use super::item::{Item, decode, encode, number, primary_key, unavailable};
use super::transaction::{Expression, Part, Transaction};
use super::{Store, keys};
use crate::domain::idempotency::{Attempt, REMEMBERED_FOR, Record};
use crate::domain::{Time, Unavailable};

const SORT_KEY: &str = "IDEM";
const UNLESS_THERE_IS_ONE: &str = "attribute_not_exists(PK) OR expires_at <= :now";

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
        let sent = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(row(record)?))
            .condition_expression(UNLESS_THERE_IS_ONE)
            .expression_attribute_values(":now", number(u64::try_from(now.as_secs()).unwrap_or(0)))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match sent {
            Ok(_) => Ok(None),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                    decode(OPERATION, failed.item().cloned().unwrap_or_default()).map(Some)
                }
                _ => Err(unavailable(OPERATION, error)),
            },
        }
    }
}

impl FinishAttempt for Store {
    async fn finish_attempt(&self, record: &Record) -> Result<(), Unavailable> {
        let put = self.client.put_item().table_name(&self.table).set_item(Some(row(record)?));
        put.send().await.map_err(|e| unavailable("finish_attempt", e))?;
        Ok(())
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

/// Keeps the record of an attempt, unless there is one.
pub fn record(transaction: &mut Transaction<'_>, record: &Record) -> Result<(), Unavailable> {
    let item = row(record)?;
    // The table deletes what has expired late.
    let now = record.expires_at.saturating_sub(i64::try_from(REMEMBERED_FOR.as_secs()).unwrap_or(0));
    let condition =
        Expression::new(UNLESS_THERE_IS_ONE).value(":now", number(u64::try_from(now).unwrap_or(0)));
    transaction.put(Part::Record, item, Some(condition))
}

fn row(record: &Record) -> Result<Item, Unavailable> {
    let key = primary_key(keys::attempt(&record.attempt), SORT_KEY);
    encode("record_attempt", "attempt", key, record)
}

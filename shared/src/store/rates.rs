//! What callers have had of the rate they may ask at.

use std::future::Future;
use std::time::Duration;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};

use super::item::{number, primary_key, text, unavailable};
use super::{Store, keys};
use crate::domain::rate::{Micros, Rate, micros};
use crate::domain::{ProjectId, Time, Unavailable};

/// Whose requests are counted, and which of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Counted {
    /// The project.
    pub project: ProjectId,
    /// The caller within it.
    pub caller: String,
    /// Reads or writes.
    pub class: &'static str,
}

/// What came of asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// They are had; until when the caller has spent now.
    Had(Micros),
    /// There are not as many; until when the caller has spent.
    Refused(Micros),
}

/// Takes requests off what a caller may have.
pub trait TakeCells {
    /// Takes so many, or none. `spent` is what is known of the caller, and spares a write if it is about right.
    fn take_cells(
        &self, counted: &Counted, rate: Rate, cells: u32, spent: Micros, now: Time,
    ) -> impl Future<Output = Result<Taken, Unavailable>> + Send;
}

/// For how long a row outlives what it says.
const KEPT: Duration = Duration::from_hours(1);
/// Each try fails for one reason, which the next one takes into account.
const ATTEMPTS: u32 = 3;

impl TakeCells for Store {
    async fn take_cells(
        &self, counted: &Counted, rate: Rate, cells: u32, spent: Micros, now: Time,
    ) -> Result<Taken, Unavailable> {
        let (now_micros, mut spent) = (micros(now), spent);
        for _ in 0..ATTEMPTS {
            // DynamoDB has no greater-of-two: who has been idle and who is busy are two conditions, and either
            // write is made only if its condition still holds.
            if rate.take(spent, now_micros, cells).is_err() {
                return Ok(Taken::Refused(spent));
            }
            match self.try_take(counted, rate, cells, spent > now_micros, now).await? {
                Ok(after) => return Ok(Taken::Had(after)),
                Err(found) => spent = found,
            }
        }
        Ok(Taken::Refused(spent))
    }
}

impl Store {
    /// What is spent afterwards; or what was, if the condition did not hold.
    async fn try_take(
        &self, counted: &Counted, rate: Rate, cells: u32, busy: bool, now: Time,
    ) -> Result<Result<Micros, Micros>, Unavailable> {
        const OPERATION: &str = "take_cells";
        let now_micros = micros(now);
        let (spent, condition) = if busy {
            ("spent + :cost", "spent > :now AND spent <= :most")
        } else {
            (":begun", "attribute_not_exists(spent) OR spent <= :now")
        };
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(primary_key(keys::rate(counted.project, &counted.caller), counted.class)))
            .update_expression(format!(
                "SET spent = {spent}, expires_at = :expires, #type = :type, #schema = :schema"
            ))
            .condition_expression(condition)
            .expression_attribute_names("#type", "type")
            .expression_attribute_names("#schema", "schema")
            .expression_attribute_values(":now", number(now_micros))
            .expression_attribute_values(":expires", number(expiry(rate, now)))
            .expression_attribute_values(":type", text("rate"))
            .expression_attribute_values(":schema", number(1))
            .return_values(aws_sdk_dynamodb::types::ReturnValue::UpdatedNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let update = if busy {
            update
                .expression_attribute_values(":cost", number(rate.cost(cells)))
                .expression_attribute_values(":most", number(now_micros + rate.tolerance(cells)))
        } else {
            update.expression_attribute_values(":begun", number(now_micros + rate.cost(cells)))
        };
        let spent = |item: Option<&super::item::Item>| {
            item.and_then(|item| item.get("spent")).and_then(read).unwrap_or_default()
        };
        match update.send().await {
            Ok(written) => Ok(Ok(spent(written.attributes()))),
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => {
                let aws_sdk_dynamodb::operation::update_item::UpdateItemError::ConditionalCheckFailedException(
                    failed,
                ) = error.err()
                else {
                    return Ok(Err(0));
                };
                Ok(Err(spent(failed.item())))
            }
            Err(error) => Err(unavailable(OPERATION, error)),
        }
    }
}

fn read(value: &AttributeValue) -> Option<Micros> {
    value.as_n().ok()?.parse().ok()
}

fn expiry(rate: Rate, now: Time) -> u64 {
    u64::try_from(now.after(rate.window()).after(KEPT).as_secs()).unwrap_or_default()
}

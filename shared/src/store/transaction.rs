//! Several writes, all or nothing, and which of them stood in the way.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    CancellationReason, Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};
use rand::Rng as _;

use super::item::{Item, unavailable};
use crate::domain::Unavailable;
use crate::domain::issuer::MAXIMUM_ISSUERS;

/// How often a transaction is sent that only met another one. Each time waits twice as long.
const ATTEMPTS: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_millis(20);

/// What a write is to the transaction, where its condition can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The item that the transaction is about.
    Subject,
    /// An original that the item refers to.
    Original,
    /// What the project holds.
    Quota,
    /// The record of an attempt.
    Record,
    /// The upload token that is used.
    Token,
    /// An issuer that a project wants to trust, by its place among them.
    Issuer(usize),
    /// What has no condition.
    Unconditional,
}

/// Why nothing was written.
#[derive(Debug)]
pub enum Cancelled {
    /// The condition of this part did not hold; its item, as it is.
    By(Part, Item),
    /// Others wrote to the same items all the time.
    Contended,
    /// The table was out of reach.
    Unavailable(Unavailable),
}

/// Writes that belong together.
pub struct Transaction<'a> {
    table: &'a str,
    operation: &'static str,
    parts: Vec<Part>,
    writes: Vec<TransactWriteItem>,
}

/// A condition or an update, with the values in it.
#[derive(Default)]
pub struct Expression {
    text: String,
    names: Vec<(&'static str, &'static str)>,
    values: Item,
}

impl Expression {
    /// An expression.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// Says what a placeholder stands for: `#state`.
    pub fn name(mut self, placeholder: &'static str, attribute: &'static str) -> Self {
        self.names.push((placeholder, attribute));
        self
    }

    /// Says what a placeholder stands for: `:version`.
    pub fn value(mut self, placeholder: &str, value: aws_sdk_dynamodb::types::AttributeValue) -> Self {
        self.values.insert(placeholder.to_owned(), value);
        self
    }
}

impl<'a> Transaction<'a> {
    /// Nothing yet.
    pub const fn new(table: &'a str, operation: &'static str) -> Self {
        Self { table, operation, parts: vec![], writes: vec![] }
    }

    /// Writes an item as a whole.
    pub fn put(&mut self, part: Part, item: Item, condition: Option<Expression>) -> Result<(), Unavailable> {
        let mut put = Put::builder().table_name(self.table).set_item(Some(item));
        if let Some(Expression { text, names, values }) = condition {
            put = put.condition_expression(text).set_expression_attribute_values(some(values));
            put = names.into_iter().fold(put, |put, (name, of)| put.expression_attribute_names(name, of));
            put = put.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        }
        let put = put.build().map_err(|e| Unavailable::new(self.operation, e))?;
        self.push(part, TransactWriteItem::builder().put(put).build());
        Ok(())
    }

    /// Deletes an item, if it is there.
    pub fn delete(
        &mut self, part: Part, key: Item, condition: Option<Expression>,
    ) -> Result<(), Unavailable> {
        let mut delete = Delete::builder().table_name(self.table).set_key(Some(key));
        if let Some(Expression { text, names, values }) = condition {
            delete = delete.condition_expression(text).set_expression_attribute_values(some(values));
            delete = names
                .into_iter()
                .fold(delete, |delete, (name, of)| delete.expression_attribute_names(name, of));
            delete =
                delete.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        }
        let delete = delete.build().map_err(|e| Unavailable::new(self.operation, e))?;
        self.push(part, TransactWriteItem::builder().delete(delete).build());
        Ok(())
    }

    /// Changes an item, or begins it. The values are the update's; a condition may use them too.
    pub fn update(
        &mut self, part: Part, key: Item, update: Expression, condition: Option<&str>,
    ) -> Result<(), Unavailable> {
        let Expression { text, names, values } = update;
        let mut change = Update::builder()
            .table_name(self.table)
            .set_key(Some(key))
            .update_expression(text)
            .set_expression_attribute_values(some(values));
        change =
            names.into_iter().fold(change, |change, (name, of)| change.expression_attribute_names(name, of));
        if let Some(condition) = condition {
            change = change
                .condition_expression(condition)
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        }
        let change = change.build().map_err(|e| Unavailable::new(self.operation, e))?;
        self.push(part, TransactWriteItem::builder().update(change).build());
        Ok(())
    }

    fn push(&mut self, part: Part, write: TransactWriteItem) {
        self.parts.push(part);
        self.writes.push(write);
    }

    /// Writes everything, or nothing.
    ///
    /// Two transactions that meet at one item, or a transaction and a write, are no decision about either:
    /// DynamoDB refuses one, and the SDK does not send it again.
    pub async fn send(self, client: &Client) -> Result<(), Cancelled> {
        let mut wait = FIRST_WAIT;
        for _ in 1..ATTEMPTS {
            match self.send_once(client).await {
                Err(Cancelled::Contended) => {}
                sent => return sent,
            }
            let jitter = rand::rng().random_range(0..=wait.as_millis());
            tokio::time::sleep(wait / 2 + Duration::from_millis(u64::try_from(jitter).unwrap_or(0))).await;
            wait *= 2;
        }
        self.send_once(client).await
    }

    async fn send_once(&self, client: &Client) -> Result<(), Cancelled> {
        // A transaction costs twice what its writes cost.
        if let [write] = self.writes.as_slice()
            && let Some(put) = write.put()
        {
            return self.put_alone(client, put).await;
        }
        match client.transact_write_items().set_transact_items(Some(self.writes.clone())).send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.why(&error).unwrap_or_else(|| {
                // A transaction that is throttled is a cancelled one.
                let throttled = cancellation_reasons(&error).iter().any(|reason| {
                    matches!(reason.code(), Some("ThrottlingError" | "ProvisionedThroughputExceeded"))
                });
                let unavailable = unavailable(self.operation, error);
                Cancelled::Unavailable(Unavailable {
                    throttled: throttled || unavailable.throttled,
                    ..unavailable
                })
            })),
        }
    }

    async fn put_alone(&self, client: &Client, put: &Put) -> Result<(), Cancelled> {
        let sent = client
            .put_item()
            .table_name(put.table_name())
            .set_item(Some(put.item().clone()))
            .set_condition_expression(put.condition_expression().map(str::to_owned))
            .set_expression_attribute_names(put.expression_attribute_names().cloned())
            .set_expression_attribute_values(put.expression_attribute_values().cloned())
            .set_return_values_on_condition_check_failure(
                put.return_values_on_condition_check_failure().cloned(),
            )
            .send()
            .await;
        let Err(error) = sent else { return Ok(()) };
        Err(match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                Cancelled::By(self.parts[0], failed.item().cloned().unwrap_or_default())
            }
            Some(PutItemError::TransactionConflictException(_)) => Cancelled::Contended,
            _ => Cancelled::Unavailable(unavailable(self.operation, error)),
        })
    }

    fn why(&self, error: &SdkError<TransactWriteItemsError>) -> Option<Cancelled> {
        let reasons = || self.parts.iter().zip(cancellation_reasons(error));
        // The record comes first: a request that took effect is answered from it, whatever happened since.
        let failed = |part: Part| {
            let mut failed = reasons()
                .filter(|(of, reason)| **of == part && reason.code() == Some("ConditionalCheckFailed"));
            failed.next().map(|(_, reason)| Cancelled::By(part, reason.item().cloned().unwrap_or_default()))
        };
        [Part::Record, Part::Subject, Part::Token, Part::Original, Part::Quota]
            .into_iter()
            .chain((0..MAXIMUM_ISSUERS).map(Part::Issuer))
            .find_map(failed)
            .or_else(|| {
                let met = reasons().any(|(_, reason)| reason.code() == Some("TransactionConflict"));
                met.then_some(Cancelled::Contended)
            })
    }
}

/// Why DynamoDB cancelled a transaction, write by write.
fn cancellation_reasons(error: &SdkError<TransactWriteItemsError>) -> &[CancellationReason] {
    match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
            cancelled.cancellation_reasons()
        }
        _ => &[],
    }
}

/// DynamoDB refuses a set of values that is there and empty.
fn some(values: Item) -> Option<Item> {
    Some(values).filter(|values| !values.is_empty())
}

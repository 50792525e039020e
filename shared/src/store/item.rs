//! Items: between the domain's types and the table's attributes.

use std::collections::HashMap;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::Unavailable;

/// An item, or a part of one.
pub type Item = HashMap<String, AttributeValue>;

/// A text attribute.
pub fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// A number attribute.
pub fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// A primary key.
pub fn primary_key(partition: impl Into<String>, sort: impl Into<String>) -> Item {
    Item::from([("PK".into(), text(partition)), ("SK".into(), text(sort))])
}

/// Writes a value as an item under a key. `kind` is the item's `type`, which every item carries beside the
/// version of its form.
pub fn encode<T: Serialize>(
    operation: &'static str, kind: &str, key: Item, value: &T,
) -> Result<Item, Unavailable> {
    let mut item: Item = serde_dynamo::to_item(value).map_err(|e| Unavailable::new(operation, e))?;
    item.extend(key);
    item.insert("type".into(), text(kind));
    item.insert("schema".into(), number(1));
    Ok(item)
}

/// Reads a value out of an item.
pub fn decode<T: DeserializeOwned>(operation: &'static str, item: Item) -> Result<T, Unavailable> {
    serde_dynamo::from_item(item).map_err(|e| Unavailable::new(operation, e))
}

/// A call that the service did not carry out.
pub fn unavailable<E>(operation: &'static str, error: SdkError<E>) -> Unavailable
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let throttled = error.code().is_some_and(|code| {
        matches!(
            code,
            "ProvisionedThroughputExceededException" | "ThrottlingException" | "RequestLimitExceeded"
        )
    });
    Unavailable { operation, throttled, source: error.into() }
}

//! What a project holds, counted in the transaction of each change.

use super::item::{Item, number, primary_key, text};
use super::keys;
use super::transaction::{Expression, Part, Transaction};
use crate::domain::quota::{Held, Limits};
use crate::domain::{ProjectId, Unavailable};

const SORT_KEY: &str = "STORED";

/// Adds what a change takes up to what the project holds, and refuses it beyond the limits.
///
/// Conditions cannot add, so `used` is kept beside the numbers that it is the sum of, and compared with the
/// limit less what is asked for.
pub fn settle(
    transaction: &mut Transaction<'_>, project: ProjectId, change: Held, within: Option<Limits>,
) -> Result<(), Unavailable> {
    if change.is_zero() {
        return Ok(());
    }
    let signed = |value: i64| aws_sdk_dynamodb::types::AttributeValue::N(value.to_string());
    let mut update = Expression::new(
        "ADD #stored :stored, #reserved :reserved, #used :bytes, #images :images SET #type = :type, #schema = :schema",
    )
    .name("#stored", "stored")
    .name("#reserved", "reserved")
    .name("#used", "used")
    .name("#images", "images")
    .name("#type", "type")
    .name("#schema", "schema")
    .value(":type", text("quota"))
    .value(":schema", number(1))
    .value(":stored", signed(change.stored))
    .value(":reserved", signed(change.reserved))
    .value(":bytes", signed(change.bytes()))
    .value(":images", signed(change.images));
    let mut condition = None;
    if let Some(limits) = within {
        let room = |limit: u64, asked: i64| i64::try_from(limit).unwrap_or(i64::MAX).saturating_sub(asked);
        let (bytes, images) = (room(limits.bytes, change.bytes()), room(limits.images, change.images));
        update = update.value(":bytes_before", signed(bytes)).value(":images_before", signed(images));
        // The first upload of a project finds no item; it is held against the limits all the same.
        condition = Some(if bytes >= 0 && images >= 0 {
            "attribute_not_exists(#used) OR (#used <= :bytes_before AND #images <= :images_before)"
        } else {
            "#used <= :bytes_before AND #images <= :images_before"
        });
    }
    let part = if within.is_some() { Part::Quota } else { Part::Unconditional };
    transaction.update(part, key(project), update, condition)
}

fn key(project: ProjectId) -> Item {
    primary_key(keys::project(project), SORT_KEY)
}

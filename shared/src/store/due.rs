//! What falls due: one entry per image that waits for something, in partitions by day, so that a timer
//! finds it without a scan.

use std::future::Future;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::item::{decode, encode, primary_key, text, unavailable};
use super::transaction::{Part, Transaction};
use super::{Store, keys};
use crate::domain::image::{Due, Image};
use crate::domain::{ImageId, ProjectId, Time, Unavailable};

/// An image that a timer has to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DueEntry {
    /// Whose.
    pub project: ProjectId,
    /// Which.
    pub image: ImageId,
    /// When, and what for.
    pub due: Due,
}

/// Finds what fell due.
pub trait FindOverdue {
    /// Up to `limit` entries that were due by `now`, the oldest day first.
    fn find_overdue(
        &self, now: Time, limit: usize,
    ) -> impl Future<Output = Result<Vec<DueEntry>, Unavailable>> + Send;
}

/// Deletes an entry whose image has moved on.
pub trait ForgetDue {
    /// Deletes it, if it is there.
    fn forget_due(&self, entry: &DueEntry) -> impl Future<Output = Result<(), Unavailable>> + Send;
}

/// Remembers how far the timer has worked.
pub trait AdvanceWatermark {
    /// Everything due before the day of `time` is done.
    fn advance_watermark(&self, time: Time) -> impl Future<Output = Result<(), Unavailable>> + Send;
}

const DAY: Duration = Duration::from_hours(24);
/// Where the timer starts when it has never run: longer ago than anything can have fallen due.
const FIRST_LOOK_BACK: Duration = Duration::from_hours(960);
const WATERMARK: (&str, &str) = ("DUE", "WATERMARK");

#[derive(Serialize, Deserialize)]
struct Watermark {
    done_before: Time,
}

/// Moves an image's due entry along with it.
pub fn moves(
    transaction: &mut Transaction<'_>, operation: &'static str, before: Option<&Image>, after: &Image,
) -> Result<(), Unavailable> {
    if before.map(|image| image.due) == Some(after.due) {
        return Ok(());
    }
    if let Some(before) = before {
        forgets(transaction, before)?;
    }
    if let Some(due) = after.due {
        let entry = DueEntry { project: after.project, image: after.id, due };
        let (partition, sort) = keys::due(after.project, after.id, due);
        let item = encode(operation, "due", primary_key(partition, sort), &entry)?;
        transaction.put(Part::Unconditional, item, None)?;
    }
    Ok(())
}

/// Deletes an image's due entry, if it has one.
pub fn forgets(transaction: &mut Transaction<'_>, image: &Image) -> Result<(), Unavailable> {
    let Some(due) = image.due else { return Ok(()) };
    let (partition, sort) = keys::due(image.project, image.id, due);
    transaction.delete(Part::Unconditional, primary_key(partition, sort), None)
}

impl FindOverdue for Store {
    async fn find_overdue(&self, now: Time, limit: usize) -> Result<Vec<DueEntry>, Unavailable> {
        let mut found = vec![];
        let mut day = self.watermark(now).await?;
        while day.date() <= now.date() {
            for shard in 0..keys::DUE_SHARDS {
                found.extend(self.overdue_in(&keys::due_bucket(&day.date(), shard), now).await?);
                if found.len() >= limit {
                    found.truncate(limit);
                    return Ok(found);
                }
            }
            day = day.after(DAY);
        }
        Ok(found)
    }
}

impl ForgetDue for Store {
    async fn forget_due(&self, entry: &DueEntry) -> Result<(), Unavailable> {
        let (partition, sort) = keys::due(entry.project, entry.image, entry.due);
        self.client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(primary_key(partition, sort)))
            .send()
            .await
            .map_err(|e| unavailable("forget_due", e))?;
        Ok(())
    }
}

impl AdvanceWatermark for Store {
    async fn advance_watermark(&self, time: Time) -> Result<(), Unavailable> {
        const OPERATION: &str = "advance_watermark";
        let key = primary_key(WATERMARK.0, WATERMARK.1);
        let item = encode(OPERATION, "watermark", key, &Watermark { done_before: time })?;
        self.client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .send()
            .await
            .map_err(|e| unavailable(OPERATION, e))?;
        Ok(())
    }
}

impl Store {
    async fn watermark(&self, now: Time) -> Result<Time, Unavailable> {
        const OPERATION: &str = "find_overdue";
        let found = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(primary_key(WATERMARK.0, WATERMARK.1)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|e| unavailable(OPERATION, e))?;
        found.item.map_or(Ok(now.before(FIRST_LOOK_BACK)), |item| {
            decode::<Watermark>(OPERATION, item).map(|watermark| watermark.done_before)
        })
    }

    async fn overdue_in(&self, partition: &str, now: Time) -> Result<Vec<DueEntry>, Unavailable> {
        const OPERATION: &str = "find_overdue";
        let found = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("PK = :partition AND SK < :now")
            .expression_attribute_values(":partition", text(partition))
            // `$` is the character after `#`: an entry due in this very millisecond is due.
            .expression_attribute_values(":now", text(format!("{now}$")))
            .consistent_read(true)
            .send()
            .await
            .map_err(|e| unavailable(OPERATION, e))?;
        let readable = |item| match decode(OPERATION, item) {
            Ok(entry) => Some(entry),
            Err(error) => {
                // One that nobody can read must not keep the others waiting.
                tracing::error!(partition, cause = %error.source, "a due entry cannot be read");
                None
            }
        };
        Ok(found.items.unwrap_or_default().into_iter().filter_map(readable).collect())
    }
}

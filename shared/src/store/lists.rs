//! Lists: a page is one query of an index. Rows that stand for an image by its tag or owner hold nothing of it, so
//! that a change of the image is not a change of all of them: these pages read their images in one batch more.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use aws_sdk_dynamodb::types::KeysAndAttributes;
use serde::Deserialize;

use super::item::{Item, decode, primary_key, text, unavailable};
use super::{Store, keys};
use crate::domain::details::Tag;
use crate::domain::page::{Filter, ListQuery, ListedState, Order, Page, Position, TagCount, TagQuery};
use crate::domain::summary::ImageSummary;
use crate::domain::{ImageId, ProjectId, Unavailable};

/// How often the rest of a batch is asked for that the table left undone. Each time waits twice as long.
const BATCHES: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_millis(20);
/// How many queries fill a page of tags, where it is full of tags that no image has any more.
const TAG_QUERIES: u32 = 4;

/// Reads a page of a project's images.
pub trait ListImages {
    /// The images that the query asks for, from where it says.
    fn list_images(
        &self, project: ProjectId, query: &ListQuery,
    ) -> impl Future<Output = Result<Page<ImageSummary, Position>, Unavailable>> + Send;
}

/// Reads a page of a project's tags.
pub trait ListTags {
    /// The tags of live images, in alphabetical order.
    fn list_tags(
        &self, project: ProjectId, query: &TagQuery,
    ) -> impl Future<Output = Result<Page<TagCount, Tag>, Unavailable>> + Send;
}

/// Where a list lies: in an index, in one partition of it, in rows under one sort key.
struct Place {
    index: &'static str,
    partition: String,
    sort: String,
}

impl Place {
    fn of(project: ProjectId, filter: &Filter) -> Self {
        let image = "IMAGE".to_owned();
        let (index, partition, sort) = match filter {
            Filter::Live => ("GSI1", keys::live_images(project), image),
            Filter::Tag(tag) => ("GSI1", keys::images_with_tag(project, tag), format!("TAG#{tag}")),
            Filter::Owner(owner) => ("GSI1", keys::images_of_owner(project, owner), format!("OWNER#{owner}")),
            Filter::State(ListedState::Trashed) => ("GSI1", keys::trashed_images(project), image),
            Filter::State(state @ (ListedState::Pending | ListedState::Processing | ListedState::Failed)) => {
                ("GSI2", keys::images_in_state(project, state.name()), image)
            }
        };
        Self { index, partition, sort }
    }

    /// The key of the row that stands for an image, as the index has it.
    fn row(&self, project: ProjectId, at: Position) -> Item {
        let mut key = primary_key(keys::image(project, at.image), &self.sort);
        key.insert(format!("{}PK", self.index), text(&self.partition));
        key.insert(format!("{}SK", self.index), text(keys::listed(at)));
        key
    }

    /// Where a row of the index stands.
    fn position(&self, operation: &'static str, row: &Item) -> Result<Position, Unavailable> {
        let sort = row.get(&format!("{}SK", self.index)).and_then(|sort| sort.as_s().ok());
        sort.and_then(|sort| keys::parse_listed(sort))
            .ok_or_else(|| Unavailable::new(operation, "a row of a list stands nowhere"))
    }
}

#[derive(Deserialize)]
struct Summarised {
    summary: ImageSummary,
}

impl ListImages for Store {
    async fn list_images(
        &self, project: ProjectId, query: &ListQuery,
    ) -> Result<Page<ImageSummary, Position>, Unavailable> {
        const OPERATION: &str = "list_images";
        let place = Place::of(project, &query.filter);
        let sort = format!("{}SK", place.index);
        let from = query.created_after.map(ImageId::first_of);
        let before = query.created_before.map(ImageId::first_of);
        let (condition, values) = match (from, before) {
            (None, None) => (String::new(), vec![]),
            (Some(from), None) => (format!(" AND {sort} >= :from"), vec![(":from", from)]),
            (None, Some(before)) => (format!(" AND {sort} < :before"), vec![(":before", before)]),
            (Some(from), Some(before)) => match before.previous().filter(|last| from <= *last) {
                Some(last) => {
                    (format!(" AND {sort} BETWEEN :from AND :last"), vec![(":from", from), (":last", last)])
                }
                // DynamoDB refuses a range that ends before it begins.
                None => return Ok(Page { rows: vec![], after: None }),
            },
        };
        let mut request = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(place.index)
            .key_condition_expression(format!("{}PK = :partition{condition}", place.index))
            .expression_attribute_values(":partition", text(&place.partition))
            .scan_index_forward(match query.order {
                Order::Newest => false,
                Order::Oldest => true,
            })
            .set_exclusive_start_key(query.after.map(|after| place.row(project, after)))
            // One more than asked for tells whether there is another page.
            .limit(i32::try_from(query.limit.saturating_add(1)).unwrap_or(i32::MAX));
        for (name, id) in values {
            request = request.expression_attribute_values(name, text(id.to_string()));
        }
        let found = request.send().await.map_err(|e| unavailable(OPERATION, e))?;
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let mut rows = found.items.unwrap_or_default();
        let more = rows.len() > limit || found.last_evaluated_key.is_some();
        rows.truncate(limit);
        let last = rows.last().filter(|_| more);
        let after = last.map(|row| place.position(OPERATION, row)).transpose()?;
        let rows = match &query.filter {
            Filter::Live | Filter::State(_) => rows
                .into_iter()
                .map(|row| Ok(decode::<Summarised>(OPERATION, row)?.summary))
                .collect::<Result<_, Unavailable>>()?,
            Filter::Tag(_) | Filter::Owner(_) => {
                let positions = rows.iter().map(|row| place.position(OPERATION, row));
                self.summaries(OPERATION, project, &positions.collect::<Result<Vec<_>, _>>()?).await?
            }
        };
        Ok(Page { rows, after })
    }
}

impl Store {
    /// What lists show of these images, in this order. The index may lag behind: what is gone or in the trash by
    /// now is left out.
    async fn summaries(
        &self, operation: &'static str, project: ProjectId, positions: &[Position],
    ) -> Result<Vec<ImageSummary>, Unavailable> {
        let keys = positions.iter().map(|at| primary_key(keys::image(project, at.image), "IMAGE"));
        let mut found = HashMap::new();
        let mut wait = FIRST_WAIT;
        let mut wanted = Some(keys.collect::<Vec<_>>()).filter(|keys| !keys.is_empty());
        for attempt in 0..BATCHES {
            let Some(keys) = wanted.take() else { break };
            if attempt > 0 {
                tokio::time::sleep(wait).await;
                wait *= 2;
            }
            let keys = KeysAndAttributes::builder()
                .set_keys(Some(keys))
                .projection_expression("summary")
                .build()
                .map_err(|e| Unavailable::new(operation, e))?;
            let batch = self.client.batch_get_item().request_items(&self.table, keys).send().await;
            let batch = batch.map_err(|e| unavailable(operation, e))?;
            for item in batch.responses.unwrap_or_default().into_values().flatten() {
                let summary = decode::<Summarised>(operation, item)?.summary;
                found.insert(summary.id, summary);
            }
            wanted = batch
                .unprocessed_keys
                .and_then(|mut left| left.remove(&self.table))
                .map(|left| left.keys)
                .filter(|keys| !keys.is_empty());
        }
        if wanted.is_some() {
            return Err(Unavailable {
                throttled: true,
                ..Unavailable::new(operation, "keys left unprocessed")
            });
        }
        let listed = positions.iter().filter_map(|at| found.remove(&at.image));
        Ok(listed.filter(ImageSummary::is_live).collect())
    }
}

impl ListTags for Store {
    async fn list_tags(
        &self, project: ProjectId, query: &TagQuery,
    ) -> Result<Page<TagCount, Tag>, Unavailable> {
        const OPERATION: &str = "list_tags";
        let partition = keys::project(project);
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let mut rows: Vec<TagCount> = vec![];
        let mut start = query.after.as_ref().map(|tag| primary_key(&partition, keys::tag_count(tag)));
        let mut seen = query.after.clone();
        let mut more = true;
        for _ in 0..TAG_QUERIES {
            let found = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression("PK = :partition AND begins_with(SK, :prefix)")
                .expression_attribute_values(":partition", text(&partition))
                .expression_attribute_values(":prefix", text(keys::tag_counts(&query.prefix)))
                .set_exclusive_start_key(start.take())
                .limit(i32::try_from(query.limit.saturating_add(1)).unwrap_or(i32::MAX))
                .send()
                .await
                .map_err(|e| unavailable(OPERATION, e))?;
            start = found.last_evaluated_key;
            for item in found.items.unwrap_or_default() {
                let row: TagCount = decode(OPERATION, item)?;
                if rows.len() == limit && row.images > 0 {
                    return Ok(Page { rows, after: seen });
                }
                seen = Some(row.tag.clone());
                if row.images > 0 {
                    rows.push(row);
                }
            }
            more = start.is_some();
            if !more {
                break;
            }
        }
        Ok(Page { rows, after: seen.filter(|_| more) })
    }
}

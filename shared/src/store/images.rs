//! Images: found, listed, and changed in one transaction with their due entry and their event.

use std::future::Future;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{Delete, DeleteRequest, Put, TransactWriteItem, WriteRequest};

use super::item::{Item, decode, encode, number, primary_key, text, unavailable};
use super::{Store, due, events, keys};
use crate::domain::error::{CommitError, FindImageError};
use crate::domain::image::{Change, Image, State};
use crate::domain::page::{ListQuery, Page};
use crate::domain::summary::ImageSummary;
use crate::domain::{Event, EventId, EventKind, ImageId, ProjectId, Time, Unavailable};

const SORT_KEY: &str = "IMAGE";

/// Reads one image, as it is now.
pub trait FindImage {
    /// The image of this project by this id.
    fn find_image(
        &self, project: ProjectId, image: ImageId,
    ) -> impl Future<Output = Result<Image, FindImageError>> + Send;
}

/// Reads a page of a project's images.
pub trait ListImages {
    /// The live images, the newest first.
    fn list_images(
        &self, project: ProjectId, query: &ListQuery,
    ) -> impl Future<Output = Result<Page<ImageSummary>, Unavailable>> + Send;
}

/// Writes a change of an image.
pub trait CommitImage {
    /// Writes the image, its due entry and its event, all or nothing, if the image still is as it was
    /// `before` (`None`: if there is none).
    fn commit_image(
        &self, before: Option<&Image>, change: &Change, event: EventId,
    ) -> impl Future<Output = Result<(), CommitError>> + Send;
}

/// Deletes what the table holds of an image.
pub trait EraseRows {
    /// Deletes the rows that belong to a purging image, and last the image itself, with the event that
    /// says so. Erasing twice is erasing once.
    fn erase_rows(
        &self, image: &Image, event: EventId, now: Time,
    ) -> impl Future<Output = Result<(), Unavailable>> + Send;
}

impl FindImage for Store {
    async fn find_image(&self, project: ProjectId, image: ImageId) -> Result<Image, FindImageError> {
        const OPERATION: &str = "find_image";
        let found = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(primary_key(keys::image(project, image), SORT_KEY)))
            // What is decided on it is written only if it is still so; a stale read would just cost another.
            .consistent_read(true)
            .send()
            .await
            .map_err(|e| FindImageError::Unavailable(unavailable(OPERATION, e)))?;
        let item = found.item.ok_or(FindImageError::NotFound)?;
        decode(OPERATION, item).map_err(FindImageError::Unavailable)
    }
}

impl ListImages for Store {
    async fn list_images(
        &self, project: ProjectId, query: &ListQuery,
    ) -> Result<Page<ImageSummary>, Unavailable> {
        const OPERATION: &str = "list_images";
        let partition = keys::live_images(project);
        let start = query.after.map(|after| {
            let mut key = primary_key(keys::image(project, after), SORT_KEY);
            key.insert("GSI1PK".into(), text(&partition));
            key.insert("GSI1SK".into(), text(after.to_string()));
            key
        });
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let found = self
            .client
            .query()
            .table_name(&self.table)
            .index_name("GSI1")
            .key_condition_expression("GSI1PK = :partition")
            .expression_attribute_values(":partition", text(&partition))
            .scan_index_forward(false)
            .set_exclusive_start_key(start)
            // One more than asked for tells whether there is another page.
            .limit(i32::try_from(query.limit.saturating_add(1)).unwrap_or(i32::MAX))
            .send()
            .await
            .map_err(|e| unavailable(OPERATION, e))?;
        let more = found.last_evaluated_key.is_some();
        let mut rows = Vec::with_capacity(limit);
        for item in found.items.unwrap_or_default() {
            #[derive(serde::Deserialize)]
            struct Row {
                summary: ImageSummary,
            }
            rows.push(decode::<Row>(OPERATION, item)?.summary);
        }
        let more = rows.len() > limit || more;
        rows.truncate(limit);
        let after = rows.last().filter(|_| more).map(|row| row.id);
        Ok(Page { rows, after })
    }
}

impl CommitImage for Store {
    async fn commit_image(
        &self, before: Option<&Image>, change: &Change, event: EventId,
    ) -> Result<(), CommitError> {
        const OPERATION: &str = "commit_image";
        let image = &change.image;
        let mut put = Put::builder().table_name(&self.table).set_item(Some(image_item(OPERATION, image)?));
        put = match before {
            None => put.condition_expression("attribute_not_exists(PK)"),
            Some(before) => put
                .condition_expression("version = :version AND revision = :revision")
                .expression_attribute_values(":version", number(before.version))
                .expression_attribute_values(":revision", number(before.revision)),
        };
        let put = put.build().map_err(|e| CommitError::Unavailable(Unavailable::new(OPERATION, e)))?;
        let mut writes = due::moves(&self.table, OPERATION, before, image)?;
        if let Some(kind) = change.event {
            writes.push(self.log(OPERATION, &event_of(image, kind, event))?);
        }
        if writes.is_empty() {
            return self.put_alone(OPERATION, put).await;
        }
        writes.insert(0, TransactWriteItem::builder().put(put).build());
        let sent = self.client.transact_write_items().set_transact_items(Some(writes)).send().await;
        match sent {
            Ok(_) => Ok(()),
            Err(error) if lost_the_race(&error) => Err(CommitError::Conflict),
            Err(error) => Err(CommitError::Unavailable(unavailable(OPERATION, error))),
        }
    }
}

impl EraseRows for Store {
    async fn erase_rows(&self, image: &Image, event: EventId, now: Time) -> Result<(), Unavailable> {
        const OPERATION: &str = "erase_rows";
        let partition = keys::image(image.project, image.id);
        loop {
            let found = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression("PK = :partition")
                .expression_attribute_values(":partition", text(&partition))
                .projection_expression("PK, SK")
                .consistent_read(true)
                .limit(25)
                .send()
                .await
                .map_err(|e| unavailable(OPERATION, e))?;
            let children: Vec<Item> = found
                .items
                .unwrap_or_default()
                .into_iter()
                .filter(|item| item.get("SK") != Some(&text(SORT_KEY)))
                .collect();
            if children.is_empty() {
                break;
            }
            self.delete_batch(OPERATION, children).await?;
        }
        self.delete_image(OPERATION, image, event, now).await
    }
}

impl Store {
    async fn put_alone(&self, operation: &'static str, put: Put) -> Result<(), CommitError> {
        let sent = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(put.item))
            .set_condition_expression(put.condition_expression)
            .set_expression_attribute_values(put.expression_attribute_values)
            .send()
            .await;
        match sent {
            Ok(_) => Ok(()),
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => {
                Err(CommitError::Conflict)
            }
            Err(error) => Err(CommitError::Unavailable(unavailable(operation, error))),
        }
    }

    async fn delete_batch(&self, operation: &'static str, rows: Vec<Item>) -> Result<(), Unavailable> {
        let requests = rows
            .into_iter()
            .map(|key| {
                let delete = DeleteRequest::builder().set_key(Some(key)).build();
                Ok(WriteRequest::builder()
                    .delete_request(delete.map_err(|e| Unavailable::new(operation, e))?)
                    .build())
            })
            .collect::<Result<Vec<_>, Unavailable>>()?;
        self.client
            .batch_write_item()
            .request_items(&self.table, requests)
            .send()
            .await
            .map_err(|e| unavailable(operation, e))?;
        // What the service left unprocessed turns up in the next query.
        Ok(())
    }

    async fn delete_image(
        &self, operation: &'static str, image: &Image, event: EventId, now: Time,
    ) -> Result<(), Unavailable> {
        let delete = Delete::builder()
            .table_name(&self.table)
            .set_key(Some(primary_key(keys::image(image.project, image.id), SORT_KEY)))
            .condition_expression("#state = :purging")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":purging", text(State::Purging.name()))
            .build()
            .map_err(|e| Unavailable::new(operation, e))?;
        let gone = Image { revision: image.revision + 1, updated_at: now, due: None, ..image.clone() };
        let mut writes = vec![TransactWriteItem::builder().delete(delete).build()];
        writes.extend(due::forgets(&self.table, operation, image)?);
        writes.push(self.log(operation, &event_of(&gone, EventKind::Purged, event))?);
        match self.client.transact_write_items().set_transact_items(Some(writes)).send().await {
            Ok(_) => Ok(()),
            // Somebody else erased it in the meantime.
            Err(error) if lost_the_race(&error) => Ok(()),
            Err(error) => Err(unavailable(operation, error)),
        }
    }

    fn log(&self, operation: &'static str, event: &Event) -> Result<TransactWriteItem, Unavailable> {
        let item = events::event_item(operation, event)?;
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(item))
            .build()
            .map_err(|e| Unavailable::new(operation, e))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }
}

impl From<Unavailable> for CommitError {
    fn from(error: Unavailable) -> Self {
        Self::Unavailable(error)
    }
}

fn event_of(image: &Image, kind: EventKind, id: EventId) -> Event {
    Event {
        id,
        kind,
        project: image.project,
        subject: image.id,
        sequence: image.sequence(),
        time: image.updated_at,
        upload: image.upload,
    }
}

/// The image's row, in the indexes that its state puts it in.
fn image_item(operation: &'static str, image: &Image) -> Result<Item, Unavailable> {
    let (project, id) = (image.project, image.id.to_string());
    let mut key = primary_key(keys::image(project, image.id), SORT_KEY);
    let listed = match &image.state {
        State::Pending | State::Processing { .. } | State::Ready { .. } | State::Failed { .. } => {
            Some((keys::live_images(project), id.clone()))
        }
        State::Trashed { trashed_at } => Some((keys::trashed_images(project), format!("{trashed_at}#{id}"))),
        State::Purging => None,
    };
    if let Some((partition, sort)) = listed {
        key.insert("GSI1PK".into(), text(partition));
        key.insert("GSI1SK".into(), text(sort));
    }
    match &image.state {
        State::Pending | State::Processing { .. } | State::Failed { .. } => {
            key.insert("GSI2PK".into(), text(keys::images_in_state(project, image.state.name())));
            key.insert("GSI2SK".into(), text(id));
        }
        State::Ready { .. } | State::Trashed { .. } | State::Purging => {}
    }
    let summary = ImageSummary::from(image);
    let summary = serde_dynamo::to_attribute_value(summary).map_err(|e| Unavailable::new(operation, e))?;
    key.insert("summary".into(), summary);
    encode(operation, "image", key, image)
}

/// Whether a transaction failed because somebody else's write came first.
fn lost_the_race(error: &SdkError<TransactWriteItemsError>) -> bool {
    let SdkError::ServiceError(context) = error else { return false };
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = context.err() else {
        return false;
    };
    cancelled
        .cancellation_reasons()
        .iter()
        .any(|reason| matches!(reason.code(), Some("ConditionalCheckFailed" | "TransactionConflict")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::image::{Capture, Declared, Due, DueKind, Failure, Lease, Picture};
    use crate::domain::{PresetName, UploadId, Variant, VariantFormat, Visibility};
    use proptest::prelude::*;
    use ulid::Ulid;

    fn picture() -> impl Strategy<Value = Picture> {
        let facts = (any::<u32>(), any::<u32>(), any::<u32>(), any::<u64>(), ".{0,9}");
        let made =
            (any::<Option<String>>(), any::<Option<String>>(), prop::collection::vec(any::<u64>(), 0..3));
        (facts, made).prop_map(|((width, height, frames, bytes, text), (taken_at, camera, sizes))| {
            let (preset, format) = (PresetName::W640, VariantFormat::Webp);
            Picture {
                content_type: "image/jpeg".into(),
                extension: "jpg".into(),
                width,
                height,
                frames,
                bytes,
                sha256: text.clone(),
                thumbhash: text,
                dominant_color: "#102030".into(),
                capture: Capture { taken_at, camera, ..Capture::default() },
                variants: sizes
                    .into_iter()
                    .map(|bytes| Variant { preset, format, width, height, bytes })
                    .collect(),
                ..Picture::default()
            }
        })
    }

    fn time() -> impl Strategy<Value = Time> {
        any::<i64>().prop_map(Time::from_millis)
    }

    fn state() -> impl Strategy<Value = State> {
        prop_oneof![
            Just(State::Pending),
            (".{0,9}", time()).prop_map(|(owner, until)| State::Processing { lease: Lease { owner, until } }),
            picture().prop_map(|picture| State::Ready { picture }),
            (".{0,9}", ".{0,9}", any::<bool>()).prop_map(|(code, detail, retryable)| State::Failed {
                failure: Failure { code, detail, retryable }
            }),
            time().prop_map(|trashed_at| State::Trashed { trashed_at }),
            Just(State::Purging),
        ]
    }

    fn image() -> impl Strategy<Value = Image> {
        let ids = (any::<u128>(), any::<u128>(), any::<u128>());
        let counted = (any::<u64>(), any::<u64>(), any::<u64>());
        (ids, counted, state(), any::<Option<String>>(), (time(), time()), any::<bool>()).prop_map(
            |((id, project, upload), (version, revision, bytes), state, title, (created_at, at), flag)| {
                Image {
                    id: ImageId::new(Ulid(id)),
                    project: ProjectId::new(Ulid(project)),
                    upload: UploadId::new(Ulid(upload)),
                    declared: Declared { content_type: "image/png".into(), bytes },
                    visibility: if flag { Visibility::Public } else { Visibility::Private },
                    title,
                    created_at,
                    updated_at: at,
                    version,
                    revision,
                    due: flag.then_some(Due { at, kind: DueKind::Purge }),
                    state,
                }
            },
        )
    }

    proptest! {
        #[test]
        fn an_image_reads_back_from_its_item(image in image()) {
            let item = image_item("test", &image).unwrap();
            prop_assert_eq!(decode::<Image>("test", item).unwrap(), image);
        }

        /// Another version of the functions may have written it.
        #[test]
        fn attributes_that_this_version_does_not_know_are_passed_over(image in image()) {
            let mut item = image_item("test", &image).unwrap();
            item.insert("album".into(), text("alb_1"));
            item.insert("schema".into(), number(2));
            prop_assert_eq!(decode::<Image>("test", item).unwrap(), image);
        }

        /// Live images are in the list, trashed ones in the trash, unfinished ones in the list of their
        /// state; one that is being purged is nowhere.
        #[test]
        fn an_image_is_in_the_indexes_of_its_state(image in image()) {
            let item = image_item("test", &image).unwrap();
            let (project, id) = (image.project, image.id);
            let index = |number: u8| {
                let part = |name: &str| item.get(&format!("GSI{number}{name}")).map(|v| v.as_s().unwrap().clone());
                assert_eq!(part("PK").is_some(), part("SK").is_some());
                part("PK").zip(part("SK"))
            };
            let name = image.state.name();
            let live = (format!("P#{project}#IMAGE"), id.to_string());
            let listed = match image.state {
                State::Trashed { trashed_at } => Some((format!("P#{project}#TRASH"), format!("{trashed_at}#{id}"))),
                State::Purging => None,
                _ => Some(live),
            };
            prop_assert_eq!(index(1), listed);
            let waiting = matches!(name, "pending" | "processing" | "failed");
            prop_assert_eq!(index(2), waiting.then(|| (format!("P#{project}#STATE#{name}"), id.to_string())));
        }

        /// The indexes carry the summary, so a list shows what the image says.
        #[test]
        fn the_summary_goes_with_the_image(image in image()) {
            let item = image_item("test", &image).unwrap();
            let summary: ImageSummary = serde_dynamo::from_attribute_value(item["summary"].clone()).unwrap();
            prop_assert_eq!(summary, ImageSummary::from(&image));
        }
    }
}

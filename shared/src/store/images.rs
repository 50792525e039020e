//! Images: found, and changed in one transaction with their due entry and their event.

use std::future::Future;

use aws_sdk_dynamodb::types::{DeleteRequest, WriteRequest};

use super::item::{Item, decode, encode, number, primary_key, text, unavailable};
use super::transaction::{Cancelled, Expression, Part, Transaction};
use super::{Store, due, events, idempotency, keys, originals, quota, rows, upload_tokens};
use crate::domain::error::{CommitError, FindImageError};
use crate::domain::image::{Change, Image, State};
use crate::domain::quota::Held;
use crate::domain::summary::ImageSummary;
use crate::domain::{Event, EventId, EventKind, ImageId, ProjectId, Time, Unavailable};

const SORT_KEY: &str = "IMAGE";
/// The state in which an image can be erased.
const PURGING: State = State::Purging { picture: None };

/// Reads one image, as it is now.
pub trait FindImage {
    /// The image of this project by this id.
    fn find_image(
        &self, project: ProjectId, image: ImageId,
    ) -> impl Future<Output = Result<Image, FindImageError>> + Send;
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

impl CommitImage for Store {
    async fn commit_image(
        &self, before: Option<&Image>, change: &Change, event: EventId,
    ) -> Result<(), CommitError> {
        self.commit(before, change, event, &[]).await
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
    /// Writes a change, and gives up references to originals with it.
    pub(super) async fn commit(
        &self, before: Option<&Image>, change: &Change, event: EventId, released: &[originals::Row],
    ) -> Result<(), CommitError> {
        const OPERATION: &str = "commit_image";
        let image = &change.image;
        let condition = match before {
            None => Expression::new("attribute_not_exists(PK)"),
            Some(before) => Expression::new("version = :version AND revision = :revision")
                .value(":version", number(before.version))
                .value(":revision", number(before.revision)),
        };
        let mut transaction = Transaction::new(&self.table, OPERATION);
        transaction.put(Part::Subject, image_item(OPERATION, image)?, Some(condition))?;
        due::moves(&mut transaction, OPERATION, before, image)?;
        rows::moves(&mut transaction, OPERATION, before, image)?;
        let taken = originals::take(&mut transaction, OPERATION, before, image)?;
        let given_up = originals::release(&mut transaction, image.project, released)?;
        let held = Held::by(before).to(Held::by(Some(image))).and(taken).and(given_up);
        quota::settle(&mut transaction, image.project, held, change.within)?;
        if let Some(kind) = change.event {
            log(&mut transaction, OPERATION, &event_of(image, kind, event))?;
        }
        if let Some(token) = change.spends {
            upload_tokens::spend(&mut transaction, image.project, token, image.updated_at)?;
        }
        if let Some(record) = &change.once {
            idempotency::record(&mut transaction, record)?;
        }
        transaction.send(&self.client).await.map_err(|cancelled| match cancelled {
            Cancelled::By(Part::Record, item) => match decode(OPERATION, item) {
                Ok(record) => CommitError::Repeated(Box::new(record)),
                Err(error) => CommitError::Unavailable(error),
            },
            Cancelled::By(Part::Quota, _) => CommitError::QuotaExceeded,
            Cancelled::By(Part::Token, _) => CommitError::TokenSpent,
            Cancelled::By(Part::Original, _) => CommitError::OriginalMoved,
            Cancelled::By(Part::Subject | Part::Issuer(_) | Part::Unconditional, _)
            | Cancelled::Contended => CommitError::Conflict,
            Cancelled::Unavailable(error) => CommitError::Unavailable(error),
        })
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
        let condition = Expression::new("#state = :purging")
            .name("#state", "state")
            .value(":purging", text(PURGING.name()));
        let gone = Image { revision: image.revision + 1, updated_at: now, due: None, ..image.clone() };
        let mut transaction = Transaction::new(&self.table, operation);
        let key = primary_key(keys::image(image.project, image.id), SORT_KEY);
        transaction.delete(Part::Subject, key, Some(condition))?;
        due::forgets(&mut transaction, image)?;
        quota::settle(&mut transaction, image.project, Held::by(Some(image)).to(Held::by(None)), None)?;
        log(&mut transaction, operation, &event_of(&gone, EventKind::Purged, event))?;
        match transaction.send(&self.client).await {
            // Somebody else erased it in the meantime.
            Ok(()) | Err(Cancelled::By(..)) => Ok(()),
            Err(Cancelled::Contended) => Err(Unavailable::new(operation, "others kept writing")),
            Err(Cancelled::Unavailable(error)) => Err(error),
        }
    }
}

/// Writes an event into the log.
fn log(transaction: &mut Transaction<'_>, operation: &'static str, event: &Event) -> Result<(), Unavailable> {
    transaction.put(Part::Unconditional, events::event_item(operation, event)?, None)
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
        traceparent: image.trace.clone(),
        moving_to: image.moving.then_some(image.shown_to()),
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
        State::Trashed { trashed_at, .. } => {
            Some((keys::trashed_images(project), format!("{trashed_at}#{id}")))
        }
        State::Purging { .. } => None,
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
        State::Ready { .. } | State::Trashed { .. } | State::Purging { .. } => {}
    }
    let summary = ImageSummary::from(image);
    let summary = serde_dynamo::to_attribute_value(summary).map_err(|e| Unavailable::new(operation, e))?;
    key.insert("summary".into(), summary);
    encode(operation, "image", key, image)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::details::Details;
    use crate::domain::image::{Capture, Declared, Due, DueKind, Failure, Lease, Picture};
    use crate::domain::parts::Multipart;
    use crate::domain::{PresetName, TokenId, UploadId, Variant, VariantFormat, Visibility};
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
            (time(), proptest::option::of(picture())).prop_map(|(trashed_at, picture)| State::Trashed {
                trashed_at,
                picture,
                failure: None
            }),
            proptest::option::of(picture()).prop_map(|picture| State::Purging { picture }),
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
                    owner: title.as_ref().and_then(|owner| owner.parse().ok()),
                    upload_token: flag.then(|| TokenId::new(Ulid(id))),
                    details: Details {
                        title: title.and_then(|title| title.parse().ok()),
                        ..Details::default()
                    },
                    created_at,
                    updated_at: at,
                    version,
                    revision,
                    trace: None,
                    due: flag.then_some(Due { at, kind: DueKind::Purge }),
                    multipart: flag.then(|| Multipart {
                        upload: UploadId::new(Ulid(upload)),
                        id: "s3".into(),
                        part_bytes: None,
                    }),
                    replacement: None,
                    replacement_failure: None,
                    superseded: vec![],
                    worked_on_until: flag.then_some(at),
                    moving: flag,
                    doomed: vec![],
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
                State::Trashed { trashed_at, .. } => Some((format!("P#{project}#TRASH"), format!("{trashed_at}#{id}"))),
                State::Purging { .. } => None,
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

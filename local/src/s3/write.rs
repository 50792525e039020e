//! Makes a received body an object: one transaction, then the notifications.

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::Connection;
use s3s::dto::ETagCondition;
use s3s::{S3Error, S3Result, s3_error};

use super::access::Caller;
use super::attributes::Attributes;
use super::blobs::Blob;
use super::index::{self, Object};
use super::{State, notification, uploads};
use crate::template::model::Bucket;

/// An object about to be.
pub(super) struct Write {
    pub bucket: String,
    pub key: String,
    pub blob: Blob,
    pub size: u64,
    pub etag: String,
    pub attributes: Attributes,
    pub conditions: WriteConditions,
    /// The multipart upload that ends with this write.
    pub upload: Option<String>,
    /// `ObjectCreated:Put` and the like.
    pub event: &'static str,
    pub caller: Caller,
}

/// What must be true of the object that is there now.
#[derive(Default)]
pub(super) struct WriteConditions {
    pub if_match: Option<ETagCondition>,
    pub if_none_match: Option<ETagCondition>,
}

enum Outcome {
    Written { garbage: Vec<String>, owed: Vec<i64>, modified: i64 },
    NoSuchKey,
    ConditionFailed,
    NoSuchUpload,
}

impl WriteConditions {
    pub fn new(if_match: Option<ETagCondition>, if_none_match: Option<ETagCondition>) -> S3Result<Self> {
        // https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
        if if_none_match.as_ref().is_some_and(|condition| !condition.is_any()) {
            return Err(s3_error!(
                NotImplemented,
                "A header you provided implies functionality that is not implemented: \
                 If-None-Match with anything but *"
            ));
        }
        Ok(Self { if_match, if_none_match })
    }

    /// `None` if the write may go on.
    fn refuse(&self, existing: Option<&Object>) -> Option<Outcome> {
        if self.if_none_match.is_some() && existing.is_some() {
            return Some(Outcome::ConditionFailed);
        }
        let if_match = self.if_match.as_ref()?;
        let Some(existing) = existing else {
            return Some(Outcome::NoSuchKey);
        };
        let matches = if_match.as_etag().is_none_or(|etag| etag.value() == existing.etag);
        (!matches).then_some(Outcome::ConditionFailed)
    }
}

/// Commits a write and delivers what it owes; returns the time of the new object.
///
/// It runs to the end even if the client goes away: a committed object must not wait for the next
/// one to get its notifications out.
pub(super) async fn commit(state: &Arc<State>, write: Write) -> S3Result<i64> {
    let state = Arc::clone(state);
    let task = async move {
        let bucket = state.bucket(&write.bucket)?.clone();
        let outcome = state.index.run(move |connection| transact(connection, &bucket, write)).await?;
        match outcome {
            (name, Outcome::Written { garbage, owed, modified }) => {
                state.blobs.remove(&name, garbage).await;
                state.outbox.deliver(&state.index, &owed).await?;
                Ok(modified)
            }
            (_, Outcome::NoSuchKey) => Err(s3_error!(NoSuchKey, "The specified key does not exist.")),
            (_, Outcome::ConditionFailed) => Err(condition_failed()),
            (_, Outcome::NoSuchUpload) => Err(uploads::no_such_upload()),
        }
    };
    tokio::spawn(task).await.map_err(S3Error::internal_error)?
}

pub(super) fn condition_failed() -> S3Error {
    s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold")
}

fn transact(
    connection: &mut Connection, bucket: &Bucket, write: Write,
) -> rusqlite::Result<(String, Outcome)> {
    let transaction = connection.transaction()?;
    let existing = index::get(&transaction, &bucket.name, &write.key)?;
    if let Some(refusal) = write.conditions.refuse(existing.as_ref()) {
        return Ok((write.bucket, refusal));
    }
    let mut garbage = Vec::new();
    if let Some(upload) = &write.upload {
        match uploads::remove(&transaction, &write.bucket, &write.key, upload)? {
            Some(parts) => garbage.extend(parts),
            None => return Ok((write.bucket, Outcome::NoSuchUpload)),
        }
    }
    garbage.extend(existing.map(|object| object.file));
    let object = Object {
        key: write.key,
        file: write.blob.name().to_owned(),
        size: write.size,
        etag: write.etag,
        modified: Timestamp::now().as_millisecond(),
        attributes: write.attributes,
    };
    index::put(&transaction, &write.bucket, &object)?;
    let owed = notification::enqueue_created(&transaction, bucket, &object, write.event, &write.caller)?;
    transaction.commit()?;
    write.blob.keep();
    Ok((write.bucket, Outcome::Written { garbage, owed, modified: object.modified }))
}

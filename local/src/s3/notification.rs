//! Event notifications: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>

use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rusqlite::Transaction;
use s3s::{S3Result, s3_error};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use ulid::Ulid;

use super::access::Caller;
use super::index::{self, Index, Object};
use super::{Notify, REGION};
use crate::template::model::{Bucket, Notification};

/// What S3 leaves as it is in the keys of events and of URL-encoded listings, spaces apart.
const KEY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'*').remove(b'/');

/// A key as events and URL-encoded listings write it: `+` for a space.
pub(super) fn encode_key(key: &str) -> String {
    utf8_percent_encode(key, KEY).to_string().replace("%20", "+")
}

/// A value as a query string writes it.
pub(super) fn encode_query(value: &str) -> String {
    utf8_percent_encode(value, NON_ALPHANUMERIC).to_string()
}

/// Sends the notifications that the index owes.
pub(super) struct Outbox {
    notify: Notify,
    /// One delivery at a time: otherwise two writers would both send what they find.
    delivering: Mutex<()>,
}

impl Outbox {
    pub fn new(notify: Notify) -> Self {
        Self { notify, delivering: Mutex::new(()) }
    }

    /// Sends everything that is owed, and fails if one of `own` could not be sent.
    pub async fn deliver(&self, index: &Index, own: &[i64]) -> S3Result<()> {
        if own.is_empty() {
            return Ok(());
        }
        let failed = self.flush(index).await?;
        if own.iter().any(|id| failed.contains(id)) {
            return Err(s3_error!(InternalError, "The notification could not be delivered."));
        }
        Ok(())
    }

    /// Sends everything that is owed; what cannot be sent stays owed.
    pub async fn deliver_all(&self, index: &Index) -> S3Result<()> {
        self.flush(index).await.map(drop)
    }

    async fn flush(&self, index: &Index) -> S3Result<Vec<i64>> {
        let _one_at_a_time = self.delivering.lock().await;
        let mut failed = Vec::new();
        for (id, queue, body) in index.run(|connection| index::owed(connection)).await? {
            match (self.notify)(queue.clone(), body).await {
                Ok(()) => {
                    index.run(move |connection| index::delivered(connection, id)).await?;
                }
                Err(error) => {
                    tracing::warn!(queue, error, "cannot deliver an S3 notification");
                    failed.push(id);
                }
            }
        }
        Ok(failed)
    }
}

/// Owes what a bucket's notifications promise for an object that is being created.
pub(super) fn enqueue_created(
    transaction: &Transaction<'_>, bucket: &Bucket, object: &Object, event: &str, caller: &Caller,
) -> rusqlite::Result<Vec<i64>> {
    let sequencer = index::next_sequencer(transaction, object.modified)?;
    let mut owed = Vec::new();
    for (number, notification) in bucket.notifications.iter().enumerate() {
        if !wants(notification, event, &object.key) {
            continue;
        }
        let configuration = format!("{}-{number}", bucket.id);
        let body = created(&bucket.name, &configuration, object, event, caller, sequencer);
        owed.push(index::enqueue(transaction, &notification.queue, &body.to_string())?);
    }
    Ok(owed)
}

fn wants(notification: &Notification, event: &str, key: &str) -> bool {
    let named = notification.events.iter().any(|pattern| {
        let pattern = pattern.strip_prefix("s3:").unwrap_or(pattern);
        match pattern.strip_suffix('*') {
            Some(start) => event.starts_with(start),
            None => event == pattern,
        }
    });
    named && key.starts_with(&notification.prefix) && key.ends_with(&notification.suffix)
}

fn created(
    bucket: &str, configuration: &str, object: &Object, event: &str, caller: &Caller, sequencer: i64,
) -> Value {
    json!({ "Records": [{
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": REGION,
        "eventTime": iso(object.modified),
        "eventName": event,
        "userIdentity": { "principalId": format!("AWS:{}", caller.identity.name) },
        "requestParameters": { "sourceIPAddress": caller.source_ip },
        "responseElements": {
            "x-amz-request-id": caller.request_id,
            "x-amz-id-2": caller.request_id,
        },
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": configuration,
            "bucket": {
                "name": bucket,
                "ownerIdentity": { "principalId": "root" },
                "arn": format!("arn:aws:s3:::{bucket}"),
            },
            "object": {
                "key": encode_key(&object.key),
                "size": object.size,
                "eTag": object.etag,
                "sequencer": format!("{sequencer:018X}"),
            },
        },
    }]})
}

/// What S3 sends to a queue when a notification is configured.
pub(super) fn test_events(bucket: &Bucket) -> Vec<(String, String)> {
    let event = |notification: &Notification| {
        let request = Ulid::new().to_string();
        let body = json!({
            "Service": "Amazon S3",
            "Event": "s3:TestEvent",
            "Time": iso(Timestamp::now().as_millisecond()),
            "Bucket": bucket.name,
            "RequestId": request,
            "HostId": request,
        });
        (notification.queue.clone(), body.to_string())
    };
    bucket.notifications.iter().map(event).collect()
}

fn iso(millis: i64) -> String {
    let time = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH);
    time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

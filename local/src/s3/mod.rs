//! The embedded S3: what the functions of a stack see as Amazon S3.
//!
//! `s3s` speaks the protocol (signatures, streaming uploads, XML); everything here is what it means:
//! `index` says which objects exist, `blobs` holds their bytes, `operations` maps requests to both.
//! A write becomes visible in one transaction of the index, together with the notifications that it
//! owes, so that a crash leaves either the old object or the new one and loses no event.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

use futures::future::BoxFuture;
use http::StatusCode;
use jiff::Timestamp;
use s3s::path::check_bucket_name;
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::faults::Faults;
use crate::iam::Identities;
use crate::template::model::Bucket;

mod access;
mod attributes;
mod blobs;
mod checksum;
mod complete;
mod conditions;
mod copy;
mod cors;
mod form;
mod index;
mod listing;
mod multipart;
mod notification;
mod objects;
mod operations;
mod receive;
mod server;
mod uploads;
mod write;

#[cfg(test)]
mod tests;

/// The one region of the stack.
const REGION: &str = "eu-west-1";

/// Delivers a notification to a queue (ARN, body). A write is acknowledged only after this returned
/// `Ok`, so nothing that a client was told is stored can go unnoticed.
pub type Notify = Arc<dyn Fn(String, String) -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// What survives a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// What was acknowledged is on the disk.
    Synced,
    /// For directories that do not outlive the process: nothing waits for the disk.
    Ephemeral,
}

/// The stack's object store.
#[derive(Clone)]
pub struct S3(Arc<State>);

struct State {
    buckets: BTreeMap<String, Bucket>,
    /// When each bucket came to be, in epoch milliseconds.
    created: HashMap<String, i64>,
    index: index::Index,
    blobs: blobs::Blobs,
    outbox: notification::Outbox,
    identities: Arc<Identities>,
}

/// Opens the store in a directory, creating what is missing and removing what a crash left behind.
///
/// A directory is used by one process at a time. A new one sends the `s3:TestEvent`s that S3 sends
/// when notifications are configured; one that was in use sends what could not be delivered before.
pub async fn open(
    root: &Path, durability: Durability, buckets: &[Bucket], identities: Arc<Identities>, notify: Notify,
) -> io::Result<S3> {
    if let Some(bucket) = buckets.iter().find(|bucket| !check_bucket_name(&bucket.name)) {
        let message = format!("{} is no valid bucket name", bucket.name);
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let blobs = blobs::Blobs::new(root, durability);
    let names: Vec<String> = buckets.iter().map(|bucket| bucket.name.clone()).collect();
    for name in &names {
        std::fs::create_dir_all(root.join(name))?;
    }
    if durability == Durability::Synced {
        std::fs::File::open(root)?.sync_all()?;
    }
    let (index, new) = index::Index::open(root, durability, &names)?;
    let mut created = HashMap::new();
    for (name, at) in index.run(|connection| index::buckets(connection)).await.map_err(io_error)? {
        created.insert(name, at);
    }
    for name in names {
        let bucket = name.clone();
        let used = index.run(move |connection| index::files(connection, &bucket)).await;
        blobs.sweep(&name, &used.map_err(io_error)?.into_iter().collect::<HashSet<_>>())?;
    }
    let buckets: BTreeMap<_, _> =
        buckets.iter().map(|bucket| (bucket.name.clone(), bucket.clone())).collect();
    let state =
        State { buckets, created, index, blobs, outbox: notification::Outbox::new(notify), identities };
    if new {
        let events: Vec<_> = state.buckets.values().flat_map(notification::test_events).collect();
        state
            .index
            .run(move |connection| {
                let transaction = connection.transaction()?;
                for (queue, body) in events {
                    index::enqueue(&transaction, &queue, &body)?;
                }
                transaction.commit()
            })
            .await
            .map_err(io_error)?;
    }
    state.outbox.deliver_all(&state.index).await.map_err(io_error)?;
    Ok(S3(Arc::new(state)))
}

impl S3 {
    /// Answers requests until the shutdown, then lets those under way finish.
    pub async fn serve(
        self, listener: TcpListener, faults: Faults, shutdown: CancellationToken,
    ) -> io::Result<()> {
        server::serve(self, listener, faults, shutdown).await
    }

    /// All keys of a bucket with their sizes, in the order of their bytes.
    pub async fn list(&self, bucket: &str) -> io::Result<Vec<(String, u64)>> {
        let bucket = bucket.to_owned();
        let all = listing::Range { limit: usize::MAX, ..listing::Range::default() };
        let listing = self
            .0
            .index
            .run(move |connection| listing::list(connection, &bucket, &all))
            .await
            .map_err(io_error)?;
        Ok(listing.objects.into_iter().map(|object| (object.key, object.size)).collect())
    }

    /// Removes what the buckets' lifecycle rules expire at `now`, and says how many objects that were.
    ///
    /// S3 rounds up to the next midnight; here the age counts exactly. Notifications that could not be
    /// delivered earlier are tried again on the occasion.
    pub async fn expire(&self, now: Timestamp) -> io::Result<usize> {
        let mut expired = 0;
        for bucket in self.0.buckets.values() {
            let Some(age) = bucket.expire_after else {
                continue;
            };
            let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
            let before = now.as_millisecond().saturating_sub(age);
            let name = bucket.name.clone();
            let files = self
                .0
                .index
                .run(move |connection| index::expire(connection, &name, before))
                .await
                .map_err(io_error)?;
            expired += files.len();
            self.0.blobs.remove(&bucket.name, files).await;
        }
        self.0.outbox.deliver_all(&self.0.index).await.map_err(io_error)?;
        Ok(expired)
    }
}

impl State {
    fn bucket(&self, name: &str) -> S3Result<&Bucket> {
        self.buckets.get(name).ok_or_else(|| s3_error!(NoSuchBucket, "The specified bucket does not exist"))
    }
}

fn io_error(error: S3Error) -> io::Error {
    io::Error::other(error)
}

/// An error that the protocol layer has no name for.
fn named_error(name: &str, status: StatusCode, message: &'static str) -> S3Error {
    let code = S3ErrorCode::from_bytes(name.as_bytes()).unwrap_or(S3ErrorCode::InvalidRequest);
    let mut error = S3Error::with_message(code, message);
    error.set_status_code(status);
    error
}

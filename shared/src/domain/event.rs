//! Events: what happened to an image, as the log, the outbox and the webhooks have it.

use serde::{Deserialize, Serialize};

use super::{EventId, ImageId, ProjectId, Time, TraceParent, UploadId, Visibility};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EventKind {
    /// A place for its bytes was reserved.
    #[serde(rename = "image.created")]
    Created,
    /// Its variants can be fetched.
    #[serde(rename = "image.ready")]
    Ready,
    /// Its bytes cannot be used.
    #[serde(rename = "image.failed")]
    Failed,
    /// A place for new bytes was reserved.
    #[serde(rename = "image.replacing")]
    Replacing,
    /// It has new variants; the old ones are being erased.
    #[serde(rename = "image.replaced")]
    Replaced,
    /// The new bytes cannot be used; the old ones stay.
    #[serde(rename = "image.replacement_failed")]
    ReplacementFailed,
    /// Somebody said something else of it, or showed it to others.
    #[serde(rename = "image.updated")]
    Updated,
    /// It was put into the trash.
    #[serde(rename = "image.trashed")]
    Trashed,
    /// It was brought back from the trash.
    #[serde(rename = "image.restored")]
    Restored,
    /// Its bytes are being deleted.
    #[serde(rename = "image.purging")]
    Purging,
    /// Nothing of it is left.
    #[serde(rename = "image.purged")]
    Purged,
}

/// One entry of the log: a `CloudEvents` 1.0 event. Paths only, no URL and no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Unique, and in the order of creation within a subject.
    pub id: EventId,
    /// `CloudEvents` `type`. The table has an attribute `type` of its own on every item.
    #[serde(rename = "event")]
    pub kind: EventKind,
    /// The project, which is the event's `source`.
    pub project: ProjectId,
    /// The image that it is about.
    pub subject: ImageId,
    /// Rises with every event of the subject.
    pub sequence: u64,
    /// When.
    pub time: Time,
    /// The upload that the image had.
    pub upload: UploadId,
    /// The trace that it belongs to: `CloudEvents`' extension for distributed tracing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<TraceParent>,
    /// Where its variants have to be moved, if they may lie on the other side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moving_to: Option<Visibility>,
}

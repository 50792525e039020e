//! Images and the states they go through.
//!
//! Every change is a function from the image as it was to the image as it is to be. The store writes the
//! result only if nobody changed the image in between, so the rules stand here alone.
//!
//! ```text
//! pending -> processing -> ready | failed      any of these <-> trashed -> purging -> gone
//! ```

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::details::{Details, Unfit, UserId};
use super::idempotency::Record;
use super::parts::Multipart;
use super::preset::Variant;
use super::quota::Limits;
use super::{EventKind, ImageId, ProjectId, Time, TokenId, TraceParent, UploadId};

/// How long a client has to send its bytes.
pub const UPLOAD_WINDOW: Duration = Duration::from_hours(1);
/// How long after that window an upload may still be on its way through the queue.
const PROCESSING_GRACE: Duration = Duration::from_hours(1);
/// When an order to purge that nobody carried out is given again.
const PURGE_RETRY: Duration = Duration::from_hours(1);

/// Who may see the pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Whoever has a signed path.
    #[default]
    Private,
    /// Everybody.
    Public,
}

/// What a client said it would send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declared {
    /// The media type, one of [`ACCEPTED_TYPES`].
    pub content_type: String,
    /// The size.
    pub bytes: u64,
}

/// The media types that can be uploaded.
pub const ACCEPTED_TYPES: [&str; 9] = [
    "image/jpeg",
    "image/png",
    "image/webp",
    "image/gif",
    "image/avif",
    "image/heic",
    "image/heif",
    "image/tiff",
    "image/bmp",
];

/// The largest upload, in bytes: more than any camera's JPEG, and little enough to work on in memory.
pub const MAXIMUM_BYTES: u64 = 100 * 1024 * 1024;

/// Who works on an upload, and until when nobody else may.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The worker's request id.
    pub owner: String,
    /// When others may take over.
    pub until: Time,
}

/// What is known of a picture once it was processed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Picture {
    /// The media type of the original.
    pub content_type: String,
    /// The original's file extension, which is part of its object key.
    pub extension: String,
    /// Pixels across, upright.
    pub width: u32,
    /// Pixels down, upright.
    pub height: u32,
    /// How many frames the original has.
    pub frames: u32,
    /// The size of the stored original, which is smaller than the upload by its private metadata.
    pub bytes: u64,
    /// SHA-256 of the bytes as they were uploaded, in hex.
    pub sha256: String,
    /// A `ThumbHash`, base64: the picture before the picture.
    pub thumbhash: String,
    /// A `BlurHash`: the same for clients that know no other.
    #[serde(default)]
    pub blurhash: String,
    /// `#rrggbb`.
    pub dominant_color: String,
    /// The colours that make up the picture, the most frequent first.
    #[serde(default)]
    pub palette: Vec<Swatch>,
    /// 64 bits, in hex: near to that of whatever looks alike.
    #[serde(default)]
    pub perceptual_hash: String,
    /// Whether nothing shines through.
    #[serde(default)]
    pub opaque: bool,
    /// Whether the original is not in the format that was uploaded, which could not be cleaned otherwise.
    #[serde(default)]
    pub reencoded: bool,
    /// What the file asked for and did not get: `profile-ignored`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Where the original is kept. Pictures with the same bytes share one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<Original>,
    /// What the camera wrote.
    #[serde(flatten)]
    pub capture: Capture,
    /// The stored renderings.
    pub variants: Vec<Variant>,
}

/// The cleaned bytes of a picture, as an object of the originals' bucket.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Original {
    /// SHA-256 of these bytes, in hex, computed by us: what duplicates are found by.
    pub sha256: String,
    /// The object's key. It contains the upload that was there first, which may be another image's.
    pub key: String,
    /// How many bytes.
    pub bytes: u64,
}

/// A colour of a picture, and how much of it there is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Swatch {
    /// `#rrggbb`.
    #[schema(pattern = "^#[0-9a-f]{6}$")]
    pub color: String,
    /// In thousandths.
    pub permille: u16,
}

/// When, with what and by whom a picture was taken, as far as the camera said.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Capture {
    /// When, by the camera's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_at: Option<String>,
    /// With which camera.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub camera: Option<String>,
    /// Through which lens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lens: Option<String>,
    /// With which settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exposure: Option<Exposure>,
    /// Whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copyright: Option<String>,
    /// By whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artist: Option<String>,
    /// Where. Only a project that asks for it keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
}

/// A camera's settings.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Exposure {
    /// Seconds, as photographers write them: `1/250`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// The focal length over the aperture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub f_number: Option<f64>,
    /// ISO speed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iso: Option<u32>,
    /// Millimetres.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub focal_length: Option<f64>,
    /// Millimetres on 35 mm film with the same angle of view.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub focal_length_35mm: Option<u32>,
    /// Whether the flash fired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flash: Option<bool>,
}

/// A place on Earth (WGS 84).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Location {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// Metres above the sea.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub altitude: Option<f64>,
}

/// Why an upload cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Stable, for programs: `not-an-image`.
    pub code: String,
    /// For people.
    pub detail: String,
    /// Whether the bytes may still be good: processing was cut short, and can be taken up again.
    #[serde(default)]
    pub retryable: bool,
}

/// Where an image stands.
#[allow(clippy::large_enum_variant, reason = "images come one at a time: a box would save nothing")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum State {
    /// Its bytes have not arrived.
    Pending,
    /// Somebody works on them.
    Processing {
        /// Who.
        lease: Lease,
    },
    /// It can be served.
    Ready {
        /// What of.
        picture: Picture,
    },
    /// It never will be.
    Failed {
        /// Why.
        failure: Failure,
    },
    /// It is in the trash.
    Trashed {
        /// Since when.
        trashed_at: Time,
        /// What it is again if it is brought back: the picture, if it was ready.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        picture: Option<Picture>,
        /// The same, if it had failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
    },
    /// Its bytes are being deleted.
    Purging {
        /// What is counted as stored until they are.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        picture: Option<Picture>,
    },
}

impl State {
    /// The state's name on the wire and in keys.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing { .. } => "processing",
            Self::Ready { .. } => "ready",
            Self::Failed { .. } => "failed",
            Self::Trashed { .. } => "trashed",
            Self::Purging { .. } => "purging",
        }
    }
}

/// What a timer is to look at if nothing else happened by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DueKind {
    /// An upload that should have become ready or failed.
    Upload,
    /// A trashed image whose time is up.
    Purge,
    /// Objects that are not where they belong: bytes that were replaced, variants on the other side.
    Erase,
}

/// An image's entry in the list of things that fall due. Each image has one at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    /// When.
    pub at: Time,
    /// What.
    pub kind: DueKind,
}

/// An image: the one record that says where it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Image {
    /// Its id.
    pub id: ImageId,
    /// Its owner.
    pub project: ProjectId,
    /// The upload that its bytes come from.
    pub upload: UploadId,
    /// What the client announced.
    pub declared: Declared,
    /// Who may see it.
    pub visibility: Visibility,
    /// The user of the application whose it is, if it is anybody's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<UserId>,
    /// The upload token that reserved it, which alone of its kind may send it and see what becomes of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload_token: Option<TokenId>,
    /// What people say of it.
    #[serde(flatten)]
    pub details: Details,
    /// When it was reserved.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
    /// Raised by users' changes.
    pub version: u64,
    /// Raised by functions' changes.
    pub revision: u64,
    /// The trace of the request that last changed it, which what follows from that belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceParent>,
    /// When a timer is to look at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Due>,
    /// The upload that is, or was, sent in parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multipart: Option<Multipart>,
    /// New bytes that are under way for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replacement: Option<Replacement>,
    /// Why the last new bytes did not replace the old ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replacement_failure: Option<Failure>,
    /// Uploads whose bytes were replaced and are to be erased.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub superseded: Vec<Superseded>,
    /// Until when somebody may still work on it who does not know yet that it was trashed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worked_on_until: Option<Time>,
    /// Whether variants may lie where the image was to be seen before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub moving: bool,
    /// Keys of originals that nobody refers to any more and that are to be deleted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doomed: Vec<String>,
    /// Where it stands.
    #[serde(flatten)]
    pub state: State,
}

/// New bytes for an image that can be served: the old ones are, until these are ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replacement {
    /// The upload that they come with.
    pub upload: UploadId,
    /// What the client announced.
    pub declared: Declared,
    /// Whether they are no new bytes at all but the image's own original, to be rendered anew.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub again: bool,
    /// Who works on them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Lease>,
    /// When a timer gives them up.
    pub due_at: Time,
}

/// An upload whose bytes were replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Superseded {
    /// Which.
    pub upload: UploadId,
    /// Its original, unless that was given up already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<Original>,
}

/// An image's version: users' edits and functions' edits counted apart, so that `If-Match` minds only the
/// former.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Etag {
    /// Users' edits.
    pub version: u64,
    /// Functions' edits.
    pub revision: u64,
}

impl fmt::Display for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}.{}\"", self.version, self.revision)
    }
}

impl Visibility {
    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Private => Self::Public,
            Self::Public => Self::Private,
        }
    }
}

impl Image {
    /// To whom it is to be seen, and so where its variants belong: what is in the trash, or on its way out of it, to
    /// nobody.
    pub const fn shown_to(&self) -> Visibility {
        match self.state {
            State::Trashed { .. } | State::Purging { .. } => Visibility::Private,
            State::Pending | State::Processing { .. } | State::Ready { .. } | State::Failed { .. } => {
                self.visibility
            }
        }
    }

    /// Since when it is in the trash, if it is there.
    pub const fn trashed_at(&self) -> Option<Time> {
        match self.state {
            State::Trashed { trashed_at, .. } => Some(trashed_at),
            State::Pending
            | State::Processing { .. }
            | State::Ready { .. }
            | State::Failed { .. }
            | State::Purging { .. } => None,
        }
    }
}

/// A new image's particulars.
#[derive(Debug, Clone)]
pub struct NewImage {
    /// What the client announced.
    pub declared: Declared,
    /// Who may see it.
    pub visibility: Visibility,
    /// Whose it is.
    pub owner: Option<UserId>,
    /// What people say of it.
    pub details: Details,
}

/// A change that is allowed: the image to write, and what goes into the table with it or not at all.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The image afterwards.
    pub image: Image,
    /// The event that goes into the log with it.
    pub event: Option<EventKind>,
    /// What the project may hold, where the change takes more of it. What functions do is never refused for
    /// want of space: the bytes are there already.
    pub within: Option<Limits>,
    /// The record that keeps the request from taking effect twice.
    pub once: Option<Record>,
    /// The upload token that it is one use of.
    pub spends: Option<TokenId>,
}

impl Change {
    fn new(image: Image, event: Option<EventKind>) -> Self {
        Self { image, event, within: None, once: None, spends: None }
    }

    /// Only if the project then holds no more than this.
    #[must_use]
    pub fn within(self, limits: Limits) -> Self {
        Self { within: Some(limits), ..self }
    }

    /// Only if this upload token has not been used up. The image is one of its own from then on.
    #[must_use]
    pub fn spending(self, token: Option<TokenId>) -> Self {
        Self { spends: token, image: Image { upload_token: token, ..self.image }, ..self }
    }

    /// As a part of this trace.
    #[must_use]
    pub fn traced(self, trace: Option<TraceParent>) -> Self {
        Self { image: Image { trace, ..self.image }, ..self }
    }

    /// Only if the request has not taken effect already.
    #[must_use]
    pub fn once(self, record: Option<Record>) -> Self {
        Self { once: record, ..self }
    }
}

/// Why a worker may not take an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotClaimable {
    /// Another worker has it: look again later.
    Leased,
    /// There is nothing left to do.
    Settled,
    /// The image is in the trash, and wants the upload again if it is brought back.
    Trashed,
}

/// Why an image cannot be trashed: its bytes are being deleted already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BeingPurged;

/// Why an image cannot get new bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotReplaceable {
    /// It is in the trash.
    Trashed,
    /// Its bytes are being deleted.
    BeingPurged,
    /// Others are still awaited or being worked on.
    Busy,
}

/// Why something else cannot be said of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotEditable {
    /// Its bytes are being deleted.
    BeingPurged,
    /// It would be no image afterwards.
    Unfit(Unfit),
}

/// Why an image cannot be deleted for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotInTrash;

/// Why an image cannot be rendered anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotProcessable {
    /// It cannot get new bytes either.
    NotReplaceable(NotReplaceable),
    /// Its bytes could not be used, and never will be.
    Failed,
}

/// What a timer makes of an image that fell due.
#[derive(Debug, Clone, PartialEq)]
pub enum Overdue {
    /// It has to change.
    Change(Box<Change>),
    /// It has moved on; the entry is a leftover.
    Nothing,
}

mod commands;
#[cfg(test)]
mod tests;

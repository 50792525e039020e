//! What can go wrong. One enum per operation that has outcomes of its own; everything that is merely
//! out of reach is [`Unavailable`].

use super::Scope;
use super::details::Unfit;
use super::idempotency::Record;
use super::image::Etag;

/// DynamoDB or S3 did not do what they were asked, and the caller can only try again.
#[derive(Debug, thiserror::Error)]
#[error("{operation} failed")]
pub struct Unavailable {
    /// What was asked, `reserve_upload`.
    pub operation: &'static str,
    /// Whether the service asked us to slow down.
    pub throttled: bool,
    /// Why.
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

impl Unavailable {
    /// An operation that failed for a reason which is not the network's.
    pub fn new(operation: &'static str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { operation, throttled: false, source: source.into() }
    }
}

/// Why an image could not be found.
#[derive(Debug, thiserror::Error)]
pub enum FindImageError {
    /// There is none by this id in this project.
    #[error("no such image")]
    NotFound,
    /// The table could not be read.
    #[error("the image could not be read")]
    Unavailable(#[source] Unavailable),
}

/// Why a change to an image was not written.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Somebody else changed the image first: read it again and decide anew.
    #[error("the image was changed by somebody else")]
    Conflict,
    /// The request has taken effect already, under the same `Idempotency-Key`.
    #[error("the request was made before")]
    Repeated(Box<Record>),
    /// The project would hold more than it may.
    #[error("the project's quota is used up")]
    QuotaExceeded,
    /// The upload token has been used as often as it may be, or has expired.
    #[error("the upload token is used up")]
    TokenSpent,
    /// The original that the image refers to is not there, or another one with the same bytes is.
    #[error("the original is not where the image says")]
    OriginalMoved,
    /// The table could not be written.
    #[error("the image could not be written")]
    Unavailable(#[source] Unavailable),
}

/// Why something was not written that stands on how it was before.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Somebody else changed it first: read it again and decide anew.
    #[error("it was changed by somebody else")]
    Conflict,
    /// The attempt took effect before.
    #[error("the attempt took effect before")]
    Repeated(Box<Record>),
    /// Another project has what is in this place of what was to be written.
    #[error("another project has it already")]
    Taken(usize),
    /// The table could not be written.
    #[error("it could not be written")]
    Unavailable(#[source] Unavailable),
}

/// Why a project could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeProjectError {
    /// There is none by this id that the caller may see.
    #[error("no such project")]
    NotFound,
    /// It is not at the version that the caller knows.
    #[error("the project is at version {current}")]
    Stale {
        /// The version it is at.
        current: u64,
    },
    /// Another project trusts the issuer in this place, for the same audience.
    #[error("another project has this issuer already")]
    IssuerTaken(usize),
    /// Too many others were writing to it.
    #[error("the project kept changing")]
    Contended,
    /// The table was out of reach.
    #[error("the project could not be changed")]
    Unavailable(#[source] Unavailable),
}

/// Why a key could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeKeyError {
    /// There is none by this id in this project.
    #[error("no such key")]
    NotFound,
    /// It has been revoked.
    #[error("the key has been revoked")]
    Revoked,
    /// It may do what the caller may not.
    #[error("the key has the scope {}", .0.name())]
    Exceeds(Scope),
    /// It is not at the version that the caller knows.
    #[error("the key is at version {current}")]
    Stale {
        /// The version it is at.
        current: u64,
    },
    /// Too many others were writing to it.
    #[error("the key kept changing")]
    Contended,
    /// The attempt took effect before.
    #[error("the attempt took effect before")]
    Repeated(Box<Record>),
    /// The table was out of reach.
    #[error("the key could not be changed")]
    Unavailable(#[source] Unavailable),
}

/// Why an image was not changed as a user wanted it.
#[derive(Debug, thiserror::Error)]
pub enum EditImageError {
    /// There is none by this id that the caller may see.
    #[error("no such image")]
    NotFound,
    /// Its bytes are being deleted already.
    #[error("the image is being purged")]
    Purging,
    /// It is in the trash, or other bytes are under way: what has to be done about that first.
    #[error("the image is busy")]
    Busy(&'static str),
    /// It is not at the version that the caller knows.
    #[error("the image is at {current}")]
    Stale {
        /// The version it is at.
        current: Etag,
    },
    /// What would come of it is no image.
    #[error("the change does not fit")]
    Unfit(#[source] Unfit),
    /// The request has taken effect already, under the same `Idempotency-Key`.
    #[error("the request was made before")]
    Repeated(Box<Record>),
    /// The project would hold more than it may.
    #[error("the project's quota is used up")]
    QuotaExceeded,
    /// Too many others were writing to it.
    #[error("the image kept changing")]
    Contended,
    /// The table was out of reach.
    #[error("the image could not be changed")]
    Unavailable(#[source] Unavailable),
}

/// Why a page of a list could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The cursor is not one of ours, or belongs to another list.
    #[error("the cursor is not valid")]
    InvalidCursor,
    /// The table could not be read.
    #[error("the list could not be read")]
    Unavailable(#[source] Unavailable),
}

/// Why parts were not joined.
#[derive(Debug, thiserror::Error)]
pub enum JoinPartsError {
    /// The upload was joined or given up already.
    #[error("no such multipart upload")]
    Gone,
    /// The parts are not, or no longer, as they were listed.
    #[error("the parts were refused")]
    Refused(#[source] Unavailable),
    /// The bucket was out of reach.
    #[error("the parts could not be joined")]
    Unavailable(#[source] Unavailable),
}

/// Why an object could not be read from a bucket.
#[derive(Debug, thiserror::Error)]
pub enum ReadObjectError {
    /// There is no such object.
    #[error("no such object")]
    NotFound,
    /// It is larger than the reader allows.
    #[error("the object has {bytes} bytes")]
    TooLarge {
        /// How large it is.
        bytes: u64,
    },
    /// The bucket could not be read.
    #[error("the object could not be read")]
    Unavailable(#[source] Unavailable),
}

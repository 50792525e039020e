//! How much a project may keep, and how much it does.
//!
//! The declared size is reserved with the upload and settled once it is known, each in the transaction that
//! changes the image; so no crash between two writes can leave the account wrong.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::image::{Image, State};

/// How much a project may keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Limits {
    /// Bytes of originals, and of uploads that are under way.
    pub bytes: u64,
    /// Images, the trash included.
    pub images: u64,
}

impl Default for Limits {
    /// What nobody reaches by accident, and nobody pays for by mistake: 100 GiB are $2.30 a month in S3.
    fn default() -> Self {
        Self { bytes: 100 << 30, images: 1_000_000 }
    }
}

/// What a project holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Held {
    /// Bytes of originals.
    pub stored: i64,
    /// Bytes of uploads that are under way, as declared.
    pub reserved: i64,
    /// Images, the trash included.
    pub images: i64,
}

impl Held {
    /// What one image takes up, without its original, which others may share. `None` is an image that is not
    /// there.
    pub fn by(image: Option<&Image>) -> Self {
        let Some(image) = image else { return Self::default() };
        let first = match image.state {
            State::Pending | State::Processing { .. } => image.declared.bytes,
            State::Ready { .. } | State::Failed { .. } | State::Trashed { .. } | State::Purging { .. } => 0,
        };
        let next = image.replacement.as_ref().map_or(0, |replacement| replacement.declared.bytes);
        Self { stored: 0, reserved: signed(first) + signed(next), images: 1 }
    }

    /// What an original takes up.
    pub fn original(bytes: u64) -> Self {
        Self { stored: signed(bytes), ..Self::default() }
    }

    /// Both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            stored: self.stored + other.stored,
            reserved: self.reserved + other.reserved,
            images: self.images + other.images,
        }
    }

    /// What has to be added to get from one to the other.
    #[must_use]
    pub const fn to(self, after: Self) -> Self {
        Self {
            stored: after.stored - self.stored,
            reserved: after.reserved - self.reserved,
            images: after.images - self.images,
        }
    }

    /// Bytes that count.
    pub const fn bytes(self) -> i64 {
        self.stored + self.reserved
    }

    /// Whether nothing has to be added.
    pub fn is_zero(self) -> bool {
        self == Self::default()
    }
}

/// Sizes are far below what does not fit.
fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

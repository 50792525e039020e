//! Bytes that are sent in parts, so that a lost connection costs one part and not the whole.
//!
//! S3 keeps the parts until they are joined or given up. It takes what it gets, so what must be there is decided
//! here, on the list of what is.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::image::{Change, Failure, Image, Replacement, State};
use super::{Time, UploadId};

/// How many bytes each part has but the last, where the client follows our plan: few requests, and not much to
/// send again.
pub const PART_BYTES: u64 = 8 << 20;
/// What S3 wants each part to have but the last.
pub const SMALLEST_PART: u64 = 5 << 20;

/// What is known of an upload that is sent in parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Multipart {
    /// The upload.
    pub upload: UploadId,
    /// What S3 calls it. No client gets to see this, or may say it.
    pub id: String,
    /// How many bytes each part has but the last, if the client follows our plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_bytes: Option<u64>,
}

/// A part that S3 has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Part {
    /// Its place, from 1.
    pub number: u16,
    /// What S3 knows these bytes by.
    pub etag: String,
    /// How many they are.
    pub bytes: u64,
}

/// A part that a client says it has sent.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SentPart {
    /// Its place, from 1.
    #[schema(minimum = 1, maximum = 10_000)]
    pub number: u16,
    /// What S3 answered with, in quotes or not.
    pub etag: String,
}

/// Why parts do not make up an upload.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PartsError {
    /// They are not named in ascending order, each once.
    #[error("the parts are not in order")]
    OutOfOrder,
    /// These have not arrived, or with other bytes than the client says.
    #[error("the parts {0:?} are missing")]
    Missing(Vec<u16>),
    /// One that is not the last is smaller than S3 takes.
    #[error("part {0} is too small")]
    TooSmall(u16),
    /// Together they are more than was announced.
    #[error("the parts have {stored} bytes, and {declared} were announced")]
    TooLarge {
        /// How many bytes the parts have.
        stored: u64,
        /// How many there should be.
        declared: u64,
    },
}

/// Why an upload cannot be aborted: its bytes have arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrived;

impl Multipart {
    /// How many parts there are by our plan, or may be at most by the client's.
    pub fn parts(&self, declared: u64) -> u16 {
        let parts = declared.div_ceil(self.part_bytes.unwrap_or(SMALLEST_PART));
        u16::try_from(parts).unwrap_or(u16::MAX)
    }

    /// How many bytes a part has, if the client follows our plan.
    pub fn bytes_of(&self, number: u16, declared: u64) -> Option<u64> {
        let part_bytes = self.part_bytes?;
        let before = u64::from(number.checked_sub(1)?) * part_bytes;
        Some(declared.checked_sub(before)?.min(part_bytes))
    }

    /// The parts to join: those that the client names or, if it names none, all that are there.
    pub fn joined(
        &self, declared: u64, sent: Option<&[SentPart]>, stored: Vec<Part>,
    ) -> Result<Vec<Part>, PartsError> {
        // Parts of our plan are held to their sizes as they are sent. Others are whatever the client likes.
        let bytes = stored.iter().map(|part| part.bytes).sum();
        if bytes > declared {
            return Err(PartsError::TooLarge { stored: bytes, declared });
        }
        let parts = match sent {
            None => stored,
            Some(sent) => named(sent, &stored)?,
        };
        let last = parts.last().map_or(0, |part| part.number);
        let expected = if self.part_bytes.is_some() { self.parts(declared).max(last) } else { last.max(1) };
        let missing: Vec<u16> =
            (1..=expected).filter(|number| !parts.iter().any(|part| part.number == *number)).collect();
        if !missing.is_empty() {
            return Err(PartsError::Missing(missing));
        }
        match parts.iter().find(|part| part.number != last && part.bytes < SMALLEST_PART) {
            Some(part) => Err(PartsError::TooSmall(part.number)),
            None => Ok(parts),
        }
    }
}

fn named(sent: &[SentPart], stored: &[Part]) -> Result<Vec<Part>, PartsError> {
    if !sent.is_sorted_by(|one, next| one.number < next.number) {
        return Err(PartsError::OutOfOrder);
    }
    let found = |claimed: &SentPart| {
        let same = |part: &&Part| part.number == claimed.number && part.etag == bare(&claimed.etag);
        stored.iter().find(same).cloned().ok_or(claimed.number)
    };
    let (parts, missing): (Vec<_>, Vec<_>) = sent.iter().map(found).partition(Result::is_ok);
    let missing: Vec<u16> = missing.into_iter().filter_map(Result::err).collect();
    if missing.is_empty() {
        Ok(parts.into_iter().flatten().collect())
    } else {
        Err(PartsError::Missing(missing))
    }
}

/// An entity tag without its quotes, which clients keep or drop.
pub fn bare(etag: &str) -> &str {
    etag.trim_matches('"')
}

impl Image {
    /// Whether this is an upload for the image's bytes.
    pub fn has_upload(&self, upload: UploadId) -> bool {
        upload == self.upload || self.replacement_by(upload).is_some()
    }

    fn replacement_by(&self, upload: UploadId) -> Option<&Replacement> {
        self.replacement.as_ref().filter(|replacement| replacement.upload == upload)
    }

    /// Whether the bytes of this upload may still be sent, if only once more. Nothing is reserved for those of an
    /// image that failed.
    pub fn takes(&self, upload: UploadId) -> bool {
        self.has_upload(upload) && !matches!(self.state, State::Failed { .. })
    }

    /// Whether the bytes of this upload are still to come.
    pub fn awaits(&self, upload: UploadId) -> bool {
        match &self.state {
            State::Pending => upload == self.upload,
            State::Ready { .. } => self.replacement_by(upload).is_some_and(|new| new.lease.is_none()),
            State::Processing { .. }
            | State::Failed { .. }
            | State::Trashed { .. }
            | State::Purging { .. } => false,
        }
    }

    /// What is known of this upload, if it is sent in parts.
    pub fn multipart_of(&self, upload: UploadId) -> Option<&Multipart> {
        self.multipart.as_ref().filter(|multipart| multipart.upload == upload)
    }

    /// Gives up an upload whose bytes have not arrived, and says why. `None` if nobody waits for them any more.
    pub fn abandon(&self, upload: UploadId, why: &str, now: Time) -> Result<Option<Change>, Arrived> {
        if self.awaits(upload) {
            let failure = Failure { code: ABORTED.into(), detail: why.into(), retryable: false };
            return Ok(Some(self.fail(failure, now)));
        }
        match &self.state {
            State::Pending | State::Processing { .. } | State::Ready { .. } => Err(Arrived),
            State::Failed { .. } | State::Trashed { .. } | State::Purging { .. } => Ok(None),
        }
    }

    /// Whether the bytes arrived, whatever became of them.
    pub fn has_arrived(&self) -> bool {
        match &self.state {
            State::Processing { .. } | State::Ready { .. } => true,
            State::Failed { failure } => failure.code != ABORTED && failure.code != MISSING,
            State::Pending | State::Trashed { .. } | State::Purging { .. } => false,
        }
    }
}

const ABORTED: &str = "upload-aborted";
/// The code of a failure for want of bytes.
pub const MISSING: &str = "upload-missing";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MIB: u64 = 1 << 20;

    fn planned() -> Multipart {
        Multipart { upload: UploadId::new(1.into()), id: "s3".into(), part_bytes: Some(PART_BYTES) }
    }

    fn free() -> Multipart {
        Multipart { part_bytes: None, ..planned() }
    }

    fn part(number: u16, bytes: u64) -> Part {
        Part { number, etag: format!("e{number}"), bytes }
    }

    fn sent(numbers: &[u16]) -> Vec<SentPart> {
        numbers.iter().map(|&number| SentPart { number, etag: format!("\"e{number}\"") }).collect()
    }

    fn numbers(parts: &[Part]) -> Vec<u16> {
        parts.iter().map(|part| part.number).collect()
    }

    proptest! {
        #[test]
        fn the_parts_of_the_plan_make_up_what_was_declared(declared in 1..=100 * MIB) {
            let plan = planned();
            let sizes: Vec<_> = (1..=plan.parts(declared)).map(|n| plan.bytes_of(n, declared).unwrap()).collect();
            prop_assert_eq!(sizes.iter().sum::<u64>(), declared);
            let (last, others) = sizes.split_last().unwrap();
            prop_assert!(*last > 0 && others.iter().all(|bytes| *bytes == PART_BYTES));
        }

        #[test]
        fn what_is_joined_is_whole_and_in_order(
            listed in prop::collection::vec(0..12_u16, 0..12), stored in prop::collection::btree_set(1..12_u16, 0..12),
        ) {
            let stored: Vec<_> = stored.into_iter().map(|number| part(number, PART_BYTES)).collect();
            for multipart in [planned(), free()] {
                for sent in [None, Some(sent(&listed))] {
                    let joined = multipart.joined(40 * MIB, sent.as_deref(), stored.clone());
                    if let Ok(joined) = joined {
                        prop_assert_eq!(numbers(&joined), (1..=u16::try_from(joined.len()).unwrap()).collect::<Vec<_>>());
                        prop_assert!(!joined.is_empty());
                    }
                }
            }
        }
    }

    #[test]
    fn a_client_may_leave_the_list_to_us() {
        let stored = vec![part(1, PART_BYTES), part(2, 3)];
        assert_eq!(planned().joined(PART_BYTES + 3, None, stored.clone()), Ok(stored));
    }

    #[test]
    fn parts_that_are_missing_are_named() {
        let stored = vec![part(1, PART_BYTES), part(3, 3)];
        let declared = 2 * PART_BYTES + 3;
        let missing = |numbers: &[u16]| Err(PartsError::Missing(numbers.to_vec()));
        assert_eq!(planned().joined(declared, None, stored.clone()), missing(&[2]));
        assert_eq!(planned().joined(declared, Some(&sent(&[1])), stored.clone()), missing(&[2, 3]));
        assert_eq!(planned().joined(declared, Some(&sent(&[1, 2, 3])), stored.clone()), missing(&[2]));
        assert_eq!(free().joined(declared, None, stored.clone()), missing(&[2]));
        assert_eq!(free().joined(declared, None, vec![]), missing(&[1]));
        let other = [SentPart { number: 1, etag: "other".into() }];
        assert_eq!(free().joined(declared, Some(&other), stored), missing(&[1]));
    }

    #[test]
    fn parts_in_no_order_are_refused() {
        let stored = vec![part(1, PART_BYTES), part(2, 3)];
        for order in [&[2, 1][..], &[1, 1, 2]] {
            let joined = free().joined(PART_BYTES + 3, Some(&sent(order)), stored.clone());
            assert_eq!(joined, Err(PartsError::OutOfOrder));
        }
    }

    #[test]
    fn parts_that_are_more_than_was_announced_are_not_joined() {
        let stored = vec![part(1, SMALLEST_PART), part(2, 3)];
        let too_large = Err(PartsError::TooLarge { stored: SMALLEST_PART + 3, declared: SMALLEST_PART + 2 });
        for sent in [None, Some(sent(&[1])), Some(sent(&[1, 2]))] {
            let joined = |declared| free().joined(declared, sent.as_deref(), stored.clone());
            assert_eq!(joined(SMALLEST_PART + 2), too_large);
            assert!(joined(SMALLEST_PART + 3).is_ok());
        }
    }

    #[test]
    fn only_the_last_part_may_be_small() {
        let small = vec![part(1, SMALLEST_PART - 1), part(2, 3)];
        assert_eq!(free().joined(100 * MIB, None, small), Err(PartsError::TooSmall(1)));
        assert!(free().joined(100 * MIB, None, vec![part(1, 1)]).is_ok());
    }
}

//! Answers that are given once and repeated: `Idempotency-Key`.
//!
//! The record of an answer is written in the transaction of its effect. So a request that is sent again, by a
//! client that never saw the answer, finds the record or finds nothing done; there is no third case.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ProjectId, Time};

/// How long an answer is remembered. A client that has not asked again within a day will not.
pub const REMEMBERED_FOR: Duration = Duration::from_hours(24);

/// What a client calls one attempt: 1 to 255 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct IdempotencyKey(String);

/// A text that is no such name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 1 to 255 visible ASCII characters")]
pub struct InvalidIdempotencyKey;

impl FromStr for IdempotencyKey {
    type Err = InvalidIdempotencyKey;

    fn from_str(text: &str) -> Result<Self, InvalidIdempotencyKey> {
        let fits = (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if fits { Ok(Self(text.to_owned())) } else { Err(InvalidIdempotencyKey) }
    }
}

impl TryFrom<String> for IdempotencyKey {
    type Error = InvalidIdempotencyKey;

    fn try_from(text: String) -> Result<Self, InvalidIdempotencyKey> {
        text.parse()
    }
}

impl From<IdempotencyKey> for String {
    fn from(key: IdempotencyKey) -> Self {
        key.0
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A request that is not to take effect twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Whose.
    pub project: ProjectId,
    /// What the client calls it.
    pub key: IdempotencyKey,
    /// Who made it: the key or the user. Another one's name for an attempt is another attempt.
    pub caller: String,
    /// SHA-256 of what was asked, in hex.
    pub fingerprint: String,
}

/// An attempt that took effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Which.
    #[serde(flatten)]
    pub attempt: Attempt,
    /// The ids that the answer is made of again, in an order that the operation knows. No secrets.
    pub ids: Vec<String>,
    /// Seconds; the table forgets the record some time after.
    pub expires_at: i64,
}

/// How long an attempt of many changes may be under way. After that it may be made again.
const UNDER_WAY_FOR: Duration = Duration::from_mins(1);

impl Attempt {
    /// The record that this attempt is being made, which keeps others from it for a while.
    pub fn begun(&self, now: Time) -> Record {
        Record { attempt: self.clone(), ids: vec![], expires_at: now.after(UNDER_WAY_FOR).as_secs() }
    }

    /// The record of what this attempt did.
    pub fn done(&self, ids: Vec<String>, now: Time) -> Record {
        Record { attempt: self.clone(), ids, expires_at: now.after(REMEMBERED_FOR).as_secs() }
    }
}

impl Record {
    /// Whether it still counts. The table deletes late, by days at times.
    pub const fn is_current(&self, now: Time) -> bool {
        now.as_secs() < self.expires_at
    }

    /// Whether the attempt is being made and nothing is known of what comes of it.
    pub const fn is_begun(&self) -> bool {
        self.ids.is_empty()
    }

    /// The id in this place, if the record is of the operation that it should be.
    pub fn id<T: FromStr>(&self, place: usize) -> Option<T> {
        self.ids.get(place).and_then(|id| id.parse().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_visible_ascii() {
        for good in ["a", "8e03978e-40d5-43e8-bc93-6894a57f9324", &"x".repeat(255)] {
            assert_eq!(good.parse::<IdempotencyKey>().map(String::from).as_deref(), Ok(good));
        }
        for bad in ["", "a b", "ü", "a\n", &"x".repeat(256)] {
            assert!(bad.parse::<IdempotencyKey>().is_err(), "{bad}");
        }
    }
}

//! Points in time: UTC, milliseconds, RFC 3339 on the wire and in the table.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

/// A point in time, to the millisecond.
///
/// Its text (`2026-11-21T04:46:00.000Z`) has a fixed length, so it sorts as it should in keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Time(i64);

/// The last millisecond that `jiff` takes, on the next to last day of the year 9999: every time zone has it.
const LAST: i64 = 253_402_207_200_000;

impl Time {
    /// From milliseconds since 1970, clamped to the years 1970 to 9999.
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.clamp(0, LAST))
    }

    /// From seconds since 1970.
    pub fn from_secs(secs: i64) -> Self {
        Self::from_millis(secs.saturating_mul(1000))
    }

    /// Milliseconds since 1970.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970.
    pub const fn as_secs(self) -> i64 {
        self.0 / 1000
    }

    /// The UTC date, `2026-11-21`.
    pub fn date(self) -> String {
        let mut text = self.to_string();
        text.truncate(10);
        text
    }

    /// This much later.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self::from_millis(self.0.saturating_add(millis))
    }

    /// This much earlier.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self::from_millis(self.0.saturating_sub(millis))
    }

    /// How long from `earlier` until this time; zero if it lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }

    fn timestamp(self) -> Timestamp {
        Timestamp::from_millisecond(self.0).expect("clamped to the years 1970 to 9999")
    }

    /// The form that AWS signatures use, `20261121T044600Z`.
    pub fn compact(self) -> String {
        self.timestamp().strftime("%Y%m%dT%H%M%SZ").to_string()
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.timestamp())
    }
}

impl From<Time> for String {
    fn from(time: Time) -> Self {
        time.to_string()
    }
}

impl From<Time> for std::time::SystemTime {
    fn from(time: Time) -> Self {
        time.timestamp().into()
    }
}

impl TryFrom<String> for Time {
    type Error = jiff::Error;

    fn try_from(text: String) -> Result<Self, jiff::Error> {
        text.parse::<Timestamp>().map(|t| Self::from_millis(t.as_millisecond()))
    }
}

impl PartialSchema for Time {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .description(Some("RFC 3339, UTC, with milliseconds."))
            .examples(["2026-11-21T05:00:00.000Z"])
            .into()
    }
}

impl ToSchema for Time {}

/// What time it is, so that tests can say.
pub trait Clock {
    /// The current time.
    fn now(&self) -> Time;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_milliseconds_and_sorts() {
        let time = Time::from_millis(1_763_700_360_000);
        assert_eq!(time.to_string(), "2025-11-21T04:46:00.000Z");
        assert_eq!(Time::try_from(time.to_string()).ok(), Some(time));
        assert_eq!(time.date(), "2025-11-21");
        assert_eq!(time.compact(), "20251121T044600Z");
        assert!(time.to_string() < time.after(Duration::from_millis(1)).to_string());
    }

    proptest::proptest! {
        #[test]
        fn every_time_reads_back_and_sorts_as_text(a: i64, b: i64) {
            let (a, b) = (Time::from_millis(a), Time::from_millis(b));
            proptest::prop_assert_eq!(Time::try_from(a.to_string()).ok(), Some(a));
            proptest::prop_assert_eq!(a.to_string().cmp(&b.to_string()), a.cmp(&b));
        }
    }

    #[test]
    fn the_far_future_is_clamped() {
        assert_eq!(Time::from_secs(i64::MAX).to_string(), "9999-12-30T22:00:00.000Z");
    }
}

//! Identifiers: a prefix that says what it is, and a ULID that sorts by creation time.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use ulid::Ulid;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::Time;

/// A text that is not the id it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an id that starts with `{0}_`")]
pub struct InvalidId(pub &'static str);

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(into = "String", try_from = "String")]
        pub struct $name(Ulid);

        impl $name {
            /// Gives a ULID its meaning.
            pub const fn new(ulid: Ulid) -> Self {
                Self(ulid)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), self.0)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let ulid = text
                    .strip_prefix(concat!($prefix, "_"))
                    .and_then(|ulid| Ulid::from_string(ulid).ok())
                    .ok_or(InvalidId($prefix))?;
                let id = Self(ulid);
                // A ULID reads in either case and its first digit can overflow; an id has one spelling,
                // because object keys and signatures are made of it.
                if id.to_string() == text { Ok(id) } else { Err(InvalidId($prefix)) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let example = concat!($prefix, "_01M7Y7HNH0M6P1S3V5X7Z9B2DF");
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .description(Some(concat!("`", $prefix, "_` and a ULID, which sorts by creation time.")))
                    .pattern(Some(concat!("^", $prefix, "_[0-7][0-9A-HJKMNP-TV-Z]{25}$")))
                    .examples([example])
                    .into()
            }
        }

        impl ToSchema for $name {}
    };
}

id!(
    /// A project: the tenant that owns everything else.
    ProjectId, "prj"
);
id!(
    /// An image.
    ImageId, "img"
);
id!(
    /// One upload of bytes for an image. Object keys contain it and are never reused.
    UploadId, "upl"
);
id!(
    /// An API key (not its secret).
    KeyId, "key"
);
id!(
    /// An upload token (not its secret).
    TokenId, "tok"
);
id!(
    /// An event in the log.
    EventId, "evt"
);

impl ImageId {
    /// The id of an image that is made at this time, so that lists go by that time exactly.
    pub fn made_at(now: Time, random: Ulid) -> Self {
        Self(Ulid::from_parts(millis(now), random.random()))
    }

    /// The first id that an image made at this time can have.
    pub fn first_of(time: Time) -> Self {
        Self(Ulid::from_parts(millis(time), 0))
    }

    /// The id just before this one, if there is one.
    pub fn previous(self) -> Option<Self> {
        self.0.0.checked_sub(1).map(|id| Self(Ulid(id)))
    }
}

fn millis(time: Time) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(0)
}

/// Where new ids come from, so that tests can say which.
pub trait Ids {
    /// The next ULID.
    fn ulid(&self) -> Ulid;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_and_has_one_spelling() {
        let id = ImageId::new(Ulid::from_parts(1_700_000_000_000, 42));
        let text = id.to_string();
        assert_eq!(text.parse(), Ok(id));
        assert!(text.to_lowercase().parse::<ImageId>().is_err());
        assert!(text.replace("img_", "upl_").parse::<ImageId>().is_err());
        assert!("img_".parse::<ImageId>().is_err());
        assert!("img_ZZZZZZZZZZZZZZZZZZZZZZZZZZ".parse::<ImageId>().is_err());
    }

    #[test]
    fn the_ids_of_a_millisecond_lie_between_its_first_and_that_of_the_next() {
        let (now, next) = (Time::from_millis(1_700_000_000_000), Time::from_millis(1_700_000_000_001));
        let last = ImageId::first_of(next).previous().unwrap();
        for random in [0, 1, u128::MAX] {
            let id = ImageId::made_at(now, Ulid(random)).to_string();
            assert!(ImageId::first_of(now).to_string() <= id && id <= last.to_string());
        }
        assert_eq!(ImageId::made_at(now, Ulid(u128::MAX)), last);
        assert_eq!(ImageId::first_of(Time::from_millis(0)).previous(), None);
    }

    #[test]
    fn ids_sort_by_creation_time() {
        let earlier = ImageId::new(Ulid::from_parts(1, u128::MAX));
        let later = ImageId::new(Ulid::from_parts(2, 0));
        assert!(earlier.to_string() < later.to_string());
    }
}

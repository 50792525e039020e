//! Pages of lists and the cursors between them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use utoipa::ToSchema;

use super::details::Tag;
use super::{ImageId, KeyId, Project, ProjectId, Time, UserId};

/// How many rows a page has if nobody says.
pub const DEFAULT_LIMIT: u32 = 50;
/// How many rows a page has at most.
pub const MAXIMUM_LIMIT: u32 = 100;

/// One page of a list whose rows stand at positions of this kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<Row, At> {
    /// The rows.
    pub rows: Vec<Row>,
    /// Where the next page starts: after this. `None` on the last page.
    pub after: Option<At>,
}

/// The whole query of a list, so that a cursor cannot be carried over to another one.
pub trait Query: Serialize + DeserializeOwned {
    /// Which list. A cursor of one is none of any other.
    const LIST: &'static str;
}

/// What is asked for of a project's images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListQuery {
    /// Which of them.
    pub filter: Filter,
    /// Only what was reserved then or later.
    pub created_after: Option<Time>,
    /// Only what was reserved earlier.
    pub created_before: Option<Time>,
    /// In which order.
    pub order: Order,
    /// Rows per page.
    pub limit: u32,
    /// The last row of the page before.
    pub after: Option<Position>,
}

impl Query for ListQuery {
    const LIST: &'static str = "images";
}

/// Which images a list has. Each is a partition of an index: one filter is one query, and two would be a search
/// through what the first finds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Filter {
    /// All that are not in the trash.
    Live,
    /// Those of them that have a tag.
    Tag(Tag),
    /// Those of them that belong to a user.
    Owner(UserId),
    /// Those in a state that few are in.
    State(ListedState),
}

/// The states that can be listed. What is ready is nearly everything: it is the list without a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ListedState {
    /// Their bytes have not arrived.
    Pending,
    /// Somebody works on them.
    Processing,
    /// Their bytes cannot be used.
    Failed,
    /// They are in the trash.
    Trashed,
}

impl ListedState {
    /// Every state that can be listed.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Processing, Self::Failed, Self::Trashed];

    /// The state's name on the wire and in keys.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Failed => "failed",
            Self::Trashed => "trashed",
        }
    }
}

/// The order of a list: by the time of reservation, and in the trash by the time of trashing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// The last comes first.
    #[default]
    Newest,
    /// The first comes first.
    Oldest,
}

/// A place in a list of images. Ids sort by the time of reservation and no two are alike, so a page ends between
/// images even where many were reserved in one millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The image there.
    pub image: ImageId,
    /// When it was trashed, in the list of what is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trashed_at: Option<Time>,
}

/// What is asked for of a project's tags.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagQuery {
    /// What they start with; nothing stands for all.
    pub prefix: String,
    /// Rows per page.
    pub limit: u32,
    /// The last row of the page before.
    pub after: Option<Tag>,
}

impl Query for TagQuery {
    const LIST: &'static str = "tags";
}

/// A tag, and how many live images have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TagCount {
    /// The tag.
    pub tag: Tag,
    /// The images.
    pub images: i64,
}

/// The whole query of a list that has no filter: keys, projects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlainQuery<Id> {
    /// Rows per page.
    pub limit: u32,
    /// The last row of the page before.
    pub after: Option<Id>,
}

impl Query for PlainQuery<KeyId> {
    const LIST: &'static str = "keys";
}

impl Query for PlainQuery<ProjectId> {
    const LIST: &'static str = "projects";
}

/// A text that this project did not hand out as a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of this project")]
pub struct InvalidCursor;

/// The form of the cursors this version writes. An older form is simply not valid any more.
const VERSION: u8 = 2;
const MAC_LENGTH: usize = 16;

/// Writes a query as an opaque text that only the project's keys can have made. `None` for a project without
/// keys.
pub fn encode_cursor<Q: Query>(query: &Q, project: &Project) -> Option<String> {
    let key = project.signing_keys.first()?;
    let mut bytes = vec![VERSION];
    serde_json::to_writer(&mut bytes, query).ok()?;
    let tag = mac(key.expose(), Q::LIST, &bytes).finalize().into_bytes();
    bytes.extend_from_slice(&tag[..MAC_LENGTH]);
    Some(URL_SAFE_NO_PAD.encode(bytes))
}

/// Reads a cursor back.
pub fn decode_cursor<Q: Query>(text: &str, project: &Project) -> Result<Q, InvalidCursor> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidCursor)?;
    let (signed, tag) =
        bytes.len().checked_sub(MAC_LENGTH).map(|end| bytes.split_at(end)).ok_or(InvalidCursor)?;
    let genuine = |key: &super::Secret| mac(key.expose(), Q::LIST, signed).verify_truncated_left(tag).is_ok();
    if !project.signing_keys.iter().any(genuine) {
        return Err(InvalidCursor);
    }
    match signed.split_first() {
        Some((&VERSION, query)) => serde_json::from_slice(query).map_err(|_| InvalidCursor),
        Some(_) | None => Err(InvalidCursor),
    }
}

fn mac(key: &[u8], list: &str, signed: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    // Signing keys also sign paths; the prefix keeps the two apart, and the lists.
    mac.update(b"cursor\n");
    mac.update(list.as_bytes());
    mac.update(b"\n");
    mac.update(signed);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ProjectId, Secret};
    use proptest::prelude::*;
    use ulid::Ulid;

    fn project(seed: u8) -> Project {
        let signing_keys = vec![Secret::new([seed; 32])];
        Project::new(ProjectId::new(Ulid::nil()), String::new(), signing_keys, Time::from_secs(0))
    }

    fn query(limit: u32, id: Option<u128>) -> ListQuery {
        ListQuery {
            filter: Filter::Live,
            created_after: None,
            created_before: Some(Time::from_secs(7)),
            order: Order::Oldest,
            limit,
            after: id.map(|id| Position { image: ImageId::new(Ulid(id)), trashed_at: None }),
        }
    }

    fn read(cursor: &str, project: &Project) -> Result<ListQuery, InvalidCursor> {
        decode_cursor(cursor, project)
    }

    proptest! {
        #[test]
        fn a_cursor_reads_back_and_no_other_project_reads_it(limit in 1..=MAXIMUM_LIMIT, id: Option<u128>) {
            let query = query(limit, id);
            let cursor = encode_cursor(&query, &project(1)).unwrap();
            prop_assert_eq!(read(&cursor, &project(1)), Ok(query));
            prop_assert_eq!(read(&cursor, &project(2)), Err(InvalidCursor));
        }

        #[test]
        fn an_altered_cursor_is_refused(id: u128, at in 0_usize..60, bit in 0_u8..8) {
            let cursor = encode_cursor(&query(5, Some(id)), &project(1)).unwrap();
            let mut bytes = URL_SAFE_NO_PAD.decode(cursor).unwrap();
            bytes[at] ^= 1 << bit;
            prop_assert_eq!(read(&URL_SAFE_NO_PAD.encode(bytes), &project(1)), Err(InvalidCursor));
        }

        #[test]
        fn any_text_is_refused(text in ".{0,200}") {
            prop_assert_eq!(read(&text, &project(1)), Err(InvalidCursor));
        }
    }

    #[test]
    fn a_cursor_outlives_the_change_of_keys() {
        let query = query(5, None);
        let cursor = encode_cursor(&query, &project(1)).unwrap();
        let signing_keys = vec![Secret::new([2; 32]), Secret::new([1; 32])];
        assert_eq!(read(&cursor, &Project { signing_keys, ..project(1) }), Ok(query));
    }

    #[test]
    fn a_cursor_of_one_list_is_none_of_another() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Other(ListQuery);

        impl Query for Other {
            const LIST: &'static str = "others";
        }

        let cursor = encode_cursor(&query(5, None), &project(1)).unwrap();
        assert_eq!(decode_cursor::<Other>(&cursor, &project(1)), Err(InvalidCursor));
    }
}

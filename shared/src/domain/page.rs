//! Pages of lists and the cursors between them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::{ImageId, Project};

/// How many rows a page has if nobody says.
pub const DEFAULT_LIMIT: u32 = 50;
/// How many rows a page has at most.
pub const MAXIMUM_LIMIT: u32 = 100;

/// One page.
#[derive(Debug, Clone)]
pub struct Page<T, Id = ImageId> {
    /// The rows.
    pub rows: Vec<T>,
    /// Where the next page starts: after this one. `None` on the last page.
    pub after: Option<Id>,
}

/// The whole query of a list, so that a cursor cannot be carried over to another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListQuery {
    /// Rows per page.
    pub limit: u32,
    /// The last image of the page before.
    pub after: Option<ImageId>,
}

/// The whole query of a list that has no filter: keys, projects. Ids say what they are of, so one list's cursor
/// is no other's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlainQuery<Id> {
    /// Rows per page.
    pub limit: u32,
    /// The last row of the page before.
    pub after: Option<Id>,
}

/// A text that this project did not hand out as a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of this project")]
pub struct InvalidCursor;

/// The form of the cursors this version writes. An older form is simply not valid any more.
const VERSION: u8 = 1;
const MAC_LENGTH: usize = 16;

/// Writes a query as an opaque text that only the project's keys can have made. `None` for a project without
/// keys.
pub fn encode_cursor<Query: Serialize>(query: &Query, project: &Project) -> Option<String> {
    let key = project.signing_keys.first()?;
    let mut bytes = vec![VERSION];
    serde_json::to_writer(&mut bytes, query).ok()?;
    let tag = mac(key.expose(), &bytes).finalize().into_bytes();
    bytes.extend_from_slice(&tag[..MAC_LENGTH]);
    Some(URL_SAFE_NO_PAD.encode(bytes))
}

/// Reads a cursor back.
pub fn decode_cursor<Query: DeserializeOwned>(text: &str, project: &Project) -> Result<Query, InvalidCursor> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidCursor)?;
    let (signed, tag) =
        bytes.len().checked_sub(MAC_LENGTH).map(|end| bytes.split_at(end)).ok_or(InvalidCursor)?;
    let genuine = |key: &super::Secret| mac(key.expose(), signed).verify_truncated_left(tag).is_ok();
    if !project.signing_keys.iter().any(genuine) {
        return Err(InvalidCursor);
    }
    match signed.split_first() {
        Some((&VERSION, query)) => serde_json::from_slice(query).map_err(|_| InvalidCursor),
        Some(_) | None => Err(InvalidCursor),
    }
}

fn mac(key: &[u8], signed: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    // Signing keys also sign paths; the prefix keeps the two apart.
    mac.update(b"cursor\n");
    mac.update(signed);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ProjectId, Secret, Time};
    use proptest::prelude::*;
    use ulid::Ulid;

    fn project(seed: u8) -> Project {
        let signing_keys = vec![Secret::new([seed; 32])];
        Project::new(ProjectId::new(Ulid::nil()), String::new(), signing_keys, Time::from_secs(0))
    }

    proptest! {
        #[test]
        fn a_cursor_reads_back_and_no_other_project_reads_it(limit in 1..=MAXIMUM_LIMIT, id: Option<u128>) {
            let query = ListQuery { limit, after: id.map(|id| ImageId::new(Ulid(id))) };
            let cursor = encode_cursor(&query, &project(1)).unwrap();
            prop_assert_eq!(decode_cursor(&cursor, &project(1)), Ok(query));
            prop_assert_eq!(decode_cursor::<ListQuery>(&cursor, &project(2)), Err(InvalidCursor));
        }

        #[test]
        fn an_altered_cursor_is_refused(id: u128, at in 0_usize..60, bit in 0_u8..8) {
            let query = ListQuery { limit: 5, after: Some(ImageId::new(Ulid(id))) };
            let mut bytes = URL_SAFE_NO_PAD.decode(encode_cursor(&query, &project(1)).unwrap()).unwrap();
            bytes[at] ^= 1 << bit;
            let altered = URL_SAFE_NO_PAD.encode(bytes);
            prop_assert_eq!(decode_cursor::<ListQuery>(&altered, &project(1)), Err(InvalidCursor));
        }

        #[test]
        fn any_text_is_refused(text in ".{0,200}") {
            prop_assert_eq!(decode_cursor::<ListQuery>(&text, &project(1)), Err(InvalidCursor));
        }
    }

    #[test]
    fn a_cursor_of_one_list_is_none_of_another() {
        use crate::domain::KeyId;
        let keys = PlainQuery { limit: 5, after: Some(KeyId::new(Ulid(7))) };
        let cursor = encode_cursor(&keys, &project(1)).unwrap();
        assert_eq!(decode_cursor(&cursor, &project(1)), Ok(keys));
        assert_eq!(decode_cursor::<ListQuery>(&cursor, &project(1)), Err(InvalidCursor));
        assert_eq!(decode_cursor::<PlainQuery<ProjectId>>(&cursor, &project(1)), Err(InvalidCursor));
    }

    #[test]
    fn a_cursor_outlives_the_change_of_keys() {
        let query = ListQuery { limit: 5, after: None };
        let cursor = encode_cursor(&query, &project(1)).unwrap();
        let signing_keys = vec![Secret::new([2; 32]), Secret::new([1; 32])];
        assert_eq!(decode_cursor(&cursor, &Project { signing_keys, ..project(1) }), Ok(query));
    }
}

//! The table's keys. Everything a project owns has the project in its key, so that another project's id
//! is simply not found.

use crate::domain::details::Tag;
use crate::domain::idempotency::Attempt;
use crate::domain::image::{Due, DueKind};
use crate::domain::page::Position;
use crate::domain::{EventId, ImageId, KeyId, ProjectId, Time, TokenId, UserId};

/// How many partitions a day's due entries are spread over.
pub const DUE_SHARDS: u64 = 4;

pub fn project(project: ProjectId) -> String {
    format!("P#{project}")
}

pub fn key(key: KeyId) -> String {
    format!("K#{key}")
}

pub fn upload_token(token: TokenId) -> String {
    format!("K#{token}")
}

/// By a hash of the issuer and the audience.
pub fn issuer(fingerprint: &str) -> String {
    format!("ISS#{fingerprint}")
}

/// The caller comes last, and may be any text.
pub fn rate(project: ProjectId, caller: &str) -> String {
    format!("RATE#{project}#{caller}")
}

pub fn keys_of(project: ProjectId) -> String {
    format!("P#{project}#KEY")
}

pub fn image(project: ProjectId, image: ImageId) -> String {
    format!("P#{project}#I#{image}")
}

pub fn original(project: ProjectId, sha256: &str) -> String {
    format!("P#{project}#BLOB#{sha256}")
}

pub fn live_images(project: ProjectId) -> String {
    format!("P#{project}#IMAGE")
}

pub fn trashed_images(project: ProjectId) -> String {
    format!("P#{project}#TRASH")
}

pub fn images_in_state(project: ProjectId, state: &str) -> String {
    format!("P#{project}#STATE#{state}")
}

pub fn images_with_tag(project: ProjectId, tag: &Tag) -> String {
    format!("P#{project}#TAG#{tag}")
}

pub fn images_of_owner(project: ProjectId, owner: &UserId) -> String {
    format!("P#{project}#OWNER#{owner}")
}

/// The sort key of an image in a list: its id, and in the trash the time before it.
pub fn listed(at: Position) -> String {
    at.trashed_at.map_or_else(|| at.image.to_string(), |time| format!("{time}#{}", at.image))
}

/// Reads the sort key of a list.
pub fn parse_listed(sort: &str) -> Option<Position> {
    let (trashed_at, image) = match sort.split_once('#') {
        Some((time, image)) => (Some(Time::try_from(time.to_owned()).ok()?), image),
        None => (None, sort),
    };
    Some(Position { image: image.parse().ok()?, trashed_at })
}

/// In the project's own partition, so that its tags are one query, in alphabetical order.
pub fn tag_count(tag: &Tag) -> String {
    tag_counts(tag.as_str())
}

/// What the rows of all tags with this prefix start with.
pub fn tag_counts(prefix: &str) -> String {
    format!("TAG#{prefix}")
}

/// The caller comes first and has a length that is written down: neither part can be taken for the other.
pub fn attempt(attempt: &Attempt) -> String {
    let Attempt { project, caller, key, .. } = attempt;
    format!("P#{project}#IDEM#{}#{caller}#{key}", caller.len())
}

pub fn events_of_day(project: ProjectId, time: Time) -> String {
    format!("P#{project}#EVENT#{}", time.date())
}

pub fn event(event: EventId) -> String {
    event.to_string()
}

pub fn events_of_subject(project: ProjectId, subject: ImageId) -> String {
    format!("P#{project}#SUBJECT#{subject}")
}

/// Padded, so that the text sorts like the number.
pub fn sequence(sequence: u64) -> String {
    format!("{sequence:020}")
}

pub fn due_bucket(date: &str, shard: u64) -> String {
    format!("DUE#{date}#{shard}")
}

/// Partition and sort key of an image's due entry.
pub fn due(project: ProjectId, image: ImageId, due: Due) -> (String, String) {
    let kind = match due.kind {
        DueKind::Upload => "UPLOAD",
        DueKind::Purge => "PURGE",
        DueKind::Erase => "ERASE",
    };
    // The id's last characters are random, so they spread.
    let shard = image.to_string().bytes().rev().take(8).map(u64::from).sum::<u64>() % DUE_SHARDS;
    (due_bucket(&due.at.date(), shard), format!("{}#{kind}#{project}#{image}", due.at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use ulid::Ulid;

    proptest! {
        #[test]
        fn due_entries_sort_by_time(a in 0_i64..4_000_000_000_000, b in 0_i64..4_000_000_000_000, id: u128) {
            let (project, image) = (ProjectId::new(Ulid(1)), ImageId::new(Ulid(id)));
            let key = |at| due(project, image, Due { at: Time::from_millis(at), kind: DueKind::Purge }).1;
            prop_assert_eq!(key(a).cmp(&key(b)), a.cmp(&b));
        }

        #[test]
        fn images_have_keys_of_their_own(a: (u128, u128), b: (u128, u128)) {
            let key = |(p, i)| image(ProjectId::new(Ulid(p)), ImageId::new(Ulid(i)));
            prop_assert_eq!(key(a) == key(b), a == b);
        }

        /// Nothing that one item is kept under finds another one.
        #[test]
        fn no_two_things_share_a_key(a: (u128, u128), b: (u128, u128), at in 0_i64..4_000_000_000_000) {
            let keys = |(p, i): (u128, u128)| {
                let (p, i, at) = (ProjectId::new(Ulid(p)), ImageId::new(Ulid(i)), Time::from_millis(at));
                let due = |kind| due(p, i, Due { at, kind }).1;
                [
                    image(p, i),
                    events_of_subject(p, i),
                    due(DueKind::Purge),
                    due(DueKind::Upload),
                    project(p),
                    keys_of(p),
                    live_images(p),
                    trashed_images(p),
                    images_in_state(p, "pending"),
                    events_of_day(p, at),
                ]
            };
            let (keys_a, keys_b) = (keys(a), keys(b));
            let distinct: std::collections::HashSet<_> = keys_a.iter().chain(&keys_b).collect();
            let shared = match (a.0 == b.0, a.1 == b.1) {
                (true, true) => 10,
                (true, false) => 6,
                (false, _) => 0,
            };
            prop_assert_eq!(distinct.len(), 20 - shared);
        }

        /// A page goes on after the last id, so ids must sort as they were made.
        #[test]
        fn events_sort_like_their_ids(a: u128, b: u128) {
            let key = |id| event(EventId::new(Ulid(id)));
            prop_assert_eq!(key(a).cmp(&key(b)), a.cmp(&b));
        }

        #[test]
        fn a_place_in_a_list_reads_back(id: u128, at: Option<i64>) {
            let at = Position { image: ImageId::new(Ulid(id)), trashed_at: at.map(Time::from_millis) };
            prop_assert_eq!(parse_listed(&listed(at)), Some(at));
        }

        #[test]
        fn sequences_sort_like_numbers(a: u64, b: u64) {
            prop_assert_eq!(sequence(a).cmp(&sequence(b)), a.cmp(&b));
        }
    }
}

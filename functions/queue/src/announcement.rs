//! What S3 says when an object was created.

use percent_encoding::percent_decode_str;
use serde::Deserialize;
use shared::domain::{ImageId, ProjectId, UploadId};
use shared::media::keys;

/// An upload that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announcement {
    /// Whose.
    pub project: ProjectId,
    /// Which image's.
    pub image: ImageId,
    /// Which of its uploads.
    pub upload: UploadId,
}

/// A message that S3 did not write.
#[derive(Debug, thiserror::Error)]
#[error("not a notification of S3")]
pub struct InvalidAnnouncement(#[source] serde_json::Error);

#[derive(Deserialize)]
#[serde(untagged)]
enum Notification {
    Records {
        #[serde(rename = "Records")]
        records: Vec<Record>,
    },
    /// Sent once, when the notification is configured.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>
    Test {
        #[serde(rename = "Event")]
        event: TestEvent,
    },
}

#[derive(Deserialize)]
enum TestEvent {
    #[serde(rename = "s3:TestEvent")]
    Test,
}

#[derive(Deserialize)]
struct Record {
    s3: Entity,
}

#[derive(Deserialize)]
struct Entity {
    object: Object,
}

#[derive(Deserialize)]
struct Object {
    key: String,
}

/// Reads the body of a message. Objects under keys that we never hand out are passed over: the bucket's
/// expiry sees to them.
pub fn announcements(body: &str) -> Result<Vec<Announcement>, InvalidAnnouncement> {
    let records = match serde_json::from_str(body).map_err(InvalidAnnouncement)? {
        Notification::Records { records } => records,
        Notification::Test { event: TestEvent::Test } => vec![],
    };
    let announced = |record: Record| {
        // S3 writes keys as HTML forms do.
        let key = record.s3.object.key.replace('+', " ");
        let key = percent_decode_str(&key).decode_utf8_lossy().into_owned();
        let ids = keys::parse_upload(&key);
        if ids.is_none() {
            tracing::warn!("an object was created under a key that is not an upload's");
        }
        ids.map(|(project, image, upload)| Announcement { project, image, upload })
    };
    Ok(records.into_iter().filter_map(announced).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(key: &str) -> String {
        serde_json::json!({ "Records": [{ "eventSource": "aws:s3", "s3": { "object": { "key": key } } }] })
            .to_string()
    }

    #[test]
    fn an_upload_is_recognised_by_its_key() {
        let (project, image, upload) =
            (ProjectId::new(1_u128.into()), ImageId::new(2_u128.into()), UploadId::new(3_u128.into()));
        let key = keys::upload(project, image, upload);
        assert_eq!(announcements(&body(&key)).unwrap(), [Announcement { project, image, upload }]);
        let encoded = key.replace('/', "%2F");
        assert_eq!(announcements(&body(&encoded)).unwrap().len(), 1);
        assert_eq!(announcements(&body("somebody+else%27s.jpg")).unwrap(), []);
    }

    #[test]
    fn the_test_event_announces_nothing_and_rubbish_is_an_error() {
        let test = r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"b"}"#;
        assert_eq!(announcements(test).unwrap(), []);
        for rubbish in ["", "{}", "null", r#"{"Event":"s3:Other"}"#, r#"{"Records":[{}]}"#] {
            assert!(announcements(rubbish).is_err(), "{rubbish}");
        }
    }
}

//! What an object carries besides its bytes.

use std::collections::BTreeMap;

use jiff::Timestamp as Instant;
use s3s::dto::{Timestamp, TimestampFormat};
use s3s::{S3Result, s3_error};
use serde::{Deserialize, Serialize};

use super::checksum::Checksum;

/// The type that S3 gives to what came without one.
const DEFAULT_CONTENT_TYPE: &str = "binary/octet-stream";

/// What S3 allows for names and values of user metadata together.
const METADATA_LIMIT: usize = 2048;

/// The headers that are stored with an object and returned with it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Attributes {
    pub content_type: Option<String>,
    pub cache_control: Option<String>,
    pub content_disposition: Option<String>,
    pub content_encoding: Option<String>,
    pub content_language: Option<String>,
    /// As an HTTP date.
    pub expires: Option<String>,
    pub metadata: BTreeMap<String, String>,
    pub checksum: Option<Checksum>,
}

/// The attributes in the input of an operation that creates an object.
macro_rules! attributes {
    ($input:expr) => {
        $crate::s3::attributes::Attributes {
            content_type: $input.content_type.take(),
            cache_control: $input.cache_control.take(),
            content_disposition: $input.content_disposition.take(),
            content_encoding: $input.content_encoding.take(),
            content_language: $input.content_language.take(),
            expires: $input.expires.take().as_ref().and_then($crate::s3::attributes::http_date),
            metadata: $input.metadata.take().unwrap_or_default().into_iter().collect(),
            checksum: None,
        }
        .checked()
    };
}
pub(super) use attributes;

impl Attributes {
    /// Makes them what S3 would store, or refuses them as S3 would.
    pub fn checked(mut self) -> S3Result<Self> {
        let size: usize = self.metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
        if size > METADATA_LIMIT {
            return Err(s3_error!(
                MetadataTooLarge,
                "Your metadata headers exceed the maximum allowed metadata size"
            ));
        }
        self.content_type.get_or_insert_with(|| DEFAULT_CONTENT_TYPE.to_owned());
        // The framing of the upload is not part of the object:
        // https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
        self.content_encoding = self.content_encoding.and_then(|encodings| {
            let kept: Vec<_> = encodings
                .split(',')
                .map(str::trim)
                .filter(|encoding| !encoding.is_empty() && *encoding != "aws-chunked")
                .collect();
            (!kept.is_empty()).then(|| kept.join(","))
        });
        Ok(self)
    }

    pub fn expires(&self) -> Option<Timestamp> {
        let expires = self.expires.as_deref()?;
        Timestamp::parse(TimestampFormat::HttpDate, expires).ok()
    }
}

/// A time as it is written in HTTP headers.
pub(super) fn http_date(time: &Timestamp) -> Option<String> {
    let mut text = Vec::new();
    time.format(TimestampFormat::HttpDate, &mut text).ok()?;
    String::from_utf8(text).ok()
}

/// The time of a stored object, to the second: that is all that S3 shows, and what it compares with.
pub(super) fn seconds(millis: i64) -> Timestamp {
    let time = Instant::from_second(millis.div_euclid(1000)).unwrap_or(Instant::UNIX_EPOCH);
    Timestamp::from(std::time::SystemTime::from(time))
}

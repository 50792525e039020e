//! Conditional and partial reads: RFC 9110, sections 13 and 14.

use http::HeaderMap;
use http::header::{CONTENT_RANGE, ETAG, HeaderValue, LAST_MODIFIED};
use s3s::dto::{ETagCondition, Range, Timestamp};
use s3s::{S3Error, S3ErrorCode, S3Result};

use super::attributes::{http_date, seconds};
use super::index::Object;
use super::write::condition_failed;

/// What a reader already knows.
pub(super) struct ReadConditions {
    pub matches: Option<ETagCondition>,
    pub none_match: Option<ETagCondition>,
    pub modified_since: Option<Timestamp>,
    pub unmodified_since: Option<Timestamp>,
}

impl ReadConditions {
    /// In the order of RFC 9110, section 13.2.2: tags go before times.
    pub fn check(&self, object: &Object) -> S3Result<()> {
        match self.verdict(object) {
            Verdict::Go => Ok(()),
            Verdict::Failed => Err(condition_failed()),
            Verdict::NotModified => {
                let mut error = S3Error::new(S3ErrorCode::NotModified);
                error.set_headers(validators(object));
                Err(error)
            }
        }
    }

    /// The same for the source of a copy, where there is nothing to be not modified.
    pub fn check_source(&self, object: &Object) -> S3Result<()> {
        match self.verdict(object) {
            Verdict::Go => Ok(()),
            Verdict::Failed | Verdict::NotModified => Err(condition_failed()),
        }
    }

    fn verdict(&self, object: &Object) -> Verdict {
        let matches =
            |condition: &ETagCondition| condition.as_etag().is_none_or(|etag| etag.value() == object.etag);
        let modified = seconds(object.modified);
        match (&self.matches, &self.unmodified_since) {
            (Some(condition), _) if !matches(condition) => return Verdict::Failed,
            (None, Some(time)) if modified > *time => return Verdict::Failed,
            _ => {}
        }
        match (&self.none_match, &self.modified_since) {
            (Some(condition), _) if matches(condition) => Verdict::NotModified,
            (None, Some(time)) if modified <= *time => Verdict::NotModified,
            _ => Verdict::Go,
        }
    }
}

enum Verdict {
    Go,
    Failed,
    NotModified,
}

fn validators(object: &Object) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Ok(etag) = HeaderValue::try_from(format!("\"{}\"", object.etag)) {
        headers.insert(ETAG, etag);
    }
    let modified = http_date(&seconds(object.modified)).and_then(|date| date.try_into().ok());
    if let Some(modified) = modified {
        headers.insert(LAST_MODIFIED, modified);
    }
    headers
}

/// The bytes that are asked for, and the `Content-Range` that says so.
pub(super) fn slice(range: Option<Range>, size: u64) -> S3Result<(u64, u64, Option<String>)> {
    let Some(range) = range else {
        return Ok((0, size, None));
    };
    match range.check(size) {
        Ok(bytes) if !bytes.is_empty() => {
            let content_range = format!("bytes {}-{}/{size}", bytes.start, bytes.end - 1);
            Ok((bytes.start, bytes.end - bytes.start, Some(content_range)))
        }
        _ => {
            let mut error =
                S3Error::with_message(S3ErrorCode::InvalidRange, "The requested range is not satisfiable");
            if let Ok(value) = HeaderValue::try_from(format!("bytes */{size}")) {
                error.set_headers(HeaderMap::from_iter([(CONTENT_RANGE, value)]));
            }
            Err(error)
        }
    }
}

//! Errors as RFC 9457 problem documents. The only place that knows status codes.

use std::error::Error;

use ::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use lambda_http::Body;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::Unavailable;
use crate::domain::error::{
    ChangeKeyError, ChangeProjectError, CommitError, EditImageError, FindImageError, JoinPartsError,
    ListError, ReadObjectError, WriteError,
};
use crate::domain::parts::{Arrived, PartsError};

/// A field that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Where, as a JSON pointer (RFC 6901); empty for the whole body.
    pub pointer: String,
    /// What is expected there.
    pub detail: String,
}

/// A problem as it is answered (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemDocument<'a> {
    /// Names the kind of problem; relative to this API.
    r#type: String,
    /// The status, in words.
    title: &'a str,
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// The stable name of the problem, for programs.
    code: &'a str,
    /// What is wrong, and what to do about it, for people.
    detail: &'a str,
    /// The id of this request. Tell us when you ask about it.
    instance: &'a str,
    /// The fields that are not what they should be.
    #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
    errors: &'a [FieldError],
}

/// An answer that is not what the caller hoped for, and what to do about it.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    errors: Vec<FieldError>,
    headers: Vec<(HeaderName, HeaderValue)>,
    cause: Option<Box<dyn Error + Send + Sync>>,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), errors: vec![], headers: vec![], cause: None }
    }

    fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    fn caused_by(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// 400: the request makes no sense.
    pub fn invalid_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid-request", detail)
    }

    /// 400, with the fields that are wrong.
    pub fn invalid_fields(errors: Vec<FieldError>) -> Self {
        let detail = errors.first().map_or_else(String::new, |error| match error.pointer.as_str() {
            "" => error.detail.clone(),
            pointer => format!("`{pointer}`: {}", error.detail),
        });
        Self { errors, ..Self::invalid_request(detail) }
    }

    /// 401: nobody proved who they are.
    pub fn unauthenticated() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", "Send `Authorization: Bearer <API key>`.")
            .with_header(header::WWW_AUTHENTICATE, "Bearer")
    }

    /// 403: the caller may not do this.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// 403: the project may not hold any more.
    pub fn quota_exceeded() -> Self {
        let detail = "The project holds as much as it may. Delete images for good, or raise its limits.";
        Self::new(StatusCode::FORBIDDEN, "quota-exceeded", detail)
    }

    /// 404: absent, or another project's.
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", format!("There is no such {what}."))
    }

    /// 412: it is not what the caller has seen. `etag` is what it is now.
    pub fn stale(what: &str, etag: &str) -> Self {
        let detail = format!("The {what} has changed since you read it. Read it again and decide anew.");
        Self::new(StatusCode::PRECONDITION_FAILED, "stale", detail).with_header(header::ETAG, etag)
    }

    /// 410: it was here once.
    pub fn gone(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, "gone", detail)
    }

    /// 413: more bytes than are taken.
    pub fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail)
    }

    /// 415: a media type that cannot be worked with.
    pub fn unsupported_media(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media", detail)
    }

    /// 409: somebody else is at it.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", detail)
    }

    /// 422: the name of an attempt was used for another request.
    pub fn idempotency_mismatch() -> Self {
        let detail = "This `Idempotency-Key` was used for another request. Take a new one for each request.";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency-mismatch", detail)
    }

    /// 429: too many requests; in so many seconds there may be another.
    pub fn rate_limited(after: u64) -> Self {
        let detail =
            "You ask more often than you may. Wait as long as `Retry-After` says, and ask less often.";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "rate-limited", detail)
            .with_header(header::RETRY_AFTER, &after.max(1).to_string())
    }

    /// 500: our fault.
    pub fn internal(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let detail =
            "Something went wrong on our side. Try again, and tell us the request id if it stays so.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail).caused_by(cause)
    }

    /// The status it is answered with.
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The stable name of the problem.
    pub const fn code(&self) -> &'static str {
        self.code
    }

    /// What it is, for people.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Why it happened, for the log alone.
    pub fn cause(&self) -> Option<&(dyn Error + Send + Sync + 'static)> {
        self.cause.as_deref()
    }

    /// The answer. `instance` is the request's id, by which the log is searched.
    pub fn into_response(self, instance: &str) -> Response<Body> {
        let document = ProblemDocument {
            r#type: format!("/problems/{}", self.code),
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            code: self.code,
            detail: &self.detail,
            instance,
            errors: &self.errors,
        };
        // A document of texts and a number can always be written.
        let text = serde_json::to_string(&document).unwrap_or_default();
        let mut response = Response::new(Body::Text(text));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.extend(self.headers);
        response
    }
}

impl From<Unavailable> for Problem {
    fn from(error: Unavailable) -> Self {
        let (after, detail) = if error.throttled {
            ("2", "Too much is going on at once. Wait a moment and try again.")
        } else {
            ("5", "A part of the service cannot be reached for now. Wait a moment and try again.")
        };
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
            .with_header(header::RETRY_AFTER, after)
            .caused_by(error)
    }
}

impl From<FindImageError> for Problem {
    fn from(error: FindImageError) -> Self {
        match error {
            FindImageError::NotFound => Self::not_found("image"),
            FindImageError::Unavailable(error) => error.into(),
        }
    }
}

impl From<EditImageError> for Problem {
    fn from(error: EditImageError) -> Self {
        match error {
            EditImageError::NotFound => Self::not_found("image"),
            EditImageError::Purging => Self::gone("The image is being deleted for good."),
            EditImageError::Busy(detail) => Self::conflict(detail),
            EditImageError::Stale { current } => Self::new(
                StatusCode::PRECONDITION_FAILED,
                "stale",
                "The image has changed since you read it. Read it again and decide anew.",
            )
            .with_header(header::ETAG, &current.to_string()),
            EditImageError::Unfit(unfit) => Self::invalid_request(format!("The change {unfit}.")),
            EditImageError::Contended => {
                Self::conflict("Others are changing the image at this moment. Try again.")
            }
            EditImageError::QuotaExceeded => Self::quota_exceeded(),
            EditImageError::Unavailable(error) => error.into(),
            // Functions answer from the record; one that forgets must not claim that nothing happened.
            EditImageError::Repeated(_) => Self::conflict("This request has taken effect already."),
        }
    }
}

impl From<CommitError> for Problem {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::QuotaExceeded => Self::quota_exceeded(),
            CommitError::TokenSpent => Self::forbidden("The upload token is used up. Ask for another one."),
            CommitError::Unavailable(error) => error.into(),
            CommitError::Repeated(_) => Self::conflict("This request has taken effect already."),
            CommitError::OriginalMoved => Self::internal(error),
            CommitError::Conflict => Self::conflict("Others are writing at this moment. Try again."),
        }
    }
}

impl From<WriteError> for Problem {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Conflict => Self::conflict("Others are writing at this moment. Try again."),
            WriteError::Taken(_) => Self::conflict("Another project has it already."),
            WriteError::Repeated(_) => Self::conflict("This request has taken effect already."),
            WriteError::Unavailable(error) => error.into(),
        }
    }
}

impl From<ChangeProjectError> for Problem {
    fn from(error: ChangeProjectError) -> Self {
        match error {
            ChangeProjectError::NotFound => Self::not_found("project"),
            ChangeProjectError::Stale { current } => Self::stale("project", &format!("\"{current}\"")),
            ChangeProjectError::IssuerTaken(index) => Self::conflict(format!(
                "Another project has the issuer at `/issuers/{index}` for the same audience."
            )),
            ChangeProjectError::Contended => {
                Self::conflict("Others are changing the project at this moment. Try again.")
            }
            ChangeProjectError::Unavailable(error) => error.into(),
        }
    }
}

impl From<ChangeKeyError> for Problem {
    fn from(error: ChangeKeyError) -> Self {
        match error {
            ChangeKeyError::NotFound => Self::not_found("key"),
            ChangeKeyError::Revoked => Self::conflict("The key has been revoked."),
            ChangeKeyError::Exceeds(scope) => Self::forbidden(format!(
                "The key has the scope `{}`, which you have not. Change it with a key that has.",
                scope.name()
            )),
            ChangeKeyError::Stale { current } => Self::stale("key", &format!("\"{current}\"")),
            ChangeKeyError::Contended => {
                Self::conflict("Others are changing the key at this moment. Try again.")
            }
            ChangeKeyError::Repeated(_) => Self::conflict("This request has taken effect already."),
            ChangeKeyError::Unavailable(error) => error.into(),
        }
    }
}

impl From<ListError> for Problem {
    fn from(error: ListError) -> Self {
        match error {
            ListError::InvalidCursor => Self::invalid_fields(vec![FieldError {
                pointer: "/cursor".into(),
                detail: "is not a cursor that this list gave out. Start again without one.".into(),
            }]),
            ListError::Unavailable(error) => error.into(),
        }
    }
}

impl From<PartsError> for Problem {
    fn from(error: PartsError) -> Self {
        match error {
            PartsError::OutOfOrder => Self::invalid_fields(vec![FieldError {
                pointer: "/parts".into(),
                detail: "must name each part once, in ascending order".into(),
            }]),
            PartsError::Missing(numbers) => {
                let numbers: Vec<_> = numbers.iter().map(u16::to_string).collect();
                let numbers = numbers.join(", ");
                Self::conflict(format!(
                    "These parts have not arrived, or not as you say: {numbers}. Send them and complete again."
                ))
            }
            PartsError::TooLarge { stored, declared } => Self::too_large(format!(
                "The parts have {stored} bytes together, and {declared} were announced. They are deleted: reserve a \
                 new upload, for as many bytes as the file has."
            )),
            PartsError::TooSmall(number) => Self::conflict(format!(
                "Part {number} is too small: all but the last have 5 MiB at least. Send it again."
            )),
        }
    }
}

impl From<Arrived> for Problem {
    fn from(_: Arrived) -> Self {
        Self::conflict("The bytes have arrived already. Delete the image instead.")
    }
}

impl From<JoinPartsError> for Problem {
    fn from(error: JoinPartsError) -> Self {
        match error {
            JoinPartsError::Gone => Self::gone("The upload was completed or aborted already."),
            JoinPartsError::Refused(error) => {
                Self::conflict("The parts changed in the meantime. Complete the upload again.")
                    .caused_by(error)
            }
            JoinPartsError::Unavailable(error) => error.into(),
        }
    }
}

impl From<ReadObjectError> for Problem {
    fn from(error: ReadObjectError) -> Self {
        match error {
            ReadObjectError::NotFound => Self::not_found("picture"),
            ReadObjectError::TooLarge { .. } => Self::too_large("The object is too large."),
            ReadObjectError::Unavailable(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_cause_is_not_in_the_answer() {
        let problem = Problem::from(Unavailable::new("find_image", "secret-host refused the connection"));
        assert!(problem.cause().is_some());
        let response = problem.into_response("request-1");
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()["retry-after"], "5");
        let Body::Text(text) = response.body() else { panic!("a problem is text") };
        assert!(!text.contains("secret-host") && !text.contains("find_image"), "{text}");
        let document: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(document["instance"], "request-1");
        assert_eq!(document["code"], "unavailable");
    }

    fn document(response: &Response<Body>) -> serde_json::Value {
        let Body::Text(text) = response.body() else { panic!("a problem is text") };
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn each_outcome_has_its_status_and_its_code() {
        let outage = || Unavailable::new("operation", "timed out");
        let throttled = || Unavailable { throttled: true, ..outage() };
        let current = crate::domain::image::Etag { version: 3, revision: 7 };
        for (problem, status, code, header) in [
            (Problem::invalid_request("x"), 400, "invalid-request", None),
            (Problem::unauthenticated(), 401, "unauthenticated", Some(("www-authenticate", "Bearer"))),
            (Problem::forbidden("x"), 403, "forbidden", None),
            (Problem::not_found("image"), 404, "not-found", None),
            (Problem::too_large("x"), 413, "too-large", None),
            (Problem::unsupported_media("x"), 415, "unsupported-media", None),
            (Problem::rate_limited(0), 429, "rate-limited", Some(("retry-after", "1"))),
            (Problem::rate_limited(7), 429, "rate-limited", Some(("retry-after", "7"))),
            (Problem::internal("x"), 500, "internal", None),
            (outage().into(), 503, "unavailable", Some(("retry-after", "5"))),
            (throttled().into(), 503, "unavailable", Some(("retry-after", "2"))),
            (FindImageError::NotFound.into(), 404, "not-found", None),
            (FindImageError::Unavailable(outage()).into(), 503, "unavailable", None),
            (EditImageError::NotFound.into(), 404, "not-found", None),
            (EditImageError::Purging.into(), 410, "gone", None),
            (EditImageError::Stale { current }.into(), 412, "stale", Some(("etag", "\"3.7\""))),
            (EditImageError::Contended.into(), 409, "conflict", None),
            (EditImageError::Unavailable(outage()).into(), 503, "unavailable", None),
            (WriteError::Conflict.into(), 409, "conflict", None),
            (WriteError::Unavailable(outage()).into(), 503, "unavailable", None),
            (WriteError::Taken(0).into(), 409, "conflict", None),
            (CommitError::TokenSpent.into(), 403, "forbidden", None),
            (ChangeProjectError::NotFound.into(), 404, "not-found", None),
            (ChangeProjectError::Stale { current: 3 }.into(), 412, "stale", Some(("etag", "\"3\""))),
            (ChangeProjectError::IssuerTaken(1).into(), 409, "conflict", None),
            (ChangeProjectError::Contended.into(), 409, "conflict", None),
            (ChangeProjectError::Unavailable(outage()).into(), 503, "unavailable", None),
            (ChangeKeyError::NotFound.into(), 404, "not-found", None),
            (ChangeKeyError::Revoked.into(), 409, "conflict", None),
            (ChangeKeyError::Exceeds(crate::domain::Scope::Operator).into(), 403, "forbidden", None),
            (ChangeKeyError::Stale { current: 3 }.into(), 412, "stale", Some(("etag", "\"3\""))),
            (ChangeKeyError::Contended.into(), 409, "conflict", None),
            (ChangeKeyError::Unavailable(outage()).into(), 503, "unavailable", None),
            (ListError::InvalidCursor.into(), 400, "invalid-request", None),
            (ListError::Unavailable(throttled()).into(), 503, "unavailable", Some(("retry-after", "2"))),
            (ReadObjectError::NotFound.into(), 404, "not-found", None),
            (ReadObjectError::TooLarge { bytes: 9 }.into(), 413, "too-large", None),
            (ReadObjectError::Unavailable(outage()).into(), 503, "unavailable", None),
        ] {
            assert_eq!((problem.status().as_u16(), problem.code()), (status, code));
            let response = problem.into_response("request-1");
            assert_eq!(response.status(), status);
            if let Some((name, value)) = header {
                assert_eq!(response.headers()[name], value);
            }
        }
    }

    #[test]
    fn a_problem_is_a_document_that_no_cache_keeps() {
        let field = |pointer: &str| FieldError { pointer: pointer.into(), detail: "is missing".into() };
        let response = Problem::invalid_fields(vec![field("/bytes"), field("/title")]).into_response("r-1");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert_eq!(response.headers()["cache-control"], "no-store");
        let expected = json!({
            "type": "/problems/invalid-request",
            "title": "Bad Request",
            "status": 400,
            "code": "invalid-request",
            "detail": "`/bytes`: is missing",
            "instance": "r-1",
            "errors": [
                { "pointer": "/bytes", "detail": "is missing" },
                { "pointer": "/title", "detail": "is missing" },
            ],
        });
        assert_eq!(document(&response), expected);
        assert_eq!(document(&Problem::forbidden("x").into_response("r-1")).get("errors"), None);
    }
}

//! Cross-origin requests: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/cors.html>

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use s3s::{S3Error, S3Result, s3_error};

use super::named_error;
use crate::template::model::{Bucket, BucketCors};

/// The headers of the answer to a preflight, or why there is none.
pub(super) fn preflight(bucket: Option<&Bucket>, request: &HeaderMap) -> S3Result<HeaderMap> {
    let Some(origin) = text(request, &ORIGIN) else {
        return Err(bad_request("Insufficient information. Origin request header needed."));
    };
    let Some(method) = text(request, &ACCESS_CONTROL_REQUEST_METHOD) else {
        return Err(bad_request("Invalid Access-Control-Request-Method: null"));
    };
    let bucket = bucket.ok_or_else(|| s3_error!(NoSuchBucket, "The specified bucket does not exist"))?;
    if bucket.cors.is_empty() {
        return Err(forbidden("CORSResponse: CORS is not enabled for this bucket."));
    }
    let asked: Vec<String> = text(request, &ACCESS_CONTROL_REQUEST_HEADERS)
        .unwrap_or_default()
        .split(',')
        .map(|name| name.trim().to_ascii_lowercase())
        .filter(|name| !name.is_empty())
        .collect();
    let rule = bucket.cors.iter().find(|rule| {
        allowing_origin(rule, origin).is_some()
            && rule.methods.iter().any(|allowed| allowed == method)
            && asked.iter().all(|name| allows_header(rule, name))
    });
    let rule = rule.ok_or_else(|| {
        forbidden(
            "CORSResponse: This CORS request is not allowed. This is usually because the evaluation \
             of Origin, request method / Access-Control-Request-Method or \
             Access-Control-Request-Headers are not whitelisted by the resource's CORS spec.",
        )
    })?;
    let mut headers = headers(rule, origin);
    if !asked.is_empty() {
        set(&mut headers, ACCESS_CONTROL_ALLOW_HEADERS, &asked.join(", "));
    }
    Ok(headers)
}

/// What is added to the answer to an actual request, whatever that answer is.
pub(super) fn answer(bucket: &Bucket, method: &str, request: &HeaderMap) -> HeaderMap {
    let Some(origin) = text(request, &ORIGIN) else {
        return HeaderMap::new();
    };
    bucket
        .cors
        .iter()
        .find(|rule| {
            allowing_origin(rule, origin).is_some() && rule.methods.iter().any(|allowed| allowed == method)
        })
        .map(|rule| headers(rule, origin))
        .unwrap_or_default()
}

fn headers(rule: &BucketCors, origin: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    // Only the bare `*` is answered as such; anything else names the origin, and then S3 lets
    // credentials through.
    if allowing_origin(rule, origin) == Some("*") {
        set(&mut headers, ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    } else {
        set(&mut headers, ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        set(&mut headers, ACCESS_CONTROL_ALLOW_CREDENTIALS, "true");
    }
    set(&mut headers, ACCESS_CONTROL_ALLOW_METHODS, &rule.methods.join(", "));
    if !rule.expose.is_empty() {
        set(&mut headers, ACCESS_CONTROL_EXPOSE_HEADERS, &rule.expose.join(", "));
    }
    if let Some(age) = rule.max_age {
        set(&mut headers, ACCESS_CONTROL_MAX_AGE, &age.to_string());
    }
    set(&mut headers, VARY, "Origin, Access-Control-Request-Headers, Access-Control-Request-Method");
    headers
}

fn allowing_origin<'a>(rule: &'a BucketCors, origin: &str) -> Option<&'a str> {
    rule.origins.iter().map(String::as_str).find(|pattern| matches(pattern, origin))
}

fn allows_header(rule: &BucketCors, name: &str) -> bool {
    rule.headers.iter().any(|pattern| matches(&pattern.to_ascii_lowercase(), name))
}

/// A pattern has at most one `*`.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        Some((start, end)) => {
            text.len() >= start.len() + end.len() && text.starts_with(start) && text.ends_with(end)
        }
        None => pattern == text,
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    // An origin was a header value before; what the template says may not be one.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn bad_request(message: &'static str) -> S3Error {
    named_error("BadRequest", StatusCode::BAD_REQUEST, message)
}

fn forbidden(message: &'static str) -> S3Error {
    named_error("AccessForbidden", StatusCode::FORBIDDEN, message)
}

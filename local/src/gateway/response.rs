//! What a client sees of a function's answer.

use std::borrow::Cow;
use std::collections::BTreeMap;

use axum::body::Body;
use axum::response::Response;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, SET_COOKIE};
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use super::event::is_hop_by_hop;

/// The structured form of an answer. Anything without a status code is not one.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    status_code: u16,
    #[serde(default)]
    headers: Option<BTreeMap<String, Scalar>>,
    #[serde(default)]
    multi_value_headers: Option<BTreeMap<String, Vec<Scalar>>>,
    #[serde(default)]
    cookies: Option<Vec<String>>,
    #[serde(default, borrow)]
    body: Option<Text<'a>>,
    #[serde(default)]
    is_base64_encoded: Option<bool>,
}

/// Borrowed where nothing is escaped, which a large body in base 64 never is.
#[derive(Default, Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A header's value may be a number or a truth value.
#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Text(String),
    Flag(bool),
    Number(serde_json::Number),
}

/// An error of the gateway's own, in the shape that HTTP APIs have and cannot change.
pub(super) fn error(status: StatusCode, message: &'static str) -> Response {
    let mut response = Response::new(Body::from(format!(r#"{{"message":"{message}"}}"#)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Turns an answer into a response; `None` if it is malformed.
///
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html#http-api-develop-integrations-lambda.response>
pub(super) fn from_answer(payload: Bytes, method: &Method) -> Option<Response> {
    match serde_json::from_slice::<Answer<'_>>(&payload) {
        Ok(answer) => structured(answer, method),
        Err(_) => bare(payload),
    }
}

/// "If your Lambda function returns valid JSON and doesn't return a `statusCode`": 200 and the JSON.
fn bare(payload: Bytes) -> Option<Response> {
    let body = match serde_json::from_slice::<Value>(&payload).ok()? {
        Value::Object(answer) if answer.contains_key("statusCode") => return None,
        Value::String(text) => Body::from(text),
        _ => Body::from(payload),
    };
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Some(response)
}

fn structured(answer: Answer<'_>, method: &Method) -> Option<Response> {
    let body = match answer.body.unwrap_or_default().0 {
        body if answer.is_base64_encoded.unwrap_or_default() => {
            Body::from(BASE64_STANDARD.decode(body.as_bytes()).ok()?)
        }
        Cow::Borrowed(body) => Body::from(body.to_owned()),
        Cow::Owned(body) => Body::from(body),
    };
    let status = StatusCode::from_u16(answer.status_code).ok().filter(|status| !status.is_informational())?;
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let single = answer.headers.into_iter().flatten();
    let multiple = answer
        .multi_value_headers
        .into_iter()
        .flatten()
        .flat_map(|(name, values)| values.into_iter().map(move |value| (name.clone(), value)));
    for (name, value) in single.chain(multiple) {
        let name = HeaderName::try_from(name).ok()?;
        // The length is that of the body, unless there is none to count.
        let length = name == CONTENT_LENGTH && method != Method::HEAD && status != StatusCode::NOT_MODIFIED;
        if !is_hop_by_hop(&name) && !length {
            headers.append(name, value.into_header()?);
        }
    }
    for cookie in answer.cookies.into_iter().flatten() {
        headers.append(SET_COOKIE, HeaderValue::try_from(cookie).ok()?);
    }
    if !headers.contains_key(CONTENT_TYPE) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain;charset=UTF-8"));
    }
    Some(response)
}

impl Scalar {
    fn into_header(self) -> Option<HeaderValue> {
        match self {
            Self::Text(text) => HeaderValue::try_from(text),
            Self::Flag(flag) => HeaderValue::try_from(flag.to_string()),
            Self::Number(number) => HeaderValue::try_from(number.to_string()),
        }
        .ok()
    }
}

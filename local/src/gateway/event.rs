//! What a function sees of a request: payload format 2.0.
//!
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>

use std::borrow::Cow;
use std::net::IpAddr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, HeaderMap, HeaderName, USER_AGENT};
use http::request::Parts;
use indexmap::IndexMap;
use jiff::Timestamp;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::routes::Match;

/// Connection-specific fields, which end at the gateway (RFC 9110, section 7.6.1).
pub(super) fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// A request and what the gateway knows about it.
pub(super) struct Request<'a> {
    pub(super) parts: &'a Parts,
    /// The decoded path.
    pub(super) path: &'a str,
    pub(super) body: &'a Bytes,
    pub(super) route: &'a Match<'a>,
    pub(super) id: &'a str,
    pub(super) received: Timestamp,
    pub(super) client: IpAddr,
    /// The port that the gateway listens on.
    pub(super) port: u16,
    pub(super) trace: &'a str,
    pub(super) account: &'a str,
}

/// The event of an integration or, with `type`, of an authorizer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    version: &'static str,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity_source: Option<&'a [String]>,
    route_key: &'a str,
    raw_path: &'a str,
    raw_query_string: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cookies: Vec<Cow<'a, str>>,
    headers: Headers<'a>,
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    query_string_parameters: IndexMap<Cow<'a, str>, Cow<'a, str>>,
    request_context: RequestContext<'a>,
    #[serde(skip_serializing_if = "Pairs::is_empty")]
    path_parameters: Pairs<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_base64_encoded: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext<'a> {
    account_id: &'a str,
    api_id: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorizer: Option<Authorizer<'a>>,
    /// With the port, which production never has: a URL built from it leads back here.
    domain_name: &'a str,
    domain_prefix: &'a str,
    http: Http<'a>,
    request_id: &'a str,
    route_key: &'a str,
    stage: &'static str,
    time: String,
    time_epoch: i64,
}

#[derive(Serialize)]
struct Authorizer<'a> {
    lambda: &'a Value,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Http<'a> {
    method: &'a str,
    path: &'a str,
    protocol: &'static str,
    source_ip: IpAddr,
    user_agent: Cow<'a, str>,
}

/// The identifier of the API, of which there is one.
const API_ID: &str = "local";

impl Request<'_> {
    /// The event for the route's function. `authorizer` is the context that the authorizer gave.
    pub(super) fn for_integration(&self, authorizer: Option<&Value>) -> serde_json::Result<Vec<u8>> {
        let (body, encoded) = match encode(self.body, &self.parts.headers) {
            Some((body, encoded)) => (Some(body), encoded),
            None => (None, false),
        };
        let mut event = self.event();
        event.request_context.authorizer = authorizer.map(|lambda| Authorizer { lambda });
        event.body = body;
        event.is_base64_encoded = Some(encoded);
        // Room for the body and for what a request usually brings.
        let mut payload = Vec::with_capacity(event.body.as_ref().map_or(0, |body| body.len()) + 2048);
        serde_json::to_writer(&mut payload, &event)?;
        Ok(payload)
    }

    /// The event for an authorizer, which has no body.
    /// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html>
    pub(super) fn for_authorizer(&self, identity: &[String], region: &str) -> serde_json::Result<Vec<u8>> {
        let mut event = self.event();
        event.kind = Some("REQUEST");
        event.route_arn = Some(format!(
            "arn:aws:execute-api:{region}:{}:{API_ID}/$default/{}{}",
            self.account, self.parts.method, self.path
        ));
        event.identity_source = (!identity.is_empty()).then_some(identity);
        serde_json::to_vec(&event)
    }

    fn event(&self) -> Event<'_> {
        let headers = &self.parts.headers;
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
        let raw_query_string = self.parts.uri.query().unwrap_or_default();
        let route_key = self.route.target.key.as_str();
        Event {
            version: "2.0",
            kind: None,
            route_arn: None,
            identity_source: None,
            route_key,
            raw_path: self.path,
            raw_query_string,
            cookies: cookies(headers),
            headers: Headers { request: self, host },
            query_string_parameters: query(raw_query_string),
            request_context: RequestContext {
                account_id: self.account,
                api_id: API_ID,
                authorizer: None,
                domain_name: host,
                domain_prefix: host.split(['.', ':']).next().unwrap_or_default(),
                http: Http {
                    method: self.parts.method.as_str(),
                    path: self.path,
                    protocol: "HTTP/1.1",
                    source_ip: self.client,
                    user_agent: joined(headers, &USER_AGENT),
                },
                request_id: self.id,
                route_key,
                stage: "$default",
                time: self.received.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string(),
                time_epoch: self.received.as_millisecond(),
            },
            path_parameters: Pairs(&self.route.variables),
            body: None,
            is_base64_encoded: None,
        }
    }
}

/// The values of a header, joined by commas.
pub(super) fn joined<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Cow<'a, str> {
    let mut values = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
    let mut all = values.next().unwrap_or_default();
    for value in values {
        let all = all.to_mut();
        all.push(',');
        all.push_str(&value);
    }
    all
}

/// The headers as the function sees them: lower case, duplicates joined by commas, cookies apart, and
/// what the gateway adds.
struct Headers<'a> {
    request: &'a Request<'a>,
    host: &'a str,
}

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(super) const TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");

impl Serialize for Headers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let request = self.request;
        let headers = &request.parts.headers;
        let mut map = serializer.serialize_map(None)?;
        for name in headers.keys() {
            let replaced = [
                &HOST,
                &COOKIE,
                &CONTENT_LENGTH,
                &FORWARDED_FOR,
                &FORWARDED_PORT,
                &FORWARDED_PROTO,
                &TRACE_ID,
            ];
            if !is_hop_by_hop(name) && !replaced.contains(&name) {
                map.serialize_entry(name.as_str(), &joined(headers, name))?;
            }
        }
        // Also for a body that came in chunks.
        map.serialize_entry("content-length", &request.body.len().to_string())?;
        map.serialize_entry("host", self.host)?;
        map.serialize_entry(TRACE_ID.as_str(), request.trace)?;
        let client = request.client;
        let forwarded = if headers.contains_key(FORWARDED_FOR) {
            format!("{}, {client}", joined(headers, &FORWARDED_FOR))
        } else {
            client.to_string()
        };
        map.serialize_entry(FORWARDED_FOR.as_str(), &forwarded)?;
        map.serialize_entry(FORWARDED_PORT.as_str(), &request.port.to_string())?;
        map.serialize_entry(FORWARDED_PROTO.as_str(), "http")?;
        map.end()
    }
}

struct Pairs<'a>(&'a [(&'a str, &'a str)]);

impl Pairs<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Pairs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

fn cookies(headers: &HeaderMap) -> Vec<Cow<'_, str>> {
    let mut cookies = Vec::new();
    for value in headers.get_all(COOKIE) {
        match String::from_utf8_lossy(value.as_bytes()) {
            Cow::Borrowed(all) => cookies.extend(split_cookies(all).map(Cow::Borrowed)),
            Cow::Owned(all) => {
                cookies.extend(split_cookies(&all).map(|cookie| Cow::Owned(cookie.to_owned())));
            }
        }
    }
    cookies
}

fn split_cookies(all: &str) -> impl Iterator<Item = &str> {
    all.split(';').map(str::trim).filter(|cookie| !cookie.is_empty())
}

fn query(raw: &str) -> IndexMap<Cow<'_, str>, Cow<'_, str>> {
    let mut parameters: IndexMap<Cow<'_, str>, Cow<'_, str>> = IndexMap::new();
    for (name, value) in form_urlencoded::parse(raw.as_bytes()) {
        match parameters.entry(name) {
            indexmap::map::Entry::Vacant(entry) => {
                entry.insert(value);
            }
            indexmap::map::Entry::Occupied(mut entry) => {
                let all = entry.get_mut().to_mut();
                all.push(',');
                all.push_str(&value);
            }
        }
    }
    parameters
}

/// The body as text or in base 64, and which of them; `None` if it is empty.
///
/// The documentation says that binary content types are encoded and not which those are. By
/// experiment text is `text/*` and JSON, XML and JavaScript by their plain names; everything else is
/// binary, `application/x-www-form-urlencoded` and an absent content type too
/// (<https://github.com/ministackorg/ministack/pull/766>).
fn encode<'a>(body: &'a Bytes, headers: &HeaderMap) -> Option<(Cow<'a, str>, bool)> {
    if body.is_empty() {
        return None;
    }
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_text = essence.starts_with("text/")
        || matches!(essence.as_str(), "application/json" | "application/xml" | "application/javascript");
    if is_text && let Ok(text) = std::str::from_utf8(body) {
        return Some((Cow::Borrowed(text), false));
    }
    Some((Cow::Owned(BASE64_STANDARD.encode(body)), true))
}

//! Reading what a request says.

use ::http::header;
use lambda_http::{Body, Request, RequestExt as _};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use super::{FieldError, Problem};

const JSON: &str = "application/json";

/// Reads a JSON body. Unknown fields are refused where the type denies them, with the place named.
pub fn body<T: DeserializeOwned>(request: &Request) -> Result<T, Problem> {
    read(request, &[JSON])
}

/// Reads a merge patch (RFC 7396), which many clients send as plain JSON.
pub fn merge_patch<T: DeserializeOwned>(request: &Request) -> Result<T, Problem> {
    read(request, &["application/merge-patch+json", JSON])
}

/// What a merge patch says of a field that may be taken away; with `#[serde(default)]` on the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Patched<T> {
    /// It is absent.
    #[default]
    Kept,
    /// It is null.
    Removed,
    /// It has a value.
    Given(T),
}

impl<T> Patched<T> {
    /// What the field is afterwards, if it was `kept`; without it, it is `removed`.
    pub fn of(self, kept: T, removed: T) -> T {
        match self {
            Self::Kept => kept,
            Self::Removed => removed,
            Self::Given(value) => value,
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patched<T> {
    fn deserialize<D: Deserializer<'de>>(field: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(field)?.map_or(Self::Removed, Self::Given))
    }
}

fn read<T: DeserializeOwned>(request: &Request, media_types: &[&str]) -> Result<T, Problem> {
    let media_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_json = media_type.is_some_and(|value| {
        let essence = value.split(';').next().unwrap_or_default().trim();
        media_types.iter().any(|accepted| essence.eq_ignore_ascii_case(accepted))
    });
    if !is_json {
        let detail = format!("Send the body as `Content-Type: {}`.", media_types.join("` or `"));
        return Err(Problem::unsupported_media(detail));
    }
    let bytes: &[u8] = match request.body() {
        Body::Text(text) => text.as_bytes(),
        Body::Binary(bytes) => bytes,
        // `Body` is not exhaustive; what is neither has no bytes.
        _ => &[],
    };
    // Serde would read a struct from an array, too.
    if bytes.trim_ascii_start().first().is_some_and(|first| *first != b'{') {
        let detail = "must be a JSON object".to_owned();
        return Err(Problem::invalid_fields(vec![FieldError { pointer: String::new(), detail }]));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        Problem::invalid_fields(vec![FieldError {
            pointer: pointer(error.path()),
            detail: detail(error.inner()),
        }])
    })?;
    json.end().map_err(|error| Problem::invalid_request(error.to_string()))?;
    Ok(value)
}

/// What is wrong, and where only if that is not what the pointer says already.
fn detail(error: &serde_json::Error) -> String {
    let mut text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    if error.is_data() && text.ends_with(&place) {
        text.truncate(text.len() - place.len());
    }
    text
}

/// Reads the query parameters. Each may be given once.
pub fn query<T: DeserializeOwned>(request: &Request) -> Result<T, Problem> {
    let parameters = request.query_string_parameters();
    let mut object = serde_json::Map::new();
    for (name, value) in parameters.iter() {
        let value = serde_json::Value::String(value.to_owned());
        if object.insert(name.to_owned(), value).is_some() {
            return Err(Problem::invalid_request(format!("The parameter `{name}` is given twice.")));
        }
    }
    serde_path_to_error::deserialize(serde_json::Value::Object(object)).map_err(|error| {
        Problem::invalid_fields(vec![FieldError {
            pointer: pointer(error.path()),
            detail: error.inner().to_string(),
        }])
    })
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    use std::fmt::Write as _;
    path.iter().fold(String::new(), |mut pointer, segment| {
        // Writing to a String cannot fail.
        let _ = match segment {
            Segment::Seq { index } => write!(pointer, "/{index}"),
            Segment::Map { key } => write!(pointer, "/{}", key.replace('~', "~0").replace('/', "~1")),
            Segment::Enum { variant } => write!(pointer, "/{variant}"),
            Segment::Unknown => Ok(()),
        };
        pointer
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        bytes: u64,
    }

    fn request(media_type: &str, text: &str) -> Request {
        ::http::Request::builder().header("content-type", media_type).body(Body::Text(text.into())).unwrap()
    }

    #[test]
    fn a_body_is_read_strictly() {
        let sample: Sample = body(&request("application/json; charset=utf-8", r#"{"bytes":1}"#)).unwrap();
        assert_eq!(sample.bytes, 1);
        for (media_type, text, status, mentions) in [
            ("text/plain", r#"{"bytes":1}"#, 415, "application/json"),
            ("application/json", "", 400, "EOF"),
            ("application/json", r#"{"bytes":"x"}"#, 400, "/bytes"),
            ("application/json", r#"{"bytes":1,"extra":2}"#, 400, "extra"),
            ("application/json", r#"{"bytes":1} {}"#, 400, "trailing"),
        ] {
            let problem = body::<Sample>(&request(media_type, text)).unwrap_err();
            assert_eq!(problem.status(), status, "{text}");
            let response = problem.into_response("r");
            let Body::Text(document) = response.body() else { panic!("a problem is text") };
            assert!(document.contains(mentions), "{document}");
            assert!(!document.contains("/bytes") || !document.contains("at line"), "{document}");
        }
    }

    #[test]
    fn a_patch_tells_null_from_nothing() {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Patch {
            #[serde(default)]
            name: Patched<String>,
        }
        for (text, name) in [
            ("{}", Patched::Kept),
            (r#"{"name":null}"#, Patched::Removed),
            (r#"{"name":"x"}"#, Patched::Given("x".to_owned())),
        ] {
            for media_type in ["application/merge-patch+json", "application/json"] {
                assert_eq!(merge_patch::<Patch>(&request(media_type, text)).unwrap().name, name, "{text}");
            }
        }
        let problem = merge_patch::<Patch>(&request("text/plain", "{}")).err().unwrap();
        assert_eq!(problem.status(), 415);
    }

    fn pointer_of(problem: Problem) -> Option<String> {
        let response = problem.into_response("r");
        let Body::Text(text) = response.body() else { panic!("a problem is text") };
        let document: serde_json::Value = serde_json::from_str(text).unwrap();
        document["errors"][0]["pointer"].as_str().map(str::to_owned)
    }

    #[test]
    fn a_body_is_read_however_the_gateway_passes_it_on() {
        let json = |body: Body| {
            ::http::Request::builder().header("content-type", "application/JSON").body(body).unwrap()
        };
        let sample: Sample = body(&json(Body::Binary(br#"{"bytes":7}"#.to_vec()))).unwrap();
        assert_eq!(sample.bytes, 7);
        for rubbish in [Body::Empty, Body::Binary(b"{\"bytes\":\xff}".to_vec())] {
            assert_eq!(body::<Sample>(&json(rubbish)).unwrap_err().status(), 400);
        }
        let untyped = ::http::Request::new(Body::Text(r#"{"bytes":7}"#.into()));
        assert_eq!(body::<Sample>(&untyped).unwrap_err().status(), 415);
    }

    #[test]
    fn a_wrong_field_is_pointed_at() {
        #[derive(Debug, Deserialize)]
        #[expect(dead_code, reason = "read by serde alone")]
        struct Nested {
            rows: Vec<std::collections::BTreeMap<String, u8>>,
        }
        let text = r#"{"rows":[{"a":1},{"b/c~d":"x"}]}"#;
        let problem = body::<Nested>(&request("application/json", text)).unwrap_err();
        assert_eq!(pointer_of(problem).as_deref(), Some("/rows/1/b~1c~0d"));
    }

    fn query_request(query: &str) -> Request {
        let mut event: serde_json::Value =
            serde_json::from_str(include_str!("../../../events/list-images.json")).unwrap();
        event["rawQueryString"] = serde_json::json!(query);
        lambda_http::request::from_str(&event.to_string()).unwrap()
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Parameters {
        limit: Option<String>,
    }

    #[test]
    fn a_query_is_read_strictly() {
        let limit = |limit: &str| Parameters { limit: Some(limit.into()) };
        assert_eq!(query::<Parameters>(&query_request("limit=5")).unwrap(), limit("5"));
        assert_eq!(query::<Parameters>(&query_request("limit=a%20b")).unwrap(), limit("a b"));
        assert_eq!(query::<Parameters>(&query_request("limit=")).unwrap(), limit(""));
        assert_eq!(query::<Parameters>(&query_request("")).unwrap(), Parameters { limit: None });
        for (text, pointer) in
            [("limit=1&limit=1", None), ("offset=1", Some("/offset")), ("Limit=1", Some("/Limit"))]
        {
            let problem = query::<Parameters>(&query_request(text)).unwrap_err();
            assert_eq!(problem.status(), 400);
            assert_eq!(pointer_of(problem).as_deref(), pointer, "{text}");
        }
    }
}

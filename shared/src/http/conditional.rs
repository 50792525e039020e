//! Conditional requests (RFC 9110, section 13).

use ::http::{HeaderName, header};
use lambda_http::Request;

use super::Problem;

/// The entity tags of a list such as `"1.0", W/"2.0"`, without quotes; `*` stands for any.
fn tags(request: &Request, name: &HeaderName) -> Vec<String> {
    let lines = request.headers().get_all(name).iter().filter_map(|value| value.to_str().ok());
    lines
        .flat_map(|line| line.split(','))
        .map(|tag| tag.trim().trim_start_matches("W/").trim_matches('"').to_owned())
        .filter(|tag| !tag.is_empty())
        .collect()
}

/// Whether the client has this representation already.
pub fn if_none_match(request: &Request, etag: &str) -> bool {
    let etag = etag.trim_matches('"');
    tags(request, &header::IF_NONE_MATCH).iter().any(|tag| tag == etag || tag == "*")
}

/// The versions that the client wants to change; `None` if it does not mind.
///
/// Entity tags are `"{version}.{revision}..."`, and a change minds the version alone: functions raise
/// revisions while a user edits.
pub fn if_match(request: &Request) -> Result<Option<Vec<u64>>, Problem> {
    // A condition that cannot be read must not become no condition.
    if !request.headers().contains_key(header::IF_MATCH) {
        return Ok(None);
    }
    let tags = tags(request, &header::IF_MATCH);
    if tags.iter().any(|tag| tag == "*") {
        return Ok(None);
    }
    let version = |tag: &String| tag.split('.').next().and_then(|version| version.parse().ok());
    let versions: Option<Vec<u64>> = tags.iter().map(version).collect();
    versions
        .filter(|versions| !versions.is_empty())
        .map(Some)
        .ok_or_else(|| Problem::invalid_request("`If-Match` takes an `ETag` as it was given, or `*`."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambda_http::Body;

    fn request(name: &str, value: &str) -> Request {
        ::http::Request::builder().header(name, value).body(Body::Empty).unwrap()
    }

    #[test]
    fn tags_match_weakly_and_in_lists() {
        for value in [r#""1.2""#, r#"W/"1.2""#, r#""0.0", "1.2""#, "*"] {
            assert!(if_none_match(&request("if-none-match", value), r#""1.2""#), "{value}");
        }
        assert!(!if_none_match(&request("if-none-match", r#""1.3""#), r#""1.2""#));
    }

    #[test]
    fn a_change_minds_the_version_alone() {
        assert_eq!(if_match(&request("if-match", r#""3.7.12""#)).unwrap(), Some(vec![3]));
        assert_eq!(if_match(&request("if-match", "*")).unwrap(), None);
        assert_eq!(if_match(&request("accept", "*/*")).unwrap(), None);
    }

    #[test]
    fn an_unreadable_condition_is_refused() {
        for value in ["latest", "\"\"", "", " , ", "\"1.0\", latest", "\"-1.0\""] {
            assert!(if_match(&request("if-match", value)).is_err(), "{value:?}");
        }
        let mut unreadable = request("accept", "*/*");
        let value = ::http::HeaderValue::from_bytes(b"\"\xff\"").unwrap();
        unreadable.headers_mut().insert("if-match", value);
        assert!(if_match(&unreadable).is_err());
    }
}

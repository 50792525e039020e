//! Answers that are part of the program.

use std::fmt::Write as _;

use ::http::{HeaderValue, Response, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lambda_http::{Body, Request};
use sha2::{Digest as _, Sha256};

use super::{Problem, if_none_match, not_modified};

/// A text that every client gets alike, with what it says of itself.
#[derive(Debug)]
pub struct Asset {
    text: &'static str,
    etag: String,
    headers: Vec<(header::HeaderName, HeaderValue)>,
}

impl Asset {
    /// A text of a media type.
    pub fn new(text: &'static str, media_type: &'static str) -> Self {
        let mut etag = String::from("\"");
        for byte in &Sha256::digest(text)[..8] {
            // Writing to a String cannot fail.
            let _ = write!(etag, "{byte:02x}");
        }
        etag.push('"');
        let headers = vec![
            (header::CONTENT_TYPE, HeaderValue::from_static(media_type)),
            // Asked for anew each time, and mostly not sent again: a deployment shows at once.
            (header::CACHE_CONTROL, HeaderValue::from_static("public, no-cache")),
            (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        ];
        Self { text, etag, headers }
    }

    /// A page, with a policy that lets nothing in but its own script and style, which are named by their hashes,
    /// and lets it talk to nobody but its own origin.
    pub fn page(html: &'static str) -> Result<Self, header::InvalidHeaderValue> {
        let (script, style) = (hashes(html, "script"), hashes(html, "style"));
        let policy = format!(
            "default-src 'none'; script-src{script}; style-src{style}; connect-src 'self'; img-src data:; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        let mut page = Self::new(html, "text/html; charset=utf-8");
        page.headers.push((header::CONTENT_SECURITY_POLICY, HeaderValue::from_str(&policy)?));
        page.headers.push((header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")));
        Ok(page)
    }

    /// The answer to a request for it.
    pub fn answer(&self, request: &Request) -> Result<Response<Body>, Problem> {
        let unchanged = if_none_match(request, &self.etag);
        let mut response = if unchanged { not_modified() } else { Response::new(self.text.into()) };
        let headers = response.headers_mut();
        headers.extend(self.headers.iter().cloned());
        headers.insert(header::ETAG, HeaderValue::from_str(&self.etag).map_err(Problem::internal)?);
        Ok(response)
    }
}

/// The sources that allow what stands in these elements (<https://www.w3.org/TR/CSP3/#match-element-to-source-list>).
fn hashes(html: &str, element: &str) -> String {
    let (open, close) = (format!("<{element}>"), format!("</{element}>"));
    let mut sources = String::new();
    for rest in html.split(&open).skip(1) {
        let inline = rest.split(&close).next().unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = write!(sources, " 'sha256-{}'", STANDARD.encode(Sha256::digest(inline)));
    }
    sources
}

#[cfg(test)]
mod tests {
    use super::*;

    const HTML: &str = "<!doctype html><title>x</title><style>a{}</style><p>x<script>1</script>";

    fn request(if_none_match: &str) -> Request {
        ::http::Request::builder().header("if-none-match", if_none_match).body(Body::Empty).unwrap()
    }

    #[test]
    fn what_a_client_has_is_not_sent_again() {
        let asset = Asset::new("{}", "application/json");
        let response = asset.answer(&request("\"other\"")).unwrap();
        assert_eq!((response.status().as_u16(), response.body()), (200, &Body::Text("{}".into())));
        assert_eq!(response.headers()["content-type"], "application/json");
        let etag = response.headers()["etag"].to_str().unwrap().to_owned();
        let again = asset.answer(&request(&etag)).unwrap();
        assert_eq!((again.status().as_u16(), again.body()), (304, &Body::Empty));
        assert_eq!(again.headers()["etag"], etag.as_str());
        assert_ne!(Asset::new("[]", "application/json").etag, etag);
    }

    #[test]
    fn a_page_may_run_its_own_script_and_no_other() {
        let page = Asset::page(HTML).unwrap();
        let response = page.answer(&request("")).unwrap();
        let policy = response.headers()["content-security-policy"].to_str().unwrap();
        // `printf 1 | openssl sha256 -binary | base64`
        assert!(
            policy.contains("script-src 'sha256-a4ayc/80/OGda4BO/1o/V0etpOqiLx1JwB5S3beHW0s='"),
            "{policy}"
        );
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    }
}

//! `GET /docs`: the reference, for people. One page with all that it needs; it reads `/v1/openapi.json`.

use std::future::ready;

use lambda_http::{Body, Request, Response};
use shared::http::{Asset, IfNoneMatch, Problem};
use shared::platform::{Environment, serve};

const PAGE: &str = include_str!("../../../../docs/reference.html");

/// Read the reference
///
/// This document as a page, which fetches nothing from elsewhere.
#[utoipa::path(
    get,
    path = "/docs",
    tag = "Reference",
    params(IfNoneMatch),
    responses(
        (status = 200, description = "The page.", content(("text/html")), headers(("ETag"), ("Cache-Control"))),
        (status = 304, description = "You have it already.", headers(("ETag"), ("Cache-Control"))),
    )
)]
fn get_docs(page: &Asset, request: &Request) -> Result<Response<Body>, Problem> {
    page.answer(request)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    Environment::load()?;
    let page = &Asset::page(PAGE)?;
    serve(move |request| ready(get_docs(page, &request))).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_fetches_nothing_from_elsewhere() {
        let event = include_str!("../../../../events/get-docs.json");
        let request = lambda_http::request::from_str(event).unwrap();
        let response = get_docs(&Asset::page(PAGE).unwrap(), &request).unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8");
        let policy = response.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'sha256-"), "{policy}");
        for source in ["src=", "@import", "url(", "<link", " style=", " onclick="] {
            assert!(!PAGE.contains(source), "{source}");
        }
    }
}

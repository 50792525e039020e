//! `GET /v1/openapi.json`: the document that describes the API, as it is in `docs/openapi.json`.

use lambda_http::{Body, Request, Response};
use shared::http::{Asset, IfNoneMatch, Problem};
use shared::platform::{Environment, serve};

const DOCUMENT: &str = include_str!("../../../../docs/openapi.json");

/// Get this document
///
/// OpenAPI 3.1: for generators of clients, for tools, and for the page at `/docs`.
#[utoipa::path(
    get,
    path = "/v1/openapi.json",
    tag = "Reference",
    params(IfNoneMatch),
    responses(
        (status = 200, description = "The document.", content(("application/json")),
            headers(("ETag"), ("Cache-Control"))),
        (status = 304, description = "You have it already.", headers(("ETag"), ("Cache-Control"))),
    )
)]
async fn get_openapi(document: &Asset, request: Request) -> Result<Response<Body>, Problem> {
    document.answer(&request)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    Environment::load()?;
    let document = &Asset::new(DOCUMENT, "application/json");
    serve(move |request| get_openapi(document, request)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[tokio::test]
    async fn the_document_is_served_as_it_is() {
        let event = include_str!("../../../../events/get-openapi.json");
        let request = lambda_http::request::from_str(event).unwrap();
        let document = Asset::new(DOCUMENT, "application/json");
        let response = get_openapi(&document, request).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/json");
        let Body::Text(text) = response.body() else { panic!("the document is text") };
        let document: Value = serde_json::from_str(text).unwrap();
        assert_eq!(document["openapi"], "3.1.1");
        assert!(document["paths"]["/v1/openapi.json"]["get"].is_object());
    }
}

//! Writing answers.

use std::str::FromStr;

use ::http::{HeaderValue, Response, StatusCode, header};
use lambda_http::{Body, Request, RequestExt as _};
use serde::Serialize;

use super::Problem;

/// A JSON document.
pub fn json<T: Serialize>(status: StatusCode, value: &T) -> Result<Response<Body>, Problem> {
    let text = serde_json::to_string(value).map_err(Problem::internal)?;
    let mut response = Response::new(Body::Text(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// 201, and where the new thing is.
pub fn created<T: Serialize>(location: &str, value: &T) -> Result<Response<Body>, Problem> {
    let mut response = json(StatusCode::CREATED, value)?;
    let location = HeaderValue::from_str(location).map_err(Problem::internal)?;
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}

/// The same answer, with an entity tag, and for nobody else to keep.
pub fn tagged(mut response: Response<Body>, etag: &str) -> Result<Response<Body>, Problem> {
    let etag = HeaderValue::from_str(etag).map_err(Problem::internal)?;
    let headers = response.headers_mut();
    headers.insert(header::ETAG, etag);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    Ok(response)
}

/// The same answer, for nobody to keep: it shows a secret.
pub fn unstored(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// 202: it will be done.
pub fn accepted() -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}

/// 204.
pub fn no_content() -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// 304: the client has it already.
pub fn not_modified() -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    response
}

/// Reads a path parameter. One that cannot be an id is an id of nothing.
pub fn path_parameter<T: FromStr>(request: &Request, name: &str, what: &str) -> Result<T, Problem> {
    let parameters = request.path_parameters_ref();
    let value = parameters.and_then(|parameters| parameters.first(name));
    value.and_then(|value| value.parse().ok()).ok_or_else(|| Problem::not_found(what))
}

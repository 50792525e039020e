//! Pages of lists, and the links between them.

use ::http::{HeaderValue, Response, StatusCode, header};
use lambda_http::Body;
use serde::Serialize;

use super::{FieldError, Problem, json};
use crate::domain::Project;
use crate::domain::page::{DEFAULT_LIMIT, MAXIMUM_LIMIT, Query, encode_cursor};

/// 400: a parameter of the query is not what it should be.
pub fn invalid_parameter(pointer: &str, detail: impl Into<String>) -> Problem {
    Problem::invalid_fields(vec![FieldError { pointer: pointer.into(), detail: detail.into() }])
}

/// How many rows a page is to have.
pub fn limit(text: Option<&str>) -> Result<u32, Problem> {
    let Some(text) = text else { return Ok(DEFAULT_LIMIT) };
    let limit = text.parse().ok().filter(|limit| (1..=MAXIMUM_LIMIT).contains(limit));
    limit.ok_or_else(|| invalid_parameter("/limit", format!("must be a number from 1 to {MAXIMUM_LIMIT}")))
}

/// A page, with links to the first and the next one (RFC 8288): clients that follow links need not know of cursors.
pub fn paged<Q: Query, Document: Serialize>(
    path: &str, project: &Project, first: &Q, next: Option<&Q>,
    document: impl FnOnce(Option<String>) -> Document,
) -> Result<Response<Body>, Problem> {
    let link = |cursor: &str, relation: &str| format!("<{path}?cursor={cursor}>; rel=\"{relation}\"");
    let first = encode_cursor(first, project).map(|cursor| link(&cursor, "first"));
    let next = next.and_then(|next| encode_cursor(next, project));
    let links = first.into_iter().chain(next.iter().map(|cursor| link(cursor, "next"))).collect::<Vec<_>>();
    let mut response = json(StatusCode::OK, &document(next))?;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    if !links.is_empty() {
        headers.insert(header::LINK, HeaderValue::from_str(&links.join(", ")).map_err(Problem::internal)?);
    }
    Ok(response)
}

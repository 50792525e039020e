//! Pages of lists, and the links between them.

use ::http::{HeaderValue, Response, StatusCode, header};
use lambda_http::Body;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::{FieldError, Problem, json};
use crate::domain::Project;
use crate::domain::error::ListError;
use crate::domain::page::{
    DEFAULT_LIMIT, MAXIMUM_LIMIT, Page, PlainQuery, Query, decode_cursor, encode_cursor,
};

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

/// What a client may ask of a list that has no filter: how many rows, or where to go on.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageParameters {
    /// How many rows a page has.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 50, example = 50)]
    limit: Option<String>,
    /// `next_cursor` of the page before. It holds the whole query, so it comes alone.
    #[param(example = "AXsibGltaXQiOjUwfQ")]
    cursor: Option<String>,
}

impl PageParameters {
    /// The query that they stand for. A cursor holds the whole of it, so it comes alone.
    pub fn query<Id>(&self, project: &Project) -> Result<PlainQuery<Id>, Problem>
    where
        PlainQuery<Id>: Query,
    {
        match (&self.cursor, &self.limit) {
            (Some(_), Some(_)) => Err(invalid_parameter("/limit", "is part of the cursor; leave it out")),
            (Some(cursor), None) => {
                decode_cursor(cursor, project).map_err(|_| Problem::from(ListError::InvalidCursor))
            }
            (None, rows) => Ok(PlainQuery { limit: limit(rows.as_deref())?, after: None }),
        }
    }
}

/// A page of such a list, and the way to the next one.
pub fn page_answer<Row, Id, Document: Serialize>(
    path: &str, page: Page<Row, Id>, limit: u32, project: &Project,
    document: impl FnOnce(Vec<Row>, Option<String>) -> Document,
) -> Result<Response<Body>, Problem>
where
    PlainQuery<Id>: Query,
{
    let first = PlainQuery { limit, after: None };
    let next = page.after.map(|after| PlainQuery { limit, after: Some(after) });
    paged(path, project, &first, next.as_ref(), |next_cursor| document(page.rows, next_cursor))
}

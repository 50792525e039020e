//! Pages of lists that have no filter.

use ::http::{HeaderValue, Response, StatusCode, header};
use lambda_http::Body;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, json as value};

use super::{FieldError, Problem, json};
use crate::domain::Project;
use crate::domain::error::ListError;
use crate::domain::page::{self, Page, PlainQuery, decode_cursor, encode_cursor};

/// What a client may ask: how many rows, or where to go on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageParameters {
    limit: Option<String>,
    cursor: Option<String>,
}

impl PageParameters {
    /// The query that they stand for. A cursor holds the whole of it, so it comes alone.
    pub fn query<Id: DeserializeOwned>(&self, project: &Project) -> Result<PlainQuery<Id>, Problem> {
        let invalid =
            |detail: String| Problem::invalid_fields(vec![FieldError { pointer: "/limit".into(), detail }]);
        match (&self.cursor, &self.limit) {
            (Some(_), Some(_)) => Err(invalid("is part of the cursor; leave it out".into())),
            (Some(cursor), None) => {
                decode_cursor(cursor, project).map_err(|_| Problem::from(ListError::InvalidCursor))
            }
            (None, limit) => {
                let limit = limit.as_ref().map_or(Some(page::DEFAULT_LIMIT), |limit| limit.parse().ok());
                let limit = limit.filter(|limit| (1..=page::MAXIMUM_LIMIT).contains(limit));
                let detail = || format!("must be a number from 1 to {}", page::MAXIMUM_LIMIT);
                Ok(PlainQuery { limit: limit.ok_or_else(|| invalid(detail()))?, after: None })
            }
        }
    }
}

/// The answer: the rows under their name, and the way to the next page, also as RFC 8288 has it.
pub fn page_answer<Row: Serialize, Id: Serialize>(
    path: &str, name: &str, page: Page<Row, Id>, limit: u32, project: &Project,
) -> Result<Response<Body>, Problem> {
    let next = PlainQuery { limit, after: page.after };
    let cursor = next.after.as_ref().and_then(|_| encode_cursor(&next, project));
    let link = cursor.as_ref().map(|cursor| format!("<{path}?cursor={cursor}>; rel=\"next\""));
    let mut document = Map::new();
    document.insert(name.to_owned(), value!(page.rows));
    document.insert("next_cursor".into(), value!(cursor));
    let mut response = json(StatusCode::OK, &document)?;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    if let Some(link) = link {
        headers.insert(header::LINK, HeaderValue::from_str(&link).map_err(Problem::internal)?);
    }
    Ok(response)
}

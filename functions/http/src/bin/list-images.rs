//! `GET /v1/images`: a project's images, the newest first.

use lambda_http::http::{HeaderValue, StatusCode, header};
use lambda_http::{Body, Request, Response};
use serde::{Deserialize, Serialize};
use shared::domain::error::ListError;
use shared::domain::page::{self, ListQuery, decode_cursor, encode_cursor};
use shared::domain::{Clock, Project, Scope};
use shared::http::{Caller, FieldError, ImageRow, Problem, json, query};
use shared::platform::{Environment, serve};
use shared::store::{FindProject, KnownProjects, ListImages};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    limit: Option<String>,
    cursor: Option<String>,
}

#[derive(Debug, Serialize)]
struct ImagePage {
    images: Vec<ImageRow>,
    next_cursor: Option<String>,
}

/// A cursor holds the whole query, so it comes alone.
fn parse(parameters: &Parameters, project: &Project) -> Result<ListQuery, Problem> {
    let invalid = |pointer: &str, detail: String| {
        Problem::invalid_fields(vec![FieldError { pointer: pointer.into(), detail }])
    };
    match (&parameters.cursor, &parameters.limit) {
        (Some(_), Some(_)) => Err(invalid("/limit", "is part of the cursor; leave it out".into())),
        (Some(cursor), None) => {
            decode_cursor(cursor, project).map_err(|_| Problem::from(ListError::InvalidCursor))
        }
        (None, limit) => {
            let limit = limit.as_ref().map_or(Some(page::DEFAULT_LIMIT), |limit| limit.parse().ok());
            let limit = limit.filter(|limit| (1..=page::MAXIMUM_LIMIT).contains(limit));
            let detail = || format!("must be a number from 1 to {}", page::MAXIMUM_LIMIT);
            Ok(ListQuery { limit: limit.ok_or_else(|| invalid("/limit", detail()))?, after: None })
        }
    }
}

async fn list_images(
    images: &impl ListImages, projects: &impl FindProject, clock: &impl Clock, request: Request,
) -> Result<Response<Body>, Problem> {
    let caller = Caller::from_request(&request)?.require(Scope::ReadImages)?;
    let parameters: Parameters = query(&request)?;
    let now = clock.now();
    let project = projects.find_project(caller.project, now).await?;
    let project = project.ok_or_else(|| Problem::not_found("project"))?;
    let query = parse(&parameters, &project)?;
    let page = images.list_images(caller.project, &query).await?;
    let next = ListQuery { after: page.after, ..query };
    let next_cursor = next.after.and_then(|_| encode_cursor(&next, &project));
    let rows = page.rows.into_iter().map(|row| ImageRow::new(row, &project, now)).collect();
    let link = next_cursor.as_ref().map(|cursor| format!("</v1/images?cursor={cursor}>; rel=\"next\""));
    let mut response = json(StatusCode::OK, &ImagePage { images: rows, next_cursor })?;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    if let Some(link) = link {
        // RFC 8288: clients that follow links need not know of cursors.
        headers.insert(header::LINK, HeaderValue::from_str(&link).map_err(Problem::internal)?);
    }
    Ok(response)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let env = Environment::load()?;
    let (images, clock) = (env.store()?, env.clock());
    let projects = KnownProjects::new(images.clone());
    let (images, projects, clock) = (&images, &projects, &clock);
    serve(move |request| list_images(images, projects, clock, request)).await
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use shared::domain::page::Page;
    use shared::domain::summary::{ImageSummary, PictureSummary};
    use shared::domain::{ImageId, ProjectId, Secret, Time, Unavailable, UploadId, Visibility};
    use std::sync::Mutex;

    #[derive(Default)]
    struct Table {
        rows: Vec<ImageSummary>,
        more: bool,
        asked: Mutex<Vec<ListQuery>>,
    }

    impl ListImages for Table {
        async fn list_images(
            &self, _: ProjectId, query: &ListQuery,
        ) -> Result<Page<ImageSummary>, Unavailable> {
            self.asked.lock().unwrap().push(query.clone());
            let after = self.rows.last().filter(|_| self.more).map(|row| row.id);
            Ok(Page { rows: self.rows.clone(), after })
        }
    }

    impl FindProject for Table {
        async fn find_project(&self, id: ProjectId, _: Time) -> Result<Option<Project>, Unavailable> {
            Ok(Some(project(id, 1)))
        }
    }

    struct At(Time);

    impl Clock for At {
        fn now(&self) -> Time {
            self.0
        }
    }

    fn project(id: ProjectId, seed: u8) -> Project {
        let signing_keys = vec![Secret::new([seed; 32])];
        Project::new(id, "Harbour".into(), signing_keys, Time::from_secs(0))
    }

    fn row(id: u128, visibility: Visibility) -> ImageSummary {
        ImageSummary {
            id: ImageId::new(id.into()),
            upload: UploadId::new(9.into()),
            state: "ready".into(),
            visibility,
            title: None,
            alt: None,
            created_at: Time::from_secs(0),
            picture: Some(PictureSummary {
                width: 4,
                height: 3,
                thumbhash: "cd".into(),
                dominant_color: "#00ff00".into(),
            }),
        }
    }

    /// The event with another query string.
    fn event(query: &str) -> Value {
        let mut event: Value =
            serde_json::from_str(include_str!("../../../../events/list-images.json")).unwrap();
        event["rawQueryString"] = json!(query);
        event
    }

    async fn answer(table: &Table, event: &Value) -> Result<Response<Body>, Problem> {
        let request = lambda_http::request::from_str(&event.to_string()).unwrap();
        list_images(table, table, &At(Time::from_secs(1_795_237_200)), request).await
    }

    fn document(response: &Response<Body>) -> Value {
        let Body::Text(text) = response.body() else { panic!("the answer is text") };
        serde_json::from_str(text).unwrap()
    }

    #[tokio::test]
    async fn a_cursor_goes_on_where_the_page_ended_with_the_same_limit() {
        let rows = vec![row(8, Visibility::Private), row(7, Visibility::Public)];
        let table = Table { rows, more: true, ..Table::default() };
        let response = answer(&table, &event("limit=2")).await.unwrap();
        assert_eq!(response.headers()[header::CACHE_CONTROL], "private, no-cache");
        let page = document(&response);
        let cursor = page["next_cursor"].as_str().unwrap();
        let link = format!("</v1/images?cursor={cursor}>; rel=\"next\"");
        assert_eq!(response.headers()[header::LINK], link);
        assert!(page["images"][0]["thumbnail"].as_str().unwrap().contains("/w320.webp?exp="));
        assert!(page["images"][1]["thumbnail"].as_str().unwrap().ends_with("/w320.webp"));

        answer(&table, &event(&format!("cursor={cursor}"))).await.unwrap();
        let first = ListQuery { limit: 2, after: None };
        let second = ListQuery { limit: 2, after: Some(ImageId::new(7.into())) };
        assert_eq!(*table.asked.lock().unwrap(), [first, second]);
    }

    #[tokio::test]
    async fn the_last_page_leads_nowhere() {
        let table = Table { rows: vec![row(8, Visibility::Public)], ..Table::default() };
        let response = answer(&table, &event("")).await.unwrap();
        assert_eq!(document(&response)["next_cursor"], Value::Null);
        assert!(!response.headers().contains_key(header::LINK));
        assert_eq!(table.asked.lock().unwrap()[0].limit, page::DEFAULT_LIMIT);
    }

    #[tokio::test]
    async fn a_query_is_read_strictly() {
        let ours = ListQuery { limit: 5, after: Some(ImageId::new(7.into())) };
        let foreign = encode_cursor(&ours, &project(ProjectId::new(1.into()), 2)).unwrap();
        for (query, pointer) in [
            ("limit=0".to_owned(), Some("/limit")),
            ("limit=101".to_owned(), Some("/limit")),
            ("limit=many".to_owned(), Some("/limit")),
            ("limit=-1".to_owned(), Some("/limit")),
            ("limit=1&cursor=x".to_owned(), Some("/limit")),
            ("cursor=x".to_owned(), Some("/cursor")),
            (format!("cursor={foreign}"), Some("/cursor")),
            ("offset=1".to_owned(), Some("/offset")),
            ("limit=1&limit=2".to_owned(), None),
        ] {
            let table = Table::default();
            let problem = answer(&table, &event(&query)).await.unwrap_err();
            assert_eq!(problem.status(), 400, "{query}");
            let document = document(&problem.into_response("request-1"));
            assert_eq!(document["errors"][0]["pointer"].as_str(), pointer, "{query}");
            assert!(table.asked.into_inner().unwrap().is_empty(), "{query}");
        }
    }

    #[tokio::test]
    async fn a_key_needs_the_scope() {
        let mut event = event("");
        event["requestContext"]["authorizer"]["lambda"]["scopes"] = json!("images:write");
        assert_eq!(answer(&Table::default(), &event).await.unwrap_err().code(), "forbidden");
    }
}

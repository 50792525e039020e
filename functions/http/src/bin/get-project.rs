//! `GET /v1/projects/{project}`: a project, without the keys that it signs with. Its administrators see their
//! own, operators see all.

use lambda_http::http::StatusCode;
use lambda_http::{Body, Request, Response};
use shared::domain::{Clock, ProjectId};
use shared::http::{
    Caller, IfNoneMatch, Problem, ProjectView, if_none_match, json, not_modified, path_parameter, tagged,
};
use shared::platform::{Environment, serve};
use shared::store::FindProject;

/// Get a project
///
/// Without the keys that it signs with. Its administrators see their own, operators see all.
#[utoipa::path(
    get,
    path = "/v1/projects/{project}",
    tag = "Projects",
    security(("ApiKey" = ["admin"])),
    params(("project" = ProjectId, Path, description = "The project."), IfNoneMatch),
    responses(
        (status = 200, description = "The project.", body = ProjectView, headers(("ETag"), ("Cache-Control"))),
        (status = 304, description = "It is as you have it."),
        (status = 404),
    )
)]
async fn get_project(
    projects: &impl FindProject, clock: &impl Clock, request: Request,
) -> Result<Response<Body>, Problem> {
    let caller = Caller::from_request(&request)?;
    let id = path_parameter(&request, "project", "project")?;
    caller.require_project(id)?;
    let project = projects.find_project(id, clock.now()).await?;
    let project = project.ok_or_else(|| Problem::not_found("project"))?;
    let etag = ProjectView::etag(&project);
    let response = if if_none_match(&request, &etag) {
        not_modified()
    } else {
        json(StatusCode::OK, &ProjectView::new(&project))?
    };
    tagged(response, &etag)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let env = Environment::load()?;
    let (projects, clock) = (env.store()?, env.clock());
    let (projects, clock) = (&projects, &clock);
    serve(move |request| get_project(projects, clock, request)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use shared::domain::{Project, Secret, Time, Unavailable};

    struct Table;

    impl FindProject for Table {
        async fn find_project(&self, id: ProjectId, now: Time) -> Result<Option<Project>, Unavailable> {
            Ok(Some(Project::new(id, "Harbour".into(), vec![Secret::new([7; 32])], now)))
        }
    }

    struct At(Time);

    impl Clock for At {
        fn now(&self) -> Time {
            self.0
        }
    }

    fn event() -> Value {
        serde_json::from_str(include_str!("../../../../events/get-project.json")).unwrap()
    }

    async fn answer(event: &Value) -> Result<Response<Body>, Problem> {
        let request = lambda_http::request::from_str(&event.to_string()).unwrap();
        get_project(&Table, &At(Time::from_secs(5)), request).await
    }

    #[tokio::test]
    async fn a_project_is_shown_without_its_signing_keys() {
        let response = answer(&event()).await.unwrap();
        assert_eq!(response.headers()["etag"], "\"1\"");
        let Body::Text(text) = response.body() else { panic!("the answer is text") };
        let shown: Value = serde_json::from_str(text).unwrap();
        assert_eq!((&shown["name"], &shown["issuers"]), (&json!("Harbour"), &json!([])));
        assert!(!text.contains("signing") && !text.contains(&Secret::new([7; 32]).expose_text()));
        let mut event = event();
        event["headers"]["if-none-match"] = json!("\"1\"");
        assert_eq!(answer(&event).await.unwrap().status(), 304);
    }

    #[tokio::test]
    async fn another_project_is_seen_by_operators_alone() {
        let of = |scopes: &str, project: &str| {
            let mut event = event();
            event["requestContext"]["authorizer"]["lambda"]["scopes"] = json!(scopes);
            event["pathParameters"]["project"] = json!(project);
            event
        };
        let mine = "prj_01M5GZNY40J4Q2W8N5R7X3Z9BD";
        let other = "prj_01M7Y7HNH0M6P1S3V5X7Z9B2DF";
        for (scopes, project, status) in [
            ("admin", mine, 200),
            ("admin", other, 404),
            ("operator", other, 200),
            ("operator", mine, 200),
            ("images:read images:write", mine, 403),
            ("images:read images:write", other, 404),
            ("admin", "prj_x", 404),
        ] {
            let answered = match answer(&of(scopes, project)).await {
                Ok(response) => response.status(),
                Err(problem) => problem.status(),
            };
            assert_eq!(answered, status, "{scopes} {project}");
        }
    }
}

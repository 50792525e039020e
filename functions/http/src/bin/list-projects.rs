//! `GET /v1/projects`: all projects, the newest first, for operators.

use lambda_http::{Body, Request, Response};
use serde::Serialize;
use shared::domain::project::ProjectSummary;
use shared::domain::{Clock, Scope};
use shared::http::{Caller, PageParameters, Problem, page_answer, query};
use shared::platform::{Environment, serve};
use shared::store::{FindProject, KnownProjects, ListProjects};
use utoipa::ToSchema;

/// A page of projects, the newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({ "projects": [], "next_cursor": null })))]
struct ProjectPage {
    projects: Vec<ProjectSummary>,
    /// Where the next page begins; `null` on the last one.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// List projects
///
/// The newest first, for operators.
#[utoipa::path(
    get,
    path = "/v1/projects",
    tag = "Projects",
    security(("ApiKey" = ["operator"])),
    params(PageParameters),
    responses(
        (status = 200, description = "A page of projects.", body = ProjectPage, headers(("Link"), ("Cache-Control"))),
        (status = 400),
        (status = 404),
    )
)]
async fn list_projects(
    all: &impl ListProjects, projects: &impl FindProject, clock: &impl Clock, request: Request,
) -> Result<Response<Body>, Problem> {
    let caller = Caller::from_request(&request)?.require(Scope::Operator)?;
    let parameters: PageParameters = query(&request)?;
    // The operator's own project signs the cursors.
    let project = projects.find_project(caller.project, clock.now()).await?;
    let project = project.ok_or_else(|| Problem::not_found("project"))?;
    let query = parameters.query(&project)?;
    let page = all.list_projects(&query).await?;
    page_answer("/v1/projects", page, query.limit, &project, |projects, next_cursor| ProjectPage {
        projects,
        next_cursor,
    })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let env = Environment::load()?;
    let (all, clock) = (env.store()?, env.clock());
    let projects = KnownProjects::new(all.clone());
    let (all, projects, clock) = (&all, &projects, &clock);
    serve(move |request| list_projects(all, projects, clock, request)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use shared::domain::page::{Page, PlainQuery};
    use shared::domain::{Project, ProjectId, Secret, Time, Unavailable};

    struct Table;

    fn project(id: ProjectId, now: Time) -> Project {
        Project::new(id, "Harbour".into(), vec![Secret::new([1; 32])], now)
    }

    impl ListProjects for Table {
        async fn list_projects(
            &self, query: &PlainQuery<ProjectId>,
        ) -> Result<Page<ProjectSummary, ProjectId>, Unavailable> {
            let rows = vec![project(ProjectId::new(9.into()), Time::from_secs(0)).summary()];
            let after = query.after.is_none().then(|| ProjectId::new(9.into()));
            Ok(Page { rows, after })
        }
    }

    impl FindProject for Table {
        async fn find_project(&self, id: ProjectId, now: Time) -> Result<Option<Project>, Unavailable> {
            Ok(Some(project(id, now)))
        }
    }

    struct At(Time);

    impl Clock for At {
        fn now(&self) -> Time {
            self.0
        }
    }

    async fn answer(query: &str, scopes: &str) -> Result<Value, Problem> {
        let mut event: Value =
            serde_json::from_str(include_str!("../../../../events/list-projects.json")).unwrap();
        event["rawQueryString"] = json!(query);
        event["requestContext"]["authorizer"]["lambda"]["scopes"] = json!(scopes);
        let request = lambda_http::request::from_str(&event.to_string()).unwrap();
        let response = list_projects(&Table, &Table, &At(Time::from_secs(5)), request).await?;
        let Body::Text(text) = response.body() else { panic!("the answer is text") };
        Ok(serde_json::from_str(text).unwrap())
    }

    #[tokio::test]
    async fn operators_see_all_projects_page_by_page() {
        let first = answer("limit=1", "operator").await.unwrap();
        assert_eq!(first["projects"][0]["name"], "Harbour");
        let cursor = first["next_cursor"].as_str().unwrap();
        let last = answer(&format!("cursor={cursor}"), "operator").await.unwrap();
        assert_eq!(last["next_cursor"], Value::Null);
    }

    #[tokio::test]
    async fn nobody_else_does() {
        assert_eq!(answer("", "admin").await.unwrap_err().code(), "forbidden");
        assert_eq!(answer("limit=0", "operator").await.unwrap_err().status(), 400);
    }
}

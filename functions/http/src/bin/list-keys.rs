//! `GET /v1/keys`: the project's API keys, the newest first, without their secrets.

use lambda_http::{Body, Request, Response};
use serde::Serialize;
use shared::domain::key::KeySummary;
use shared::domain::{Clock, Scope};
use shared::http::{Caller, PageParameters, Problem, page_answer, query};
use shared::platform::{Environment, serve};
use shared::store::{FindProject, KnownProjects, ListKeys};
use utoipa::ToSchema;

/// A page of keys, the newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({ "keys": [], "next_cursor": null })))]
struct KeyPage {
    keys: Vec<KeySummary>,
    /// Where the next page begins; `null` on the last one.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// List keys
///
/// The newest first, without their secrets.
#[utoipa::path(
    get,
    path = "/v1/keys",
    tag = "Keys",
    security(("ApiKey" = ["admin"])),
    params(PageParameters),
    responses(
        (status = 200, description = "A page of keys.", body = KeyPage, headers(("Link"), ("Cache-Control"))),
        (status = 400),
        (status = 404),
    )
)]
async fn list_keys(
    api_keys: &impl ListKeys, projects: &impl FindProject, clock: &impl Clock, request: Request,
) -> Result<Response<Body>, Problem> {
    let caller = Caller::from_request(&request)?.require(Scope::Admin)?;
    let parameters: PageParameters = query(&request)?;
    let project = projects.find_project(caller.project, clock.now()).await?;
    let project = project.ok_or_else(|| Problem::not_found("project"))?;
    let query = parameters.query(&project)?;
    let page = api_keys.list_keys(caller.project, &query).await?;
    page_answer("/v1/keys", page, query.limit, &project, |keys, next_cursor| KeyPage { keys, next_cursor })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let env = Environment::load()?;
    let (api_keys, clock) = (env.store()?, env.clock());
    let projects = KnownProjects::new(api_keys.clone());
    let (api_keys, projects, clock) = (&api_keys, &projects, &clock);
    serve(move |request| list_keys(api_keys, projects, clock, request)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use shared::domain::page::{Page, PlainQuery};
    use shared::domain::{ApiKey, KeyId, KeyToken, Project, ProjectId, Secret, Time, Unavailable};
    use std::sync::Mutex;

    #[derive(Default)]
    struct Table {
        asked: Mutex<Vec<PlainQuery<KeyId>>>,
    }

    impl ListKeys for Table {
        async fn list_keys(
            &self, project: ProjectId, query: &PlainQuery<KeyId>,
        ) -> Result<Page<KeySummary, KeyId>, Unavailable> {
            self.asked.lock().unwrap().push(*query);
            let token = KeyToken { id: KeyId::new(7.into()), secret: Secret::new([7; 32]) };
            let key = ApiKey::new(&token, project, vec![Scope::Admin], Time::from_secs(0));
            Ok(Page { rows: vec![key.summary()], after: Some(key.id) })
        }
    }

    impl FindProject for Table {
        async fn find_project(&self, id: ProjectId, now: Time) -> Result<Option<Project>, Unavailable> {
            Ok(Some(Project::new(id, "Harbour".into(), vec![Secret::new([1; 32])], now)))
        }
    }

    struct At(Time);

    impl Clock for At {
        fn now(&self) -> Time {
            self.0
        }
    }

    async fn answer(table: &Table, query: &str, scopes: &str) -> Result<Response<Body>, Problem> {
        let mut event: Value =
            serde_json::from_str(include_str!("../../../../events/list-keys.json")).unwrap();
        event["rawQueryString"] = json!(query);
        event["requestContext"]["authorizer"]["lambda"]["scopes"] = json!(scopes);
        let request = lambda_http::request::from_str(&event.to_string()).unwrap();
        list_keys(table, table, &At(Time::from_secs(1_795_237_200)), request).await
    }

    #[tokio::test]
    async fn a_page_leads_to_the_next() {
        let table = Table::default();
        let response = answer(&table, "limit=1", "admin").await.unwrap();
        let Body::Text(text) = response.body() else { panic!("the answer is text") };
        let page: Value = serde_json::from_str(text).unwrap();
        assert_eq!(page["keys"][0]["scopes"], json!(["admin"]));
        assert!(page["keys"][0].get("secret_hash").is_none());
        let cursor = page["next_cursor"].as_str().unwrap();
        let links = response.headers()["link"].to_str().unwrap();
        assert!(links.ends_with(&format!("</v1/keys?cursor={cursor}>; rel=\"next\"")), "{links}");
        answer(&table, &format!("cursor={cursor}"), "admin").await.unwrap();
        let after = Some(KeyId::new(7.into()));
        let asked = [PlainQuery { limit: 1, after: None }, PlainQuery { limit: 1, after }];
        assert_eq!(*table.asked.lock().unwrap(), asked);
    }

    #[tokio::test]
    async fn a_query_is_read_strictly_and_by_administrators() {
        for (query, scopes, status) in [
            ("limit=0", "admin", 400),
            ("limit=101", "admin", 400),
            ("limit=1&cursor=x", "admin", 400),
            ("cursor=x", "admin", 400),
            ("owner=me", "admin", 400),
            ("", "images:read images:write uploads:create", 403),
        ] {
            let table = Table::default();
            assert_eq!(answer(&table, query, scopes).await.unwrap_err().status(), status, "{query}");
            assert!(table.asked.into_inner().unwrap().is_empty());
        }
    }
}

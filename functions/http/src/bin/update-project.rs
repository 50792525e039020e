//! `PATCH /v1/projects/{project}`: changes a project's name, settings, limits and the issuers that it trusts.
//! Its administrators change their own, all but the limits: those are what operators hold them to.

use lambda_http::http::StatusCode;
use lambda_http::{Body, Request, Response};
use serde::{Deserialize, Deserializer};
use shared::domain::issuer::{Issuer, Reach};
use shared::domain::project::Settings;
use shared::domain::quota::Limits;
use shared::domain::{Clock, Name, Project, ProjectId, Scope};
use shared::http::{
    Caller, IfMatch, LimitsPatch, NewIssuer, Patched, Problem, ProjectView, SettingsPatch, if_match, json,
    merge_patch, path_parameter, tagged,
};
use shared::platform::{Environment, serve};
use shared::store::{CommitProject, FindProject, change_project};
use utoipa::ToSchema;

/// A merge patch (RFC 7396): a list is replaced as a whole.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({
    "issuers": [{ "issuer": "https://accounts.google.com", "audience": "1234.apps.googleusercontent.com" }],
})))]
struct ProjectPatch {
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = Name, required = false)]
    name: Option<Name>,
    #[serde(default)]
    #[schema(value_type = Option<SettingsPatch>)]
    settings: Patched<SettingsPatch>,
    #[serde(default)]
    #[schema(value_type = Option<LimitsPatch>)]
    limits: Patched<LimitsPatch>,
    #[serde(default)]
    #[schema(value_type = Option<Vec<NewIssuer>>, max_items = 5)]
    issuers: Patched<Vec<NewIssuer>>,
}

/// Every project has one, so it cannot be removed.
fn not_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Name>, D::Error> {
    Name::deserialize(deserializer).map(Some)
}

/// The project as the patch wants it.
fn apply(patch: &ProjectPatch, issuers: Option<&Vec<Issuer>>, project: &Project) -> Project {
    let mut after = project.clone();
    if let Some(name) = &patch.name {
        after.name = name.clone().into();
    }
    match patch.settings {
        Patched::Kept => {}
        Patched::Removed => after.settings = Settings::default(),
        Patched::Given(settings) => after.settings = settings.apply(after.settings),
    }
    match patch.limits {
        Patched::Kept => {}
        Patched::Removed => after.limits = Limits::default(),
        Patched::Given(limits) => after.limits = limits.apply(after.limits),
    }
    if let Some(issuers) = issuers {
        after.issuers.clone_from(issuers);
    }
    after
}

/// Update a project
///
/// A merge patch; a list is replaced as a whole, and `null` makes a setting or a limit what it is for a new project.
/// Limits are set by operators.
#[utoipa::path(
    patch,
    path = "/v1/projects/{project}",
    tag = "Projects",
    security(("ApiKey" = ["admin"])),
    params(("project" = ProjectId, Path, description = "The project."), IfMatch),
    request_body(content((ProjectPatch = "application/merge-patch+json"), (ProjectPatch = "application/json"))),
    responses(
        (status = 200, description = "The project as it is now.", body = ProjectView, headers(("ETag"), ("Cache-Control"))),
        (status = 400),
        (status = 404),
        (status = 409),
        (status = 412),
        (status = 415),
    )
)]
async fn update_project(
    projects: &(impl FindProject + CommitProject), clock: &impl Clock, reach: Reach, request: Request,
) -> Result<Response<Body>, Problem> {
    let caller = Caller::from_request(&request)?;
    let id = path_parameter(&request, "project", "project")?;
    caller.require_project(id)?;
    let expected = if_match(&request)?;
    let mut patch: ProjectPatch = merge_patch(&request)?;
    if !matches!(patch.limits, Patched::Kept) && !Scope::Operator.is_in(&caller.scopes) {
        return Err(Problem::forbidden("Limits are set by operators."));
    }
    let issuers = match std::mem::take(&mut patch.issuers) {
        Patched::Kept => None,
        Patched::Removed => Some(vec![]),
        Patched::Given(new) => Some(NewIssuer::check_all(new, reach)?),
    };
    let decide = |project: &Project| apply(&patch, issuers.as_ref(), project);
    let project = change_project(projects, id, expected.as_deref(), clock.now(), decide).await?;
    tagged(json(StatusCode::OK, &ProjectView::new(&project))?, &ProjectView::etag(&project))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let env = Environment::load()?;
    let (projects, clock, reach) = (env.store()?, env.clock(), env.reach());
    let (projects, clock) = (&projects, &clock);
    serve(move |request| update_project(projects, clock, reach, request)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use shared::domain::error::WriteError;
    use shared::domain::{Time, Unavailable};
    use std::sync::Mutex;

    struct Table {
        project: Mutex<Project>,
        taken: bool,
    }

    impl FindProject for Table {
        async fn find_project(&self, id: ProjectId, _: Time) -> Result<Option<Project>, Unavailable> {
            Ok(Some(self.project.lock().unwrap().clone()).filter(|project| project.id == id))
        }
    }

    impl CommitProject for Table {
        async fn commit_project(&self, before: &Project, after: &Project) -> Result<(), WriteError> {
            if self.taken {
                return Err(WriteError::Taken(0));
            }
            let mut project = self.project.lock().unwrap();
            if project.version != before.version {
                return Err(WriteError::Conflict);
            }
            *project = after.clone();
            Ok(())
        }
    }

    struct At(Time);

    impl Clock for At {
        fn now(&self) -> Time {
            self.0
        }
    }

    fn event(patch: &Value, scopes: &str) -> Value {
        let mut event: Value =
            serde_json::from_str(include_str!("../../../../events/update-project.json")).unwrap();
        event["headers"].as_object_mut().unwrap().remove("if-match");
        event["body"] = json!(patch.to_string());
        event["requestContext"]["authorizer"]["lambda"]["scopes"] = json!(scopes);
        event
    }

    fn table() -> Table {
        let id = "prj_01M5GZNY40J4Q2W8N5R7X3Z9BD".parse().unwrap();
        let project = Project::new(id, "Harbour".into(), vec![], Time::from_secs(0));
        Table { project: Mutex::new(project), taken: false }
    }

    async fn answer(table: &Table, event: &Value) -> Result<Response<Body>, Problem> {
        let request = lambda_http::request::from_str(&event.to_string()).unwrap();
        update_project(table, &At(Time::from_secs(5)), Reach::Internet, request).await
    }

    async fn patched(table: &Table, patch: &Value) -> Value {
        let response = answer(table, &event(patch, "admin operator")).await.unwrap();
        let Body::Text(text) = response.body() else { panic!("the answer is text") };
        serde_json::from_str(text).unwrap()
    }

    #[tokio::test]
    async fn what_a_patch_does_not_name_stays() {
        let table = table();
        let google = json!({ "issuer": "https://accounts.google.com", "audience": "app" });
        patched(&table, &json!({ "issuers": [google], "settings": { "keep_location": true } })).await;
        patched(&table, &json!({ "limits": { "images": 7 } })).await;
        let shown =
            patched(&table, &json!({ "name": " Port ", "settings": { "keep_copyright": true } })).await;
        assert_eq!(shown["name"], "Port");
        assert_eq!(shown["settings"], json!({ "keep_location": true, "keep_copyright": true }));
        assert_eq!(shown["limits"], json!({ "bytes": 100_u64 << 30, "images": 7 }));
        assert_eq!(shown["issuers"][0]["user_claim"], "sub");
        assert_eq!(shown["issuers"][0]["scopes"], json!(["images:read", "images:write", "uploads:create"]));
        assert_eq!(table.project.lock().unwrap().version, 4);
        let unchanged = answer(&table, &event(&json!({ "name": "Port" }), "admin")).await.unwrap();
        assert_eq!(unchanged.headers()["etag"], "\"4\"");
        assert_eq!(patched(&table, &json!({ "issuers": null })).await["issuers"], json!([]));
    }

    #[tokio::test]
    async fn null_is_what_a_new_project_has_and_is_not_passed_over() {
        let (on, off) = (
            json!({ "keep_location": true, "keep_copyright": true }),
            json!({ "keep_location": false, "keep_copyright": false }),
        );
        let (few, new) = (json!({ "bytes": 5, "images": 7 }), json!(Limits::default()));
        for (patch, settings, limits) in [
            (
                json!({ "settings": { "keep_location": null } }),
                json!({ "keep_location": false, "keep_copyright": true }),
                &few,
            ),
            (json!({ "settings": { "keep_location": null, "keep_copyright": null } }), off.clone(), &few),
            (json!({ "settings": null }), off, &few),
            (
                json!({ "limits": { "images": null } }),
                on.clone(),
                &json!({ "bytes": 5, "images": new["images"] }),
            ),
            (
                json!({ "limits": { "bytes": null } }),
                on.clone(),
                &json!({ "bytes": new["bytes"], "images": 7 }),
            ),
            (json!({ "limits": null }), on.clone(), &new),
        ] {
            let table = table();
            patched(&table, &json!({ "settings": on, "limits": few })).await;
            let shown = patched(&table, &patch).await;
            assert_eq!((&shown["settings"], &shown["limits"]), (&settings, limits), "{patch}");
        }
        let problem = answer(&table(), &event(&json!({ "name": null }), "admin")).await.unwrap_err();
        assert_eq!(problem.code(), "invalid-request");
    }

    #[tokio::test]
    async fn limits_are_set_by_operators() {
        let patch = json!({ "limits": { "bytes": 5 } });
        for patch in [&patch, &json!({ "limits": null }), &json!({ "limits": { "bytes": null } })] {
            let problem = answer(&table(), &event(patch, "admin")).await.unwrap_err();
            assert_eq!(problem.code(), "forbidden", "{patch}");
        }
        let mut event = event(&patch, "admin");
        event["pathParameters"]["project"] = json!("prj_01M7Y7HNH0M6P1S3V5X7Z9B2DF");
        assert_eq!(answer(&table(), &event).await.unwrap_err().code(), "not-found");
    }

    #[tokio::test]
    async fn two_with_one_tag_do_not_both_win() {
        let table = table();
        let patch = |name: &str| {
            let mut event = event(&json!({ "name": name }), "admin");
            event["headers"]["if-match"] = json!("\"1\"");
            event
        };
        answer(&table, &patch("mine")).await.unwrap();
        let problem = answer(&table, &patch("yours")).await.unwrap_err();
        assert_eq!(problem.code(), "stale");
        assert_eq!(problem.into_response("request-1").headers()["etag"], "\"2\"");
    }

    #[tokio::test]
    async fn an_issuer_that_cannot_be_trusted_is_pointed_at() {
        let issuer = |url: &str| json!({ "issuer": url, "audience": "app" });
        for (issuers, pointer) in [
            (json!([issuer("http://id.example.org")]), "/issuers/0/issuer"),
            (
                json!([issuer("https://a.example.org"), issuer("https://b.example.org")]),
                "/issuers/1/user_prefix",
            ),
            (json!([{ "issuer": "https://a.example.org" }]), "/issuers"),
            (
                json!([{ "issuer": "https://a.example.org", "audience": "app", "scopes": ["operator"] }]),
                "/issuers/0/scopes",
            ),
        ] {
            let problem =
                answer(&table(), &event(&json!({ "issuers": issuers }), "admin")).await.unwrap_err();
            assert_eq!(problem.status(), 400, "{issuers}");
            let response = problem.into_response("request-1");
            let Body::Text(text) = response.body() else { panic!("a problem is text") };
            let document: Value = serde_json::from_str(text).unwrap();
            assert!(document["errors"][0]["pointer"].as_str().unwrap().starts_with(pointer), "{document}");
        }
        let taken = Table { taken: true, ..table() };
        let patch = json!({ "issuers": [issuer("https://a.example.org")] });
        assert_eq!(answer(&taken, &event(&patch, "admin")).await.unwrap_err().code(), "conflict");
    }
}

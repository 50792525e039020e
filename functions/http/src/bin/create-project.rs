//! `POST /v1/projects`, and invoked by hand: makes a project and its first API key.
//!
//! A fresh deployment has nobody whom the gateway could know. So whoever may invoke this function, which is
//! IAM's business, makes the first project, and can make its key an operator's; with that one, projects are
//! made over HTTP. The key is in the answer and nowhere else: only its hash is stored.

use lambda_http::{Body, Request, Response};
use serde::{Deserialize, Serialize};
use shared::domain::error::WriteError;
use shared::domain::idempotency::Record;
use shared::domain::project::Settings;
use shared::domain::secret::Secrets;
use shared::domain::{ApiKey, Clock, Ids, KeyId, KeyToken, Name, Project, ProjectId, Scope};
use shared::http::{
    Caller, IdempotencyKey, LimitsPatch, Problem, ProjectView, SettingsPatch, attempt, body, created,
    repeated, unstored,
};
use shared::platform::{Environment, recall, serve_or_answer};
use shared::store::{CreateProject, FindProject, RecallAttempt};
use utoipa::ToSchema;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({ "name": "Harbour" })))]
struct NewProject {
    name: Name,
    #[serde(default)]
    settings: SettingsPatch,
    #[serde(default)]
    limits: LimitsPatch,
}

/// What whoever invokes the function says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Invocation {
    name: Name,
    /// Whether images know the place where they were taken.
    #[serde(default)]
    keep_location: bool,
    /// Whether renderings say whose they are.
    #[serde(default)]
    keep_copyright: bool,
    /// Whether the key may make projects, too.
    #[serde(default)]
    operator: bool,
}

#[derive(Debug, Serialize)]
struct Invoked {
    project: ProjectId,
    key: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({
    "id": "prj_01M5GZNY40J4Q2W8N5R7X3Z9BD", "name": "Harbour",
    "settings": { "keep_location": false, "keep_copyright": false },
    "limits": { "bytes": 107_374_182_400_u64, "images": 1_000_000 }, "issuers": [],
    "created_at": "2026-11-21T05:00:00.000Z",
    "key": "tt_01M7Y7HNH0M6P1S3V5X7Z9B2DF_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc",
})))]
struct CreatedProject<'a> {
    #[serde(flatten)]
    project: ProjectView<'a>,
    /// Shown once. A request that is sent again is answered without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

/// A project that is about to be, its key, and what proves it.
fn make(
    name: Name, settings: Settings, scopes: Vec<Scope>, random: &(impl Ids + Secrets), clock: &impl Clock,
) -> (Project, ApiKey, KeyToken) {
    let now = clock.now();
    let signing_keys = vec![random.secret(), random.secret()];
    let project = Project::new(ProjectId::new(random.ulid()), name.into(), signing_keys, now);
    let project = Project { settings, ..project };
    let token = KeyToken { id: KeyId::new(random.ulid()), secret: random.secret() };
    let key = ApiKey::new(&token, project.id, scopes, now);
    (project, key, token)
}

async fn invoked(
    projects: &impl CreateProject, random: &(impl Ids + Secrets), clock: &impl Clock, new: Invocation,
) -> Result<Invoked, WriteError> {
    let scopes = if new.operator { vec![Scope::Admin, Scope::Operator] } else { vec![Scope::Admin] };
    let settings = Settings { keep_location: new.keep_location, keep_copyright: new.keep_copyright };
    let (project, key, token) = make(new.name, settings, scopes, random, clock);
    projects.create_project(&project, &key, None).await?;
    Ok(Invoked { project: project.id, key: token.expose_text() })
}

/// Create a project
///
/// With its first key, which is shown once. For operators.
#[utoipa::path(
    post,
    path = "/v1/projects",
    tag = "Projects",
    security(("ApiKey" = ["operator"])),
    params(IdempotencyKey),
    request_body = NewProject,
    responses(
        (status = 201, description = "Made.", body = CreatedProject, headers(("Location"), ("Cache-Control"))),
        (status = 400),
        (status = 409),
        (status = 410),
        (status = 415),
        (status = 422),
    )
)]
async fn create_project(
    projects: &(impl CreateProject + FindProject + RecallAttempt), random: &(impl Ids + Secrets),
    clock: &impl Clock, request: Request,
) -> Result<Response<Body>, Problem> {
    let caller = Caller::from_request(&request)?.require(Scope::Operator)?;
    let (now, attempt) = (clock.now(), attempt(&request, &caller)?);
    let new: NewProject = body(&request)?;
    if let Some(record) = recall(projects, attempt.as_ref(), now).await? {
        return answer_again(projects, &record, clock).await;
    }
    let settings = new.settings.apply(Settings::default());
    let (project, key, token) = make(new.name, settings, vec![Scope::Admin], random, clock);
    let project = Project { limits: new.limits.apply(project.limits), ..project };
    let record = attempt.as_ref().map(|attempt| attempt.done(vec![project.id.to_string()], now));
    match projects.create_project(&project, &key, record.as_ref()).await {
        Ok(()) => answer(&project, Some(token.expose_text())),
        Err(WriteError::Repeated(record)) => {
            answer_again(projects, &repeated(attempt, *record)?, clock).await
        }
        Err(error) => Err(error.into()),
    }
}

fn answer(project: &Project, key: Option<String>) -> Result<Response<Body>, Problem> {
    let shown = CreatedProject { project: ProjectView::new(project), key };
    Ok(unstored(created(&format!("/v1/projects/{}", project.id), &shown)?))
}

/// The same project, without its key: that was shown once.
async fn answer_again(
    projects: &impl FindProject, record: &Record, clock: &impl Clock,
) -> Result<Response<Body>, Problem> {
    let gone = || Problem::gone("The project that this request made is gone.");
    let project = projects.find_project(record.id(0).ok_or_else(gone)?, clock.now()).await?;
    answer(&project.ok_or_else(gone)?, None)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let env = Environment::load()?;
    let (projects, random, clock) = (env.store()?, env.random(), env.clock());
    let (projects, random, clock) = (&projects, &random, &clock);
    serve_or_answer(
        move |request| create_project(projects, random, clock, request),
        move |event| invoked(projects, random, clock, event),
    )
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use shared::domain::idempotency::Attempt;
    use shared::domain::{Time, Unavailable};
    use shared::platform::SystemRandom;
    use std::sync::Mutex;

    #[derive(Default)]
    struct Projects {
        written: Mutex<Option<(Project, ApiKey)>>,
        record: Mutex<Option<Record>>,
        out_of_reach: bool,
    }

    impl CreateProject for Projects {
        async fn create_project(
            &self, project: &Project, key: &ApiKey, once: Option<&Record>,
        ) -> Result<(), WriteError> {
            if self.out_of_reach {
                return Err(WriteError::Unavailable(Unavailable::new("create_project", "no route to host")));
            }
            *self.written.lock().unwrap() = Some((project.clone(), key.clone()));
            *self.record.lock().unwrap() = once.cloned();
            Ok(())
        }
    }

    impl FindProject for Projects {
        async fn find_project(&self, _: ProjectId, _: Time) -> Result<Option<Project>, Unavailable> {
            Ok(self.written.lock().unwrap().clone().map(|(project, _)| project))
        }
    }

    impl RecallAttempt for Projects {
        async fn recall_attempt(&self, _: &Attempt, _: Time) -> Result<Option<Record>, Unavailable> {
            Ok(self.record.lock().unwrap().clone())
        }
    }

    struct At(Time);

    impl Clock for At {
        fn now(&self) -> Time {
            self.0
        }
    }

    fn invocation() -> Invocation {
        serde_json::from_str(include_str!("../../../../events/create-project.json")).unwrap()
    }

    #[tokio::test]
    async fn the_answered_key_opens_the_written_project() {
        let (projects, now) = (Projects::default(), Time::from_secs(5));
        let made = invoked(&projects, &SystemRandom, &At(now), invocation()).await.unwrap();
        let (project, key) = projects.written.into_inner().unwrap().unwrap();
        let token: KeyToken = made.key.parse().unwrap();
        assert!(key.admits(&token, now));
        assert_eq!((made.project, key.project), (project.id, project.id));
        assert_eq!(project.name, "Harbour");
        assert_eq!(project.created_at, now);
        assert_eq!(key.scopes, [Scope::Admin]);
        assert!(!serde_json::to_string(&key).unwrap().contains(&token.secret.expose_text()));
    }

    #[tokio::test]
    async fn a_project_has_two_signing_keys_of_its_own() {
        let projects = Projects::default();
        invoked(&projects, &SystemRandom, &At(Time::from_secs(5)), invocation()).await.unwrap();
        let (project, _) = projects.written.into_inner().unwrap().unwrap();
        assert_eq!(project.signing_keys.len(), 2);
        assert_ne!(project.signing_keys[0], project.signing_keys[1]);
    }

    #[tokio::test]
    async fn no_key_is_shown_that_was_not_written() {
        let projects = Projects { out_of_reach: true, ..Projects::default() };
        assert!(invoked(&projects, &SystemRandom, &At(Time::from_secs(5)), invocation()).await.is_err());
    }

    #[test]
    fn a_misspelt_field_is_refused() {
        assert!(serde_json::from_str::<Invocation>(r#"{"name":"x","nmae":"y"}"#).is_err());
        assert!(serde_json::from_str::<Invocation>(r#"{"name":" "}"#).is_err());
    }

    #[tokio::test]
    async fn whoever_invokes_it_can_make_an_operator() {
        let projects = Projects::default();
        let operator = Invocation { operator: true, ..invocation() };
        invoked(&projects, &SystemRandom, &At(Time::from_secs(5)), operator).await.unwrap();
        let (_, key) = projects.written.into_inner().unwrap().unwrap();
        assert_eq!(key.scopes, [Scope::Admin, Scope::Operator]);
    }

    fn event(scopes: &str, body: &Value) -> Value {
        let mut event: Value =
            serde_json::from_str(include_str!("../../../../events/create-key.json")).unwrap();
        event["body"] = json!(body.to_string());
        event["requestContext"]["authorizer"]["lambda"]["scopes"] = json!(scopes);
        event
    }

    async fn answer_to(projects: &Projects, event: &Value) -> Result<Value, Problem> {
        let request = lambda_http::request::from_str(&event.to_string()).unwrap();
        let response = create_project(projects, &SystemRandom, &At(Time::from_secs(5)), request).await?;
        assert_eq!(response.status(), 201);
        let Body::Text(text) = response.body() else { panic!("the answer is text") };
        Ok(serde_json::from_str(text).unwrap())
    }

    #[tokio::test]
    async fn an_operator_makes_projects_whose_keys_are_no_operators() {
        let projects = Projects::default();
        let body =
            json!({ "name": "Harbour", "limits": { "images": 5 }, "settings": { "keep_location": true } });
        let mut event = event("operator", &body);
        event["headers"]["idempotency-key"] = json!("a");
        let shown = answer_to(&projects, &event).await.unwrap();
        assert_eq!((&shown["name"], &shown["limits"]["images"]), (&json!("Harbour"), &json!(5)));
        let again = answer_to(&projects, &event).await.unwrap();
        assert_eq!(again["id"], shown["id"]);
        assert!(shown.get("key").is_some() && again.get("key").is_none());
        let (project, key) = projects.written.into_inner().unwrap().unwrap();
        assert_eq!(key.scopes, [Scope::Admin]);
        assert!(project.settings.keep_location);
    }

    #[tokio::test]
    async fn nobody_else_makes_projects_over_http() {
        for (scopes, body, status) in [
            ("admin", json!({ "name": "Harbour" }), 403),
            ("operator", json!({}), 400),
            ("operator", json!({ "name": "Harbour", "operator": true }), 400),
        ] {
            let projects = Projects::default();
            let problem = answer_to(&projects, &event(scopes, &body)).await.unwrap_err();
            assert_eq!(problem.status(), status, "{body}");
            assert!(projects.written.into_inner().unwrap().is_none());
        }
    }
}

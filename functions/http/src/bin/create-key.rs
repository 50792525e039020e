//! `POST /v1/keys`: makes an API key of the caller's project, with scopes that the caller has.
//!
//! The key is in the answer and nowhere else: only its hash is stored.

use lambda_http::{Body, Request, Response};
use serde::{Deserialize, Serialize};
use shared::domain::error::WriteError;
use shared::domain::idempotency::Record;
use shared::domain::key::KeySummary;
use shared::domain::secret::Secrets;
use shared::domain::{ApiKey, Clock, Ids, KeyId, KeyToken, Name, Scope, Time};
use shared::http::{Caller, FieldError, IdempotencyKey, Problem, attempt, body, created, repeated, unstored};
use shared::platform::{Environment, recall, serve};
use shared::store::{CommitKey, FindKey, RecallAttempt};
use utoipa::ToSchema;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({ "name": "Build server", "scopes": ["images:read"] })))]
struct NewKey {
    name: Option<Name>,
    #[schema(min_items = 1)]
    scopes: Vec<Scope>,
    /// When it ends; never, if nothing is said.
    expires_at: Option<Time>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({
    "id": "key_01M7Y7HNH0M6P1S3V5X7Z9B2DF", "scopes": ["images:read"], "created_at": "2026-11-21T05:00:00.000Z",
    "key": "tt_01M7Y7HNH0M6P1S3V5X7Z9B2DF_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc",
})))]
struct CreatedKey {
    #[serde(flatten)]
    summary: KeySummary,
    /// Shown once. A request that is sent again is answered without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

impl NewKey {
    fn check(mut self, caller: &Caller, now: Time) -> Result<Self, Problem> {
        let field = |pointer: &str, detail: &str| {
            let (pointer, detail) = (pointer.to_owned(), detail.to_owned());
            Problem::invalid_fields(vec![FieldError { pointer, detail }])
        };
        self.scopes.sort_unstable();
        self.scopes.dedup();
        if self.scopes.is_empty() {
            return Err(field("/scopes", "must name at least one scope"));
        }
        if let Some(scope) = self.scopes.iter().find(|scope| !scope.is_in(&caller.scopes)) {
            let name = scope.name();
            return Err(Problem::forbidden(format!("You cannot give away `{name}`, which you have not.")));
        }
        if self.expires_at.is_some_and(|end| end <= now) {
            return Err(field("/expires_at", "must lie ahead"));
        }
        Ok(self)
    }
}

/// Create a key
///
/// It has no scope that whoever makes it has not. The secret is shown once.
#[utoipa::path(
    post,
    path = "/v1/keys",
    tag = "Keys",
    security(("ApiKey" = ["admin"])),
    params(IdempotencyKey),
    request_body = NewKey,
    responses(
        (status = 201, description = "Made.", body = CreatedKey, headers(("Location"), ("Cache-Control"))),
        (status = 400),
        (status = 409),
        (status = 410),
        (status = 415),
        (status = 422),
    )
)]
async fn create_key(
    api_keys: &(impl CommitKey + FindKey + RecallAttempt), random: &(impl Ids + Secrets), clock: &impl Clock,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let caller = Caller::from_request(&request)?.require(Scope::Admin)?;
    let (now, attempt) = (clock.now(), attempt(&request, &caller)?);
    let new = body::<NewKey>(&request)?.check(&caller, now)?;
    if let Some(record) = recall(api_keys, attempt.as_ref(), now).await? {
        return answer_again(api_keys, &record).await;
    }
    let token = KeyToken { id: KeyId::new(random.ulid()), secret: random.secret() };
    let key = ApiKey {
        name: new.name.map(String::from),
        good_until: new.expires_at,
        ..ApiKey::new(&token, caller.project, new.scopes, now)
    };
    let record = attempt.as_ref().map(|attempt| attempt.done(vec![key.id.to_string()], now));
    match api_keys.commit_key(None, &key, record.as_ref()).await {
        Ok(()) => answer(&key, Some(token.expose_text())),
        Err(WriteError::Repeated(record)) => answer_again(api_keys, &repeated(attempt, *record)?).await,
        Err(error) => Err(error.into()),
    }
}

fn answer(key: &ApiKey, secret: Option<String>) -> Result<Response<Body>, Problem> {
    let answer = CreatedKey { summary: key.summary(), key: secret };
    Ok(unstored(created(&format!("/v1/keys/{}", key.id), &answer)?))
}

/// The same key, without its secret: that was shown once.
async fn answer_again(api_keys: &impl FindKey, record: &Record) -> Result<Response<Body>, Problem> {
    let gone = || Problem::gone("The key that this request made has been deleted.");
    let key = api_keys.find_key(record.id(0).ok_or_else(gone)?).await?.ok_or_else(gone)?;
    answer(&key, None)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let env = Environment::load()?;
    let (api_keys, random, clock) = (env.store()?, env.random(), env.clock());
    let (api_keys, random, clock) = (&api_keys, &random, &clock);
    serve(move |request| create_key(api_keys, random, clock, request)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use shared::domain::Unavailable;
    use shared::domain::idempotency::Attempt;
    use shared::platform::SystemRandom;
    use std::sync::Mutex;

    #[derive(Default)]
    struct Table {
        written: Mutex<Option<ApiKey>>,
        record: Mutex<Option<Record>>,
        /// Whether the record of an attempt is found only when it is written again.
        races: bool,
        out_of_reach: bool,
    }

    impl CommitKey for Table {
        async fn commit_key(
            &self, before: Option<&ApiKey>, key: &ApiKey, once: Option<&Record>,
        ) -> Result<(), WriteError> {
            assert!(before.is_none(), "a new key");
            if self.out_of_reach {
                return Err(WriteError::Unavailable(Unavailable::new("commit_key", "table-7 timed out")));
            }
            if let Some(record) = self.record.lock().unwrap().clone() {
                return Err(WriteError::Repeated(Box::new(record)));
            }
            *self.record.lock().unwrap() = once.cloned();
            *self.written.lock().unwrap() = Some(key.clone());
            Ok(())
        }
    }

    impl FindKey for Table {
        async fn find_key(&self, _: KeyId) -> Result<Option<ApiKey>, Unavailable> {
            Ok(self.written.lock().unwrap().clone())
        }
    }

    impl RecallAttempt for Table {
        async fn recall_attempt(&self, attempt: &Attempt, _: Time) -> Result<Option<Record>, Unavailable> {
            let record = self.record.lock().unwrap().clone();
            Ok(record.filter(|record| record.attempt.key == attempt.key && !self.races))
        }
    }

    struct At(Time);

    impl Clock for At {
        fn now(&self) -> Time {
            self.0
        }
    }

    /// The event with another body.
    fn event_with(body: &Value) -> Value {
        let mut event: Value =
            serde_json::from_str(include_str!("../../../../events/create-key.json")).unwrap();
        event["body"] = json!(body.to_string());
        event
    }

    fn event() -> Value {
        serde_json::from_str(include_str!("../../../../events/create-key.json")).unwrap()
    }

    async fn answer(table: &Table, event: &Value) -> Result<Response<Body>, Problem> {
        let request = lambda_http::request::from_str(&event.to_string()).unwrap();
        super::create_key(table, &SystemRandom, &At(Time::from_secs(1_795_237_200)), request).await
    }

    fn document(response: &Response<Body>) -> Value {
        let Body::Text(text) = response.body() else { panic!("the answer is text") };
        serde_json::from_str(text).unwrap()
    }

    #[tokio::test]
    async fn the_answered_key_is_the_written_one_and_its_secret_is_shown_once() {
        let table = Table::default();
        let response = answer(&table, &event()).await.unwrap();
        assert_eq!(response.status(), 201);
        assert_eq!(response.headers()["cache-control"], "no-store");
        let shown = document(&response);
        let key = table.written.into_inner().unwrap().unwrap();
        let token: KeyToken = shown["key"].as_str().unwrap().parse().unwrap();
        assert!(key.admits(&token, Time::from_secs(1_795_237_200)));
        assert_eq!(response.headers()["location"], format!("/v1/keys/{}", key.id));
        assert_eq!(shown["name"], "Build server");
        assert_eq!(shown["scopes"], json!(["images:read", "uploads:create"]));
        assert_eq!(shown["expires_at"], "2027-11-21T00:00:00.000Z");
        assert!(!shown.to_string().contains(&token.hash()));
        assert!(!serde_json::to_string(&key).unwrap().contains(&token.secret.expose_text()));
    }

    #[tokio::test]
    async fn nobody_gives_away_what_they_have_not() {
        for (has, asked, status) in [
            ("admin", "admin", 201),
            ("admin", "images:write", 201),
            ("admin", "operator", 403),
            ("admin operator", "operator", 201),
            ("operator", "images:read", 403),
            ("images:read images:write uploads:create", "images:read", 403),
        ] {
            let mut event = event_with(&json!({ "scopes": [asked] }));
            event["requestContext"]["authorizer"]["lambda"]["scopes"] = json!(has);
            let table = Table::default();
            let answered = match answer(&table, &event).await {
                Ok(response) => response.status(),
                Err(problem) => problem.status(),
            };
            assert_eq!(answered, status, "{has} -> {asked}");
            assert_eq!(table.written.into_inner().unwrap().is_some(), status == 201);
        }
    }

    #[tokio::test]
    async fn a_key_that_makes_no_sense_is_refused() {
        for (body, pointer) in [
            (json!({}), ""),
            (json!({ "scopes": [] }), "/scopes"),
            (json!({ "scopes": ["everything"] }), "/scopes/0"),
            (json!({ "scopes": ["admin"], "name": " " }), "/name"),
            (json!({ "scopes": ["admin"], "expires_at": "2026-11-21T05:00:00Z" }), "/expires_at"),
            (json!({ "scopes": ["admin"], "expires_at": "tomorrow" }), "/expires_at"),
            (json!({ "scopes": ["admin"], "secret": "mine" }), "/secret"),
        ] {
            let table = Table::default();
            let problem = answer(&table, &event_with(&body)).await.unwrap_err();
            assert_eq!(problem.status(), 400, "{body}");
            let errors = document(&problem.into_response("request-1"))["errors"].clone();
            assert_eq!(errors[0]["pointer"], pointer, "{body}");
            assert!(table.written.into_inner().unwrap().is_none());
        }
    }

    #[tokio::test]
    async fn a_request_that_comes_twice_makes_one_key_and_shows_it_once() {
        for races in [false, true] {
            let table = Table { races, ..Table::default() };
            let mut event = event();
            event["headers"]["idempotency-key"] = json!("a");
            let first = document(&answer(&table, &event).await.unwrap());
            let again = answer(&table, &event).await.unwrap();
            assert_eq!(again.status(), 201);
            let again = document(&again);
            assert_eq!(again["id"], first["id"]);
            assert!(first.get("key").is_some() && again.get("key").is_none());
            event["body"] = json!(json!({ "scopes": ["admin"] }).to_string());
            assert_eq!(answer(&table, &event).await.unwrap_err().code(), "idempotency-mismatch");
        }
    }

    #[tokio::test]
    async fn no_key_is_shown_that_was_not_written() {
        let table = Table { out_of_reach: true, ..Table::default() };
        assert_eq!(answer(&table, &event()).await.unwrap_err().status(), 503);
    }
}

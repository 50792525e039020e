//! `POST /v1/keys/{key}/rotate`: gives an API key a new secret at once. The old one stays good for a while,
//! so that whoever uses it can be changed over without a break.

use std::time::Duration;

use lambda_http::http::StatusCode;
use lambda_http::{Body, Request, Response};
use serde::{Deserialize, Serialize};
use shared::domain::error::ChangeKeyError;
use shared::domain::key::{DEFAULT_OVERLAP, KeySummary, MAXIMUM_OVERLAP};
use shared::domain::secret::Secrets;
use shared::domain::{ApiKey, Clock, KeyId, KeyToken, Scope};
use shared::http::{
    Caller, FieldError, IdempotencyKey, IfMatch, Problem, attempt, body, if_match, json, path_parameter,
    repeated, tagged, unstored,
};
use shared::platform::{Environment, recall, serve};
use shared::store::{CommitKey, FindKey, RecallAttempt, change_key};
use utoipa::ToSchema;

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({ "overlap_seconds": 3600 })))]
struct Rotation {
    /// For how long the old secret stays good: a day if nothing is said, a week at most.
    #[schema(minimum = 0, maximum = 604_800)]
    overlap_seconds: Option<u64>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({
    "id": "key_01M7Y7HNH0M6P1S3V5X7Z9B2DF", "scopes": ["images:read"], "created_at": "2026-11-21T05:00:00.000Z",
    "previous_expires_at": "2026-11-22T05:00:00.000Z",
    "key": "tt_01M7Y7HNH0M6P1S3V5X7Z9B2DF_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc",
})))]
struct RotatedKey {
    #[serde(flatten)]
    summary: KeySummary,
    /// Shown once. A request that is sent again is answered without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

impl Rotation {
    fn overlap(&self) -> Result<Duration, Problem> {
        let overlap = self.overlap_seconds.map_or(DEFAULT_OVERLAP, Duration::from_secs);
        if overlap <= MAXIMUM_OVERLAP {
            return Ok(overlap);
        }
        let detail = format!("must be at most {} seconds", MAXIMUM_OVERLAP.as_secs());
        Err(Problem::invalid_fields(vec![FieldError { pointer: "/overlap_seconds".into(), detail }]))
    }
}

/// Rotate a key
///
/// A new secret, good at once and shown once. The old one stays good for a day, or as long as you say.
#[utoipa::path(
    post,
    path = "/v1/keys/{key}/rotate",
    tag = "Keys",
    security(("ApiKey" = ["admin"])),
    params(("key" = KeyId, Path, description = "The key."), IfMatch, IdempotencyKey),
    request_body = Option<Rotation>,
    responses(
        (status = 200, description = "Rotated.", body = RotatedKey, headers(("ETag"), ("Cache-Control"))),
        (status = 400),
        (status = 404),
        (status = 409),
        (status = 412),
        (status = 415),
        (status = 422),
    )
)]
async fn rotate_key(
    api_keys: &(impl FindKey + CommitKey + RecallAttempt), secrets: &impl Secrets, clock: &impl Clock,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let caller = Caller::from_request(&request)?.require(Scope::Admin)?;
    let id = path_parameter(&request, "key", "key")?;
    let expected = if_match(&request)?;
    let rotation = match request.body() {
        Body::Empty => Rotation::default(),
        _ => body(&request)?,
    };
    let overlap = rotation.overlap()?;
    let (now, attempt) = (clock.now(), attempt(&request, &caller)?);
    if recall(api_keys, attempt.as_ref(), now).await?.is_some() {
        return answer_again(api_keys, id).await;
    }
    let token = KeyToken { id, secret: secrets.secret() };
    let record = attempt.as_ref().map(|attempt| attempt.done(vec![id.to_string()], now));
    let place = (caller.project, id);
    let changed = change_key(api_keys, &caller.scopes, place, expected.as_deref(), record.as_ref(), |key| {
        key.rotate(&token, overlap, now)
    });
    match changed.await {
        Ok(key) => answer(&key, Some(token.expose_text())),
        Err(ChangeKeyError::Repeated(record)) => {
            repeated(attempt, *record)?;
            answer_again(api_keys, id).await
        }
        Err(error) => Err(error.into()),
    }
}

fn answer(key: &ApiKey, secret: Option<String>) -> Result<Response<Body>, Problem> {
    let answer = RotatedKey { summary: key.summary(), key: secret };
    Ok(unstored(tagged(json(StatusCode::OK, &answer)?, &format!("\"{}\"", key.version))?))
}

/// The key as it is now, without its secret: that was shown once.
async fn answer_again(api_keys: &impl FindKey, id: KeyId) -> Result<Response<Body>, Problem> {
    answer(&api_keys.find_key(id).await?.ok_or_else(|| Problem::not_found("key"))?, None)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let env = Environment::load()?;
    let (api_keys, random, clock) = (env.store()?, env.random(), env.clock());
    let (api_keys, random, clock) = (&api_keys, &random, &clock);
    serve(move |request| rotate_key(api_keys, random, clock, request)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use shared::domain::error::WriteError;
    use shared::domain::idempotency::{Attempt, Record};
    use shared::domain::{ProjectId, Secret, Time, Unavailable};
    use shared::platform::SystemRandom;
    use std::sync::Mutex;

    /// The key, the record of an attempt, and whether the answer to the next write is lost.
    struct Table(Mutex<ApiKey>, Mutex<Option<Record>>, Mutex<bool>);

    impl FindKey for Table {
        async fn find_key(&self, id: KeyId) -> Result<Option<ApiKey>, Unavailable> {
            Ok(Some(self.0.lock().unwrap().clone()).filter(|key| key.id == id))
        }
    }

    impl CommitKey for Table {
        async fn commit_key(
            &self, _: Option<&ApiKey>, after: &ApiKey, once: Option<&Record>,
        ) -> Result<(), WriteError> {
            *self.0.lock().unwrap() = after.clone();
            *self.1.lock().unwrap() = once.cloned();
            let lost = std::mem::take(&mut *self.2.lock().unwrap());
            if lost { Err(WriteError::Conflict) } else { Ok(()) }
        }
    }

    impl RecallAttempt for Table {
        async fn recall_attempt(&self, _: &Attempt, _: Time) -> Result<Option<Record>, Unavailable> {
            Ok(self.1.lock().unwrap().clone())
        }
    }

    struct At(Time);

    impl Clock for At {
        fn now(&self) -> Time {
            self.0
        }
    }

    fn event(body: Option<&Value>) -> Value {
        let mut event: Value =
            serde_json::from_str(include_str!("../../../../events/rotate-key.json")).unwrap();
        event["body"] = body.map_or(Value::Null, |body| json!(body.to_string()));
        event
    }

    fn old() -> KeyToken {
        let id = serde_json::from_value(event(None)["pathParameters"]["key"].clone()).unwrap();
        KeyToken { id, secret: Secret::new([7; 32]) }
    }

    fn table() -> Table {
        let project = &event(None)["requestContext"]["authorizer"]["lambda"]["project"];
        let project: ProjectId = serde_json::from_value(project.clone()).unwrap();
        let key = ApiKey::new(&old(), project, vec![Scope::ReadImages], Time::from_secs(0));
        Table(Mutex::new(key), Mutex::default(), Mutex::default())
    }

    async fn answer(table: &Table, event: &Value) -> Result<Response<Body>, Problem> {
        let request = lambda_http::request::from_str(&event.to_string()).unwrap();
        rotate_key(table, &SystemRandom, &At(Time::from_secs(100)), request).await
    }

    #[tokio::test]
    async fn the_new_secret_is_good_at_once_and_the_old_one_for_as_long_as_was_asked() {
        for (body, until) in [
            (None, 100 + 24 * 3600),
            (Some(json!({})), 100 + 24 * 3600),
            (Some(json!({ "overlap_seconds": 60 })), 160),
            (Some(json!({ "overlap_seconds": 0 })), 100),
        ] {
            let table = table();
            let response = answer(&table, &event(body.as_ref())).await.unwrap();
            assert_eq!(response.headers()["cache-control"], "no-store");
            assert_eq!(response.headers()["etag"], "\"2\"");
            let Body::Text(text) = response.body() else { panic!("the answer is text") };
            let shown: Value = serde_json::from_str(text).unwrap();
            let new: KeyToken = shown["key"].as_str().unwrap().parse().unwrap();
            let key = table.0.into_inner().unwrap();
            assert!(key.admits(&new, Time::from_secs(100)), "{body:?}");
            assert!(!key.admits(&old(), Time::from_secs(until)), "{body:?}");
            assert_eq!(key.admits(&old(), Time::from_secs(until - 1)), until > 100, "{body:?}");
        }
    }

    /// Otherwise the secret of the first answer, which may be on its way, would be worth nothing.
    #[tokio::test]
    async fn a_request_that_comes_twice_rotates_once() {
        let (table, mut event) = (table(), event(None));
        event["headers"]["idempotency-key"] = json!("a");
        let texts = [answer(&table, &event).await.unwrap(), answer(&table, &event).await.unwrap()];
        let [first, again] = texts.map(|response| {
            let Body::Text(text) = response.body() else { panic!("the answer is text") };
            serde_json::from_str::<Value>(text).unwrap()
        });
        let new: KeyToken = first["key"].as_str().unwrap().parse().unwrap();
        assert!(again.get("key").is_none());
        assert!(table.0.into_inner().unwrap().admits(&new, Time::from_secs(100)));
    }

    #[tokio::test]
    async fn too_long_an_overlap_is_refused() {
        for body in [json!({ "overlap_seconds": 7 * 24 * 3600 + 1 }), json!({ "overlap_seconds": -1 })] {
            let problem = answer(&table(), &event(Some(&body))).await.unwrap_err();
            assert_eq!(problem.status(), 400, "{body}");
        }
    }

    #[tokio::test]
    async fn a_write_whose_answer_was_lost_does_not_shut_out_the_old_secret() {
        for if_match in [None, Some("\"1\"")] {
            let (table, mut event) = (table(), event(None));
            *table.2.lock().unwrap() = true;
            if let Some(tag) = if_match {
                event["headers"]["if-match"] = json!(tag);
            }
            let response = answer(&table, &event).await.unwrap();
            assert_eq!(response.headers()["etag"], "\"2\"");
            assert!(table.0.into_inner().unwrap().admits(&old(), Time::from_secs(100)));
        }
    }

    #[tokio::test]
    async fn a_key_that_may_do_more_than_the_caller_is_not_theirs_to_take_over() {
        let table = table();
        table.0.lock().unwrap().scopes.push(Scope::Operator);
        let before = table.0.lock().unwrap().clone();
        let problem = answer(&table, &event(None)).await.unwrap_err();
        assert_eq!((problem.status().as_u16(), problem.code()), (403, "forbidden"));
        assert!(before == *table.0.lock().unwrap());
    }

    #[tokio::test]
    async fn a_revoked_key_gets_no_new_secret() {
        let table = table();
        let revoked = table.0.lock().unwrap().revoke(Time::from_secs(50)).unwrap();
        *table.0.lock().unwrap() = revoked;
        assert_eq!(answer(&table, &event(None)).await.unwrap_err().code(), "conflict");
    }
}

//! `POST /v1/upload-tokens`: makes a token that a page may hold. It is good for a few uploads of known type and
//! size, for a while, and for nothing else; so that a page never holds a key.

use std::time::Duration;

use lambda_http::http::StatusCode;
use lambda_http::{Body, Request, Response};
use serde::{Deserialize, Serialize};
use shared::domain::details::Tags;
use shared::domain::error::WriteError;
use shared::domain::image::{ACCEPTED_TYPES, MAXIMUM_BYTES};
use shared::domain::secret::Secrets;
use shared::domain::upload_token::{
    DEFAULT_LIFE, Grant, MAXIMUM_COUNT, MAXIMUM_LIFE, TokenBearer, UploadToken,
};
use shared::domain::{Clock, Ids, Scope, Time, TokenId, UserId, Visibility};
use shared::http::{
    Caller, FieldError, IdempotencyKey, Problem, attempt, body, json, list_of_accepted_types, repeated,
    unstored,
};
use shared::platform::{Environment, recall, serve};
use shared::store::{CreateUploadToken, FindUploadToken, RecallAttempt};
use utoipa::ToSchema;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({ "count": 3, "content_types": ["image/jpeg"], "max_bytes": 5_000_000, "user": "ann" })))]
struct NewUploadToken {
    /// A quarter of an hour if nothing is said, a day at most.
    #[schema(minimum = 1, maximum = 86_400)]
    expires_in_seconds: Option<u64>,
    /// How many uploads it is good for; one if nothing is said.
    #[schema(minimum = 1, maximum = 1000)]
    count: Option<u32>,
    #[serde(default)]
    #[schema(schema_with = list_of_accepted_types)]
    content_types: Vec<String>,
    #[schema(minimum = 1, maximum = 104_857_600)]
    max_bytes: Option<u64>,
    /// Whose the images are. A user's tokens are the user's.
    user: Option<UserId>,
    #[serde(default)]
    visibility: Visibility,
    #[serde(default)]
    tags: Tags,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({
    "id": "tok_01M7Y7HNH0M6P1S3V5X7Z9B2DF", "expires_at": "2026-11-21T05:15:00.000Z", "count": 3,
    "visibility": "private",
    "token": "ut_01M7Y7HNH0M6P1S3V5X7Z9B2DF_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc",
})))]
struct CreatedUploadToken<'a> {
    id: TokenId,
    expires_at: Time,
    count: u32,
    #[serde(flatten)]
    grant: &'a Grant,
    /// Shown once. A request that is sent again is answered without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

impl NewUploadToken {
    fn check(self, caller: &Caller) -> Result<(Grant, u32, Duration), Problem> {
        let field = |pointer: &str, detail: String| {
            Err(Problem::invalid_fields(vec![FieldError { pointer: pointer.into(), detail }]))
        };
        let life = self.expires_in_seconds.map_or(DEFAULT_LIFE, Duration::from_secs);
        if life.is_zero() || life > MAXIMUM_LIFE {
            let detail = format!("must be from 1 to {}", MAXIMUM_LIFE.as_secs());
            return field("/expires_in_seconds", detail);
        }
        let count = self.count.unwrap_or(1);
        if !(1..=MAXIMUM_COUNT).contains(&count) {
            return field("/count", format!("must be from 1 to {MAXIMUM_COUNT}"));
        }
        let strange = self.content_types.iter().position(|kind| !ACCEPTED_TYPES.contains(&kind.as_str()));
        if let Some(index) = strange {
            let detail = format!("must be one of {}", ACCEPTED_TYPES.join(", "));
            return field(&format!("/content_types/{index}"), detail);
        }
        if self.max_bytes.is_some_and(|most| !(1..=MAXIMUM_BYTES).contains(&most)) {
            return field("/max_bytes", format!("must be from 1 to {MAXIMUM_BYTES}"));
        }
        if self.user.is_some() && caller.user.is_some() && self.user != caller.user {
            return field("/user", "must be yourself; leave it out".into());
        }
        let mut content_types = self.content_types;
        content_types.sort_unstable();
        content_types.dedup();
        let Self { max_bytes, visibility, tags, .. } = self;
        let user = caller.user.clone().or(self.user);
        Ok((Grant { content_types, max_bytes, user, visibility, tags }, count, life))
    }
}

/// Create an upload token
///
/// For a page to hold, instead of a key: good for a few uploads of known type and size, for a while, in one piece or in
/// parts, and to see what becomes of them. Shown once.
#[utoipa::path(
    post,
    path = "/v1/upload-tokens",
    tag = "Uploads",
    security(("ApiKey" = ["uploads:create"]), ("IdToken" = ["uploads:create"])),
    params(IdempotencyKey),
    request_body = NewUploadToken,
    responses(
        (status = 201, description = "Made.", body = CreatedUploadToken, headers(("Cache-Control"))),
        (status = 400),
        (status = 409),
        (status = 410),
        (status = 415),
        (status = 422),
    )
)]
async fn create_upload_token(
    tokens: &(impl CreateUploadToken + FindUploadToken + RecallAttempt), random: &(impl Ids + Secrets),
    clock: &impl Clock, request: Request,
) -> Result<Response<Body>, Problem> {
    let caller = Caller::from_request(&request)?.require(Scope::CreateUploads)?;
    let (now, attempt) = (clock.now(), attempt(&request, &caller)?);
    let (grant, count, life) = body::<NewUploadToken>(&request)?.check(&caller)?;
    if let Some(record) = recall(tokens, attempt.as_ref(), now).await? {
        return answer_again(tokens, record.id(0)).await;
    }
    let bearer = TokenBearer { id: TokenId::new(random.ulid()), secret: random.secret() };
    let token = UploadToken::new(&bearer, caller.project, grant, count, life, now);
    let record = attempt.as_ref().map(|attempt| attempt.done(vec![token.id.to_string()], now));
    match tokens.create_upload_token(&token, record.as_ref()).await {
        Ok(()) => answer(&token, Some(bearer.expose_text())),
        Err(WriteError::Repeated(record)) => answer_again(tokens, repeated(attempt, *record)?.id(0)).await,
        Err(error) => Err(error.into()),
    }
}

fn answer(token: &UploadToken, secret: Option<String>) -> Result<Response<Body>, Problem> {
    let UploadToken { id, good_until, count, grant, .. } = token;
    let shown = CreatedUploadToken { id: *id, expires_at: *good_until, count: *count, grant, token: secret };
    Ok(unstored(json(StatusCode::CREATED, &shown)?))
}

/// The same token, without its secret: that was shown once.
async fn answer_again(tokens: &impl FindUploadToken, id: Option<TokenId>) -> Result<Response<Body>, Problem> {
    let gone = || Problem::gone("The token that this request made has expired.");
    answer(&tokens.find_upload_token(id.ok_or_else(gone)?).await?.ok_or_else(gone)?, None)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let env = Environment::load()?;
    let (tokens, random, clock) = (env.store()?, env.random(), env.clock());
    let (tokens, random, clock) = (&tokens, &random, &clock);
    serve(move |request| create_upload_token(tokens, random, clock, request)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use shared::domain::Unavailable;
    use shared::domain::idempotency::{Attempt, Record};
    use shared::platform::SystemRandom;
    use std::sync::Mutex;

    #[derive(Default)]
    struct Table {
        written: Mutex<Option<UploadToken>>,
        record: Mutex<Option<Record>>,
    }

    impl CreateUploadToken for Table {
        async fn create_upload_token(
            &self, token: &UploadToken, once: Option<&Record>,
        ) -> Result<(), WriteError> {
            *self.written.lock().unwrap() = Some(token.clone());
            *self.record.lock().unwrap() = once.cloned();
            Ok(())
        }
    }

    impl FindUploadToken for Table {
        async fn find_upload_token(&self, _: TokenId) -> Result<Option<UploadToken>, Unavailable> {
            Ok(self.written.lock().unwrap().clone())
        }
    }

    impl RecallAttempt for Table {
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

    const NOW: i64 = 1_795_237_200;

    fn event() -> Value {
        serde_json::from_str(include_str!("../../../../events/create-upload-token.json")).unwrap()
    }

    fn event_with(body: &Value) -> Value {
        let mut event = event();
        event["body"] = json!(body.to_string());
        event
    }

    async fn answer_to(table: &Table, event: &Value) -> Result<Value, Problem> {
        let request = lambda_http::request::from_str(&event.to_string()).unwrap();
        let response = create_upload_token(table, &SystemRandom, &At(Time::from_secs(NOW)), request).await?;
        assert_eq!(response.status(), 201);
        assert_eq!(response.headers()["cache-control"], "no-store");
        let Body::Text(text) = response.body() else { panic!("the answer is text") };
        Ok(serde_json::from_str(text).unwrap())
    }

    #[tokio::test]
    async fn the_answered_token_is_the_written_one_with_its_limits() {
        let table = Table::default();
        let shown = answer_to(&table, &event()).await.unwrap();
        let token = table.written.into_inner().unwrap().unwrap();
        let bearer: TokenBearer = shown["token"].as_str().unwrap().parse().unwrap();
        assert!(token.admits(&bearer, Time::from_secs(NOW + 899)));
        assert!(!token.admits(&bearer, Time::from_secs(NOW + 900)));
        assert_eq!((token.count, token.used), (3, 0));
        assert_eq!(token.grant.max_bytes, Some(5_000_000));
        assert_eq!(token.grant.user.as_ref().map(UserId::as_str), Some("ann"));
        assert_eq!(shown["content_types"], json!(["image/jpeg", "image/png"]));
        assert_eq!(shown["visibility"], "private");
    }

    #[tokio::test]
    async fn what_is_not_said_is_one_private_upload_within_a_quarter_of_an_hour() {
        let table = Table::default();
        answer_to(&table, &event_with(&json!({}))).await.unwrap();
        let token = table.written.into_inner().unwrap().unwrap();
        assert_eq!((token.count, token.good_until), (1, Time::from_secs(NOW + 900)));
        assert_eq!(token.grant, Grant::default());
    }

    #[tokio::test]
    async fn a_users_token_is_the_users() {
        let mut event = event_with(&json!({ "count": 2 }));
        event["requestContext"]["authorizer"]["lambda"]["user"] = json!("bob");
        let table = Table::default();
        answer_to(&table, &event).await.unwrap();
        let token = table.written.into_inner().unwrap().unwrap();
        assert_eq!(token.grant.user.as_ref().map(UserId::as_str), Some("bob"));
        event["body"] = json!(json!({ "user": "ann" }).to_string());
        assert_eq!(answer_to(&Table::default(), &event).await.unwrap_err().status(), 400);
    }

    #[tokio::test]
    async fn a_token_that_makes_no_sense_is_refused() {
        for body in [
            json!({ "expires_in_seconds": 0 }),
            json!({ "expires_in_seconds": 24 * 3600 + 1 }),
            json!({ "count": 0 }),
            json!({ "count": 1001 }),
            json!({ "content_types": ["image/svg+xml"] }),
            json!({ "max_bytes": 0 }),
            json!({ "max_bytes": MAXIMUM_BYTES + 1 }),
            json!({ "visibility": "secret" }),
            json!({ "scopes": ["admin"] }),
        ] {
            let table = Table::default();
            assert_eq!(answer_to(&table, &event_with(&body)).await.unwrap_err().status(), 400, "{body}");
            assert!(table.written.into_inner().unwrap().is_none());
        }
    }

    #[tokio::test]
    async fn a_request_that_comes_twice_makes_one_token_and_shows_it_once() {
        let (table, mut event) = (Table::default(), event());
        event["headers"]["idempotency-key"] = json!("a");
        let first = answer_to(&table, &event).await.unwrap();
        let again = answer_to(&table, &event).await.unwrap();
        assert_eq!(first["id"], again["id"]);
        assert!(first.get("token").is_some() && again.get("token").is_none());
    }

    /// Or a page could go on for ever.
    #[tokio::test]
    async fn a_token_makes_no_tokens() {
        let mut event = event();
        event["requestContext"]["authorizer"]["lambda"] = json!({
            "project": "prj_01M5GZNY40J4Q2W8N5R7X3Z9BD",
            "token": "tok_01M5GZNY40K8C2E4G6J8M1P3RT",
            "scopes": "uploads:create",
            "grant": "{}",
        });
        assert_eq!(answer_to(&Table::default(), &event).await.unwrap_err().code(), "forbidden");
    }
}

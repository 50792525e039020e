//! `DELETE /v1/keys/{key}`: revokes an API key for good. The gateway believes it for a minute more at most.
//!
//! A key cannot revoke itself: whoever does has one left to go on with.

use lambda_http::{Body, Request, Response};
use shared::domain::{ApiKey, Clock, KeyId, Scope};
use shared::http::{Caller, IfMatch, Problem, if_match, no_content, path_parameter};
use shared::platform::{Environment, serve};
use shared::store::{CommitKey, FindKey, change_key};

/// Revoke a key
///
/// For good. It is believed for a minute more at most. A key cannot revoke itself.
#[utoipa::path(
    delete,
    path = "/v1/keys/{key}",
    tag = "Keys",
    security(("ApiKey" = ["admin"])),
    params(("key" = KeyId, Path, description = "The key."), IfMatch),
    responses(
        (status = 204, description = "Revoked."),
        (status = 400),
        (status = 404),
        (status = 409),
        (status = 412),
    )
)]
async fn revoke_key(
    api_keys: &(impl FindKey + CommitKey), clock: &impl Clock, request: Request,
) -> Result<Response<Body>, Problem> {
    let caller = Caller::from_request(&request)?.require(Scope::Admin)?;
    let id = path_parameter(&request, "key", "key")?;
    let expected = if_match(&request)?;
    if caller.key() == Some(id) {
        return Err(Problem::conflict("A key cannot revoke itself. Make another one, and use that."));
    }
    let now = clock.now();
    let revoke = |key: &ApiKey| Ok(key.revoke(now));
    change_key(api_keys, &caller.scopes, (caller.project, id), expected.as_deref(), None, revoke).await?;
    Ok(no_content())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let env = Environment::load()?;
    let (api_keys, clock) = (env.store()?, env.clock());
    let (api_keys, clock) = (&api_keys, &clock);
    serve(move |request| revoke_key(api_keys, clock, request)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use shared::domain::error::WriteError;
    use shared::domain::idempotency::Record;
    use shared::domain::{KeyToken, ProjectId, Secret, Time, Unavailable};
    use std::sync::Mutex;

    struct Table {
        key: ApiKey,
        written: Mutex<Vec<ApiKey>>,
    }

    impl FindKey for Table {
        async fn find_key(&self, id: KeyId) -> Result<Option<ApiKey>, Unavailable> {
            let newest = self.written.lock().unwrap().last().unwrap_or(&self.key).clone();
            Ok(Some(newest).filter(|key| key.id == id))
        }
    }

    impl CommitKey for Table {
        async fn commit_key(
            &self, _: Option<&ApiKey>, after: &ApiKey, _: Option<&Record>,
        ) -> Result<(), WriteError> {
            self.written.lock().unwrap().push(after.clone());
            Ok(())
        }
    }

    struct At(Time);

    impl Clock for At {
        fn now(&self) -> Time {
            self.0
        }
    }

    fn event() -> Value {
        serde_json::from_str(include_str!("../../../../events/revoke-key.json")).unwrap()
    }

    fn table() -> Table {
        let event = event();
        let project = &event["requestContext"]["authorizer"]["lambda"]["project"];
        let id = serde_json::from_value(event["pathParameters"]["key"].clone()).unwrap();
        let project: ProjectId = serde_json::from_value(project.clone()).unwrap();
        let token = KeyToken { id, secret: Secret::new([7; 32]) };
        let key = ApiKey::new(&token, project, vec![Scope::ReadImages], Time::from_secs(0));
        Table { key, written: Mutex::default() }
    }

    async fn answer(table: &Table, event: &Value) -> Result<Response<Body>, Problem> {
        let request = lambda_http::request::from_str(&event.to_string()).unwrap();
        revoke_key(table, &At(Time::from_secs(100)), request).await
    }

    #[tokio::test]
    async fn revoking_twice_is_revoking_once() {
        let table = table();
        for _ in 0..2 {
            assert_eq!(answer(&table, &event()).await.unwrap().status(), 204);
        }
        let written = table.written.into_inner().unwrap();
        let [key] = written.as_slice() else { panic!("one write: {written:?}") };
        assert_eq!(key.revoked_at, Some(Time::from_secs(100)));
    }

    #[tokio::test]
    async fn a_key_does_not_revoke_itself() {
        let (mut event, table) = (event(), table());
        event["requestContext"]["authorizer"]["lambda"]["key"] = event["pathParameters"]["key"].clone();
        assert_eq!(answer(&table, &event).await.unwrap_err().code(), "conflict");
        assert!(table.written.into_inner().unwrap().is_empty());
    }

    #[tokio::test]
    async fn another_projects_key_is_not_found_and_a_stale_tag_is_told() {
        let other = Table { key: ApiKey { project: ProjectId::new(7.into()), ..table().key }, ..table() };
        assert_eq!(answer(&other, &event()).await.unwrap_err().status(), 404);
        let mut event = event();
        event["headers"]["if-match"] = json!("\"9\"");
        assert_eq!(answer(&table(), &event).await.unwrap_err().status(), 412);
    }
}

//! `PATCH /v1/keys/{key}`: gives an API key another name, or none.

use lambda_http::http::StatusCode;
use lambda_http::{Body, Request, Response};
use serde::Deserialize;
use shared::domain::key::KeySummary;
use shared::domain::{KeyId, Name, Scope};
use shared::http::{Caller, IfMatch, Patched, Problem, if_match, json, merge_patch, path_parameter, tagged};
use shared::platform::{Environment, serve};
use shared::store::{CommitKey, FindKey, change_key};
use utoipa::ToSchema;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({ "name": "Old build server" })))]
struct KeyPatch {
    #[serde(default)]
    #[schema(value_type = Option<Name>)]
    name: Patched<Name>,
}

/// Update a key
///
/// A merge patch: gives it another name, or none.
#[utoipa::path(
    patch,
    path = "/v1/keys/{key}",
    tag = "Keys",
    security(("ApiKey" = ["admin"])),
    params(("key" = KeyId, Path, description = "The key."), IfMatch),
    request_body(content((KeyPatch = "application/merge-patch+json"), (KeyPatch = "application/json"))),
    responses(
        (status = 200, description = "The key as it is now.", body = KeySummary, headers(("ETag"), ("Cache-Control"))),
        (status = 400),
        (status = 404),
        (status = 409),
        (status = 412),
        (status = 415),
    )
)]
async fn update_key(
    api_keys: &(impl FindKey + CommitKey), request: Request,
) -> Result<Response<Body>, Problem> {
    let caller = Caller::from_request(&request)?.require(Scope::Admin)?;
    let id = path_parameter(&request, "key", "key")?;
    let expected = if_match(&request)?;
    let patch: KeyPatch = merge_patch(&request)?;
    let key = change_key(api_keys, &caller.scopes, (caller.project, id), expected.as_deref(), None, |key| {
        let name = match &patch.name {
            Patched::Kept => return Ok(None),
            Patched::Removed => None,
            Patched::Given(name) => Some(String::from(name.clone())),
        };
        if name == key.name { Ok(None) } else { key.rename(name).map(Some) }
    })
    .await?;
    tagged(json(StatusCode::OK, &key.summary())?, &format!("\"{}\"", key.version))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let env = Environment::load()?;
    let api_keys = env.store()?;
    let api_keys = &api_keys;
    serve(move |request| update_key(api_keys, request)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use shared::domain::error::WriteError;
    use shared::domain::idempotency::Record;
    use shared::domain::{ApiKey, KeyToken, ProjectId, Secret, Time, Unavailable};
    use std::sync::Mutex;

    struct Table {
        key: Mutex<ApiKey>,
        /// How many writes lose against somebody else's.
        conflicts: Mutex<u32>,
        writes: Mutex<u32>,
    }

    impl FindKey for Table {
        async fn find_key(&self, id: KeyId) -> Result<Option<ApiKey>, Unavailable> {
            Ok(Some(self.key.lock().unwrap().clone()).filter(|key| key.id == id))
        }
    }

    impl CommitKey for Table {
        async fn commit_key(
            &self, before: Option<&ApiKey>, after: &ApiKey, _: Option<&Record>,
        ) -> Result<(), WriteError> {
            let (mut key, mut conflicts) = (self.key.lock().unwrap(), self.conflicts.lock().unwrap());
            if *conflicts > 0 {
                *conflicts -= 1;
                key.version += 1;
            }
            if before.map(|key| key.version) != Some(key.version) {
                return Err(WriteError::Conflict);
            }
            *key = after.clone();
            *self.writes.lock().unwrap() += 1;
            Ok(())
        }
    }

    fn event(body: &Value, if_match: Option<&str>) -> Value {
        let mut event: Value =
            serde_json::from_str(include_str!("../../../../events/update-key.json")).unwrap();
        event["body"] = json!(body.to_string());
        match if_match {
            Some(tag) => event["headers"]["if-match"] = json!(tag),
            None => drop(event["headers"].as_object_mut().unwrap().remove("if-match")),
        }
        event
    }

    fn table(conflicts: u32) -> Table {
        let event = event(&json!({}), None);
        let project = &event["requestContext"]["authorizer"]["lambda"]["project"];
        let id = serde_json::from_value(event["pathParameters"]["key"].clone()).unwrap();
        let project: ProjectId = serde_json::from_value(project.clone()).unwrap();
        let token = KeyToken { id, secret: Secret::new([7; 32]) };
        let key = ApiKey::new(&token, project, vec![Scope::ReadImages], Time::from_secs(0));
        Table { key: Mutex::new(key), conflicts: Mutex::new(conflicts), writes: Mutex::default() }
    }

    async fn answer(table: &Table, event: &Value) -> Result<Response<Body>, Problem> {
        update_key(table, lambda_http::request::from_str(&event.to_string()).unwrap()).await
    }

    #[tokio::test]
    async fn a_name_is_given_kept_and_taken_away() {
        let table = table(0);
        for (patch, name, etag, writes) in [
            (json!({ "name": "CI" }), Some("CI"), "\"2\"", 1),
            (json!({}), Some("CI"), "\"2\"", 1),
            (json!({ "name": "CI" }), Some("CI"), "\"2\"", 1),
            (json!({ "name": null }), None, "\"3\"", 2),
        ] {
            let response = answer(&table, &event(&patch, None)).await.unwrap();
            assert_eq!(response.headers()["etag"], etag);
            assert_eq!(table.key.lock().unwrap().name.as_deref(), name);
            assert_eq!(*table.writes.lock().unwrap(), writes);
        }
    }

    #[tokio::test]
    async fn two_with_one_tag_do_not_both_win() {
        let table = table(0);
        let patch = |name: &str| event(&json!({ "name": name }), Some("\"1\""));
        answer(&table, &patch("mine")).await.unwrap();
        let problem = answer(&table, &patch("yours")).await.unwrap_err();
        assert_eq!((problem.status().as_u16(), problem.code()), (412, "stale"));
        assert_eq!(problem.into_response("request-1").headers()["etag"], "\"2\"");
        assert_eq!(table.key.lock().unwrap().name.as_deref(), Some("mine"));
    }

    #[tokio::test]
    async fn a_change_that_lost_a_race_is_decided_anew() {
        let named = json!({ "name": "CI" });
        assert_eq!(answer(&table(2), &event(&named, None)).await.unwrap().headers()["etag"], "\"4\"");
        let problem = answer(&table(2), &event(&named, Some("\"1\""))).await.unwrap_err();
        assert_eq!(problem.code(), "stale");
        assert_eq!(answer(&table(99), &event(&named, None)).await.unwrap_err().code(), "conflict");
    }

    #[tokio::test]
    async fn nothing_but_the_name_can_be_changed() {
        for patch in [json!({ "scopes": ["admin"] }), json!({ "name": "" }), json!({ "expires_at": null })] {
            assert_eq!(answer(&table(0), &event(&patch, None)).await.unwrap_err().status(), 400, "{patch}");
        }
    }
}

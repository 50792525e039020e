//! `GET /v1/keys/{key}`: one of the project's API keys, without its secret.

use lambda_http::http::StatusCode;
use lambda_http::{Body, Request, Response};
use shared::domain::key::KeySummary;
use shared::domain::{KeyId, Scope};
use shared::http::{Caller, IfNoneMatch, Problem, if_none_match, json, not_modified, path_parameter, tagged};
use shared::platform::{Environment, serve};
use shared::store::FindKey;

/// Get a key
///
/// Without its secret.
#[utoipa::path(
    get,
    path = "/v1/keys/{key}",
    tag = "Keys",
    security(("ApiKey" = ["admin"])),
    params(("key" = KeyId, Path, description = "The key."), IfNoneMatch),
    responses(
        (status = 200, description = "The key.", body = KeySummary, headers(("ETag"), ("Cache-Control"))),
        (status = 304, description = "It is as you have it."),
        (status = 404),
    )
)]
async fn get_key(api_keys: &impl FindKey, request: Request) -> Result<Response<Body>, Problem> {
    let caller = Caller::from_request(&request)?.require(Scope::Admin)?;
    let key = api_keys.find_key(path_parameter(&request, "key", "key")?).await?;
    let key = key.filter(|key| key.project == caller.project).ok_or_else(|| Problem::not_found("key"))?;
    // Its use is no change of the key, but shows.
    let etag = match key.last_used_at {
        Some(seen) => format!("\"{}.{}\"", key.version, seen.as_secs()),
        None => format!("\"{}\"", key.version),
    };
    let response =
        if if_none_match(&request, &etag) { not_modified() } else { json(StatusCode::OK, &key.summary())? };
    tagged(response, &etag)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let env = Environment::load()?;
    let api_keys = env.store()?;
    let api_keys = &api_keys;
    serve(move |request| get_key(api_keys, request)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use shared::domain::{ApiKey, KeyToken, ProjectId, Secret, Time, Unavailable};

    struct Table(Option<ApiKey>);

    impl FindKey for Table {
        async fn find_key(&self, id: KeyId) -> Result<Option<ApiKey>, Unavailable> {
            Ok(self.0.clone().filter(|key| key.id == id))
        }
    }

    fn event() -> Value {
        serde_json::from_str(include_str!("../../../../events/get-key.json")).unwrap()
    }

    /// The key that the event asks for.
    fn key() -> ApiKey {
        let event = event();
        let project = &event["requestContext"]["authorizer"]["lambda"]["project"];
        let id = serde_json::from_value(event["pathParameters"]["key"].clone()).unwrap();
        let project: ProjectId = serde_json::from_value(project.clone()).unwrap();
        let token = KeyToken { id, secret: Secret::new([7; 32]) };
        ApiKey::new(&token, project, vec![Scope::ReadImages], Time::from_secs(0))
    }

    async fn answer(key: Option<ApiKey>, event: &Value) -> Result<Response<Body>, Problem> {
        get_key(&Table(key), lambda_http::request::from_str(&event.to_string()).unwrap()).await
    }

    #[tokio::test]
    async fn a_key_is_shown_without_its_secret() {
        let response = answer(Some(key()), &event()).await.unwrap();
        assert_eq!(response.headers()["etag"], "\"1\"");
        let Body::Text(text) = response.body() else { panic!("the answer is text") };
        let shown: Value = serde_json::from_str(text).unwrap();
        let expected = json!({
            "id": key().id, "scopes": ["images:read"], "created_at": "1970-01-01T00:00:00.000Z",
        });
        assert_eq!(shown, expected);

        let mut event = event();
        event["headers"]["if-none-match"] = json!("\"1\"");
        assert_eq!(answer(Some(key()), &event).await.unwrap().status(), 304);
        let used = ApiKey { last_used_at: Some(Time::from_secs(9)), ..key() };
        assert_eq!(answer(Some(used), &event).await.unwrap().headers()["etag"], "\"1.9\"");
    }

    #[tokio::test]
    async fn another_projects_key_is_not_found_and_who_is_no_administrator_is_refused() {
        let other = ApiKey { project: ProjectId::new(7.into()), ..key() };
        for key in [Some(other), None] {
            assert_eq!(answer(key, &event()).await.unwrap_err().status(), 404);
        }
        let mut event = event();
        event["requestContext"]["authorizer"]["lambda"]["scopes"] = json!("images:read operator");
        assert_eq!(answer(Some(key()), &event).await.unwrap_err().status(), 403);
    }
}

//! The Lambda authorizer (payload 2.0, simple responses): an API key in, a project and its scopes out.
//!
//! It fails closed. A key that is not good is a denial, which the gateway may remember; a table that cannot
//! be read is an error, which it may not.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use shared::domain::{Clock, KeyToken, ProjectId, Scope, Unavailable};
use shared::platform::{Environment, answer};
use shared::store::FindKey;

/// The part of the gateway's request that matters. Header names come in lower case.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuthorizerRequest {
    #[serde(default)]
    headers: HashMap<String, String>,
    #[serde(default)]
    path_parameters: Option<HashMap<String, String>>,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct AuthorizerResponse {
    is_authorized: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<Authorized>,
}

/// What the functions behind the gateway learn of the caller.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Authorized {
    project: ProjectId,
    key: String,
    scopes: String,
}

fn bearer(request: &AuthorizerRequest) -> Option<KeyToken> {
    let header = request.headers.get("authorization")?;
    let (scheme, token) = header.split_once(' ')?;
    // RFC 9110: the scheme's case does not matter.
    if scheme.eq_ignore_ascii_case("bearer") { token.trim().parse().ok() } else { None }
}

/// A token in the path, for clients that send no headers. Paths end up in logs and histories, so only a key that
/// opens nothing but uploads is taken there.
fn in_path(request: &AuthorizerRequest) -> Option<Option<KeyToken>> {
    let token = request.path_parameters.as_ref()?.get("token")?;
    Some(token.parse().ok())
}

async fn authorize(
    keys: &impl FindKey, clock: &impl Clock, request: AuthorizerRequest,
) -> Result<AuthorizerResponse, Unavailable> {
    let in_path = in_path(&request);
    let public = in_path.is_some();
    let Some(token) = in_path.unwrap_or_else(|| bearer(&request)) else {
        return Ok(AuthorizerResponse::default());
    };
    let key = keys.find_key(token.id).await?.filter(|key| key.admits(&token, clock.now()));
    let key = key.filter(|key| !public || key.scopes == [Scope::CreateUploads]);
    let context = key.map(|key| Authorized {
        project: key.project,
        key: key.id.to_string(),
        scopes: key.scopes.iter().map(|scope| scope.name()).collect::<Vec<_>>().join(" "),
    });
    Ok(AuthorizerResponse { is_authorized: context.is_some(), context })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let env = Environment::load()?;
    let (keys, clock) = (env.store()?, env.clock());
    let (keys, clock) = (&keys, &clock);
    answer(|event| authorize(keys, clock, event)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use shared::domain::{ApiKey, KeyId, Scope, Secret};

    const EVENT: &str = include_str!("../../../../events/authorize.json");

    enum Keys {
        Holding(ApiKey),
        OutOfReach,
    }

    impl FindKey for Keys {
        async fn find_key(&self, key: KeyId) -> Result<Option<ApiKey>, Unavailable> {
            match self {
                Self::Holding(held) => Ok(Some(held.clone()).filter(|held| held.id == key)),
                Self::OutOfReach => Err(Unavailable::new("find_key", "no route to host")),
            }
        }
    }

    struct At(Time);

    impl Clock for At {
        fn now(&self) -> Time {
            self.0
        }
    }

    use shared::domain::Time;

    const NOW: i64 = 1_795_237_200;

    fn event() -> Value {
        serde_json::from_str(EVENT).unwrap()
    }

    /// The token that the event carries.
    fn token() -> KeyToken {
        let event = event();
        let header = event["headers"]["authorization"].as_str().unwrap();
        header.strip_prefix("Bearer ").unwrap().parse().unwrap()
    }

    fn key() -> ApiKey {
        let project = ProjectId::new(1.into());
        ApiKey::new(&token(), project, vec![Scope::ReadImages, Scope::CreateUploads], Time::from_secs(0))
    }

    async fn answer_to(event: Value, keys: Keys) -> Result<Value, Unavailable> {
        let request = serde_json::from_value(event).unwrap();
        let answer = authorize(&keys, &At(Time::from_secs(NOW)), request).await?;
        Ok(serde_json::to_value(answer).unwrap())
    }

    #[tokio::test]
    async fn a_good_key_opens_its_project_with_its_scopes() {
        let answer = answer_to(event(), Keys::Holding(key())).await.unwrap();
        let context = json!({
            "project": ProjectId::new(1.into()),
            "key": key().id,
            "scopes": "images:read uploads:create",
        });
        assert_eq!(answer, json!({ "isAuthorized": true, "context": context }));
    }

    #[tokio::test]
    async fn a_wrong_secret_and_a_revoked_key_are_denied() {
        let other = KeyToken { secret: Secret::new([8; 32]), ..token() };
        let wrong = ApiKey { secret_hash: other.hash(), ..key() };
        let revoked = ApiKey { revoked_at: Some(Time::from_secs(NOW)), ..key() };
        let unknown = ApiKey { id: KeyId::new(9.into()), ..key() };
        for key in [wrong, revoked, unknown] {
            let answer = answer_to(event(), Keys::Holding(key)).await.unwrap();
            assert_eq!(answer, json!({ "isAuthorized": false }));
        }
    }

    #[tokio::test]
    async fn what_is_no_key_is_denied_without_asking_the_table() {
        let text = token().expose_text();
        for header in [format!("Basic {text}"), text.clone(), format!("Bearer {text}x"), "Bearer".into()] {
            let mut event = event();
            event["headers"]["authorization"] = json!(header);
            let answer = answer_to(event, Keys::OutOfReach).await.unwrap();
            assert_eq!(answer, json!({ "isAuthorized": false }), "{header}");
        }
        let answer = answer_to(json!({}), Keys::OutOfReach).await.unwrap();
        assert_eq!(answer, json!({ "isAuthorized": false }));
    }

    /// Paths end up in logs.
    #[tokio::test]
    async fn a_token_in_the_path_opens_uploads_and_nothing_else() {
        let mut event = event();
        event["headers"] = json!({});
        event["pathParameters"] = json!({ "token": token().expose_text() });
        let answer = answer_to(event.clone(), Keys::Holding(key())).await.unwrap();
        assert_eq!(answer, json!({ "isAuthorized": false }), "it could read images, too");
        let uploads = || ApiKey { scopes: vec![Scope::CreateUploads], ..key() };
        let answer = answer_to(event.clone(), Keys::Holding(uploads())).await.unwrap();
        assert_eq!(answer["isAuthorized"], true);
        event["pathParameters"]["token"] = json!("none");
        event["headers"]["authorization"] = json!(format!("Bearer {}", token().expose_text()));
        let answer = answer_to(event, Keys::Holding(uploads())).await.unwrap();
        assert_eq!(answer, json!({ "isAuthorized": false }), "the path counts");
    }

    #[tokio::test]
    async fn the_scheme_reads_in_either_case() {
        let mut event = event();
        event["headers"]["authorization"] = json!(format!("bearer {}", token().expose_text()));
        assert_eq!(answer_to(event, Keys::Holding(key())).await.unwrap()["isAuthorized"], true);
    }

    /// The gateway remembers denials. An outage must not lock everybody out for as long as it does.
    #[tokio::test]
    async fn a_table_out_of_reach_is_an_error_and_no_denial() {
        assert!(answer_to(event(), Keys::OutOfReach).await.is_err());
    }
}

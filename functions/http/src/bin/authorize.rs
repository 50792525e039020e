//! The Lambda authorizer (payload 2.0, simple responses): an API key in, a project and its scopes out.
//!
//! It fails closed. A key that is not good is a denial, which the gateway may remember; a table that cannot
//! be read is an error, which it may not.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use shared::domain::{ApiKey, Clock, KeyToken, ProjectId, Scope, Time, Unavailable};
use shared::platform::{Environment, answer, chain};
use shared::store::{FindKey, MarkKeySeen};

/// The part of the gateway's request that matters. Header names come in lower case.
#[derive(Debug, Deserialize)]
struct AuthorizerRequest {
    #[serde(default)]
    headers: HashMap<String, String>,
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

async fn authorize(
    keys: &(impl FindKey + MarkKeySeen), clock: &impl Clock, request: AuthorizerRequest,
) -> Result<AuthorizerResponse, Unavailable> {
    let Some(token) = bearer(&request) else { return Ok(AuthorizerResponse::default()) };
    let now = clock.now();
    let Some(key) = keys.find_key(token.id).await?.filter(|key| key.admits(&token, now)) else {
        return Ok(AuthorizerResponse::default());
    };
    mark_seen(keys, &key, now).await;
    let scopes = Scope::write_list(&key.scopes);
    let context = Authorized { project: key.project, key: key.id.to_string(), scopes };
    Ok(AuthorizerResponse { is_authorized: true, context: Some(context) })
}

/// Writes down that a good key was used, once an hour. Nobody is kept out because that cannot be written.
async fn mark_seen(keys: &impl MarkKeySeen, key: &ApiKey, now: Time) {
    let Some(seen) = key.seen(now) else { return };
    if let Err(error) = keys.mark_key_seen(&seen).await {
        tracing::warn!(key = %key.id, cause = chain(&error), "its use was not written down");
    }
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
    use shared::domain::{KeyId, Secret};

    const EVENT: &str = include_str!("../../../../events/authorize.json");

    enum Keys {
        Holding(ApiKey),
        /// Holds a key, and cannot be written.
        ReadOnly(ApiKey),
        OutOfReach,
    }

    impl FindKey for Keys {
        async fn find_key(&self, key: KeyId) -> Result<Option<ApiKey>, Unavailable> {
            match self {
                Self::Holding(held) | Self::ReadOnly(held) => {
                    Ok(Some(held.clone()).filter(|held| held.id == key))
                }
                Self::OutOfReach => Err(Unavailable::new("find_key", "no route to host")),
            }
        }
    }

    impl MarkKeySeen for Keys {
        async fn mark_key_seen(&self, seen: &ApiKey) -> Result<(), Unavailable> {
            match self {
                Self::Holding(key) => {
                    assert!(key.last_used_at.is_none(), "once an hour");
                    assert_eq!(seen.last_used_at, Some(Time::from_secs(NOW)));
                    Ok(())
                }
                Self::ReadOnly(_) | Self::OutOfReach => Err(Unavailable::new("mark_key_seen", "throttled")),
            }
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
    async fn a_key_that_was_seen_lately_is_not_written_and_one_that_cannot_be_written_is_good() {
        let lately = ApiKey { last_used_at: Some(Time::from_secs(NOW - 3599)), ..key() };
        for keys in [Keys::Holding(lately), Keys::ReadOnly(key())] {
            assert_eq!(answer_to(event(), keys).await.unwrap()["isAuthorized"], true);
        }
    }

    #[tokio::test]
    async fn a_wrong_secret_and_a_revoked_key_are_denied() {
        let other = KeyToken { secret: Secret::new([8; 32]), ..token() };
        let wrong = ApiKey { secret_hash: other.hash(), ..key() };
        let revoked = ApiKey { revoked_at: Some(Time::from_secs(NOW)), ..key() };
        let unknown = ApiKey { id: KeyId::new(9.into()), ..key() };
        let expired = ApiKey { good_until: Some(Time::from_secs(NOW)), ..key() };
        for key in [wrong, revoked, unknown, expired] {
            // Nothing is written of a failure, either.
            let answer = answer_to(event(), Keys::ReadOnly(key)).await.unwrap();
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

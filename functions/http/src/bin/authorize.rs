//! The Lambda authorizer (payload 2.0, simple responses): an API key, an upload token or an identity token in;
//! a project, what may be done in it, and by whom, out.
//!
//! It fails closed. A credential that is not good is a denial, which the gateway may remember; a table or an
//! issuer that cannot be reached is an error, which it may not.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use shared::domain::identity::{FindSigningKeys, UnprovenToken};
use shared::domain::upload_token::TokenBearer;
use shared::domain::{ApiKey, Clock, KeyToken, ProjectId, Scope, Time, Unavailable};
use shared::platform::{Environment, answer, chain};
use shared::store::{FindIssuer, FindKey, FindUploadToken, MarkKeySeen};

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

/// What the functions behind the gateway learn of the caller: see `Caller`.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Authorized {
    project: ProjectId,
    scopes: String,
    #[serde(flatten)]
    credential: Credential,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
enum Credential {
    Key { key: String },
    User { user: String },
    Token { token: String, grant: String },
}

fn bearer(request: &AuthorizerRequest) -> Option<&str> {
    let header = request.headers.get("authorization")?;
    let (scheme, token) = header.split_once(' ')?;
    // RFC 9110: the scheme's case does not matter.
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// A token in the path, for clients that send no headers.
fn in_path(request: &AuthorizerRequest) -> Option<&str> {
    request.path_parameters.as_ref()?.get("token").map(String::as_str)
}

async fn authorize(
    table: &(impl FindKey + MarkKeySeen + FindUploadToken + FindIssuer), issuers: &impl FindSigningKeys,
    clock: &impl Clock, request: AuthorizerRequest,
) -> Result<AuthorizerResponse, Unavailable> {
    let (in_path, now) = (in_path(&request), clock.now());
    let text = in_path.or_else(|| bearer(&request)).unwrap_or_default();
    let context = if let Ok(token) = text.parse::<KeyToken>() {
        by_key(table, &token, now).await?
    } else if let Ok(bearer) = text.parse::<TokenBearer>() {
        by_upload_token(table, &bearer, now).await?
    } else {
        by_identity(table, issuers, text, now).await?
    };
    // Paths end up in logs and histories, so only what opens nothing but uploads is taken there.
    let context = context
        .filter(|context| in_path.is_none() || context.scopes == Scope::write_list(&[Scope::CreateUploads]));
    Ok(AuthorizerResponse { is_authorized: context.is_some(), context })
}

async fn by_key(
    keys: &(impl FindKey + MarkKeySeen), token: &KeyToken, now: Time,
) -> Result<Option<Authorized>, Unavailable> {
    let found = keys.find_key(token.id).await?;
    let Some(key) = found.filter(|key| key.admits(token, now)) else { return Ok(None) };
    mark_seen(keys, &key, now).await;
    let credential = Credential::Key { key: key.id.to_string() };
    Ok(Some(Authorized { project: key.project, scopes: Scope::write_list(&key.scopes), credential }))
}

/// How often it may still be used is decided when it is used.
async fn by_upload_token(
    tokens: &impl FindUploadToken, bearer: &TokenBearer, now: Time,
) -> Result<Option<Authorized>, Unavailable> {
    let found = tokens.find_upload_token(bearer.id).await?;
    let Some(token) = found.filter(|token| token.admits(bearer, now)) else { return Ok(None) };
    let grant = serde_json::to_string(&token.grant).map_err(|e| Unavailable::new("find_upload_token", e))?;
    let credential = Credential::Token { token: token.id.to_string(), grant };
    let scopes = Scope::write_list(&[Scope::CreateUploads]);
    Ok(Some(Authorized { project: token.project, scopes, credential }))
}

/// The token's issuer and audience lead to the project that trusts them: only issuers that some project named
/// are ever asked for their keys.
async fn by_identity(
    projects: &impl FindIssuer, issuers: &impl FindSigningKeys, text: &str, now: Time,
) -> Result<Option<Authorized>, Unavailable> {
    let Ok(token) = UnprovenToken::read(text) else { return Ok(None) };
    for audience in token.audiences() {
        let Some(trusted) = projects.find_issuer(token.issuer(), audience).await? else { continue };
        let keys = issuers.find_signing_keys(&trusted.issuer.issuer, token.key_id(), now).await?;
        return match token.prove(&keys, &trusted.issuer, now) {
            Ok(identity) => {
                let credential = Credential::User { user: identity.user.into() };
                let scopes = Scope::write_list(&identity.scopes);
                Ok(Some(Authorized { project: trusted.project, scopes, credential }))
            }
            Err(refused) => {
                tracing::info!(project = %trusted.project, %refused, "a token was refused");
                Ok(None)
            }
        };
    }
    Ok(None)
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
    let (table, issuers, clock) = (env.store()?, env.issuers(), env.clock());
    let (table, issuers, clock) = (&table, &issuers, &clock);
    answer(|event| authorize(table, issuers, clock, event)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use shared::domain::identity::SigningKeys;
    use shared::domain::issuer::TrustedIssuer;
    use shared::domain::upload_token::{Grant, UploadToken};
    use shared::domain::{KeyId, Secret, TokenId};
    use std::sync::Arc;
    use std::time::Duration;

    const EVENT: &str = include_str!("../../../../events/authorize.json");

    enum Keys {
        Holding(ApiKey),
        /// Holds a key, and cannot be written.
        ReadOnly(ApiKey),
        Upload(UploadToken),
        /// An issuer with its keys, or out of reach.
        Issuer {
            trusted: TrustedIssuer,
            keys: Option<Arc<SigningKeys>>,
        },
        OutOfReach,
    }

    impl FindKey for Keys {
        async fn find_key(&self, key: KeyId) -> Result<Option<ApiKey>, Unavailable> {
            match self {
                Self::Holding(held) | Self::ReadOnly(held) => {
                    Ok(Some(held.clone()).filter(|held| held.id == key))
                }
                Self::Upload(_) | Self::Issuer { .. } => Ok(None),
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
                Self::ReadOnly(_) | Self::Upload(_) | Self::Issuer { .. } | Self::OutOfReach => {
                    Err(Unavailable::new("mark_key_seen", "throttled"))
                }
            }
        }
    }

    impl FindUploadToken for Keys {
        async fn find_upload_token(&self, id: TokenId) -> Result<Option<UploadToken>, Unavailable> {
            match self {
                Self::Upload(held) => Ok(Some(held.clone()).filter(|held| held.id == id)),
                Self::Holding(_) | Self::ReadOnly(_) | Self::Issuer { .. } => Ok(None),
                Self::OutOfReach => Err(Unavailable::new("find_upload_token", "no route to host")),
            }
        }
    }

    impl FindIssuer for Keys {
        async fn find_issuer(
            &self, issuer: &str, audience: &str,
        ) -> Result<Option<TrustedIssuer>, Unavailable> {
            match self {
                Self::Issuer { trusted, .. } => {
                    let is = |trusted: &TrustedIssuer| {
                        (trusted.issuer.issuer.as_str(), trusted.issuer.audience.as_str())
                            == (issuer, audience)
                    };
                    Ok(Some(trusted.clone()).filter(is))
                }
                Self::Holding(_) | Self::ReadOnly(_) | Self::Upload(_) => Ok(None),
                Self::OutOfReach => Err(Unavailable::new("find_issuer", "no route to host")),
            }
        }
    }

    impl FindSigningKeys for Keys {
        async fn find_signing_keys(
            &self, issuer: &str, key: Option<&str>, _: Time,
        ) -> Result<Arc<SigningKeys>, Unavailable> {
            let Self::Issuer { trusted, keys } = self else { panic!("only a trusted issuer is asked") };
            assert_eq!((issuer, key), (trusted.issuer.issuer.as_str(), Some("a")));
            let outage = || Unavailable::new("find_signing_keys", "the issuer is down");
            keys.as_ref().map(Arc::clone).ok_or_else(outage)
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
        let answer = authorize(&keys, &keys, &At(Time::from_secs(NOW)), request).await?;
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

    fn with_bearer(text: &str) -> Value {
        let mut event = event();
        event["headers"]["authorization"] = json!(format!("Bearer {text}"));
        event
    }

    #[tokio::test]
    async fn an_upload_token_opens_uploads_within_its_limits() {
        let bearer = TokenBearer { id: TokenId::new(5.into()), secret: Secret::new([7; 32]) };
        let grant = Grant { max_bytes: Some(5), ..Grant::default() };
        let (life, made) = (Duration::from_mins(15), Time::from_secs(NOW - 899));
        let token = UploadToken::new(&bearer, ProjectId::new(1.into()), grant, 1, life, made);
        let text = bearer.expose_text();
        let answer = answer_to(with_bearer(&text), Keys::Upload(token.clone())).await.unwrap();
        let context = &answer["context"];
        assert_eq!((&answer["isAuthorized"], &context["scopes"]), (&json!(true), &json!("uploads:create")));
        assert_eq!(context["token"], json!(token.id));
        let grant: Value = serde_json::from_str(context["grant"].as_str().unwrap()).unwrap();
        assert_eq!(grant, json!({ "max_bytes": 5, "visibility": "private" }));
        assert!(context.get("key").is_none() && context.get("user").is_none());

        let expired = UploadToken { good_until: Time::from_secs(NOW), ..token.clone() };
        let other = UploadToken { secret_hash: "ab".into(), ..token };
        for token in [expired, other] {
            let answer = answer_to(with_bearer(&text), Keys::Upload(token)).await.unwrap();
            assert_eq!(answer, json!({ "isAuthorized": false }));
        }
        assert!(answer_to(with_bearer(&text), Keys::OutOfReach).await.is_err());
    }

    /// `{"alg":"EdDSA","kid":"a"}`, issued by `https://id.example.org` for `app` to `ann`, until 2100, signed
    /// with the first key of RFC 8032, section 7.1.
    const IDENTITY: &str = include_str!("../../testdata/identity.jwt");

    fn trusted() -> TrustedIssuer {
        let trusted = json!({
            "project": ProjectId::new(1.into()), "issuer": "https://id.example.org", "audience": "app",
        });
        serde_json::from_value(trusted).unwrap()
    }

    fn signing_keys(x: &str) -> Arc<SigningKeys> {
        let set = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": "a", "x": x }] });
        Arc::new(SigningKeys::read(set.to_string().as_bytes()).unwrap())
    }

    /// Of RFC 8037, appendix A.2, which is the same key.
    const PUBLIC: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    #[tokio::test]
    async fn a_token_of_a_trusted_issuer_opens_its_project_for_a_user() {
        let keys = Keys::Issuer { trusted: trusted(), keys: Some(signing_keys(PUBLIC)) };
        let answer = answer_to(with_bearer(IDENTITY.trim()), keys).await.unwrap();
        let context = json!({
            "project": ProjectId::new(1.into()),
            "user": "ann",
            "scopes": "images:read images:write uploads:create",
        });
        assert_eq!(answer, json!({ "isAuthorized": true, "context": context }));
    }

    #[tokio::test]
    async fn a_forged_token_is_denied_and_a_strangers_issuer_is_not_even_asked() {
        let other = "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw";
        let forged = Keys::Issuer { trusted: trusted(), keys: Some(signing_keys(other)) };
        let key = Keys::Holding(key());
        for keys in [forged, key] {
            let answer = answer_to(with_bearer(IDENTITY.trim()), keys).await.unwrap();
            assert_eq!(answer, json!({ "isAuthorized": false }));
        }
    }

    #[tokio::test]
    async fn an_issuer_out_of_reach_is_an_error_and_no_denial() {
        let keys = Keys::Issuer { trusted: trusted(), keys: None };
        assert!(answer_to(with_bearer(IDENTITY.trim()), keys).await.is_err());
        assert!(answer_to(with_bearer(IDENTITY.trim()), Keys::OutOfReach).await.is_err());
    }
}

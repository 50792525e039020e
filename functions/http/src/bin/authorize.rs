//! The Lambda authorizer (payload 2.0, simple responses): an API key in, a project and its scopes out.
//!
//! It fails closed. A key that is not good is a denial, which the gateway may remember; a table that cannot
//! be read is an error, which it may not.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use shared::domain::{Clock, KeyToken, ProjectId, Unavailable};
use shared::platform::{Environment, answer};
use shared::store::FindKey;

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
    keys: &impl FindKey, clock: &impl Clock, request: AuthorizerRequest,
) -> Result<AuthorizerResponse, Unavailable> {
    let Some(token) = bearer(&request) else { return Ok(AuthorizerResponse::default()) };
    let key = keys.find_key(token.id).await?.filter(|key| key.admits(&token, clock.now()));
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

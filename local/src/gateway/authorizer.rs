//! Lambda authorizers with simple responses, and the cache of what they said.
//!
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html>

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::HeaderMap;
use http::header::HeaderName;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::event::{Request, joined};
use crate::lambda::Functions;
use crate::template::model::Authorizer;

/// "Lambda authorizer timeout" of
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html>.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How many verdicts are remembered per authorizer.
const CAPACITY: usize = 10_000;

/// The authorizers of an API, by name. An authorizer's cache serves all routes that use it.
#[derive(Debug)]
pub(super) struct Authorizers(HashMap<String, Cached>);

#[derive(Debug)]
struct Cached {
    function: String,
    identity: Vec<HeaderName>,
    lifetime: Duration,
    verdicts: Mutex<HashMap<Vec<String>, (Instant, Verdict)>>,
}

/// What an authorizer said: the context if it allows the request.
type Verdict = Option<Context>;
/// What the function behind it gets to see; null if the authorizer gave none.
pub(super) type Context = Arc<Value>;

/// Why a request goes no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// An identity source is missing; the authorizer was not asked.
    Unauthorized,
    /// The authorizer says no.
    Forbidden,
    /// The authorizer failed, which says nothing about the client and is not remembered.
    Broken,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Simple {
    is_authorized: bool,
    #[serde(default)]
    context: Option<Map<String, Value>>,
}

impl Authorizers {
    pub(super) fn new(authorizers: BTreeMap<String, Authorizer>) -> Self {
        let cached = |authorizer: Authorizer| Cached {
            function: authorizer.function,
            // A name that is none can never be sent: the authorizer then refuses everybody.
            identity: authorizer
                .identity_headers
                .iter()
                .map(|name| {
                    HeaderName::try_from(name.as_str())
                        .unwrap_or(HeaderName::from_static("invalid-identity-header"))
                })
                .collect(),
            lifetime: authorizer.cache,
            verdicts: Mutex::default(),
        };
        Self(authorizers.into_iter().map(|(name, authorizer)| (name, cached(authorizer))).collect())
    }

    /// Asks an authorizer, or its cache.
    pub(super) async fn authorize(
        &self, name: &str, functions: &Functions, request: &Request<'_>,
    ) -> Result<Context, Refusal> {
        let Some(authorizer) = self.0.get(name) else {
            tracing::error!(authorizer = name, "the template has no such authorizer");
            return Err(Refusal::Broken);
        };
        let identity = authorizer.identity_of(&request.parts.headers).ok_or(Refusal::Unauthorized)?;
        let verdict = if let Some(verdict) = authorizer.remembered(&identity) {
            verdict
        } else {
            let verdict = authorizer.ask(functions, request, &identity).await.ok_or(Refusal::Broken)?;
            authorizer.remember(identity, &verdict);
            verdict
        };
        verdict.ok_or(Refusal::Forbidden)
    }
}

impl Cached {
    /// The values of all identity sources, which are also the key of the cache.
    fn identity_of(&self, headers: &HeaderMap) -> Option<Vec<String>> {
        let values = self.identity.iter().map(|name| joined(headers, name));
        values.map(|value| (!value.is_empty()).then(|| value.into_owned())).collect()
    }

    async fn ask(
        &self, functions: &Functions, request: &Request<'_>, identity: &[String],
    ) -> Option<Verdict> {
        let region = functions.arn(&self.function).and_then(|arn| arn.split(':').nth(3)).unwrap_or_default();
        let payload = request.for_authorizer(identity, region).ok()?;
        let asked = functions.invoke_traced(&self.function, payload.into(), request.trace);
        let invoked = tokio::time::timeout(TIMEOUT, asked)
            .await
            .inspect_err(|_| tracing::error!(authorizer = self.function, "no answer within 10 s"))
            .ok()?;
        functions.report(&self.function, &invoked, None, "");
        let answer = serde_json::from_slice::<Simple>(&invoked.result.ok()?)
            .inspect_err(|error| tracing::error!(authorizer = self.function, %error, "not a simple response"))
            .ok()?;
        let context = Arc::new(answer.context.map_or(Value::Null, Value::Object));
        Some(answer.is_authorized.then_some(context))
    }

    fn remembered(&self, identity: &[String]) -> Option<Verdict> {
        if self.lifetime.is_zero() || identity.is_empty() {
            return None;
        }
        let verdicts = self.verdicts.lock().unwrap_or_else(PoisonError::into_inner);
        let (until, verdict) = verdicts.get(identity)?;
        (*until > Instant::now()).then(|| verdict.clone())
    }

    /// "To enable caching, your authorizer must have at least one identity source."
    fn remember(&self, identity: Vec<String>, verdict: &Verdict) {
        if self.lifetime.is_zero() || identity.is_empty() {
            return;
        }
        let now = Instant::now();
        let mut verdicts = self.verdicts.lock().unwrap_or_else(PoisonError::into_inner);
        if verdicts.len() >= CAPACITY {
            verdicts.retain(|_, (until, _)| *until > now);
        }
        // So many clients at once: asking them all again is cheaper than keeping an order.
        if verdicts.len() >= CAPACITY {
            verdicts.clear();
        }
        verdicts.insert(identity, (now + self.lifetime, verdict.clone()));
    }
}

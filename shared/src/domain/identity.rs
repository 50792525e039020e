//! Identity tokens: JSON Web Tokens (RFC 7519) of an OpenID Connect issuer, checked as RFC 8725 wants it.
//!
//! What a token says of itself only finds the issuer that a project trusts. That one's keys say which
//! algorithms count, and the token is believed once they have proved it.

use std::future::Future;
use std::sync::Arc;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, dangerous};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::issuer::Issuer;
use super::signature::RING;
use super::{Scope, Time, Unavailable, UserId};

/// Longer tokens are nobody's.
const MAXIMUM_TOKEN: usize = 8 * 1024;
/// How many audiences of a token are looked at.
const MAXIMUM_AUDIENCES: usize = 4;
/// How many keys of an issuer are kept.
const MAXIMUM_KEYS: usize = 32;
/// By how many seconds the issuer's clock may differ from ours.
const LEEWAY: i64 = 60;

/// Who a proven token stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The user.
    pub user: UserId,
    /// What they may do.
    pub scopes: Vec<Scope>,
}

/// Why a token is not believed. For the log: its bearer only hears that it is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is no token at all.
    #[error("not a token")]
    Malformed,
    /// It demands something that we do not know.
    #[error("an extension that must be understood")]
    Critical,
    /// The issuer has no such key, or not for this algorithm.
    #[error("no key of the issuer for it")]
    UnknownKey,
    /// Another key signed it, or it was changed.
    #[error("the signature is wrong")]
    Signature,
    /// It is another issuer's, or for another application.
    #[error("another issuer's, or for somebody else")]
    Audience,
    /// It has no end, or has ended.
    #[error("expired")]
    Expired,
    /// It is of the future.
    #[error("not valid yet")]
    TooEarly,
    /// It names no user.
    #[error("no user in it")]
    NoUser,
}

/// Gets the keys of an issuer.
pub trait FindSigningKeys {
    /// The keys of this issuer, as they were not long ago. A key by an id that is not among them is looked for
    /// anew, now and then.
    fn find_signing_keys(
        &self, issuer: &str, key: Option<&str>, now: Time,
    ) -> impl Future<Output = Result<Arc<SigningKeys>, Unavailable>> + Send;
}

/// The public keys of an issuer, as its JWK set has them (RFC 7517).
#[derive(Debug, Clone, Default)]
pub struct SigningKeys(Vec<SigningKey>);

#[derive(Debug, Clone)]
struct SigningKey {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

impl SigningKeys {
    /// Reads a JWK set. Keys that we have no use for are left out: secrets, encryption, other curves.
    pub fn read(json: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let set: Set = serde_json::from_slice(json)?;
        let keys = set.keys.into_iter().filter_map(|key| SigningKey::new(&serde_json::from_value(key).ok()?));
        Ok(Self(keys.take(MAXIMUM_KEYS).collect()))
    }

    /// Whether there is a key by this id.
    pub fn has(&self, id: &str) -> bool {
        self.0.iter().any(|key| key.id.as_deref() == Some(id))
    }
}

impl SigningKey {
    fn new(jwk: &Jwk) -> Option<Self> {
        let common = &jwk.common;
        if common.public_key_use.as_ref().is_some_and(|purpose| *purpose != PublicKeyUse::Signature) {
            return None;
        }
        // The kind of key decides which algorithms count, never the token: or its public half would do as a
        // secret.
        let mut algorithms = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => vec![Algorithm::RS256, Algorithm::PS256],
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
                vec![Algorithm::ES256]
            }
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
                vec![Algorithm::EdDSA]
            }
            // Other curves, shared secrets, and what is yet to come.
            _ => return None,
        };
        if let Some(only) = common.key_algorithm {
            algorithms.retain(|algorithm| named(*algorithm) == Some(only));
        }
        let key = DecodingKey::from_jwk(jwk).ok()?;
        (!algorithms.is_empty()).then(|| Self { id: common.key_id.clone(), algorithms, key })
    }
}

/// The name of an algorithm in a JWK; nothing for those that we do not take.
fn named(algorithm: Algorithm) -> Option<KeyAlgorithm> {
    match algorithm {
        Algorithm::RS256 => Some(KeyAlgorithm::RS256),
        Algorithm::PS256 => Some(KeyAlgorithm::PS256),
        Algorithm::ES256 => Some(KeyAlgorithm::ES256),
        Algorithm::EdDSA => Some(KeyAlgorithm::EdDSA),
        // HMAC above all, whose key would be public.
        _ => None,
    }
}

/// A token that nothing is known of but what it says.
#[derive(Debug)]
pub struct UnprovenToken<'a> {
    text: &'a str,
    header: Header,
    issuer: String,
    audiences: Vec<String>,
}

impl<'a> UnprovenToken<'a> {
    /// Reads what a token says of itself.
    pub fn read(text: &'a str) -> Result<Self, Refused> {
        if text.len() > MAXIMUM_TOKEN {
            return Err(Refused::Malformed);
        }
        let header = jsonwebtoken::decode_header(text).map_err(|_| Refused::Malformed)?;
        if header.crit.is_some() {
            return Err(Refused::Critical);
        }
        named(header.alg).ok_or(Refused::UnknownKey)?;
        let claims: Map<String, Value> =
            dangerous::insecure_decode(text).map_err(|_| Refused::Malformed)?.claims;
        let issuer = claims.get("iss").and_then(Value::as_str).ok_or(Refused::Audience)?.to_owned();
        let audiences = audiences(&claims);
        if audiences.is_empty() {
            return Err(Refused::Audience);
        }
        Ok(Self { text, header, issuer, audiences })
    }

    /// Who it says has issued it.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// For whom it says it is.
    pub fn audiences(&self) -> &[String] {
        &self.audiences
    }

    /// Which key it says has signed it.
    pub fn key_id(&self) -> Option<&str> {
        self.header.kid.as_deref()
    }

    /// Who it stands for, if the issuer's keys bear it out.
    pub fn prove(&self, keys: &SigningKeys, issuer: &Issuer, now: Time) -> Result<Identity, Refused> {
        let claims = self.proven(keys)?;
        let is = |name: &str, expected: &str| claims.get(name).and_then(Value::as_str) == Some(expected);
        if !is("iss", &issuer.issuer) || !audiences(&claims).contains(&issuer.audience) {
            return Err(Refused::Audience);
        }
        let now = now.as_secs();
        let end = moment(&claims, "exp").ok_or(Refused::Expired)?.ok_or(Refused::Expired)?;
        if end.saturating_add(LEEWAY) <= now {
            return Err(Refused::Expired);
        }
        for name in ["nbf", "iat"] {
            let Some(beginning) = moment(&claims, name) else { continue };
            if beginning.is_none_or(|beginning| beginning.saturating_sub(LEEWAY) > now) {
                return Err(Refused::TooEarly);
            }
        }
        let user = claims.get(&issuer.user_claim).and_then(Value::as_str).ok_or(Refused::NoUser)?;
        let text = format!("{}{user}", issuer.user_prefix);
        // Blanks that are cut off would make one user of two.
        let user: UserId = text.parse().map_err(|_| Refused::NoUser)?;
        if user.as_str() != text {
            return Err(Refused::NoUser);
        }
        let scopes = match &issuer.scopes_claim {
            None => issuer.scopes.clone(),
            Some(name) => {
                let claimed = claimed_scopes(claims.get(name));
                issuer.scopes.iter().copied().filter(|scope| claimed.contains(scope)).collect()
            }
        };
        Ok(Identity { user, scopes })
    }

    fn proven(&self, keys: &SigningKeys) -> Result<Map<String, Value>, Refused> {
        // Who installed it first has installed the same.
        let _ = RING.install_default();
        let algorithm = self.header.alg;
        let mut validation = Validation::new(algorithm);
        // Our own clock and our own rules say when and for whom, below.
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        let fits = |key: &&SigningKey| {
            let meant = self.key_id().is_none_or(|id| key.id.as_deref() == Some(id));
            meant && key.algorithms.contains(&algorithm)
        };
        let mut refused = Refused::UnknownKey;
        for key in keys.0.iter().filter(fits) {
            match jsonwebtoken::decode(self.text, &key.key, &validation) {
                Ok(token) => return Ok(token.claims),
                Err(_) => refused = Refused::Signature,
            }
        }
        Err(refused)
    }
}

/// For whom a token is. Cognito's access tokens name the application in `client_id` and have no audience.
fn audiences(claims: &Map<String, Value>) -> Vec<String> {
    let texts = match (claims.get("aud"), claims.get("client_id")) {
        (Some(Value::Array(several)), _) => several.iter().filter_map(Value::as_str).collect(),
        (Some(one), _) => one.as_str().into_iter().collect(),
        (None, client) => client.and_then(Value::as_str).into_iter().collect::<Vec<_>>(),
    };
    texts.into_iter().take(MAXIMUM_AUDIENCES).map(str::to_owned).collect()
}

/// A claim that is a number of seconds; `Some(None)` if it is something else.
#[expect(clippy::option_option, reason = "absent is not the same as unreadable")]
fn moment(claims: &Map<String, Value>, name: &str) -> Option<Option<i64>> {
    let value = claims.get(name)?;
    #[expect(clippy::cast_possible_truncation, reason = "it saturates, which is far enough away")]
    Some(value.as_i64().or_else(|| value.as_f64().map(|seconds| seconds as i64)))
}

fn claimed_scopes(claim: Option<&Value>) -> Vec<Scope> {
    match claim {
        Some(Value::String(list)) => Scope::parse_list(list),
        Some(Value::Array(list)) => {
            list.iter().filter_map(Value::as_str).flat_map(Scope::parse_list).collect()
        }
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => vec![],
    }
}

#[cfg(test)]
mod tests;

//! API keys: `tt_<id>_<secret>`, of which only a hash is stored.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use ulid::Ulid;

use super::{KeyId, ProjectId, Secret, Time};

/// What a key may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Scope {
    /// Find and read images.
    #[serde(rename = "images:read")]
    ReadImages,
    /// Change and trash images.
    #[serde(rename = "images:write")]
    WriteImages,
    /// Reserve uploads.
    #[serde(rename = "uploads:create")]
    CreateUploads,
    /// Everything, projects and keys included.
    #[serde(rename = "admin")]
    Admin,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 4] = [Self::ReadImages, Self::WriteImages, Self::CreateUploads, Self::Admin];

    /// The scope's name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReadImages => "images:read",
            Self::WriteImages => "images:write",
            Self::CreateUploads => "uploads:create",
            Self::Admin => "admin",
        }
    }

    /// Reads scopes from a space-separated list; names this version does not know grant nothing.
    pub fn parse_list(text: &str) -> Vec<Self> {
        let known = |word| Self::ALL.into_iter().find(|scope| scope.name() == word);
        text.split(' ').filter_map(known).collect()
    }
}

/// What a client sends: `tt_<ULID>_<43 characters of base64url>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyToken {
    /// Which key.
    pub id: KeyId,
    /// The proof.
    pub secret: Secret,
}

/// A text that has not the form of an API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an API key")]
pub struct InvalidToken;

impl KeyToken {
    /// The text to hand to the owner, once.
    pub fn expose_text(&self) -> String {
        let id = self.id.to_string();
        let ulid = id.strip_prefix("key_").unwrap_or(&id);
        format!("tt_{ulid}_{}", self.secret.expose_text())
    }

    /// SHA-256 of the secret, in hex: what is stored. A fast hash is enough for 256 random bits.
    pub fn hash(&self) -> String {
        hex(&Sha256::digest(self.secret.expose()))
    }
}

impl FromStr for KeyToken {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        let (ulid, secret) = text.strip_prefix("tt_").and_then(|t| t.split_once('_')).ok_or(InvalidToken)?;
        let id = KeyId::new(Ulid::from_string(ulid).map_err(|_| InvalidToken)?);
        Ok(Self { id, secret: secret.parse().map_err(|_| InvalidToken)? })
    }
}

/// A key as it is stored.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Its id.
    pub id: KeyId,
    /// The project it opens.
    pub project: ProjectId,
    /// What for.
    pub scopes: Vec<Scope>,
    /// SHA-256 of the secret, in hex.
    pub secret_hash: String,
    /// When it was made.
    pub created_at: Time,
    /// Set when it is no longer good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Time>,
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey").field("id", &self.id).field("project", &self.project).finish_non_exhaustive()
    }
}

impl ApiKey {
    /// The record of a new key.
    pub fn new(token: &KeyToken, project: ProjectId, scopes: Vec<Scope>, now: Time) -> Self {
        Self { id: token.id, project, scopes, secret_hash: token.hash(), created_at: now, revoked_at: None }
    }

    /// Whether this key admits the bearer of `token`. The hashes are compared in constant time.
    pub fn admits(&self, token: &KeyToken, now: Time) -> bool {
        let proven: bool = self.secret_hash.as_bytes().ct_eq(token.hash().as_bytes()).into();
        proven && self.id == token.id && self.revoked_at.is_none_or(|revoked| now < revoked)
    }
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(seed: u8) -> KeyToken {
        KeyToken { id: KeyId::new(Ulid::from_parts(7, 7)), secret: Secret::new([seed; 32]) }
    }

    fn key() -> ApiKey {
        ApiKey::new(&token(1), ProjectId::new(Ulid::nil()), vec![Scope::ReadImages], Time::from_secs(100))
    }

    #[test]
    fn a_token_reads_back() {
        assert_eq!(token(9).expose_text().parse(), Ok(token(9)));
        for bad in ["", "tt_", "tt_01_x", "sk_live", &format!("{}x", token(9).expose_text())] {
            assert_eq!(bad.parse::<KeyToken>(), Err(InvalidToken), "{bad}");
        }
    }

    #[test]
    fn a_key_admits_its_own_secret_until_revoked() {
        let mut key = key();
        assert!(key.admits(&token(1), Time::from_secs(200)));
        assert!(!key.admits(&token(2), Time::from_secs(200)));
        key.revoked_at = Some(Time::from_secs(150));
        assert!(key.admits(&token(1), Time::from_secs(149)));
        assert!(!key.admits(&token(1), Time::from_secs(150)));
    }

    #[test]
    fn nothing_secret_shows_in_debug() {
        let shown = format!("{:?} {:?}", token(1), key());
        assert!(!shown.contains(&token(1).secret.expose_text()) && !shown.contains(&token(1).hash()));
    }
}

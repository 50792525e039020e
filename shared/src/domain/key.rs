//! API keys: `tt_<id>_<secret>`, of which only a hash is stored.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};
use ulid::Ulid;
use utoipa::ToSchema;

use super::{KeyId, ProjectId, Secret, Time};

/// What a key may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
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
    /// Everything in the project, its keys included.
    #[serde(rename = "admin")]
    Admin,
    /// Make projects and set their limits. Nothing else implies it.
    #[serde(rename = "operator")]
    Operator,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 5] =
        [Self::ReadImages, Self::WriteImages, Self::CreateUploads, Self::Admin, Self::Operator];
    /// What users may do if nobody says otherwise.
    pub const OF_USERS: [Self; 3] = [Self::ReadImages, Self::WriteImages, Self::CreateUploads];

    /// The scope's name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReadImages => "images:read",
            Self::WriteImages => "images:write",
            Self::CreateUploads => "uploads:create",
            Self::Admin => "admin",
            Self::Operator => "operator",
        }
    }

    /// Whether somebody with these scopes may do what this one stands for.
    pub fn is_in(self, scopes: &[Self]) -> bool {
        let implied = match self {
            Self::ReadImages | Self::WriteImages | Self::CreateUploads | Self::Admin => {
                scopes.contains(&Self::Admin)
            }
            Self::Operator => false,
        };
        implied || scopes.contains(&self)
    }

    /// Writes scopes as a space-separated list.
    pub fn write_list(scopes: &[Self]) -> String {
        scopes.iter().map(|scope| scope.name()).collect::<Vec<_>>().join(" ")
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
        write_bearer("tt", &self.id.to_string(), &self.secret)
    }

    /// SHA-256 of the secret, in hex: what is stored.
    pub fn hash(&self) -> String {
        hash_of(&self.secret)
    }
}

impl FromStr for KeyToken {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        let (ulid, secret) = read_bearer("tt", text)?;
        Ok(Self { id: KeyId::new(ulid), secret })
    }
}

/// SHA-256 of a secret, in hex. A fast hash is enough for 256 random bits.
pub(super) fn hash_of(secret: &Secret) -> String {
    hex(&Sha256::digest(secret.expose()))
}

/// `prefix_<ULID>_<secret>`, of an id with a prefix of its own.
pub(super) fn write_bearer(prefix: &str, id: &str, secret: &Secret) -> String {
    let ulid = id.split_once('_').map_or(id, |(_, ulid)| ulid);
    format!("{prefix}_{ulid}_{}", secret.expose_text())
}

/// Reads it back.
pub(super) fn read_bearer(prefix: &str, text: &str) -> Result<(Ulid, Secret), InvalidToken> {
    let rest = text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('_')).ok_or(InvalidToken)?;
    let (ulid, secret) = rest.split_once('_').ok_or(InvalidToken)?;
    Ok((Ulid::from_string(ulid).map_err(|_| InvalidToken)?, secret.parse().map_err(|_| InvalidToken)?))
}

/// A key as it is stored.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Its id.
    pub id: KeyId,
    /// The project it opens.
    pub project: ProjectId,
    /// What its owner calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What for.
    pub scopes: Vec<Scope>,
    /// SHA-256 of the secret, in hex.
    pub secret_hash: String,
    /// The secret before this one, while it is still good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<PreviousSecret>,
    /// When it was made.
    pub created_at: Time,
    /// When it ceases to be good. (`expires_at` would be the table's own.)
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub good_until: Option<Time>,
    /// When it was last seen, give or take [`SEEN_EVERY`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Time>,
    /// Set when it is no longer good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Time>,
    /// Rises with every change that its owner makes.
    #[serde(default)]
    pub version: u64,
}

/// A secret that has been replaced.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviousSecret {
    /// SHA-256 of it, in hex.
    pub secret_hash: String,
    /// When it ceases to be good.
    pub good_until: Time,
}

/// How long a replaced secret is good if nobody says.
pub const DEFAULT_OVERLAP: Duration = Duration::from_hours(24);
/// How long a replaced secret is good at most.
pub const MAXIMUM_OVERLAP: Duration = Duration::from_hours(7 * 24);
/// How often a key's use is written down at most.
pub const SEEN_EVERY: Duration = Duration::from_hours(1);

/// The key has been revoked, and there is no way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the key has been revoked")]
pub struct Revoked;

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey").field("id", &self.id).field("project", &self.project).finish_non_exhaustive()
    }
}

impl ApiKey {
    /// The record of a new key.
    pub fn new(token: &KeyToken, project: ProjectId, scopes: Vec<Scope>, now: Time) -> Self {
        Self {
            id: token.id,
            project,
            name: None,
            scopes,
            secret_hash: token.hash(),
            previous: None,
            created_at: now,
            good_until: None,
            last_used_at: None,
            revoked_at: None,
            version: 1,
        }
    }

    /// Whether this key admits the bearer of `token`. The hashes are compared in constant time.
    pub fn admits(&self, token: &KeyToken, now: Time) -> bool {
        let hash = token.hash();
        let is = |stored: &str| stored.as_bytes().ct_eq(hash.as_bytes());
        let previous = self.previous.as_ref().filter(|previous| now < previous.good_until);
        let proven = is(&self.secret_hash) | previous.map_or(Choice::from(0), |p| is(&p.secret_hash));
        bool::from(proven) && self.id == token.id && self.is_good(now)
    }

    /// Whether it has neither been revoked nor expired.
    pub fn is_good(&self, now: Time) -> bool {
        let before = |end: Option<Time>| end.is_none_or(|end| now < end);
        before(self.revoked_at) && before(self.good_until)
    }

    /// The key with a new secret. The old one is good for a while longer, and the one before it no more. `None` if
    /// it has this secret already.
    pub fn rotate(&self, token: &KeyToken, overlap: Duration, now: Time) -> Result<Option<Self>, Revoked> {
        if self.secret_hash == token.hash() {
            return Ok(None);
        }
        let previous = PreviousSecret {
            secret_hash: self.secret_hash.clone(),
            good_until: now.after(overlap.min(MAXIMUM_OVERLAP)),
        };
        let previous = (!overlap.is_zero()).then_some(previous);
        Ok(Some(Self { secret_hash: token.hash(), previous, ..self.changed()? }))
    }

    /// The key under another name.
    pub fn rename(&self, name: Option<String>) -> Result<Self, Revoked> {
        Ok(Self { name, ..self.changed()? })
    }

    /// The key as nobody can use it any more; nothing if that is so already.
    pub fn revoke(&self, now: Time) -> Option<Self> {
        let changed = self.changed().ok()?;
        Some(Self { revoked_at: Some(now), previous: None, ..changed })
    }

    fn changed(&self) -> Result<Self, Revoked> {
        let changed = Self { version: self.version + 1, ..self.clone() };
        if self.revoked_at.is_none() { Ok(changed) } else { Err(Revoked) }
    }

    /// The key as seen now, if that is worth writing down.
    pub fn seen(&self, now: Time) -> Option<Self> {
        let lately = self.last_used_at.is_some_and(|last| now.since(last) < SEEN_EVERY);
        (!lately).then(|| Self { last_used_at: Some(now), ..self.clone() })
    }

    /// What its owner may see of it.
    pub fn summary(&self) -> KeySummary {
        KeySummary {
            id: self.id,
            name: self.name.clone(),
            scopes: self.scopes.clone(),
            created_at: self.created_at,
            expires_at: self.good_until,
            last_used_at: self.last_used_at,
            previous_expires_at: self.previous.as_ref().map(|previous| previous.good_until),
            revoked_at: self.revoked_at,
        }
    }
}

/// A key without its secret: what a list shows, and all that there is to show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Key, examples(json!({
    "id": "key_01M7Y7HNH0M6P1S3V5X7Z9B2DF", "name": "Build server", "scopes": ["images:read"],
    "created_at": "2026-11-21T05:00:00.000Z",
})))]
pub struct KeySummary {
    /// Its id.
    pub id: KeyId,
    /// What its owner calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What for.
    pub scopes: Vec<Scope>,
    /// When it was made.
    pub created_at: Time,
    /// When it ceases to be good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
    /// When it was last used, to the hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Time>,
    /// When the secret before the last rotation ceases to be good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_expires_at: Option<Time>,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Time>,
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
    fn a_key_admits_nobody_once_it_has_expired() {
        let key = ApiKey { good_until: Some(Time::from_secs(150)), ..key() };
        assert!(key.admits(&token(1), Time::from_secs(149)));
        assert!(!key.admits(&token(1), Time::from_secs(150)));
    }

    #[test]
    fn a_replaced_secret_is_good_for_as_long_as_was_asked() {
        let overlap = Duration::from_secs(50);
        let rotated = key().rotate(&token(2), overlap, Time::from_secs(100)).unwrap().unwrap();
        for (seed, secs, admitted) in [(1, 149, true), (1, 150, false), (2, 100, true), (2, 151, true)] {
            assert_eq!(rotated.admits(&token(seed), Time::from_secs(secs)), admitted, "{seed} at {secs}");
        }
        let twice = rotated.rotate(&token(3), overlap, Time::from_secs(110)).unwrap().unwrap();
        assert!(!twice.admits(&token(1), Time::from_secs(111)), "a key has two secrets at most");
        assert!(
            twice.admits(&token(2), Time::from_secs(159)) && twice.admits(&token(3), Time::from_secs(159))
        );
        assert_eq!((rotated.version, twice.version), (2, 3));
        let again = twice.rotate(&token(3), overlap, Time::from_secs(110));
        assert_eq!(again, Ok(None), "a write that comes twice does not shut out the old secret");
        let at_once = key().rotate(&token(2), Duration::ZERO, Time::from_secs(100)).unwrap().unwrap();
        assert!(!at_once.admits(&token(1), Time::from_secs(100)));
        let for_ever = key().rotate(&token(2), Duration::MAX, Time::from_secs(0)).unwrap().unwrap();
        let end = Time::from_secs(0).after(MAXIMUM_OVERLAP);
        assert_eq!(for_ever.previous.unwrap().good_until, end);
    }

    #[test]
    fn a_revoked_key_stays_as_it_is() {
        let rotated = key().rotate(&token(2), DEFAULT_OVERLAP, Time::from_secs(100)).unwrap().unwrap();
        let revoked = rotated.revoke(Time::from_secs(150)).unwrap();
        for seed in [1, 2] {
            assert!(!revoked.admits(&token(seed), Time::from_secs(150)));
        }
        assert_eq!(revoked.rotate(&token(3), DEFAULT_OVERLAP, Time::from_secs(151)), Err(Revoked));
        assert_eq!(revoked.rename(None), Err(Revoked));
        assert_eq!(revoked.revoke(Time::from_secs(151)), None);
    }

    #[test]
    fn use_is_written_down_once_an_hour() {
        let seen = key().seen(Time::from_secs(200)).unwrap();
        assert_eq!((seen.last_used_at, seen.version), (Some(Time::from_secs(200)), key().version));
        assert_eq!(seen.seen(Time::from_secs(200 + 3599)), None);
        assert!(seen.seen(Time::from_secs(200 + 3600)).is_some());
    }

    #[test]
    fn an_administrator_may_everything_but_operate() {
        for scope in Scope::ALL {
            assert_eq!(scope.is_in(&[Scope::Admin]), scope != Scope::Operator, "{}", scope.name());
            assert_eq!(scope.is_in(&[Scope::Operator]), scope == Scope::Operator, "{}", scope.name());
            assert_eq!(scope.is_in(&[Scope::ReadImages]), scope == Scope::ReadImages, "{}", scope.name());
        }
        assert_eq!(Scope::parse_list(&Scope::write_list(&Scope::ALL)), Scope::ALL);
    }

    #[test]
    fn nothing_secret_shows_in_debug() {
        let shown = format!("{:?} {:?}", token(1), key());
        assert!(!shown.contains(&token(1).secret.expose_text()) && !shown.contains(&token(1).hash()));
    }
}

//! Upload tokens: `ut_<id>_<secret>`, which a page may hold. One is good for a few uploads, for a while.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use utoipa::ToSchema;

use super::details::Tags;
use super::key::{InvalidToken, hash_of, read_bearer, write_bearer};
use super::{ProjectId, Secret, Time, TokenId, UserId, Visibility};

/// How long a token is good if nobody says.
pub const DEFAULT_LIFE: Duration = Duration::from_mins(15);
/// How long a token is good at most.
pub const MAXIMUM_LIFE: Duration = Duration::from_hours(24);
/// How many uploads one token is good for at most.
pub const MAXIMUM_COUNT: u32 = 1000;

/// What a client sends: `ut_<ULID>_<43 characters of base64url>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenBearer {
    /// Which token.
    pub id: TokenId,
    /// The proof.
    pub secret: Secret,
}

impl TokenBearer {
    /// The text to hand to the owner, once.
    pub fn expose_text(&self) -> String {
        write_bearer("ut", &self.id.to_string(), &self.secret)
    }
}

impl FromStr for TokenBearer {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        let (ulid, secret) = read_bearer("ut", text)?;
        Ok(Self { id: TokenId::new(ulid), secret })
    }
}

/// What uploads by a token may be.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Grant {
    /// The types that are taken; all, if there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub content_types: Vec<String>,
    /// The most bytes of one upload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
    /// Whose the images are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// Who may see them.
    pub visibility: Visibility,
    /// The tags that they have.
    #[serde(skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
}

impl Grant {
    /// Whether this type is taken.
    pub fn takes(&self, content_type: &str) -> bool {
        self.content_types.is_empty() || self.content_types.iter().any(|taken| taken == content_type)
    }
}

/// A token as it is stored.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadToken {
    /// Its id.
    pub id: TokenId,
    /// The project it opens.
    pub project: ProjectId,
    /// SHA-256 of the secret, in hex.
    pub secret_hash: String,
    /// What uploads by it may be.
    pub grant: Grant,
    /// How many it is good for.
    pub count: u32,
    /// How many it has been used for.
    pub used: u32,
    /// When it was made.
    pub created_at: Time,
    /// When it ceases to be good.
    pub good_until: Time,
}

impl fmt::Debug for UploadToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UploadToken")
            .field("id", &self.id)
            .field("project", &self.project)
            .finish_non_exhaustive()
    }
}

impl UploadToken {
    /// The record of a new token.
    pub fn new(
        bearer: &TokenBearer, project: ProjectId, grant: Grant, count: u32, life: Duration, now: Time,
    ) -> Self {
        let good_until = now.after(life.min(MAXIMUM_LIFE));
        let (count, secret_hash) = (count.min(MAXIMUM_COUNT), hash_of(&bearer.secret));
        Self { id: bearer.id, project, secret_hash, grant, count, used: 0, created_at: now, good_until }
    }

    /// Whether this token admits its bearer. One that is used up still does: who holds it may hear so.
    pub fn admits(&self, bearer: &TokenBearer, now: Time) -> bool {
        let proven: bool = self.secret_hash.as_bytes().ct_eq(hash_of(&bearer.secret).as_bytes()).into();
        proven && self.id == bearer.id && now < self.good_until
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::KeyToken;
    use ulid::Ulid;

    fn bearer(seed: u8) -> TokenBearer {
        TokenBearer { id: TokenId::new(Ulid::from_parts(7, 7)), secret: Secret::new([seed; 32]) }
    }

    #[test]
    fn a_token_reads_back_and_is_no_key() {
        let text = bearer(1).expose_text();
        assert_eq!(text.parse(), Ok(bearer(1)));
        assert!(text.parse::<KeyToken>().is_err());
        assert!(text.replacen("ut_", "tt_", 1).parse::<TokenBearer>().is_err());
    }

    #[test]
    fn a_token_admits_its_own_secret_for_a_while() {
        let project = ProjectId::new(Ulid(1));
        let token =
            UploadToken::new(&bearer(1), project, Grant::default(), 1, DEFAULT_LIFE, Time::from_secs(0));
        assert!(token.admits(&bearer(1), Time::from_secs(899)));
        assert!(!token.admits(&bearer(1), Time::from_secs(900)));
        assert!(!token.admits(&bearer(2), Time::from_secs(0)));
        let long =
            UploadToken::new(&bearer(1), project, Grant::default(), 9999, Duration::MAX, Time::from_secs(0));
        assert_eq!((long.good_until, long.count), (Time::from_secs(24 * 3600), MAXIMUM_COUNT));
        assert!(!format!("{token:?}").contains(&token.secret_hash));
    }

    #[test]
    fn a_grant_that_names_no_type_takes_all() {
        let png = Grant { content_types: vec!["image/png".into()], ..Grant::default() };
        assert!(Grant::default().takes("image/jpeg") && png.takes("image/png") && !png.takes("image/jpeg"));
    }
}

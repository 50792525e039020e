//! Users of an application, by the name that its issuer of tokens gives them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A user: 1 to 128 characters, none of them a blank or a control character. It is what the application says
/// it is, and never read for a meaning.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct UserId(String);

/// The most characters that a user's id has.
pub const MAXIMUM_USER: usize = 128;

/// A text that is no user's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to {MAXIMUM_USER} characters, none of them a blank or a control character")]
pub struct InvalidUser;

impl UserId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UserId {
    type Err = InvalidUser;

    fn from_str(text: &str) -> Result<Self, InvalidUser> {
        let strange = |letter: char| letter.is_control() || letter.is_whitespace();
        let fits = (1..=MAXIMUM_USER).contains(&text.chars().count()) && !text.contains(strange);
        if fits { Ok(Self(text.to_owned())) } else { Err(InvalidUser) }
    }
}

impl TryFrom<String> for UserId {
    type Error = InvalidUser;

    fn try_from(text: String) -> Result<Self, InvalidUser> {
        text.parse()
    }
}

impl From<UserId> for String {
    fn from(user: UserId) -> Self {
        user.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_id_is_short_and_in_one_piece() {
        for good in ["1", "auth0|5f7c", "google:108", "zoë@example.com", &"x".repeat(128)] {
            assert_eq!(good.parse::<UserId>().map(String::from).as_deref(), Ok(good));
        }
        for bad in ["", "a b", "a\n", "a\u{a0}b", "\u{0}", &"x".repeat(129)] {
            assert_eq!(bad.parse::<UserId>(), Err(InvalidUser), "{bad:?}");
        }
    }
}

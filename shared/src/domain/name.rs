//! What people call things.

use serde::Deserialize;

/// A name or a title that a person can read: 1 to 100 characters, none of them a control character. Blanks
/// around it do not count. It is checked at the door; what is stored is its text.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Name(String);

/// The most characters that a name has.
pub const MAXIMUM_NAME: usize = 100;

/// A text that is no such name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to {MAXIMUM_NAME} characters, none of them a control character")]
pub struct InvalidName;

impl TryFrom<String> for Name {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        let text = text.trim();
        let fits = (1..=MAXIMUM_NAME).contains(&text.chars().count()) && !text.contains(char::is_control);
        if fits { Ok(Self(text.to_owned())) } else { Err(InvalidName) }
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_be_read() {
        let name = |text: &str| Name::try_from(text.to_owned()).map(String::from);
        assert_eq!(name("  Fotos für Öl \u{1f33b} "), Ok("Fotos für Öl \u{1f33b}".to_owned()));
        assert!(name(&"ü".repeat(100)).is_ok());
        for bad in ["", "   ", "a\nb", "a\u{0}", &"ü".repeat(101)] {
            assert_eq!(name(bad), Err(InvalidName), "{bad:?}");
        }
    }
}

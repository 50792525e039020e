use std::fmt;

/// Why a text is no recipe. The message is a sentence for the person who wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecipeError {
    /// No such key.
    #[error("A recipe has no key {key:?}.{}", suggestion(*near))]
    UnknownKey {
        /// As it was written.
        key: String,
        /// What may have been meant.
        near: Option<&'static str>,
    },
    /// The same key twice.
    #[error("The key {0:?} is given twice.")]
    Repeated(&'static str),
    /// A key without a value that is no flag.
    #[error("The key {key:?} has no value: it takes {allowed}.")]
    NoValue {
        /// Which one.
        key: &'static str,
        /// What its value may be.
        allowed: &'static str,
    },
    /// A value that the key does not take.
    #[error("{key}={value} is not possible: {key:?} takes {allowed}.{}", suggestion(*near))]
    Value {
        /// Which one.
        key: &'static str,
        /// As it was written.
        value: String,
        /// What it may be.
        allowed: &'static str,
        /// What may have been meant.
        near: Option<&'static str>,
    },
    /// Two commas with nothing between them, or one at an end.
    #[error("A recipe is made of parts with one comma between each two, and one of them is empty.")]
    EmptyPart,
    /// A region of which nothing is in the picture.
    #[error("The crop lies outside of the picture, which is {width}x{height} pixels.")]
    Outside {
        /// Of the upright picture.
        width: u32,
        /// Of the upright picture.
        height: u32,
    },
    /// Far more than all keys together take.
    #[error("A recipe has at most {limit} characters, and this one has {found}.")]
    TooLong {
        /// How many there are.
        found: usize,
        /// How many may be.
        limit: usize,
    },
}

fn suggestion(near: Option<&'static str>) -> impl fmt::Display {
    fmt::from_fn(move |f| match near {
        Some(near) => write!(f, " Did you mean {near:?}?"),
        None => Ok(()),
    })
}

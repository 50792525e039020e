//! Reads resolved properties with their types, and says where a wrong one stands.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::Value;

use super::error::{TemplateError, nearest};
use super::intrinsics::scalar;

/// A value and the place where it stands.
#[derive(Debug, Clone)]
pub struct Property<'a> {
    value: &'a Value,
    path: String,
}

impl<'a> Property<'a> {
    /// The properties of a resource.
    pub fn new(value: &'a Value, path: impl Into<String>) -> Self {
        Self { value, path: path.into() }
    }

    /// The value itself.
    pub fn value(&self) -> &'a Value {
        self.value
    }

    /// Where it stands.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// A property below, if it is there.
    pub fn get(&self, key: &str) -> Result<Option<Self>, TemplateError> {
        match self.value {
            Value::Object(object) => Ok(object
                .get(key)
                .filter(|value| !value.is_null())
                .map(|value| Self::new(value, format!("{}.{key}", self.path)))),
            Value::Null => Ok(None),
            _ => Err(self.expected("a map")),
        }
    }

    /// A property below that must be there.
    pub fn require(&self, key: &str) -> Result<Self, TemplateError> {
        self.get(key)?.ok_or_else(|| TemplateError::Missing { path: format!("{}.{key}", self.path) })
    }

    /// Refuses properties that nothing here would read, which are most often misspelt ones.
    pub fn only(&self, known: &[&str]) -> Result<(), TemplateError> {
        for (key, property) in self.entries()? {
            if !known.contains(&key) {
                return Err(TemplateError::Unknown {
                    path: property.path,
                    kind: "property",
                    name: key.to_owned(),
                    suggestion: nearest(key, known.iter().copied()),
                });
            }
        }
        Ok(())
    }

    /// The entries of a map.
    pub fn entries(&self) -> Result<Vec<(&'a str, Self)>, TemplateError> {
        match self.value {
            Value::Object(object) => Ok(object
                .iter()
                .map(|(key, value)| (key.as_str(), Self::new(value, format!("{}.{key}", self.path))))
                .collect()),
            Value::Null => Ok(Vec::new()),
            _ => Err(self.expected("a map")),
        }
    }

    /// The items of a list; a value alone is a list of one, as `CloudFormation` allows.
    pub fn items(&self) -> Vec<Self> {
        match self.value {
            Value::Array(items) => items
                .iter()
                .enumerate()
                .map(|(index, item)| Self::new(item, format!("{}[{index}]", self.path)))
                .collect(),
            Value::Null => Vec::new(),
            _ => vec![self.clone()],
        }
    }

    /// A text.
    pub fn string(&self) -> Result<String, TemplateError> {
        scalar(self.value, &self.path)
    }

    /// A list of texts.
    pub fn strings(&self) -> Result<Vec<String>, TemplateError> {
        self.items().iter().map(Self::string).collect()
    }

    /// A whole number; parameters arrive as text.
    pub fn integer<T: TryFrom<i64>>(&self) -> Result<T, TemplateError> {
        let number = match self.value {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        number
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| self.expected("a whole number in range"))
    }

    /// A whole number within AWS's limits.
    pub fn within(&self, limits: RangeInclusive<u32>) -> Result<u32, TemplateError> {
        let number = self.integer()?;
        if limits.contains(&number) {
            return Ok(number);
        }
        Err(self.invalid(format!("{number} is not from {} to {}", limits.start(), limits.end())))
    }

    /// A number of seconds within AWS's limits.
    pub fn seconds_within(&self, limits: RangeInclusive<u32>) -> Result<Duration, TemplateError> {
        self.within(limits).map(|seconds| Duration::from_secs(seconds.into()))
    }

    /// `true` or `false`.
    pub fn boolean(&self) -> Result<bool, TemplateError> {
        match self.value {
            Value::Bool(value) => Ok(*value),
            Value::String(text) if text == "true" => Ok(true),
            Value::String(text) if text == "false" => Ok(false),
            _ => Err(self.expected("true or false")),
        }
    }

    /// The error that this value has another shape.
    pub fn expected(&self, expected: &'static str) -> TemplateError {
        TemplateError::Expected { path: self.path.clone(), expected }
    }

    /// The error that this value cannot be right.
    pub fn invalid(&self, reason: impl Into<String>) -> TemplateError {
        TemplateError::Invalid { path: self.path.clone(), reason: reason.into() }
    }

    /// The error that only AWS can do this.
    pub fn unsupported(&self, what: impl Into<String>) -> TemplateError {
        TemplateError::Unsupported { path: self.path.clone(), what: what.into() }
    }
}

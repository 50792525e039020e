//! Reads a policy statement, and refuses what could not be enforced.

use serde_json::{Map, Value};

use super::Statement;
use super::condition::{self, Operator};

/// Why a statement cannot be enforced.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum StatementError {
    /// Not a map, or an element of the wrong shape.
    #[error("`{element}` must be {expected}")]
    Shape {
        /// The element.
        element: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// `NotAction` or `NotResource`: it grants what nobody has thought of.
    #[error("`{0}` is refused: say what is meant with `{1}`")]
    Inverted(&'static str, &'static str),
    /// An element that a policy of an identity does not have.
    #[error("`{0}` is not an element of an identity's statement")]
    Element(String),
    /// An action without a service.
    #[error("`{0}` is not an action such as `dynamodb:GetItem`")]
    Action(String),
    /// A policy variable.
    #[error("`{0}` holds a policy variable, which is not resolved locally")]
    Variable(String),
    /// A condition operator that is not known here.
    #[error("the condition operator `{0}` is not known")]
    Operator(String),
    /// A value that its operator cannot compare with.
    #[error("`{value}` is no value for the condition operator `{operator}`")]
    Value {
        /// The operator.
        operator: String,
        /// The value.
        value: String,
    },
}

impl Statement {
    /// Reads a statement whose intrinsic functions are resolved.
    pub fn parse(value: &Value) -> Result<Self, StatementError> {
        let shape = |element, expected| StatementError::Shape { element, expected };
        let object = value.as_object().ok_or(shape("Statement", "a map"))?;
        for key in object.keys() {
            match key.as_str() {
                "Sid" | "Effect" | "Action" | "Resource" | "Condition" => {}
                "NotAction" => return Err(StatementError::Inverted("NotAction", "Action")),
                "NotResource" => return Err(StatementError::Inverted("NotResource", "Resource")),
                other => return Err(StatementError::Element(other.to_owned())),
            }
        }
        let sid = match object.get("Sid") {
            None => None,
            Some(Value::String(sid)) => Some(sid.clone()),
            Some(_) => return Err(shape("Sid", "a text")),
        };
        let allow = match object.get("Effect").and_then(Value::as_str) {
            Some("Allow") => true,
            Some("Deny") => false,
            _ => return Err(shape("Effect", "`Allow` or `Deny`")),
        };
        let actions = texts(object, "Action")?;
        if let Some(action) = actions.iter().find(|action| *action != "*" && !action.contains(':')) {
            return Err(StatementError::Action(action.clone()));
        }
        let resources = texts(object, "Resource")?;
        resources.iter().chain(&actions).try_for_each(|text| without_variable(text))?;
        let conditions = match object.get("Condition") {
            None => Map::new(),
            Some(Value::Object(conditions)) => conditions.clone(),
            Some(_) => return Err(shape("Condition", "a map")),
        };
        check_conditions(&conditions)?;
        Ok(Self { sid, allow, actions, resources, conditions })
    }
}

fn texts(object: &Map<String, Value>, element: &'static str) -> Result<Vec<String>, StatementError> {
    let shape = StatementError::Shape { element, expected: "a text or a list of texts" };
    let texts = match object.get(element) {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(items)) => {
            let texts: Option<Vec<String>> =
                items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
            texts.ok_or(shape)?
        }
        _ => return Err(shape),
    };
    if texts.is_empty() {
        return Err(StatementError::Shape { element, expected: "not empty" });
    }
    Ok(texts)
}

fn without_variable(text: &str) -> Result<(), StatementError> {
    if text.contains("${") { Err(StatementError::Variable(text.to_owned())) } else { Ok(()) }
}

fn check_conditions(conditions: &Map<String, Value>) -> Result<(), StatementError> {
    for (name, keys) in conditions {
        let operator = Operator::parse(name).ok_or_else(|| StatementError::Operator(name.clone()))?;
        let shape = StatementError::Shape {
            element: "Condition",
            expected: "operators with a map of keys to values",
        };
        let Some(keys) = keys.as_object() else {
            return Err(shape);
        };
        for expected in keys.values() {
            let Some(values) = condition::values(expected) else {
                return Err(shape);
            };
            for value in values {
                without_variable(&value)?;
                if !operator.accepts(&value) {
                    return Err(StatementError::Value { operator: name.clone(), value });
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with(element: &str, value: Value) -> Result<Statement, String> {
        let mut statement =
            json!({ "Sid": "PresignUpload", "Effect": "Allow", "Action": "s3:PutObject", "Resource": "*" });
        statement[element] = value;
        Statement::parse(&statement).map_err(|error| error.to_string())
    }

    #[test]
    fn a_statement_is_read() {
        let statement = with("Action", json!(["s3:PutObject", "s3:GetObject"])).unwrap();
        assert_eq!(statement.sid.as_deref(), Some("PresignUpload"));
        assert!(statement.allow);
        assert_eq!(statement.actions, ["s3:PutObject", "s3:GetObject"]);
        assert_eq!(statement.resources, ["*"]);
    }

    #[test]
    fn what_cannot_be_enforced_is_refused() {
        let cases = [
            (with("NotAction", json!("s3:*")), "`NotAction` is refused: say what is meant with `Action`"),
            (with("NotResource", json!("*")), "`NotResource` is refused: say what is meant with `Resource`"),
            (with("Principal", json!("*")), "`Principal` is not an element of an identity's statement"),
            (with("Effect", json!("allow")), "`Effect` must be `Allow` or `Deny`"),
            (with("Action", json!("GetItem")), "`GetItem` is not an action such as `dynamodb:GetItem`"),
            (with("Action", json!([])), "`Action` must be not empty"),
            (with("Resource", json!(null)), "`Resource` must be a text or a list of texts"),
            (
                with("Resource", json!("arn:aws:s3:::b/${aws:username}/*")),
                "`arn:aws:s3:::b/${aws:username}/*` holds a policy variable, which is not resolved locally",
            ),
            (
                with("Condition", json!({ "IpAddress": { "aws:SourceIp": "::1" } })),
                "the condition operator `IpAddress` is not known",
            ),
            (
                with("Condition", json!({ "NumericLessThan": { "s3:max-keys": "few" } })),
                "`few` is no value for the condition operator `NumericLessThan`",
            ),
        ];
        for (result, message) in cases {
            assert_eq!(result.unwrap_err(), message);
        }
    }
}

//! `Parameters`: defaults, `--parameter Name=value`, types and allowed values.

use std::collections::BTreeMap;

use serde_json::Value;

use super::error::{TemplateError, nearest};
use super::intrinsics::scalar;

/// The value of every parameter.
pub fn values(
    root: &Value, given: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, Value>, TemplateError> {
    let mut values = BTreeMap::new();
    for (name, declaration) in root["Parameters"].as_object().into_iter().flatten() {
        let path = format!("Parameters.{name}");
        values.insert(name.clone(), value(declaration, given.get(name), &path)?);
    }
    Ok(values)
}

/// Refuses a value for a parameter that the template does not declare.
pub fn check_declared(root: &Value, name: &str) -> Result<(), TemplateError> {
    let declared = root["Parameters"].as_object();
    if declared.is_some_and(|all| all.contains_key(name)) {
        return Ok(());
    }
    Err(TemplateError::Unknown {
        path: "Parameters".to_owned(),
        kind: "parameter",
        name: name.to_owned(),
        suggestion: declared.and_then(|all| nearest(name, all.keys().map(String::as_str))),
    })
}

fn value(declaration: &Value, given: Option<&String>, path: &str) -> Result<Value, TemplateError> {
    let text = match (given, &declaration["Default"]) {
        (Some(given), _) => given.clone(),
        (None, Value::Null) => {
            return Err(TemplateError::Invalid {
                path: path.to_owned(),
                reason: "has no default and no value was given".to_owned(),
            });
        }
        (None, default) => scalar(default, &format!("{path}.Default"))?,
    };
    if let Some(allowed) = declaration["AllowedValues"].as_array() {
        let allowed: Vec<String> = allowed
            .iter()
            .map(|value| scalar(value, &format!("{path}.AllowedValues")))
            .collect::<Result<_, _>>()?;
        if !allowed.contains(&text) {
            return Err(TemplateError::Invalid {
                path: path.to_owned(),
                reason: format!("`{text}` is not one of the allowed values: {}", allowed.join(", ")),
            });
        }
    }
    let kind = declaration["Type"]
        .as_str()
        .ok_or_else(|| TemplateError::Missing { path: format!("{path}.Type") })?;
    let items = || text.split(',').map(str::trim).filter(|item| !item.is_empty());
    match kind {
        "Number" => {
            is_number(&text, path)?;
            Ok(Value::String(text))
        }
        "List<Number>" => {
            items().try_for_each(|item| is_number(item, path))?;
            Ok(items().map(Value::from).collect())
        }
        "CommaDelimitedList" => Ok(items().map(Value::from).collect()),
        kind if kind.starts_with("List<") => Ok(items().map(Value::from).collect()),
        kind if kind.starts_with("AWS::SSM::Parameter") => Err(TemplateError::Unsupported {
            path: format!("{path}.Type"),
            what: "values from the parameter store are not read locally: use `String`".to_owned(),
        }),
        _ => Ok(Value::String(text)),
    }
}

fn is_number(text: &str, path: &str) -> Result<(), TemplateError> {
    text.parse::<f64>().map(|_| ()).map_err(|_| TemplateError::Invalid {
        path: path.to_owned(),
        reason: format!("`{text}` is not a number"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn one(declaration: &Value, given: Option<&str>) -> Result<Value, String> {
        let root = json!({ "Parameters": { "P": declaration } });
        let given = given.map(|text| ("P".to_owned(), text.to_owned())).into_iter().collect();
        values(&root, &given).map(|mut all| all.remove("P").unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_given_value_beats_the_default() {
        let declaration = json!({ "Type": "Number", "Default": 5 });
        assert_eq!(one(&declaration, None).unwrap(), "5");
        assert_eq!(one(&declaration, Some("7")).unwrap(), "7");
        assert_eq!(one(&declaration, Some("many")).unwrap_err(), "Parameters.P: `many` is not a number");
    }

    #[test]
    fn lists_are_split_and_trimmed() {
        let declaration = json!({ "Type": "CommaDelimitedList", "Default": "a, b" });
        assert_eq!(one(&declaration, None).unwrap(), json!(["a", "b"]));
        assert_eq!(one(&declaration, Some("")).unwrap(), json!([]));
    }

    #[test]
    fn allowed_values_and_missing_values_are_errors() {
        let declaration = json!({ "Type": "String", "AllowedValues": ["Retain", true] });
        assert_eq!(one(&declaration, Some("true")).unwrap(), "true");
        assert_eq!(
            one(&declaration, Some("Keep")).unwrap_err(),
            "Parameters.P: `Keep` is not one of the allowed values: Retain, true"
        );
        assert_eq!(
            one(&declaration, None).unwrap_err(),
            "Parameters.P: has no default and no value was given"
        );
    }
}

//! YAML with `CloudFormation`'s tags, as JSON with the long forms: `!Ref X` becomes `{"Ref": "X"}`.

use serde_json::{Map, Value, json};
use serde_norway::Value as Yaml;

use super::error::TemplateError;

/// A template as written.
#[derive(Debug, Clone)]
pub struct Source {
    /// The whole document.
    pub root: Value,
    /// The logical ids in the order of the file, which JSON objects do not keep.
    pub order: Vec<String>,
}

/// Parses a template.
pub fn parse(text: &str) -> Result<Source, TemplateError> {
    let mut yaml: Yaml = serde_norway::from_str(text).map_err(|source| TemplateError::Syntax { source })?;
    yaml.apply_merge().map_err(|source| TemplateError::Syntax { source })?;
    let order = match yaml.get("Resources") {
        Some(Yaml::Mapping(resources)) => {
            resources.keys().filter_map(|key| key.as_str().map(str::to_owned)).collect()
        }
        _ => Vec::new(),
    };
    Ok(Source { root: to_json(yaml, "template")?, order })
}

fn to_json(yaml: Yaml, path: &str) -> Result<Value, TemplateError> {
    Ok(match yaml {
        Yaml::Null => Value::Null,
        Yaml::Bool(value) => Value::Bool(value),
        Yaml::Number(number) => to_number(&number, path)?,
        Yaml::String(text) => Value::String(text),
        Yaml::Sequence(items) => items
            .into_iter()
            .enumerate()
            .map(|(index, item)| to_json(item, &format!("{path}[{index}]")))
            .collect::<Result<_, _>>()?,
        Yaml::Mapping(entries) => {
            let mut object = Map::new();
            for (key, value) in entries {
                let key = match key {
                    Yaml::String(key) => key,
                    // A status code or an account id as a key is a number to YAML.
                    Yaml::Number(key) => key.to_string(),
                    Yaml::Bool(key) => key.to_string(),
                    _ => {
                        return Err(TemplateError::Expected {
                            path: path.to_owned(),
                            expected: "keys that are strings",
                        });
                    }
                };
                let below = if path == "template" { key.clone() } else { format!("{path}.{key}") };
                let value = to_json(value, &below)?;
                object.insert(key, value);
            }
            Value::Object(object)
        }
        Yaml::Tagged(tagged) => {
            let name = tagged.tag.to_string();
            let argument = to_json(tagged.value, path)?;
            match name.trim_start_matches('!') {
                "Ref" => json!({ "Ref": argument }),
                "Condition" => json!({ "Condition": argument }),
                "GetAtt" => json!({ "Fn::GetAtt": split_attribute(argument) }),
                function => {
                    let mut call = Map::new();
                    call.insert(format!("Fn::{function}"), argument);
                    Value::Object(call)
                }
            }
        }
    })
}

/// `!GetAtt A.B.C` is the resource `A` and its attribute `B.C`.
fn split_attribute(argument: Value) -> Value {
    match argument.as_str().and_then(|text| text.split_once('.')) {
        Some((resource, attribute)) => json!([resource, attribute]),
        None => argument,
    }
}

fn to_number(number: &serde_norway::Number, path: &str) -> Result<Value, TemplateError> {
    if let Some(number) = number.as_i64() {
        Ok(number.into())
    } else if let Some(number) = number.as_u64() {
        Ok(number.into())
    } else {
        number
            .as_f64()
            .and_then(serde_json::Number::from_f64)
            .map(Value::Number)
            .ok_or_else(|| TemplateError::Expected { path: path.to_owned(), expected: "a finite number" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_tags_become_long_forms() {
        let source = parse(
            "Resources:\n  B: {x: !Ref A}\n  A:\n    - !GetAtt T.Stream.Arn\n    - !Sub ['${x}', {x: !Ref A}]\n    - !If [C, 1, !Ref 'AWS::NoValue']\n    - 010\n",
        )
        .unwrap();
        assert_eq!(source.order, ["B", "A"]);
        assert_eq!(
            source.root["Resources"]["A"],
            json!([
                { "Fn::GetAtt": ["T", "Stream.Arn"] },
                { "Fn::Sub": ["${x}", { "x": { "Ref": "A" } }] },
                { "Fn::If": ["C", 1, { "Ref": "AWS::NoValue" }] },
                "010",
            ])
        );
    }

    #[test]
    fn anchors_merge() {
        let source = parse("X: &x {a: 1, b: 2}\nY: {<<: *x, b: 3}\n").unwrap();
        assert_eq!(source.root["Y"], json!({"a": 1, "b": 3}));
    }

    #[test]
    fn broken_yaml_and_odd_keys_are_errors() {
        assert!(matches!(parse("a: [1"), Err(TemplateError::Syntax { .. })));
        let error = parse("Resources: {A: {[1]: 2}}").unwrap_err();
        assert_eq!(error.to_string(), "Resources.A: expected keys that are strings");
    }
}

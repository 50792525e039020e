//! The intrinsic functions of `CloudFormation`, evaluated.
//! <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html>

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value};

use super::Context;
use super::error::{TemplateError, nearest};
use super::names::{self, ACCOUNT, Kind, REGION, STACK};

/// The API that SAM makes by itself for events that name none.
const IMPLICIT_API: &str = "ServerlessHttpApi";

/// Everything that an expression can refer to.
pub struct Scope<'a> {
    root: &'a Value,
    parameters: &'a BTreeMap<String, Value>,
    context: &'a Context,
}

/// The function and its argument, if an object is a call of one.
pub fn call(value: &Value) -> Option<(&str, &Value)> {
    let object = value.as_object()?;
    let (name, argument) = object.iter().next().filter(|_| object.len() == 1)?;
    (name == "Ref" || name.starts_with("Fn::")).then_some((name.as_str(), argument))
}

/// A piece of the text of `Fn::Sub`.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Text as it stands.
    Text(&'a str),
    /// `${Name}` or `${Name.Attribute}`.
    Variable(&'a str),
}

/// Takes the text of `Fn::Sub` apart; `${!Name}` is the text `${Name}`.
pub fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let Some(length) = rest[start..].find('}') else {
            break;
        };
        pieces.push(Piece::Text(&rest[..start]));
        let name = &rest[start + 2..start + length];
        if let Some(literal) = name.strip_prefix('!') {
            pieces.push(Piece::Text("${"));
            pieces.push(Piece::Text(literal));
            pieces.push(Piece::Text("}"));
        } else {
            pieces.push(Piece::Variable(name.trim()));
        }
        rest = &rest[start + length + 1..];
    }
    pieces.push(Piece::Text(rest));
    pieces
}

impl<'a> Scope<'a> {
    /// The scope of a template with its parameters' values.
    pub fn new(root: &'a Value, parameters: &'a BTreeMap<String, Value>, context: &'a Context) -> Self {
        Self { root, parameters, context }
    }

    /// Evaluates every function in a value; `None` is `AWS::NoValue`: as if it had not been written.
    pub fn resolve(&self, value: &Value, path: &str) -> Result<Option<Value>, TemplateError> {
        if let Some((function, argument)) = call(value) {
            return self.evaluate(function, argument, path);
        }
        Ok(Some(match value {
            Value::Object(object) => {
                let mut resolved = Map::new();
                for (key, value) in object {
                    if let Some(value) = self.resolve(value, &format!("{path}.{key}"))? {
                        resolved.insert(key.clone(), value);
                    }
                }
                Value::Object(resolved)
            }
            Value::Array(items) => {
                let mut resolved = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    resolved.extend(self.resolve(item, &format!("{path}[{index}]"))?);
                }
                Value::Array(resolved)
            }
            other => other.clone(),
        }))
    }

    /// Whether a named condition holds.
    pub fn condition(&self, name: &str, path: &str) -> Result<bool, TemplateError> {
        self.named_condition(name, path, &mut Vec::new())
    }

    /// Whether a resource is deployed at all.
    pub fn is_deployed(&self, id: &str) -> Result<bool, TemplateError> {
        match &self.root["Resources"][id]["Condition"] {
            Value::Null => Ok(true),
            Value::String(name) => self.condition(name, &format!("Resources.{id}.Condition")),
            _ => Err(expected(&format!("Resources.{id}.Condition"), "the name of a condition")),
        }
    }

    fn evaluate(&self, function: &str, argument: &Value, path: &str) -> Result<Option<Value>, TemplateError> {
        let text = match function {
            "Ref" => match argument.as_str() {
                Some("AWS::NoValue") => return Ok(None),
                Some(name) => return self.reference(name, path).map(Some),
                None => return Err(expected(path, "`Ref` with a name")),
            },
            "Fn::If" => {
                let [condition, then, otherwise] = arguments(argument, path, "`If` with three items")?;
                let condition =
                    condition.as_str().ok_or_else(|| expected(path, "`If` with a condition's name"))?;
                let branch = if self.condition(condition, path)? { then } else { otherwise };
                return self.resolve(branch, path);
            }
            "Fn::FindInMap" => return self.find_in_map(argument, path).map(Some),
            "Fn::Select" => {
                let [index, list] = arguments(argument, path, "`Select` with an index and a list")?;
                let index = self.text(index, path)?;
                let index: usize = index.parse().map_err(|_| expected(path, "`Select` with a number"))?;
                let list = self.list(list, path)?;
                return list.get(index).cloned().map(Some).ok_or_else(|| TemplateError::Invalid {
                    path: path.to_owned(),
                    reason: format!("`Select` asks for item {index} of {}", list.len()),
                });
            }
            "Fn::Split" => {
                let [separator, text] = arguments(argument, path, "`Split` with a separator and a text")?;
                let (separator, text) = (self.text(separator, path)?, self.text(text, path)?);
                if separator.is_empty() {
                    return Err(expected(path, "`Split` with a separator that is not empty"));
                }
                return Ok(Some(text.split(&separator).map(Value::from).collect()));
            }
            "Fn::GetAtt" => self.attribute_call(argument, path)?,
            "Fn::Sub" => self.substitute(argument, path)?,
            "Fn::Join" => {
                let [separator, list] = arguments(argument, path, "`Join` with a separator and a list")?;
                let separator = self.text(separator, path)?;
                let items = self.list(list, path)?;
                let items: Vec<String> =
                    items.iter().map(|item| scalar(item, path)).collect::<Result<_, _>>()?;
                items.join(&separator)
            }
            "Fn::Base64" => BASE64_STANDARD.encode(self.text(argument, path)?),
            other => return Err(unsupported(other, path)),
        };
        Ok(Some(Value::String(self.localise(text))))
    }

    fn reference(&self, name: &str, path: &str) -> Result<Value, TemplateError> {
        if let Some(value) = self.parameters.get(name) {
            return Ok(value.clone());
        }
        let pseudo = match name {
            "AWS::AccountId" => ACCOUNT.to_owned(),
            "AWS::Region" => REGION.to_owned(),
            "AWS::StackName" => STACK.to_owned(),
            "AWS::StackId" => {
                format!("arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{STACK}/local")
            }
            "AWS::Partition" => "aws".to_owned(),
            "AWS::URLSuffix" => "amazonaws.com".to_owned(),
            "AWS::NotificationARNs" => return Ok(Value::Array(Vec::new())),
            _ => {
                return self
                    .resource(name, path)
                    .map(|kind| names::reference(kind, name, self.context).into());
            }
        };
        Ok(pseudo.into())
    }

    /// The kind of a resource that is there and deployed.
    fn resource(&self, id: &str, path: &str) -> Result<Kind, TemplateError> {
        if let Some(resource) = self.root["Resources"].get(id) {
            if !self.is_deployed(id)? {
                return Err(TemplateError::Invalid {
                    path: path.to_owned(),
                    reason: format!("`{id}` is not deployed: its condition does not hold"),
                });
            }
            return Ok(Kind::of(resource["Type"].as_str().unwrap_or_default()));
        }
        if id == IMPLICIT_API {
            return Ok(Kind::HttpApi);
        }
        if is_generated(self.root, id) {
            return Ok(Kind::Other);
        }
        Err(TemplateError::Unknown {
            path: path.to_owned(),
            kind: "parameter or resource",
            name: id.to_owned(),
            suggestion: nearest(id, referable(self.root)),
        })
    }

    fn attribute_call(&self, argument: &Value, path: &str) -> Result<String, TemplateError> {
        const SHAPE: &str = "`GetAtt` with a resource and an attribute";
        if let Some(text) = argument.as_str() {
            let (id, attribute) = text.split_once('.').ok_or_else(|| expected(path, SHAPE))?;
            return self.attribute(id, attribute, path);
        }
        let [id, attribute] = arguments(argument, path, SHAPE)?;
        let id = id.as_str().ok_or_else(|| expected(path, SHAPE))?;
        self.attribute(id, &self.text(attribute, path)?, path)
    }

    fn attribute(&self, id: &str, attribute: &str, path: &str) -> Result<String, TemplateError> {
        let kind = self.resource(id, path)?;
        if let Some(known) = kind.attributes()
            && !known.contains(&attribute)
        {
            return Err(TemplateError::Unknown {
                path: path.to_owned(),
                kind: "attribute",
                name: format!("{id}.{attribute}"),
                suggestion: nearest(attribute, known.iter().copied()).map(|near| format!("{id}.{near}")),
            });
        }
        Ok(names::attribute(kind, id, attribute, self.context))
    }

    fn substitute(&self, argument: &Value, path: &str) -> Result<String, TemplateError> {
        const SHAPE: &str = "`Sub` with a text, or with a text and variables";
        let (text, variables) = match argument {
            Value::String(text) => (text.as_str(), None),
            Value::Array(items) => match items.as_slice() {
                [Value::String(text), Value::Object(variables)] => (text.as_str(), Some(variables)),
                _ => return Err(expected(path, SHAPE)),
            },
            _ => return Err(expected(path, SHAPE)),
        };
        let mut result = String::with_capacity(text.len());
        for piece in pieces(text) {
            match piece {
                Piece::Text(text) => result.push_str(text),
                Piece::Variable(name) => {
                    if let Some(value) = variables.and_then(|variables| variables.get(name)) {
                        result.push_str(&self.text(value, path)?);
                    } else if let Some((id, attribute)) = name.split_once('.') {
                        result.push_str(&self.attribute(id, attribute, path)?);
                    } else {
                        result.push_str(&scalar(&self.reference(name, path)?, path)?);
                    }
                }
            }
        }
        Ok(result)
    }

    fn find_in_map(&self, argument: &Value, path: &str) -> Result<Value, TemplateError> {
        let [map, first, second] = arguments(argument, path, "`FindInMap` with a map and two keys")?;
        let mut value = &self.root["Mappings"];
        for key in [map, first, second] {
            let key = self.text(key, path)?;
            value = value.get(&key).ok_or_else(|| TemplateError::Unknown {
                path: path.to_owned(),
                kind: "entry of `Mappings`",
                suggestion: value.as_object().and_then(|map| nearest(&key, map.keys().map(String::as_str))),
                name: key.clone(),
            })?;
        }
        Ok(value.clone())
    }

    fn named_condition(&self, name: &str, path: &str, open: &mut Vec<String>) -> Result<bool, TemplateError> {
        let conditions = &self.root["Conditions"];
        let Some(condition) = conditions.get(name) else {
            return Err(TemplateError::Unknown {
                path: path.to_owned(),
                kind: "condition",
                name: name.to_owned(),
                suggestion: conditions
                    .as_object()
                    .and_then(|all| nearest(name, all.keys().map(String::as_str))),
            });
        };
        let path = format!("Conditions.{name}");
        if open.iter().any(|other| other == name) {
            return Err(TemplateError::Invalid {
                path,
                reason: "the condition depends on itself".to_owned(),
            });
        }
        open.push(name.to_owned());
        let holds = self.holds(condition, &path, open)?;
        open.pop();
        Ok(holds)
    }

    fn holds(&self, condition: &Value, path: &str, open: &mut Vec<String>) -> Result<bool, TemplateError> {
        let object = condition.as_object().filter(|object| object.len() == 1);
        let Some((function, argument)) = object.and_then(|object| object.iter().next()) else {
            return Err(expected(path, "`Equals`, `And`, `Or`, `Not` or `Condition`"));
        };
        let items = argument.as_array().map_or(&[][..], Vec::as_slice);
        match (function.as_str(), items) {
            ("Condition", _) => match argument.as_str() {
                Some(name) => self.named_condition(name, path, open),
                None => Err(expected(path, "the name of a condition")),
            },
            ("Fn::Equals", [left, right]) => {
                Ok(self.comparable(left, path)? == self.comparable(right, path)?)
            }
            ("Fn::Not", [inner]) => Ok(!self.holds(inner, path, open)?),
            ("Fn::And" | "Fn::Or", [_, _, ..]) => {
                // Every operand is evaluated, so that an error in a later one is not hidden.
                let all =
                    items.iter().map(|item| self.holds(item, path, open)).collect::<Result<Vec<_>, _>>()?;
                Ok(if function == "Fn::And" { all.iter().all(|it| *it) } else { all.iter().any(|it| *it) })
            }
            _ => Err(expected(path, "`Equals` with two items, `And` or `Or` with some, or `Not` with one")),
        }
    }

    /// `Equals` compares what parameters become, and those are text: `2` is equal to `"2"`.
    fn comparable(&self, value: &Value, path: &str) -> Result<Value, TemplateError> {
        let value = self.resolve(value, path)?.unwrap_or_default();
        Ok(match value {
            Value::Number(_) | Value::Bool(_) => Value::String(value.to_string()),
            other => other,
        })
    }

    fn text(&self, value: &Value, path: &str) -> Result<String, TemplateError> {
        match self.resolve(value, path)? {
            Some(value) => scalar(&value, path),
            None => Err(expected(path, "a text, not `AWS::NoValue`")),
        }
    }

    fn list(&self, value: &Value, path: &str) -> Result<Vec<Value>, TemplateError> {
        match self.resolve(value, path)? {
            Some(Value::Array(items)) => Ok(items),
            _ => Err(expected(path, "a list")),
        }
    }

    /// Puts the address of the local API in the place of the one that AWS would give it.
    fn localise(&self, text: String) -> String {
        if !text.contains(".execute-api.") {
            return text;
        }
        let mut text = text;
        for id in http_apis(self.root) {
            text = text.replace(
                &format!("https://{}", names::api_host(id)),
                self.context.api_url.trim_end_matches('/'),
            );
        }
        text
    }
}

/// The logical ids of the HTTP APIs.
fn http_apis(root: &Value) -> impl Iterator<Item = &str> {
    let declared = root["Resources"].as_object().into_iter().flatten();
    declared
        .filter(|(_, resource)| resource["Type"] == "AWS::Serverless::HttpApi")
        .map(|(id, _)| id.as_str())
        .chain([IMPLICIT_API])
}

/// The names that a reference may use.
pub fn referable(root: &Value) -> impl Iterator<Item = &str> {
    ["Parameters", "Resources"]
        .into_iter()
        .filter_map(|section| root[section].as_object())
        .flat_map(|section| section.keys().map(String::as_str))
}

/// Whether SAM generates a resource of this name: a function's role, a mapping, an API's stage.
/// <https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-specification-generated-resources.html>
pub fn is_generated(root: &Value, id: &str) -> bool {
    let Some(resources) = root["Resources"].as_object() else {
        return false;
    };
    if http_apis(root).any(|api| id == api || id.strip_prefix(api) == Some("ApiGatewayDefaultStage")) {
        return true;
    }
    resources.iter().filter(|(_, resource)| resource["Type"] == "AWS::Serverless::Function").any(
        |(function, resource)| {
            id.strip_prefix(function.as_str())
                .is_some_and(|rest| rest == "Role" || resource["Properties"]["Events"].get(rest).is_some())
        },
    )
}

/// The items of a function that takes so many.
fn arguments<'v, const N: usize>(
    argument: &'v Value, path: &str, shape: &'static str,
) -> Result<&'v [Value; N], TemplateError> {
    argument
        .as_array()
        .and_then(|items| items.as_slice().try_into().ok())
        .ok_or_else(|| expected(path, shape))
}

/// Why a function is not evaluated.
fn unsupported(function: &str, path: &str) -> TemplateError {
    let what = match function {
        "Fn::ImportValue" => {
            "`ImportValue` reads another stack, and locally there is none: use a parameter".to_owned()
        }
        "Fn::GetAZs" => "`GetAZs` asks AWS for zones, and locally there are none".to_owned(),
        other => format!("`{}` is not evaluated locally", other.trim_start_matches("Fn::")),
    };
    TemplateError::Unsupported { path: path.to_owned(), what }
}

fn expected(path: &str, expected: &'static str) -> TemplateError {
    TemplateError::Expected { path: path.to_owned(), expected }
}

/// The text of a scalar, as `CloudFormation` writes numbers and booleans into text.
pub fn scalar(value: &Value, path: &str) -> Result<String, TemplateError> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        _ => Err(expected(path, "a string")),
    }
}

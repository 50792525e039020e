//! `Globals` and `--set`: what reaches a resource's properties from outside of it.

use serde_json::{Map, Value};

use super::error::{TemplateError, nearest};
use super::intrinsics::call;

/// A resource's own properties over those that all of its kind share.
/// <https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-specification-template-anatomy-globals.html>
pub fn with_globals(root: &Value, resource: &Value) -> Value {
    let own = match &resource["Properties"] {
        Value::Null => Value::Object(Map::new()),
        own => own.clone(),
    };
    let kind = resource["Type"].as_str().and_then(|kind| kind.strip_prefix("AWS::Serverless::"));
    match kind.and_then(|kind| root["Globals"].get(kind)) {
        Some(shared) => merge(shared.clone(), own),
        None => own,
    }
}

/// Maps are merged, lists are added up, and otherwise what is nearer to the resource counts.
fn merge(shared: Value, own: Value) -> Value {
    if call(&shared).is_some() || call(&own).is_some() {
        return own;
    }
    match (shared, own) {
        (Value::Object(mut shared), Value::Object(own)) => {
            for (key, value) in own {
                let value = match shared.remove(&key) {
                    Some(below) => merge(below, value),
                    None => value,
                };
                shared.insert(key, value);
            }
            Value::Object(shared)
        }
        (Value::Array(mut shared), Value::Array(own)) => {
            shared.extend(own);
            Value::Array(shared)
        }
        (_, own) => own,
    }
}

/// Sets one property, as `--set ProcessUpload.Timeout=3` asks: the value is YAML.
pub fn set(root: &mut Value, assignment: &str) -> Result<(), TemplateError> {
    let invalid = |reason: &str| TemplateError::Invalid {
        path: format!("--set {assignment}"),
        reason: reason.to_owned(),
    };
    let (target, text) =
        assignment.split_once('=').ok_or_else(|| invalid("expected `Resource.Property=value`"))?;
    let (id, property) =
        target.split_once('.').ok_or_else(|| invalid("expected `Resource.Property=value`"))?;
    let value: Value = serde_norway::from_str(text).map_err(|_| invalid("the value is not YAML"))?;

    let resources = root
        .get_mut("Resources")
        .and_then(Value::as_object_mut)
        .ok_or_else(|| invalid("the template has no resources"))?;
    let Some(resource) = resources.get_mut(id).and_then(Value::as_object_mut) else {
        return Err(TemplateError::Unknown {
            path: format!("--set {assignment}"),
            kind: "resource",
            name: id.to_owned(),
            suggestion: nearest(id, resources.keys().map(String::as_str)),
        });
    };
    let mut place = resource.entry("Properties").or_insert_with(|| Value::Object(Map::new()));
    for key in property.split('.') {
        if call(place).is_some() {
            return Err(invalid("leads into an intrinsic function: set the property above it"));
        }
        place = match place {
            Value::Object(object) => object.entry(key).or_insert(Value::Null),
            Value::Array(items) => {
                let item = key.parse::<usize>().ok().and_then(|index| items.get_mut(index));
                item.ok_or_else(|| invalid("leads to an item that the list does not have"))?
            }
            Value::Null => {
                *place = Value::Object(Map::new());
                &mut place[key]
            }
            _ => return Err(invalid("leads below a value that has nothing below it")),
        };
    }
    *place = value;
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn globals_are_merged_under_the_resource() {
        let root = json!({ "Globals": { "Function": {
            "Timeout": 10,
            "Environment": { "Variables": { "A": "global", "B": { "Ref": "T" } } },
            "Layers": ["one"],
        } } });
        let resource = json!({ "Type": "AWS::Serverless::Function", "Properties": {
            "Timeout": 3,
            "Environment": { "Variables": { "A": "own" } },
            "Layers": ["two"],
        } });
        assert_eq!(
            with_globals(&root, &resource),
            json!({
                "Timeout": 3,
                "Environment": { "Variables": { "A": "own", "B": { "Ref": "T" } } },
                "Layers": ["one", "two"],
            })
        );
        let table = json!({ "Type": "AWS::DynamoDB::Table" });
        assert_eq!(with_globals(&root, &table), json!({}));
    }

    fn after(assignment: &str) -> Result<Value, String> {
        let mut root = json!({ "Resources": { "UploadsQueue": { "Type": "AWS::SQS::Queue", "Properties": {
            "Rules": [{ "Days": 1 }], "Name": { "Ref": "X" },
        } }, "Bare": { "Type": "AWS::SQS::Queue" } } });
        set(&mut root, assignment).map_err(|error| error.to_string())?;
        Ok(root["Resources"].take())
    }

    #[test]
    fn single_values_are_set_below_properties() {
        assert_eq!(
            after("UploadsQueue.Rules.0.Days=2").unwrap()["UploadsQueue"]["Properties"]["Rules"][0]["Days"],
            2
        );
        assert_eq!(after("Bare.A.B=true").unwrap()["Bare"]["Properties"], json!({ "A": { "B": true } }));
        assert_eq!(after("Bare.A=x=y").unwrap()["Bare"]["Properties"]["A"], "x=y");
    }

    #[test]
    fn a_setting_that_leads_nowhere_is_an_error() {
        assert_eq!(
            after("UploadQueue.A=1").unwrap_err(),
            "--set UploadQueue.A=1: there is no resource `UploadQueue`; did you mean `UploadsQueue`?"
        );
        assert!(after("UploadsQueue=1").unwrap_err().contains("expected `Resource.Property=value`"));
        assert!(after("UploadsQueue.Name.Sub=1").unwrap_err().contains("intrinsic"));
        assert!(after("UploadsQueue.Rules.7.Days=1").unwrap_err().contains("item"));
    }
}

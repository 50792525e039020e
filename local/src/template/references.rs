//! Finds references to nothing, everywhere: in alarms, dashboards and branches not taken as well.

use serde_json::Value;

use super::error::{TemplateError, nearest};
use super::intrinsics::{Piece, call, is_generated, pieces, referable};

/// Checks the names in every `Ref`, `GetAtt` and `Sub` of resources, conditions and outputs.
pub fn check(root: &Value) -> Result<(), TemplateError> {
    for section in ["Conditions", "Resources", "Outputs"] {
        for (id, entry) in root[section].as_object().into_iter().flatten() {
            let path = format!("{section}.{id}");
            for (key, value) in entry.as_object().into_iter().flatten() {
                // People look for `Resources.Queue.VisibilityTimeout`; "Properties" tells them nothing.
                let path = if key == "Properties" { path.clone() } else { format!("{path}.{key}") };
                check_value(root, value, &path)?;
            }
            if section == "Resources" {
                check_dependencies(root, &entry["DependsOn"], &path)?;
            }
        }
    }
    Ok(())
}

fn check_dependencies(root: &Value, dependencies: &Value, path: &str) -> Result<(), TemplateError> {
    let names = match dependencies {
        Value::Array(names) => names.as_slice(),
        name => std::slice::from_ref(name),
    };
    names.iter().filter_map(Value::as_str).try_for_each(|name| {
        if root["Resources"].get(name).is_some() || is_generated(root, name) {
            return Ok(());
        }
        Err(unknown(root, name, &format!("{path}.DependsOn"), "resource"))
    })
}

fn check_value(root: &Value, value: &Value, path: &str) -> Result<(), TemplateError> {
    match call(value) {
        Some(("Ref", Value::String(name))) => return check_name(root, name, path),
        Some(("Fn::GetAtt", Value::String(name))) => {
            return check_name(root, name.split('.').next().unwrap_or(name), path);
        }
        Some(("Fn::GetAtt", Value::Array(items))) => {
            return items.first().and_then(Value::as_str).map_or(Ok(()), |name| check_name(root, name, path));
        }
        Some(("Fn::Sub", Value::String(text))) => return check_text(root, text, None, path),
        Some(("Fn::Sub", Value::Array(items))) => {
            if let [Value::String(text), variables] = items.as_slice() {
                check_text(root, text, Some(variables), path)?;
                return check_value(root, variables, path);
            }
        }
        Some((_, argument)) => return check_value(root, argument, path),
        None => {}
    }
    match value {
        Value::Array(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(index, item)| check_value(root, item, &format!("{path}[{index}]"))),
        Value::Object(object) => {
            object.iter().try_for_each(|(key, value)| check_value(root, value, &format!("{path}.{key}")))
        }
        _ => Ok(()),
    }
}

fn check_text(root: &Value, text: &str, variables: Option<&Value>, path: &str) -> Result<(), TemplateError> {
    for piece in pieces(text) {
        if let Piece::Variable(name) = piece
            && variables.is_none_or(|variables| variables.get(name).is_none())
        {
            check_name(root, name.split('.').next().unwrap_or(name), path)?;
        }
    }
    Ok(())
}

fn check_name(root: &Value, name: &str, path: &str) -> Result<(), TemplateError> {
    if name.starts_with("AWS::") || referable(root).any(|known| known == name) || is_generated(root, name) {
        return Ok(());
    }
    Err(unknown(root, name, path, "parameter or resource"))
}

fn unknown(root: &Value, name: &str, path: &str, kind: &'static str) -> TemplateError {
    TemplateError::Unknown {
        path: path.to_owned(),
        kind,
        name: name.to_owned(),
        suggestion: nearest(name, referable(root)),
    }
}

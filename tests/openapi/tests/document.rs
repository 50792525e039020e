//! The document is whole, is the committed one, and says what the template says.

#![expect(clippy::unwrap_used, reason = "what cannot be read fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use openapi::document;
use serde_json::{Value, json};
use serde_norway::Value as Yaml;

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

fn operations(document: &Value) -> impl Iterator<Item = (String, &Value)> {
    let items = document["paths"].as_object().unwrap().iter();
    items.flat_map(|(path, item)| {
        let operations = item.as_object().unwrap().iter();
        operations.map(move |(method, operation)| (format!("{} {path}", method.to_uppercase()), operation))
    })
}

/// `UPDATE_OPENAPI=1 cargo test -p openapi` writes it.
#[test]
fn the_committed_document_is_what_the_functions_say() {
    let path = file("docs/openapi.json");
    let written = format!("{:#}\n", document());
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        fs::write(&path, &written).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    let same = serde_json::from_str::<Value>(&committed).ok() == Some(document());
    assert!(same, "docs/openapi.json is not current: `UPDATE_OPENAPI=1 cargo test -p openapi` writes it");
}

/// Routes of the template: what function they lead to, and whether a key opens them.
fn routes() -> BTreeMap<String, (String, bool)> {
    let template: Yaml = serde_norway::from_str(&fs::read_to_string(file("template.yaml")).unwrap()).unwrap();
    let mut routes = BTreeMap::new();
    for (name, resource) in template["Resources"].as_mapping().unwrap() {
        for (_, event) in resource["Properties"]["Events"].as_mapping().into_iter().flatten() {
            if event["Type"].as_str() == Some("HttpApi") {
                let properties = &event["Properties"];
                let text = |name: &str| properties[name].as_str().unwrap();
                let open = properties["Auth"]["Authorizer"].as_str() == Some("NONE");
                // Not our API: Uppy says what is asked there, and how it is answered.
                if ["/s3/", "/with/"].iter().any(|uppys| text("Path").starts_with(uppys)) {
                    continue;
                }
                let route = format!("{} {}", text("Method"), text("Path"));
                routes.insert(route, (name.as_str().unwrap().to_owned(), !open));
            }
        }
    }
    routes
}

#[test]
fn every_route_is_described_and_nothing_else() {
    let document = document();
    let described: BTreeSet<_> = operations(&document).map(|(route, _)| route).collect();
    let deployed: BTreeSet<_> = routes().into_keys().collect();
    let missing: Vec<_> = deployed.difference(&described).collect();
    assert!(missing.is_empty(), "without `#[utoipa::path(...)]` on their function: {missing:#?}");
    let invented: Vec<_> = described.difference(&deployed).collect();
    assert!(invented.is_empty(), "not in template.yaml: {invented:#?}");
}

#[test]
fn an_operation_is_called_like_its_function_and_needs_a_key_where_the_route_does() {
    let (document, routes) = (document(), routes());
    let mut ids = BTreeSet::new();
    for (route, operation) in operations(&document) {
        let (function, key) = &routes[&route];
        let id = operation["operationId"].as_str().unwrap();
        let several = routes.values().filter(|(name, _)| name == function).count() > 1;
        let word = function[..1].to_lowercase() + &function[1..];
        assert!(id == word || (several && id.starts_with(&word)), "{route}: {id}, of {function}");
        assert!(ids.insert(id), "{id} is there twice");
        assert_eq!(operation.get("security").is_some(), *key, "{route}: whether it takes a key");
        for name in ["summary", "tags"] {
            assert!(operation.get(name).is_some(), "{route} has no {name}");
        }
    }
}

/// The media types of requests and answers, with where they are.
fn bodies<'a>(document: &'a Value, route: &str, operation: &'a Value) -> Vec<(String, &'a Value)> {
    let resolve = |value: &'a Value| match value["$ref"].as_str() {
        Some(reference) => document.pointer(&reference[1..]).unwrap(),
        None => value,
    };
    let responses = operation["responses"].as_object().unwrap().iter();
    let responses = responses.map(|(status, response)| (status.as_str(), resolve(response)));
    let all = [("request", &operation["requestBody"])].into_iter().chain(responses);
    let contents = all.flat_map(|(name, body)| {
        let content = body["content"].as_object().into_iter().flatten();
        content.map(move |(kind, media)| (format!("{route}, {name}, {kind}"), media))
    });
    contents.collect()
}

/// The examples of a body or a parameter.
fn examples(value: &Value) -> Vec<&Value> {
    let named = value["examples"].as_object().into_iter().flatten().map(|(_, example)| &example["value"]);
    value.get("example").into_iter().chain(named).collect()
}

#[track_caller]
fn assert_valid(document: &Value, place: &str, schema: &Value, example: &Value) {
    // The schema with the components that it refers to.
    let whole = json!({ "allOf": [schema], "components": document["components"] });
    let validator = jsonschema::options().should_validate_formats(true).build(&whole).unwrap();
    let errors: Vec<_> = validator.iter_errors(example).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{place}: {example:#}: {errors:#?}");
}

#[test]
fn every_body_has_an_example_that_is_valid() {
    let document = document();
    for (route, operation) in operations(&document) {
        for (place, media) in bodies(&document, &route, operation) {
            let Some(schema) = media.get("schema") else { continue };
            let examples = examples(media);
            assert!(!examples.is_empty(), "{place} has no example");
            for example in examples {
                assert_valid(&document, &place, schema, example);
            }
        }
    }
}

#[test]
fn every_parameter_is_described_and_has_an_example_that_is_valid() {
    let document = document();
    for (route, operation) in operations(&document) {
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let place = format!("{route}, {}", parameter["name"]);
            assert!(parameter["description"].as_str().is_some_and(|text| !text.is_empty()), "{place}");
            let schema = &parameter["schema"];
            let target = schema["$ref"].as_str().map(|reference| document.pointer(&reference[1..]).unwrap());
            let of_schema = target.unwrap_or(schema)["examples"].as_array().into_iter().flatten();
            let examples: Vec<_> = examples(parameter).into_iter().chain(of_schema).collect();
            assert!(!examples.is_empty(), "{place} has no example");
            for example in examples {
                assert_valid(&document, &place, schema, example);
            }
        }
    }
}

#[test]
fn the_examples_of_schemas_are_valid() {
    let document = document();
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        for example in schema["examples"].as_array().into_iter().flatten() {
            assert_valid(&document, name, schema, example);
        }
    }
}

#[test]
fn no_reference_leads_nowhere() {
    fn check(document: &Value, value: &Value) {
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            assert!(document.pointer(&reference[1..]).is_some(), "{reference}");
        }
        match value {
            Value::Array(items) => items.iter().for_each(|item| check(document, item)),
            Value::Object(fields) => fields.values().for_each(|field| check(document, field)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let document = document();
    check(&document, &document);
}

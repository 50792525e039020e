//! What was released stays: see `openapi::breaking`.

#![expect(clippy::unwrap_used, reason = "what cannot be read fails the test")]

use std::fs;
use std::path::Path;

use openapi::{breaking, document};
use serde_json::{Value, json};

/// The released document is the one of the last release: it is replaced by `docs/openapi.json` in the commit that makes
/// a release, and never otherwise.
#[test]
fn nothing_that_was_released_is_broken() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi-released.json");
    let released: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let broken = breaking(&released, &document());
    assert!(broken.is_empty(), "{broken:#?}");
}

/// A document with one operation.
fn small() -> Value {
    json!({
        "paths": { "/things/{thing}": { "put": {
            "operationId": "putThing",
            "security": [{ "ApiKey": ["things:write"] }],
            "parameters": [
                { "name": "thing", "in": "path", "required": true, "schema": { "type": "string" } },
                { "name": "limit", "in": "query", "schema": { "type": "integer", "maximum": 100 } },
            ],
            "requestBody": { "required": true, "content": { "application/json": { "schema": {
                "$ref": "#/components/schemas/NewThing",
            } } } },
            "responses": { "200": {
                "headers": { "ETag": {} },
                "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Thing" } } },
            } },
        } } },
        "components": { "schemas": {
            "NewThing": {
                "type": "object",
                "required": ["kind"],
                "properties": { "kind": { "enum": ["a", "b"] }, "title": { "type": ["string", "null"] } },
            },
            "Thing": {
                "type": "object",
                "required": ["id"],
                "properties": {
                    "id": { "type": "string" },
                    "title": { "type": "string" },
                    "parent": { "$ref": "#/components/schemas/Thing" },
                },
            },
        } },
    })
}

/// The small document with one place changed; `null` removes it.
fn with(pointer: &str, value: Value) -> Value {
    let mut document = small();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let (parent, name) = (document.pointer_mut(parent).unwrap(), &name.replace("~1", "/"));
    match parent {
        Value::Array(items) => items.push(value),
        _ if value.is_null() => drop(parent.as_object_mut().unwrap().remove(name.as_str())),
        _ => parent[name] = value,
    }
    document
}

const OPERATION: &str = "/paths/~1things~1{thing}/put";

#[test]
fn what_takes_something_away_is_seen() {
    let schemas = "/components/schemas";
    for (pointer, value, said) in [
        ("/paths/~1things~1{thing}".to_owned(), Value::Null, "PUT /things/{thing}: is gone"),
        (format!("{OPERATION}/operationId"), json!("setThing"), "is called \"setThing\""),
        (format!("{OPERATION}/security"), json!([{ "ApiKey": ["admin"] }]), "now takes"),
        (format!("{OPERATION}/responses/200"), Value::Null, "200: is gone"),
        (format!("{OPERATION}/responses/200/headers/ETag"), Value::Null, "the header ETag is gone"),
        (format!("{OPERATION}/responses/200/content/application~1json"), Value::Null, "does not come as"),
        (
            format!("{OPERATION}/requestBody/content/application~1json"),
            Value::Null,
            "takes no application/json",
        ),
        (
            format!("{OPERATION}/parameters/-"),
            json!({ "name": "page", "in": "query", "required": true, "schema": {} }),
            "the parameter \"page\" is required",
        ),
        (format!("{OPERATION}/parameters/1/schema/maximum"), json!(50), "maximum was 100 and is 50"),
        (format!("{OPERATION}/parameters/1/schema/minimum"), json!(1), "minimum was null and is 1"),
        (format!("{OPERATION}/parameters/0/schema/pattern"), json!("^a"), "pattern was null"),
        (format!("{OPERATION}/parameters/1/name"), json!("size"), "\"limit\": is gone"),
        (format!("{schemas}/NewThing/required/-"), json!("title"), ".title: is required"),
        (format!("{schemas}/NewThing/additionalProperties"), json!(false), "takes no other fields"),
        (
            format!("{schemas}/NewThing/properties/kind/enum"),
            json!(["a", "c"]),
            "does not take [String(\"b\")]",
        ),
        (format!("{schemas}/NewThing/properties/title/type"), json!("string"), ".title: was"),
        (format!("{schemas}/NewThing/properties/title"), Value::Null, ".title: is gone"),
        (format!("{schemas}/Thing/required"), json!([]), ".id: is not always there"),
        (format!("{schemas}/Thing/properties/title"), Value::Null, ".title: is gone"),
        (format!("{schemas}/Thing/properties/id/type"), json!("integer"), ".id: was"),
        (format!("{schemas}/Thing/properties/title/type"), json!(["string", "null"]), ".title: was"),
    ] {
        let broken = breaking(&small(), &with(&pointer, value));
        assert!(broken.iter().any(|one| one.contains(said)), "{pointer}: {broken:?}");
    }
}

#[test]
fn what_adds_something_is_no_break() {
    let schemas = "/components/schemas";
    for (pointer, value) in [
        ("/paths/~1others".to_owned(), json!({ "get": { "operationId": "listOthers", "responses": {} } })),
        (format!("{OPERATION}/description"), json!("Says more.")),
        (format!("{OPERATION}/responses/409"), json!({})),
        (format!("{OPERATION}/security/-"), json!({ "UserToken": [] })),
        (format!("{OPERATION}/parameters/-"), json!({ "name": "page", "in": "query", "schema": {} })),
        (format!("{OPERATION}/parameters/1/schema/maximum"), json!(200)),
        (format!("{schemas}/NewThing/properties/alt"), json!({ "type": "string" })),
        (format!("{schemas}/NewThing/properties/kind/enum"), json!(["a", "b", "c"])),
        (format!("{schemas}/NewThing/required"), json!([])),
        (format!("{schemas}/Thing/properties/alt"), json!({ "type": "string" })),
        (format!("{schemas}/Thing/required"), json!(["id", "title"])),
    ] {
        assert_eq!(breaking(&small(), &with(&pointer, value)), Vec::<String>::new(), "{pointer}");
    }
    assert_eq!(breaking(&small(), &small()), Vec::<String>::new());
}

//! From what the functions say of themselves to the whole document.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use shared::domain::details::Tag;
use shared::domain::{ImageId, KeyId, PictureName, ProjectId, Time, UploadId, UserId};
use shared::http::ProblemDocument;
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

use crate::problems::{ALWAYS, PROBLEMS, Problem, WITH_A_KEY, gateway_message};

/// The groups of the reference, in the order of a client's first day.
const TAGS: [(&str, &str); 6] = [
    ("Uploads", "Reserve an image, and send its bytes straight to S3."),
    ("Images", "Find, read, change and trash images."),
    ("Pictures", "The pictures themselves. No key: a private picture's path is signed."),
    ("Keys", "API keys of the project. For administrators."),
    ("Projects", "Tenants, their limits and the issuers that they trust."),
    ("Reference", "This document."),
];

/// What a caller may send to say who they are.
const CREDENTIALS: [(&str, &str, &str); 3] = [
    ("ApiKey", "tt_...", "An API key. It opens one project, with the scopes that an operation names."),
    (
        "IdToken",
        "JWT",
        "What a user of your app got from an issuer that the project trusts. They see what is theirs.",
    ),
    ("UploadToken", "ut_...", "An upload token, for pages. It is good for its own uploads alone."),
];

/// The headers that answers may have.
const HEADERS: [(&str, &str, &str); 8] = [
    ("Cache-Control", "Who may keep the answer, and for how long.", "private, no-cache"),
    ("ETag", "The version of what was answered, for `If-Match` and `If-None-Match`.", "\"1.2\""),
    ("Link", "Where the next page is (RFC 8288).", "</v1/images?cursor=AXsibGltaXQiOjUwfQ>; rel=\"next\""),
    ("Location", "Where it is.", "/v1/images/img_01M7Y7HNH0M6P1S3V5X7Z9B2DF"),
    ("Retry-After", "How many seconds to wait.", "1"),
    ("Vary", "Which headers of the request made a difference.", "Accept"),
    (
        "X-Request-Id",
        "The id of this request, by which the log is searched.",
        "8f6e1a52-7b1c-4c39-9d0e-2f4a6c8e0b13",
    ),
    ("WWW-Authenticate", "How to say who you are.", "Bearer"),
];

pub fn finish(mut document: Value) -> Value {
    document["openapi"] = json!("3.1.1");
    document["info"] = info();
    document["servers"] = json!([{ "url": "/", "description": "Where this document came from." }]);
    document["tags"] =
        TAGS.iter().map(|(name, description)| json!({ "name": name, "description": description })).collect();
    components(&mut document["components"]);
    for (path, item) in object(&mut document["paths"]) {
        for (method, operation) in object(item) {
            self::operation(&format!("{method} {path}"), method, operation);
        }
    }
    name_headers(&mut document);
    no_null_defaults(&mut document);
    let requested = reachable(&document, &requests(&document));
    for (name, schema) in object(&mut document["components"]["schemas"]) {
        if !requested.contains(name) {
            absent_rather_than_null(schema);
        }
    }
    let used = reachable(&document, &document["paths"]);
    object(&mut document["components"]["schemas"]).retain(|name, _| used.contains(name));
    show_examples(&mut document);
    document
}

fn info() -> Value {
    json!({
        "title": "Tintype",
        "version": "1",
        "summary": "Upload pictures, and serve them in every size.",
        "description": include_str!("introduction.md"),
        "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
    })
}

fn object(value: &mut Value) -> &mut Map<String, Value> {
    value.as_object_mut().expect("the document has objects in these places")
}

fn components(components: &mut Value) {
    let credentials = CREDENTIALS.iter().map(|(name, format, description)| {
        let scheme = json!({
            "type": "http", "scheme": "bearer", "bearerFormat": format, "description": description,
        });
        ((*name).to_owned(), scheme)
    });
    components["securitySchemes"] = Value::Object(credentials.collect());
    let responses = PROBLEMS.iter().map(|problem| (problem.name.to_owned(), problem.response()));
    components["responses"] = Value::Object(responses.collect());
    let headers = HEADERS.iter().map(|(name, description, example)| {
        let header =
            json!({ "description": description, "schema": { "type": "string" }, "example": example });
        ((*name).to_owned(), header)
    });
    components["headers"] = Value::Object(headers.collect());
    let mut named = vec![];
    name_schema::<ProblemDocument<'_>>(&mut named);
    // utoipa gathers the types of bodies, and not those of parameters.
    name_schema::<ImageId>(&mut named);
    name_schema::<KeyId>(&mut named);
    name_schema::<PictureName>(&mut named);
    name_schema::<ProjectId>(&mut named);
    name_schema::<Tag>(&mut named);
    name_schema::<Time>(&mut named);
    name_schema::<UploadId>(&mut named);
    name_schema::<UserId>(&mut named);
    let schemas = object(&mut components["schemas"]);
    for (name, schema) in named {
        schemas.insert(name, serde_json::to_value(schema).expect("a schema is a document"));
    }
    schemas.insert("GatewayMessage".to_owned(), gateway_message());
    let before = schemas.clone();
    for schema in schemas.values_mut() {
        flatten(schema, &before);
    }
}

fn name_schema<T: ToSchema>(named: &mut Vec<(String, RefOr<Schema>)>) {
    named.push((T::name().into_owned(), T::schema()));
    T::schemas(named);
}

/// What serde flattens is one object to a client: fields of fields become fields. What may be missing as a whole is
/// missing field by field.
fn flatten(schema: &mut Value, schemas: &Map<String, Value>) {
    let Some(parts) = schema.get("allOf").and_then(Value::as_array).cloned() else { return };
    let (mut properties, mut required) = (Map::new(), BTreeSet::new());
    for part in parts {
        let alternatives = part.get("oneOf").and_then(Value::as_array);
        let optional = alternatives.is_some_and(|any| any.contains(&json!({ "type": "null" })));
        let part =
            alternatives.and_then(|any| any.iter().find(|one| one.get("$ref").is_some())).unwrap_or(&part);
        let mut part = referenced(part).map_or_else(|| part.clone(), |name| schemas[name].clone());
        flatten(&mut part, schemas);
        for (name, property) in object(&mut part["properties"]) {
            properties.insert(name.clone(), property.take());
        }
        if !optional {
            let names = part["required"].as_array().into_iter().flatten();
            required.extend(names.filter_map(Value::as_str).map(str::to_owned));
        }
    }
    let schema = object(schema);
    schema.remove("allOf");
    schema.insert("type".to_owned(), json!("object"));
    schema.insert("properties".to_owned(), Value::Object(properties));
    schema.insert("required".to_owned(), json!(required));
}

/// The name of the schema that a reference leads to.
fn referenced(value: &Value) -> Option<&str> {
    value.get("$ref")?.as_str()?.strip_prefix("#/components/schemas/")
}

fn operation(place: &str, method: &str, operation: &mut Value) {
    let head = if method == "head" { "Head" } else { "" };
    let id = operation["operationId"].as_str().expect("utoipa names every operation");
    operation["operationId"] = json!(format!("{}{head}", camel(id)));
    for tag in operation["tags"].as_array().into_iter().flatten() {
        assert!(TAGS.iter().any(|(name, _)| tag == name), "{place}: the tag {tag} is not described in TAGS");
    }
    for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
        not_null(&mut parameter["schema"]);
        // A schema that a function makes is described there.
        if let Some(description) = parameter["schema"].get("description").cloned()
            && parameter.get("description").is_none()
        {
            parameter["description"] = description;
        }
    }
    // A body that may be left out is absent, too.
    let bodies = operation.pointer_mut("/requestBody/content").and_then(Value::as_object_mut);
    for (_, media) in bodies.into_iter().flatten() {
        if let Some(schema) = media.get_mut("schema") {
            not_null(schema);
        }
    }
    let with_a_key = operation.get("security").is_some();
    let responses = object(&mut operation["responses"]);
    for status in ALWAYS.iter().chain(WITH_A_KEY.iter().filter(|_| with_a_key)) {
        responses.entry(status.to_string()).or_insert_with(|| json!({}));
    }
    for (status, response) in responses {
        let status: u16 = status.parse().expect("a status is a number");
        if status < 400 {
            response["headers"]["X-Request-Id"] = json!({});
            if !head.is_empty() {
                object(response).remove("content");
            }
            continue;
        }
        let problem =
            Problem::of(status).unwrap_or_else(|| panic!("{place}: {status} is not described in PROBLEMS"));
        let description = response.get("description").filter(|text| **text != "").cloned();
        *response = json!({ "$ref": format!("#/components/responses/{}", problem.name) });
        if let Some(description) = description {
            response["description"] = description;
        }
    }
}

/// `create_upload` is `createUpload`.
fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let (initial, rest) = word.split_at(1.min(word.len()));
        name + &initial.to_ascii_uppercase() + rest
    })
}

/// Replaces the headers of answers by references to what is said of them once.
fn name_headers(value: &mut Value) {
    if let Some(headers) = value.get_mut("headers") {
        for (name, header) in headers.as_object_mut().into_iter().flatten() {
            if header.get("example").is_none() {
                assert!(
                    HEADERS.iter().any(|(known, ..)| known == name),
                    "{name} is not described in HEADERS"
                );
                *header = json!({ "$ref": format!("#/components/headers/{name}") });
            }
        }
    }
    let children: Box<dyn Iterator<Item = &mut Value>> = match value {
        Value::Array(items) => Box::new(items.iter_mut()),
        Value::Object(fields) => {
            // A schema may have a field that is called so.
            let fields =
                fields.iter_mut().filter(|(name, _)| !matches!(name.as_str(), "schemas" | "example"));
            Box::new(fields.map(|(_, child)| child))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return,
    };
    children.for_each(name_headers);
}

/// What clients send.
fn requests(document: &Value) -> Value {
    let items = document["paths"].as_object().into_iter().flatten().filter_map(|(_, item)| item.as_object());
    let operations = items.flatten().map(|(_, operation)| operation);
    operations.map(|operation| json!([operation["requestBody"], operation["parameters"]])).collect()
}

/// The names of the schemas that a part of the document leads to.
fn reachable(document: &Value, part: &Value) -> BTreeSet<String> {
    fn follow(document: &Value, value: &Value, found: &mut BTreeSet<String>) {
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            let new = referenced(value).is_none_or(|name| found.insert(name.to_owned()));
            let target = reference.strip_prefix('#').and_then(|pointer| document.pointer(pointer));
            if let Some(target) = target.filter(|_| new) {
                follow(document, target, found);
            }
        }
        match value {
            Value::Array(items) => items.iter().for_each(|item| follow(document, item, found)),
            Value::Object(fields) => fields.values().for_each(|field| follow(document, field, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut found = BTreeSet::new();
    follow(document, part, &mut found);
    found
}

/// Answers leave out what is not there.
fn absent_rather_than_null(schema: &mut Value) {
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    for (name, property) in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten()
    {
        if !required.contains(&json!(name)) {
            not_null(property);
        }
    }
}

/// What is absent has no default, and `null` is none of its type.
fn no_null_defaults(value: &mut Value) {
    match value {
        Value::Object(object) => {
            if object.get("type").is_some() && object.get("default").is_some_and(Value::is_null) {
                object.remove("default");
            }
            object.values_mut().for_each(no_null_defaults);
        }
        Value::Array(items) => items.iter_mut().for_each(no_null_defaults),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn not_null(schema: &mut Value) {
    if let Some([kind, null]) = schema["type"].as_array().map(Vec::as_slice)
        && null == "null"
    {
        schema["type"] = kind.clone();
    }
    let alternatives = schema.get("oneOf").and_then(Value::as_array).map(Vec::as_slice);
    if let Some([one, null]) = alternatives
        && *null == json!({ "type": "null" })
    {
        *schema = one.clone();
    }
}

/// Bodies have the example of their schema, where tools look for it.
fn show_examples(document: &mut Value) {
    let schemas = document["components"]["schemas"].clone();
    let show = |media: &mut Value| {
        let name = referenced(&media["schema"]);
        let example = name.and_then(|name| schemas[name]["examples"].get(0)).cloned();
        if let Some(example) = example.filter(|_| media.get("example").or(media.get("examples")).is_none()) {
            media["example"] = example;
        }
    };
    for (_, item) in object(&mut document["paths"]) {
        for (_, operation) in object(item) {
            let responses =
                operation["responses"].as_object().map(|all| all.keys().cloned().collect::<Vec<_>>());
            for status in responses.into_iter().flatten() {
                let content =
                    operation["responses"][&status].get_mut("content").and_then(Value::as_object_mut);
                content.into_iter().flatten().for_each(|(_, media)| show(media));
            }
            let content = operation.pointer_mut("/requestBody/content").and_then(Value::as_object_mut);
            content.into_iter().flatten().for_each(|(_, media)| show(media));
        }
    }
}

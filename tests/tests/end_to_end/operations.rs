//! Every operation of the document, so that a new one is covered by being described.

use std::collections::BTreeMap;

use end_to_end::{Answer, Api, Stack, answer, pictures};
use http::Method;
use serde_json::{Value, json};

/// What is in the first project and nowhere else.
const MARK: &str = "The first project's own";

struct Operation {
    id: String,
    method: Method,
    path: String,
    with_a_key: bool,
    parameters: Vec<String>,
    body: Option<(String, Value)>,
}

fn operations() -> Vec<Operation> {
    let document: Value = serde_json::from_str(include_str!("../../../docs/openapi.json")).unwrap();
    let items = document["paths"].as_object().unwrap().iter();
    let operations = items.flat_map(|(path, item)| {
        item.as_object().unwrap().iter().map(move |(method, operation)| {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let in_path = parameters.filter(|parameter| parameter["in"] == "path");
            let content = operation["requestBody"]["content"].as_object().into_iter().flatten();
            Operation {
                id: operation["operationId"].as_str().unwrap().to_owned(),
                method: method.to_uppercase().parse().unwrap(),
                path: path.clone(),
                with_a_key: operation.get("security").is_some(),
                parameters: in_path.map(|one| one["name"].as_str().unwrap().to_owned()).collect(),
                body: content.map(|(kind, media)| (kind.clone(), media["example"].clone())).next(),
            }
        })
    });
    operations.collect()
}

/// The first project's ids, by the names that paths have for them.
async fn known(api: &Api) -> BTreeMap<&'static str, String> {
    let bytes = pictures::jpeg(&pictures::halves(200, 100));
    let new = json!({ "content_type": "image/jpeg", "bytes": bytes.len(), "method": "PUT", "title": MARK });
    let upload = api.reserve(&new).await;
    assert_eq!(api.send(&upload, &bytes).await.status, 200);
    assert_eq!(api.settled(&upload.image).await["state"], "ready");
    BTreeMap::from([("image", upload.image), ("upload", upload.id), ("project", api.project.clone())])
}

/// Puts the ids into a path and into a body, in the places of the reference's own.
fn aimed(operation: &Operation, known: &BTreeMap<&str, String>) -> (String, Option<(String, String)>) {
    let mut path = operation.path.clone();
    for name in &operation.parameters {
        let id = known
            .get(name.as_str())
            .unwrap_or_else(|| panic!("{}: nobody here knows a `{name}` of the first project", operation.id));
        path = path.replace(&format!("{{{name}}}"), id);
    }
    let body = operation.body.as_ref().map(|(kind, example)| {
        let text = example.to_string();
        // The ids of examples are prefixes and the same ULID.
        (kind.clone(), text.replace("img_01M7Y7HNH0M6P1S3V5X7Z9B2DF", &known["image"]))
    });
    (path, body)
}

async fn ask(api: &Api, operation: &Operation, known: &BTreeMap<&str, String>) -> Answer {
    let (path, body) = aimed(operation, known);
    let mut request = api.request(operation.method.clone(), &path);
    if let Some((kind, text)) = body {
        request = request.header("content-type", kind).body(text);
    }
    answer(request).await
}

#[tokio::test]
async fn a_second_projects_key_finds_nothing_of_the_first() {
    let stack = Stack::start(&[]).await;
    let known = known(&stack.api).await;
    let path = format!("/v1/images/{}", known["image"]);
    let before = stack.api.get(&path).await;
    let stranger = stack.new_project().await;
    for operation in operations().iter().filter(|operation| operation.with_a_key) {
        let answer = ask(&stranger, operation, &known).await;
        let text = answer.text();
        if operation.parameters.is_empty() {
            assert!(answer.status < 500, "{}: {text}", operation.id);
        } else {
            assert_eq!(answer.status, 404, "{}: {text}", operation.id);
        }
        for secret in [MARK, &known["upload"]] {
            assert!(!text.contains(secret), "{}: {text}", operation.id);
        }
        // What the stranger made of an example is pending, and their own.
        if let Some(image) = answer.header("location").strip_prefix("/v1/images/") {
            stack.expect_pending(image);
        }
    }
    let after = stack.api.get(&path).await;
    assert_eq!(after.header("etag"), before.header("etag"), "nobody changed it");
}

/// The row of a key, which leads to whoever holds it.
async fn row_of(stack: &Stack, key: &str) -> Value {
    let id = format!("key_{}", &key[3..29]);
    let rows = stack.root.rows().await;
    rows.into_iter().find(|row| row["type"] == "key" && row["id"] == id).expect("the key has a row")
}

#[tokio::test]
async fn no_operation_is_open_without_a_credential_that_is_good_now() {
    let stack = Stack::start(&[]).await;
    let known = known(&stack.api).await;
    let expired = stack.new_project().await;
    let mut row = row_of(&stack, expired.key()).await;
    row["expires_at"] = json!("2020-01-01T00:00:00.000Z");
    row["revoked_at"] = json!("2020-01-01T00:00:00.000Z");
    stack.root.put_row(&row).await;
    let good = stack.api.key();
    // Another secret for an id that exists; an id that does not; a token of somebody else's issuer.
    let forged = format!("{}{}", &good[..good.len() - 4], "AAAA");
    let unknown = format!("tt_01JZZZZZZZZZZZZZZZZZZZZZZZ{}", &good[29..]);
    let foreign = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL2lzc3Vlci50ZXN0Iiwic3ViIjoiMSJ9.";
    for operation in operations() {
        let without = ask(&stack.api.with_key(None), &operation, &known).await;
        if !operation.with_a_key {
            assert_ne!(without.status, 401, "{}", operation.id);
            continue;
        }
        assert_eq!(without.status, 401, "{}: {}", operation.id, without.text());
        for key in [expired.key(), &forged, &unknown, foreign, "x"] {
            let answer = ask(&stack.api.with_key(Some(key)), &operation, &known).await;
            assert_eq!(answer.status, 403, "{} with {key}: {}", operation.id, answer.text());
        }
    }
    assert_eq!(stack.api.image(&known["image"]).await["state"], "ready");
}

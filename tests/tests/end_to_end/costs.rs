//! What each operation asks of the table. The figures in docs/benchmarks.md are what this test prints.

#![expect(clippy::print_stdout, reason = "what it counts is to be read")]

use std::collections::BTreeMap;

use end_to_end::{Answer, Stack, answer, pictures, wait_until};
use http::Method;
use serde_json::{Value, json};

/// What a function asked of the table: requests by operation, and capacity units in all.
async fn asked(stack: &Stack, function: &str) -> (BTreeMap<String, u64>, f64) {
    let consumed = stack.root.consumed().await;
    let of_function = consumed[function].as_object().cloned().unwrap_or_default();
    let requests = of_function.iter().map(|(name, of)| (name.clone(), of["requests"].as_u64().unwrap()));
    let units = of_function.values().map(|of| of["units"].as_f64().unwrap()).sum();
    (requests.collect(), units)
}

/// Does something twice, so that what a function remembers does not count, and compares what the second time
/// cost.
async fn costs(
    stack: &Stack, function: &str, expected: &[(&str, u64)], mut act: impl AsyncFnMut(usize) -> Answer,
) {
    let first = act(0).await;
    assert!(first.status < 300, "{function}: {}", first.text());
    stack.root.count().await;
    let second = act(1).await;
    assert!(second.status < 300, "{function}: {}", second.text());
    let (requests, units) = asked(stack, function).await;
    println!("| `{function}` | {requests:?} | {units} |");
    let expected: BTreeMap<String, u64> =
        expected.iter().map(|(name, count)| ((*name).into(), *count)).collect();
    assert_eq!(requests, expected, "{function}");
}

#[tokio::test]
async fn each_operation_asks_the_table_as_often_as_it_says() {
    let stack = Stack::start(&[]).await;
    let api = &stack.api;
    let bytes = |number: u32| pictures::jpeg(&pictures::halves(200 + number, 100));
    let mut images = vec![];
    for number in 0..2 {
        images.push(api.ready(&bytes(number), "image/jpeg").await["id"].as_str().unwrap().to_owned());
    }
    let path = |index: usize| format!("/v1/images/{}", images[index]);

    costs(&stack, "GetImage", &[("GetItem", 1)], async |index| api.get(&path(index)).await).await;
    costs(&stack, "ListImages", &[("Query", 1)], async |_| api.get("/v1/images").await).await;

    let edit = json!({ "tags": ["sea"], "title": "Harbour" });
    let update = async |index: usize| {
        let request = api.request(Method::PATCH, &path(index)).json(&edit);
        answer(request).await
    };
    // Who writes is held to a rate, by an update of their own.
    let read_and_write = [("GetItem", 1), ("TransactWriteItems", 1), ("UpdateItem", 1)];
    costs(&stack, "UpdateImage", &read_and_write, update).await;
    let tagged = async |_| api.get("/v1/images?tag=sea").await;
    costs(&stack, "ListImages", &[("BatchGetItem", 1), ("Query", 1)], tagged).await;
    costs(&stack, "ListTags", &[("Query", 1)], async |_| api.get("/v1/tags").await).await;

    let picture = api.image(&images[0]).await["variants"][0]["path"].as_str().unwrap().to_owned();
    costs(&stack, "DeliverImage", &[("GetItem", 1)], async |_| api.picture(&picture).await).await;
    costs(&stack, "TrashImage", &read_and_write, async |index| api.delete(&path(index)).await).await;

    let new = json!({ "content_type": "image/png", "bytes": 7, "method": "PUT" });
    let mut reserved = vec![];
    costs(&stack, "CreateUpload", &[("TransactWriteItems", 1), ("UpdateItem", 1)], async |_| {
        let answer = api.post("/v1/uploads", &new).await;
        reserved.push(answer.json::<Value>()["image"].as_str().unwrap().to_owned());
        answer
    })
    .await;
    for image in &reserved {
        stack.expect_pending(image);
    }

    // Read and claimed with a plain write; project and original looked up; read again and ready in one transaction.
    stack.root.count().await;
    let image = api.upload(&bytes(9), "image/jpeg").await;
    wait_until("the picture", async || (stack.root.image(&image).await?["state"] == "ready").then_some(()))
        .await;
    let (requests, units) = asked(&stack, "ProcessUpload").await;
    println!("| `ProcessUpload` | {requests:?} | {units} |");
    let expected = [("GetItem", 4), ("PutItem", 1), ("TransactWriteItems", 1)];
    assert_eq!(requests, expected.map(|(name, count)| (name.to_owned(), count)).into());
}

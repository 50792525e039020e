//! Requests that come twice, and quotas that are raced for.

use end_to_end::{Answer, Api, Stack, answer, pictures, wait_until};
use http::Method;
use serde_json::{Value, json};

/// Reserves an image, as a client does that is turned away when too many come at once and comes again.
async fn persistently(api: &Api, key: Option<&str>, new: &Value) -> Answer {
    wait_until("a reservation to be heard", async || {
        let request = api.request(Method::POST, "/v1/uploads").json(new);
        let request = if let Some(key) = key { request.header("idempotency-key", key) } else { request };
        let answer = answer(request).await;
        (answer.status < 500).then_some(answer)
    })
    .await
}

#[tokio::test]
async fn a_hundred_requests_with_one_key_reserve_one_image() {
    let stack = Stack::start(&[]).await;
    let new = json!({ "content_type": "image/png", "bytes": 7, "method": "PUT" });
    let send = || persistently(&stack.api, Some("one-and-only"), &new);
    let answers = futures::future::join_all((0..100).map(|_| send())).await;
    let mut images: Vec<String> = vec![];
    for answer in &answers {
        assert!(matches!(answer.status, 201 | 409), "{}", answer.text());
        if answer.status == 201 {
            images.push(answer.json::<Value>()["image"].as_str().unwrap().to_owned());
        }
    }
    images.dedup();
    let [image] = images.as_slice() else { panic!("one effect: {images:?}") };
    stack.expect_pending(image);
    let page: Value = stack.api.get("/v1/images").await.json();
    assert_eq!(page["images"].as_array().unwrap().len(), 1);

    // The same name for another request is a mistake, and another caller's name is another name.
    let other = json!({ "content_type": "image/png", "bytes": 8 });
    let request = stack.api.request(Method::POST, "/v1/uploads").json(&other);
    answer(request.header("idempotency-key", "one-and-only")).await.problem(422, "idempotency-mismatch");
    let stranger = stack.new_project().await;
    let request = stranger.request(Method::POST, "/v1/uploads").json(&other);
    let theirs = answer(request.header("idempotency-key", "one-and-only")).await;
    assert_eq!(theirs.status, 201);
    stack.expect_pending(theirs.json::<Value>()["image"].as_str().unwrap());
}

#[tokio::test]
async fn fifty_uploads_that_race_for_the_last_bytes_never_exceed_the_quota() {
    let stack = Stack::start(&[]).await;
    let rows = stack.root.rows().await;
    let mut project = rows.into_iter().find(|row| row["type"] == "project").unwrap();
    project["limits"] = json!({ "bytes": 1000, "images": 1000 });
    stack.root.put_row(&project).await;
    let new = json!({ "content_type": "image/png", "bytes": 90 });
    let answers = futures::future::join_all((0..50).map(|_| persistently(&stack.api, None, &new))).await;
    let mut reserved = 0;
    for answer in &answers {
        if answer.status == 201 {
            reserved += 1;
            stack.expect_pending(answer.json::<Value>()["image"].as_str().unwrap());
        } else {
            answer.problem(403, "quota-exceeded");
        }
    }
    assert_eq!(reserved, 11, "990 of 1000 bytes");
    // What is given up is free again.
    let page: Value = stack.api.get("/v1/images").await.json();
    let image = page["images"][0]["id"].as_str().unwrap();
    assert_eq!(stack.api.delete(&format!("/v1/images/{image}")).await.status, 204);
    let bytes = pictures::png(&pictures::disc(1));
    assert!(bytes.len() <= 100, "{}", bytes.len());
    stack.api.ready(&bytes, "image/png").await;
}

/// From the request over the queue to the last event, one trace.
#[tokio::test]
async fn what_follows_from_a_request_belongs_to_its_trace() {
    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let stack = Stack::start(&[]).await;
    let bytes = pictures::png(&pictures::disc(8));
    let new = json!({ "content_type": "image/png", "bytes": bytes.len(), "method": "PUT" });
    let request = stack.api.request(Method::POST, "/v1/uploads").header("traceparent", TRACE);
    let reserved = answer(request.json(&new)).await;
    assert!(!reserved.header("x-request-id").is_empty());
    let reserved = reserved.json();
    assert_eq!(stack.api.send(&reserved, &bytes).await.status, 200);
    stack.api.settled(&reserved.image).await;
    let events = stack.root.rows_of(&reserved.image, "event").await;
    assert_eq!(events.len(), 2, "{events:?}");
    assert!(events.iter().all(|event| event["traceparent"] == TRACE), "{events:?}");
    let trace = TRACE.split('-').nth(1).unwrap();
    wait_until("the worker to say so", async || {
        let log = stack.log();
        log.lines().any(|line| line.contains(trace) && line.contains("ProcessUpload")).then_some(())
    })
    .await;
    let problem = stack.api.get("/v1/images/none").await;
    assert_eq!(problem.header("x-request-id"), problem.problem(404, "not-found")["instance"]);
}

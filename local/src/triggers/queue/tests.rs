use serde_json::{Value, json};

use super::*;
use crate::triggers::fakes::Fakes;

fn mapping() -> QueueMapping {
    QueueMapping {
        queue: "arn:queue".to_owned(),
        batch_size: 10,
        window: Duration::ZERO,
        report_failures: true,
        maximum_concurrency: None,
        filters: Vec::new(),
    }
}

/// Runs a mapping while the test looks on, and ends it.
async fn with<T>(fakes: &Fakes, mapping: QueueMapping, test: impl Future<Output = T>) -> T {
    let stop = CancellationToken::new();
    let poller = QueuePoller::new("ProcessUpload", mapping, fakes.clone(), fakes.clone()).unwrap();
    let running = tokio::spawn(poller.run(stop.clone()));
    let result = test.await;
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(5), running).await.expect("the mapping stops").unwrap();
    result
}

fn failing(ids: &[&str]) -> String {
    let items: Vec<Value> = ids.iter().map(|id| json!({ "itemIdentifier": id })).collect();
    json!({ "batchItemFailures": items }).to_string()
}

fn deleted(fakes: &Fakes) -> Vec<String> {
    let mut deleted = fakes.state().deleted.clone();
    deleted.sort();
    deleted
}

/// Sends messages, waits until the function has worked on all, and says what was deleted.
async fn deleted_after(
    mapping: QueueMapping, answer: impl Fn(&[String]) -> Result<String, String> + Send + Sync + 'static,
) -> Vec<String> {
    let fakes = Fakes::new(answer);
    for id in ["a", "b", "c"] {
        fakes.send_body(id, "{}");
    }
    let all = |state: &crate::triggers::fakes::State| !state.events.is_empty() && state.running == 0;
    with(&fakes, mapping, fakes.until("the batch", all)).await;
    assert_eq!(fakes.batches(), [["a", "b", "c"]]);
    deleted(&fakes)
}

#[tokio::test]
async fn a_success_deletes_the_whole_batch() {
    let all = ["receipt-a", "receipt-b", "receipt-c"];
    assert_eq!(deleted_after(mapping(), |_| Ok(String::new())).await, all);
    let plain = QueueMapping { report_failures: false, ..mapping() };
    assert_eq!(deleted_after(plain, |_| Ok(failing(&["b"]))).await, all);
}

#[tokio::test]
async fn reported_failures_stay() {
    assert_eq!(deleted_after(mapping(), |_| Ok(failing(&["b"]))).await, ["receipt-a", "receipt-c"]);
}

#[tokio::test]
async fn an_error_and_an_answer_that_makes_no_sense_leave_everything() {
    let none: [&str; 0] = [];
    assert_eq!(deleted_after(mapping(), |_| Err("crash".to_owned())).await, none);
    assert_eq!(deleted_after(mapping(), |_| Ok(failing(&["z"]))).await, none);
    assert_eq!(deleted_after(mapping(), |_| Ok("done".to_owned())).await, none);
}

#[tokio::test]
async fn messages_that_no_filter_passes_are_deleted_without_an_invocation() {
    let fakes = Fakes::new(|_| Ok(String::new()));
    fakes.send_body("a", r#"{"kind":"other"}"#);
    fakes.send_body("b", r#"{"kind":"mine"}"#);
    let filters = vec![json!({ "body": { "kind": ["mine"] } })];
    with(&fakes, QueueMapping { filters, ..mapping() }, async {
        fakes.until("both are deleted", |state| state.deleted.len() == 2).await;
    })
    .await;
    assert_eq!(fakes.batches(), [["b"]]);
}

#[tokio::test]
async fn no_more_invocations_than_allowed_run_at_once() {
    let fakes = Fakes::new(|_| Ok(String::new()));
    fakes.hold(true);
    for id in 0..6 {
        fakes.send_body(&id.to_string(), "{}");
    }
    let mapping = QueueMapping { batch_size: 1, maximum_concurrency: Some(2), ..mapping() };
    with(&fakes, mapping, async {
        fakes.until("two are running", |state| state.running == 2).await;
        // The others are still in the queue, where nothing spends their visibility timeout.
        assert_eq!(fakes.state().waiting.len(), 4);
        fakes.hold(false);
        fakes.until("all are done", |state| state.deleted.len() == 6).await;
    })
    .await;
    assert_eq!(fakes.state().most_running, 2);
}

#[tokio::test]
async fn the_window_gathers_more_than_one_receive() {
    let fakes = Fakes::new(|_| Ok(String::new()));
    // One receive gives ten; the batch is invoked as soon as it is full, long before the window ends.
    for id in 0..12 {
        fakes.send_body(&id.to_string(), "{}");
    }
    let mapping = QueueMapping { batch_size: 12, window: Duration::from_mins(1), ..mapping() };
    with(&fakes, mapping, fakes.until("all are done", |state| state.deleted.len() == 12)).await;
    assert_eq!(fakes.batches().len(), 1);
}

#[tokio::test]
async fn stopping_finishes_what_is_under_way() {
    let fakes = Fakes::new(|_| Ok(String::new()));
    fakes.hold(true);
    fakes.send_body("a", "{}");
    let stop = CancellationToken::new();
    let poller = QueuePoller::new("ProcessUpload", mapping(), fakes.clone(), fakes.clone()).unwrap();
    let running = tokio::spawn(poller.run(stop.clone()));
    fakes.until("it is running", |state| state.running == 1).await;
    stop.cancel();
    fakes.hold(false);
    tokio::time::timeout(Duration::from_secs(5), running).await.unwrap().unwrap();
    assert_eq!(deleted(&fakes), ["receipt-a"]);
}

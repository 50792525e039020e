use serde_json::{Value, json};

use super::*;
use crate::triggers::fakes::Fakes;

fn mapping() -> StreamMapping {
    StreamMapping {
        table: "Table".to_owned(),
        batch_size: 4,
        window: Duration::ZERO,
        report_failures: true,
        bisect: true,
        maximum_retries: Some(2),
        on_failure: Some("arn:failed".to_owned()),
        filters: Vec::new(),
    }
}

async fn with<T>(fakes: &Fakes, mapping: StreamMapping, test: impl Future<Output = T>) -> T {
    let function = Function {
        name: "PublishEvents".to_owned(),
        arn: "arn:function".to_owned(),
        binary: "publish-events".to_owned(),
        timeout: Duration::from_secs(3),
        memory_mb: 128,
        environment: std::collections::BTreeMap::new(),
        statements: Vec::new(),
        triggers: Vec::new(),
    };
    let stop = CancellationToken::new();
    let mut reader =
        StreamReader::new(&function, mapping, fakes.clone(), fakes.clone(), fakes.clone()).unwrap();
    reader.backoff = Backoff { first: Duration::from_millis(1), limit: Duration::from_millis(1) };
    let running = tokio::spawn(reader.run(stop.clone()));
    let result = test.await;
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(5), running).await.expect("the mapping stops").unwrap();
    result
}

/// Writes records 1 to 4 and waits until the consumer is behind them; the batches it was invoked with.
async fn batches(fakes: &Fakes, mapping: StreamMapping) -> Vec<String> {
    for sequence in 1..=4 {
        fakes.write(sequence, "INSERT");
    }
    with(fakes, mapping, fakes.until("the end of the stream", |state| state.place == 4)).await;
    fakes.batches().iter().map(|batch| batch.concat()).collect()
}

fn report(sequence: &str) -> String {
    json!({ "batchItemFailures": [{ "itemIdentifier": sequence }] }).to_string()
}

fn given_up(fakes: &Fakes) -> Vec<Value> {
    let state = fakes.state();
    state.sent.iter().map(|(_, body)| serde_json::from_str(body).unwrap()).collect()
}

#[tokio::test]
async fn batches_come_in_order() {
    let fakes = Fakes::new(|_| Ok(String::new()));
    for sequence in 1..=6 {
        fakes.write(sequence, "INSERT");
    }
    with(&fakes, mapping(), async {
        fakes.until("six records", |state| state.place == 6).await;
        fakes.write(7, "INSERT");
        fakes.until("the seventh", |state| state.place == 7).await;
    })
    .await;
    let batches: Vec<String> = fakes.batches().iter().map(|batch| batch.concat()).collect();
    assert_eq!(batches, ["1234", "56", "7"]);
}

#[tokio::test]
async fn records_that_no_filter_passes_are_left_behind() {
    let fakes = Fakes::new(|_| Ok(String::new()));
    fakes.write(1, "INSERT");
    fakes.write(2, "REMOVE");
    let filters = vec![json!({ "eventName": ["INSERT"] })];
    let mapping = StreamMapping { filters, ..mapping() };
    with(&fakes, mapping, fakes.until("the end", |state| state.place == 2)).await;
    assert_eq!(fakes.batches(), [["1"]]);
}

#[tokio::test]
async fn only_what_lies_behind_the_reported_record_is_tried_again() {
    let first = std::sync::atomic::AtomicBool::new(true);
    let fakes = Fakes::new(move |ids| {
        let fails = ids.contains(&"3".to_owned()) && first.swap(false, std::sync::atomic::Ordering::SeqCst);
        Ok(if fails { report("3") } else { String::new() })
    });
    assert_eq!(batches(&fakes, mapping()).await, ["1234", "34"]);
    assert_eq!(given_up(&fakes), Vec::<Value>::new());
}

#[tokio::test]
async fn a_record_that_always_fails_is_found_and_given_up_alone() {
    let fakes =
        Fakes::new(
            |ids| {
                if ids.contains(&"2".to_owned()) { Err("crash".to_owned()) } else { Ok(String::new()) }
            },
        );
    // Bisected down to the record, which is tried once and twice again.
    assert_eq!(batches(&fakes, mapping()).await, ["1234", "12", "1", "2", "2", "2", "34"]);
    let [position] = given_up(&fakes).try_into().unwrap();
    assert_eq!(position["DDBStreamBatchInfo"]["startSequenceNumber"], "2");
    assert_eq!(position["DDBStreamBatchInfo"]["endSequenceNumber"], "2");
    assert_eq!(position["DDBStreamBatchInfo"]["batchSize"], 1);
    assert_eq!(position["DDBStreamBatchInfo"]["streamArn"], "arn:stream");
    assert_eq!(position["DDBStreamBatchInfo"]["approximateArrivalOfFirstRecord"], "2023-11-14T22:13:20.000Z");
    assert_eq!(position["requestContext"]["condition"], "RetryAttemptsExhausted");
    assert_eq!(position["requestContext"]["functionArn"], "arn:function");
    assert_eq!(position["requestContext"]["approximateInvokeCount"], 3);
}

#[tokio::test]
async fn a_reported_record_is_given_up_alone_too() {
    let fakes = Fakes::new(|ids| Ok(if ids.contains(&"2".to_owned()) { report("2") } else { String::new() }));
    // From the record on is one retry, finding it is none, and then there is one left.
    assert_eq!(batches(&fakes, mapping()).await, ["1234", "234", "2", "2", "34"]);
    assert_eq!(given_up(&fakes).len(), 1);
}

#[tokio::test]
async fn without_bisecting_the_whole_batch_is_given_up() {
    let fakes = Fakes::new(|_| Err("crash".to_owned()));
    let mapping = StreamMapping { bisect: false, maximum_retries: Some(1), ..mapping() };
    assert_eq!(batches(&fakes, mapping).await, ["1234", "1234"]);
    assert_eq!(given_up(&fakes)[0]["DDBStreamBatchInfo"]["endSequenceNumber"], "4");
}

#[tokio::test]
async fn an_unknown_sequence_number_fails_the_batch() {
    let fakes = Fakes::new(|_| Ok(report("9")));
    let mapping = StreamMapping { bisect: false, maximum_retries: Some(0), on_failure: None, ..mapping() };
    assert_eq!(batches(&fakes, mapping).await, ["1234"]);
}

#[tokio::test]
async fn stopping_leaves_what_has_failed_to_the_next_start() {
    let fakes = Fakes::new(|ids| if ids[0] == "1" { Ok(report("3")) } else { Err("crash".to_owned()) });
    for sequence in 1..=4 {
        fakes.write(sequence, "INSERT");
    }
    let forever = StreamMapping { maximum_retries: None, bisect: false, ..mapping() };
    with(&fakes, forever, fakes.until("some retries", |state| state.events.len() > 5)).await;
    assert_eq!(fakes.state().place, 2);
}

//! The queues as the stack uses them.

mod protocol;

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::store::now_ms;
use super::{QueueError, Queues};
use crate::faults::Faults;
use crate::template::model::{Queue, Redrive};

const WORK: &str = "arn:aws:sqs:eu-west-1:123456789012:Work";
const DEAD: &str = "arn:aws:sqs:eu-west-1:123456789012:Dead";
const NO_WAIT: Duration = Duration::ZERO;
const LONG: Duration = Duration::from_secs(20);

fn queue(arn: &str) -> Queue {
    let name = arn.rsplit(':').next().unwrap().to_owned();
    Queue {
        id: name.clone(),
        name,
        arn: arn.to_owned(),
        visibility: Duration::from_secs(30),
        retention: Duration::from_hours(96),
        redrive: None,
    }
}

/// A queue that gives up after two receives, and the one it gives up to.
fn pair() -> [Queue; 2] {
    let redrive = Redrive { dead_letter: DEAD.to_owned(), maximum_receives: 2 };
    [Queue { redrive: Some(redrive), ..queue(WORK) }, queue(DEAD)]
}

fn open(path: Option<&Path>, faults: &Faults) -> Queues {
    Queues::open(path, &pair(), faults.clone()).unwrap()
}

/// (visible, in flight, delayed) of the work queue and of the dead-letter queue.
fn counts(queues: &Queues) -> [(usize, usize, usize); 2] {
    let counts = queues.counts().unwrap();
    [0, 1].map(|i| (counts[i].visible, counts[i].in_flight, counts[i].delayed))
}

async fn bodies(queues: &Queues, arn: &str) -> Vec<String> {
    let messages = queues.receive(arn, 10, NO_WAIT).await.unwrap();
    messages.into_iter().map(|m| m.body).collect()
}

#[tokio::test]
async fn the_event_record_of_a_message_is_the_one_that_lambda_makes() {
    let queues = open(None, &Faults::default());
    let id = queues.send(WORK, "{}".to_owned()).await.unwrap();
    let message = queues.receive(WORK, 1, NO_WAIT).await.unwrap().remove(0);
    let record = serde_json::to_value(&message).unwrap();
    assert_eq!(record["messageId"], id.as_str());
    assert_eq!(record["md5OfBody"], "99914b932bd37a50b983c5e7c90ae93b");
    assert_eq!(record["eventSource"], "aws:sqs");
    assert_eq!(record["eventSourceARN"], WORK);
    assert_eq!(record["awsRegion"], "eu-west-1");
    assert_eq!(record["messageAttributes"], json!({}));
    assert_eq!(record["attributes"]["ApproximateReceiveCount"], "1");
}

#[tokio::test]
async fn a_long_poll_wakes_for_what_arrives_and_for_what_becomes_visible() {
    let queues = open(None, &Faults::default());
    let started = Instant::now();
    let (received, sent) = tokio::join!(queues.receive(WORK, 10, LONG), queues.send(WORK, "new".to_owned()));
    assert_eq!(received.unwrap()[0].message_id, sent.unwrap());

    let again = queues.receive(WORK, 10, LONG);
    let release = queues.release(WORK);
    let (again, released) = tokio::join!(again, release);
    assert_eq!(released.unwrap(), 1);
    let receipt = &again.unwrap()[0].receipt_handle;
    queues.change_visibility(WORK, receipt, Duration::from_secs(1)).await.unwrap();
    queues.delete(WORK, &["bogus".to_owned()]).await.unwrap_err();
    // Received twice before, so that its next visibility is in the dead-letter queue.
    assert!(queues.receive(WORK, 10, Duration::from_secs(2)).await.unwrap().is_empty());
    assert_eq!(queues.receive(DEAD, 10, LONG).await.unwrap()[0].body, "new");
    assert!(started.elapsed() < LONG, "nothing waited for its deadline");
}

#[tokio::test]
async fn only_the_latest_receipt_deletes() {
    let queues = open(None, &Faults::default());
    queues.send(WORK, "a".to_owned()).await.unwrap();
    let first = queues.receive(WORK, 1, NO_WAIT).await.unwrap().remove(0);
    queues.release(WORK).await.unwrap();
    let second = queues.receive(WORK, 1, NO_WAIT).await.unwrap().remove(0);
    assert_eq!(second.attributes["ApproximateReceiveCount"], "2");
    queues.delete(WORK, std::slice::from_ref(&first.receipt_handle)).await.unwrap();
    assert_eq!(counts(&queues)[0], (0, 1, 0));
    let elsewhere = queues.delete(DEAD, std::slice::from_ref(&second.receipt_handle)).await;
    assert!(matches!(elsewhere, Err(QueueError::InvalidReceipt)));
    queues.delete(WORK, std::slice::from_ref(&second.receipt_handle)).await.unwrap();
    assert_eq!(counts(&queues)[0], (0, 0, 0));
    let gone = queues.change_visibility(WORK, &second.receipt_handle, LONG).await;
    assert!(matches!(gone, Err(QueueError::InvalidParameter(_))));
}

#[tokio::test]
async fn a_message_given_back_comes_after_those_that_wait() {
    let queues = open(None, &Faults::default());
    for body in ["a", "b"] {
        queues.send(WORK, body.to_owned()).await.unwrap();
    }
    let a = queues.receive(WORK, 1, NO_WAIT).await.unwrap().remove(0);
    // Both have waited since the same millisecond otherwise.
    let before = now_ms();
    while now_ms() == before {
        tokio::task::yield_now().await;
    }
    queues.change_visibility(WORK, &a.receipt_handle, NO_WAIT).await.unwrap();
    let not_in_flight = queues.change_visibility(WORK, &a.receipt_handle, LONG).await;
    assert!(matches!(not_in_flight, Err(QueueError::NotInFlight)));
    assert_eq!(bodies(&queues, WORK).await, ["b", "a"]);
}

#[tokio::test]
async fn messages_outlive_the_process_and_those_in_flight_are_visible_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("queues.sqlite");
    let before = open(Some(&path), &Faults::default());
    for body in ["deleted", "in flight", "waiting"] {
        before.send(WORK, body.to_owned()).await.unwrap();
    }
    let received = before.receive(WORK, 2, NO_WAIT).await.unwrap();
    before.delete(WORK, std::slice::from_ref(&received[0].receipt_handle)).await.unwrap();
    // Still open, as after a kill: nothing has been closed or flushed.
    let after = open(Some(&path), &Faults::default());
    let mut bodies = bodies(&after, WORK).await;
    bodies.sort();
    assert_eq!(bodies, ["in flight", "waiting"]);
}

#[tokio::test]
async fn a_message_expires_with_its_queue_s_retention() {
    let short = Queue { retention: Duration::ZERO, ..queue(WORK) };
    let queues = Queues::open(None, &[short], Faults::default()).unwrap();
    queues.send(WORK, "old".to_owned()).await.unwrap();
    let expired = async {
        while queues.counts().unwrap()[0].visible > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), expired).await.unwrap();
}

#[tokio::test]
async fn a_duplicate_comes_once_more_after_its_deletion_and_then_never() {
    let faults = Faults::default();
    faults.set_duplicate(true);
    let queues = open(None, &faults);
    queues.send(WORK, "twice".to_owned()).await.unwrap();
    let first = queues.receive(WORK, 1, NO_WAIT).await.unwrap().remove(0);
    queues.delete(WORK, std::slice::from_ref(&first.receipt_handle)).await.unwrap();
    queues.delete(WORK, &[first.receipt_handle]).await.unwrap();
    let second = queues.receive(WORK, 1, NO_WAIT).await.unwrap().remove(0);
    assert_eq!(second.message_id, first.message_id);
    queues.delete(WORK, &[second.receipt_handle]).await.unwrap();
    assert_eq!(counts(&queues), [(0, 0, 0), (0, 0, 0)]);
}

#[tokio::test]
async fn reordering_changes_the_order_and_nothing_else() {
    let faults = Faults::new(1);
    faults.set_reorder(true);
    let queues = open(None, &faults);
    let sent: Vec<String> = (10..40).map(|i| i.to_string()).collect();
    for body in &sent {
        queues.send(WORK, body.clone()).await.unwrap();
    }
    let mut received = Vec::new();
    for _ in 0..3 {
        received.extend(bodies(&queues, WORK).await);
    }
    assert_ne!(received, sent);
    received.sort();
    assert_eq!(received, sent);
}

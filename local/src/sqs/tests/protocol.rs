//! The queues as their clients see them.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{DEAD, LONG, NO_WAIT, WORK, bodies, counts, open};
use crate::aws_json::tests::{identity, signed};
use crate::faults::Faults;
use crate::iam::{Identities, Identity, Statement};
use crate::sqs::Queues;

/// Queues that are served until the test ends.
struct Served {
    queues: Queues,
    faults: Faults,
    endpoint: String,
    http: reqwest::Client,
    stop: CancellationToken,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Served {
    async fn start() -> Self {
        let faults = Faults::default();
        let queues = open(None, &faults);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let identities = Arc::new(Identities::new([identity("root"), sender()]));
        let stop = CancellationToken::new();
        let (served, shutdown) = (queues.clone(), stop.clone());
        tokio::spawn(async move { served.serve(listener, identities, shutdown).await });
        // An error means that another test was first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::new();
        Self { queues, faults, endpoint, http, stop }
    }

    fn url(&self, queue: &str) -> String {
        format!("{}/000000000000/{queue}", self.endpoint)
    }

    /// The answer, or the query code and the message of the error.
    async fn call_as(
        &self, who: &Identity, operation: &str, input: Value,
    ) -> Result<Value, (String, String)> {
        let target = format!("AmazonSQS.{operation}");
        let request = signed(who, "sqs", &format!("{}/", self.endpoint), &target, input.to_string(), None);
        let answer = self.http.execute(request.try_into().unwrap()).await.unwrap();
        let failed = !answer.status().is_success();
        let code = answer.headers().get("x-amzn-query-error").cloned();
        let body: Value = answer.json().await.unwrap();
        if failed {
            let code = code.unwrap().to_str().unwrap().to_owned();
            return Err((code, body["message"].as_str().unwrap().to_owned()));
        }
        Ok(body)
    }

    async fn call(&self, operation: &str, mut input: Value) -> Result<Value, (String, String)> {
        input["QueueUrl"] = json!(self.url("Work"));
        self.call_as(&identity("root"), operation, input).await
    }

    async fn code(&self, operation: &str, input: Value) -> String {
        self.call(operation, input).await.unwrap_err().0
    }
}

/// May send to the work queue and nothing else.
fn sender() -> Identity {
    let statement = Statement {
        sid: None,
        allow: true,
        actions: vec!["sqs:SendMessage".to_owned()],
        resources: vec![WORK.to_owned()],
        conditions: serde_json::Map::new(),
    };
    Identity { statements: Some(vec![statement]), ..identity("Sender") }
}

#[tokio::test]
async fn a_message_is_sent_and_received_with_everything_that_clients_check() {
    let served = Served::start().await;
    let attributes = json!({ "kind": { "DataType": "String", "StringValue": "ready" } });
    let input = json!({ "MessageBody": "hello", "MessageAttributes": attributes });
    let sent = served.call("SendMessage", input).await.unwrap();
    assert_eq!(sent["MD5OfMessageBody"], "5d41402abc4b2a76b9719d911017c592");
    let input = json!({
        "MessageSystemAttributeNames": ["All"],
        "MessageAttributeNames": ["k.*"],
        "WaitTimeSeconds": 1,
    });
    let received = served.call("ReceiveMessage", input).await.unwrap();
    let message = &received["Messages"][0];
    assert_eq!(message["MessageId"], sent["MessageId"]);
    assert_eq!(message["Body"], "hello");
    assert_eq!(message["MD5OfBody"], sent["MD5OfMessageBody"]);
    assert_eq!(message["MessageAttributes"], attributes);
    assert_eq!(message["MD5OfMessageAttributes"], sent["MD5OfMessageAttributes"]);
    assert_eq!(message["Attributes"]["ApproximateReceiveCount"], "1");
    assert_eq!(message["Attributes"]["SenderId"], "root");
    let first = message["Attributes"]["ApproximateFirstReceiveTimestamp"].as_str().unwrap();
    assert!(first >= message["Attributes"]["SentTimestamp"].as_str().unwrap());

    let receipt = json!({ "ReceiptHandle": message["ReceiptHandle"] });
    served.call("DeleteMessage", receipt).await.unwrap();
    let attributes = served.call("GetQueueAttributes", json!({ "AttributeNames": ["All"] })).await;
    let attributes = attributes.unwrap();
    assert_eq!(attributes["Attributes"]["ApproximateNumberOfMessagesNotVisible"], "0");
    assert_eq!(attributes["Attributes"]["QueueArn"], WORK);
}

#[tokio::test]
async fn a_batch_reports_each_entry_on_its_own() {
    let served = Served::start().await;
    let entry = |id: &str, body: &str| json!({ "Id": id, "MessageBody": body });
    let batch = |entries: Vec<Value>| json!({ "Entries": entries });
    let sent = served.call("SendMessageBatch", batch(vec![entry("a", "1"), entry("b", "")])).await;
    let sent = sent.unwrap();
    assert_eq!(sent["Successful"][0]["Id"], "a");
    assert_eq!(sent["Failed"][0]["Id"], "b");
    assert_eq!(sent["Failed"][0]["Code"], "MissingParameter");

    let received = served.call("ReceiveMessage", json!({})).await.unwrap();
    let handle = &received["Messages"][0]["ReceiptHandle"];
    let deleted = batch(vec![
        json!({ "Id": "good", "ReceiptHandle": handle }),
        json!({ "Id": "bad", "ReceiptHandle": "bogus" }),
    ]);
    let deleted = served.call("DeleteMessageBatch", deleted).await.unwrap();
    assert_eq!(deleted["Successful"], json!([{ "Id": "good" }]));
    assert_eq!(deleted["Failed"][0]["Code"], "ReceiptHandleIsInvalid");
    assert_eq!(counts(&served.queues)[0], (0, 0, 0));

    let empty = served.code("SendMessageBatch", batch(vec![])).await;
    assert_eq!(empty, "AWS.SimpleQueueService.EmptyBatchRequest;Sender");
    let twice = batch(vec![entry("a", "1"), entry("a", "2")]);
    let twice = served.code("SendMessageBatch", twice).await;
    assert_eq!(twice, "AWS.SimpleQueueService.BatchEntryIdsNotDistinct;Sender");
    let large = "x".repeat(600 * 1024);
    let large = batch(vec![entry("a", &large), entry("b", &large)]);
    let large = served.code("SendMessageBatch", large).await;
    assert_eq!(large, "AWS.SimpleQueueService.BatchRequestTooLong;Sender");
}

#[tokio::test]
async fn requests_are_refused_with_the_codes_that_sdks_know() {
    let served = Served::start().await;
    let bogus = json!({ "ReceiptHandle": "bogus" });
    assert_eq!(served.code("DeleteMessage", bogus).await, "ReceiptHandleIsInvalid;Sender");
    let too_many = json!({ "MaxNumberOfMessages": 11 });
    assert_eq!(served.code("ReceiveMessage", too_many).await, "InvalidParameterValue;Sender");
    let control = json!({ "MessageBody": "\u{1}" });
    assert_eq!(served.code("SendMessage", control).await, "InvalidMessageContents;Sender");
    assert_eq!(served.code("CreateQueue", json!({})).await, "InvalidAction;Sender");
    let missing = json!({ "QueueName": "Missing" });
    let missing = served.call_as(&identity("root"), "GetQueueUrl", missing).await.unwrap_err().0;
    assert_eq!(missing, "AWS.SimpleQueueService.NonExistentQueue;Sender");
    let nobody = served.call_as(&identity("Nobody"), "ListQueues", json!({})).await.unwrap_err().0;
    assert_eq!(nobody, "UnrecognizedClientException;Sender");
}

#[tokio::test]
async fn what_no_policy_allows_is_denied() {
    let served = Served::start().await;
    let send = |queue| json!({ "QueueUrl": served.url(queue), "MessageBody": "x" });
    served.call_as(&sender(), "SendMessage", send("Work")).await.unwrap();
    let other = served.call_as(&sender(), "SendMessage", send("Dead")).await.unwrap_err();
    assert_eq!(other.0, "AccessDenied;Sender");
    let receive = json!({ "QueueUrl": served.url("Work") });
    let receive = served.call_as(&sender(), "ReceiveMessage", receive).await.unwrap_err();
    assert_eq!(receive.0, "AccessDenied;Sender");
}

#[tokio::test]
async fn queues_are_found_under_the_address_that_the_client_used() {
    let served = Served::start().await;
    let found = served.call("GetQueueUrl", json!({ "QueueName": "Work" })).await.unwrap();
    assert_eq!(found["QueueUrl"], served.url("Work"));
    let listed = served.call("ListQueues", json!({ "QueueNamePrefix": "D" })).await.unwrap();
    assert_eq!(listed["QueueUrls"], json!([served.url("Dead")]));
}

#[tokio::test]
async fn faults_strike_the_protocol_until_they_are_taken_back() {
    let served = Served::start().await;
    served.faults.set("sqs=throttle:100%".parse().unwrap());
    assert_eq!(served.code("ReceiveMessage", json!({})).await, "RequestThrottled;Sender");
    served.faults.set("sqs=throttle:0%".parse().unwrap());
    served.faults.set("sqs=error:100%".parse().unwrap());
    assert_eq!(served.code("ReceiveMessage", json!({})).await, "InternalFailure;Receiver");
    served.faults.set("sqs=error:0%".parse().unwrap());
    assert_eq!(served.call("ReceiveMessage", json!({})).await.unwrap(), json!({}));
}

#[tokio::test]
async fn a_long_poll_ends_when_the_server_does() {
    let served = Served::start().await;
    served.queues.send(WORK, "poison".to_owned()).await.unwrap();
    for _ in 0..2 {
        assert_eq!(bodies(&served.queues, WORK).await, ["poison"]);
        served.queues.release(WORK).await.unwrap();
    }
    let started = Instant::now();
    let poll = served.call("ReceiveMessage", json!({ "WaitTimeSeconds": 20 }));
    let stop = async {
        // The poll itself gives the message up, and then waits for another.
        while counts(&served.queues)[1].0 == 0 {
            tokio::task::yield_now().await;
        }
        served.stop.cancel();
    };
    let (ended, ()) = tokio::join!(poll, stop);
    assert_eq!(ended.unwrap(), json!({}));
    assert!(started.elapsed() < LONG);
}

#[tokio::test]
async fn a_delayed_message_is_counted_and_received_in_time() {
    let served = Served::start().await;
    let input = json!({ "MessageBody": "later", "DelaySeconds": 1 });
    served.call("SendMessage", input).await.unwrap();
    assert_eq!(counts(&served.queues)[0], (0, 0, 1));
    let started = Instant::now();
    let received = served.queues.receive(WORK, 1, LONG).await.unwrap();
    assert_eq!(received[0].body, "later");
    assert!(started.elapsed() < LONG);
}

#[tokio::test]
async fn what_is_received_too_often_goes_to_the_dead_letter_queue_and_back() {
    let served = Served::start().await;
    let queues = &served.queues;
    let id = queues.send(WORK, "poison".to_owned()).await.unwrap();
    queues.send(DEAD, "sent there".to_owned()).await.unwrap();
    let mut sent_at = String::new();
    for _ in 0..2 {
        let message = queues.receive(WORK, 1, NO_WAIT).await.unwrap().remove(0);
        sent_at = message.attributes["SentTimestamp"].clone();
        queues.release(WORK).await.unwrap();
    }
    assert!(bodies(queues, WORK).await.is_empty());
    let peeked = queues.peek(DEAD, 10).await.unwrap();
    let peeked: Vec<_> = peeked.iter().map(|p| (p.body.as_str(), p.received)).collect();
    assert_eq!(peeked, [("poison", 2), ("sent there", 0)]);
    let dead = queues.receive(DEAD, 10, NO_WAIT).await.unwrap();
    let dead = dead.iter().find(|m| m.body == "poison").unwrap();
    assert_eq!(dead.message_id, id);
    assert_eq!(dead.attributes["SentTimestamp"], sent_at);
    assert_eq!(dead.attributes["ApproximateReceiveCount"], "3");
    assert_eq!(dead.attributes["DeadLetterQueueSourceArn"], WORK);
    assert!(queues.counts().unwrap()[1].dead_letter);

    queues.release(DEAD).await.unwrap();
    served.call("StartMessageMoveTask", json!({ "SourceArn": DEAD })).await.unwrap();
    let back = queues.receive(WORK, 1, NO_WAIT).await.unwrap().remove(0);
    assert_eq!((back.body.as_str(), counts(queues)[1].0), ("poison", 1));
    assert_ne!(back.message_id, id);
    assert_eq!(back.attributes["ApproximateReceiveCount"], "1");
    let refused = served.call("StartMessageMoveTask", json!({ "SourceArn": WORK })).await;
    assert_eq!(refused.unwrap_err().0, "InvalidParameterValue;Sender");
}

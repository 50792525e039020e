use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use jiff::Timestamp;
use serde_json::json;

use super::{BUCKET, QUEUE, Stack, code, notifying};

#[tokio::test]
async fn an_event_is_written_as_s3_writes_it() {
    let stack = Stack::with_bucket(notifying(&["s3:ObjectCreated:*"], "", "")).await;
    let before = Timestamp::now();
    stack.put("in/a b(ü)+.jpg", b"meow").await;
    let (queue, _) = stack.sent.lock().unwrap()[1].clone();
    assert_eq!(queue, QUEUE);
    let event = stack.sent().remove(1);
    let record = &event["Records"][0];
    let time: Timestamp = record["eventTime"].as_str().unwrap().parse().unwrap();
    assert!(before.as_millisecond() <= time.as_millisecond() && time <= Timestamp::now());
    assert_eq!(record["eventTime"].as_str().unwrap().len(), "2026-01-01T00:00:00.000Z".len());
    let sequencer = record["s3"]["object"]["sequencer"].as_str().unwrap();
    assert!(sequencer.len() == 18 && sequencer.bytes().all(|b| b.is_ascii_hexdigit()));
    let request = &record["responseElements"]["x-amz-request-id"];
    assert_eq!(
        *record,
        json!({
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "awsRegion": "eu-west-1",
            "eventTime": record["eventTime"],
            "eventName": "ObjectCreated:Put",
            "userIdentity": { "principalId": "AWS:root" },
            "requestParameters": { "sourceIPAddress": "127.0.0.1" },
            "responseElements": { "x-amz-request-id": request, "x-amz-id-2": request },
            "s3": {
                "s3SchemaVersion": "1.0",
                "configurationId": "Pictures-0",
                "bucket": {
                    "name": "pictures",
                    "ownerIdentity": { "principalId": "root" },
                    "arn": "arn:aws:s3:::pictures",
                },
                "object": {
                    "key": "in/a+b%28%C3%BC%29%2B.jpg",
                    "size": 4,
                    "eTag": "4a4be40c96ac6314e91d93f38043a634",
                    "sequencer": sequencer,
                },
            },
        })
    );
}

#[tokio::test]
async fn every_way_to_create_has_its_event_and_sequencers_rise() {
    let stack = Stack::with_bucket(notifying(&["s3:ObjectCreated:*"], "", "")).await;
    let client = stack.client();
    stack.put("a", b"x").await;
    let copy = client.copy_object().bucket(BUCKET).key("a2").copy_source("pictures/a");
    copy.send().await.unwrap();
    let created = client.create_multipart_upload().bucket(BUCKET).key("m").send().await.unwrap();
    let id = created.upload_id().unwrap();
    let part = client.upload_part().bucket(BUCKET).key("m").upload_id(id).part_number(1);
    let part = part.body(ByteStream::from_static(b"x")).send().await.unwrap();
    let part = CompletedPart::builder().part_number(1).e_tag(part.e_tag().unwrap()).build();
    let upload = CompletedMultipartUpload::builder().parts(part).build();
    let complete = client.complete_multipart_upload().bucket(BUCKET).key("m").upload_id(id);
    complete.multipart_upload(upload).send().await.unwrap();
    client.delete_object().bucket(BUCKET).key("a").send().await.unwrap();

    let sent = stack.sent();
    let records: Vec<_> = sent[1..].iter().map(|event| &event["Records"][0]).collect();
    let names: Vec<_> = records.iter().map(|record| record["eventName"].as_str().unwrap()).collect();
    assert_eq!(names, ["ObjectCreated:Put", "ObjectCreated:Copy", "ObjectCreated:CompleteMultipartUpload"]);
    let sequencers: Vec<_> =
        records.iter().map(|record| record["s3"]["object"]["sequencer"].as_str().unwrap()).collect();
    assert!(sequencers.is_sorted_by(|a, b| a < b), "{sequencers:?}");
}

#[tokio::test]
async fn only_what_matches_is_sent() {
    let stack = Stack::with_bucket(notifying(&["s3:ObjectCreated:Put"], "in/", ".jpg")).await;
    for key in ["in/a.jpg", "in/a.png", "out/a.jpg"] {
        stack.put(key, b"x").await;
    }
    let copy = stack.client().copy_object().bucket(BUCKET).key("in/copy.jpg");
    copy.copy_source("pictures/in/a.jpg").send().await.unwrap();
    let sent = stack.sent();
    assert_eq!(sent.len(), 2, "{sent:?}");
    assert_eq!(sent[1]["Records"][0]["s3"]["object"]["key"], "in/a.jpg");
}

#[tokio::test]
async fn a_new_directory_sends_one_test_event() {
    let bucket = notifying(&["s3:ObjectCreated:*"], "", "");
    let stack = Stack::with_bucket(bucket.clone()).await;
    let sent = stack.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0]["Event"], "s3:TestEvent");
    assert_eq!(sent[0]["Service"], "Amazon S3");
    assert_eq!(sent[0]["Bucket"], "pictures");
    let root = stack.stop().await;
    let stack = Stack::open(root, vec![bucket], false).await;
    assert!(stack.sent().is_empty());
}

#[tokio::test]
async fn a_write_is_not_acknowledged_before_its_event_is_delivered_and_no_event_is_lost() {
    let bucket = notifying(&["s3:ObjectCreated:*"], "", "");
    let root = tempfile::tempdir().unwrap();
    let stack = Stack::open(root, vec![bucket.clone()], true).await;
    let put = stack.client().put_object().bucket(BUCKET).key("k");
    assert_eq!(code(put.body(ByteStream::from_static(b"x")).send().await), "InternalError");
    let root = stack.stop().await;

    let stack = Stack::open(root, vec![bucket], false).await;
    assert_eq!(stack.keys().await, ["k"]);
    let sent = stack.sent();
    assert_eq!(sent.len(), 2, "the test event and the object's: {sent:?}");
    assert_eq!(sent[1]["Records"][0]["s3"]["object"]["key"], "k");
}

#[tokio::test]
async fn a_refused_write_sends_nothing() {
    let stack = Stack::with_bucket(notifying(&["s3:ObjectCreated:*"], "", "")).await;
    stack.put("k", b"x").await;
    let again = stack.client().put_object().bucket(BUCKET).key("k").if_none_match("*");
    assert_eq!(code(again.send().await), "PreconditionFailed");
    assert_eq!(stack.sent().len(), 2);
}

use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use futures::future::join_all;
use jiff::Timestamp;

use super::{BUCKET, Stack, bucket, code, hour, wait_for};
use crate::template::model::Bucket;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_creators_exactly_one_wins() {
    let stack = Stack::start().await;
    let client = stack.client();
    let put = |number: usize| {
        let put = client.put_object().bucket(BUCKET).key("k").if_none_match("*");
        let send = put.body(ByteStream::from(number.to_string().into_bytes())).send();
        tokio::spawn(async move { send.await.map(|_| number).map_err(|e| code::<(), _>(Err(e))) })
    };
    let results: Vec<_> = join_all((0..50).map(put)).await.into_iter().map(Result::unwrap).collect();
    let winners: Vec<_> = results.iter().filter_map(|result| result.as_ref().ok()).collect();
    assert_eq!(winners.len(), 1, "{results:?}");
    assert!(
        results.iter().filter_map(|result| result.as_ref().err()).all(|code| code == "PreconditionFailed")
    );
    assert_eq!(stack.read("k").await, winners[0].to_string().into_bytes());
    assert_eq!(stack.files(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_updates_of_one_version_exactly_one_wins() {
    let stack = Stack::start().await;
    let client = stack.client();
    stack.put("k", b"first").await;
    let head = client.head_object().bucket(BUCKET).key("k").send().await.unwrap();
    let etag = head.e_tag().unwrap();
    let put = |number: usize| {
        let put = client.put_object().bucket(BUCKET).key("k").if_match(etag);
        let send = put.body(ByteStream::from(number.to_string().into_bytes())).send();
        tokio::spawn(async move { send.await.is_ok() })
    };
    let won = join_all((0..50).map(put)).await.into_iter().filter(|won| *won.as_ref().unwrap());
    assert_eq!(won.count(), 1);
    let missing = client.put_object().bucket(BUCKET).key("none").if_match(etag).send().await;
    assert_eq!(code(missing), "NoSuchKey");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reader_sees_one_version_while_writers_replace_it() {
    let stack = Stack::start().await;
    stack.put("k", &vec![0; 100_000]).await;
    let client = stack.client();
    let writes = (1..30_u8).map(|number| {
        let put = client.put_object().bucket(BUCKET).key("k");
        let body = ByteStream::from(vec![number; 100_000]);
        tokio::spawn(async move { put.body(body).send().await.unwrap() })
    });
    let writes: Vec<_> = writes.collect();
    let reads = (0..30).map(|_| stack.read("k"));
    for body in join_all(reads).await {
        assert_eq!(body.len(), 100_000);
        assert!(body.iter().all(|byte| *byte == body[0]), "two versions in one answer");
    }
    join_all(writes).await;
    assert_eq!(stack.files(), 1);
}

#[tokio::test]
async fn every_key_is_a_name_and_nothing_else() {
    let stack = Stack::start().await;
    let long = "ü/".repeat(341) + "x";
    assert_eq!(long.len(), 1024);
    let keys = [
        "a",
        "a/b",
        "a/b/",
        "a//b",
        "/a",
        "..",
        "../up",
        "a/../../b",
        "./a",
        "%2e%2e/x",
        "a%2Fb",
        "a b+c&d=e?f#g",
        "ключ/图片.jpg",
        "🦀",
        "con",
        "a\\b",
        "tab\there",
        "\u{7f}",
        "~",
        "*",
        "'\"<>",
        "index.sqlite",
        &long,
    ];
    for key in keys {
        stack.put(key, key.as_bytes()).await;
    }
    for key in keys {
        assert_eq!(stack.read(key).await, key.as_bytes(), "{key:?}");
    }
    let mut sorted = keys.to_vec();
    sorted.sort_unstable();
    assert_eq!(stack.keys().await, sorted);
    assert_eq!(stack.files(), keys.len());
    let outside = std::fs::read_dir(stack.root.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let outside: Vec<_> = outside.filter(|name| name != BUCKET).collect();
    let index = |name: &std::ffi::OsString| name.to_str().unwrap().starts_with("index.sqlite");
    assert!(outside.iter().all(index), "{outside:?}");

    let client = stack.client();
    let too_long = client.put_object().bucket(BUCKET).key("x".repeat(1025)).send().await;
    assert_eq!(code(too_long), "KeyTooLongError");
    for key in keys {
        client.delete_object().bucket(BUCKET).key(key).send().await.unwrap();
    }
    assert_eq!(stack.files(), 0);
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_restart_and_litter_is_not() {
    let stack = Stack::start().await;
    stack.put("kept", b"old").await;
    stack.put("kept", b"new").await;
    stack.put("gone", b"x").await;
    stack.client().delete_object().bucket(BUCKET).key("gone").send().await.unwrap();
    let root = stack.stop().await;
    // What a kill leaves behind: a body that was never committed.
    std::fs::write(root.path().join(BUCKET).join("01ABANDONED"), b"half of a pict").unwrap();

    let stack = Stack::open(root, vec![bucket(BUCKET)], false).await;
    assert_eq!(stack.keys().await, ["kept"]);
    assert_eq!(stack.read("kept").await, b"new");
    assert_eq!(stack.files(), 1);
}

#[tokio::test]
async fn a_directory_belongs_to_one_process() {
    let stack = Stack::start().await;
    let notify: super::Notify = std::sync::Arc::new(|_, _| Box::pin(async { Ok(()) }));
    let durability = super::Durability::Ephemeral;
    let second = super::open(stack.root.path(), durability, &[], super::identities(), notify).await;
    assert!(second.is_err());
}

#[tokio::test]
async fn a_bucket_that_cannot_be_a_directory_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let notify: super::Notify = std::sync::Arc::new(|_, _| Box::pin(async { Ok(()) }));
    let durability = super::Durability::Ephemeral;
    let bad = [bucket("../outside")];
    let opened = super::open(root.path(), durability, &bad, super::identities(), notify).await;
    assert_eq!(opened.err().unwrap().kind(), std::io::ErrorKind::InvalidInput);
}

#[tokio::test]
async fn lifecycle_rules_expire_what_is_old_enough() {
    let day = Duration::from_hours(24);
    let stack = Stack::with_bucket(Bucket { expire_after: Some(day), ..bucket(BUCKET) }).await;
    stack.put("k", b"x").await;
    let now = Timestamp::now();
    assert_eq!(stack.s3.expire(now).await.unwrap(), 0);
    assert_eq!(stack.s3.expire(now + day + Duration::from_secs(1)).await.unwrap(), 1);
    assert_eq!((stack.keys().await.len(), stack.files()), (0, 0));
}

#[tokio::test]
async fn requests_under_way_finish_when_the_server_stops() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let stack = Stack::start().await;
    let put = stack.client().put_object().bucket(BUCKET).key("k").presigned(hour()).await.unwrap();
    let uri: http::Uri = put.uri().parse().unwrap();
    let mut connection = tokio::net::TcpStream::connect(stack.address).await.unwrap();
    let head = format!(
        "PUT {} HTTP/1.1\r\nHost: {}\r\nContent-Length: 10\r\n\r\n12345",
        uri.path_and_query().unwrap(),
        stack.address
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    wait_for(|| stack.files() == 1).await;
    stack.shutdown.cancel();
    connection.write_all(b"67890").await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(stack.keys().await, ["k"]);
}

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{Delete, MetadataDirective, ObjectIdentifier};

use super::{BUCKET, Stack, code, hour, http, status};

#[tokio::test]
async fn an_object_comes_back_with_everything_it_was_stored_with() {
    let stack = Stack::start().await;
    let client = stack.client();
    let stored = client
        .put_object()
        .bucket(BUCKET)
        .key("a/cat.jpg")
        .body(ByteStream::from_static(b"meow"))
        .content_type("image/jpeg")
        .cache_control("max-age=60")
        .content_disposition("inline")
        .content_encoding("br")
        .content_language("en")
        .metadata("owner", "Łukasz")
        .send()
        .await
        .unwrap();
    let etag = "\"4a4be40c96ac6314e91d93f38043a634\"";
    assert_eq!(stored.e_tag(), Some(etag));

    let head = client.head_object().bucket(BUCKET).key("a/cat.jpg").send().await.unwrap();
    let got = client.get_object().bucket(BUCKET).key("a/cat.jpg").send().await.unwrap();
    assert_eq!((head.e_tag(), got.e_tag()), (Some(etag), Some(etag)));
    assert_eq!((head.content_length(), got.content_length()), (Some(4), Some(4)));
    assert_eq!(head.content_type(), Some("image/jpeg"));
    assert_eq!(got.content_type(), Some("image/jpeg"));
    assert_eq!(got.cache_control(), Some("max-age=60"));
    assert_eq!(got.content_disposition(), Some("inline"));
    assert_eq!(got.content_encoding(), Some("br"));
    assert_eq!(got.content_language(), Some("en"));
    assert_eq!(got.accept_ranges(), Some("bytes"));
    let age = SystemTime::now().duration_since((*got.last_modified().unwrap()).try_into().unwrap());
    assert!(age.unwrap() < Duration::from_mins(1));
    assert_eq!(got.metadata(), head.metadata());
    assert_eq!(got.metadata().unwrap().len(), 1);
    assert_eq!(got.body.collect().await.unwrap().to_vec(), b"meow");
}

#[tokio::test]
async fn what_came_without_a_type_has_the_one_that_s3_gives() {
    let stack = Stack::start().await;
    let sent = stack.client().put_object().bucket(BUCKET).key("k").presigned(hour()).await.unwrap();
    http().put(sent.uri()).body("x").send().await.unwrap().error_for_status().unwrap();
    let head = stack.client().head_object().bucket(BUCKET).key("k").send().await.unwrap();
    assert_eq!(head.content_type(), Some("binary/octet-stream"));
}

#[tokio::test]
async fn ranges_are_served_as_rfc_9110_says() {
    let stack = Stack::start().await;
    stack.put("digits", b"0123456789").await;
    stack.put("empty", b"").await;
    let get =
        |key: &str, range: &str| stack.client().get_object().bucket(BUCKET).key(key).range(range).send();
    for (range, body, shown) in [
        ("bytes=0-0", "0", "bytes 0-0/10"),
        ("bytes=2-4", "234", "bytes 2-4/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=-3", "789", "bytes 7-9/10"),
        ("bytes=-100", "0123456789", "bytes 0-9/10"),
        ("bytes=8-1000", "89", "bytes 8-9/10"),
    ] {
        let part = get("digits", range).await.unwrap();
        assert_eq!(part.content_range(), Some(shown), "{range}");
        assert_eq!(part.content_length(), i64::try_from(body.len()).ok(), "{range}");
        assert_eq!(part.body.collect().await.unwrap().to_vec(), body.as_bytes(), "{range}");
    }
    assert_eq!(code(get("digits", "bytes=10-").await), "InvalidRange");
    assert_eq!(status(get("digits", "bytes=-0").await), 416);
    assert_eq!(status(get("empty", "bytes=-5").await), 416);
    assert_eq!(stack.read("empty").await, b"");
}

#[tokio::test]
async fn reads_honour_their_conditions() {
    let stack = Stack::start().await;
    stack.put("k", b"one").await;
    let client = stack.client();
    let get = || client.get_object().bucket(BUCKET).key("k");
    let etag = get().send().await.unwrap().e_tag().unwrap().to_owned();
    let past = DateTime::from_secs(1_000_000_000);
    let future = DateTime::from(SystemTime::now() + Duration::from_mins(1));

    assert!(get().if_match(&etag).send().await.is_ok());
    assert_eq!(status(get().if_match("\"other\"").send().await), 412);
    assert_eq!(status(get().if_none_match(&etag).send().await), 304);
    assert!(get().if_none_match("\"other\"").send().await.is_ok());
    assert_eq!(status(get().if_modified_since(future).send().await), 304);
    assert!(get().if_modified_since(past).send().await.is_ok());
    assert_eq!(status(get().if_unmodified_since(past).send().await), 412);
    assert!(get().if_unmodified_since(future).send().await.is_ok());
    // Tags go before times.
    assert!(get().if_match(&etag).if_unmodified_since(past).send().await.is_ok());
    assert!(get().if_none_match("\"other\"").if_modified_since(future).send().await.is_ok());

    let url = get().presigned(hour()).await.unwrap();
    let unchanged = http().get(url.uri()).header("if-none-match", &etag).send().await.unwrap();
    assert_eq!(unchanged.status(), 304);
    assert_eq!(unchanged.headers()["etag"], etag.as_str());
    assert!(unchanged.headers().contains_key("last-modified"));
}

#[tokio::test]
async fn a_reader_may_name_the_headers_of_the_answer() {
    let stack = Stack::start().await;
    stack.put("k", b"one").await;
    let client = stack.client();
    let got = client
        .get_object()
        .bucket(BUCKET)
        .key("k")
        .response_content_disposition("attachment; filename=\"a.jpg\"")
        .response_content_type("image/jpeg")
        .response_cache_control("no-store")
        .send()
        .await
        .unwrap();
    assert_eq!(got.content_disposition(), Some("attachment; filename=\"a.jpg\""));
    assert_eq!(got.content_type(), Some("image/jpeg"));
    assert_eq!(got.cache_control(), Some("no-store"));
}

#[tokio::test]
async fn presigned_urls_read_and_write_without_the_sdk() {
    let stack = Stack::start().await;
    let client = stack.client();
    let put = client
        .put_object()
        .bucket(BUCKET)
        .key("up/ü b+c.txt")
        .content_type("text/plain")
        .content_length(5)
        .if_none_match("*")
        .presigned(hour())
        .await
        .unwrap();
    let send = |body: &'static str| {
        let mut request = http().put(put.uri()).body(body);
        for (name, value) in put.headers().filter(|(name, _)| *name != "content-length") {
            request = request.header(name, value);
        }
        request.send()
    };
    // The length is signed.
    assert_eq!(send("too long").await.unwrap().status(), 403);
    assert_eq!(send("hello").await.unwrap().status(), 200);
    assert_eq!(send("again").await.unwrap().status(), 412);

    let get = client.get_object().bucket(BUCKET).key("up/ü b+c.txt");
    let url = get.presigned(hour()).await.unwrap().uri().to_owned();
    let got = http().get(&url).send().await.unwrap();
    assert_eq!(got.headers()["content-type"], "text/plain");
    assert_eq!(got.text().await.unwrap(), "hello");
    let altered = http().get(url.replace("X-Amz-Expires=3600", "X-Amz-Expires=7200"));
    let altered = altered.send().await.unwrap();
    assert_eq!(altered.status(), 403);
    assert!(altered.text().await.unwrap().contains("<Code>SignatureDoesNotMatch</Code>"));
}

#[tokio::test]
async fn a_presigned_url_expires() {
    let stack = Stack::start().await;
    stack.put("k", b"one").await;
    let then = SystemTime::now() - Duration::from_mins(2);
    let config =
        PresigningConfig::builder().start_time(then).expires_in(Duration::from_mins(1)).build().unwrap();
    let url = stack.client().get_object().bucket(BUCKET).key("k").presigned(config).await.unwrap();
    let got = http().get(url.uri()).send().await.unwrap();
    assert_eq!(got.status(), 403);
    let body = got.text().await.unwrap();
    assert!(body.contains("<Code>AccessDenied</Code>") && body.contains("expired"), "{body}");
}

#[tokio::test]
async fn copies_keep_or_replace_what_the_source_carries() {
    let stack = Stack::start().await;
    let client = stack.client();
    client
        .put_object()
        .bucket(BUCKET)
        .key("from here/ä")
        .content_type("image/png")
        .metadata("a", "1")
        .body(ByteStream::from_static(b"bytes"))
        .send()
        .await
        .unwrap();
    let copy = || client.copy_object().bucket(BUCKET).copy_source("pictures/from%20here/%C3%A4");
    let kept = copy().key("kept").send().await.unwrap();
    assert!(kept.copy_object_result().unwrap().e_tag().is_some());
    copy()
        .key("replaced")
        .metadata_directive(MetadataDirective::Replace)
        .content_type("image/webp")
        .send()
        .await
        .unwrap();
    let kept = client.head_object().bucket(BUCKET).key("kept").send().await.unwrap();
    let replaced = client.head_object().bucket(BUCKET).key("replaced").send().await.unwrap();
    assert_eq!(kept.content_type(), Some("image/png"));
    assert_eq!(kept.metadata().unwrap(), &HashMap::from([("a".to_owned(), "1".to_owned())]));
    assert_eq!(replaced.content_type(), Some("image/webp"));
    assert!(replaced.metadata().unwrap().is_empty());
    assert_eq!(stack.read("kept").await, b"bytes");

    assert_eq!(code(copy().key("from here/ä").send().await), "InvalidRequest");
    assert_eq!(code(copy().key("x").copy_source_if_match("\"no\"").send().await), "PreconditionFailed");
    let missing = client.copy_object().bucket(BUCKET).key("x").copy_source("pictures/none");
    assert_eq!(code(missing.send().await), "NoSuchKey");
}

#[tokio::test]
async fn deleting_is_idempotent_and_leaves_no_file() {
    let stack = Stack::start().await;
    let client = stack.client();
    for key in ["a", "b", "c"] {
        stack.put(key, key.as_bytes()).await;
    }
    assert_eq!(stack.files(), 3);
    client.delete_object().bucket(BUCKET).key("a").send().await.unwrap();
    client.delete_object().bucket(BUCKET).key("a").send().await.unwrap();
    assert_eq!(code(client.get_object().bucket(BUCKET).key("a").send().await), "NoSuchKey");
    assert_eq!(status(client.head_object().bucket(BUCKET).key("a").send().await), 404);

    let object = |key: &str| ObjectIdentifier::builder().key(key).build().unwrap();
    let delete =
        Delete::builder().set_objects(Some(["b", "c", "never"].map(object).to_vec())).build().unwrap();
    let deleted = client.delete_objects().bucket(BUCKET).delete(delete).send().await.unwrap();
    assert_eq!(deleted.deleted().len(), 3);
    assert!(deleted.errors().is_empty());
    assert_eq!(stack.files(), 0);
    assert!(stack.keys().await.is_empty());
}

#[tokio::test]
async fn buckets_are_known_and_others_are_not() {
    let stack = Stack::start().await;
    let client = stack.client();
    client.head_bucket().bucket(BUCKET).send().await.unwrap();
    let location = client.get_bucket_location().bucket(BUCKET).send().await.unwrap();
    assert_eq!(location.location_constraint().unwrap().as_str(), "eu-west-1");
    let all = client.list_buckets().send().await.unwrap();
    assert_eq!(all.buckets()[0].name(), Some(BUCKET));
    let other = client.put_object().bucket("other").key("k").send().await;
    assert_eq!(code(other), "NoSuchBucket");
    assert_eq!(status(client.head_bucket().bucket("other").send().await), 404);
}

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{Delete, ObjectIdentifier};

use super::{BUCKET, Stack, code, hour, http, status};

#[tokio::test]
async fn only_known_keys_and_right_secrets_get_in() {
    let stack = Stack::start().await;
    stack.put("in/k", b"x").await;
    let get = |name: &str| stack.client_of(name).get_object().bucket(BUCKET).key("in/k").send();
    assert_eq!(code(get("stranger").await), "InvalidAccessKeyId");
    let anonymous = http().get(stack.url("pictures/in/k")).send().await.unwrap();
    assert_eq!(anonymous.status(), 403);
    assert!(anonymous.text().await.unwrap().contains("<Code>AccessDenied</Code>"));
    let forged = http()
        .get(stack.url("pictures/in/k"))
        .header(
            "authorization",
            "AWS4-HMAC-SHA256 Credential=root/20260101/eu-west-1/s3/aws4_request, \
             SignedHeaders=host;x-amz-date, Signature=00",
        )
        .header("x-amz-date", "20260101T000000Z")
        .send()
        .await
        .unwrap();
    assert_eq!(forged.status(), 403);
    assert!(get("reader").await.is_ok());
}

#[tokio::test]
async fn identities_do_what_their_statements_say() {
    let stack = Stack::start().await;
    stack.put("in/k", b"x").await;
    stack.put("out/k", b"x").await;
    let put = |name: &str, key: &str| {
        let put = stack.client_of(name).put_object().bucket(BUCKET).key(key);
        put.body(ByteStream::from_static(b"new")).send()
    };
    let get = |name: &str, key: &str| stack.client_of(name).get_object().bucket(BUCKET).key(key).send();
    assert!(put("writer", "in/k").await.is_ok());
    assert_eq!(code(put("writer", "out/k").await), "AccessDenied");
    assert_eq!(code(put("reader", "in/k").await), "AccessDenied");
    assert!(get("reader", "in/k").await.is_ok());
    assert_eq!(code(get("reader", "out/k").await), "AccessDenied");
    assert_eq!(code(get("writer", "in/k").await), "AccessDenied");
    assert_eq!(stack.read("out/k").await, b"x");

    let copy = |name: &str, source: &str, target: &str| {
        let copy = stack.client_of(name).copy_object().bucket(BUCKET).key(target);
        copy.copy_source(format!("pictures/{source}")).send()
    };
    assert_eq!(code(copy("writer", "in/k", "in/copy").await), "AccessDenied", "may not read");
    assert_eq!(code(copy("reader", "in/k", "in/copy").await), "AccessDenied", "may not write");
    assert_eq!(status(stack.client_of("nobody").list_buckets().send().await), 403);
}

#[tokio::test]
async fn who_may_not_list_does_not_learn_what_is_missing() {
    let stack = Stack::start().await;
    let missing = |name: &str| stack.client_of(name).get_object().bucket(BUCKET).key("in/none").send();
    assert_eq!(code(missing("root").await), "NoSuchKey");
    assert_eq!(code(missing("reader").await), "AccessDenied");
    let head = stack.client_of("reader").head_object().bucket(BUCKET).key("in/none");
    assert_eq!(status(head.send().await), 403);
}

#[tokio::test]
async fn listing_is_allowed_by_prefix() {
    let stack = Stack::start().await;
    let list = |prefix: Option<&str>| {
        let list = stack.client_of("browser").list_objects_v2().bucket(BUCKET);
        list.set_prefix(prefix.map(str::to_owned)).send()
    };
    assert!(list(Some("in/a")).await.is_ok());
    assert_eq!(code(list(Some("out/")).await), "AccessDenied");
    assert_eq!(code(list(None).await), "AccessDenied");
}

#[tokio::test]
async fn each_key_of_a_bulk_delete_is_asked_for() {
    let stack = Stack::start().await;
    stack.put("in/k", b"x").await;
    stack.put("out/k", b"x").await;
    let object = |key: &str| ObjectIdentifier::builder().key(key).build().unwrap();
    let delete = Delete::builder().set_objects(Some(["in/k", "out/k"].map(object).to_vec())).build().unwrap();
    let client = stack.client_of("writer");
    let result = client.delete_objects().bucket(BUCKET).delete(delete).send().await.unwrap();
    assert_eq!(result.deleted()[0].key(), Some("in/k"));
    assert_eq!(result.errors()[0].key(), Some("out/k"));
    assert_eq!(result.errors()[0].code(), Some("AccessDenied"));
    assert_eq!(stack.keys().await, ["out/k"]);
}

#[tokio::test]
async fn a_presigned_url_has_the_rights_of_its_signer() {
    let stack = Stack::start().await;
    stack.put("out/k", b"x").await;
    let get = |name: &str| stack.client_of(name).get_object().bucket(BUCKET).key("out/k");
    for (name, expected) in [("root", 200), ("reader", 403)] {
        let url = get(name).presigned(hour()).await.unwrap();
        assert_eq!(http().get(url.uri()).send().await.unwrap().status(), expected, "{name}");
    }
}

#[tokio::test]
async fn a_bucket_that_does_not_exist_is_not_a_missing_right() {
    let stack = Stack::start().await;
    let get = stack.client_of("nobody").get_object().bucket("other").key("k");
    assert_eq!(code(get.send().await), "NoSuchBucket");
}

#[tokio::test]
async fn a_large_upload_that_is_denied_says_so() {
    let stack = Stack::start().await;
    let put = stack.client_of("reader").put_object().bucket(BUCKET).key("in/large");
    let body = ByteStream::from(vec![0; 32 << 20]);
    assert_eq!(code(put.body(body).send().await), "AccessDenied");
    assert!(stack.keys().await.is_empty());
}

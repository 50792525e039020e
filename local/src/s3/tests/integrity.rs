use aws_sdk_s3::error::DisplayErrorContext;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, ChecksumType};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use futures::stream;

use super::{BUCKET, Stack, code, hour, http, wait_for};

#[tokio::test]
async fn every_algorithm_is_verified_stored_and_returned() {
    let stack = Stack::start().await;
    let client = stack.client();
    for algorithm in [
        ChecksumAlgorithm::Crc32,
        ChecksumAlgorithm::Crc32C,
        ChecksumAlgorithm::Crc64Nvme,
        ChecksumAlgorithm::Sha1,
        ChecksumAlgorithm::Sha256,
    ] {
        // A body from memory goes with its checksum in a header; one that streams, in a trailer.
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"hello").unwrap();
        for body in [ByteStream::from_static(b"hello"), ByteStream::from_path(file.path()).await.unwrap()] {
            let put = client.put_object().bucket(BUCKET).key("k").body(body);
            put.checksum_algorithm(algorithm.clone())
                .send()
                .await
                .unwrap_or_else(|e| panic!("{algorithm}: {}", DisplayErrorContext(e)));
            let head = client.head_object().bucket(BUCKET).key("k");
            let head = head.checksum_mode(ChecksumMode::Enabled).send().await.unwrap();
            let value = match algorithm {
                ChecksumAlgorithm::Crc32 => head.checksum_crc32(),
                ChecksumAlgorithm::Crc32C => head.checksum_crc32_c(),
                ChecksumAlgorithm::Crc64Nvme => head.checksum_crc64_nvme(),
                ChecksumAlgorithm::Sha1 => head.checksum_sha1(),
                _ => head.checksum_sha256(),
            };
            assert!(value.is_some(), "{algorithm}");
            assert_eq!(head.checksum_type(), Some(&ChecksumType::FullObject));
        }
        // The SDK verifies what it reads against the checksum.
        assert_eq!(stack.read("k").await, b"hello");
    }
    let head = client.head_object().bucket(BUCKET).key("k").send().await.unwrap();
    assert_eq!(head.checksum_sha256(), None, "only who asks gets it");
}

#[tokio::test]
async fn a_wrong_checksum_leaves_nothing() {
    let stack = Stack::start().await;
    let client = stack.client();
    let put = || client.put_object().bucket(BUCKET).key("k").body(ByteStream::from_static(b"hello"));
    let sha256 = BASE64.encode([7; 32]);
    assert_eq!(code(put().checksum_sha256(sha256).send().await), "BadDigest");
    assert_eq!(code(put().checksum_crc32("AAAAAA==").send().await), "BadDigest");
    assert_eq!(code(put().checksum_crc64_nvme("AAAAAAAAAAA=").send().await), "BadDigest");
    assert_eq!(code(put().checksum_crc32("nonsense").send().await), "InvalidRequest");
    assert_eq!(code(put().content_md5(BASE64.encode([7; 16])).send().await), "BadDigest");
    assert_eq!(code(put().content_md5("short").send().await), "InvalidDigest");
    assert!(stack.keys().await.is_empty());
    assert_eq!(stack.files(), 0);

    put().content_md5("XUFAKrxLKna5cZ2REBfFkg==").send().await.unwrap();
    assert_eq!(stack.keys().await, ["k"]);
}

#[tokio::test]
async fn a_refused_write_leaves_the_object_as_it_was() {
    let stack = Stack::start().await;
    stack.put("k", b"the old one").await;
    let refused = stack.client().put_object().bucket(BUCKET).key("k").checksum_crc32("AAAAAA==");
    assert_eq!(code(refused.body(ByteStream::from_static(b"new")).send().await), "BadDigest");
    assert_eq!(stack.read("k").await, b"the old one");
    assert_eq!(stack.files(), 1);
}

#[tokio::test]
async fn the_signed_hash_of_the_body_is_checked() {
    let stack = Stack::start().await;
    let url = presigned(&stack).await;
    let hash = "0000000000000000000000000000000000000000000000000000000000000000";
    let answer = http().put(url).header("x-amz-content-sha256", hash).body("hello").send().await;
    let answer = answer.unwrap();
    assert_eq!(answer.status(), 400);
    let body = answer.text().await.unwrap();
    assert!(body.contains("<Code>XAmzContentSHA256Mismatch</Code>"), "{body}");
    assert_eq!((stack.keys().await.len(), stack.files()), (0, 0));
}

#[tokio::test]
async fn a_body_without_a_length_is_refused() {
    let stack = Stack::start().await;
    let chunks = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"hello"))]);
    let body = reqwest::Body::wrap_stream(chunks);
    let answer = http().put(presigned(&stack).await).body(body).send().await.unwrap();
    assert_eq!(answer.status(), 411);
    assert_eq!((stack.keys().await.len(), stack.files()), (0, 0));
}

#[tokio::test]
async fn a_body_that_breaks_off_leaves_nothing() {
    use tokio::io::AsyncWriteExt as _;
    let stack = Stack::start().await;
    let url: http::Uri = presigned(&stack).await.parse().unwrap();
    let mut connection = tokio::net::TcpStream::connect(stack.address).await.unwrap();
    let head = format!(
        "PUT {} HTTP/1.1\r\nHost: {}\r\nContent-Length: 1000000\r\n\r\nthe beginning",
        url.path_and_query().unwrap(),
        stack.address
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    wait_for(|| stack.files() == 1).await;
    drop(connection);
    wait_for(|| stack.files() == 0).await;
    assert!(stack.keys().await.is_empty());
}

#[tokio::test]
async fn a_large_body_streams_through() {
    let stack = Stack::start().await;
    let megabyte = Bytes::from(vec![7; 1 << 20]);
    let chunks = stream::iter((0..40).map(move |_| Ok::<_, std::io::Error>(megabyte.clone())));
    let put = http().put(presigned(&stack).await).header("content-length", 40 << 20);
    let answer = put.body(reqwest::Body::wrap_stream(chunks)).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(stack.s3.list(BUCKET).await.unwrap(), [("k".to_owned(), 40 << 20)]);
    assert_eq!(stack.read("k").await.len(), 40 << 20);
}

async fn presigned(stack: &Stack) -> String {
    let put = stack.client().put_object().bucket(BUCKET).key("k");
    put.presigned(hour()).await.unwrap().uri().to_owned()
}

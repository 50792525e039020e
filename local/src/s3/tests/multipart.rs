use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, CompletedMultipartUpload, CompletedPart};

use super::{BUCKET, Stack, code};

const FIVE_MEGABYTES: usize = 5 << 20;

async fn create(stack: &Stack, key: &str) -> String {
    let created = stack.client().create_multipart_upload().bucket(BUCKET).key(key);
    let created = created.content_type("image/tiff").metadata("a", "b").send().await.unwrap();
    created.upload_id().unwrap().to_owned()
}

async fn part(stack: &Stack, key: &str, id: &str, number: i32, body: Vec<u8>) -> CompletedPart {
    let client = stack.client();
    let part = client.upload_part().bucket(BUCKET).key(key).upload_id(id).part_number(number);
    let sent = part.body(ByteStream::from(body)).send().await.unwrap();
    CompletedPart::builder().part_number(number).e_tag(sent.e_tag().unwrap()).build()
}

async fn complete(stack: &Stack, key: &str, id: &str, parts: &[CompletedPart]) -> Result<String, String> {
    let upload = CompletedMultipartUpload::builder().set_parts(Some(parts.to_vec())).build();
    let client = stack.client();
    let complete = client.complete_multipart_upload().bucket(BUCKET).key(key).upload_id(id);
    match complete.multipart_upload(upload).send().await {
        Ok(done) => Ok(done.e_tag().unwrap().to_owned()),
        Err(error) => Err(code::<(), _>(Err(error))),
    }
}

#[tokio::test]
async fn parts_become_one_object() {
    let stack = Stack::start().await;
    let id = create(&stack, "big").await;
    // Out of order, and one of them twice: the later one counts.
    let second = part(&stack, "big", &id, 7, b"the end".to_vec()).await;
    part(&stack, "big", &id, 1, vec![0; FIVE_MEGABYTES]).await;
    let first = part(&stack, "big", &id, 1, vec![1; FIVE_MEGABYTES]).await;
    assert!(stack.keys().await.is_empty(), "nothing is visible before it is complete");

    let etag = complete(&stack, "big", &id, &[first, second]).await.unwrap();
    assert!(etag.ends_with("-2\"") && etag.len() == 36, "{etag}");
    let client = stack.client();
    let got = client.get_object().bucket(BUCKET).key("big").send().await.unwrap();
    assert_eq!(got.e_tag(), Some(etag.as_str()));
    assert_eq!(got.content_type(), Some("image/tiff"));
    assert_eq!(got.metadata().unwrap()["a"], "b");
    let body = got.body.collect().await.unwrap().to_vec();
    assert_eq!(body.len(), FIVE_MEGABYTES + 7);
    assert!(body[..FIVE_MEGABYTES].iter().all(|&byte| byte == 1));
    assert!(body.ends_with(b"the end"));
    assert_eq!(stack.files(), 1, "the parts are gone");
    let again = complete(&stack, "big", &id, &[]).await;
    assert_eq!(again, Err("NoSuchUpload".to_owned()));

    // A copy has an ordinary ETag.
    let copy = client.copy_object().bucket(BUCKET).key("copy").copy_source("pictures/big");
    let copy = copy.send().await.unwrap();
    assert_eq!(copy.copy_object_result().unwrap().e_tag().unwrap().len(), 34);
}

#[tokio::test]
async fn an_upload_resumes_where_it_stopped_even_after_a_restart() {
    let stack = Stack::start().await;
    let id = create(&stack, "big").await;
    let first = part(&stack, "big", &id, 1, vec![1; FIVE_MEGABYTES]).await;
    let root = stack.stop().await;

    let stack = Stack::open(root, vec![super::bucket(BUCKET)], false).await;
    let client = stack.client();
    let uploads = client.list_multipart_uploads().bucket(BUCKET).send().await.unwrap();
    assert_eq!(uploads.uploads()[0].key(), Some("big"));
    let id = uploads.uploads()[0].upload_id().unwrap();
    let parts = client.list_parts().bucket(BUCKET).key("big").upload_id(id).send().await.unwrap();
    assert_eq!(parts.parts().len(), 1);
    assert_eq!(parts.parts()[0].part_number(), Some(1));
    assert_eq!(parts.parts()[0].size(), Some(5 << 20));
    assert_eq!(parts.parts()[0].e_tag(), first.e_tag());

    let second = part(&stack, "big", id, 2, b"tail".to_vec()).await;
    complete(&stack, "big", id, &[first, second]).await.unwrap();
    assert_eq!(stack.s3.list(BUCKET).await.unwrap(), [("big".to_owned(), (5 << 20) + 4)]);
}

#[tokio::test]
async fn what_does_not_fit_together_is_refused() {
    let stack = Stack::start().await;
    let id = create(&stack, "k").await;
    let small = part(&stack, "k", &id, 1, b"small".to_vec()).await;
    let last = part(&stack, "k", &id, 2, b"last".to_vec()).await;
    let wrong = CompletedPart::builder().part_number(1).e_tag("\"0\"").build();
    let never = CompletedPart::builder().part_number(3).e_tag("\"0\"").build();
    let try_with = async |parts: &[&CompletedPart]| {
        let parts: Vec<_> = parts.iter().map(|&part| part.clone()).collect();
        complete(&stack, "k", &id, &parts).await.unwrap_err()
    };
    assert_eq!(try_with(&[]).await, "MalformedXML");
    assert_eq!(try_with(&[&wrong]).await, "InvalidPart");
    assert_eq!(try_with(&[&small, &never]).await, "InvalidPart");
    assert_eq!(try_with(&[&last, &small]).await, "InvalidPartOrder");
    assert_eq!(try_with(&[&small, &last]).await, "EntityTooSmall");
    assert_eq!(
        complete(&stack, "k", "no-such-id", std::slice::from_ref(&last)).await.unwrap_err(),
        "NoSuchUpload"
    );
    assert_eq!(
        complete(&stack, "other", &id, std::slice::from_ref(&last)).await.unwrap_err(),
        "NoSuchUpload"
    );
    assert_eq!(stack.files(), 2, "only the two parts");
    complete(&stack, "k", &id, &[last]).await.unwrap();
    assert_eq!(stack.read("k").await, b"last");
    assert_eq!(stack.files(), 1, "the part that was not chosen is gone, too");
}

#[tokio::test]
async fn an_aborted_upload_leaves_nothing() {
    let stack = Stack::start().await;
    let id = create(&stack, "k").await;
    part(&stack, "k", &id, 1, b"x".to_vec()).await;
    let client = stack.client();
    let abort = || client.abort_multipart_upload().bucket(BUCKET).key("k").upload_id(&id);
    abort().send().await.unwrap();
    assert_eq!(stack.files(), 0);
    assert_eq!(code(abort().send().await), "NoSuchUpload");
    let late = client.upload_part().bucket(BUCKET).key("k").upload_id(&id).part_number(2);
    assert_eq!(code(late.body(ByteStream::from_static(b"x")).send().await), "NoSuchUpload");
    assert_eq!(stack.files(), 0);
    let uploads = client.list_multipart_uploads().bucket(BUCKET).send().await.unwrap();
    assert!(uploads.uploads().is_empty());
}

#[tokio::test]
async fn checksums_of_parts_make_that_of_the_whole() {
    let stack = Stack::start().await;
    let client = stack.client();
    for (algorithm, composite) in [(ChecksumAlgorithm::Sha256, true), (ChecksumAlgorithm::Crc64Nvme, false)] {
        let created = client.create_multipart_upload().bucket(BUCKET).key("k");
        let created = created.checksum_algorithm(algorithm.clone()).send().await.unwrap();
        let id = created.upload_id().unwrap();
        let part = client.upload_part().bucket(BUCKET).key("k").upload_id(id).part_number(1);
        let part = part.checksum_algorithm(algorithm).body(ByteStream::from_static(b"hello"));
        let part = part.send().await.unwrap();
        let listed = CompletedPart::builder()
            .part_number(1)
            .e_tag(part.e_tag().unwrap())
            .set_checksum_sha256(part.checksum_sha256().map(str::to_owned))
            .set_checksum_crc64_nvme(part.checksum_crc64_nvme().map(str::to_owned))
            .build();
        complete(&stack, "k", id, &[listed]).await.unwrap();
        let head = client.head_object().bucket(BUCKET).key("k");
        let head = head.checksum_mode(ChecksumMode::Enabled).send().await.unwrap();
        if composite {
            assert!(head.checksum_sha256().unwrap().ends_with("-1"));
            assert_ne!(head.checksum_sha256(), part.checksum_sha256());
        } else {
            assert_eq!(head.checksum_crc64_nvme(), part.checksum_crc64_nvme());
        }
        assert_eq!(stack.read("k").await, b"hello");
    }
}

#[tokio::test]
async fn completing_can_be_conditional() {
    let stack = Stack::start().await;
    stack.put("k", b"first").await;
    let id = create(&stack, "k").await;
    let only = part(&stack, "k", &id, 1, b"second".to_vec()).await;
    let upload = CompletedMultipartUpload::builder().parts(only).build();
    let client = stack.client();
    let complete = client.complete_multipart_upload().bucket(BUCKET).key("k").upload_id(&id);
    let complete = complete.multipart_upload(upload);
    assert_eq!(code(complete.clone().if_none_match("*").send().await), "PreconditionFailed");
    assert_eq!(stack.read("k").await, b"first");
    complete.send().await.unwrap();
    assert_eq!(stack.read("k").await, b"second");
}

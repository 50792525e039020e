//! Uploads in parts: sent, lost, sent again, joined and given up; by our own API, and by the one that Uppy wants.

use std::collections::BTreeMap;

use end_to_end::{Answer, Api, Stack, answer, pictures};
use http::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const PART: usize = 8 << 20;

/// A picture with comments in it, which make it as large as one likes.
fn large_jpeg(least: usize) -> Vec<u8> {
    let picture = pictures::jpeg(&pictures::halves(300, 200));
    let (start, rest) = picture.split_at(2);
    let mut bytes = start.to_vec();
    let mut number = 0_u8;
    while bytes.len() + rest.len() < least {
        number = number.wrapping_add(1);
        bytes.extend([0xff, 0xfe, 0xff, 0xff]);
        bytes.extend(std::iter::repeat_n(number, 0xffff - 2));
    }
    bytes.extend(rest);
    bytes
}

/// An upload that is under way.
struct Upload {
    image: String,
    path: String,
}

async fn begin(api: &Api, bytes: usize) -> Upload {
    let new = json!({ "content_type": "image/jpeg", "bytes": bytes, "method": "MULTIPART" });
    let answer = api.post("/v1/uploads", &new).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let begun: Value = answer.json();
    assert_eq!((&begun["part_bytes"], &begun["parts"]), (&json!(PART), &json!(bytes.div_ceil(PART))));
    let text = |name: &str| begun[name].as_str().unwrap().to_owned();
    let path = format!("/v1/images/{}/uploads/{}", text("image"), text("id"));
    assert_eq!(begun["targets"], format!("{path}/targets"));
    Upload { image: text("image"), path }
}

impl Upload {
    /// Where to send a part.
    async fn target(&self, api: &Api, number: usize) -> String {
        let answer = api.get(&format!("{}/targets?parts={number}", self.path)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json::<Value>()["parts"][0]["url"].as_str().unwrap().to_owned()
    }

    /// Sends a part of the bytes, and gives its entity tag.
    async fn send(&self, api: &Api, number: usize, bytes: &[u8]) -> String {
        let part = bytes.chunks(PART).nth(number - 1).unwrap();
        let url = self.target(api, number).await;
        let sent = answer(api.elsewhere(Method::PUT, &url).body(part.to_vec())).await;
        assert_eq!(sent.status, 200, "{}", sent.text());
        sent.header("etag").to_owned()
    }

    async fn parts(&self, api: &Api) -> Vec<u64> {
        let answer = api.get(&format!("{}/parts", self.path)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let answer: Value = answer.json();
        answer["parts"].as_array().unwrap().iter().map(|part| part["number"].as_u64().unwrap()).collect()
    }

    async fn complete(&self, api: &Api, body: &Value) -> Answer {
        api.post(&format!("{}/complete", self.path), body).await
    }
}

/// What S3 keeps that is not an object yet.
async fn left_in_parts(stack: &Stack, image: &str) -> usize {
    stack.root.unfinished_uploads().await.iter().filter(|key| key.contains(image)).count()
}

/// How many bytes of a project are spoken for.
async fn reserved(stack: &Stack, api: &Api) -> i64 {
    let rows = stack.root.rows().await;
    let row = rows.iter().find(|row| row["type"] == "quota" && row["PK"] == format!("P#{}", api.project));
    row.map_or(0, |row| row["reserved"].as_i64().unwrap())
}

fn sha256(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

#[tokio::test]
async fn a_lost_connection_costs_a_part_and_not_the_whole() {
    let stack = Stack::shared().await;
    let api = stack.new_project().await;
    let bytes = large_jpeg(PART + 100);
    let upload = begin(&api, bytes.len()).await;
    assert_eq!(reserved(&stack, &api).await, i64::try_from(bytes.len()).unwrap());
    upload.send(&api, 2, &bytes).await;
    // Here the connection is lost, and with it all that the client knew but the path.
    assert_eq!(upload.parts(&api).await, [2]);
    let missing = upload.complete(&api, &json!({})).await.problem(409, "conflict");
    assert!(missing["detail"].as_str().unwrap().contains(": 1."), "{missing}");
    upload.send(&api, 1, &bytes).await;
    // A part that came twice is there once.
    upload.send(&api, 1, &bytes).await;
    assert_eq!(upload.parts(&api).await, [1, 2]);
    let completed = upload.complete(&api, &json!({})).await;
    assert_eq!(completed.status, 202, "{}", completed.text());
    let image = api.settled(&upload.image).await;
    assert_eq!((&image["state"], &image["sha256"]), (&json!("ready"), &json!(sha256(&bytes))));
    assert_eq!(reserved(&stack, &api).await, 0);
    assert_eq!(left_in_parts(&stack, &upload.image).await, 0);

    // Whatever is asked of it now, it is over; but to complete it again is to have completed it.
    upload_is_over(&api, &upload).await;
    let again = upload.complete(&api, &json!({})).await;
    assert_eq!((again.status, &again.json::<Value>()["state"]), (202, &json!("ready")));
    api.delete(&upload.path).await.problem(409, "conflict");
    assert_eq!(api.image(&upload.image).await["state"], "ready");
}

async fn upload_is_over(api: &Api, upload: &Upload) {
    api.get(&format!("{}/parts", upload.path)).await.problem(410, "gone");
    api.get(&format!("{}/targets?parts=1", upload.path)).await.problem(410, "gone");
}

#[tokio::test]
async fn parts_that_are_named_must_be_those_that_arrived() {
    let stack = Stack::shared().await;
    let bytes = large_jpeg(PART + 100);
    let upload = begin(&stack.api, bytes.len()).await;
    let mut etags = vec![];
    for number in [1, 2] {
        etags.push(upload.send(&stack.api, number, &bytes).await);
    }
    let parts = |parts: &[(usize, &str)]| {
        let part = |&(number, etag): &(usize, &str)| json!({ "number": number, "etag": etag });
        json!({ "parts": parts.iter().map(part).collect::<Vec<_>>() })
    };
    let [first, second] = [etags[0].as_str(), etags[1].as_str()];
    for (body, status, code) in [
        (parts(&[(2, second), (1, first)]), 400, "invalid-request"),
        (parts(&[(1, first), (1, first), (2, second)]), 400, "invalid-request"),
        (parts(&[(1, first)]), 409, "conflict"),
        (parts(&[(2, second)]), 409, "conflict"),
        (parts(&[(1, second), (2, second)]), 409, "conflict"),
        (parts(&[(1, first), (2, second), (3, first)]), 409, "conflict"),
        (parts(&[]), 409, "conflict"),
    ] {
        upload.complete(&stack.api, &body).await.problem(status, code);
    }
    let request = |body: &Value| {
        let path = format!("{}/complete", upload.path);
        stack.api.request(Method::POST, &path).header("idempotency-key", "complete-1").json(body)
    };
    let all = parts(&[(1, first), (2, second)]);
    for _ in 0..2 {
        let completed = answer(request(&all)).await;
        assert_eq!(completed.status, 202, "{}", completed.text());
    }
    answer(request(&json!({}))).await.problem(422, "idempotency-mismatch");
    assert_eq!(stack.api.settled(&upload.image).await["state"], "ready");
}

#[tokio::test]
async fn what_is_sent_to_an_upload_that_was_aborted_is_lost() {
    let stack = Stack::shared().await;
    let api = stack.new_project().await;
    let bytes = large_jpeg(PART + 100);
    let upload = begin(&api, bytes.len()).await;
    upload.send(&api, 1, &bytes).await;
    let late = upload.target(&api, 2).await;
    for _ in 0..2 {
        assert_eq!(api.delete(&upload.path).await.status, 204);
    }
    let sent = answer(api.elsewhere(Method::PUT, &late).body(bytes[PART..].to_vec())).await;
    sent.refused_by_s3(404, "NoSuchUpload");
    upload_is_over(&api, &upload).await;
    upload.complete(&api, &json!({})).await.problem(410, "gone");
    let image = api.image(&upload.image).await;
    assert_eq!((&image["state"], &image["failure"]["code"]), (&json!("failed"), &json!("upload-aborted")));
    assert_eq!((left_in_parts(&stack, &upload.image).await, reserved(&stack, &api).await), (0, 0));
    assert_eq!(stack.root.events(&upload.image).await, ["image.created", "image.failed"]);
}

#[tokio::test]
async fn completing_and_aborting_at_once_leaves_a_picture_or_nothing() {
    let stack = Stack::shared().await;
    let bytes = large_jpeg(1000);
    let race = async || {
        let upload = begin(&stack.api, bytes.len()).await;
        upload.send(&stack.api, 1, &bytes).await;
        let empty = json!({});
        let (completed, aborted) =
            tokio::join!(upload.complete(&stack.api, &empty), stack.api.delete(&upload.path));
        assert!([202, 409, 410].contains(&completed.status), "{}", completed.text());
        assert!([204, 409].contains(&aborted.status), "{}", aborted.text());
        let image = stack.api.settled(&upload.image).await;
        if aborted.status == 204 {
            assert_eq!(image["failure"]["code"], "upload-aborted", "{image}");
        } else {
            assert_eq!((completed.status, &image["state"]), (202, &json!("ready")), "{image}");
        }
        assert_eq!(left_in_parts(&stack, &upload.image).await, 0);
    };
    tokio::join!(race(), race(), race(), race());
}

#[tokio::test]
async fn a_page_with_an_upload_token_sends_parts_and_sees_its_own_picture_alone() {
    let stack = Stack::shared().await;
    let api = stack.new_project().await;
    let page = async || {
        let made = api.post("/v1/upload-tokens", &json!({})).await;
        assert_eq!(made.status, 201, "{}", made.text());
        api.with_key(made.json::<Value>()["token"].as_str())
    };
    let (one, other) = tokio::join!(page(), page());
    let bytes = large_jpeg(1000);
    let upload = begin(&one, bytes.len()).await;
    let image = format!("/v1/images/{}", upload.image);
    let (targets, parts) = (format!("{}/targets?parts=1", upload.path), format!("{}/parts", upload.path));
    for path in [&image, &targets, &parts] {
        other.get(path).await.problem(404, "not-found");
    }
    upload.complete(&other, &json!({})).await.problem(404, "not-found");
    other.delete(&upload.path).await.problem(404, "not-found");
    upload.send(&one, 1, &bytes).await;
    assert_eq!(upload.parts(&one).await, [1]);
    assert_eq!(upload.complete(&one, &json!({})).await.status, 202);
    assert_eq!(one.settled(&upload.image).await["state"], "ready");
    other.get(&image).await.problem(404, "not-found");
    one.delete(&image).await.problem(403, "forbidden");
    one.get("/v1/images").await.problem(403, "forbidden");
    api.image(&upload.image).await;
}

#[tokio::test]
async fn many_who_complete_one_upload_make_one_image() {
    let stack = Stack::shared().await;
    let bytes = large_jpeg(1000);
    let upload = begin(&stack.api, bytes.len()).await;
    upload.send(&stack.api, 1, &bytes).await;
    let empty = json!({});
    let complete = || upload.complete(&stack.api, &empty);
    let (a, b, c, d) = tokio::join!(complete(), complete(), complete(), complete());
    for completed in [a, b, c, d] {
        assert_eq!(completed.status, 202, "{}", completed.text());
    }
    assert_eq!(stack.api.settled(&upload.image).await["state"], "ready");
    assert_eq!(stack.root.events(&upload.image).await, ["image.created", "image.ready"]);
}

#[tokio::test]
async fn a_part_has_the_size_that_was_signed_for_it() {
    let stack = Stack::shared().await;
    let bytes = large_jpeg(1000);
    let upload = begin(&stack.api, bytes.len()).await;
    let url = upload.target(&stack.api, 1).await;
    for wrong in [&bytes[1..], &[&bytes[..], b"x"].concat()] {
        let sent = answer(stack.api.elsewhere(Method::PUT, &url).body(wrong.to_vec())).await;
        sent.refused_by_s3(403, "SignatureDoesNotMatch");
    }
    stack.api.get(&format!("{}/targets?parts=2", upload.path)).await.problem(400, "invalid-request");
    assert_eq!(stack.api.delete(&upload.path).await.status, 204);
}

#[tokio::test]
async fn an_upload_that_is_left_is_swept_away_with_its_parts() {
    let stack = Stack::shared().await;
    let api = stack.new_project().await;
    let bytes = large_jpeg(PART + 100);
    let upload = begin(&api, bytes.len()).await;
    upload.send(&api, 1, &bytes).await;
    stack.root.sweep().await;
    assert_eq!(
        (api.image(&upload.image).await["state"].clone(), upload.parts(&api).await),
        (json!("pending"), vec![1])
    );
    stack.root.make_due(&upload.image).await;
    stack.root.sweep().await;
    assert_eq!(api.image(&upload.image).await["failure"]["code"], "upload-missing");
    assert_eq!((left_in_parts(&stack, &upload.image).await, reserved(&stack, &api).await), (0, 0));
    upload.complete(&api, &json!({})).await.problem(410, "gone");
}

#[tokio::test]
async fn parts_go_when_their_image_is_purged() {
    let stack = Stack::shared().await;
    let bytes = large_jpeg(1000);
    let upload = begin(&stack.api, bytes.len()).await;
    upload.send(&stack.api, 1, &bytes).await;
    assert_eq!(stack.api.delete(&format!("/v1/images/{}", upload.image)).await.status, 204);
    upload.complete(&stack.api, &json!({})).await.problem(410, "gone");
    stack.root.make_due(&upload.image).await;
    stack.root.sweep().await;
    end_to_end::wait_until("the image to be gone", async || {
        stack.root.image(&upload.image).await.is_none().then_some(())
    })
    .await;
    assert_eq!(left_in_parts(&stack, &upload.image).await, 0);
}

#[tokio::test]
async fn a_request_that_comes_twice_begins_one_upload() {
    let stack = Stack::shared().await;
    let new = json!({ "content_type": "image/jpeg", "bytes": 9, "method": "MULTIPART" });
    let request =
        || stack.api.request(Method::POST, "/v1/uploads").header("idempotency-key", "begin-1").json(&new);
    let (first, again) = tokio::join!(answer(request()), answer(request()));
    let (first, again): (Value, Value) = (first.json(), again.json());
    assert_eq!(first, again);
    let image = first["image"].as_str().unwrap();
    assert_eq!(left_in_parts(&stack, image).await, 1);
    let path = format!("/v1/images/{image}/uploads/{}", first["id"].as_str().unwrap());
    assert_eq!(stack.api.delete(&path).await.status, 204);
}

#[tokio::test]
async fn an_upload_that_was_sent_as_a_whole_can_be_asked_for() {
    let stack = Stack::shared().await;
    let bytes = pictures::jpeg(&pictures::halves(300, 200));
    let reservation = stack.api.reserve_put(&bytes, "image/jpeg").await;
    let path = format!("/v1/images/{}/uploads/{}", reservation.image, reservation.id);
    let complete = || stack.api.request(Method::POST, &format!("{path}/complete"));
    answer(complete()).await.problem(409, "conflict");
    assert_eq!(stack.api.send(&reservation, &bytes).await.status, 200);
    let completed = answer(complete()).await;
    assert_eq!(completed.status, 202, "{}", completed.text());
    stack.api.get(&format!("{path}/parts")).await.problem(409, "conflict");
    assert_eq!(stack.api.settled(&reservation.image).await["state"], "ready");
}

// --- As Uppy does it

/// An upload that Uppy began.
struct Begun {
    image: String,
    path: String,
    query: String,
}

async fn begin_uppy(api: &Api, base: &str, metadata: &Value) -> Begun {
    let new = json!({ "filename": "a.jpg", "type": "image/jpeg", "metadata": metadata });
    let answer = api.post(&format!("{base}/s3/multipart"), &new).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let begun: BTreeMap<String, String> = answer.json();
    let (id, key) = (&begun["uploadId"], &begun["key"]);
    let image = key.split('/').nth(1).unwrap().to_owned();
    let query = format!("?key={}", key.replace('/', "%2F"));
    Begun { image, path: format!("{base}/s3/multipart/{id}"), query }
}

impl Begun {
    async fn send(&self, api: &Api, number: usize, part: &[u8]) -> String {
        let signed = api.get(&format!("{}/{number}{}", self.path, self.query)).await;
        assert_eq!(signed.status, 200, "{}", signed.text());
        let url = signed.json::<Value>()["url"].as_str().unwrap().to_owned();
        let sent = answer(api.elsewhere(Method::PUT, &url).body(part.to_vec())).await;
        assert_eq!(sent.status, 200, "{}", sent.text());
        sent.header("etag").to_owned()
    }

    async fn complete(&self, api: &Api, etags: &[String]) -> Answer {
        let parts: Vec<_> = etags
            .iter()
            .zip(1..)
            .map(|(etag, number)| json!({ "PartNumber": number, "ETag": etag }))
            .collect();
        api.post(&format!("{}/complete{}", self.path, self.query), &json!({ "parts": parts })).await
    }
}

#[tokio::test]
async fn parts_that_are_more_than_was_announced_are_given_up_with_their_image() {
    let stack = Stack::shared().await;
    let bytes = large_jpeg(1000);
    let begun = begin_uppy(&stack.api, "", &json!({ "size": bytes.len() - 1 })).await;
    let etag = begun.send(&stack.api, 1, &bytes).await;
    begun.complete(&stack.api, std::slice::from_ref(&etag)).await.problem(413, "too-large");
    let image = stack.api.settled(&begun.image).await;
    assert_eq!(image["failure"]["code"], "upload-aborted", "{image}");
    begun.complete(&stack.api, &[etag]).await.problem(410, "gone");
    assert_eq!(stack.root.objects_of("UploadsBucket", &begun.image).await, [""; 0]);
}

#[tokio::test]
async fn uppys_requests_are_answered_as_it_expects() {
    let stack = Stack::shared().await;
    let bytes = large_jpeg((5 << 20) + 1000);
    let (first, second) = bytes.split_at(5 << 20);
    let begun = begin_uppy(&stack.api, "", &json!({ "title": "Harbour", "name": "a.jpg" })).await;
    let mut etags = vec![begun.send(&stack.api, 1, first).await];
    let listed: Value = stack.api.get(&format!("{}{}", begun.path, begun.query)).await.json();
    assert_eq!(listed, json!([{ "PartNumber": 1, "Size": first.len(), "ETag": etags[0] }]));
    let batch: Value =
        stack.api.get(&format!("{}/batch{}&partNumbers=1,2", begun.path, begun.query)).await.json();
    assert!(batch["presignedUrls"]["2"].as_str().unwrap().contains("partNumber=2"), "{batch}");
    etags.push(begun.send(&stack.api, 2, second).await);
    let completed: Value = begun.complete(&stack.api, &etags).await.json();
    assert_eq!(completed["location"], format!("/v1/images/{}", begun.image));
    let image = stack.api.settled(&begun.image).await;
    assert_eq!((&image["sha256"], &image["title"]), (&json!(sha256(&bytes)), &json!("Harbour")));
}

#[tokio::test]
async fn another_project_has_no_part_in_an_upload() {
    let stack = Stack::shared().await;
    let stranger = stack.new_project().await;
    let bytes = large_jpeg(1000);
    let upload = begin(&stack.api, bytes.len()).await;
    let begun = begin_uppy(&stack.api, "", &json!({ "size": bytes.len() })).await;
    let own = begin_uppy(&stranger, "", &json!({ "size": bytes.len() })).await;
    let gets = [
        format!("{}/parts", upload.path),
        format!("{}/targets?parts=1", upload.path),
        format!("{}{}", begun.path, begun.query),
        format!("{}/1{}", begun.path, begun.query),
        format!("{}/batch{}&partNumbers=1", begun.path, begun.query),
        // Their own key with our upload, and the other way round.
        format!("{}/1{}", begun.path, own.query),
        format!("{}/1{}", own.path, begun.query),
    ];
    for path in gets {
        stranger.get(&path).await.problem(404, "not-found");
    }
    upload.complete(&stranger, &json!({})).await.problem(404, "not-found");
    begun.complete(&stranger, &["x".into()]).await.problem(404, "not-found");
    for path in [upload.path.clone(), format!("{}{}", begun.path, begun.query)] {
        stranger.delete(&path).await.problem(404, "not-found");
        assert_eq!(stack.api.delete(&path).await.status / 100, 2);
    }
    assert_eq!(stranger.delete(&format!("{}{}", own.path, own.query)).await.status, 200);
}

/// A token in the path is for pages: it opens uploads and nothing else, and only where a path has one.
#[tokio::test]
async fn a_token_in_the_path_is_one_for_uploads() {
    let stack = Stack::shared().await;
    let nobody = stack.api.with_key(None);
    let refused = nobody.post(&format!("/with/{}/s3/multipart", stack.api.key()), &json!({})).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    assert_eq!(nobody.post("/with/tt_x/s3/multipart", &json!({})).await.status, 403);
    assert_eq!(nobody.post("/s3/multipart", &json!({})).await.status, 401);
    let made: Value = stack.api.post("/v1/upload-tokens", &json!({ "count": 2 })).await.json();
    let token = made["token"].as_str().unwrap();
    let bytes = large_jpeg(1000);
    let begun = begin_uppy(&nobody, &format!("/with/{token}"), &json!({ "size": bytes.len() })).await;
    let etag = begun.send(&nobody, 1, &bytes).await;
    assert_eq!(begun.complete(&nobody, &[etag]).await.status, 200);
    assert_eq!(stack.api.settled(&begun.image).await["state"], "ready");
    let form = format!("/with/{token}/s3/params?filename=a.jpg&type=image/jpeg");
    let single: Value = nobody.get(&form).await.json();
    assert_eq!(single["method"], "POST");
    nobody.get(&form).await.problem(403, "forbidden");
    let key: Vec<_> = single["fields"]["key"].as_str().unwrap().split('/').collect();
    let upload = format!("/v1/images/{}/uploads/{}", key[1], key[2]);
    assert_eq!(stack.api.delete(&upload).await.status, 204);
    assert!(stack.log().contains("GET /with/.../s3/params"));
    assert!(!stack.log().contains(token) && !stack.log().contains(stack.api.key()));
}

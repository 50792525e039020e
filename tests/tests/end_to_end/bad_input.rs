//! What clients should not send: each gets a clear answer, or an image that says why it failed.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use end_to_end::{Answer, Reservation, Stack, answer, pictures};
use http::Method;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

// --- Bytes

#[tokio::test]
async fn bytes_that_are_no_usable_image_fail_with_a_reason() {
    let stack = Stack::shared().await;
    let whole = pictures::jpeg(&pictures::noise(400, 300));
    let photo = pictures::jpeg(&pictures::halves(300, 200));
    let png = pictures::png(&pictures::disc(64));
    let random = pictures::noise(20, 20).into_raw();
    let bomb = pictures::png_of(65_000, 65_000);
    assert!((900..1100).contains(&bomb.len()), "{}", bomb.len());
    let cases: [(&str, &[u8], &str, &str); 15] = [
        ("random bytes", &random, "image/jpeg", "not-an-image"),
        ("a text file named .jpg", b"Dear Sir or Madam,\r\n", "image/jpeg", "not-an-image"),
        ("one byte", b"\xff", "image/jpeg", "not-an-image"),
        ("a PDF", b"%PDF-1.7 and so on and so on", "image/png", "not-an-image"),
        ("a JPEG XL", b"\xff\x0a and so on and so on", "image/png", "unsupported-format"),
        ("half a TIFF", b"II*\0\x08\0\0\0\x09\0\0\0\0\0", "image/tiff", "truncated"),
        ("half a JPEG", &whole[..whole.len() / 2], "image/jpeg", "truncated"),
        ("the first bytes of a JPEG", &whole[..30], "image/jpeg", "truncated"),
        ("half a PNG", &png[..png.len() / 2], "image/png", "truncated"),
        ("a PNG of 65,000 x 65,000 in a kilobyte", &bomb, "image/png", "too-large"),
        ("a PNG of no size", &pictures::png_of(0, 10), "image/png", "undecodable"),
        ("a PNG of zeros", &pictures::png_of(10, 10), "image/png", "undecodable"),
        ("a GIF of 10,000 frames", &pictures::long_gif(10_000), "image/gif", "too-many-frames"),
        ("a JPEG announced as PNG", &photo, "image/png", "media-type-mismatch"),
        ("a PNG announced as WebP", &png, "image/webp", "media-type-mismatch"),
    ];
    for (what, bytes, content_type, code) in cases {
        assert_eq!(stack.api.failure(bytes, content_type).await, code, "{what}");
    }
}

#[tokio::test]
async fn a_failed_image_keeps_nothing_and_can_be_trashed() {
    let stack = Stack::shared().await;
    let image = stack.api.upload(b"not an image at all", "image/jpeg").await;
    let failed = stack.api.settled(&image).await;
    assert_eq!(failed["state"], "failed");
    assert_eq!(failed.get("variants"), None);
    for bucket in ["UploadsBucket", "OriginalsBucket", "VariantsBucket"] {
        end_to_end::wait_until("nothing to be kept", async || {
            stack.root.objects_of(bucket, &image).await.is_empty().then_some(())
        })
        .await;
    }
    assert_eq!(stack.root.events(&image).await, ["image.created", "image.failed"]);
    assert_eq!(stack.api.delete(&format!("/v1/images/{image}")).await.status, 204);
}

#[tokio::test]
async fn an_object_that_says_nothing_at_all_fails_its_image() {
    let stack = Stack::shared().await;
    let reservation = stack.api.reserve_put(b"12", "image/png").await;
    // No client can: the presigned request takes two bytes.
    let key = format!("{}/{}/{}", stack.api.project, reservation.image, reservation.id);
    stack.root.put_object("UploadsBucket", &key, vec![]).await;
    let image = stack.api.settled(&reservation.image).await;
    assert_eq!(image["failure"]["code"], "not-an-image", "{image}");
}

// --- Presigned requests

/// A form and a `PUT` for these bytes, neither of which will be used up.
async fn both(stack: &Stack, bytes: &[u8]) -> [Reservation; 2] {
    let mut reservations = vec![];
    for method in ["POST", "PUT"] {
        let new = json!({ "content_type": "image/png", "bytes": bytes.len(), "method": method });
        let reservation = stack.api.reserve(&new).await;
        stack.expect_pending(&reservation.image);
        reservations.push(reservation);
    }
    reservations.try_into().unwrap()
}

/// Nothing has arrived, and the image still waits.
async fn assert_untouched(stack: &Stack, reservation: &Reservation) {
    assert_eq!(stack.root.objects_of("UploadsBucket", &reservation.image).await, [""; 0]);
    assert_eq!(stack.api.image(&reservation.image).await["state"], "pending");
}

#[tokio::test]
async fn a_body_of_another_size_than_announced_is_refused() {
    let stack = Stack::shared().await;
    let bytes = pictures::png(&pictures::disc(32));
    let [form, put] = both(&stack, &bytes).await;
    let larger = [bytes.as_slice(), b"!"].concat();
    let smaller = &bytes[1..];
    stack.api.send(&form, &larger).await.refused_by_s3(400, "EntityTooLarge");
    stack.api.send(&form, &vec![0; 20 << 20]).await.refused_by_s3(400, "EntityTooLarge");
    for body in [smaller, b""] {
        stack.api.send(&form, body).await.refused_by_s3(400, "EntityTooSmall");
    }
    stack.api.send(&put, &larger).await.refused_by_s3(403, "SignatureDoesNotMatch");
    stack.api.send(&put, smaller).await.refused_by_s3(403, "SignatureDoesNotMatch");
    stack.api.send(&put, b"").await.refused_by_s3(403, "SignatureDoesNotMatch");
    assert_untouched(&stack, &form).await;
    assert_untouched(&stack, &put).await;
}

#[tokio::test]
async fn another_content_type_than_announced_is_refused() {
    let stack = Stack::shared().await;
    let bytes = pictures::png(&pictures::disc(32));
    let [mut form, mut put] = both(&stack, &bytes).await;
    form.fields.insert("Content-Type".into(), "text/html".into());
    stack.api.send(&form, &bytes).await.refused_by_s3(403, "AccessDenied");
    put.headers.insert("content-type".into(), "text/html".into());
    stack.api.send(&put, &bytes).await.refused_by_s3(403, "SignatureDoesNotMatch");
    assert_untouched(&stack, &form).await;
    assert_untouched(&stack, &put).await;
}

#[tokio::test]
async fn an_altered_presigned_request_is_refused() {
    let stack = Stack::shared().await;
    let bytes = pictures::png(&pictures::disc(32));
    let [form, put] = both(&stack, &bytes).await;

    let with = |name: &str, value: &str| {
        let mut form = form.clone();
        form.fields.insert(name.into(), value.into());
        form
    };
    let mut policy: Value =
        serde_json::from_slice(&BASE64_STANDARD.decode(&form.fields["policy"]).unwrap()).unwrap();
    policy["expiration"] = "2099-01-01T00:00:00.000Z".into();
    let policy = BASE64_STANDARD.encode(policy.to_string());
    let signature = form.fields["x-amz-signature"].chars().rev().collect::<String>();
    for (altered, code) in [
        (with("policy", &policy), "SignatureDoesNotMatch"),
        (with("x-amz-signature", &signature), "SignatureDoesNotMatch"),
        (with("key", &form.fields["key"].replace("img_", "img_0")), "AccessDenied"),
        (with("x-amz-meta-note", "not in the policy"), "AccessDenied"),
        (with("x-amz-date", &format!("{}T000000Z", &form.fields["x-amz-date"][..8])), "AccessDenied"),
    ] {
        let answer = stack.api.send(&altered, &bytes).await;
        assert_eq!(answer.status, 403, "{}", answer.text());
        assert!(answer.text().contains(&format!("<Code>{code}</Code>")), "{}", answer.text());
    }

    let with = |from: &str, to: &str| {
        assert!(put.url.contains(from), "{}", put.url);
        Reservation { url: put.url.replace(from, to), ..put.clone() }
    };
    let (_, signature) = put.url.split_once("X-Amz-Signature=").unwrap();
    let signature = &signature[..64];
    let flipped = signature.chars().rev().collect::<String>();
    for (altered, code) in [
        (with("X-Amz-Expires=3600", "X-Amz-Expires=36000"), "SignatureDoesNotMatch"),
        (with(&put.image, &put.image.replace("img_", "img_0")), "SignatureDoesNotMatch"),
        (with(signature, &flipped), "SignatureDoesNotMatch"),
        (with("X-Amz-Credential=AKIA", "X-Amz-Credential=AKIB"), "InvalidAccessKeyId"),
    ] {
        stack.api.send(&altered, &bytes).await.refused_by_s3(403, code);
    }
    assert_untouched(&stack, &form).await;
    assert_untouched(&stack, &put).await;
}

#[tokio::test]
async fn a_presigned_url_that_has_expired_is_refused() {
    use aws_sdk_s3::presigning::PresigningConfig;
    use std::time::{Duration, SystemTime};

    let stack = Stack::shared().await;
    let bytes = pictures::png(&pictures::disc(32));
    let [_, put] = both(&stack, &bytes).await;
    let key = format!("{}/{}/{}", stack.api.project, put.image, put.id);
    let presign = async |age: u64| {
        let config = PresigningConfig::builder()
            .start_time(SystemTime::now() - Duration::from_secs(age))
            .expires_in(Duration::from_mins(1));
        let request = stack.root.s3.put_object().bucket(stack.root.name("UploadsBucket")).key(&key);
        let request = request.content_type("image/png").content_length(1).if_none_match("*");
        let request = request.presigned(config.build().unwrap()).await.unwrap();
        let headers = request.headers().map(|(name, value)| (name.to_owned(), value.to_owned()));
        Reservation { url: request.uri().to_owned(), headers: headers.collect(), ..put.clone() }
    };
    let late = stack.api.send(&presign(61).await, b"!").await;
    late.refused_by_s3(403, "AccessDenied");
    assert!(late.text().contains("Request has expired"), "{}", late.text());
    assert_untouched(&stack, &put).await;
    // The same request in time is a good one, so it was the time.
    assert_eq!(stack.api.send(&presign(30).await, b"!").await.status, 200);
    assert_eq!(stack.api.settled(&put.image).await["state"], "failed");
}

#[tokio::test]
async fn a_form_that_has_expired_is_refused() {
    use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};

    let stack = Stack::shared().await;
    let bytes = pictures::png(&pictures::disc(32));
    let [form, _] = both(&stack, &bytes).await;
    let sign = |expiration: Timestamp| {
        let mut form = form.clone();
        form.fields
            .retain(|name, _| !matches!(&**name, "x-amz-security-token" | "x-amz-signature" | "policy"));
        let (day, ready) = (form.fields["x-amz-date"][..8].to_owned(), stack.ready());
        let scope = format!("{}/{day}/{}/s3/aws4_request", ready.access_key, ready.region);
        form.fields.insert("x-amz-credential".into(), scope);
        let conditions = form.fields.iter().map(|(name, value)| json!({ name: value }));
        let bucket = json!({ "bucket": stack.root.name("UploadsBucket") });
        let conditions: Vec<_> = conditions.chain([bucket]).collect();
        let policy = json!({ "expiration": format!("{expiration:.3}"), "conditions": conditions });
        let policy = BASE64_STANDARD.encode(policy.to_string());
        let key = generate_signing_key(&ready.secret_key, Timestamp::now().into(), &ready.region, "s3");
        form.fields.insert("x-amz-signature".into(), calculate_signature(key, policy.as_bytes()));
        form.fields.insert("policy".into(), policy);
        form
    };
    let late = stack.api.send(&sign(Timestamp::now() - SignedDuration::from_secs(1)), &bytes).await;
    late.refused_by_s3(403, "AccessDenied");
    assert!(late.text().contains("Policy expired"), "{}", late.text());
    assert_untouched(&stack, &form).await;
    let in_time = stack.api.send(&sign(Timestamp::now() + SignedDuration::from_mins(1)), &bytes).await;
    assert_eq!(in_time.status, 201, "{}", in_time.text());
    assert_eq!(stack.api.settled(&form.image).await["state"], "ready");
}

#[tokio::test]
async fn a_presigned_put_is_good_for_one_upload() {
    let stack = Stack::shared().await;
    let bytes = pictures::png(&pictures::disc(32));
    let reservation = stack.api.reserve_put(&bytes, "image/png").await;
    let sent = tokio::join!(stack.api.send(&reservation, &bytes), stack.api.send(&reservation, &bytes));
    let mut statuses = [sent.0.status, sent.1.status];
    statuses.sort_unstable();
    assert_eq!(statuses[0], 200);
    assert!(matches!(statuses[1], 200 | 409 | 412), "{statuses:?}");
    assert_eq!(stack.api.settled(&reservation.image).await["state"], "ready");
}

// --- Keys

fn bare(answer: &Answer, status: u16, message: &str) {
    let expected = json!({ "message": message }).to_string();
    assert_eq!((answer.status, answer.text()), (status, expected));
}

#[tokio::test]
async fn a_key_that_is_not_good_opens_nothing() {
    let stack = Stack::shared().await;
    let api = stack.new_project().await;
    bare(&api.with_key(None).get("/v1/images").await, 401, "Unauthorized");
    let good = api.key();
    let unknown = good.replace("tt_0", "tt_7");
    let wrong_secret = format!("{}{}", &good[..good.len() - 4], "AAAA");
    for key in [&*unknown, &wrong_secret, &good[..good.len() - 1], "tt_", "x", "\u{fc}", "' OR 1=1 --"] {
        bare(&api.with_key(Some(key)).get("/v1/images").await, 403, "Forbidden");
    }
    for header in [good.to_owned(), format!("Basic {good}"), "Bearer".into(), format!("Bearer,{good}")] {
        let request = api.with_key(None).request(Method::GET, "/v1/images");
        bare(&answer(request.header("authorization", header)).await, 403, "Forbidden");
    }
    let request = api.with_key(None).request(Method::GET, "/v1/images");
    assert_eq!(answer(request.header("authorization", format!("bearer  {good}"))).await.status, 200);
}

#[tokio::test]
async fn a_revoked_key_opens_nothing() {
    let stack = Stack::shared().await;
    // Not used before: what the authorizer said of a key is remembered for a minute.
    let api = stack.new_project().await;
    let rows = stack.root.rows().await;
    let mut key = rows.into_iter().find(|r| r["type"] == "key" && r["project"] == *api.project).unwrap();
    key["revoked_at"] = format!("{:.3}", Timestamp::now()).into();
    stack.root.put_row(&key).await;
    bare(&api.get("/v1/images").await, 403, "Forbidden");
    let new = json!({ "content_type": "image/png", "bytes": 1 });
    bare(&api.post("/v1/uploads", &new).await, 403, "Forbidden");
}

// --- Documents

#[tokio::test]
async fn a_reservation_that_makes_no_sense_is_a_problem_that_says_where() {
    let stack = Stack::shared().await;
    let good = json!({ "content_type": "image/png", "bytes": 10 });
    let with = |name: &str, value: Value| {
        let mut new = good.clone();
        new[name] = value;
        new
    };
    let without = |name: &str| {
        let mut new = good.clone();
        new.as_object_mut().unwrap().remove(name);
        new
    };
    for (new, pointer) in [
        (with("filename", json!("a.png")), "/filename"),
        (with("bytes", json!("10")), "/bytes"),
        (with("bytes", json!(0)), "/bytes"),
        (with("bytes", json!(-1)), "/bytes"),
        (with("bytes", json!(1.5)), "/bytes"),
        (with("method", json!("PATCH")), "/method"),
        (with("visibility", json!("friends")), "/visibility"),
        (with("title", json!(["a"])), "/title"),
        (with("title", json!("x".repeat(201))), "/title"),
        (without("bytes"), ""),
        (without("content_type"), ""),
        (json!([]), ""),
        (json!(null), ""),
    ] {
        let problem = stack.api.post("/v1/uploads", &new).await.problem(400, "invalid-request");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{new}: {problem}");
        assert!(!problem["errors"][0]["detail"].as_str().unwrap().is_empty(), "{problem}");
    }
    for content_type in ["image/svg+xml", "image/jxl", "text/plain", "image/*", "", "IMAGE/PNG; x"] {
        let new = with("content_type", json!(content_type));
        let problem = stack.api.post("/v1/uploads", &new).await.problem(415, "unsupported-media");
        assert!(problem["detail"].as_str().unwrap().contains("image/webp"), "{problem}");
    }
    for bytes in [100 * 1024 * 1024 + 1, u64::MAX] {
        stack.api.post("/v1/uploads", &with("bytes", json!(bytes))).await.problem(413, "too-large");
    }
}

#[tokio::test]
async fn a_body_that_is_not_json_is_a_problem() {
    let stack = Stack::shared().await;
    let post = || stack.api.request(Method::POST, "/v1/uploads");
    let good = r#"{"content_type":"image/png","bytes":10}"#;
    for body in ["", "{", "bytes=10", r#"{"bytes":10"#, &format!("{good}{good}"), "\u{0}", "[[[[[[[["] {
        let request = post().header("content-type", "application/json").body(body.to_owned());
        answer(request).await.problem(400, "invalid-request");
    }
    let deep = "[".repeat(100_000);
    answer(post().header("content-type", "application/json").body(deep))
        .await
        .problem(400, "invalid-request");
    let invalid_utf8 = b"{\"content_type\":\"\xff\xfe\",\"bytes\":10}".to_vec();
    let request = post().header("content-type", "application/json").body(invalid_utf8);
    answer(request).await.problem(400, "invalid-request");
    answer(post().body(good)).await.problem(415, "unsupported-media");
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "\u{fc}"] {
        let request = post().header("content-type", content_type).body(good);
        answer(request).await.problem(415, "unsupported-media");
    }
    let request = post().header("content-type", "Application/JSON;charset=utf-8").body(good);
    let reserved = answer(request).await;
    assert_eq!(reserved.status, 201, "{}", reserved.text());
    stack.expect_pending(&reserved.json::<Reservation>().image);
}

#[tokio::test]
async fn a_body_over_six_megabytes_is_refused_by_the_gateway() {
    let stack = Stack::shared().await;
    for megabytes in [7, 11] {
        let title = "x".repeat(megabytes << 20);
        let new = json!({ "content_type": "image/png", "bytes": 10, "title": title });
        bare(&stack.api.post("/v1/uploads", &new).await, 413, "Request Entity Too Large");
    }
    // A little less reaches the function, which says what is wrong with it.
    let new = json!({ "content_type": "image/png", "bytes": 10, "title": "x".repeat(5 << 20) });
    stack.api.post("/v1/uploads", &new).await.problem(400, "invalid-request");
}

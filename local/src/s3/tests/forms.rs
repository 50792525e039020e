use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use super::{BUCKET, Stack, http};

/// A form as an application would make it for a browser, which a test then spoils.
struct Draft {
    fields: Vec<(&'static str, String)>,
    conditions: Vec<Value>,
    signer: &'static str,
    signed: SystemTime,
    expires: SystemTime,
    file: Vec<u8>,
}

impl Draft {
    fn new(key: &str) -> Self {
        Self {
            fields: vec![("key", key.to_owned()), ("Content-Type", "image/png".to_owned())],
            conditions: vec![
                json!({ "bucket": BUCKET }),
                json!(["eq", "$key", key]),
                json!(["eq", "$Content-Type", "image/png"]),
                json!(["content-length-range", 3, 10]),
            ],
            signer: "root",
            signed: SystemTime::now(),
            expires: SystemTime::now() + Duration::from_mins(1),
            file: b"12345".to_vec(),
        }
    }

    fn field(mut self, name: &'static str, value: &str) -> Self {
        self.conditions.push(json!(["eq", format!("${name}"), value]));
        self.fields.push((name, value.to_owned()));
        self
    }

    fn file(mut self, file: impl Into<Vec<u8>>) -> Self {
        self.file = file.into();
        self
    }

    /// All fields, the signature among them.
    fn sign(&self) -> Vec<(&'static str, String)> {
        let time = Timestamp::try_from(self.signed).unwrap();
        let date = time.strftime("%Y%m%d").to_string();
        let mut fields = self.fields.clone();
        fields.push(("x-amz-algorithm", "AWS4-HMAC-SHA256".to_owned()));
        fields.push(("x-amz-credential", format!("{}/{date}/eu-west-1/s3/aws4_request", self.signer)));
        fields.push(("x-amz-date", time.strftime("%Y%m%dT%H%M%SZ").to_string()));
        let mut conditions = self.conditions.clone();
        for (name, value) in &fields[self.fields.len()..] {
            conditions.push(json!({ *name: value }));
        }
        let expiration = Timestamp::try_from(self.expires).unwrap();
        let policy = json!({
            "expiration": expiration.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
            "conditions": conditions,
        });
        let policy = BASE64.encode(policy.to_string());
        let secret = format!("{}-secret", self.signer);
        let key = generate_signing_key(&secret, self.signed, "eu-west-1", "s3");
        fields.push(("x-amz-signature", calculate_signature(key, policy.as_bytes())));
        fields.push(("policy", policy));
        fields
    }

    async fn post(self, stack: &Stack) -> reqwest::Response {
        let fields = self.sign();
        post(stack, fields, self.file).await
    }

    async fn refused(self, stack: &Stack) -> (u16, String) {
        refusal(self.post(stack).await).await
    }
}

async fn post(stack: &Stack, fields: Vec<(&'static str, String)>, file: Vec<u8>) -> reqwest::Response {
    let mut form = Form::new();
    for (name, value) in fields {
        form = form.text(name, value);
    }
    let form = form.part("file", Part::bytes(file).file_name("C:\\pics\\my cat.png"));
    http_without_redirects().post(stack.url(BUCKET)).multipart(form).send().await.unwrap()
}

fn http_without_redirects() -> reqwest::Client {
    let _ = http();
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

async fn refusal(response: reqwest::Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body = response.text().await.unwrap();
    let code = body.split("<Code>").nth(1).and_then(|rest| rest.split("</Code>").next());
    (status, code.unwrap_or_else(|| panic!("no code in {body:?}")).to_owned())
}

#[tokio::test]
async fn a_signed_form_stores_its_file() {
    let stack = Stack::start().await;
    let posted = Draft::new("in/a b")
        .field("x-amz-meta-owner", "me")
        .field("Cache-Control", "no-cache")
        .post(&stack)
        .await;
    assert_eq!(posted.status(), 204);
    assert_eq!(posted.headers()["etag"], "\"827ccb0eea8a706c4c34a16891f84e7b\"");
    assert_eq!(posted.headers()["location"], stack.url("pictures/in/a%20b"));
    let client = stack.client();
    let head = client.head_object().bucket(BUCKET).key("in/a b").send().await.unwrap();
    assert_eq!(head.content_type(), Some("image/png"));
    assert_eq!(head.cache_control(), Some("no-cache"));
    assert_eq!(head.metadata().unwrap()["owner"], "me");
    assert_eq!(stack.read("in/a b").await, b"12345");
}

#[tokio::test]
async fn the_answer_is_the_one_that_the_form_asks_for() {
    let stack = Stack::start().await;
    let ask = |status: &str| Draft::new("k").field("success_action_status", status).post(&stack);
    assert_eq!(ask("200").await.status(), 200);
    assert_eq!(ask("204").await.status(), 204);
    assert_eq!(ask("418").await.status(), 204);
    let created = ask("201").await;
    assert_eq!(created.status(), 201);
    let xml = created.text().await.unwrap();
    assert!(xml.contains("<Bucket>pictures</Bucket><Key>k</Key>"), "{xml}");

    let redirect = Draft::new("k").field("success_action_redirect", "https://app.test/done?a=1");
    let redirect = redirect.post(&stack).await;
    assert_eq!(redirect.status(), 303);
    assert_eq!(
        redirect.headers()["location"],
        "https://app.test/done?a=1&bucket=pictures&key=k&etag=%22827ccb0eea8a706c4c34a16891f84e7b%22"
    );
}

#[tokio::test]
async fn the_size_must_be_in_the_range_of_the_policy() {
    let stack = Stack::start().await;
    assert_eq!(Draft::new("k").file("12").refused(&stack).await, (400, "EntityTooSmall".into()));
    let large = Draft::new("k").file(vec![0; 8 << 20]).refused(&stack).await;
    assert_eq!(large, (400, "EntityTooLarge".into()));
    assert_eq!((stack.keys().await.len(), stack.files()), (0, 0));
    assert_eq!(Draft::new("k").file("123").post(&stack).await.status(), 204);
    assert_eq!(Draft::new("k").file("1234567890").post(&stack).await.status(), 204);
}

#[tokio::test]
async fn what_the_policy_does_not_allow_is_denied() {
    let stack = Stack::start().await;
    let denied = (403, "AccessDenied".to_owned());
    let mut other_key = Draft::new("k");
    other_key.fields[0].1 = "elsewhere".to_owned();
    assert_eq!(other_key.refused(&stack).await, denied);
    let mut other_type = Draft::new("k");
    other_type.fields[1].1 = "text/html".to_owned();
    assert_eq!(other_type.refused(&stack).await, denied);
    let mut extra = Draft::new("k");
    extra.fields.push(("x-amz-meta-extra", "1".to_owned()));
    assert_eq!(extra.refused(&stack).await, denied);
    let mut other_bucket = Draft::new("k");
    other_bucket.conditions[0] = json!({ "bucket": "another" });
    assert_eq!(other_bucket.refused(&stack).await, denied);
    let mut ignored = Draft::new("k");
    ignored.fields.push(("x-ignore-me", "1".to_owned()));
    assert_eq!(ignored.post(&stack).await.status(), 204);
}

#[tokio::test]
async fn an_expired_policy_is_denied_and_an_old_one_is_not() {
    let stack = Stack::start().await;
    let ago = |seconds| SystemTime::now() - Duration::from_secs(seconds);
    let expired = Draft { expires: ago(1), ..Draft::new("k") };
    assert_eq!(expired.refused(&stack).await, (403, "AccessDenied".into()));
    let old = Draft { signed: ago(5 * 3600), ..Draft::new("k") };
    assert_eq!(old.post(&stack).await.status(), 204);
}

#[tokio::test]
async fn signatures_are_checked_and_carry_the_rights_of_the_signer() {
    let stack = Stack::start().await;
    let altered = |name: &str, value: &str| {
        let draft = Draft::new("in/k");
        let mut fields = draft.sign();
        fields.iter_mut().find(|field| field.0 == name).unwrap().1 = value.to_owned();
        post(&stack, fields, draft.file)
    };
    let wrong = refusal(altered("x-amz-signature", "00").await).await;
    assert_eq!(wrong, (403, "SignatureDoesNotMatch".into()));
    let policy = BASE64.encode(r#"{"expiration":"2999-01-01T00:00:00Z","conditions":[]}"#);
    let wrong = refusal(altered("policy", &policy).await).await;
    assert_eq!(wrong, (403, "SignatureDoesNotMatch".into()));
    let unsigned = vec![("key", "in/k".to_owned())];
    let unsigned = refusal(post(&stack, unsigned, b"x".to_vec()).await).await;
    assert_eq!(unsigned, (403, "AccessDenied".into()));

    let by = |signer, key: &str| Draft { signer, ..Draft::new(key) };
    assert_eq!(by("stranger", "in/k").refused(&stack).await, (403, "InvalidAccessKeyId".into()));
    assert_eq!(by("reader", "in/k").refused(&stack).await, (403, "AccessDenied".into()));
    assert_eq!(by("writer", "out/k").refused(&stack).await, (403, "AccessDenied".into()));
    assert_eq!(by("writer", "in/k").post(&stack).await.status(), 204);
    assert_eq!(stack.keys().await, ["in/k"]);
}

#[tokio::test]
async fn the_filename_can_be_part_of_the_key() {
    let stack = Stack::start().await;
    let mut draft = Draft::new("in/${filename}");
    draft.conditions[1] = json!(["starts-with", "$key", "in/"]);
    assert_eq!(draft.post(&stack).await.status(), 204);
    assert_eq!(stack.keys().await, ["in/my cat.png"]);
}

#[tokio::test]
async fn a_checksum_in_the_form_is_verified() {
    let stack = Stack::start().await;
    let wrong = Draft::new("k").field("x-amz-checksum-crc32", "AAAAAA==");
    assert_eq!(wrong.refused(&stack).await, (400, "BadDigest".into()));
    assert_eq!(stack.files(), 0);
    let right = Draft::new("k").field("x-amz-checksum-crc32", "y/U6HA==");
    assert_eq!(right.post(&stack).await.status(), 204);
}

#[tokio::test]
async fn malformed_forms_are_refused_and_leave_nothing() {
    let stack = Stack::start().await;
    let fields = Draft::new("k").sign();
    let mut form = Form::new();
    for (name, value) in fields.clone() {
        form = form.text(name, value);
    }
    let no_file = http().post(stack.url(BUCKET)).multipart(form).send().await.unwrap();
    assert_eq!(refusal(no_file).await, (400, "IncorrectNumberOfFilesInPostRequest".into()));

    let mut body = String::new();
    for (name, value) in fields {
        let disposition = format!("form-data; name=\"{name}\"");
        write!(body, "--b\r\nContent-Disposition: {disposition}\r\n\r\n{value}\r\n").unwrap();
    }
    body += "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n1234";
    let cut = http()
        .post(stack.url(BUCKET))
        .header("content-type", "multipart/form-data; boundary=b")
        .body(body)
        .send()
        .await
        .unwrap();
    assert_eq!(cut.status(), 400);
    assert_eq!((stack.keys().await.len(), stack.files()), (0, 0));
}

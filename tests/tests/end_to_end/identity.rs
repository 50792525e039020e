//! Who may call: keys, projects, identity tokens of a real issuer, upload tokens, and how often.

use std::time::{SystemTime, UNIX_EPOCH};

use end_to_end::{Api, Issuer, Stack};
use http::Method;
use serde_json::{Value, json};

const IMAGES: &str = "/v1/images";

async fn make_key(api: &Api, new: &Value) -> Value {
    let answer = api.post("/v1/keys", new).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap()
}

#[tokio::test]
async fn a_key_does_what_it_is_for_until_it_is_revoked() {
    let stack = Stack::shared().await;
    let api = stack.new_project().await;
    let reader = make_key(&api, &json!({ "name": "Reader", "scopes": ["images:read"] })).await;
    let theirs = api.with_key(Some(text(&reader, "key")));
    assert_eq!(theirs.get(IMAGES).await.status, 200);
    theirs.post("/v1/keys", &json!({ "scopes": ["images:read"] })).await.problem(403, "forbidden");
    let path = format!("/v1/keys/{}", text(&reader, "id"));

    let rotated: Value = api.post(&format!("{path}/rotate"), &json!({ "overlap_seconds": 600 })).await.json();
    let (old, new) = (theirs, api.with_key(Some(text(&rotated, "key"))));
    assert_eq!((old.get(IMAGES).await.status, new.get(IMAGES).await.status), (200, 200));
    let shown: Value = api.get(&path).await.json();
    assert_eq!(shown["name"], "Reader");
    assert!(shown.get("last_used_at").is_some() && shown.get("key").is_none(), "{shown}");
    let listed: Value = api.get("/v1/keys").await.json();
    assert_eq!(listed["keys"].as_array().unwrap().len(), 2, "{listed}");

    // Never used, so the gateway remembers nothing of it.
    let unused = make_key(&api, &json!({ "scopes": ["images:read"] })).await;
    let path = format!("/v1/keys/{}", text(&unused, "id"));
    assert_eq!(api.delete(&path).await.status, 204);
    assert_eq!(api.with_key(Some(text(&unused, "key"))).get(IMAGES).await.status, 403);
    stack.api.get(&path).await.problem(404, "not-found");
}

#[tokio::test]
async fn a_project_is_its_administrators_and_projects_are_the_operators() {
    let stack = Stack::shared().await;
    let made = stack.root.invoke("CreateProject", &json!({ "name": "Operations", "operator": true })).await;
    let made: Value = made.json();
    let operator = Api::new(&stack.ready().api, text(&made, "project"), made["key"].as_str());
    let new = operator.post("/v1/projects", &json!({ "name": "Tenant", "limits": { "images": 3 } })).await;
    assert_eq!(new.status, 201, "{}", new.text());
    let new: Value = new.json();
    let tenant = Api::new(&stack.ready().api, text(&new, "id"), new["key"].as_str());
    tenant.post("/v1/projects", &json!({ "name": "Mine" })).await.problem(403, "forbidden");
    tenant.get("/v1/projects").await.problem(403, "forbidden");
    let listed: Value = operator.get("/v1/projects?limit=100").await.json();
    assert!(listed["projects"].as_array().unwrap().iter().any(|row| row["id"] == new["id"]), "{listed}");

    let path = format!("/v1/projects/{}", text(&new, "id"));
    let read = tenant.get(&path).await;
    assert!(!read.text().contains("signing"), "{}", read.text());
    let rename = tenant.request(Method::PATCH, &path).header("if-match", read.header("etag"));
    let renamed = end_to_end::answer(rename.json(&json!({ "name": "Harbour" }))).await;
    assert_eq!((renamed.status, renamed.header("etag")), (200, "\"2\""));
    let stale = tenant.request(Method::PATCH, &path).header("if-match", read.header("etag"));
    end_to_end::answer(stale.json(&json!({ "name": "Port" }))).await.problem(412, "stale");
    tenant.patch(&path, &json!({ "limits": { "images": 4 } })).await.problem(403, "forbidden");
    stack.api.get(&path).await.problem(404, "not-found");
    stack.api.patch(&path, &json!({ "name": "Taken" })).await.problem(404, "not-found");
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

#[tokio::test]
async fn tokens_of_a_trusted_issuer_open_the_project_for_their_user_alone() {
    let stack = Stack::shared().await;
    let api = stack.new_project().await;
    let mut issuer = Issuer::start();
    let trusted = json!([{ "issuer": issuer.url, "audience": "app" }]);
    let path = format!("/v1/projects/{}", api.project);
    let good = issuer.mint("mine", &json!({ "aud": "app", "sub": "early" }));
    assert_eq!(api.with_key(Some(&good)).get(IMAGES).await.status, 403, "nobody trusts it yet");
    let answer = api.patch(&path, &json!({ "issuers": trusted })).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    // Another project does not get its users.
    let stranger = stack.new_project().await;
    let theirs = format!("/v1/projects/{}", stranger.project);
    stranger.patch(&theirs, &json!({ "issuers": trusted })).await.problem(409, "conflict");

    // An outage is neither a denial nor an admission.
    let mut lost = Issuer::start();
    let answer =
        stranger.patch(&theirs, &json!({ "issuers": [{ "issuer": lost.url, "audience": "app" }] })).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    lost.down(true);
    let nobody = stranger.with_key(Some(&lost.mint("mine", &json!({ "aud": "app", "sub": "ann" }))));
    for _ in 0..2 {
        assert_eq!(nobody.get(IMAGES).await.status, 500);
    }

    let ann = api.with_key(Some(&issuer.mint("mine", &json!({ "aud": "app", "sub": "ann" }))));
    assert_eq!(ann.get(IMAGES).await.status, 200);
    let bob = api.with_key(Some(&issuer.mint("mine", &json!({ "aud": "app", "sub": "bob" }))));
    let reserved = ann.reserve(&json!({ "content_type": "image/png", "bytes": 9 })).await;
    stack.expect_pending(&reserved.image);
    let image = format!("/v1/images/{}", reserved.image);
    assert_eq!(ann.get(&image).await.status, 200);
    assert_eq!(api.get(&image).await.status, 200, "a key sees what is the project's");
    bob.get(&image).await.problem(404, "not-found");
    bob.get("/v1/keys").await.problem(403, "forbidden");

    let now = seconds();
    for (key, claims) in [
        ("foreign", json!({ "aud": "app", "sub": "eve" })),
        ("none", json!({ "aud": "app", "sub": "eve" })),
        ("public", json!({ "aud": "app", "sub": "eve" })),
        ("mine", json!({ "aud": "other", "sub": "eve" })),
        ("mine", json!({ "aud": "app", "sub": "eve", "iss": "https://issuer.example.org" })),
        ("mine", json!({ "aud": "app", "sub": "eve", "exp": now - 120 })),
        ("mine", json!({ "aud": "app", "sub": "eve", "nbf": now + 600 })),
        ("mine", json!({ "aud": "app" })),
    ] {
        let token = issuer.mint(key, &claims);
        let answer = api.with_key(Some(&token)).get(IMAGES).await;
        assert_eq!(answer.status, 403, "{key} {claims}: {}", answer.text());
    }
}

#[tokio::test]
async fn an_upload_token_is_good_for_as_many_uploads_as_it_says() {
    let stack = Stack::shared().await;
    let api = stack.new_project().await;
    let new =
        json!({ "count": 2, "max_bytes": 9, "content_types": ["image/png"], "user": "ann", "tags": ["me"] });
    let made = api.post("/v1/upload-tokens", &new).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let made: Value = made.json();
    let page = api.with_key(Some(text(&made, "token")));
    page.get(IMAGES).await.problem(403, "forbidden");
    page.post("/v1/upload-tokens", &json!({})).await.problem(403, "forbidden");
    let upload = |bytes: u64| json!({ "content_type": "image/png", "bytes": bytes });
    page.post("/v1/uploads", &upload(10)).await.problem(413, "too-large");
    let (first, second, third, fourth) = (upload(1), upload(2), upload(3), upload(4));
    let answers = tokio::join!(
        page.post("/v1/uploads", &first),
        page.post("/v1/uploads", &second),
        page.post("/v1/uploads", &third),
        page.post("/v1/uploads", &fourth),
    );
    let mut reserved = 0;
    for answer in [answers.0, answers.1, answers.2, answers.3] {
        match answer.status {
            201 => {
                reserved += 1;
                let image = answer.json::<Value>()["image"].as_str().unwrap().to_owned();
                stack.expect_pending(&image);
                let image = api.image(&image).await;
                assert_eq!((&image["owner"], &image["tags"]), (&json!("ann"), &json!(["me"])), "{image}");
            }
            // Those that met at the token all the time may come again.
            409 => drop(answer.problem(409, "conflict")),
            _ => drop(answer.problem(403, "forbidden")),
        }
    }
    assert!((1..=2).contains(&reserved), "{reserved}");
    for bytes in 5..7 {
        let answer = page.post("/v1/uploads", &upload(bytes)).await;
        if answer.status == 201 {
            reserved += 1;
            stack.expect_pending(answer.json::<Value>()["image"].as_str().unwrap());
        }
    }
    assert_eq!(reserved, 2);
    page.post("/v1/uploads", &upload(7)).await.problem(403, "forbidden");
}

#[tokio::test]
async fn who_asks_too_often_has_to_wait() {
    let stack = Stack::start(&["--parameter", "WritesPerSecond=1", "--parameter", "WriteBurst=3"]).await;
    let new = json!({ "scopes": ["images:read"] });
    let mut statuses = vec![];
    let refused = loop {
        let answer = stack.api.post("/v1/keys", &new).await;
        statuses.push(answer.status);
        assert!(answer.header("ratelimit-policy").starts_with("\"write\";q=3;w=3"), "{:?}", answer.headers);
        if answer.status == 429 || statuses.len() > 20 {
            break answer;
        }
    };
    refused.problem(429, "rate-limited");
    assert!(statuses.len() > 3, "{statuses:?}");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
    assert!(refused.header("ratelimit").starts_with("\"write\";r=0;t="), "{:?}", refused.headers);
    // Reads are counted apart.
    assert_eq!(stack.api.get(IMAGES).await.status, 200);
    end_to_end::wait_until("another write", async || {
        (stack.api.post("/v1/keys", &new).await.status == 201).then_some(())
    })
    .await;
}

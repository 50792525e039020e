use reqwest::Method;
use reqwest::header::HeaderMap;

use super::{BUCKET, Stack, bucket, cors_rule, hour, http};
use crate::template::model::Bucket;

async fn stack() -> Stack {
    let cors = vec![
        cors_rule(&["https://app.test", "https://*.dev.test"], &["PUT", "GET"], &["x-amz-*", "content-type"]),
        cors_rule(&["*"], &["GET"], &[]),
    ];
    Stack::with_bucket(Bucket { cors, ..bucket(BUCKET) }).await
}

async fn preflight(stack: &Stack, origin: &str, method: &str, headers: &str) -> (u16, HeaderMap, String) {
    let mut request = http()
        .request(Method::OPTIONS, stack.url("pictures/k"))
        .header("origin", origin)
        .header("access-control-request-method", method);
    if !headers.is_empty() {
        request = request.header("access-control-request-headers", headers);
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.headers().clone(), answer.text().await.unwrap())
}

#[tokio::test]
async fn a_preflight_is_answered_by_the_first_rule_that_matches() {
    let stack = stack().await;
    let asked = "Content-Type, X-Amz-Meta-A";
    let (status, headers, _) = preflight(&stack, "https://app.test", "PUT", asked).await;
    assert_eq!(status, 200);
    assert_eq!(headers["access-control-allow-origin"], "https://app.test");
    assert_eq!(headers["access-control-allow-credentials"], "true");
    assert_eq!(headers["access-control-allow-methods"], "PUT, GET");
    assert_eq!(headers["access-control-allow-headers"], "content-type, x-amz-meta-a");
    assert_eq!(headers["access-control-expose-headers"], "ETag");
    assert_eq!(headers["access-control-max-age"], "600");
    assert!(headers["vary"].to_str().unwrap().contains("Origin"));

    let (status, headers, _) = preflight(&stack, "https://a.dev.test", "PUT", "").await;
    assert_eq!(status, 200);
    assert_eq!(headers["access-control-allow-origin"], "https://a.dev.test");

    let (status, headers, _) = preflight(&stack, "https://elsewhere.test", "GET", "").await;
    assert_eq!(status, 200);
    assert_eq!(headers["access-control-allow-origin"], "*");
    assert!(!headers.contains_key("access-control-allow-credentials"));
}

#[tokio::test]
async fn a_preflight_that_no_rule_matches_is_forbidden() {
    let stack = stack().await;
    for (origin, method, headers) in [
        ("https://elsewhere.test", "PUT", ""),
        ("https://app.test", "DELETE", ""),
        ("https://app.test", "PUT", "authorization"),
        ("https://app.test.evil", "PUT", ""),
    ] {
        let (status, answer, body) = preflight(&stack, origin, method, headers).await;
        assert_eq!(status, 403, "{origin} {method} {headers}");
        assert!(!answer.contains_key("access-control-allow-origin"));
        assert!(body.contains("<Code>AccessForbidden</Code>"), "{body}");
    }
    let plain = http().request(Method::OPTIONS, stack.url("pictures/k")).send().await.unwrap();
    assert_eq!(plain.status(), 400);
    let none = Stack::start().await;
    let (status, _, body) = preflight(&none, "https://app.test", "PUT", "").await;
    assert_eq!(status, 403);
    assert!(body.contains("CORS is not enabled"), "{body}");
}

#[tokio::test]
async fn answers_carry_the_headers_even_when_they_refuse() {
    let stack = stack().await;
    stack.put("k", b"x").await;
    let url = stack.client().get_object().bucket(BUCKET).key("k");
    let url = url.presigned(hour()).await.unwrap().uri().to_owned();
    let get = |url: &str, origin: Option<&str>| {
        let mut request = http().get(url);
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        request.send()
    };
    let allowed = get(&url, Some("https://app.test")).await.unwrap();
    assert_eq!(allowed.status(), 200);
    assert_eq!(allowed.headers()["access-control-allow-origin"], "https://app.test");
    assert_eq!(allowed.headers()["access-control-expose-headers"], "ETag");
    assert!(allowed.headers().contains_key("x-amz-request-id"));

    let refused = get(&stack.url("pictures/k"), Some("https://app.test")).await.unwrap();
    assert_eq!(refused.status(), 403);
    assert_eq!(refused.headers()["access-control-allow-origin"], "https://app.test");

    let plain = get(&url, None).await.unwrap();
    assert!(!plain.headers().contains_key("access-control-allow-origin"));
    let posted = http().post(stack.url(BUCKET)).header("origin", "https://app.test");
    assert!(!posted.send().await.unwrap().headers().contains_key("access-control-allow-origin"));
}

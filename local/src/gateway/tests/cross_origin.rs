use std::collections::BTreeMap;

use super::authorizers::authorizer;
use super::*;
use crate::template::model::Cors;

fn cross_origin(origins: &[&str], credentials: bool) -> HttpApi {
    HttpApi {
        authorizers: BTreeMap::from([("key".to_owned(), authorizer(Duration::ZERO))]),
        cors: Some(Cors {
            origins: origins.iter().map(ToString::to_string).collect(),
            methods: vec!["GET".into(), "PATCH".into()],
            headers: vec!["authorization".into(), "if-match".into()],
            expose: vec!["etag".into()],
            max_age: Some(300),
            credentials,
        }),
    }
}

fn preflight(api: &Api, path: &str, origin: &str, method: &str) -> RequestBuilder {
    api.request(Method::OPTIONS, path)
        .header("origin", origin)
        .header("access-control-request-method", method)
}

#[tokio::test]
async fn answers_preflight_requests_without_authorization() {
    let api = start(cross_origin(&["https://app.example"], true), &["GET /a key", "ANY /any key"]).await;
    let response = preflight(&api, "/a", "https://app.example", "PATCH").send().await.unwrap();
    assert_eq!(response.status(), 204);
    for (name, value) in [
        ("access-control-allow-origin", "https://app.example"),
        ("access-control-allow-methods", "GET,PATCH"),
        ("access-control-allow-headers", "authorization,if-match"),
        ("access-control-allow-credentials", "true"),
        ("access-control-max-age", "300"),
    ] {
        assert_eq!(response.headers()[name], value, "{name}");
    }
    for (origin, method) in [("https://evil.example", "GET"), ("https://app.example", "DELETE")] {
        let response = preflight(&api, "/a", origin, method).send().await.unwrap();
        assert_eq!(response.status(), 204);
        assert!(!response.headers().contains_key("access-control-allow-origin"));
    }
    assert_eq!(api.answer(api.request(Method::OPTIONS, "/a")).await.0, 404);
    assert_eq!(preflight(&api, "/any", "https://app.example", "GET").send().await.unwrap().status(), 401);
    assert_eq!(api.invocations("Authorize"), 0);
    api.stop().await;
}

#[tokio::test]
async fn adds_cors_headers_in_place_of_the_functions() {
    let api = start(cross_origin(&["https://*"], false), &["GET /a", "GET /b key"]).await;
    let reply = json!({
        "statusCode": 200,
        "headers": { "access-control-allow-origin": "https://other.example", "access-control-max-age": "1" },
    });
    let ask =
        |path, origin| api.get(path).header("origin", origin).header("x-reply", reply.to_string()).send();
    let response = ask("/a", "https://app.example").await.unwrap();
    assert_eq!(response.headers()["access-control-allow-origin"], "https://app.example");
    assert_eq!(response.headers()["access-control-expose-headers"], "etag");
    assert!(!response.headers().contains_key("access-control-max-age"));
    let response = ask("/a", "http://app.example").await.unwrap();
    assert!(!response.headers().contains_key("access-control-allow-origin"));
    // Without them a browser would hide the status from the application.
    let response = ask("/b", "https://app.example").await.unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(response.headers()["access-control-allow-origin"], "https://app.example");
    api.stop().await;

    let api = start(cross_origin(&["*"], false), &["GET /a"]).await;
    let response = api.get("/a").header("origin", "https://app.example").send().await.unwrap();
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    api.stop().await;
}

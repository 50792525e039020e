use lambda_http::aws_lambda_events::apigw::{ApiGatewayV2CustomAuthorizerV2Request, ApiGatewayV2httpRequest};

use super::*;
use crate::template::model::Authorizer;

fn behind(authorizer: Authorizer) -> HttpApi {
    HttpApi { authorizers: [("key".to_owned(), authorizer)].into(), cors: None }
}

pub(super) fn authorizer(cache: Duration) -> Authorizer {
    Authorizer { function: "Authorize".into(), identity_headers: vec!["Authorization".into()], cache }
}

#[tokio::test]
async fn asks_the_authorizer() {
    let api = start(behind(authorizer(Duration::ZERO)), &["GET /{id} key", "GET /open"]).await;
    let with = |value: &str| api.get("/1").header("authorization", value);

    assert_eq!(api.answer(api.get("/1")).await, (401, message("Unauthorized")));
    assert_eq!(api.answer(with("")).await, (401, message("Unauthorized")));
    assert_eq!(api.invocations("Authorize"), 0);

    assert_eq!(api.answer(with("deny")).await, (403, message("Forbidden")));
    for broken in ["crash", "nonsense"] {
        assert_eq!(api.answer(with(broken)).await, (500, message("Internal Server Error")));
    }
    assert_eq!(api.invocations("GetImage"), 0);

    let (status, event) = api.answer(with("allow")).await;
    assert_eq!(status, 200);
    let context = &event["requestContext"]["authorizer"]["lambda"];
    assert_eq!(context["project"], "p_1");
    let seen = &context["event"];
    assert_eq!(seen["version"], "2.0");
    assert_eq!(seen["type"], "REQUEST");
    assert_eq!(seen["identitySource"], json!(["allow"]));
    assert_eq!(seen["routeKey"], "GET /{id}");
    assert_eq!(seen["pathParameters"], json!({ "id": "1" }));
    assert_eq!(seen["routeArn"], "arn:aws:execute-api:eu-west-1:123456789012:local/$default/GET/1");
    assert_eq!(seen.get("body"), None);
    let typed: ApiGatewayV2CustomAuthorizerV2Request = serde_json::from_value(seen.clone()).unwrap();
    assert_eq!(typed.identity_source, Some(vec!["allow".to_owned()]));
    let typed: ApiGatewayV2httpRequest = serde_json::from_value(event.clone()).unwrap();
    assert_eq!(typed.request_context.authorizer.unwrap().fields["project"], "p_1");

    let (_, event) = api.answer(with("plain")).await;
    assert_eq!(event["requestContext"]["authorizer"], json!({ "lambda": null }));
    lambda_http::request::from_str(&event.to_string()).unwrap();
    assert_eq!(api.answer(api.get("/open")).await.0, 200);
    api.stop().await;
}

#[tokio::test]
async fn remembers_verdicts_for_all_routes() {
    let api = start(behind(authorizer(Duration::from_mins(1))), &["GET /a key", "GET /b key"]).await;
    let ask =
        async |path: &str, value: &str| api.answer(api.get(path).header("authorization", value)).await.0;
    assert_eq!(ask("/a", "plain").await, 200);
    assert_eq!(ask("/b", "plain").await, 200);
    assert_eq!(api.invocations("Authorize"), 1);
    assert_eq!(ask("/a", "deny").await, 403);
    assert_eq!(ask("/b", "deny").await, 403);
    assert_eq!(api.invocations("Authorize"), 2);
    // A failure says nothing about the client.
    assert_eq!(ask("/a", "crash").await, 500);
    assert_eq!(ask("/a", "crash").await, 500);
    assert_eq!(api.invocations("Authorize"), 4);
    api.stop().await;
}

#[tokio::test]
async fn forgets_verdicts_in_time() {
    let api = start(behind(authorizer(Duration::from_millis(100))), &["GET /a key"]).await;
    let ask = async || api.answer(api.get("/a").header("authorization", "plain")).await.0;
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while api.invocations("Authorize") < 2 {
        assert_eq!(ask().await, 200);
        assert!(std::time::Instant::now() < deadline);
    }
    assert!(api.invocations("GetImage") > 2);
    api.stop().await;
}

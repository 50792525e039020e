use lambda_http::RequestExt;
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequest;

use super::*;

#[tokio::test]
async fn tells_functions_about_requests_in_format_2() {
    let api = start(HttpApi::default(), &["GET /v1/images/{image}", "POST /files/{path+}"]).await;
    let request = api
        .get("/v1/images/a%20b?tag=1&tag=t%C3%B6o+x&empty=")
        .header("X-Thing", "1")
        .header("X-Thing", "2")
        .header("Cookie", "a=1; b=2")
        .header("Connection", "keep-alive")
        .header("User-Agent", "test/1")
        .header("X-Forwarded-For", "192.0.2.1")
        .header("X-Amzn-Trace-Id", "Root=1-67891233-abcdef012345678912345678");
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/json");
    let id = response.headers()["apigw-requestid"].to_str().unwrap().to_owned();
    let event: Value = response.json().await.unwrap();

    assert_eq!(event["version"], "2.0");
    assert_eq!(event["routeKey"], "GET /v1/images/{image}");
    assert_eq!(event["rawPath"], "/v1/images/a b");
    assert_eq!(event["rawQueryString"], "tag=1&tag=t%C3%B6o+x&empty=");
    assert_eq!(event["queryStringParameters"], json!({ "tag": "1,töo x", "empty": "" }));
    assert_eq!(event["pathParameters"], json!({ "image": "a b" }));
    assert_eq!(event["cookies"], json!(["a=1", "b=2"]));
    assert_eq!(event["isBase64Encoded"], false);
    assert_eq!(event.get("body"), None);

    let host = api.url.strip_prefix("http://").unwrap();
    let headers = &event["headers"];
    for (name, value) in [
        ("x-thing", "1,2"),
        ("host", host),
        ("x-forwarded-for", "192.0.2.1, 127.0.0.1"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-port", host.split(':').next_back().unwrap()),
        ("x-amzn-trace-id", "Root=1-67891233-abcdef012345678912345678"),
    ] {
        assert_eq!(headers[name], value, "{name}");
    }
    assert_eq!(headers.get("cookie"), None);
    assert_eq!(headers.get("connection"), None);

    let context = &event["requestContext"];
    assert_eq!(context["accountId"], "123456789012");
    assert_eq!(context["domainName"], host);
    assert_eq!(context["requestId"], id);
    assert_eq!(context["routeKey"], "GET /v1/images/{image}");
    assert_eq!(context["stage"], "$default");
    assert_eq!(
        context["http"],
        json!({
            "method": "GET", "path": "/v1/images/a b", "protocol": "HTTP/1.1",
            "sourceIp": "127.0.0.1", "userAgent": "test/1",
        })
    );
    let time = context["time"].as_str().unwrap();
    assert!(time.ends_with(" +0000") && time.len() == 26, "{time}");
    assert!(context["timeEpoch"].as_i64().unwrap() > 1_700_000_000_000);
    assert_eq!(context.get("authorizer"), None);

    let typed: ApiGatewayV2httpRequest = serde_json::from_value(event.clone()).unwrap();
    assert_eq!(typed.path_parameters["image"], "a b");
    let http = lambda_http::request::from_str(&event.to_string()).unwrap();
    assert_eq!(http.uri().path(), "/v1/images/a%20b");
    assert_eq!(http.query_string_parameters().all("tag"), Some(vec!["1", "töo x"]));
    assert_eq!(http.headers()["cookie"], "a=1; b=2");
    api.stop().await;
}

#[tokio::test]
async fn encodes_bodies_by_their_content_type() {
    let api = start(HttpApi::default(), &["POST /"]).await;
    for (content_type, body, expected, encoded) in [
        ("application/json; charset=utf-8", &b"{\"a\":1}"[..], "{\"a\":1}", false),
        ("text/plain", "käse".as_bytes(), "käse", false),
        ("text/plain", b"\xff", "/w==", true),
        ("application/xml", b"<a/>", "<a/>", false),
        ("application/x-www-form-urlencoded", b"a=1", "YT0x", true),
        ("application/merge-patch+json", b"{}", "e30=", true),
        ("image/png", b"\x89PNG", "iVBORw==", true),
        ("", b"?", "Pw==", true),
    ] {
        let mut request = api.request(Method::POST, "/").body(body);
        if !content_type.is_empty() {
            request = request.header("content-type", content_type);
        }
        let (_, event) = api.answer(request).await;
        assert_eq!(event["body"], expected, "{content_type}");
        assert_eq!(event["isBase64Encoded"], encoded, "{content_type}");
        assert_eq!(event["headers"]["content-length"], body.len().to_string());
        let http = lambda_http::request::from_str(&event.to_string()).unwrap();
        assert_eq!(http.body().as_ref(), body);
    }
    api.stop().await;
}

#[tokio::test]
async fn routes_requests() {
    let api = start(HttpApi::default(), &["GET /a", "HEAD /b", "GET /files/{path+}"]).await;
    let missing = (404, message("Not Found"));
    assert_eq!(api.answer(api.get("/missing")).await, missing);
    assert_eq!(api.answer(api.request(Method::POST, "/a")).await, missing);
    assert_eq!(api.answer(api.request(Method::HEAD, "/a")).await.0, 404);
    assert_eq!(api.invocations("GetImage"), 0);

    let reply = json!({ "statusCode": 200, "headers": { "content-length": "1234" } });
    let head = api.request(Method::HEAD, "/b").header("x-reply", reply.to_string()).send().await.unwrap();
    assert_eq!(head.status(), 200);
    assert_eq!(head.headers()["content-length"], "1234");

    let (_, event) = api.answer(api.get("/files/a/b%20c%2Fd%3Fe")).await;
    assert_eq!(event["pathParameters"], json!({ "path": "a/b c/d" }));
    assert_eq!(api.get("/_tintype/health").send().await.unwrap().text().await.unwrap(), "fine");
    api.stop().await;
}

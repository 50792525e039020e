//! Over real sockets, with real functions.

use std::collections::BTreeMap;

use axum::routing::get;
use lambda_http::RequestExt;
use lambda_http::aws_lambda_events::apigw::{
    ApiGatewayV2CustomAuthorizerV2Request, ApiGatewayV2httpRequest,
};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

use super::*;
use crate::lambda::Options;
use crate::lambda::test_function::{launch, options};
use crate::template::model::{Authorizer, Cors};

struct Api {
    url: String,
    client: Client,
    functions: Functions,
    stop: tokio::sync::oneshot::Sender<()>,
    server: tokio::task::JoinHandle<io::Result<()>>,
}

/// `GET /a` for a public route, `GET /a key` for one behind the authorizer `key`.
async fn start(api: HttpApi, routes: &[&str]) -> Api {
    start_with(api, routes, options(), TIMEOUT).await
}

async fn start_with(api: HttpApi, routes: &[&str], options: Options, timeout: Duration) -> Api {
    // Needed to build any client; a second installation is refused, and so it should be.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let functions = Functions::new(vec![launch("GetImage"), launch("Authorize")], options);
    let routes = routes
        .iter()
        .map(|route| {
            let mut parts = route.split(' ');
            let route = Route {
                method: parts.next().unwrap().into(),
                path: parts.next().unwrap().into(),
                authorizer: parts.next().map(str::to_owned),
            };
            (route, "GetImage".to_owned())
        })
        .collect();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let gateway = Gateway {
        routes: Routes::new(routes),
        authorizers: Authorizers::new(api.authorizers),
        cors: api.cors.map(CrossOrigin::new),
        functions: functions.clone(),
        port,
        timeout,
    };
    let extra = Router::new().route("/_tintype/health", get(async || "fine"));
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let server = tokio::spawn(serve_gateway(listener, Arc::new(gateway), extra, async {
        let _ = stopped.await;
    }));
    let client = Client::builder().pool_idle_timeout(None).build().unwrap();
    Api {
        url: format!("http://127.0.0.1:{port}"),
        client,
        functions,
        stop,
        server,
    }
}

fn behind(authorizer: Authorizer) -> HttpApi {
    HttpApi {
        authorizers: [("key".to_owned(), authorizer)].into(),
        cors: None,
    }
}

fn authorizer(cache: Duration) -> Authorizer {
    Authorizer {
        function: "Authorize".into(),
        identity_headers: vec!["Authorization".into()],
        cache,
    }
}

impl Api {
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    /// The status and the body.
    async fn answer(&self, request: RequestBuilder) -> (u16, Value) {
        let response = request.send().await.unwrap();
        assert!(response.headers().contains_key("apigw-requestid"));
        let status = response.status().as_u16();
        let body = response.bytes().await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    fn invocations(&self, function: &str) -> u64 {
        self.functions.counters()[function].invocations
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        drop(self.client);
        self.server.await.unwrap().unwrap();
        self.functions.shutdown().await;
    }
}

fn message(text: &str) -> Value {
    json!({ "message": text })
}

#[tokio::test]
async fn tells_functions_about_requests_in_format_2() {
    let api = start(
        HttpApi::default(),
        &["GET /v1/images/{image}", "POST /files/{path+}"],
    )
    .await;
    let request = api
        .get("/v1/images/a%20b?tag=1&tag=t%C3%B6o+x&empty=")
        .header("X-Thing", "1")
        .header("X-Thing", "2")
        .header("Cookie", "a=1; b=2")
        .header("Connection", "keep-alive")
        .header("User-Agent", "test/1")
        .header("X-Forwarded-For", "192.0.2.1")
        .header(
            "X-Amzn-Trace-Id",
            "Root=1-67891233-abcdef012345678912345678",
        );
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/json");
    let id = response.headers()["apigw-requestid"]
        .to_str()
        .unwrap()
        .to_owned();
    let event: Value = response.json().await.unwrap();

    assert_eq!(event["version"], "2.0");
    assert_eq!(event["routeKey"], "GET /v1/images/{image}");
    assert_eq!(event["rawPath"], "/v1/images/a b");
    assert_eq!(event["rawQueryString"], "tag=1&tag=t%C3%B6o+x&empty=");
    assert_eq!(
        event["queryStringParameters"],
        json!({ "tag": "1,töo x", "empty": "" })
    );
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
        (
            "x-amzn-trace-id",
            "Root=1-67891233-abcdef012345678912345678",
        ),
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
    assert_eq!(
        http.query_string_parameters().all("tag"),
        Some(vec!["1", "töo x"])
    );
    assert_eq!(http.headers()["cookie"], "a=1; b=2");
    api.stop().await;
}

#[tokio::test]
async fn encodes_bodies_by_their_content_type() {
    let api = start(HttpApi::default(), &["POST /"]).await;
    for (content_type, body, expected, encoded) in [
        (
            "application/json; charset=utf-8",
            &b"{\"a\":1}"[..],
            "{\"a\":1}",
            false,
        ),
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
async fn turns_answers_into_responses() {
    let api = start(HttpApi::default(), &["GET /"]).await;
    for (reply, status, content_type, body) in [
        (
            json!({ "statusCode": 201, "body": "made" }),
            201,
            "text/plain;charset=UTF-8",
            "made",
        ),
        (
            json!({ "statusCode": 200, "body": "cGl4ZWxz", "isBase64Encoded": true, "headers": { "Content-Type": "image/png" } }),
            200,
            "image/png",
            "pixels",
        ),
        (
            json!({ "statusCode": 200, "body": null, "headers": null }),
            200,
            "text/plain;charset=UTF-8",
            "",
        ),
        (
            json!({ "hello": "world" }),
            200,
            "application/json",
            r#"{"hello":"world"}"#,
        ),
        (json!("hello"), 200, "application/json", "hello"),
        (json!([1, 2]), 200, "application/json", "[1,2]"),
    ] {
        let response = api
            .get("/")
            .header("x-reply", reply.to_string())
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), status, "{reply}");
        assert_eq!(response.headers()["content-type"], content_type, "{reply}");
        assert_eq!(response.text().await.unwrap(), body, "{reply}");
    }
    for malformed in [
        json!({ "statusCode": 1000 }),
        json!({ "statusCode": "fine" }),
        json!({ "statusCode": 101 }),
        json!({ "statusCode": 200, "headers": { "bad name": "x" } }),
        json!({ "statusCode": 200, "headers": { "name": "line\nbreak" } }),
        json!({ "statusCode": 200, "body": "not base 64", "isBase64Encoded": true }),
        json!({ "statusCode": 200, "body": { "not": "text" } }),
    ] {
        let answer = api
            .answer(api.get("/").header("x-reply", malformed.to_string()))
            .await;
        assert_eq!(
            answer,
            (500, message("Internal Server Error")),
            "{malformed}"
        );
    }
    api.stop().await;
}

#[tokio::test]
async fn passes_headers_and_cookies_on() {
    let api = start(HttpApi::default(), &["GET /"]).await;
    let reply = json!({
        "statusCode": 200,
        "headers": { "ETag": "\"1.0\"", "x-number": 7, "x-flag": true, "Connection": "close", "content-length": "99" },
        "multiValueHeaders": { "link": ["<a>", "<b>"] },
        "cookies": ["a=1; Secure", "b=2"],
        "body": "x",
    });
    let response = api
        .get("/")
        .header("x-reply", reply.to_string())
        .send()
        .await
        .unwrap();
    let all = |name: &str| -> Vec<_> {
        response
            .headers()
            .get_all(name)
            .iter()
            .map(|value| value.to_str().unwrap())
            .collect()
    };
    assert_eq!(all("etag"), ["\"1.0\""]);
    assert_eq!(all("x-number"), ["7"]);
    assert_eq!(all("x-flag"), ["true"]);
    assert_eq!(all("link"), ["<a>", "<b>"]);
    assert_eq!(all("set-cookie"), ["a=1; Secure", "b=2"]);
    assert_eq!(all("content-length"), ["1"]);
    assert!(all("connection").is_empty());
    api.stop().await;
}

#[tokio::test]
async fn routes_requests() {
    let api = start(
        HttpApi::default(),
        &["GET /a", "HEAD /b", "GET /files/{path+}"],
    )
    .await;
    let missing = (404, message("Not Found"));
    assert_eq!(api.answer(api.get("/missing")).await, missing);
    assert_eq!(api.answer(api.request(Method::POST, "/a")).await, missing);
    assert_eq!(api.answer(api.request(Method::HEAD, "/a")).await.0, 404);
    assert_eq!(api.invocations("GetImage"), 0);

    let reply = json!({ "statusCode": 200, "headers": { "content-length": "1234" } });
    let head = api
        .request(Method::HEAD, "/b")
        .header("x-reply", reply.to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(head.status(), 200);
    assert_eq!(head.headers()["content-length"], "1234");

    let (_, event) = api.answer(api.get("/files/a/b%20c%2Fd%3Fe")).await;
    assert_eq!(event["pathParameters"], json!({ "path": "a/b c/d" }));
    assert_eq!(
        api.get("/_tintype/health")
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap(),
        "fine"
    );
    api.stop().await;
}

#[tokio::test]
async fn asks_the_authorizer() {
    let api = start(
        behind(authorizer(Duration::ZERO)),
        &["GET /{id} key", "GET /open"],
    )
    .await;
    let with = |value: &str| api.get("/1").header("authorization", value);

    assert_eq!(
        api.answer(api.get("/1")).await,
        (401, message("Unauthorized"))
    );
    assert_eq!(api.answer(with("")).await, (401, message("Unauthorized")));
    assert_eq!(api.invocations("Authorize"), 0);

    assert_eq!(api.answer(with("deny")).await, (403, message("Forbidden")));
    for broken in ["crash", "nonsense"] {
        assert_eq!(
            api.answer(with(broken)).await,
            (500, message("Internal Server Error"))
        );
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
    assert_eq!(
        seen["routeArn"],
        "arn:aws:execute-api:eu-west-1:123456789012:local/$default/GET/1"
    );
    assert_eq!(seen.get("body"), None);
    let typed: ApiGatewayV2CustomAuthorizerV2Request =
        serde_json::from_value(seen.clone()).unwrap();
    assert_eq!(typed.identity_source, Some(vec!["allow".to_owned()]));
    let typed: ApiGatewayV2httpRequest = serde_json::from_value(event.clone()).unwrap();
    assert_eq!(
        typed.request_context.authorizer.unwrap().fields["project"],
        "p_1"
    );

    let (_, event) = api.answer(with("plain")).await;
    assert_eq!(
        event["requestContext"]["authorizer"],
        json!({ "lambda": null })
    );
    lambda_http::request::from_str(&event.to_string()).unwrap();
    assert_eq!(api.answer(api.get("/open")).await.0, 200);
    api.stop().await;
}

#[tokio::test]
async fn remembers_verdicts_for_all_routes() {
    let api = start(
        behind(authorizer(Duration::from_mins(1))),
        &["GET /a key", "GET /b key"],
    )
    .await;
    let ask = async |path: &str, value: &str| {
        api.answer(api.get(path).header("authorization", value))
            .await
            .0
    };
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
    let api = start(
        behind(authorizer(Duration::from_millis(100))),
        &["GET /a key"],
    )
    .await;
    let ask = async || {
        api.answer(api.get("/a").header("authorization", "plain"))
            .await
            .0
    };
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while api.invocations("Authorize") < 2 {
        assert_eq!(ask().await, 200);
        assert!(std::time::Instant::now() < deadline);
    }
    assert!(api.invocations("GetImage") > 2);
    api.stop().await;
}

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
    let api = start(
        cross_origin(&["https://app.example"], true),
        &["GET /a key", "ANY /any key"],
    )
    .await;
    let response = preflight(&api, "/a", "https://app.example", "PATCH")
        .send()
        .await
        .unwrap();
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
    for (origin, method) in [
        ("https://evil.example", "GET"),
        ("https://app.example", "DELETE"),
    ] {
        let response = preflight(&api, "/a", origin, method).send().await.unwrap();
        assert_eq!(response.status(), 204);
        assert!(
            !response
                .headers()
                .contains_key("access-control-allow-origin")
        );
    }
    assert_eq!(api.answer(api.request(Method::OPTIONS, "/a")).await.0, 404);
    assert_eq!(
        preflight(&api, "/any", "https://app.example", "GET")
            .send()
            .await
            .unwrap()
            .status(),
        401
    );
    assert_eq!(api.invocations("Authorize"), 0);
    api.stop().await;
}

#[tokio::test]
async fn adds_cors_headers_in_place_of_the_functions() {
    let api = start(
        cross_origin(&["https://*"], false),
        &["GET /a", "GET /b key"],
    )
    .await;
    let reply = json!({
        "statusCode": 200,
        "headers": { "access-control-allow-origin": "https://other.example", "access-control-max-age": "1" },
    });
    let ask = |path, origin| {
        api.get(path)
            .header("origin", origin)
            .header("x-reply", reply.to_string())
            .send()
    };
    let response = ask("/a", "https://app.example").await.unwrap();
    assert_eq!(
        response.headers()["access-control-allow-origin"],
        "https://app.example"
    );
    assert_eq!(response.headers()["access-control-expose-headers"], "etag");
    assert!(!response.headers().contains_key("access-control-max-age"));
    let response = ask("/a", "http://app.example").await.unwrap();
    assert!(
        !response
            .headers()
            .contains_key("access-control-allow-origin")
    );
    // Without them a browser would hide the status from the application.
    let response = ask("/b", "https://app.example").await.unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(
        response.headers()["access-control-allow-origin"],
        "https://app.example"
    );
    api.stop().await;

    let api = start(cross_origin(&["*"], false), &["GET /a"]).await;
    let response = api
        .get("/a")
        .header("origin", "https://app.example")
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    api.stop().await;
}

#[tokio::test]
async fn limits_bodies() {
    let api = start(HttpApi::default(), &["POST /"]).await;
    let too_large = (413, message("Request Entity Too Large"));
    let post = |size: usize| {
        let request = api
            .request(Method::POST, "/")
            .header("content-type", "text/plain");
        request
            .header("x-reply", r#"{"statusCode":204}"#)
            .body("x".repeat(size))
    };
    assert_eq!(api.answer(post(6_000_000)).await.0, 204);
    // Refused by Lambda, and by the gateway.
    assert_eq!(api.answer(post(6_300_000)).await, too_large);
    assert_eq!(api.answer(post(10 * 1024 * 1024 + 1)).await, too_large);
    api.stop().await;
}

#[tokio::test]
async fn a_failing_function_is_an_internal_error() {
    let api = start(HttpApi::default(), &["GET /"]).await;
    let crash = api.get("/").header("x-reply", "crash");
    assert_eq!(
        api.answer(crash).await,
        (500, message("Internal Server Error"))
    );
    assert_eq!(api.answer(api.get("/")).await.0, 200);
    api.stop().await;
}

#[tokio::test]
async fn gives_up_on_a_slow_function_which_works_on() {
    let api = start_with(
        HttpApi::default(),
        &["GET /"],
        options(),
        Duration::from_millis(500),
    )
    .await;
    assert_eq!(api.answer(api.get("/")).await.0, 200);
    let slow = api.get("/").header("x-sleep", "1000");
    assert_eq!(
        api.answer(slow).await,
        (503, message("Service Unavailable"))
    );
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while api.invocations("GetImage") < 2 {
        assert!(std::time::Instant::now() < deadline);
        tokio::task::yield_now().await;
    }
    assert_eq!(api.functions.counters()["GetImage"].errors, 0);
    api.stop().await;
}

#[tokio::test]
async fn is_unavailable_when_all_instances_are_busy() {
    let mut options = options();
    options.concurrency = 1;
    options.queue = Duration::from_millis(50);
    let api = start_with(HttpApi::default(), &["GET /"], options, TIMEOUT).await;
    assert_eq!(api.answer(api.get("/")).await.0, 200);
    let both = [0; 2].map(|_| api.answer(api.get("/").header("x-sleep", "1000")));
    let mut statuses: Vec<_> = futures::future::join_all(both)
        .await
        .iter()
        .map(|(status, _)| *status)
        .collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 503]);
    api.stop().await;
}

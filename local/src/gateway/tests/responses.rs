use super::*;

#[tokio::test]
async fn turns_answers_into_responses() {
    let api = start(HttpApi::default(), &["GET /"]).await;
    for (reply, status, content_type, body) in [
        (json!({ "statusCode": 201, "body": "made" }), 201, "text/plain;charset=UTF-8", "made"),
        (
            json!({ "statusCode": 200, "body": "cGl4ZWxz", "isBase64Encoded": true, "headers": { "Content-Type": "image/png" } }),
            200,
            "image/png",
            "pixels",
        ),
        (json!({ "statusCode": 200, "body": null, "headers": null }), 200, "text/plain;charset=UTF-8", ""),
        (json!({ "hello": "world" }), 200, "application/json", r#"{"hello":"world"}"#),
        (json!("hello"), 200, "application/json", "hello"),
        (json!([1, 2]), 200, "application/json", "[1,2]"),
    ] {
        let response = api.get("/").header("x-reply", reply.to_string()).send().await.unwrap();
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
        let answer = api.answer(api.get("/").header("x-reply", malformed.to_string())).await;
        assert_eq!(answer, (500, message("Internal Server Error")), "{malformed}");
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
    let response = api.get("/").header("x-reply", reply.to_string()).send().await.unwrap();
    let all = |name: &str| -> Vec<_> {
        response.headers().get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
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

use super::*;

#[tokio::test]
async fn limits_bodies() {
    let api = start(HttpApi::default(), &["POST /"]).await;
    let too_large = (413, message("Request Entity Too Large"));
    let post = |size: usize| {
        let request = api.request(Method::POST, "/").header("content-type", "text/plain");
        request.header("x-reply", r#"{"statusCode":204}"#).body("x".repeat(size))
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
    assert_eq!(api.answer(crash).await, (500, message("Internal Server Error")));
    assert_eq!(api.answer(api.get("/")).await.0, 200);
    api.stop().await;
}

#[tokio::test]
async fn gives_up_on_a_slow_function_which_works_on() {
    let api = start_with(HttpApi::default(), &["GET /"], options(), Duration::from_millis(500)).await;
    assert_eq!(api.answer(api.get("/")).await.0, 200);
    let slow = api.get("/").header("x-sleep", "1000");
    assert_eq!(api.answer(slow).await, (503, message("Service Unavailable")));
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
    let mut statuses: Vec<_> =
        futures::future::join_all(both).await.iter().map(|(status, _)| *status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 503]);
    api.stop().await;
}

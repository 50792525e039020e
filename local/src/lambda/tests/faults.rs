//! What goes wrong, and what is left of it.

use super::*;
use crate::lambda::runtime_api::{Answer, Invocation, RuntimeApi};

#[tokio::test]
async fn throttles_what_has_queued_for_too_long() {
    let mut options = options();
    options.concurrency = 1;
    options.queue = Duration::from_millis(50);
    let functions = Functions::new(vec![launch("GetImage")], options);
    invoke(&functions, "GetImage", json!({})).await.unwrap();
    let (busy, throttled) = futures::future::join(
        invoke(&functions, "GetImage", json!({ "do": "sleep", "n": 1000 })),
        invoke(&functions, "GetImage", json!({})),
    )
    .await;
    busy.unwrap();
    assert_eq!(throttled, Err(InvokeError::Throttled));
    functions.shutdown().await;
}

#[tokio::test]
async fn kills_at_the_timeout_and_starts_afresh() {
    let mut launch = launch("GetImage");
    launch.function.timeout = Duration::from_millis(500);
    let functions = Functions::new(vec![launch], options());
    let first = invoke(&functions, "GetImage", json!({})).await.unwrap();
    let error = invoke(&functions, "GetImage", json!({ "do": "sleep", "n": 60_000 })).await.unwrap_err();
    assert_eq!(error.to_string(), "Task timed out after 0.50 seconds");
    assert_eq!(error.document()["errorType"], "Sandbox.Timedout");
    let pid = u32::try_from(first["pid"].as_u64().unwrap()).unwrap();
    until("the process to end", || !is_alive(pid)).await;
    let next = invoke(&functions, "GetImage", json!({})).await.unwrap();
    assert_ne!(next["pid"], first["pid"]);
    functions.shutdown().await;
}

#[tokio::test]
async fn tells_how_a_process_ended() {
    let functions = functions(&["GetImage"]);
    for (event, message) in [
        (json!({ "do": "exit", "n": 101 }), "Runtime exited with error: exit status 101"),
        (json!({ "do": "exit", "n": 0 }), "Runtime exited without providing a reason"),
        (json!({ "do": "abort" }), "Runtime exited with error: signal: aborted"),
    ] {
        let error = invoke(&functions, "GetImage", event).await.unwrap_err();
        assert_eq!(error.to_string(), message);
        assert_eq!(error.error_type(), "Runtime.ExitError");
    }
    invoke(&functions, "GetImage", json!({})).await.unwrap();
    assert_eq!(functions.counters()["GetImage"].cold_starts, 4);
    functions.shutdown().await;
}

#[tokio::test]
async fn survives_a_kill_in_the_middle() {
    let functions = functions(&["GetImage"]);
    assert!(!functions.kill_instance("GetImage"));
    invoke(&functions, "GetImage", json!({})).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let begun = directory.path().join("begun");
    let (killed, ()) = futures::future::join(
        invoke(&functions, "GetImage", json!({ "do": "sleep", "n": 60_000, "begun": begun })),
        async {
            until("the work to begin", || begun.exists()).await;
            assert!(functions.kill_instance("GetImage"));
        },
    )
    .await;
    assert_eq!(killed.unwrap_err().to_string(), "Runtime exited with error: signal: killed");
    invoke(&functions, "GetImage", json!({})).await.unwrap();
    functions.shutdown().await;
}

#[tokio::test]
async fn an_instance_that_dies_idle_costs_nobody_anything() {
    let functions = functions(&["GetImage"]);
    invoke(&functions, "GetImage", json!({})).await.unwrap();
    functions.kill_instance("GetImage");
    until("the instance to go", || functions.instances("GetImage").is_empty()).await;
    invoke(&functions, "GetImage", json!({})).await.unwrap();
    assert_eq!(functions.counters()["GetImage"].errors, 0);
    functions.shutdown().await;
}

#[tokio::test]
async fn passes_on_what_a_function_reports_and_keeps_the_instance() {
    let functions = functions(&["GetImage"]);
    let first = invoke(&functions, "GetImage", json!({})).await.unwrap();
    let error = invoke(&functions, "GetImage", json!({ "do": "error" })).await.unwrap_err();
    assert_eq!(error.document(), json!({ "errorType": "Quota.Exceeded", "errorMessage": "full" }));
    let error = invoke(&functions, "GetImage", json!({ "do": "panic" })).await.unwrap_err();
    assert!(matches!(&error, InvokeError::Function { message, .. } if message.contains("out of luck")));
    let next = invoke(&functions, "GetImage", json!({})).await.unwrap();
    assert_eq!(next["pid"], first["pid"]);
    assert_eq!(functions.counters()["GetImage"].errors, 2);
    functions.shutdown().await;
}

#[tokio::test]
async fn an_init_failure_is_its_own_functions() {
    let with = |name: &str, init: &str| {
        let mut launch = launch(name);
        launch.environment.insert("TEST_INIT".into(), init.into());
        launch
    };
    let mut missing = launch("Missing");
    missing.executable = "/nowhere/get-image".into();
    let mut options = options();
    options.init = Duration::from_secs(2);
    let functions = Functions::new(
        vec![
            with("Exits", "exit"),
            with("Reports", "report"),
            with("Hangs", "hang"),
            missing,
            launch("Works"),
        ],
        options,
    );
    let calls =
        ["Exits", "Reports", "Hangs", "Missing", "Works"].map(|name| invoke(&functions, name, json!({})));
    let [exits, reports, hangs, missing, works] =
        futures::future::join_all(calls).await.try_into().expect("as many answers as calls");
    works.unwrap();
    assert_eq!(
        exits.unwrap_err().document(),
        json!({ "errorType": "Runtime.ExitError", "errorMessage": "Runtime exited with error: exit status 3" })
    );
    assert_eq!(
        reports.unwrap_err().document(),
        json!({ "errorType": "Config.Missing", "errorMessage": "TABLE is not set" })
    );
    assert_eq!(hangs.unwrap_err().document()["errorMessage"], "Init phase timed out after 2.00 seconds");
    assert!(missing.unwrap_err().to_string().starts_with("Runtime.InvalidEntrypoint: /nowhere/get-image: "));
    until("the hanging instance to go", || functions.instances("Hangs").is_empty()).await;
    functions.shutdown().await;
}

#[tokio::test]
async fn a_failed_init_is_tried_again() {
    let directory = tempfile::tempdir().unwrap();
    let mut launch = launch("GetImage");
    let marker = directory.path().join("started").to_str().unwrap().to_owned();
    launch.environment.insert("TEST_INIT".into(), marker);
    let functions = Functions::new(vec![launch], options());
    let error = invoke(&functions, "GetImage", json!({})).await.unwrap_err();
    assert!(matches!(error, InvokeError::InitFailed { .. }));
    invoke(&functions, "GetImage", json!({})).await.unwrap();
    functions.shutdown().await;
}

#[tokio::test]
async fn work_that_nobody_took_goes_to_another_instance() {
    let invocation = Invocation {
        request_id: "1".into(),
        deadline: 0,
        arn: "arn".into(),
        trace: "trace".into(),
        payload: Bytes::from_static(b"{}"),
    };
    let (api, _ready) = RuntimeApi::new();
    let answered = api.offer(invocation).unwrap();
    api.close("with error: signal: killed".into());
    let Answer::Untouched(invocation) = answered.await.unwrap() else {
        panic!("the process never asked for it");
    };
    assert!(api.offer(invocation).is_err());
}

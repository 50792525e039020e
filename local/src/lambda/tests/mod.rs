//! With real processes.

mod ends;
mod faults;

use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::{Value, json};

use super::test_function::{functions, launch, options};
use super::*;
use crate::console::Format;
use crate::console::tests::Written;

/// Waits for something to become true.
async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(20), "waited too long for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A zombie is as dead as can be: nobody may be there to reap an orphan.
fn is_alive(pid: u32) -> bool {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    let state = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    let zombie = state.is_ok_and(|state| state.rsplit(") ").next().unwrap().starts_with('Z'));
    !zombie && rustix::process::test_kill_process(pid).is_ok()
}

async fn invoke(functions: &Functions, name: &str, event: Value) -> Result<Value, InvokeError> {
    let answer = functions.invoke(name, event.to_string().into()).await?;
    Ok(serde_json::from_slice(&answer).unwrap())
}

#[tokio::test]
async fn runs_a_function_as_lambda_does() {
    let mut launch = launch("GetImage");
    launch.function.environment =
        [("TABLE", "images"), ("REGION", "x")].map(|(n, v)| (n.to_owned(), v.to_owned())).into();
    launch.environment.insert("REGION".into(), "caller".into());
    let functions = Functions::new(vec![launch], options());
    let before = jiff::Timestamp::now().as_millisecond();
    let answer = invoke(&functions, "GetImage", json!({ "hello": "world" })).await.unwrap();

    assert_eq!(answer["event"], json!({ "hello": "world" }));
    assert_eq!(answer["arn"], "arn:aws:lambda:eu-west-1:123456789012:function:GetImage");
    assert_eq!(answer["request_id"].as_str().unwrap().len(), 36);
    assert!(answer["trace"].as_str().unwrap().starts_with("Root=1-"));
    let left = answer["deadline"].as_i64().unwrap() - before;
    assert!((20_000..40_000).contains(&left), "{left} ms to the deadline");

    let environment = &answer["environment"];
    for (name, value) in [
        ("AWS_DEFAULT_REGION", "eu-west-1"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ("AWS_LAMBDA_FUNCTION_NAME", "GetImage"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/GetImage"),
        ("AWS_REGION", "eu-west-1"),
        ("REGION", "caller"),
        ("TABLE", "images"),
        ("TZ", ":UTC"),
    ] {
        assert_eq!(environment[name], value, "{name}");
    }
    assert!(environment["AWS_LAMBDA_LOG_STREAM_NAME"].as_str().unwrap().contains("[$LATEST]"));
    // Cargo sets it for this process; a function must not see what surrounds the stack.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    assert_eq!(environment["CARGO_MANIFEST_DIR"], Value::Null);
    functions.shutdown().await;
}

#[tokio::test]
async fn reuses_a_warm_instance() {
    let functions = functions(&["GetImage"]);
    let first = invoke(&functions, "GetImage", json!({})).await.unwrap();
    for _ in 0..50 {
        let next = invoke(&functions, "GetImage", json!({})).await.unwrap();
        assert_eq!(next["pid"], first["pid"]);
        assert_ne!(next["request_id"], first["request_id"]);
    }
    let counters = functions.counters()["GetImage"];
    assert_eq!((counters.invocations, counters.errors, counters.cold_starts), (51, 0, 1));
    if cfg!(target_os = "linux") {
        assert!(counters.peak_memory > 1024 * 1024);
    }
    functions.shutdown().await;
}

#[tokio::test]
async fn scales_out_up_to_the_limit_and_queues_beyond() {
    let mut options = options();
    options.concurrency = 3;
    options.queue = Duration::from_secs(20);
    let functions = Functions::new(vec![launch("GetImage")], options);
    let all = (0..6).map(|_| invoke(&functions, "GetImage", json!({ "do": "sleep", "n": 300 })));
    let pids: std::collections::BTreeSet<_> = futures::future::join_all(all)
        .await
        .into_iter()
        .map(|answer| answer.unwrap()["pid"].as_u64().unwrap())
        .collect();
    assert_eq!(pids.len(), 3);
    assert_eq!(functions.instances("GetImage").len(), 3);
    functions.shutdown().await;
}

#[tokio::test]
async fn limits_payloads_in_both_directions() {
    let functions = functions(&["GetImage"]);
    let quotes = 2;
    let fits = json!({ "do": "large", "n": RESPONSE_LIMIT - quotes });
    let answer = functions.invoke("GetImage", fits.to_string().into()).await.unwrap();
    assert_eq!(answer.len(), RESPONSE_LIMIT);

    let first = invoke(&functions, "GetImage", json!({})).await.unwrap();
    let error = invoke(&functions, "GetImage", json!({ "do": "large", "n": 7_000_000 })).await.unwrap_err();
    assert_eq!(error, InvokeError::ResponseTooLarge { size: 7_000_002 });
    assert_eq!(error.error_type(), "Function.ResponseSizeTooLarge");
    let next = invoke(&functions, "GetImage", json!({})).await.unwrap();
    assert_eq!(next["pid"], first["pid"], "the instance works on");

    let pad = REQUEST_LIMIT - json!({ "do": "large", "n": 1, "pad": "" }).to_string().len();
    let mut payload = json!({ "do": "large", "n": 1, "pad": "x".repeat(pad) }).to_string();
    functions.invoke("GetImage", payload.clone().into()).await.unwrap();
    payload.push(' ');
    let error = functions.invoke("GetImage", payload.into()).await.unwrap_err();
    assert_eq!(error, InvokeError::RequestTooLarge { size: REQUEST_LIMIT + 1 });
    functions.shutdown().await;
}

#[tokio::test]
async fn unknown_functions_are_an_error() {
    let functions = functions(&[]);
    let error = functions.invoke("Nobody", Bytes::new()).await.unwrap_err();
    assert_eq!(error.to_string(), "Function not found: Nobody");
}

#[tokio::test]
async fn prints_what_functions_say() {
    let written = Written::default();
    let console = Console::to(Box::new(written.clone()), Format::Text, false, false);
    let functions = Functions::new(vec![launch("GetImage")], Options { console, ..options() });
    let line = json!({ "level": "INFO", "fields": { "message": "image found", "image": "img_1" } });
    invoke(&functions, "GetImage", json!({ "do": "log", "line": line.to_string() })).await.unwrap();
    invoke(&functions, "GetImage", json!({ "do": "error" })).await.unwrap_err();
    until("the log", || written.text().contains("image found")).await;
    let text = written.text();
    assert!(text.contains("GetImage INFO  image found image=img_1\n"), "{text}");
    assert!(text.contains(" ms (cold start "), "{text}");
    assert!(text.contains("GetImage ERROR Quota.Exceeded: full\n"), "{text}");
    functions.shutdown().await;
}

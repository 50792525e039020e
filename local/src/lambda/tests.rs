use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
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
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "waited too long for {what}"
        );
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
    launch.function.environment = [("TABLE", "images"), ("REGION", "x")]
        .map(|(n, v)| (n.to_owned(), v.to_owned()))
        .into();
    launch.environment.insert("REGION".into(), "caller".into());
    let functions = Functions::new(vec![launch], options());
    let before = jiff::Timestamp::now().as_millisecond();
    let answer = invoke(&functions, "GetImage", json!({ "hello": "world" }))
        .await
        .unwrap();

    assert_eq!(answer["event"], json!({ "hello": "world" }));
    assert_eq!(
        answer["arn"],
        "arn:aws:lambda:eu-west-1:123456789012:function:GetImage"
    );
    assert_eq!(answer["request_id"].as_str().unwrap().len(), 36);
    assert!(answer["trace"].as_str().unwrap().starts_with("Root=1-"));
    let left = answer["deadline"].as_i64().unwrap() - before;
    assert!(
        (20_000..40_000).contains(&left),
        "{left} ms to the deadline"
    );

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
    assert!(
        environment["AWS_LAMBDA_LOG_STREAM_NAME"]
            .as_str()
            .unwrap()
            .contains("[$LATEST]")
    );
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
    assert_eq!(
        (counters.invocations, counters.errors, counters.cold_starts),
        (51, 0, 1)
    );
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
    let error = invoke(
        &functions,
        "GetImage",
        json!({ "do": "sleep", "n": 60_000 }),
    )
    .await
    .unwrap_err();
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
        (
            json!({ "do": "exit", "n": 101 }),
            "Runtime exited with error: exit status 101",
        ),
        (
            json!({ "do": "exit", "n": 0 }),
            "Runtime exited without providing a reason",
        ),
        (
            json!({ "do": "abort" }),
            "Runtime exited with error: signal: aborted",
        ),
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
        invoke(
            &functions,
            "GetImage",
            json!({ "do": "sleep", "n": 60_000, "begun": begun }),
        ),
        async {
            until("the work to begin", || begun.exists()).await;
            assert!(functions.kill_instance("GetImage"));
        },
    )
    .await;
    assert_eq!(
        killed.unwrap_err().to_string(),
        "Runtime exited with error: signal: killed"
    );
    invoke(&functions, "GetImage", json!({})).await.unwrap();
    functions.shutdown().await;
}

#[tokio::test]
async fn an_instance_that_dies_idle_costs_nobody_anything() {
    let functions = functions(&["GetImage"]);
    invoke(&functions, "GetImage", json!({})).await.unwrap();
    functions.kill_instance("GetImage");
    until("the instance to go", || {
        functions.instances("GetImage").is_empty()
    })
    .await;
    invoke(&functions, "GetImage", json!({})).await.unwrap();
    assert_eq!(functions.counters()["GetImage"].errors, 0);
    functions.shutdown().await;
}

#[tokio::test]
async fn passes_on_what_a_function_reports_and_keeps_the_instance() {
    let functions = functions(&["GetImage"]);
    let first = invoke(&functions, "GetImage", json!({})).await.unwrap();
    let error = invoke(&functions, "GetImage", json!({ "do": "error" }))
        .await
        .unwrap_err();
    assert_eq!(
        error.document(),
        json!({ "errorType": "Quota.Exceeded", "errorMessage": "full" })
    );
    let error = invoke(&functions, "GetImage", json!({ "do": "panic" }))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, InvokeError::Function { message, .. } if message.contains("out of luck"))
    );
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
    let calls = ["Exits", "Reports", "Hangs", "Missing", "Works"]
        .map(|name| invoke(&functions, name, json!({})));
    let [exits, reports, hangs, missing, works] = futures::future::join_all(calls)
        .await
        .try_into()
        .expect("as many answers as calls");
    works.unwrap();
    assert_eq!(
        exits.unwrap_err().document(),
        json!({ "errorType": "Runtime.ExitError", "errorMessage": "Runtime exited with error: exit status 3" })
    );
    assert_eq!(
        reports.unwrap_err().document(),
        json!({ "errorType": "Config.Missing", "errorMessage": "TABLE is not set" })
    );
    assert_eq!(
        hangs.unwrap_err().to_string(),
        "Init phase timed out after 2.00 seconds"
    );
    assert!(
        missing
            .unwrap_err()
            .to_string()
            .starts_with("/nowhere/get-image: ")
    );
    until("the hanging instance to go", || {
        functions.instances("Hangs").is_empty()
    })
    .await;
    functions.shutdown().await;
}

#[tokio::test]
async fn a_failed_init_is_tried_again() {
    let directory = tempfile::tempdir().unwrap();
    let mut launch = launch("GetImage");
    let marker = directory
        .path()
        .join("started")
        .to_str()
        .unwrap()
        .to_owned();
    launch.environment.insert("TEST_INIT".into(), marker);
    let functions = Functions::new(vec![launch], options());
    let error = invoke(&functions, "GetImage", json!({})).await.unwrap_err();
    assert!(matches!(error, InvokeError::InitFailed { .. }));
    invoke(&functions, "GetImage", json!({})).await.unwrap();
    functions.shutdown().await;
}

#[tokio::test]
async fn limits_payloads_in_both_directions() {
    let functions = functions(&["GetImage"]);
    let quotes = 2;
    let fits = json!({ "do": "large", "n": RESPONSE_LIMIT - quotes });
    let answer = functions
        .invoke("GetImage", fits.to_string().into())
        .await
        .unwrap();
    assert_eq!(answer.len(), RESPONSE_LIMIT);

    let first = invoke(&functions, "GetImage", json!({})).await.unwrap();
    let error = invoke(
        &functions,
        "GetImage",
        json!({ "do": "large", "n": 7_000_000 }),
    )
    .await
    .unwrap_err();
    assert_eq!(error, InvokeError::ResponseTooLarge { size: 7_000_002 });
    assert_eq!(error.error_type(), "Function.ResponseSizeTooLarge");
    let next = invoke(&functions, "GetImage", json!({})).await.unwrap();
    assert_eq!(next["pid"], first["pid"], "the instance works on");

    let pad = REQUEST_LIMIT
        - json!({ "do": "large", "n": 1, "pad": "" })
            .to_string()
            .len();
    let mut payload = json!({ "do": "large", "n": 1, "pad": "x".repeat(pad) }).to_string();
    functions
        .invoke("GetImage", payload.clone().into())
        .await
        .unwrap();
    payload.push(' ');
    let error = functions
        .invoke("GetImage", payload.into())
        .await
        .unwrap_err();
    assert_eq!(
        error,
        InvokeError::RequestTooLarge {
            size: REQUEST_LIMIT + 1
        }
    );
    functions.shutdown().await;
}

#[tokio::test]
async fn stops_instances_that_nobody_needs() {
    let mut options = options();
    options.idle = Duration::from_millis(50);
    let functions = Functions::new(vec![launch("GetImage")], options);
    invoke(&functions, "GetImage", json!({})).await.unwrap();
    until("the instance to go", || {
        functions.instances("GetImage").is_empty()
    })
    .await;
    invoke(&functions, "GetImage", json!({})).await.unwrap();
    functions.shutdown().await;
}

#[tokio::test]
async fn works_on_when_the_caller_goes_away() {
    let functions = functions(&["GetImage"]);
    let first = invoke(&functions, "GetImage", json!({})).await.unwrap();
    let call = invoke(&functions, "GetImage", json!({ "do": "sleep", "n": 300 }));
    assert!(
        tokio::time::timeout(Duration::from_millis(50), call)
            .await
            .is_err()
    );
    until("the invocation to end", || {
        functions.counters()["GetImage"].invocations == 2
    })
    .await;
    assert_eq!(functions.counters()["GetImage"].errors, 0);
    let next = invoke(&functions, "GetImage", json!({})).await.unwrap();
    assert_eq!(next["pid"], first["pid"]);
    functions.shutdown().await;
}

#[tokio::test]
async fn shutdown_leaves_nothing_behind() {
    let functions = functions(&["GetImage", "ListImages"]);
    invoke(&functions, "GetImage", json!({})).await.unwrap();
    invoke(&functions, "ListImages", json!({})).await.unwrap();
    let pids = [
        functions.instances("GetImage"),
        functions.instances("ListImages"),
    ]
    .concat();
    assert_eq!(pids.len(), 2);
    let directory = tempfile::tempdir().unwrap();
    let begun = directory.path().join("begun");
    let (busy, ()) = futures::future::join(
        invoke(
            &functions,
            "GetImage",
            json!({ "do": "sleep", "n": 60_000, "begun": begun }),
        ),
        async {
            until("the work to begin", || begun.exists()).await;
            functions.shutdown().await;
        },
    )
    .await;
    assert_eq!(
        busy.unwrap_err().to_string(),
        "Runtime exited with error: signal: terminated"
    );
    assert!(!pids.into_iter().any(is_alive));
    assert_eq!(
        invoke(&functions, "GetImage", json!({})).await,
        Err(InvokeError::Throttled)
    );
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
    let functions = Functions::new(
        vec![launch("GetImage")],
        Options {
            console,
            ..options()
        },
    );
    let line = json!({ "level": "INFO", "fields": { "message": "image found", "image": "img_1" } });
    invoke(
        &functions,
        "GetImage",
        json!({ "do": "log", "line": line.to_string() }),
    )
    .await
    .unwrap();
    invoke(&functions, "GetImage", json!({ "do": "error" }))
        .await
        .unwrap_err();
    until("the log", || written.text().contains("image found")).await;
    let text = written.text();
    assert!(
        text.contains("GetImage INFO  image found image=img_1\n"),
        "{text}"
    );
    assert!(text.contains(" ms (cold start "), "{text}");
    assert!(
        text.contains("GetImage ERROR [Quota.Exceeded] Quota.Exceeded: full\n"),
        "{text}"
    );
    functions.shutdown().await;
}

/// Not a test: a stack that is about to be killed.
#[tokio::test]
async fn stack_entry() {
    if std::env::var_os("TEST_STACK").is_none() {
        return;
    }
    let functions = functions(&["GetImage"]);
    invoke(&functions, "GetImage", json!({})).await.unwrap();
    writeln!(
        std::io::stdout(),
        "function {}",
        functions.instances("GetImage")[0]
    )
    .unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_killed_stack_leaves_no_orphans() {
    let mut stack = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "lambda::tests::stack_entry", "--nocapture"])
        .env("TEST_STACK", "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = BufReader::new(stack.stdout.take().unwrap())
        .lines()
        .find_map(|line| line.unwrap().rsplit_once("function ")?.1.parse().ok())
        .unwrap();
    assert!(is_alive(pid));
    stack.kill().unwrap();
    stack.wait().unwrap();
    until("the function to exit", || !is_alive(pid)).await;
}

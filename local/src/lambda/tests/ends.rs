//! How processes end, wanted or not.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use super::*;

#[tokio::test]
async fn stops_instances_that_nobody_needs() {
    let mut options = options();
    options.idle = Duration::from_millis(50);
    let functions = Functions::new(vec![launch("GetImage")], options);
    invoke(&functions, "GetImage", json!({})).await.unwrap();
    until("the instance to go", || functions.instances("GetImage").is_empty()).await;
    invoke(&functions, "GetImage", json!({})).await.unwrap();
    functions.shutdown().await;
}

#[tokio::test]
async fn works_on_when_the_caller_goes_away() {
    let functions = functions(&["GetImage"]);
    let first = invoke(&functions, "GetImage", json!({})).await.unwrap();
    let call = invoke(&functions, "GetImage", json!({ "do": "sleep", "n": 300 }));
    assert!(tokio::time::timeout(Duration::from_millis(50), call).await.is_err());
    until("the invocation to end", || functions.counters()["GetImage"].invocations == 2).await;
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
    let pids = [functions.instances("GetImage"), functions.instances("ListImages")].concat();
    assert_eq!(pids.len(), 2);
    let directory = tempfile::tempdir().unwrap();
    let begun = directory.path().join("begun");
    let (busy, ()) = futures::future::join(
        invoke(&functions, "GetImage", json!({ "do": "sleep", "n": 60_000, "begun": begun })),
        async {
            until("the work to begin", || begun.exists()).await;
            functions.shutdown().await;
        },
    )
    .await;
    assert_eq!(busy.unwrap_err().to_string(), "Runtime exited with error: signal: terminated");
    assert!(!pids.into_iter().any(is_alive));
    assert_eq!(invoke(&functions, "GetImage", json!({})).await, Err(InvokeError::Throttled));
}

/// Not a test: a stack that is about to be killed, with a function that waits and one that works.
#[tokio::test]
async fn stack_entry() {
    let Some(begun) = std::env::var_os("TEST_STACK").map(PathBuf::from) else {
        return;
    };
    let functions = functions(&["GetImage", "ListImages"]);
    invoke(&functions, "GetImage", json!({})).await.unwrap();
    let work = json!({ "do": "sleep", "n": 1000, "begun": begun });
    let (_, ()) = futures::future::join(invoke(&functions, "ListImages", work), async {
        until("the work to begin", || begun.exists()).await;
        let pids = [functions.instances("GetImage")[0], functions.instances("ListImages")[0]];
        writeln!(std::io::stdout(), "functions {} {}", pids[0], pids[1]).unwrap();
        std::future::pending::<()>().await;
    })
    .await;
}

#[tokio::test]
async fn a_killed_stack_leaves_no_orphans() {
    let directory = tempfile::tempdir().unwrap();
    let mut stack = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "lambda::tests::ends::stack_entry", "--nocapture"])
        .env("TEST_STACK", directory.path().join("begun"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let pids: Vec<u32> = BufReader::new(stack.stdout.take().unwrap())
        .lines()
        .find_map(|line| {
            let line = line.unwrap();
            let (_, pids) = line.split_once("functions ")?;
            Some(pids.split(' ').map(|pid| pid.parse().unwrap()).collect())
        })
        .unwrap();
    assert!(pids.iter().copied().all(is_alive));
    stack.kill().unwrap();
    stack.wait().unwrap();
    until("the functions to exit", || !pids.iter().copied().any(is_alive)).await;
}

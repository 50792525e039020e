//! A real function for tests, on the real runtime client: the test binary, started again.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde_json::{Value, json};

use super::{Functions, Launch, Options};
use crate::console::{Console, Format};
use crate::template::model::Function;

/// A function of this name.
pub(crate) fn launch(name: &str) -> Launch {
    Launch {
        function: Function {
            name: name.into(),
            arn: format!("arn:aws:lambda:eu-west-1:123456789012:function:{name}"),
            binary: "test-function".into(),
            timeout: Duration::from_secs(20),
            memory_mb: 256,
            environment: BTreeMap::new(),
            statements: Vec::new(),
            triggers: Vec::new(),
        },
        executable: Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lambda/test_function.sh"),
        environment: [
            ("TEST_FUNCTION", "1".to_owned()),
            ("TEST_BINARY", std::env::current_exe().unwrap().to_str().unwrap().to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into(),
    }
}

/// Options with a console that nobody reads.
pub(crate) fn options() -> Options {
    Options::new(Console::to(Box::new(std::io::sink()), Format::Text, false, false))
}

/// Functions of these names.
pub(crate) fn functions(names: &[&str]) -> Functions {
    Functions::new(names.iter().map(|name| launch(name)).collect(), options())
}

/// Not a test: what runs in the child.
#[test]
fn entry() {
    if std::env::var_os("TEST_FUNCTION").is_none() {
        return;
    }
    initialise();
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(lambda_runtime::run(service_fn(handle)))
        .unwrap();
}

/// Fails before the first invocation, if told to.
fn initialise() {
    match std::env::var("TEST_INIT").as_deref() {
        Ok("exit") => std::process::exit(3),
        Ok("hang") => std::thread::sleep(Duration::from_mins(10)),
        Ok("report") => {
            let mut api = TcpStream::connect(std::env::var("AWS_LAMBDA_RUNTIME_API").unwrap()).unwrap();
            let body = r#"{"errorType":"Config.Missing","errorMessage":"TABLE is not set"}"#;
            write!(
                api,
                "POST /2018-06-01/runtime/init/error HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            )
            .unwrap();
            let _ = api.read(&mut [0; 1]);
            std::process::exit(1);
        }
        Ok(marker) if marker.starts_with('/') && !PathBuf::from(marker).exists() => {
            std::fs::write(marker, "").unwrap();
            std::process::exit(1);
        }
        _ => {}
    }
}

async fn handle(event: LambdaEvent<Value>) -> Result<Value, Diagnostic> {
    let (event, context) = event.into_parts();
    if event["type"] == "REQUEST" {
        return Ok(authorize(&event));
    }
    if event["version"] == "2.0" {
        return Ok(respond(event).await);
    }
    if let Some(marker) = event["begun"].as_str() {
        std::fs::write(marker, "").unwrap();
    }
    let number = event["n"].as_u64().unwrap_or_default();
    match event["do"].as_str().unwrap_or_default() {
        "sleep" => tokio::time::sleep(Duration::from_millis(number)).await,
        "exit" => std::process::exit(i32::try_from(number).unwrap()),
        "abort" => std::process::abort(),
        "panic" => panic!("out of luck"),
        "error" => {
            return Err(Diagnostic { error_type: "Quota.Exceeded".into(), error_message: "full".into() });
        }
        "large" => return Ok(Value::String("x".repeat(usize::try_from(number).unwrap()))),
        "log" => writeln!(std::io::stdout(), "{}", event["line"].as_str().unwrap()).unwrap(),
        _ => {}
    }
    let environment: BTreeMap<_, _> = std::env::vars().collect();
    Ok(json!({
        "event": event,
        "pid": std::process::id(),
        "environment": environment,
        "request_id": context.request_id,
        "deadline": context.deadline,
        "arn": context.invoked_function_arn,
        "trace": context.xray_trace_id,
    }))
}

/// Answers an HTTP request: with the document in `x-reply` if there is one, else with the event.
async fn respond(event: Value) -> Value {
    if let Some(milliseconds) = event["headers"]["x-sleep"].as_str() {
        tokio::time::sleep(Duration::from_millis(milliseconds.parse().unwrap())).await;
    }
    match event["headers"]["x-reply"].as_str() {
        Some("crash") => std::process::exit(9),
        Some(reply) => serde_json::from_str(reply).unwrap(),
        None => json!({
            "statusCode": 200,
            "headers": { "content-type": "application/json" },
            "body": event.to_string(),
        }),
    }
}

fn authorize(event: &Value) -> Value {
    match event["identitySource"][0].as_str() {
        Some("allow") => {
            json!({ "isAuthorized": true, "context": { "project": "p_1", "event": event } })
        }
        Some("plain") => json!({ "isAuthorized": true }),
        Some("deny") => json!({ "isAuthorized": false }),
        Some("crash") => std::process::exit(9),
        _ => json!({ "isAuthorized": "perhaps" }),
    }
}

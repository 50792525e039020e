//! From the start of a function's process to its first request for work, and to its first TLS hello.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::time::timeout;

use crate::binaries::Binaries;
use crate::figure::{Figure, Unit};
use crate::runtime_api::RuntimeApi;
use crate::samples::Samples;
use crate::{Failure, megabytes, milliseconds, process, progress};

const PART: &str = "cold-start";
/// How often each function is started.
const ROUNDS: u64 = 150;
/// How many starts are not counted: they bring the binaries into memory.
const UNCOUNTED: u64 = 3;
/// How long a function may take to get to anything.
const PATIENCE: Duration = Duration::from_secs(10);
/// The first byte of a TLS handshake record (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 0x16;

/// What was seen of the starts of one function.
#[derive(Default)]
struct Starts {
    /// Milliseconds to the first request for work.
    asked: Vec<f64>,
    /// Milliseconds to the first TLS hello, or to the answer of a function that makes none.
    acted: Vec<f64>,
    /// Megabytes at the first request for work, and after acting.
    memory: (Vec<f64>, Vec<f64>),
}

/// Starts both functions alternately.
pub async fn measure(binaries: &Binaries) -> Result<Vec<Figure>, Failure> {
    let (hello, get_image) = (binaries.find("hello")?, binaries.find("get-image")?);
    let (mut reference, mut measured) = (Starts::default(), Starts::default());
    let mut unread = (Starts::default(), Starts::default());
    let progress = progress(ROUNDS + UNCOUNTED);
    for round in 0..ROUNDS + UNCOUNTED {
        let (reference, measured) =
            if round < UNCOUNTED { (&mut unread.0, &mut unread.1) } else { (&mut reference, &mut measured) };
        reference.add(hello, Act::Answer).await?;
        measured.add(get_image, Act::CallDynamoDb).await?;
        progress.inc(1);
    }
    let mut figures = Vec::new();
    let mut add = |name: &str, values: &[f64], unit| {
        figures
            .extend(Samples::new(values.to_vec()).map(|samples| Figure::median(PART, name, &samples, unit)));
    };
    add("hello: spawn to /next", &reference.asked, Unit::Milliseconds);
    add("get-image: spawn to /next", &measured.asked, Unit::Milliseconds);
    add("hello: spawn to first answer", &reference.acted, Unit::Milliseconds);
    add("get-image: spawn to first TLS hello", &measured.acted, Unit::Milliseconds);
    add("hello: peak memory at /next", &reference.memory.0, Unit::Megabytes);
    add("get-image: peak memory at /next", &measured.memory.0, Unit::Megabytes);
    add("hello: peak memory after its answer", &reference.memory.1, Unit::Megabytes);
    add("get-image: peak memory at the TLS hello", &measured.memory.1, Unit::Megabytes);
    let ratio = Figure::ratio(PART, "get-image / hello: spawn to /next", &measured.asked, &reference.asked);
    figures.extend(ratio.map(|ratio| ratio.at_most(1.8)));
    // What nothing else on the machine interrupted: the figure to trust where much else runs.
    let fastest = |values: &[f64]| Samples::new(values.to_vec()).map(|samples| samples.quantile(0.1));
    if let (Some(measured), Some(reference)) = (fastest(&measured.asked), fastest(&reference.asked)) {
        let name = "get-image / hello: the fastest tenth of each";
        figures.push(Figure::new(PART, name, measured / reference, Unit::Times));
    }
    Ok(figures)
}

/// What a function does with its first event.
#[derive(Clone, Copy)]
enum Act {
    /// It answers.
    Answer,
    /// It calls `DynamoDB`, over TLS.
    CallDynamoDb,
}

impl Starts {
    /// Starts the function once more.
    async fn add(&mut self, program: &Path, act: Act) -> Result<(), Failure> {
        let mut api = RuntimeApi::start().await?;
        let dynamodb = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let mut command = Command::new(program);
        command.env_clear().envs(environment()).env("AWS_LAMBDA_RUNTIME_API", api.address.to_string());
        command.env("AWS_ENDPOINT_URL_DYNAMODB", format!("https://{}", dynamodb.local_addr()?));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);

        let spawned = Instant::now();
        let mut child = command.spawn()?;
        let failed = |what: &str| format!("{} does not {what}", program.display());
        let id = child.id().ok_or_else(|| failed("run"))?;
        let asked = timeout(PATIENCE, api.asked.recv()).await.ok().flatten();
        let asked = asked.ok_or_else(|| failed("ask for work"))?;
        let idle = process::peak_memory(id)?;
        api.give(event());
        let acted = match act {
            Act::Answer => timeout(PATIENCE, api.answered.recv()).await.ok().flatten(),
            Act::CallDynamoDb => timeout(PATIENCE, tls_hello(&dynamodb)).await.ok().transpose()?,
        };
        let acted = acted.ok_or_else(|| failed("act on its event"))?;
        let busy = process::peak_memory(id)?;
        child.kill().await?;

        self.asked.push(milliseconds(asked - spawned));
        self.acted.push(milliseconds(acted - spawned));
        self.memory.0.push(megabytes(idle));
        self.memory.1.push(megabytes(busy));
        Ok(())
    }
}

/// Waits for a client that begins to speak TLS.
async fn tls_hello(listener: &TcpListener) -> Result<Instant, Failure> {
    let (mut connection, _) = listener.accept().await?;
    let first = connection.read_u8().await?;
    let now = Instant::now();
    if first == HANDSHAKE { Ok(now) } else { Err("the function does not speak TLS to DynamoDB".into()) }
}

/// The environment as Lambda sets it, with credentials that open nothing.
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime>
fn environment() -> [(&'static str, &'static str); 17] {
    [
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
        ("AWS_DEFAULT_REGION", "eu-west-1"),
        ("AWS_EXECUTION_ENV", "AWS_Lambda_rust"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ("AWS_LAMBDA_FUNCTION_NAME", "benchmark"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/benchmark"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "2026/01/02/[$LATEST]0123456789abcdef0123456789abcdef"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        ("AWS_SESSION_TOKEN", "benchmark"),
        ("LANG", "en_US.UTF-8"),
        ("PATH", "/usr/local/bin:/usr/bin:/bin:/opt/bin"),
        ("TABLE_NAME", "benchmark"),
        ("TZ", ":UTC"),
        ("_HANDLER", "bootstrap"),
    ]
}

/// `GET /v1/images/{image}` from an HTTP API, payload format 2.0, by a caller that the authorizer let in.
fn event() -> String {
    let image = "img_01JZ0000000000000000000000";
    json!({
        "version": "2.0",
        "routeKey": "GET /v1/images/{image}",
        "rawPath": format!("/v1/images/{image}"),
        "rawQueryString": "",
        "headers": { "accept": "application/json", "host": "example.execute-api.eu-west-1.amazonaws.com" },
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "example",
            "authorizer": {
                "lambda": { "project": "prj_01JZ0000000000000000000000", "scopes": "images:read" }
            },
            "domainName": "example.execute-api.eu-west-1.amazonaws.com",
            "domainPrefix": "example",
            "http": {
                "method": "GET",
                "path": format!("/v1/images/{image}"),
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "benchmark"
            },
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": "GET /v1/images/{image}",
            "stage": "$default",
            "time": "02/Jan/2026:03:04:05 +0000",
            "timeEpoch": 1_767_323_045_000_u64
        },
        "pathParameters": { "image": image },
        "isBase64Encoded": false
    })
    .to_string()
}

//! The Lambda Runtime API of one instance, over which the real runtime client of the function asks
//! for work and answers.
//!
//! Every instance has a listener of its own, so a request's port says which instance sends it. A path
//! in `AWS_LAMBDA_RUNTIME_API` would do the same, but the runtime client panics on one without a
//! scheme.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::RESPONSE_LIMIT;
use super::body::{ReadError, read};
use super::error::InvokeError;

/// One piece of work for an instance.
#[derive(Debug)]
pub(super) struct Invocation {
    pub(super) request_id: String,
    /// Milliseconds since the epoch.
    pub(super) deadline: u128,
    pub(super) arn: Arc<str>,
    pub(super) trace: Arc<str>,
    pub(super) payload: Bytes,
}

/// What became of an invocation.
#[derive(Debug)]
pub(super) enum Answer {
    /// The instance answered or reported an error, and can work on.
    Given(Result<Bytes, InvokeError>),
    /// The process ended while it worked.
    Exited(String),
    /// The process ended before it took the invocation: another instance can have it.
    Untouched(Invocation),
}

/// The state of one instance, shared by those who invoke it and by its connections.
#[derive(Default)]
pub(super) struct RuntimeApi(Mutex<State>);

#[derive(Default)]
struct State {
    /// Waits for the first `/next`, or for the failure to get there.
    init: Option<oneshot::Sender<Result<(), InvokeError>>>,
    /// A `/next` that waits for work.
    parked: Option<oneshot::Sender<Invocation>>,
    /// Work that waits for a `/next`.
    pending: Option<Invocation>,
    running: Option<Running>,
    exited: Option<String>,
}

struct Running {
    request_id: String,
    answer: oneshot::Sender<Answer>,
}

impl RuntimeApi {
    /// A new state, and what resolves once the function is ready or cannot become so.
    pub(super) fn new() -> (Arc<Self>, oneshot::Receiver<Result<(), InvokeError>>) {
        let (init, ready) = oneshot::channel();
        (Arc::new(Self(Mutex::new(State { init: Some(init), ..State::default() }))), ready)
    }

    /// Gives the instance work. It may be on its way back from the last answer: the invocation then
    /// waits for its `/next`. An instance that has exited hands the invocation back.
    pub(super) fn offer(&self, invocation: Invocation) -> Result<oneshot::Receiver<Answer>, Invocation> {
        let mut state = self.state();
        if state.exited.is_some() {
            return Err(invocation);
        }
        let (answer, answered) = oneshot::channel();
        state.running = Some(Running { request_id: invocation.request_id.clone(), answer });
        state.pending = match state.parked.take() {
            Some(parked) => parked.send(invocation).err(),
            None => Some(invocation),
        };
        Ok(answered)
    }

    /// Whether the instance works on something.
    pub(super) fn is_busy(&self) -> bool {
        self.state().running.is_some()
    }

    /// The process is gone, and so is all hope of an answer.
    pub(super) fn close(&self, reason: String) {
        let mut state = self.state();
        if let Some(init) = state.init.take() {
            let error = InvokeError::Exited { reason: reason.clone() };
            // Nobody may be waiting any more, here as below.
            let _ = init.send(Err(InvokeError::InitFailed {
                error_type: error.error_type().to_owned(),
                message: error.to_string(),
            }));
        }
        if let Some(running) = state.running.take() {
            let answer = match state.pending.take() {
                Some(invocation) => Answer::Untouched(invocation),
                None => Answer::Exited(reason.clone()),
            };
            let _ = running.answer.send(answer);
        }
        state.parked = None;
        state.exited = Some(reason);
    }

    /// Waits for work. A `/next` replaces an earlier one, whose connection must have broken.
    async fn next(&self) -> Option<Invocation> {
        let work = {
            let mut state = self.state();
            if let Some(init) = state.init.take() {
                let _ = init.send(Ok(()));
            }
            if let Some(invocation) = state.pending.take() {
                return Some(invocation);
            }
            let (parked, work) = oneshot::channel();
            state.parked = Some(parked);
            work
        };
        work.await.ok()
    }

    /// Resolves the invocation of this id, if it is the one that runs.
    fn answer(&self, request_id: &str, answer: Result<Bytes, InvokeError>) -> bool {
        let mut state = self.state();
        match state.running.take_if(|running| running.request_id == request_id) {
            Some(running) => {
                let _ = running.answer.send(Answer::Given(answer));
                true
            }
            None => false,
        }
    }

    fn fail_init(&self, error: InvokeError) {
        if let Some(init) = self.state().init.take() {
            let _ = init.send(Err(error));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is a plain assignment, so a poisoned state is a whole one.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves the API until the task is aborted.
pub(super) async fn serve(listener: TcpListener, api: Arc<RuntimeApi>) {
    loop {
        match listener.accept().await {
            Ok((connection, _)) => {
                tokio::spawn(serve_connection(connection, Arc::clone(&api)));
            }
            // Out of file descriptors, most likely: there will be some again.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn serve_connection(connection: TcpStream, api: Arc<RuntimeApi>) {
    // Answers are written whole; without this each would wait for an acknowledgement.
    let _ = connection.set_nodelay(true);
    let service = service_fn(|request| {
        let api = Arc::clone(&api);
        async move { Ok::<_, Infallible>(answer(&api, request).await) }
    });
    // The function ends its connections by exiting, which is no error.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(connection), service).await;
}

async fn answer(api: &RuntimeApi, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let Some(path) = parts.uri.path().strip_prefix("/2018-06-01/runtime/") else {
        return status(StatusCode::NOT_FOUND);
    };
    if path == "invocation/next" && parts.method == Method::GET {
        return match api.next().await {
            Some(invocation) => work(invocation),
            None => status(StatusCode::GONE),
        };
    }
    if parts.method != Method::POST {
        return status(StatusCode::NOT_FOUND);
    }
    let body = read(body, RESPONSE_LIMIT).await;
    if path == "init/error" {
        let document = body.unwrap_or_default();
        api.fail_init(InvokeError::reported_at_start(&document));
        return status(StatusCode::ACCEPTED);
    }
    let Some((request_id, kind)) = path.strip_prefix("invocation/").and_then(|rest| rest.split_once('/'))
    else {
        return status(StatusCode::NOT_FOUND);
    };
    let (outcome, accepted) = match (kind, body) {
        ("response", Ok(payload)) => (Ok(payload), StatusCode::ACCEPTED),
        ("error", Ok(document)) => (Err(InvokeError::reported(&document)), StatusCode::ACCEPTED),
        ("response" | "error", Err(ReadError::TooLarge { size })) => {
            (Err(InvokeError::ResponseTooLarge { size }), StatusCode::PAYLOAD_TOO_LARGE)
        }
        // The process is about to exit, and its end resolves the invocation.
        ("response" | "error", Err(ReadError::Broken(_))) => {
            return status(StatusCode::BAD_REQUEST);
        }
        _ => return status(StatusCode::NOT_FOUND),
    };
    if api.answer(request_id, outcome) { status(accepted) } else { status(StatusCode::BAD_REQUEST) }
}

fn work(invocation: Invocation) -> Response<Full<Bytes>> {
    Response::builder()
        .header("content-type", "application/json")
        .header("lambda-runtime-aws-request-id", invocation.request_id)
        .header("lambda-runtime-deadline-ms", invocation.deadline.to_string())
        .header("lambda-runtime-invoked-function-arn", &*invocation.arn)
        .header("lambda-runtime-trace-id", &*invocation.trace)
        .body(Full::new(invocation.payload))
        // A trace id or an ARN with characters that no header has.
        .unwrap_or_else(|_| status(StatusCode::INTERNAL_SERVER_ERROR))
}

/// The runtime client looks at the status alone.
fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

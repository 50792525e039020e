//! The Lambda Runtime API for one process that is given one event.
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::future::pending;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;

/// A server that is gone when it is dropped.
pub struct RuntimeApi {
    /// Where it listens.
    pub address: SocketAddr,
    /// When the function asked for work.
    pub asked: mpsc::UnboundedReceiver<Instant>,
    /// When it answered.
    pub answered: mpsc::UnboundedReceiver<Instant>,
    event: Option<oneshot::Sender<String>>,
    server: JoinHandle<io::Result<()>>,
}

struct Process {
    asked: mpsc::UnboundedSender<Instant>,
    answered: mpsc::UnboundedSender<Instant>,
    event: Mutex<Option<oneshot::Receiver<String>>>,
}

impl RuntimeApi {
    /// Listens for a process that is yet to be started.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (asked_sender, asked) = mpsc::unbounded_channel();
        let (answered_sender, answered) = mpsc::unbounded_channel();
        let (event, given) = oneshot::channel();
        let process =
            Process { asked: asked_sender, answered: answered_sender, event: Mutex::new(Some(given)) };
        let routes = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .with_state(Arc::new(process));
        let server = tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(Self { address, asked, answered, event: Some(event), server })
    }

    /// Gives the process its event.
    pub fn give(&mut self, event: String) {
        if let Some(sender) = self.event.take() {
            // A process that has ended in the meantime is noticed by whoever waits for its answer.
            let _ = sender.send(event);
        }
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn next(State(process): State<Arc<Process>>) -> Response {
    // First of all: this is what is measured.
    let _ = process.asked.send(Instant::now());
    let event = process.event.lock().await.take();
    let event = match event {
        Some(event) => event.await.ok(),
        None => None,
    };
    // As Lambda does while there is no work.
    let Some(event) = event else { return pending().await };
    let headers = [
        ("content-type", "application/json"),
        ("lambda-runtime-aws-request-id", "00000000-0000-4000-8000-000000000000"),
        // In the year 2100.
        ("lambda-runtime-deadline-ms", "4102444800000"),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:eu-west-1:123456789012:function:benchmark"),
        ("lambda-runtime-trace-id", "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0"),
    ];
    (headers, event).into_response()
}

async fn response(State(process): State<Arc<Process>>) -> StatusCode {
    let _ = process.answered.send(Instant::now());
    StatusCode::ACCEPTED
}

//! The protocol of Amazon SQS: AWS JSON 1.0, signed, with the errors that SDKs know.
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-making-api-requests-json.html>

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::Response;
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::operations::Call;
use super::{QueueError, Queues};
use crate::aws_json::{self, NotAuthenticated};
use crate::faults::{Fault, Service};
use crate::iam::{Denied, Identities};

/// Ten messages in a batch, each character of which JSON may write as six.
const MAXIMUM_REQUEST: usize = 8 * 1024 * 1024;

/// Why a request got no result.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("{0}")]
    NotAuthenticated(NotAuthenticated),
    #[error("{0}")]
    Denied(Denied),
    #[error("{0}")]
    Queue(QueueError),
    #[error("{0}")]
    Unreadable(serde_json::Error),
    #[error("The operation {0} is not one of these queues.")]
    UnknownOperation(String),
    #[error("Rate exceeded")]
    Throttled,
    #[error("We encountered an internal error. Please try again.")]
    Failing,
}

struct Server {
    queues: Queues,
    identities: Arc<Identities>,
    shutdown: CancellationToken,
}

impl Queues {
    /// Serves the protocol until the token is cancelled; long polls end then.
    pub async fn serve(
        &self, listener: TcpListener, identities: Arc<Identities>, shutdown: CancellationToken,
    ) -> io::Result<()> {
        let server = Server { queues: self.clone(), identities, shutdown: shutdown.clone() };
        let router = Router::new()
            .fallback(answer)
            .layer(DefaultBodyLimit::max(MAXIMUM_REQUEST))
            .with_state(Arc::new(server));
        aws_json::serve(listener, router, shutdown).await
    }
}

async fn answer(State(server): State<Arc<Server>>, parts: Parts, body: Bytes) -> Response {
    match server.result(&parts, &body).await {
        Ok(result) => aws_json::answer(StatusCode::OK, result.to_string()),
        Err(refusal) => refusal.response(),
    }
}

impl Server {
    async fn result(&self, parts: &Parts, body: &[u8]) -> Result<Value, Refusal> {
        let identity = aws_json::authenticate(&self.identities, "sqs", parts, body)
            .map_err(Refusal::NotAuthenticated)?;
        match self.queues.0.faults.strike(Service::Sqs) {
            Some(Fault::Throttle) => return Err(Refusal::Throttled),
            Some(Fault::Error) => return Err(Refusal::Failing),
            None => {}
        }
        let operation = aws_json::operation(&parts.headers, "AmazonSQS").unwrap_or_default();
        // Queue URLs lead back to where the client found this server.
        let host = parts.headers.get("host").and_then(|h| h.to_str().ok()).unwrap_or_default();
        let call = Call { queues: &self.queues, identity: &identity, host, shutdown: &self.shutdown };
        call.run(operation, body).await
    }
}

impl Refusal {
    fn response(&self) -> Response {
        let (status, shape, query_code) = match self {
            Self::NotAuthenticated(e) => {
                let shape = format!("com.amazon.coral.service#{}", e.code());
                (StatusCode::FORBIDDEN, shape, e.code())
            }
            Self::Denied(_) => (
                StatusCode::FORBIDDEN,
                "com.amazon.coral.service#AccessDeniedException".to_owned(),
                "AccessDenied",
            ),
            Self::Queue(e) => {
                let (shape, query_code) = e.codes();
                let status =
                    if e.is_senders() { StatusCode::BAD_REQUEST } else { StatusCode::INTERNAL_SERVER_ERROR };
                (status, shape.to_owned(), query_code)
            }
            Self::Unreadable(_) => (
                StatusCode::BAD_REQUEST,
                "com.amazon.coral.service#SerializationException".to_owned(),
                "MalformedInput",
            ),
            Self::UnknownOperation(_) => (
                StatusCode::BAD_REQUEST,
                "com.amazon.coral.service#UnknownOperationException".to_owned(),
                "InvalidAction",
            ),
            Self::Throttled => {
                (StatusCode::BAD_REQUEST, "com.amazonaws.sqs#RequestThrottled".to_owned(), "RequestThrottled")
            }
            Self::Failing => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "com.amazonaws.sqs#InternalServerError".to_owned(),
                "InternalFailure",
            ),
        };
        if status.is_server_error() {
            tracing::warn!(error = self as &dyn std::error::Error, "a queue request failed");
        }
        let side = if status.is_server_error() { "Receiver" } else { "Sender" };
        let mut response = aws_json::error(status, &shape, &self.to_string());
        if let Ok(value) = HeaderValue::from_str(&format!("{query_code};{side}")) {
            response.headers_mut().insert("x-amzn-query-error", value);
        }
        response
    }
}

//! The protocol of DynamoDB: AWS JSON 1.0, signed, allowed by the caller's policies.

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::Response;
use dynoxide::DynoxideError;
use http::StatusCode;
use http::request::Parts;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{TableError, Tables, operations};
use crate::aws_json::{self, NotAuthenticated};
use crate::faults::{Fault, Service};
use crate::iam::{AccessRequest, Denied, Identities};

/// The largest request that DynamoDB reads: a batch of 16 MB.
const MAXIMUM_REQUEST: usize = 16 * 1024 * 1024;

/// Where the engine's ARNs say that they are, apart from the table's name.
const ENGINE_ARN: &str = "arn:aws:dynamodb:dynoxide:000000000000:table/";

/// Why a request got no result.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("{0}")]
    NotAuthenticated(NotAuthenticated),
    #[error("{0}")]
    Denied(Denied),
    #[error("{0}")]
    Engine(DynoxideError),
    #[error("{0}")]
    Stopped(TableError),
    #[error("The request is not JSON: {0}")]
    Unreadable(serde_json::Error),
    #[error("The operation {0} is not one of these tables.")]
    UnknownOperation(String),
    #[error(
        "The level of configured provisioned throughput for the table was exceeded. Consider \
         increasing your provisioning level with the UpdateTable API."
    )]
    Throttled,
    #[error("Internal server error")]
    Failing,
}

struct Server {
    tables: Tables,
    identities: Arc<Identities>,
}

impl Tables {
    /// Serves the protocol until the token is cancelled.
    pub async fn serve(
        &self, listener: TcpListener, identities: Arc<Identities>, shutdown: CancellationToken,
    ) -> io::Result<()> {
        let server = Server { tables: self.clone(), identities };
        let router = Router::new()
            .fallback(answer)
            .layer(DefaultBodyLimit::max(MAXIMUM_REQUEST))
            .with_state(Arc::new(server));
        aws_json::serve(listener, router, shutdown).await
    }
}

async fn answer(State(server): State<Arc<Server>>, parts: Parts, body: Bytes) -> Response {
    match server.result(&parts, body).await {
        Ok(result) => aws_json::answer(StatusCode::OK, result),
        Err(refusal) => refusal.response(),
    }
}

impl Server {
    async fn result(&self, parts: &Parts, body: Bytes) -> Result<String, Refusal> {
        let identity = aws_json::authenticate(&self.identities, "dynamodb", parts, &body)
            .map_err(Refusal::NotAuthenticated)?;
        let shared = &self.tables.0;
        match shared.faults.strike(Service::DynamoDb) {
            Some(Fault::Throttle) => return Err(Refusal::Throttled),
            Some(Fault::Error) => return Err(Refusal::Failing),
            None => {}
        }
        let operation =
            aws_json::operation(&parts.headers, "DynamoDB_20120810").unwrap_or_default().to_owned();
        // `root` may do everything; for the others the request is read twice, once for what it touches.
        if identity.statements.is_some() {
            let request: Value = serde_json::from_slice(&body).map_err(Refusal::Unreadable)?;
            for access in shared.catalogue.needed(&operation, &request) {
                let keys = ("dynamodb:LeadingKeys", access.leading_keys);
                let context = if keys.1.is_empty() { &[][..] } else { std::slice::from_ref(&keys) };
                identity
                    .authorize(&AccessRequest { action: &access.action, resource: &access.resource, context })
                    .map_err(Refusal::Denied)?;
            }
        }
        let (named, body) = (operation.clone(), shared.meter.asking(body));
        let result = self
            .tables
            .with_engine(move |engine| operations::run(engine, &named, &body))
            .await
            .map_err(Refusal::Stopped)?
            .ok_or_else(|| Refusal::UnknownOperation(operation.clone()))?
            .map_err(Refusal::Engine)?;
        shared.meter.count(&identity.name, &operation, &result);
        if operations::writes(&operation) {
            shared.written.send_replace(());
        }
        Ok(if operation == "DescribeTable" {
            result.replace(ENGINE_ARN, shared.catalogue.prefix())
        } else {
            result
        })
    }
}

impl Refusal {
    fn response(&self) -> Response {
        let of_service = |name: &str| format!("com.amazon.coral.service#{name}");
        let of_tables = |name: &str| format!("com.amazonaws.dynamodb.v20120810#{name}");
        let (status, shape) = match self {
            Self::Engine(error) => {
                let status =
                    StatusCode::from_u16(error.status_code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                if status.is_server_error() {
                    tracing::warn!(%error, "a table request failed");
                }
                return aws_json::answer(status, error.to_json());
            }
            Self::NotAuthenticated(e) => (StatusCode::BAD_REQUEST, of_service(e.code())),
            Self::Denied(_) => (StatusCode::BAD_REQUEST, of_service("AccessDeniedException")),
            Self::Unreadable(_) => (StatusCode::BAD_REQUEST, of_service("SerializationException")),
            Self::UnknownOperation(_) => (StatusCode::BAD_REQUEST, of_service("UnknownOperationException")),
            Self::Throttled => (StatusCode::BAD_REQUEST, of_tables("ProvisionedThroughputExceededException")),
            Self::Stopped(_) | Self::Failing => {
                (StatusCode::INTERNAL_SERVER_ERROR, of_tables("InternalServerError"))
            }
        };
        aws_json::error(status, &shape, &self.to_string())
    }
}

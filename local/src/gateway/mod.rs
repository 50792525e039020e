//! API Gateway: an HTTP API with Lambda integrations, payload format 2.0.
//!
//! It answers errors of its own as HTTP APIs do, which is not as REST APIs do: a function that fails
//! or answers nonsense is a 500, and one that takes longer than 30 seconds a 503
//! (<https://github.com/serverless/serverless/issues/11222>, and the response quoted in
//! <https://github.com/cortexlabs/cortex/issues/1225>; 502 and 504 are REST's).

mod authorizer;
mod cors;
mod event;
mod response;
mod routes;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::Response;
use axum::serve::ListenerExt;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE;
use http::header::{HeaderName, HeaderValue, ORIGIN};
use http::request::Parts;
use http::{Method, Request, StatusCode};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use tokio::net::TcpListener;

use crate::lambda::body::{ReadError, read};
use crate::lambda::{Functions, InvokeError, new_trace};
use crate::template::model::{HttpApi, Route};
use authorizer::{Authorizers, Refusal};
use cors::CrossOrigin;
use routes::Routes;

/// Limits of HTTP APIs that cannot be raised.
///
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html>
const BODY_LIMIT: usize = 10 * 1024 * 1024;
const TIMEOUT: Duration = Duration::from_secs(30);

/// On every answer, and what a user quotes when something went wrong.
const REQUEST_ID: HeaderName = HeaderName::from_static("apigw-requestid");

/// Serves an API until `shutdown` resolves and the requests under way are answered.
///
/// `routes` are the routes and the functions (logical ids) that they lead to. `extra` is served
/// beside the API, under paths of its own.
pub async fn serve(
    listener: TcpListener, api: HttpApi, routes: Vec<(Route, String)>, functions: Functions, extra: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let gateway = Arc::new(Gateway {
        routes: Routes::new(routes),
        authorizers: Authorizers::new(api.authorizers),
        cors: api.cors.map(CrossOrigin::new),
        functions,
        port: listener.local_addr()?.port(),
        timeout: TIMEOUT,
    });
    serve_gateway(listener, gateway, extra, shutdown).await
}

async fn serve_gateway(
    listener: TcpListener, gateway: Arc<Gateway>, extra: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let app = extra.fallback(move |ConnectInfo(client): ConnectInfo<SocketAddr>, request: Request<Body>| {
        let gateway = Arc::clone(&gateway);
        async move { gateway.answer(client, request).await }
    });
    let listener = listener.tap_io(|connection| {
        // Answers are written whole; without this each would wait for an acknowledgement.
        let _ = connection.set_nodelay(true);
    });
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(shutdown)
        .await
}

struct Gateway {
    routes: Routes,
    authorizers: Authorizers,
    cors: Option<CrossOrigin>,
    functions: Functions,
    port: u16,
    /// [`TIMEOUT`], which is too long for a test.
    timeout: Duration,
}

impl Gateway {
    async fn answer(&self, client: SocketAddr, request: Request<Body>) -> Response {
        let id = BASE64_URL_SAFE.encode(rand::random::<[u8; 11]>());
        let (parts, body) = request.into_parts();
        let path = decode(parts.uri.path());
        let mut response = if let Some(response) = self.preflight(&parts, &path) {
            response
        } else {
            let mut response = self.respond(client, &parts, &path, body, &id).await;
            if let Some(cors) = &self.cors {
                cors.decorate(parts.headers.get(ORIGIN), response.headers_mut());
            }
            response
        };
        if let Ok(id) = HeaderValue::try_from(id) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        response
    }

    /// The gateway answers preflight requests itself, but only those that no route catches: one with
    /// `ANY` gets them as it gets everything else, its authorizer too
    /// (<https://github.com/anomalyco/sst/issues/5493>).
    fn preflight(&self, parts: &Parts, path: &str) -> Option<Response> {
        let cors = self.cors.as_ref()?;
        let response = cors.preflight(parts)?;
        self.routes.find(&parts.method, path).is_none().then_some(response)
    }

    async fn respond(&self, client: SocketAddr, parts: &Parts, path: &str, body: Body, id: &str) -> Response {
        // Read whatever the answer will be: a client that still writes may miss it otherwise.
        let body = match read(body, BODY_LIMIT).await {
            Ok(body) => body,
            Err(ReadError::TooLarge { .. }) => return too_large(),
            Err(ReadError::Broken(_)) => {
                return response::error(StatusCode::BAD_REQUEST, "Bad Request");
            }
        };
        let Some(route) = self.routes.find(&parts.method, path) else {
            return response::error(StatusCode::NOT_FOUND, "Not Found");
        };
        let function = route.target.function.as_str();
        let trace = match parts.headers.get(event::TRACE_ID).and_then(|trace| trace.to_str().ok()) {
            Some(trace) => Cow::Borrowed(trace),
            None => Cow::Owned(new_trace()),
        };
        let request = event::Request {
            parts,
            path,
            body: &body,
            route: &route,
            id,
            received: Timestamp::now(),
            client: client.ip().to_canonical(),
            port: self.port,
            trace: &trace,
            account: self.functions.arn(function).and_then(|arn| arn.split(':').nth(4)).unwrap_or_default(),
        };
        let context = match &route.target.authorizer {
            None => None,
            Some(name) => match self.authorizers.authorize(name, &self.functions, &request).await {
                Ok(context) => Some(context),
                Err(Refusal::Unauthorized) => {
                    return response::error(StatusCode::UNAUTHORIZED, "Unauthorized");
                }
                Err(Refusal::Forbidden) => {
                    return response::error(StatusCode::FORBIDDEN, "Forbidden");
                }
                Err(Refusal::Broken) => return internal(),
            },
        };
        let payload = match request.for_integration(context.as_deref()) {
            Ok(payload) => payload,
            Err(error) => {
                tracing::error!(%error, "the request cannot be told to a function");
                return internal();
            }
        };
        let shown = format!("{} {}", parts.method, without_token(parts.uri.path(), &route.variables));
        self.integrate(function, payload, &parts.method, &shown, &trace).await
    }

    async fn integrate(
        &self, function: &str, payload: Vec<u8>, method: &Method, shown: &str, trace: &str,
    ) -> Response {
        let invocation = self.functions.invoke_traced(function, payload.into(), trace);
        let Ok(mut invoked) = tokio::time::timeout(self.timeout, invocation).await else {
            tracing::error!(
                function,
                request = shown,
                "no answer within the gateway's 30 s; the function works on"
            );
            return unavailable();
        };
        let response = match &mut invoked.result {
            // A reference-counted copy: the report wants to know how the invocation went.
            Ok(payload) => response::from_answer(payload.clone(), method).unwrap_or_else(|| {
                tracing::error!(function, "the function's answer is not a response");
                internal()
            }),
            // Lambda itself refuses payloads over 6 MB, with this status, which reaches the client.
            Err(InvokeError::RequestTooLarge { .. }) => too_large(),
            Err(InvokeError::Throttled) => unavailable(),
            Err(_) => internal(),
        };
        self.functions.report(function, &invoked, Some(response.status()), shown);
        response
    }
}

/// The path as logs may have it: as it was sent, for a terminal obeys what may be in it decoded; and without a token,
/// which is as secret as one in a header.
fn without_token<'a>(path: &'a str, variables: &[(&str, &str)]) -> Cow<'a, str> {
    match variables.iter().find(|(name, _)| *name == "token") {
        Some((_, token)) => Cow::Owned(path.replace(token, "...")),
        None => Cow::Borrowed(path),
    }
}

/// HTTP APIs decode the path before they do anything else, and `rawPath` is decoded in spite of its
/// name. A `?` that comes out ends it, and a `/` separates: what does not work in production does not
/// work here. (Observed by <https://github.com/hotsock/voker/pull/8>.)
fn decode(path: &str) -> Cow<'_, str> {
    match percent_decode_str(path).decode_utf8_lossy() {
        Cow::Borrowed(path) => Cow::Borrowed(path),
        Cow::Owned(mut path) => {
            path.truncate(path.find('?').unwrap_or(path.len()));
            Cow::Owned(path)
        }
    }
}

fn too_large() -> Response {
    response::error(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large")
}

fn internal() -> Response {
    response::error(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
}

fn unavailable() -> Response {
    response::error(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable")
}

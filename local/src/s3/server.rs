//! HTTP around the protocol layer: connections, forms, CORS, request ids.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use http::header::{EXPECT, SERVER};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, BodyStream};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use percent_encoding::percent_decode_str;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, S3Error, S3Result, StdError};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use ulid::Ulid;

use super::access::Origin;
use super::{S3, cors, form};
use crate::faults::{Fault, Faults, Service};

/// How long requests under way may take once the server is to stop.
const GRACE: Duration = Duration::from_secs(10);

/// A pause after an accept that failed, which happens when there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

pub(super) async fn serve(
    s3: S3, listener: TcpListener, faults: Faults, shutdown: CancellationToken,
) -> io::Result<()> {
    let service = {
        let mut builder = S3ServiceBuilder::new(s3.clone());
        builder.set_auth(s3.clone());
        builder.set_access(s3.clone());
        builder.build()
    };
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            () = shutdown.cancelled() => break,
        };
        let Ok((stream, peer)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let served = Served { s3: s3.clone(), service: service.clone(), faults: faults.clone() };
        connections.spawn(connection(served, stream, peer, shutdown.clone()));
    }
    drop(listener);
    let finished = async { while connections.join_next().await.is_some() {} };
    // Whoever is not finished by then is cut off: the set aborts them when it is dropped.
    let _ = tokio::time::timeout(GRACE, finished).await;
    Ok(())
}

/// What answers a connection's requests.
#[derive(Clone)]
struct Served {
    s3: S3,
    service: S3Service,
    faults: Faults,
}

async fn connection(served: Served, stream: TcpStream, peer: SocketAddr, shutdown: CancellationToken) {
    // Without it the last packet of an answer waits for the acknowledgement of the one before.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let answer = service_fn(move |request| {
        let served = served.clone();
        async move { Ok::<_, Infallible>(respond(served, peer, request).await) }
    });
    let builder = auto::Builder::new(TokioExecutor::new());
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), answer));
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(error, "an S3 connection ended early");
    }
}

async fn respond(served: Served, peer: SocketAddr, request: Request<Incoming>) -> Response<Body> {
    let Served { s3, service, faults } = served;
    let (mut parts, body) = request.into_parts();
    let body = SharedBody(Arc::new(Mutex::new(body)));
    let rest = body.clone();
    // Polling would invite a client to send that waits to be invited.
    let waits = parts.headers.contains_key(EXPECT);
    let request_id = Ulid::new().to_string();
    let origin = Origin { request_id: request_id.clone(), source_ip: peer.ip().to_string() };
    let path = parts.uri.path().to_owned();
    let path = path.strip_prefix('/').unwrap_or_default();
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    let bucket = percent_decode_str(bucket).decode_utf8_lossy().into_owned();
    let rules = s3.0.buckets.get(&bucket);
    let cross_origin =
        rules.map(|rules| cors::answer(rules, parts.method.as_str(), &parts.headers)).unwrap_or_default();

    let answer: S3Result<Response<Body>> = if parts.method == Method::OPTIONS {
        cors::preflight(rules, &parts.headers).map(|headers| {
            let mut response = Response::new(Body::empty());
            *response.headers_mut() = headers;
            response
        })
    } else if let Some(fault) = faults.strike(Service::S3) {
        Err(match fault {
            Fault::Throttle => s3s::s3_error!(SlowDown, "Please reduce your request rate."),
            Fault::Error => {
                s3s::s3_error!(InternalError, "We encountered an internal error. Please try again.")
            }
        })
    } else if parts.method == Method::POST && key.is_empty() && form::is_form(&parts.headers) {
        let frames = BodyStream::new(body).filter_map(|frame| async {
            frame.map(|frame| frame.into_data().ok()).map_err(StdError::from).transpose()
        });
        form::post(&s3.0, &bucket, &parts.headers, origin, frames).await
    } else {
        parts.extensions.insert(origin);
        let request = Request::from_parts(parts, Body::http_body(body));
        service
            .call(request)
            .await
            .map_err(|error| S3Error::with_source(s3s::S3ErrorCode::InternalError, StdError::from(error)))
    };
    let mut response = answer.unwrap_or_else(error_response);
    if !response.status().is_success() && !waits {
        tokio::spawn(drain(rest));
    }
    finish(response.headers_mut(), cross_origin, &request_id);
    response
}

fn error_response(error: S3Error) -> Response<Body> {
    tracing::debug!(%error, "S3 request refused");
    error.to_http_response().unwrap_or_else(|error| {
        tracing::error!(%error, "cannot write an S3 error");
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    })
}

fn finish(headers: &mut HeaderMap, cross_origin: HeaderMap, request_id: &str) {
    headers.extend(cross_origin);
    headers.insert(SERVER, HeaderValue::from_static("AmazonS3"));
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(HeaderName::from_static("x-amz-request-id"), id.clone());
        headers.insert(HeaderName::from_static("x-amz-id-2"), id);
    }
}

/// Reads what is left of a refused request.
///
/// A connection that is closed while the client still sends is reset, and the client sees that
/// instead of the answer: an upload that is denied must say so.
async fn drain(mut body: SharedBody) {
    while let Some(Ok(_)) = body.frame().await {}
}

/// A request's body that can still be reached when the protocol layer has let it go.
#[derive(Clone)]
struct SharedBody(Arc<Mutex<Incoming>>);

impl hyper::body::Body for SharedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>, context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let mut body = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Pin::new(&mut *body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).size_hint()
    }
}

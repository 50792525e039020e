//! HTTP functions.

use std::future::Future;

use ::http::{HeaderName, HeaderValue, Response, Uri, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lambda_http::request::LambdaRequest;
use lambda_http::tower::ServiceExt as _;
use lambda_http::{Adapter, Body, Error, LambdaEvent, Request, RequestExt as _, service_fn};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tracing::Instrument as _;

use super::answer::failed;
use super::limiter::{Limiter, Standing, seconds};
use super::telemetry::chain;
use super::{Environment, SystemClock};
use crate::domain::{Clock as _, TraceParent, Unavailable};
use crate::http::{Caller, Problem, trace};
use crate::store::TakeCells;

/// Answers requests until Lambda has no more. A problem is logged here, once, with its cause; the caller
/// gets the document without it. Whoever the gateway knows is held to a rate.
pub async fn serve<Handler, Answer>(handler: Handler) -> Result<(), Error>
where
    Handler: Fn(Request) -> Answer + Sync,
    Answer: Future<Output = Result<Response<Body>, Problem>> + Send,
{
    serve_within(Environment::read()?.limiter()?, handler).await
}

/// The same for a function that writes whatever the method is.
pub async fn serve_write<Handler, Answer>(handler: Handler) -> Result<(), Error>
where
    Handler: Fn(Request) -> Answer + Sync,
    Answer: Future<Output = Result<Response<Body>, Problem>> + Send,
{
    serve_within(Environment::read()?.limiter()?.of_writes(), handler).await
}

async fn serve_within<Handler, Answer>(
    limiter: Limiter<impl TakeCells + Sync>, handler: Handler,
) -> Result<(), Error>
where
    Handler: Fn(Request) -> Answer + Sync,
    Answer: Future<Output = Result<Response<Body>, Problem>> + Send,
{
    let (handler, limiter) = (&handler, &limiter);
    let adapter = Adapter::from(service_fn(move |request: Request| async move {
        Ok::<_, Error>(respond(limiter, handler, request).await)
    }));
    lambda_runtime::run(adapter.map_request(|event: LambdaEvent<LambdaRequest>| LambdaEvent {
        payload: with_a_valid_uri(event.payload),
        ..event
    }))
    .await
}

/// What every answer carries: the id by which the log is searched.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Answers the gateway's requests, and events of somebody who invokes the function by name. The gateway says
/// of its requests which they are; whoever invokes a function by name may as well write those.
pub async fn serve_or_answer<Handler, Response_, Invoked, Event, Work, Made, E>(
    handler: Handler, invoked: Invoked,
) -> Result<(), Error>
where
    Handler: Fn(Request) -> Response_ + Sync,
    Response_: Future<Output = Result<Response<Body>, Problem>> + Send,
    Invoked: Fn(Event) -> Work + Sync,
    Event: DeserializeOwned + Send,
    Work: Future<Output = Result<Made, E>> + Send,
    Made: Serialize + Send,
    E: std::error::Error + Send + 'static,
{
    let limiter = Environment::read()?.limiter()?;
    let (handler, invoked, limiter) = (&handler, &invoked, &limiter);
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| async move {
        if event.payload.get("requestContext").is_some() {
            let request: LambdaRequest = serde_json::from_value(event.payload)?;
            let request: Request = with_a_valid_uri(request).into();
            let request = request.with_lambda_context(event.context);
            // In boxes: the compiler counts how deep futures lie in each other.
            return Ok::<_, Error>(for_the_gateway(Box::pin(respond(limiter, handler, request)).await));
        }
        let event_of: Event = serde_json::from_value(event.payload)?;
        match Box::pin(invoked(event_of)).await {
            Ok(made) => Ok(serde_json::to_value(made)?),
            Err(error) => Err(Error::from(failed(&error, &event.context.request_id).error_message)),
        }
    }))
    .await
}

/// A response as the gateway wants it.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>
fn for_the_gateway(response: Response<Body>) -> Value {
    let (parts, body) = response.into_parts();
    let header = |(name, value): (&HeaderName, &HeaderValue)| {
        (name.as_str().to_owned(), Value::String(String::from_utf8_lossy(value.as_bytes()).into_owned()))
    };
    let headers: Map<String, Value> = parts.headers.iter().map(header).collect();
    let (body, encoded) = match body {
        Body::Text(text) => (text, false),
        Body::Binary(bytes) => (STANDARD.encode(bytes), true),
        // `Body` is not exhaustive; what is neither has no bytes.
        _ => (String::new(), false),
    };
    json!({
        "statusCode": parts.status.as_u16(), "headers": headers, "body": body, "isBase64Encoded": encoded,
    })
}

/// Answers one request, whatever comes of it.
pub(super) async fn respond<Handler, Answer>(
    limiter: &Limiter<impl TakeCells + Sync>, handler: &Handler, request: Request,
) -> Response<Body>
where
    Handler: Fn(Request) -> Answer,
    Answer: Future<Output = Result<Response<Body>, Problem>>,
{
    let id = request.lambda_context_ref().map(|c| c.request_id.clone()).unwrap_or_default();
    let trace = trace(&request);
    let span = tracing::info_span!("request", trace_id = trace.as_ref().map(TraceParent::trace_id));
    let (standing, answered) = answer(limiter, handler, request).instrument(span.clone()).await;
    let mut response = answered.unwrap_or_else(|problem| {
        span.in_scope(|| log(&problem, &id));
        problem.into_response(&id)
    });
    if let Some(standing) = standing {
        standing.write(response.headers_mut());
    }
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// How a caller stands; nothing of somebody whom the gateway does not know.
async fn standing(
    limiter: &Limiter<impl TakeCells + Sync>, request: &Request,
) -> Result<Option<Standing>, Unavailable> {
    let Some(caller) = Caller::of(request) else { return Ok(None) };
    let now = SystemClock.now();
    let counted_as = caller.counted_as();
    let admit = |now| limiter.admit(caller.project, &counted_as, request.method(), now);
    let standing = admit(now).await?;
    // Where the table was slow, the caller has waited already.
    let now_at_last = SystemClock.now();
    let waited = standing.wait.is_some_and(|wait| now.after(wait) <= now_at_last);
    if waited { admit(now_at_last).await.map(Some) } else { Ok(Some(standing)) }
}

/// How the caller stands, and the answer.
async fn answer<Handler, Answer>(
    limiter: &Limiter<impl TakeCells + Sync>, handler: &Handler, request: Request,
) -> (Option<Standing>, Result<Response<Body>, Problem>)
where
    Handler: Fn(Request) -> Answer,
    Answer: Future<Output = Result<Response<Body>, Problem>>,
{
    match standing(limiter, &request).await {
        Err(error) => (None, Err(error.into())),
        Ok(standing) => match standing.and_then(|standing| standing.wait) {
            Some(wait) => (standing, Err(Problem::rate_limited(seconds(wait)))),
            None => (standing, handler(request).await),
        },
    }
}

/// What a query may not hold as it is (<https://url.spec.whatwg.org/#query-percent-encode-set>).
const NOT_IN_QUERIES: AsciiSet = CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>');

/// The host that requests are for, whatever the client says: no answer depends on it.
const HOST: &str = "localhost";

/// `lambda_http` puts a URI together from the query and the `Host` that the client sent, and panics on what no
/// URI may have: a stray quotation mark would be a server error, and a host with a path in it another path.
pub(super) fn with_a_valid_uri(mut request: LambdaRequest) -> LambdaRequest {
    if let LambdaRequest::ApiGatewayV2(event) = &mut request {
        event.headers.insert(header::HOST, HeaderValue::from_static(HOST));
        event.request_context.domain_name = Some(HOST.to_owned());
        if let Some(query) = &mut event.raw_query_string
            && format!("/?{query}").parse::<Uri>().is_err()
        {
            *query = utf8_percent_encode(query, &NOT_IN_QUERIES).to_string();
        }
    }
    request
}

fn log(problem: &Problem, request_id: &str) {
    let (status, code) = (problem.status().as_u16(), problem.code());
    if let Some(cause) = problem.cause() {
        let cause = chain(cause);
        tracing::error!(request_id, status, code, cause, "request failed");
    } else {
        tracing::info!(request_id, status, code, "request refused");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query_of(raw: &str) -> Vec<(String, String)> {
        let mut event: serde_json::Value =
            serde_json::from_str(include_str!("../../../events/list-images.json")).unwrap();
        event["rawQueryString"] = serde_json::json!(raw);
        let request: LambdaRequest = serde_json::from_str(&event.to_string()).unwrap();
        let request: Request = with_a_valid_uri(request).into();
        let parameters = request.query_string_parameters();
        parameters.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn a_query_that_no_uri_may_have_is_read_all_the_same() {
        for (raw, value) in [
            ("limit=a%20b", "a b"),
            ("limit=a b", "a b"),
            ("limit=\"1\"", "\"1\""),
            ("limit=<1>", "<1>"),
            ("limit=ü|`{}^\\", "ü|`{}^\\"),
            ("limit=100%", "100%"),
        ] {
            assert_eq!(query_of(raw), [("limit".to_owned(), value.to_owned())], "{raw}");
        }
        assert_eq!(query_of("limit=a\u{7f}\n\0").len(), 1);
        assert_eq!(query_of(""), []);
    }

    #[test]
    fn a_host_that_no_uri_may_have_changes_nothing() {
        for host in ["evil\"host", "evil host", "a:99999999", "[::1", "127.0.0.1:3000/i/other?x=", ""] {
            let mut event: serde_json::Value =
                serde_json::from_str(include_str!("../../../events/get-image.json")).unwrap();
            let path = event["rawPath"].as_str().unwrap().to_owned();
            event["headers"]["host"] = serde_json::json!(host);
            event["requestContext"]["domainName"] = serde_json::json!(host);
            let request: LambdaRequest = serde_json::from_str(&event.to_string()).unwrap();
            let request: Request = with_a_valid_uri(request).into();
            assert_eq!(request.uri().path(), path, "{host}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_query_panics(raw in ".{0,40}") {
            query_of(&raw);
        }
    }
}

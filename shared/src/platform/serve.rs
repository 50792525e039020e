//! HTTP functions.

use std::future::Future;

use ::http::Response;
use lambda_http::{Body, Error, Request, RequestExt as _, service_fn};

use super::telemetry::chain;
use crate::http::Problem;

/// Answers requests until Lambda has no more. A problem is logged here, once, with its cause; the caller
/// gets the document without it.
pub async fn serve<Handler, Answer>(handler: Handler) -> Result<(), Error>
where
    Handler: Fn(Request) -> Answer + Sync,
    Answer: Future<Output = Result<Response<Body>, Problem>> + Send,
{
    let handler = &handler;
    lambda_http::run(service_fn(move |request: Request| async move {
        let id = request.lambda_context_ref().map(|c| c.request_id.clone()).unwrap_or_default();
        let response = handler(request).await.unwrap_or_else(|problem| {
            log(&problem, &id);
            problem.into_response(&id)
        });
        Ok::<_, Error>(response)
    }))
    .await
}

fn log(problem: &Problem, request_id: &str) {
    let (status, code) = (problem.status().as_u16(), problem.code());
    if let Some(cause) = problem.cause() {
        let cause = chain(cause);
        tracing::error!(request_id, status, code, cause, "request failed");
    } else {
        tracing::info!(request_id, status, code, "request refused")
    }
}

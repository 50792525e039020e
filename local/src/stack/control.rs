//! What a developer, or a test, can do with a running stack that nobody can do with AWS: look into queues,
//! fire timers, let time pass, make services fail. Under `/_tintype`.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::middleware::{Next, from_fn};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Parts, Ready, page};
use crate::faults::FaultRate;

/// Changes want this header. A page in a browser cannot send it here without asking first, and is refused.
const HEADER: &str = "x-tintype-control";

type Answer = Result<Json<Value>, (StatusCode, String)>;

/// The routes.
pub fn router(parts: Parts, ready: Ready) -> Router {
    let page = Arc::new((parts.clone(), ready));
    Router::new()
        .route("/_tintype/queues", get(queues))
        .route("/_tintype/queues/{queue}", get(messages).post(send))
        .route("/_tintype/queues/{queue}/release", post(release))
        .route("/_tintype/queues/{queue}/redrive", post(redrive))
        .route("/_tintype/buckets/{bucket}", get(objects))
        .route("/_tintype/functions", get(functions))
        .route("/_tintype/functions/{function}/invoke", post(invoke))
        .route("/_tintype/functions/{function}/kill", post(kill))
        .route("/_tintype/timers/{timer}/fire", post(fire))
        .route("/_tintype/consumed", get(consumed).post(count))
        .route("/_tintype/faults", post(fault))
        .route("/_tintype/expire", post(expire))
        .with_state(parts)
        .route(
            "/_tintype/",
            get(move || async move {
                let (parts, ready) = &*page;
                Html(page::render(&parts.deployment, ready, parts.timers.upcoming()))
            }),
        )
        .route_layer(from_fn(same_origin))
}

async fn same_origin(request: Request, next: Next) -> Response {
    if request.method() == Method::GET || request.headers().contains_key(HEADER) {
        return next.run(request).await;
    }
    (StatusCode::FORBIDDEN, format!("send the header `{HEADER}: 1`")).into_response()
}

fn failed(error: impl std::fmt::Display) -> (StatusCode, String) {
    (StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

fn unknown(what: &str, name: &str) -> (StatusCode, String) {
    (StatusCode::NOT_FOUND, format!("there is no {what} `{name}`"))
}

impl Parts {
    fn queue_arn(&self, id: &str) -> Result<&str, (StatusCode, String)> {
        let queue = self.deployment.queues.iter().find(|queue| queue.id == id);
        queue.map(|queue| queue.arn.as_str()).ok_or_else(|| unknown("queue", id))
    }
}

async fn queues(State(parts): State<Parts>) -> Answer {
    let counts = parts.queues.counts().map_err(failed)?;
    let count = |queue: crate::sqs::QueueCounts| {
        let value = json!({
            "visible": queue.visible, "in_flight": queue.in_flight, "delayed": queue.delayed,
            "dead_letter": queue.dead_letter, "name": queue.name,
        });
        (queue.id, value)
    };
    Ok(Json(counts.into_iter().map(count).collect()))
}

async fn messages(State(parts): State<Parts>, Path(queue): Path<String>) -> Answer {
    let found = parts.queues.peek(parts.queue_arn(&queue)?, 100).await.map_err(failed)?;
    let show = |message: &crate::sqs::Peeked| json!({ "body": message.body, "received": message.received });
    Ok(Json(found.iter().map(show).collect()))
}

async fn send(State(parts): State<Parts>, Path(queue): Path<String>, body: String) -> Answer {
    let id = parts.queues.send(parts.queue_arn(&queue)?, body).await.map_err(failed)?;
    Ok(Json(json!({ "message": id })))
}

async fn release(State(parts): State<Parts>, Path(queue): Path<String>) -> Answer {
    let released = parts.queues.release(parts.queue_arn(&queue)?).await.map_err(failed)?;
    Ok(Json(json!({ "released": released })))
}

async fn redrive(State(parts): State<Parts>, Path(queue): Path<String>) -> Answer {
    let moved = parts.queues.redrive(parts.queue_arn(&queue)?).await.map_err(failed)?;
    Ok(Json(json!({ "moved": moved })))
}

async fn objects(State(parts): State<Parts>, Path(id): Path<String>) -> Answer {
    let bucket = parts.deployment.buckets.iter().find(|bucket| bucket.id == id);
    let bucket = bucket.ok_or_else(|| unknown("bucket", &id))?;
    let objects = parts.s3.list(&bucket.name).await.map_err(failed)?;
    let show = |(key, bytes): (String, u64)| json!({ "key": key, "bytes": bytes });
    Ok(Json(objects.into_iter().map(show).collect()))
}

async fn functions(State(parts): State<Parts>) -> Json<Value> {
    let show = |(name, counters): (String, crate::lambda::Counters)| {
        let instances = parts.functions.instances(&name);
        let value = json!({
            "invocations": counters.invocations, "errors": counters.errors,
            "cold_starts": counters.cold_starts, "peak_memory": counters.peak_memory,
            "instances": instances,
        });
        (name, value)
    };
    Json(parts.functions.counters().into_iter().map(show).collect())
}

async fn invoke(State(parts): State<Parts>, Path(function): Path<String>, event: Bytes) -> Response {
    match parts.functions.invoke(&function, event).await {
        Ok(answer) => answer.into_response(),
        Err(error) => (StatusCode::BAD_GATEWAY, Json(error.document())).into_response(),
    }
}

async fn kill(State(parts): State<Parts>, Path(function): Path<String>) -> Json<Value> {
    Json(json!({ "killed": parts.functions.kill_instance(&function) }))
}

async fn fire(State(parts): State<Parts>, Path(timer): Path<String>) -> Response {
    match parts.timers.fire(&timer).await {
        Ok(answer) => answer.into_response(),
        Err(error) => failed(error).into_response(),
    }
}

async fn fault(State(parts): State<Parts>, rate: String) -> Answer {
    let rate: FaultRate = rate.trim().parse().map_err(|e| (StatusCode::BAD_REQUEST, format!("{e}")))?;
    parts.faults.set(rate);
    Ok(Json(json!({})))
}

async fn count(State(parts): State<Parts>) -> Json<Value> {
    parts.tables.meter().begin();
    Json(json!({}))
}

async fn consumed(State(parts): State<Parts>) -> Json<Value> {
    Json(json!(parts.tables.meter().consumed()))
}

async fn expire(State(parts): State<Parts>) -> Json<Value> {
    parts.expire().await;
    Json(json!({}))
}

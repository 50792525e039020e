//! Functions that are invoked with an event of their own: authorizers, timers, operators' commands.

use std::error::Error as StdError;
use std::future::Future;

use lambda_runtime::{Diagnostic, Error, LambdaEvent, service_fn};
use serde::{Serialize, de::DeserializeOwned};

use super::telemetry::chain;

/// Answers events until Lambda has no more. An error is logged here, once, with its cause; whoever invoked
/// the function learns that it failed, and not why.
pub async fn answer<Handler, Event, Work, Answer, E>(handler: Handler) -> Result<(), Error>
where
    Handler: Fn(Event) -> Work + Sync,
    Event: DeserializeOwned + Send,
    Work: Future<Output = Result<Answer, E>> + Send,
    Answer: Serialize + Send,
    E: StdError + Send + 'static,
{
    let handler = &handler;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Event>| async move {
        let request_id = event.context.request_id;
        handler(event.payload).await.map_err(|error| failed(&error, &request_id))
    }))
    .await
}

/// What whoever invoked the function learns of an error.
pub(super) fn failed(error: &(dyn StdError + 'static), request_id: &str) -> Diagnostic {
    tracing::error!(request_id, cause = chain(error), "invocation failed");
    Diagnostic {
        error_type: "Unavailable".into(),
        error_message: format!("The function failed; its log says why. Request id: {request_id}"),
    }
}

//! Queue functions: each message stands alone.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use futures::FutureExt as _;
use lambda_runtime::{Error, LambdaEvent, service_fn};

use super::telemetry::chain;

/// Why a message is to come again. What is wrong for good is recorded and acknowledged by the handler.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// It may work later.
    #[error("not now")]
    Transient(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Nobody can read it: it ends in the dead-letter queue, where a person finds it.
    #[error("the message cannot be read")]
    Undecodable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl MessageError {
    /// It may work later.
    pub fn transient(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Transient(cause.into())
    }

    /// Nobody can read it.
    pub fn undecodable(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Undecodable(cause.into())
    }
}

/// Works off batches of messages until Lambda has no more.
pub async fn queue_messages<Handler, Work>(handler: Handler) -> Result<(), Error>
where
    Handler: Fn(SqsMessage, lambda_runtime::Context) -> Work,
    Work: Future<Output = Result<(), MessageError>>,
{
    let handler = &handler;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<SqsEvent>| async move {
        let context = event.context;
        Ok::<_, Error>(each_message(event.payload, |message| handler(message, context.clone())).await)
    }))
    .await
}

/// Gives each message of a batch to the handler. One that fails or panics comes again, alone.
pub async fn each_message<Handler, Work>(event: SqsEvent, handler: Handler) -> SqsBatchResponse
where
    Handler: Fn(SqsMessage) -> Work,
    Work: Future<Output = Result<(), MessageError>>,
{
    let mut response = SqsBatchResponse::default();
    for message in event.records {
        let id = message.message_id.clone().unwrap_or_default();
        let failed = match AssertUnwindSafe(handler(message)).catch_unwind().await {
            Ok(Ok(())) => false,
            Ok(Err(error)) => {
                tracing::warn!(message_id = id, cause = chain(&error), "message will come again");
                true
            }
            Err(_panic) => {
                // The panic hook has printed where and why.
                tracing::error!(message_id = id, "message panicked and will come again");
                true
            }
        };
        if failed {
            let mut failure = BatchItemFailure::default();
            failure.item_identifier = id;
            response.batch_item_failures.push(failure);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_what_failed_comes_again() {
        let mut event = SqsEvent::default();
        for body in ["fine", "busy", "panic", "fine too"] {
            let mut message = SqsMessage::default();
            message.message_id = Some(body.to_owned());
            message.body = Some(body.to_owned());
            event.records.push(message);
        }
        let response = each_message(event, |message| async move {
            match message.body.as_deref() {
                Some("busy") => Err(MessageError::transient("busy")),
                Some("panic") => panic!("a codec gave up"),
                _ => Ok(()),
            }
        })
        .await;
        let failed: Vec<_> =
            response.batch_item_failures.iter().map(|failure| failure.item_identifier.as_str()).collect();
        assert_eq!(failed, ["busy", "panic"]);
    }
}

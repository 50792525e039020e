//! Stream functions: records in order.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use aws_lambda_events::dynamodb::{Event, EventRecord};
use aws_lambda_events::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use futures::FutureExt as _;
use lambda_runtime::{Error, LambdaEvent, service_fn};

use super::telemetry::chain;

/// Works off batches of stream records until Lambda has no more.
pub async fn stream_records<Handler, Work, E>(handler: Handler) -> Result<(), Error>
where
    Handler: Fn(EventRecord) -> Work,
    Work: Future<Output = Result<(), E>>,
    E: std::error::Error + 'static,
{
    let handler = &handler;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Event>| async move {
        Ok::<_, Error>(each_record(event.payload, handler).await)
    }))
    .await
}

/// Gives the records of a batch to the handler, in order, up to the first that fails.
///
/// Lambda retries everything from the lowest sequence number that is reported, so going on after a
/// failure would only do the rest twice.
pub async fn each_record<Handler, Work, E>(event: Event, handler: Handler) -> DynamoDbEventResponse
where
    Handler: Fn(EventRecord) -> Work,
    Work: Future<Output = Result<(), E>>,
    E: std::error::Error + 'static,
{
    let mut response = DynamoDbEventResponse::default();
    for record in event.records {
        let sequence = record.change.sequence_number.clone();
        let failed = match AssertUnwindSafe(handler(record)).catch_unwind().await {
            Ok(Ok(())) => false,
            Ok(Err(error)) => {
                tracing::warn!(sequence, cause = chain(&error), "record will come again");
                true
            }
            Err(_panic) => {
                // The panic hook has printed where and why.
                tracing::error!(sequence, "record panicked and will come again");
                true
            }
        };
        if failed {
            let mut failure = DynamoDbBatchItemFailure::default();
            failure.item_identifier = sequence;
            response.batch_item_failures.push(failure);
            break;
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    async fn run(records: &[&'static str]) -> (Vec<String>, Vec<Option<String>>) {
        let mut event = Event::default();
        for sequence in records {
            let mut record = EventRecord::default();
            record.change.sequence_number = Some((*sequence).to_owned());
            event.records.push(record);
        }
        let seen = Mutex::new(vec![]);
        let response = each_record(event, |record| {
            let sequence = record.change.sequence_number.unwrap();
            seen.lock().unwrap().push(sequence.clone());
            async move {
                match sequence.as_str() {
                    "fails" => Err(std::io::Error::other("not now")),
                    "panics" => panic!("a record that nobody expected"),
                    _ => Ok(()),
                }
            }
        })
        .await;
        let failed = response.batch_item_failures.into_iter().map(|failure| failure.item_identifier);
        (seen.into_inner().unwrap(), failed.collect())
    }

    #[tokio::test]
    async fn a_batch_stops_at_the_first_record_that_fails() {
        for bad in ["fails", "panics"] {
            let (seen, failed) = run(&["1", bad, "3", "fails"]).await;
            assert_eq!(seen, ["1", bad]);
            assert_eq!(failed, [Some(bad.to_owned())]);
        }
        let (seen, failed) = run(&["1", "2"]).await;
        assert_eq!(seen, ["1", "2"]);
        assert!(failed.is_empty());
    }
}

//! From the body of a request to the engine and back.

use dynoxide::{Database, DynoxideError};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Whether an operation can change items.
pub(super) fn writes(operation: &str) -> bool {
    matches!(operation, "PutItem" | "UpdateItem" | "DeleteItem" | "BatchWriteItem" | "TransactWriteItems")
}

/// Runs an operation; `None` if it is not one that is offered.
pub(super) fn run(engine: &Database, operation: &str, body: &[u8]) -> Option<Result<String, DynoxideError>> {
    let result = match operation {
        "BatchGetItem" => call(body, |r| engine.batch_get_item(r)),
        "BatchWriteItem" => call(body, |r| engine.batch_write_item(r)),
        "DeleteItem" => call(body, |r| engine.delete_item(r)),
        "DescribeTable" => call(body, |r| engine.describe_table(r)),
        "DescribeTimeToLive" => call(body, |r| engine.describe_time_to_live(r)),
        "GetItem" => call(body, |r| engine.get_item(r)),
        "ListTables" => call(body, |r| engine.list_tables(r)),
        "PutItem" => call(body, |r| engine.put_item(r)),
        "Query" => call(body, |r| engine.query(r)),
        "Scan" => call(body, |r| engine.scan(r)),
        "TransactGetItems" => call(body, |r| engine.transact_get_items(r)),
        "TransactWriteItems" => call(body, |r| engine.transact_write_items(r)),
        "UpdateItem" => call(body, |r| engine.update_item(r)),
        _ => return None,
    };
    Some(result.map_err(|error| match error {
        // Only these three report what is wrong with a request in an envelope.
        DynoxideError::EnvelopedValidation(reason)
            if matches!(operation, "PutItem" | "UpdateItem" | "DeleteItem") =>
        {
            DynoxideError::ValidationException(format!("1 validation error detected: {reason}"))
        }
        other => other,
    }))
}

fn call<Request: DeserializeOwned, Answer: Serialize>(
    body: &[u8], act: impl FnOnce(Request) -> Result<Answer, DynoxideError>,
) -> Result<String, DynoxideError> {
    let request = serde_json::from_slice(body).map_err(|e| unreadable(&e))?;
    let answer = act(request)?;
    serde_json::to_string(&answer).map_err(|e| DynoxideError::InternalServerError(e.to_string()))
}

/// The engine's request types say in a prefix of their message which error a value is.
fn unreadable(error: &serde_json::Error) -> DynoxideError {
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
    if let Some((kind, message)) = text.split_once(':') {
        let message = message.to_owned();
        match kind {
            "VALIDATION_REQUEST" => return DynoxideError::EnvelopedValidation(message),
            "VALIDATION" | "VALIDATION_AS_READ" => {
                return DynoxideError::ValidationException(message);
            }
            "SERIALIZATION" | "SERIALIZATION_AS_READ" => {
                return DynoxideError::SerializationException(message);
            }
            _ => {}
        }
    }
    if text.starts_with("missing field") || text.starts_with("Supplied AttributeValue") {
        return DynoxideError::ValidationException(text.to_owned());
    }
    DynoxideError::SerializationException(text.to_owned())
}

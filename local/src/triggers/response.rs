//! The answer of a function that reports failures of single items.
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html#services-sqs-batchfailurereporting>

use serde_json::Value;

/// An answer that Lambda takes for the failure of the whole batch.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the function's answer is not a list of batch item failures")]
pub(super) struct Malformed;

/// The identifiers that have failed; nothing at all means that all went well.
pub(super) fn failures(answer: &[u8]) -> Result<Vec<String>, Malformed> {
    if answer.iter().all(u8::is_ascii_whitespace) {
        return Ok(Vec::new());
    }
    let answer: Value = serde_json::from_slice(answer).map_err(|_| Malformed)?;
    let failures = match &answer {
        Value::Null => return Ok(Vec::new()),
        Value::Object(object) => object.get("batchItemFailures").unwrap_or(&Value::Null),
        _ => return Err(Malformed),
    };
    match failures {
        Value::Null => Ok(Vec::new()),
        Value::Array(items) => items
            .iter()
            .map(|item| match item["itemIdentifier"].as_str() {
                Some(identifier) if !identifier.is_empty() => Ok(identifier.to_owned()),
                _ => Err(Malformed),
            })
            .collect(),
        _ => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_success() {
        for answer in ["", "null", "{}", r#"{"batchItemFailures":null}"#, r#"{"batchItemFailures":[]}"#] {
            assert_eq!(failures(answer.as_bytes()), Ok(Vec::new()), "{answer}");
        }
    }

    #[test]
    fn failures_are_listed() {
        let answer = br#"{"batchItemFailures":[{"itemIdentifier":"a"},{"itemIdentifier":"b"}]}"#;
        assert_eq!(failures(answer).unwrap(), ["a", "b"]);
    }

    #[test]
    fn everything_else_fails_the_batch() {
        for answer in [
            "{",
            "\"ok\"",
            "[]",
            r#"{"batchItemFailures":{}}"#,
            r#"{"batchItemFailures":[{}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#,
            r#"{"batchItemFailures":[{"ItemIdentifier":"a"}]}"#,
            r#"{"batchItemFailures":["a"]}"#,
        ] {
            assert_eq!(failures(answer.as_bytes()), Err(Malformed), "{answer}");
        }
    }
}

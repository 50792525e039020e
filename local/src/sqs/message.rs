//! A message: what is sent, what is received, and the digests that clients check.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use md5::{Digest, Md5};
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::json;

use super::error::QueueError;

/// The largest message, attributes included, and the largest batch (1 MiB since August 2025).
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
pub(super) const MAXIMUM_BYTES: usize = 1024 * 1024;

/// Message attributes by name.
pub(super) type Attributes = BTreeMap<String, Attribute>;

/// A message attribute as the protocol writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Attribute {
    /// `String`, `Number` or `Binary`, with a label after a dot if there is one.
    pub data_type: String,
    /// The value of a string or a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub string_value: Option<String>,
    /// The value of a binary attribute, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binary_value: Option<String>,
}

impl Attribute {
    /// The bytes that count, with the transport type that the digest distinguishes them by.
    fn value(&self) -> Result<(u8, Vec<u8>), QueueError> {
        let wrong = |what: &str| QueueError::InvalidParameter(format!("The message attribute {what}"));
        match (self.data_type.split('.').next(), &self.string_value, &self.binary_value) {
            (Some("String" | "Number"), Some(text), None) if !text.is_empty() => {
                Ok((1, text.clone().into_bytes()))
            }
            (Some("Binary"), None, Some(base64)) => {
                let bytes = STANDARD.decode(base64).map_err(|_| wrong("has a value that is not base64."))?;
                Ok((2, bytes))
            }
            (Some("String" | "Number" | "Binary"), ..) => {
                Err(wrong("must contain a value of its type and no other."))
            }
            _ => Err(wrong("has an invalid type; it must start with String, Number or Binary.")),
        }
    }
}

/// What somebody sends: checked, so that nothing else has to be.
#[derive(Debug)]
pub(super) struct NewMessage {
    pub(super) id: String,
    pub(super) body: String,
    pub(super) attributes: Attributes,
    pub(super) sender: String,
    pub(super) delay_ms: i64,
    /// Body and attributes together, which is what the limit is for.
    pub(super) bytes: usize,
}

impl NewMessage {
    /// Checks what is sent and gives it an id.
    pub(super) fn new(
        body: String, attributes: Attributes, delay_seconds: i64, sender: &str,
    ) -> Result<Self, QueueError> {
        if body.is_empty() {
            return Err(QueueError::MissingParameter("MessageBody"));
        }
        if !body.chars().all(is_allowed) {
            return Err(QueueError::InvalidContents);
        }
        if attributes.len() > 10 {
            return Err(QueueError::InvalidParameter(format!(
                "Number of message attributes [{}] exceeds the allowed maximum [10].",
                attributes.len()
            )));
        }
        if !(0..=900).contains(&delay_seconds) {
            return Err(QueueError::InvalidParameter(format!(
                "Value {delay_seconds} for parameter DelaySeconds is invalid. Reason: DelaySeconds \
                 must be >= 0 and <= 900."
            )));
        }
        let mut bytes = body.len();
        for (name, attribute) in &attributes {
            bytes += name.len() + attribute.data_type.len() + attribute.value()?.1.len();
        }
        if bytes > MAXIMUM_BYTES {
            return Err(QueueError::InvalidParameter(format!(
                "One or more parameters are invalid. Reason: Message must be shorter than \
                 {MAXIMUM_BYTES} bytes."
            )));
        }
        Ok(Self {
            id: uuid::Uuid::new_v4().to_string(),
            body,
            attributes,
            sender: sender.to_owned(),
            delay_ms: delay_seconds * 1000,
            bytes,
        })
    }
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>
fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{FFFD}' | '\u{10000}'..)
}

/// The hexadecimal MD5 of a body.
pub(super) fn md5_of(text: &str) -> String {
    format!("{:x}", Md5::digest(text))
}

/// The digest of message attributes; `None` if there are none.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html#sqs-attributes-md5-message-digest-calculation>
pub(super) fn md5_of_attributes(attributes: &Attributes) -> Result<Option<String>, QueueError> {
    if attributes.is_empty() {
        return Ok(None);
    }
    let mut digest = Md5::new();
    let mut field = |bytes: &[u8], tag: &[u8]| {
        // A message is at most 1 MiB, so its parts' lengths fit.
        digest.update(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        digest.update(bytes);
        digest.update(tag);
    };
    for (name, attribute) in attributes {
        let (transport, value) = attribute.value()?;
        field(name.as_bytes(), &[]);
        field(attribute.data_type.as_bytes(), &[transport]);
        field(&value, &[]);
    }
    Ok(Some(format!("{:x}", digest.finalize())))
}

/// A received message. It serialises to a record of the event that Lambda makes of it.
/// <https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html#example-standard-queue-message-event>
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the names of the event")]
pub struct Message {
    /// The message's id.
    pub message_id: String,
    /// What deletes it.
    pub receipt_handle: String,
    /// What was sent.
    pub body: String,
    /// `ApproximateReceiveCount`, `SentTimestamp`, `SenderId`, `ApproximateFirstReceiveTimestamp` and,
    /// in a dead-letter queue, `DeadLetterQueueSourceArn`.
    pub attributes: BTreeMap<&'static str, String>,
    /// The message attributes.
    #[serde(serialize_with = "attributes_of_event")]
    pub message_attributes: BTreeMap<String, Attribute>,
    /// The MD5 of the body.
    pub md5_of_body: String,
    /// `aws:sqs`.
    pub event_source: &'static str,
    /// The queue it was received from.
    #[serde(rename = "eventSourceARN")]
    pub event_source_arn: String,
    /// The queue's region.
    pub aws_region: String,
}

/// The event names the members of an attribute differently from the protocol.
fn attributes_of_event<S: Serializer>(attributes: &Attributes, serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(attributes.len()))?;
    for (name, attribute) in attributes {
        let mut value = json!({
            "dataType": attribute.data_type,
            "stringListValues": [],
            "binaryListValues": [],
        });
        if let Some(text) = &attribute.string_value {
            value["stringValue"] = json!(text);
        }
        if let Some(bytes) = &attribute.binary_value {
            value["binaryValue"] = json!(bytes);
        }
        map.serialize_entry(name, &value)?;
    }
    map.end()
}

/// What a receipt handle says: one receive of one message of one queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Receipt {
    /// The message's place in the store.
    pub(super) sequence: i64,
    /// Which of its receives this was.
    pub(super) number: i64,
}

impl Receipt {
    /// The handle that clients are given.
    pub(super) fn handle(self, queue: &str) -> String {
        URL_SAFE_NO_PAD.encode(format!("{queue}/{}/{}", self.sequence, self.number))
    }

    /// Reads a handle that this queue gave out.
    pub(super) fn parse(handle: &str, queue: &str) -> Result<Self, QueueError> {
        let parse = || {
            let text = String::from_utf8(URL_SAFE_NO_PAD.decode(handle).ok()?).ok()?;
            let (sequence, number) = text.strip_prefix(queue)?.strip_prefix('/')?.split_once('/')?;
            Some(Self { sequence: sequence.parse().ok()?, number: number.parse().ok()? })
        };
        parse().ok_or(QueueError::InvalidReceipt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_read_by_its_own_queue_only() {
        let receipt = Receipt { sequence: 12, number: 3 };
        let handle = receipt.handle("Uploads");
        assert_eq!(Receipt::parse(&handle, "Uploads").unwrap(), receipt);
        for (handle, queue) in [(handle.as_str(), "Upload"), ("", "Uploads"), ("bogus", "Uploads")] {
            assert!(matches!(Receipt::parse(handle, queue), Err(QueueError::InvalidReceipt)));
        }
    }

    #[test]
    fn the_digest_of_attributes_follows_the_documented_encoding() {
        let attribute = |kind: &str, text: Option<&str>, bytes: Option<&str>| Attribute {
            data_type: kind.to_owned(),
            string_value: text.map(str::to_owned),
            binary_value: bytes.map(str::to_owned),
        };
        let attributes = Attributes::from([
            ("b".to_owned(), attribute("Binary", None, Some("AQI="))),
            ("a".to_owned(), attribute("Number.int", Some("7"), None)),
        ]);
        let encoded = b"\0\0\0\x01a\0\0\0\x0aNumber.int\x01\0\0\0\x017\
                        \0\0\0\x01b\0\0\0\x06Binary\x02\0\0\0\x02\x01\x02";
        let expected = format!("{:x}", Md5::digest(encoded));
        assert_eq!(md5_of_attributes(&attributes).unwrap(), Some(expected));
        assert_eq!(md5_of_attributes(&Attributes::new()).unwrap(), None);
    }

    #[test]
    fn a_message_counts_its_attributes_against_the_limit() {
        let attribute = Attribute {
            data_type: "String".to_owned(),
            string_value: Some("xy".to_owned()),
            binary_value: None,
        };
        let attributes = Attributes::from([("n".to_owned(), attribute)]);
        let send = |length| NewMessage::new("x".repeat(length), attributes.clone(), 0, "test");
        assert_eq!(send(MAXIMUM_BYTES - 9).unwrap().bytes, MAXIMUM_BYTES);
        assert!(matches!(send(MAXIMUM_BYTES - 8), Err(QueueError::InvalidParameter(_))));
    }
}

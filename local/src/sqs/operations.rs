//! The operations of Amazon SQS, from request to answer.

use std::collections::HashSet;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::http::Refusal;
use super::message::{Attribute, Attributes, MAXIMUM_BYTES, NewMessage, md5_of, md5_of_attributes};
use super::requests::{
    Batch, ChangeVisibility, Delete, Entry, GetQueueAttributes, GetQueueUrl, ListQueues, OnQueue,
    ReceiveMessage, SendMessage, StartMessageMoveTask,
};
use super::{QueueError, Queues, Receive, message};
use crate::iam::{AccessRequest, Identity};
use crate::template::model::Queue;

/// The most entries of a batch, and the most messages of a receive.
const MAXIMUM_ENTRIES: usize = 10;
/// The longest visibility timeout, twelve hours.
const MAXIMUM_VISIBILITY: i64 = 43_200;
/// The longest long poll.
const MAXIMUM_WAIT: i64 = 20;

/// A request by somebody who is known.
pub(super) struct Call<'a> {
    pub(super) queues: &'a Queues,
    pub(super) identity: &'a Identity,
    pub(super) host: &'a str,
    pub(super) shutdown: &'a CancellationToken,
}

impl Call<'_> {
    pub(super) async fn run(&self, operation: &str, body: &[u8]) -> Result<Value, Refusal> {
        match operation {
            "SendMessage" => {
                let (on, input): (OnQueue, SendMessage) = (read(body)?, read(body)?);
                let queue = self.allowed_url("sqs:SendMessage", &on.queue_url)?;
                self.send(queue, input).await
            }
            "SendMessageBatch" => self.send_batch(read(body)?).await,
            "ReceiveMessage" => self.receive(read(body)?).await,
            "DeleteMessage" => {
                let (on, input): (OnQueue, Delete) = (read(body)?, read(body)?);
                let queue = self.allowed_url("sqs:DeleteMessage", &on.queue_url)?;
                self.delete(queue, input).await
            }
            "DeleteMessageBatch" => {
                let batch: Batch<Delete> = read(body)?;
                let queue = self.allowed_url("sqs:DeleteMessage", &batch.queue_url)?;
                check_entries(&batch.entries).map_err(Refusal::Queue)?;
                let mut outcomes = Outcomes::default();
                for Entry { id, what } in batch.entries {
                    outcomes.add(&id, self.delete(queue, what).await)?;
                }
                Ok(outcomes.answer())
            }
            "ChangeMessageVisibility" => {
                let (on, input): (OnQueue, ChangeVisibility) = (read(body)?, read(body)?);
                let queue = self.allowed_url("sqs:ChangeMessageVisibility", &on.queue_url)?;
                self.change_visibility(queue, input).await
            }
            "ChangeMessageVisibilityBatch" => {
                let batch: Batch<ChangeVisibility> = read(body)?;
                let queue = self.allowed_url("sqs:ChangeMessageVisibility", &batch.queue_url)?;
                check_entries(&batch.entries).map_err(Refusal::Queue)?;
                let mut outcomes = Outcomes::default();
                for Entry { id, what } in batch.entries {
                    outcomes.add(&id, self.change_visibility(queue, what).await)?;
                }
                Ok(outcomes.answer())
            }
            "GetQueueUrl" => {
                let input: GetQueueUrl = read(body)?;
                let queue = self.allowed_name("sqs:GetQueueUrl", &input.queue_name)?;
                Ok(json!({ "QueueUrl": self.url(queue) }))
            }
            "GetQueueAttributes" => self.attributes(&read(body)?),
            "ListQueues" => {
                let ListQueues { queue_name_prefix } = read(body)?;
                self.authorize("sqs:ListQueues", "*")?;
                let urls: Vec<_> = self
                    .all()
                    .filter(|q| q.name.starts_with(&queue_name_prefix))
                    .map(|q| self.url(q))
                    .collect();
                Ok(json!({ "QueueUrls": urls }))
            }
            "PurgeQueue" => {
                let input: OnQueue = read(body)?;
                let queue = self.allowed_url("sqs:PurgeQueue", &input.queue_url)?;
                self.queues.purge(&queue.arn).await.map_err(Refusal::Queue)?;
                Ok(json!({}))
            }
            "StartMessageMoveTask" => self.start_message_move_task(read(body)?).await,
            other => Err(Refusal::UnknownOperation(other.to_owned())),
        }
    }

    async fn send(&self, queue: &Queue, input: SendMessage) -> Result<Value, Refusal> {
        let new = self.new_message(input).map_err(Refusal::Queue)?;
        let answer = sent(&new).map_err(Refusal::Queue)?;
        self.queues.insert(&queue.arn, vec![new]).await.map_err(Refusal::Queue)?;
        Ok(answer)
    }

    async fn send_batch(&self, batch: Batch<SendMessage>) -> Result<Value, Refusal> {
        let queue = self.allowed_url("sqs:SendMessage", &batch.queue_url)?;
        check_entries(&batch.entries).map_err(Refusal::Queue)?;
        let (mut messages, mut outcomes) = (Vec::new(), Outcomes::default());
        for Entry { id, what } in batch.entries {
            let new = self.new_message(what).and_then(|new| Ok((sent(&new)?, new)));
            let outcome = new.map_err(Refusal::Queue).map(|(answer, new)| {
                messages.push(new);
                answer
            });
            outcomes.add(&id, outcome)?;
        }
        let size = messages.iter().map(|m| m.bytes).sum();
        if size > MAXIMUM_BYTES {
            return Err(Refusal::Queue(QueueError::BatchTooLong { limit: MAXIMUM_BYTES, size }));
        }
        self.queues.insert(&queue.arn, messages).await.map_err(Refusal::Queue)?;
        Ok(outcomes.answer())
    }

    fn new_message(&self, input: SendMessage) -> Result<NewMessage, QueueError> {
        NewMessage::new(
            input.message_body,
            input.message_attributes,
            input.delay_seconds,
            &self.identity.name,
        )
    }

    async fn receive(&self, input: ReceiveMessage) -> Result<Value, Refusal> {
        let queue = self.allowed_url("sqs:ReceiveMessage", &input.queue_url)?;
        let ask = input.ask().map_err(Refusal::Queue)?;
        let received = tokio::select! {
            received = self.queues.take(&queue.arn, ask) => received.map_err(Refusal::Queue)?,
            // Whoever waits for messages is told that there are none rather than cut off.
            () = self.shutdown.cancelled() => Vec::new(),
        };
        let messages = received
            .into_iter()
            .map(|received| input.describe(message(queue, received)))
            .collect::<Result<Vec<_>, _>>()
            .map_err(Refusal::Queue)?;
        // An empty queue answers without the member, which clients read as an empty list.
        Ok(if messages.is_empty() { json!({}) } else { json!({ "Messages": messages }) })
    }

    async fn delete(&self, queue: &Queue, input: Delete) -> Result<Value, Refusal> {
        let receipts = [input.receipt_handle];
        self.queues.delete(&queue.arn, &receipts).await.map_err(Refusal::Queue)?;
        Ok(json!({}))
    }

    async fn change_visibility(&self, queue: &Queue, input: ChangeVisibility) -> Result<Value, Refusal> {
        let seconds = in_range("VisibilityTimeout", input.visibility_timeout, 0, MAXIMUM_VISIBILITY)
            .map_err(Refusal::Queue)?;
        self.queues
            .change_visibility(&queue.arn, &input.receipt_handle, Duration::from_secs(seconds))
            .await
            .map_err(Refusal::Queue)?;
        Ok(json!({}))
    }

    fn attributes(&self, input: &GetQueueAttributes) -> Result<Value, Refusal> {
        let queue = self.allowed_url("sqs:GetQueueAttributes", &input.queue_url)?;
        let counts = self.queues.counts().map_err(Refusal::Queue)?;
        let counts =
            counts.into_iter().find(|c| c.arn == queue.arn).ok_or(Refusal::Queue(QueueError::NoSuchQueue))?;
        let mut all = vec![
            ("QueueArn", queue.arn.clone()),
            ("ApproximateNumberOfMessages", counts.visible.to_string()),
            ("ApproximateNumberOfMessagesNotVisible", counts.in_flight.to_string()),
            ("ApproximateNumberOfMessagesDelayed", counts.delayed.to_string()),
            ("VisibilityTimeout", queue.visibility.as_secs().to_string()),
            ("MessageRetentionPeriod", queue.retention.as_secs().to_string()),
            ("MaximumMessageSize", MAXIMUM_BYTES.to_string()),
            ("DelaySeconds", "0".to_owned()),
            ("ReceiveMessageWaitTimeSeconds", "0".to_owned()),
        ];
        if let Some(redrive) = &queue.redrive {
            let policy = json!({
                "deadLetterTargetArn": redrive.dead_letter,
                "maxReceiveCount": redrive.maximum_receives,
            });
            all.push(("RedrivePolicy", policy.to_string()));
        }
        let wanted: Map<_, _> = all
            .into_iter()
            .filter(|(name, _)| is_named(&input.attribute_names, name))
            .map(|(name, value)| (name.to_owned(), json!(value)))
            .collect();
        Ok(json!({ "Attributes": wanted }))
    }

    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html>
    async fn start_message_move_task(&self, input: StartMessageMoveTask) -> Result<Value, Refusal> {
        let source = &input.source_arn;
        for action in ["sqs:StartMessageMoveTask", "sqs:ReceiveMessage", "sqs:DeleteMessage"] {
            self.authorize(action, source)?;
        }
        if !self.queues.is_dead_letter(source) {
            return Err(Refusal::Queue(QueueError::InvalidParameter(
                "Source queue must be configured as a Dead Letter Queue.".to_owned(),
            )));
        }
        match &input.destination_arn {
            Some(destination) => self.authorize("sqs:SendMessage", destination)?,
            None => {
                for queue in self.queues.sources_of(source) {
                    self.authorize("sqs:SendMessage", &queue.arn)?;
                }
            }
        }
        self.queues.redrive_to(source, input.destination_arn).await.map_err(Refusal::Queue)?;
        Ok(json!({ "TaskHandle": uuid::Uuid::new_v4().to_string() }))
    }

    fn all(&self) -> impl Iterator<Item = &Queue> {
        self.queues.0.queues.values().map(|open| &open.queue)
    }

    fn url(&self, queue: &Queue) -> String {
        format!("http://{}/000000000000/{}", self.host, queue.name)
    }

    fn allowed_url(&self, action: &str, url: &str) -> Result<&Queue, Refusal> {
        self.allowed_name(action, url.rsplit('/').next().unwrap_or_default())
    }

    fn allowed_name(&self, action: &str, name: &str) -> Result<&Queue, Refusal> {
        let queue = self.all().find(|q| q.name == name).ok_or(Refusal::Queue(QueueError::NoSuchQueue))?;
        self.authorize(action, &queue.arn)?;
        Ok(queue)
    }

    fn authorize(&self, action: &str, resource: &str) -> Result<(), Refusal> {
        self.identity.authorize(&AccessRequest { action, resource, context: &[] }).map_err(Refusal::Denied)
    }
}

impl ReceiveMessage {
    fn ask(&self) -> Result<Receive, QueueError> {
        let max = self.max_number_of_messages.unwrap_or(1);
        let max = in_range("MaxNumberOfMessages", max, 1, 10)?;
        let wait = in_range("WaitTimeSeconds", self.wait_time_seconds.unwrap_or(0), 0, MAXIMUM_WAIT)?;
        let visibility = self
            .visibility_timeout
            .map(|seconds| in_range("VisibilityTimeout", seconds, 0, MAXIMUM_VISIBILITY))
            .transpose()?;
        Ok(Receive {
            max: usize::try_from(max).unwrap_or(MAXIMUM_ENTRIES),
            wait: Duration::from_secs(wait),
            visibility: visibility.map(Duration::from_secs),
        })
    }

    fn describe(&self, message: super::Message) -> Result<Value, QueueError> {
        let system: Map<_, _> = message
            .attributes
            .into_iter()
            .filter(|(name, _)| {
                is_named(&self.attribute_names, name) || is_named(&self.message_system_attribute_names, name)
            })
            .map(|(name, value)| (name.to_owned(), json!(value)))
            .collect();
        let attributes: Attributes = message
            .message_attributes
            .into_iter()
            .filter(|(name, _): &(String, Attribute)| is_named(&self.message_attribute_names, name))
            .collect();
        let mut described = json!({
            "MessageId": message.message_id,
            "ReceiptHandle": message.receipt_handle,
            "MD5OfBody": message.md5_of_body,
            "Body": message.body,
        });
        if !system.is_empty() {
            described["Attributes"] = Value::Object(system);
        }
        if let Some(digest) = md5_of_attributes(&attributes)? {
            described["MD5OfMessageAttributes"] = json!(digest);
            described["MessageAttributes"] = json!(attributes);
        }
        Ok(described)
    }
}

/// What became of the entries of a batch, each on its own.
#[derive(Default)]
struct Outcomes {
    successful: Vec<Value>,
    failed: Vec<Value>,
}

impl Outcomes {
    fn add(&mut self, id: &str, outcome: Result<Value, Refusal>) -> Result<(), Refusal> {
        match outcome {
            Ok(mut answer) => {
                answer["Id"] = json!(id);
                self.successful.push(answer);
            }
            Err(Refusal::Queue(error)) => self.failed.push(failure(id, &error)),
            Err(other) => return Err(other),
        }
        Ok(())
    }

    fn answer(self) -> Value {
        json!({ "Successful": self.successful, "Failed": self.failed })
    }
}

fn check_entries<T>(entries: &[Entry<T>]) -> Result<(), QueueError> {
    if entries.is_empty() {
        return Err(QueueError::EmptyBatch);
    }
    if entries.len() > MAXIMUM_ENTRIES {
        return Err(QueueError::TooManyEntries(entries.len()));
    }
    let mut seen = HashSet::new();
    match entries.iter().find(|entry| !seen.insert(&entry.id)) {
        Some(entry) => Err(QueueError::RepeatedEntry(entry.id.clone())),
        None => Ok(()),
    }
}

fn failure(id: &str, error: &QueueError) -> Value {
    let (_, code) = error.codes();
    json!({
        "Id": id,
        "SenderFault": error.is_senders(),
        "Code": code,
        "Message": error.to_string(),
    })
}

fn sent(new: &NewMessage) -> Result<Value, QueueError> {
    let mut answer = json!({ "MessageId": new.id, "MD5OfMessageBody": md5_of(&new.body) });
    if let Some(digest) = md5_of_attributes(&new.attributes)? {
        answer["MD5OfMessageAttributes"] = json!(digest);
    }
    Ok(answer)
}

/// Whether a list of names asks for this one: by its name, by a prefix (`trace.*`) or with all.
fn is_named(wanted: &[String], name: &str) -> bool {
    wanted
        .iter()
        .any(|w| w == "All" || w == name || w.strip_suffix(".*").is_some_and(|p| name.starts_with(p)))
}

fn in_range(name: &str, value: i64, least: i64, most: i64) -> Result<u64, QueueError> {
    u64::try_from(value).ok().filter(|_| (least..=most).contains(&value)).ok_or_else(|| {
        QueueError::InvalidParameter(format!(
            "Value {value} for parameter {name} is invalid. Reason: Must be between {least} and \
             {most}, if provided."
        ))
    })
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(Refusal::Unreadable)
}

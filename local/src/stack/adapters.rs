//! The services as the triggers see them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tokio::sync::{Mutex, watch};

use crate::dynamodb::Tables;
use crate::lambda::Functions;
use crate::sqs::Queues;
use crate::triggers::{Failure, Invoke, Message, Messages, Record, Records};

impl Messages for Queues {
    async fn receive(&self, queue: &str, max: usize, wait: Duration) -> Result<Vec<Message>, Failure> {
        let received = Self::receive(self, queue, max, wait).await?;
        received
            .into_iter()
            .map(|message| {
                Ok(Message {
                    record: serde_json::to_value(&message)?,
                    id: message.message_id,
                    receipt: message.receipt_handle,
                })
            })
            .collect()
    }

    async fn delete(&self, queue: &str, receipts: &[String]) -> Result<(), Failure> {
        Ok(Self::delete(self, queue, receipts).await?)
    }

    async fn send(&self, queue: &str, body: String) -> Result<(), Failure> {
        Self::send(self, queue, body).await?;
        Ok(())
    }
}

/// The tables as one reader of their streams sees them. It hears of every write since it was made, also of
/// those that come between a look and the wait for the next.
#[derive(Clone)]
pub struct Streams {
    tables: Tables,
    changes: Arc<Mutex<watch::Receiver<()>>>,
}

impl Streams {
    /// For one reader.
    pub fn new(tables: Tables) -> Self {
        let changes = Arc::new(Mutex::new(tables.changes()));
        Self { tables, changes }
    }
}

impl Records for Streams {
    async fn read(&self, table: &str, consumer: &str, max: usize) -> Result<Vec<Record>, Failure> {
        let records = self.tables.stream(table, consumer, max).await?.into_iter();
        Ok(records.map(|record| Record { sequence: record.sequence_number, record: record.event }).collect())
    }

    async fn advance(&self, table: &str, consumer: &str, sequence: &str) -> Result<(), Failure> {
        Ok(self.tables.advance(table, consumer, sequence).await?)
    }

    async fn changed(&self, _table: &str) {
        // A sender that is gone means the stack is, and the reader's token says so.
        let _ = self.changes.lock().await.changed().await;
    }
}

impl Invoke for Functions {
    async fn invoke(&self, function: &str, event: Bytes) -> Result<Bytes, Failure> {
        Self::invoke(self, function, event).await.map_err(|error| json!(error.document()).to_string().into())
    }
}

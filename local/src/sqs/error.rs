//! What a queue refuses, with the words and codes of Amazon SQS.

/// Why a queue did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// There is no queue of this name or ARN.
    #[error("The specified queue does not exist.")]
    NoSuchQueue,
    /// A receipt handle that this queue never gave out.
    #[error("The input receipt handle is invalid.")]
    InvalidReceipt,
    /// The visibility timeout of the message has passed already.
    #[error("The specified message isn't in flight.")]
    NotInFlight,
    /// A parameter is out of its range.
    #[error("{0}")]
    InvalidParameter(String),
    /// A parameter is missing.
    #[error("The request must contain the parameter {0}.")]
    MissingParameter(&'static str),
    /// The body holds characters that XML 1.0 does not know.
    #[error(
        "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | \
         #xE000 to #xFFFD | #x10000 to #x10FFFF"
    )]
    InvalidContents,
    /// A batch without entries.
    #[error("There should be at least one entry in the request.")]
    EmptyBatch,
    /// A batch of more than ten entries.
    #[error("Maximum number of entries per request are 10. You have sent {0}.")]
    TooManyEntries(usize),
    /// Two entries of a batch have the same id.
    #[error("Id {0} repeated.")]
    RepeatedEntry(String),
    /// The messages of a batch are too large together.
    #[error("Batch requests cannot be longer than {limit} bytes. You have sent {size} bytes.")]
    BatchTooLong {
        /// What is allowed.
        limit: usize,
        /// What came.
        size: usize,
    },
    /// The store of the queues failed.
    #[error("the queues could not be read or written")]
    Storage(#[source] rusqlite::Error),
    /// The runtime stopped before the work was done.
    #[error("the stack is shutting down")]
    Stopped,
}

impl QueueError {
    /// The error's shape in the JSON protocol and its code in the query protocol, which clients know
    /// it by (`x-amzn-query-error`).
    pub(super) fn codes(&self) -> (&'static str, &'static str) {
        match self {
            Self::NoSuchQueue => {
                ("com.amazonaws.sqs#QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue")
            }
            Self::InvalidReceipt => ("com.amazonaws.sqs#ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid"),
            Self::NotInFlight => {
                ("com.amazonaws.sqs#MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight")
            }
            Self::InvalidParameter(_) => {
                ("com.amazon.coral.service#InvalidParameterValueException", "InvalidParameterValue")
            }
            Self::MissingParameter(_) => {
                ("com.amazon.coral.service#MissingRequiredParameterException", "MissingParameter")
            }
            Self::InvalidContents => ("com.amazonaws.sqs#InvalidMessageContents", "InvalidMessageContents"),
            Self::EmptyBatch => {
                ("com.amazonaws.sqs#EmptyBatchRequest", "AWS.SimpleQueueService.EmptyBatchRequest")
            }
            Self::TooManyEntries(_) => (
                "com.amazonaws.sqs#TooManyEntriesInBatchRequest",
                "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
            ),
            Self::RepeatedEntry(_) => (
                "com.amazonaws.sqs#BatchEntryIdsNotDistinct",
                "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
            ),
            Self::BatchTooLong { .. } => {
                ("com.amazonaws.sqs#BatchRequestTooLong", "AWS.SimpleQueueService.BatchRequestTooLong")
            }
            Self::Storage(_) | Self::Stopped => ("com.amazonaws.sqs#InternalServerError", "InternalFailure"),
        }
    }

    /// Whether the sender can do something about it.
    pub(super) fn is_senders(&self) -> bool {
        !matches!(self, Self::Storage(_) | Self::Stopped)
    }
}

//! How an invocation fails.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

/// Why an invocation has no answer. The texts are those of Lambda.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvokeError {
    /// The function worked for longer than its `Timeout`, and was killed.
    #[error("Task timed out after {:.2} seconds", after.as_secs_f64())]
    TimedOut {
        /// The function's timeout.
        after: Duration,
    },
    /// The process ended in the middle of the invocation.
    #[error("Runtime exited {reason}")]
    Exited {
        /// `with error: signal: killed`, `with error: exit status 101`, `without providing a reason`.
        reason: String,
    },
    /// The function never asked for its first invocation.
    #[error("{error_type}: {message}")]
    InitFailed {
        /// `Runtime.ExitError`, or what the function reported.
        error_type: String,
        /// What happened.
        message: String,
    },
    /// The function reported an error.
    #[error("{error_type}: {message}")]
    Function {
        /// `errorType` of its report.
        error_type: String,
        /// `errorMessage` of its report.
        message: String,
    },
    /// The function's answer exceeds 6 MB.
    #[error(
        "Response payload size ({size} bytes) exceeded maximum allowed payload size ({} bytes).",
        super::RESPONSE_LIMIT
    )]
    ResponseTooLarge {
        /// The answer's size.
        size: usize,
    },
    /// The payload exceeds 6 MB.
    #[error("Request must be smaller than {} bytes for the InvokeFunction operation", super::REQUEST_LIMIT)]
    RequestTooLarge {
        /// The payload's size.
        size: usize,
    },
    /// All instances stayed busy for too long, or the stack is shutting down.
    #[error("Rate Exceeded.")]
    Throttled,
    /// The template has no such function.
    #[error("Function not found: {0}")]
    UnknownFunction(String),
}

impl InvokeError {
    /// What Lambda calls it.
    pub fn error_type(&self) -> &str {
        match self {
            Self::TimedOut { .. } => "Sandbox.Timedout",
            Self::Exited { .. } => "Runtime.ExitError",
            Self::InitFailed { error_type, .. } | Self::Function { error_type, .. } => error_type,
            Self::ResponseTooLarge { .. } => "Function.ResponseSizeTooLarge",
            Self::RequestTooLarge { .. } => "RequestEntityTooLarge",
            Self::Throttled => "TooManyRequestsException",
            Self::UnknownFunction(_) => "ResourceNotFoundException",
        }
    }

    /// The JSON document that Lambda's `Invoke` answers with.
    pub fn document(&self) -> Value {
        let message = match self {
            Self::InitFailed { message, .. } | Self::Function { message, .. } => message.clone(),
            other => other.to_string(),
        };
        json!({ "errorType": self.error_type(), "errorMessage": message })
    }

    /// The error that a function reported, in whatever state its report is.
    pub(super) fn reported(document: &[u8]) -> Self {
        let Report { error_type, message } = Report::parse(document);
        Self::Function { error_type, message }
    }

    /// The same for an error before the first invocation.
    pub(super) fn reported_at_start(document: &[u8]) -> Self {
        let Report { error_type, message } = Report::parse(document);
        Self::InitFailed { error_type, message }
    }
}

/// The body of the Runtime API's error requests.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    #[serde(default)]
    error_type: String,
    #[serde(default, rename = "errorMessage")]
    message: String,
}

impl Report {
    fn parse(document: &[u8]) -> Self {
        serde_json::from_slice(document).unwrap_or_else(|_| Self {
            error_type: "Runtime.Unknown".into(),
            message: String::from_utf8_lossy(document).into_owned(),
        })
    }
}

//! Whether a request was made before.

use crate::domain::Time;
use crate::domain::idempotency::{Attempt, Record};
use crate::http::{Problem, same_request};
use crate::store::RecallAttempt;

/// The record to answer from, if this attempt took effect already.
pub async fn recall(
    records: &impl RecallAttempt, attempt: Option<&Attempt>, now: Time,
) -> Result<Option<Record>, Problem> {
    let Some(attempt) = attempt else { return Ok(None) };
    let record = records.recall_attempt(attempt, now).await?;
    record.map(|record| same_request(attempt, record)).transpose()
}

//! API keys.

use std::future::Future;
use std::time::Duration;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::types::AttributeValue;

use super::idempotency::record;
use super::item::{Item, decode, encode, number, primary_key, text, unavailable};
use super::transaction::{Cancelled, Expression, Part, Transaction};
use super::{Store, keys};
use crate::domain::error::{ChangeKeyError, WriteError};
use crate::domain::idempotency::Record;
use crate::domain::key::{KeySummary, Revoked};
use crate::domain::page::{Page, PlainQuery};
use crate::domain::{ApiKey, KeyId, ProjectId, Scope, Unavailable};

/// Reads an API key.
pub trait FindKey {
    /// The key by this id, if there is one.
    fn find_key(&self, key: KeyId) -> impl Future<Output = Result<Option<ApiKey>, Unavailable>> + Send;
}

/// Reads a page of a project's keys.
pub trait ListKeys {
    /// The keys, the newest first, without their secrets.
    fn list_keys(
        &self, project: ProjectId, query: &PlainQuery<KeyId>,
    ) -> impl Future<Output = Result<Page<KeySummary, KeyId>, Unavailable>> + Send;
}

/// Writes a key.
pub trait CommitKey {
    /// Writes the key, if it still is at the version that it had `before` (`None`: if there is none), and the
    /// record of the attempt with it.
    fn commit_key(
        &self, before: Option<&ApiKey>, key: &ApiKey, once: Option<&Record>,
    ) -> impl Future<Output = Result<(), WriteError>> + Send;
}

/// Writes down that a key was used.
pub trait MarkKeySeen {
    /// Writes down when it was, unless its owner changes the key just now: that is more important.
    fn mark_key_seen(&self, key: &ApiKey) -> impl Future<Output = Result<(), Unavailable>> + Send;
}

/// For how long an owner can still see of a key that it was revoked or expired.
const REMEMBERED: Duration = Duration::from_hours(30 * 24);

/// How often a change is tried before the caller is told to come back later.
const ATTEMPTS: u32 = 5;

/// A key as an item.
pub(super) fn key_item(operation: &'static str, key: &ApiKey) -> Result<Item, Unavailable> {
    let mut at = primary_key(keys::key(key.id), "KEY");
    at.insert("GSI1PK".into(), text(keys::keys_of(key.project)));
    at.insert("GSI1SK".into(), text(key.id.to_string()));
    let mut item = encode(operation, "key", at, key)?;
    item.insert("summary".into(), summary(operation, key)?);
    if let Some(end) = key.revoked_at.into_iter().chain(key.good_until).min() {
        let seconds = u64::try_from(end.after(REMEMBERED).as_secs()).unwrap_or_default();
        item.insert("expires_at".into(), number(seconds));
    }
    Ok(item)
}

fn summary(operation: &'static str, key: &ApiKey) -> Result<AttributeValue, Unavailable> {
    serde_dynamo::to_attribute_value(key.summary()).map_err(|e| Unavailable::new(operation, e))
}

/// Applies a rule to a key of a project as it is now and writes what comes of it, if anything does. Nobody changes
/// a key that may do what they may not, with these `scopes`: they could take it over.
pub async fn change_key(
    api_keys: &(impl FindKey + CommitKey), scopes: &[Scope], (project, id): (ProjectId, KeyId),
    expected: Option<&[u64]>, once: Option<&Record>,
    mut decide: impl FnMut(&ApiKey) -> Result<Option<ApiKey>, Revoked>,
) -> Result<ApiKey, ChangeKeyError> {
    for _ in 0..ATTEMPTS {
        let found = api_keys.find_key(id).await.map_err(ChangeKeyError::Unavailable)?;
        let before = found.filter(|key| key.project == project).ok_or(ChangeKeyError::NotFound)?;
        if let Some(scope) = before.scopes.iter().find(|scope| !scope.is_in(scopes)) {
            return Err(ChangeKeyError::Exceeds(*scope));
        }
        let decided = decide(&before).map_err(|Revoked| ChangeKeyError::Revoked)?;
        // Also where a write took effect whose answer was lost: then the version is one that nobody could know.
        let Some(after) = decided else { return Ok(before) };
        if expected.is_some_and(|versions| !versions.contains(&before.version)) {
            return Err(ChangeKeyError::Stale { current: before.version });
        }
        match api_keys.commit_key(Some(&before), &after, once).await {
            Ok(()) => return Ok(after),
            Err(WriteError::Conflict | WriteError::Taken(_)) => {}
            Err(WriteError::Repeated(record)) => return Err(ChangeKeyError::Repeated(record)),
            Err(WriteError::Unavailable(e)) => return Err(ChangeKeyError::Unavailable(e)),
        }
    }
    Err(ChangeKeyError::Contended)
}

impl FindKey for Store {
    async fn find_key(&self, key: KeyId) -> Result<Option<ApiKey>, Unavailable> {
        const OPERATION: &str = "find_key";
        let found = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(primary_key(keys::key(key), "KEY")))
            // Who has just been shut out must not get in by an old copy.
            .consistent_read(true)
            .send()
            .await
            .map_err(|e| unavailable(OPERATION, e))?;
        found.item.map(|item| decode(OPERATION, item)).transpose()
    }
}

impl ListKeys for Store {
    async fn list_keys(
        &self, project: ProjectId, query: &PlainQuery<KeyId>,
    ) -> Result<Page<KeySummary, KeyId>, Unavailable> {
        #[derive(serde::Deserialize)]
        struct Row {
            summary: KeySummary,
        }
        let partition = keys::keys_of(project);
        let start = query.after.map(|after| {
            let mut key = primary_key(keys::key(after), "KEY");
            key.insert("GSI1PK".into(), text(&partition));
            key.insert("GSI1SK".into(), text(after.to_string()));
            key
        });
        let (rows, more) = self.page("list_keys", &partition, start, query.limit).await?;
        let rows: Vec<_> = rows.into_iter().map(|row: Row| row.summary).collect();
        let after = rows.last().filter(|_| more).map(|row| row.id);
        Ok(Page { rows, after })
    }
}

impl Store {
    /// A page of the first index, the newest first, and whether there is another.
    pub(super) async fn page<Row: serde::de::DeserializeOwned>(
        &self, operation: &'static str, partition: &str, start: Option<Item>, limit: u32,
    ) -> Result<(Vec<Row>, bool), Unavailable> {
        let found = self
            .client
            .query()
            .table_name(&self.table)
            .index_name("GSI1")
            .key_condition_expression("GSI1PK = :partition")
            .expression_attribute_values(":partition", text(partition))
            .scan_index_forward(false)
            .set_exclusive_start_key(start)
            // One more than asked for tells whether there is another page.
            .limit(i32::try_from(limit.saturating_add(1)).unwrap_or(i32::MAX))
            .send()
            .await
            .map_err(|e| unavailable(operation, e))?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let items = found.items.unwrap_or_default();
        let more = items.len() > limit || found.last_evaluated_key.is_some();
        let rows = items.into_iter().take(limit).map(|item| decode(operation, item));
        Ok((rows.collect::<Result<_, _>>()?, more))
    }
}

impl CommitKey for Store {
    async fn commit_key(
        &self, before: Option<&ApiKey>, key: &ApiKey, once: Option<&Record>,
    ) -> Result<(), WriteError> {
        const OPERATION: &str = "commit_key";
        let item = key_item(OPERATION, key).map_err(WriteError::Unavailable)?;
        let condition = match before {
            None => Expression::new("attribute_not_exists(PK)"),
            // The first keys had no version.
            Some(before) => {
                let same = "attribute_exists(PK) AND (version = :version OR attribute_not_exists(version))";
                Expression::new(same).value(":version", number(before.version))
            }
        };
        let mut transaction = Transaction::new(&self.table, OPERATION);
        transaction.put(Part::Subject, item, Some(condition)).map_err(WriteError::Unavailable)?;
        self.write_once(transaction, once).await
    }
}

impl Store {
    /// Sends a transaction whose subject has a condition, with the record of the attempt.
    pub(super) async fn write_once(
        &self, mut transaction: Transaction<'_>, once: Option<&Record>,
    ) -> Result<(), WriteError> {
        if let Some(once) = once {
            record(&mut transaction, once).map_err(WriteError::Unavailable)?;
        }
        match transaction.send(&self.client).await {
            Ok(()) => Ok(()),
            Err(Cancelled::By(Part::Issuer(index), _)) => Err(WriteError::Taken(index)),
            Err(Cancelled::By(Part::Record, item)) => match decode("recall_attempt", item) {
                Ok(record) => Err(WriteError::Repeated(Box::new(record))),
                Err(error) => Err(WriteError::Unavailable(error)),
            },
            Err(
                Cancelled::By(
                    Part::Subject | Part::Quota | Part::Original | Part::Token | Part::Unconditional,
                    _,
                )
                | Cancelled::Contended,
            ) => Err(WriteError::Conflict),
            Err(Cancelled::Unavailable(error)) => Err(WriteError::Unavailable(error)),
        }
    }
}

impl MarkKeySeen for Store {
    async fn mark_key_seen(&self, key: &ApiKey) -> Result<(), Unavailable> {
        const OPERATION: &str = "mark_key_seen";
        let Some(seen) = key.last_used_at else { return Ok(()) };
        let sent = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(primary_key(keys::key(key.id), "KEY")))
            .update_expression("SET last_used_at = :seen, summary = :summary")
            .condition_expression("version = :version AND attribute_not_exists(revoked_at)")
            .expression_attribute_values(":seen", text(seen.to_string()))
            .expression_attribute_values(":summary", summary(OPERATION, key)?)
            .expression_attribute_values(":version", number(key.version))
            .send()
            .await;
        match sent {
            Ok(_) => Ok(()),
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => {
                Ok(())
            }
            Err(error) => Err(unavailable(OPERATION, error)),
        }
    }
}

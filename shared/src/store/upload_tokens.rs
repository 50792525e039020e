//! Upload tokens, and how often they were used.

use std::future::Future;
use std::time::Duration;

use super::item::{decode, encode, number, primary_key, text, unavailable};
use super::transaction::{Expression, Part, Transaction};
use super::{Store, keys};
use crate::domain::error::WriteError;
use crate::domain::idempotency::Record;
use crate::domain::upload_token::UploadToken;
use crate::domain::{ProjectId, Time, TokenId, Unavailable};

const SORT_KEY: &str = "TOKEN";

/// For how long a token's bearer still hears that it has expired.
const REMEMBERED: Duration = Duration::from_hours(24);

/// Reads an upload token.
pub trait FindUploadToken {
    /// The token by this id, if there is one.
    fn find_upload_token(
        &self, token: TokenId,
    ) -> impl Future<Output = Result<Option<UploadToken>, Unavailable>> + Send;
}

/// Writes a new upload token.
pub trait CreateUploadToken {
    /// Writes it, and the record of the attempt with it.
    fn create_upload_token(
        &self, token: &UploadToken, once: Option<&Record>,
    ) -> impl Future<Output = Result<(), WriteError>> + Send;
}

impl FindUploadToken for Store {
    async fn find_upload_token(&self, token: TokenId) -> Result<Option<UploadToken>, Unavailable> {
        const OPERATION: &str = "find_upload_token";
        let found = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(primary_key(keys::upload_token(token), SORT_KEY)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|e| unavailable(OPERATION, e))?;
        found.item.map(|item| decode(OPERATION, item)).transpose()
    }
}

impl CreateUploadToken for Store {
    async fn create_upload_token(
        &self, token: &UploadToken, once: Option<&Record>,
    ) -> Result<(), WriteError> {
        const OPERATION: &str = "create_upload_token";
        let key = primary_key(keys::upload_token(token.id), SORT_KEY);
        let mut item = encode(OPERATION, "upload_token", key, token).map_err(WriteError::Unavailable)?;
        let expires = u64::try_from(token.good_until.after(REMEMBERED).as_secs()).unwrap_or_default();
        item.insert("expires_at".into(), number(expires));
        let mut transaction = Transaction::new(&self.table, OPERATION);
        let absent = Expression::new("attribute_not_exists(PK)");
        transaction.put(Part::Subject, item, Some(absent)).map_err(WriteError::Unavailable)?;
        self.write_once(transaction, once).await
    }
}

/// Uses a token once, if it is this project's and can be used.
pub fn spend(
    transaction: &mut Transaction<'_>, project: ProjectId, token: TokenId, now: Time,
) -> Result<(), Unavailable> {
    let update = Expression::new("SET used = used + :one")
        .name("#count", "count")
        .value(":one", number(1))
        .value(":now", text(now.to_string()))
        .value(":project", text(project.to_string()));
    let good = "used < #count AND good_until > :now AND #project = :project";
    let update = update.name("#project", "project");
    transaction.update(Part::Token, primary_key(keys::upload_token(token), SORT_KEY), update, Some(good))
}

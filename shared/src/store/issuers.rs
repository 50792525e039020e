//! Where tokens lead: one row for each issuer and audience, which belongs to one project.

use std::future::Future;

use super::item::{decode, encode, primary_key, text, unavailable};
use super::transaction::{Expression, Part, Transaction};
use super::{Store, keys};
use crate::domain::issuer::{Issuer, TrustedIssuer};
use crate::domain::{Project, Unavailable};

const SORT_KEY: &str = "ISSUER";

/// Finds the project that a token leads to.
pub trait FindIssuer {
    /// Who trusts this issuer, for this audience.
    fn find_issuer(
        &self, issuer: &str, audience: &str,
    ) -> impl Future<Output = Result<Option<TrustedIssuer>, Unavailable>> + Send;
}

impl FindIssuer for Store {
    async fn find_issuer(&self, issuer: &str, audience: &str) -> Result<Option<TrustedIssuer>, Unavailable> {
        const OPERATION: &str = "find_issuer";
        let partition = keys::issuer(&Issuer::fingerprint(issuer, audience));
        let found = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(primary_key(partition, SORT_KEY)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|e| unavailable(OPERATION, e))?;
        found.item.map(|item| decode(OPERATION, item)).transpose()
    }
}

/// The writes that move the rows along with a project.
pub fn moves(
    transaction: &mut Transaction<'_>, operation: &'static str, before: &Project, after: &Project,
) -> Result<(), Unavailable> {
    let key = |issuer: &Issuer| {
        primary_key(keys::issuer(&Issuer::fingerprint(&issuer.issuer, &issuer.audience)), SORT_KEY)
    };
    for old in &before.issuers {
        let kept = |new: &&Issuer| (&new.issuer, &new.audience) == (&old.issuer, &old.audience);
        if !after.issuers.iter().any(|new| kept(&new)) {
            transaction.delete(Part::Unconditional, key(old), None)?;
        }
    }
    for (index, new) in after.issuers.iter().enumerate() {
        if before.issuers.contains(new) {
            continue;
        }
        let trusted = TrustedIssuer { project: after.id, issuer: new.clone() };
        let item = encode(operation, "issuer", key(new), &trusted)?;
        let ours = Expression::new("attribute_not_exists(PK) OR #project = :project")
            .name("#project", "project")
            .value(":project", text(after.id.to_string()));
        transaction.put(Part::Issuer(index), item, Some(ours))?;
    }
    Ok(())
}

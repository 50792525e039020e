//! Originals: bytes that several images may refer to, stored and charged once.
//!
//! ```text
//! first image    PUT object            row: key, references 1     both in the image's transaction but the PUT
//! second         finds the row         row: references 2          if the row is still the one it found
//! one goes       row: references 1
//! the other      row deleted           object deleted             its key is in the image until it is
//! ```
//!
//! An object's key contains the upload that was there first and is never used again. So a row that is gone
//! takes its object with it for good: whoever comes with the same bytes afterwards stores them anew.

use std::collections::BTreeSet;
use std::future::Future;

use serde::{Deserialize, Serialize};

use super::item::{decode, encode, number, primary_key, text, unavailable};
use super::transaction::{Expression, Part, Transaction};
use super::{FindImage, Store, keys};
use crate::domain::error::{CommitError, FindImageError};
use crate::domain::image::{Image, Original};
use crate::domain::quota::Held;
use crate::domain::{EventId, ProjectId, Time, Unavailable};

const SORT_KEY: &str = "BLOB";

/// Finds out whether a project has some bytes already.
pub trait FindOriginal {
    /// The original with this hash, if any image of the project refers to it.
    fn find_original(
        &self, project: ProjectId, sha256: &str,
    ) -> impl Future<Output = Result<Option<Original>, Unavailable>> + Send;
}

/// Gives up what an image refers to.
pub trait ReleaseOriginals {
    /// Of an image that is purged, all of its originals; of one that is not, those that were replaced. What
    /// nobody else refers to is among the `doomed` keys of the image that is returned.
    fn release_originals(
        &self, image: &Image, event: EventId, now: Time,
    ) -> impl Future<Output = Result<Image, Unavailable>> + Send;
}

/// An original, and how many images refer to it.
#[derive(Serialize, Deserialize)]
pub struct Row {
    #[serde(flatten)]
    pub original: Original,
    pub references: u64,
}

impl FindOriginal for Store {
    async fn find_original(&self, project: ProjectId, sha256: &str) -> Result<Option<Original>, Unavailable> {
        Ok(self.original_row(project, sha256).await?.map(|row| row.original))
    }
}

/// What an image refers to, once each.
fn referred(image: Option<&Image>) -> BTreeSet<&Original> {
    image.into_iter().flat_map(Image::originals).collect()
}

/// Refers to originals: to one's own for the first time, or to what somebody else has stored. What the
/// project then holds more is returned.
pub fn take(
    transaction: &mut Transaction<'_>, operation: &'static str, before: Option<&Image>, after: &Image,
) -> Result<Held, Unavailable> {
    let mut held = Held::default();
    for original in referred(Some(after)).difference(&referred(before)) {
        let key = primary_key(keys::original(after.project, &original.sha256), SORT_KEY);
        if is_first(after, original) {
            held = held.and(Held::original(original.bytes));
            let row = Row { original: (*original).clone(), references: 1 };
            let condition = Some(Expression::new("attribute_not_exists(PK)"));
            transaction.put(Part::Original, encode(operation, "original", key, &row)?, condition)?;
        } else {
            let update = Expression::new("ADD #references :one")
                .name("#references", "references")
                .name("#key", "key")
                .value(":one", number(1))
                .value(":key", text(&original.key));
            transaction.update(Part::Original, key, update, Some("#key = :key"))?;
        }
    }
    Ok(held)
}

/// Whether the object is the one that this image's current upload brought.
fn is_first(image: &Image, original: &Original) -> bool {
    original.key.contains(&image.upload.to_string())
}

impl ReleaseOriginals for Store {
    async fn release_originals(
        &self, image: &Image, event: EventId, now: Time,
    ) -> Result<Image, Unavailable> {
        const OPERATION: &str = "release_originals";
        const ATTEMPTS: u32 = 5;
        let mut image = image.clone();
        for _ in 0..ATTEMPTS {
            let without = image.give_up_originals(vec![], now).image;
            let released = referred(Some(&image));
            let released =
                released.difference(&referred(Some(&without))).copied().cloned().collect::<Vec<_>>();
            if released.is_empty() {
                return Ok(image);
            }
            let mut references = vec![];
            for original in released {
                let row = self.original_row(image.project, &original.sha256).await?;
                references.extend(row.filter(|row| row.original.key == original.key));
            }
            let doomed =
                references.iter().filter(|row| row.references <= 1).map(|row| row.original.key.clone());
            let change = image.give_up_originals(doomed.collect(), now);
            match self.commit(Some(&image), &change, event, &references).await {
                Ok(()) => return Ok(change.image),
                Err(CommitError::Unavailable(error)) => return Err(error),
                // The image or an original was changed in the meantime.
                Err(
                    CommitError::Conflict
                    | CommitError::OriginalMoved
                    | CommitError::Repeated(_)
                    | CommitError::TokenSpent
                    | CommitError::QuotaExceeded,
                ) => match self.find_image(image.project, image.id).await {
                    Ok(now) => image = now,
                    Err(FindImageError::NotFound) => {
                        return Err(Unavailable::new(OPERATION, "the image was erased in the meantime"));
                    }
                    Err(FindImageError::Unavailable(error)) => return Err(error),
                },
            }
        }
        Err(Unavailable::new(OPERATION, "others kept writing"))
    }
}

/// Gives up one reference to each of these originals. What the project then holds less is returned.
pub fn release(
    transaction: &mut Transaction<'_>, project: ProjectId, rows: &[Row],
) -> Result<Held, Unavailable> {
    let mut held = Held::default();
    for Row { original, references } in rows {
        let key = primary_key(keys::original(project, &original.sha256), SORT_KEY);
        let at = |expression: Expression| {
            expression
                .name("#references", "references")
                .name("#key", "key")
                .value(":one", number(1))
                .value(":key", text(&original.key))
        };
        if *references <= 1 {
            held = held.and(Held::original(original.bytes).to(Held::default()));
            let condition = at(Expression::new("#key = :key AND #references = :one"));
            transaction.delete(Part::Original, key, Some(condition))?;
        } else {
            let update = at(Expression::new("SET #references = #references - :one"));
            transaction.update(Part::Original, key, update, Some("#key = :key AND #references > :one"))?;
        }
    }
    Ok(held)
}

impl Store {
    async fn original_row(&self, project: ProjectId, sha256: &str) -> Result<Option<Row>, Unavailable> {
        const OPERATION: &str = "find_original";
        let found = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(primary_key(keys::original(project, sha256), SORT_KEY)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|e| unavailable(OPERATION, e))?;
        found.item.map(|item| decode(OPERATION, item)).transpose()
    }
}

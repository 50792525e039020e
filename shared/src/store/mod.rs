//! DynamoDB: one table, one file per aggregate.
//!
//! Each operation is a *port*: a trait of one method that a function asks for by name. The template grants
//! a function the same ports under the same names.

mod api_keys;
mod change;
mod due;
mod events;
mod idempotency;
mod images;
mod issuers;
mod item;
mod keys;
mod lists;
mod originals;
mod projects;
mod quota;
mod rates;
mod rows;
#[cfg(test)]
mod tests;
mod transaction;
mod upload_tokens;

use aws_sdk_dynamodb::Client;

pub use api_keys::{CommitKey, FindKey, ListKeys, MarkKeySeen, change_key};
pub use change::{ChangeError, EditRefused, change_image, edit_image};
pub use due::{AdvanceWatermark, DueEntry, FindOverdue, ForgetDue};
pub use events::decode_event;
pub use idempotency::{FinishAttempt, RecallAttempt, RecordAttempt};
pub use images::{CommitImage, EraseRows, FindImage};
pub use issuers::FindIssuer;
pub use lists::{ListImages, ListTags};
pub use originals::{FindOriginal, ReleaseOriginals};
pub use projects::{CommitProject, CreateProject, FindProject, KnownProjects, ListProjects, change_project};
pub use rates::{Counted, TakeCells, Taken};
pub use upload_tokens::{CreateUploadToken, FindUploadToken};

/// The table.
#[derive(Debug, Clone)]
pub struct Store {
    client: Client,
    table: String,
}

impl Store {
    /// The table by name, behind a client.
    pub const fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }
}

//! How a request is read and answered. No AWS client, no table, no bucket.

mod asset;
mod body;
mod caller;
mod conditional;
mod idempotency;
mod paging;
mod parameters;
mod problem;
mod project;
mod respond;
mod upload;
mod view;

pub use asset::Asset;
pub use body::{Patched, body, merge_patch, query};
pub use caller::{Caller, trace};
pub use conditional::{if_match, if_none_match};
pub use idempotency::{attempt, repeated, same_request};
pub use paging::{PageParameters, invalid_parameter, limit, page_answer, paged};
pub use parameters::{IdempotencyKey, IfMatch, IfNoneMatch};
pub use problem::{FieldError, Problem, ProblemDocument};
pub use project::{LimitsPatch, NewIssuer, ProjectView, SettingsPatch};
pub use respond::{accepted, created, json, no_content, not_modified, path_parameter, tagged, unstored};
pub use upload::{CreatedUpload, accepted_types, created_upload, declared, list_of_accepted_types};
pub use view::{ImageRow, ImageView, image_answer};

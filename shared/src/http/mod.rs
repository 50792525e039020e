//! How a request is read and answered. No AWS client, no table, no bucket.

mod asset;
mod body;
mod caller;
mod conditional;
mod idempotency;
mod paging;
mod parameters;
mod problem;
mod respond;
mod upload;
mod view;

pub use asset::Asset;
pub use body::{body, merge_patch, query};
pub use caller::{Caller, trace};
pub use conditional::{if_match, if_none_match};
pub use idempotency::{attempt, same_request};
pub use paging::{invalid_parameter, limit, paged};
pub use parameters::{IdempotencyKey, IfMatch, IfNoneMatch};
pub use problem::{FieldError, Problem, ProblemDocument};
pub use respond::{accepted, created, json, no_content, not_modified, path_parameter};
pub use upload::{CreatedUpload, accepted_types, created_upload, declared};
pub use view::{ImageRow, ImageView, image_answer};

//! What Tintype is about, without AWS: ids, images and their states, keys, presets, events, errors.

pub mod access;
pub mod details;
pub mod error;
pub mod event;
pub mod id;
pub mod idempotency;
pub mod identity;
pub mod image;
pub mod issuer;
pub mod key;
pub mod page;
pub mod parts;
pub mod preset;
pub mod project;
pub mod quota;
pub mod rate;
pub mod secret;
mod signature;
pub mod signed_path;
pub mod summary;
pub mod time;
pub mod trace;
pub mod upload_token;

pub use access::Access;
pub use details::{Name, UserId};
pub use error::Unavailable;
pub use event::{Event, EventKind};
pub use id::{EventId, Ids, ImageId, KeyId, ProjectId, TokenId, UploadId};
pub use image::{Image, Visibility};
pub use key::{ApiKey, KeyToken, Scope};
pub use preset::{PictureName, PresetName, Variant, VariantFormat};
pub use project::Project;
pub use secret::Secret;
pub use time::{Clock, Time};
pub use trace::TraceParent;

//! What Tintype is about, without AWS: ids, images and their states, keys, presets, events, errors.

pub mod error;
pub mod event;
pub mod id;
pub mod image;
pub mod key;
pub mod name;
pub mod page;
pub mod preset;
pub mod project;
pub mod secret;
pub mod signed_path;
pub mod summary;
pub mod time;
pub mod upload_token;
pub mod user;

pub use error::Unavailable;
pub use event::{Event, EventKind};
pub use id::{EventId, Ids, ImageId, KeyId, ProjectId, TokenId, UploadId};
pub use image::{Image, Visibility};
pub use key::{ApiKey, KeyToken, Scope};
pub use name::Name;
pub use preset::{PictureName, PresetName, Variant, VariantFormat};
pub use project::Project;
pub use secret::Secret;
pub use time::{Clock, Time};
pub use user::UserId;

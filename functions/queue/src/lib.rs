//! What the queue functions have in common.

mod announcement;
mod rendering;

pub use announcement::{Announcement, InvalidAnnouncement, announcements};
pub use rendering::{Rendered, render_upload};

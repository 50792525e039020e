//! What of a project somebody gets to see and to change.

use super::image::Image;
use super::{ProjectId, TokenId, TraceParent, UserId};

/// A project, or what one user of the application has in it, or what one upload token reserved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The project.
    pub project: ProjectId,
    /// The user; nobody stands for the application itself, which sees everything.
    pub user: Option<UserId>,
    /// The upload token, if it is one that asks.
    pub token: Option<TokenId>,
    /// The trace that what they do belongs to.
    pub trace: Option<TraceParent>,
}

impl Access {
    /// Whether an image is there for them. Another user's is not found, like another project's; and to whoever
    /// holds an upload token, there are no images but those that it reserved.
    pub fn sees(&self, image: &Image) -> bool {
        self.project == image.project
            && (self.user.is_none() || self.user == image.owner)
            && (self.token.is_none() || self.token == image.upload_token)
    }
}

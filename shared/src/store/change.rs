//! Read, decide, write; and again if somebody else was faster.

use super::{CommitImage, FindImage};
use crate::domain::error::{CommitError, FindImageError};
use crate::domain::image::{Change, Image};
use crate::domain::{EventId, ImageId, ProjectId, Unavailable};

/// How often a change is tried before the caller is told to come back later. Each conflict means that
/// another writer got through, so this many in a row are many writers.
const ATTEMPTS: u32 = 5;

/// Why an image was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError<Refusal: std::fmt::Debug> {
    /// There is no such image.
    #[error("no such image")]
    NotFound,
    /// The rules do not allow it.
    #[error("the change was refused: {0:?}")]
    Refused(Refusal),
    /// Others kept changing it.
    #[error("the image kept changing")]
    Contended,
    /// The table was out of reach.
    #[error("the image could not be changed")]
    Unavailable(#[source] Unavailable),
}

/// Applies a rule to an image as it is now and writes what comes of it, if anything does.
///
/// `decide` sees the newest image and may be asked again. The image that stands afterwards is returned.
pub async fn change_image<Refusal: std::fmt::Debug>(
    images: &(impl FindImage + CommitImage), (project, image): (ProjectId, ImageId), event: EventId,
    mut decide: impl FnMut(&Image) -> Result<Option<Change>, Refusal>,
) -> Result<Image, ChangeError<Refusal>> {
    for _ in 0..ATTEMPTS {
        let before = match images.find_image(project, image).await {
            Ok(image) => image,
            Err(FindImageError::NotFound) => return Err(ChangeError::NotFound),
            Err(FindImageError::Unavailable(e)) => return Err(ChangeError::Unavailable(e)),
        };
        let Some(change) = decide(&before).map_err(ChangeError::Refused)? else { return Ok(before) };
        match images.commit_image(Some(&before), &change, event).await {
            Ok(()) => return Ok(change.image),
            Err(CommitError::Conflict) => {}
            Err(CommitError::Unavailable(e)) => return Err(ChangeError::Unavailable(e)),
        }
    }
    Err(ChangeError::Contended)
}

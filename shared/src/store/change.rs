//! Read, decide, write; and again if somebody else was faster.

use super::{CommitImage, FindImage};
use crate::domain::details::Unfit;
use crate::domain::error::{CommitError, EditImageError, FindImageError};
use crate::domain::idempotency::Record;
use crate::domain::image::{
    BeingPurged, Change, Image, NotEditable, NotInTrash, NotProcessable, NotReplaceable,
};
use crate::domain::{Access, EventId, ImageId, ProjectId, Unavailable};

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
    /// The request has taken effect already.
    #[error("the request was made before")]
    Repeated(Box<Record>),
    /// The project would hold more than it may.
    #[error("the project's quota is used up")]
    QuotaExceeded,
    /// The original that the image refers to is not there, or another one with the same bytes is.
    #[error("the original is not where the image says")]
    OriginalMoved,
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
            Err(CommitError::Repeated(record)) => return Err(ChangeError::Repeated(record)),
            Err(CommitError::QuotaExceeded) => return Err(ChangeError::QuotaExceeded),
            // Tokens are used for reservations alone, which are no changes: there is nothing to tell the caller.
            Err(spent @ CommitError::TokenSpent) => {
                return Err(ChangeError::Unavailable(Unavailable::new("change_image", spent)));
            }
            Err(CommitError::OriginalMoved) => return Err(ChangeError::OriginalMoved),
            Err(CommitError::Unavailable(e)) => return Err(ChangeError::Unavailable(e)),
        }
    }
    Err(ChangeError::Contended)
}

/// A rule that does not allow what a user wants.
#[derive(Debug)]
pub enum EditRefused {
    /// The image is being purged.
    BeingPurged,
    /// It is not to be changed now: what has to be done first.
    Busy(&'static str),
    /// It would be no image afterwards.
    Unfit(Unfit),
}

impl From<NotReplaceable> for EditRefused {
    fn from(refused: NotReplaceable) -> Self {
        match refused {
            NotReplaceable::BeingPurged => Self::BeingPurged,
            NotReplaceable::Trashed => Self::Busy("The image is in the trash. Restore it first."),
            NotReplaceable::Busy => {
                Self::Busy("Other bytes for this image are under way. Wait until they are settled.")
            }
        }
    }
}

impl From<BeingPurged> for EditRefused {
    fn from(_: BeingPurged) -> Self {
        Self::BeingPurged
    }
}

impl From<NotEditable> for EditRefused {
    fn from(refused: NotEditable) -> Self {
        match refused {
            NotEditable::BeingPurged => Self::BeingPurged,
            NotEditable::Unfit(unfit) => Self::Unfit(unfit),
        }
    }
}

impl From<NotInTrash> for EditRefused {
    fn from(_: NotInTrash) -> Self {
        Self::Busy("Only what is in the trash is deleted for good. Put the image there first.")
    }
}

impl From<NotProcessable> for EditRefused {
    fn from(refused: NotProcessable) -> Self {
        match refused {
            NotProcessable::NotReplaceable(refused) => refused.into(),
            NotProcessable::Failed => {
                Self::Busy("The bytes cannot be used, and will not be the next time. Upload others.")
            }
        }
    }
}

impl From<Unfit> for EditRefused {
    fn from(unfit: Unfit) -> Self {
        Self::Unfit(unfit)
    }
}

/// Changes an image as a user wants it: only one that they may see, and only if it is at one of the versions
/// that they know, where they name any.
pub async fn edit_image(
    images: &(impl FindImage + CommitImage), (access, image): (&Access, ImageId), event: EventId,
    expected: Option<&[u64]>, mut decide: impl FnMut(&Image) -> Result<Option<Change>, EditRefused>,
) -> Result<Image, EditImageError> {
    let decide = |image: &Image| {
        if !access.sees(image) {
            return Err(EditImageError::NotFound);
        }
        if expected.is_some_and(|versions| !versions.contains(&image.version)) {
            return Err(EditImageError::Stale { current: image.etag() });
        }
        let change = decide(image).map(|change| change.map(|change| change.traced(access.trace.clone())));
        change.map_err(|refused| match refused {
            EditRefused::BeingPurged => EditImageError::Purging,
            EditRefused::Busy(why) => EditImageError::Busy(why),
            EditRefused::Unfit(unfit) => EditImageError::Unfit(unfit),
        })
    };
    change_image(images, (access.project, image), event, decide).await.map_err(|error| match error {
        ChangeError::NotFound => EditImageError::NotFound,
        ChangeError::Refused(refusal) => refusal,
        ChangeError::Repeated(record) => EditImageError::Repeated(record),
        ChangeError::QuotaExceeded => EditImageError::QuotaExceeded,
        // No user's change refers to another original: it is somebody else's change that came between.
        ChangeError::Contended | ChangeError::OriginalMoved => EditImageError::Contended,
        ChangeError::Unavailable(error) => EditImageError::Unavailable(error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::details::Details;
    use crate::domain::image::{Declared, NewImage};
    use crate::domain::{Time, UploadId, Visibility};

    /// A table that takes no change.
    struct Table(Image, fn() -> CommitError);

    impl FindImage for Table {
        async fn find_image(&self, _: ProjectId, _: ImageId) -> Result<Image, FindImageError> {
            Ok(self.0.clone())
        }
    }

    impl CommitImage for Table {
        async fn commit_image(&self, _: Option<&Image>, _: &Change, _: EventId) -> Result<(), CommitError> {
            Err(self.1())
        }
    }

    #[tokio::test]
    async fn a_token_that_is_used_up_is_not_taken_for_a_quota() {
        let declared = Declared { content_type: "image/jpeg".into(), bytes: 10 };
        let details = Details::default();
        let new = NewImage { declared, visibility: Visibility::Private, owner: None, details };
        let (id, upload, project) =
            (ImageId::new(1.into()), UploadId::new(2.into()), ProjectId::new(3.into()));
        let reserved = Image::reserve(id, upload, project, new, Time::from_secs(0));
        let changed = async |error| {
            let table = Table(reserved.image.clone(), error);
            let decide = |_: &Image| Ok::<_, BeingPurged>(Some(reserved.clone()));
            change_image(&table, (project, id), EventId::new(4.into()), decide).await.unwrap_err()
        };
        assert!(matches!(changed(|| CommitError::QuotaExceeded).await, ChangeError::QuotaExceeded));
        assert!(matches!(changed(|| CommitError::TokenSpent).await, ChangeError::Unavailable(_)));
        assert!(matches!(changed(|| CommitError::Conflict).await, ChangeError::Contended));
    }
}

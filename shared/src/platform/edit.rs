//! Changes that users make of one image: on a condition, and once.

use lambda_http::Request;

use super::recall;
use crate::domain::error::EditImageError;
use crate::domain::idempotency::Attempt;
use crate::domain::image::{Change, Image};
use crate::domain::{Clock, EventId, Ids, ImageId, Scope, Time};
use crate::http::{Caller, Problem, attempt, if_match, path_parameter, same_request};
use crate::store::{CommitImage, EditRefused, FindImage, RecallAttempt, RecordAttempt, edit_image};

/// Who wants to change which image, on which condition.
#[derive(Debug)]
pub struct Edit {
    /// Who.
    pub caller: Caller,
    /// Which.
    pub image: ImageId,
    /// When they want it.
    pub now: Time,
    expected: Option<Vec<u64>>,
    attempt: Option<Attempt>,
    event: EventId,
}

impl Edit {
    /// What a request to `.../{image}...` says of it.
    pub fn from_request(request: &Request, ids: &impl Ids, clock: &impl Clock) -> Result<Self, Problem> {
        let caller = Caller::from_request(request)?.require(Scope::WriteImages)?;
        Ok(Self {
            image: path_parameter(request, "image", "image")?,
            now: clock.now(),
            expected: if_match(request)?,
            attempt: attempt(request, &caller)?,
            event: EventId::new(ids.ulid()),
            caller,
        })
    }
}

/// Makes the change that `decide` allows, and gives the image as it is afterwards. A request that was made before
/// changes nothing: it gets the image as it is now.
pub async fn edit_once(
    images: &(impl FindImage + CommitImage + RecallAttempt + RecordAttempt), edit: &Edit,
    mut decide: impl FnMut(&Image) -> Result<Option<Change>, EditRefused>,
) -> Result<Image, Problem> {
    if recall(images, edit.attempt.as_ref(), edit.now).await?.is_some() {
        return as_it_is(images, edit).await;
    }
    let record = edit.attempt.as_ref().map(|attempt| attempt.done(vec![edit.image.to_string()], edit.now));
    let mut changes = false;
    let decide = |image: &Image| {
        let change = decide(image)?.map(|change| change.once(record.clone()));
        changes = change.is_some();
        Ok(change)
    };
    let (access, expected) = (edit.caller.access(), edit.expected.as_deref());
    let repeated = match edit_image(images, (&access, edit.image), edit.event, expected, decide).await {
        Ok(image) => match &record {
            // What changed nothing must not change anything later either.
            Some(record) if !changes => match images.record_attempt(record, edit.now).await? {
                Some(other) => other,
                None => return Ok(image),
            },
            Some(_) | None => return Ok(image),
        },
        Err(EditImageError::Repeated(record)) => *record,
        // The same request, sent twice at once, may have come first.
        Err(error @ EditImageError::Stale { .. }) => {
            match recall(images, edit.attempt.as_ref(), edit.now).await? {
                Some(record) => record,
                None => return Err(error.into()),
            }
        }
        Err(error) => return Err(error.into()),
    };
    if let Some(attempt) = &edit.attempt {
        same_request(attempt, repeated)?;
    }
    as_it_is(images, edit).await
}

async fn as_it_is(images: &impl FindImage, edit: &Edit) -> Result<Image, Problem> {
    let image = images.find_image(edit.caller.project, edit.image).await?;
    if edit.caller.access().sees(&image) { Ok(image) } else { Err(Problem::not_found("image")) }
}

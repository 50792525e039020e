//! Reserving an image, once for each attempt.

use shared::domain::details::{Details, Tags};
use shared::domain::error::{CommitError, FindImageError};
use shared::domain::idempotency::{Attempt, Record};
use shared::domain::image::{Change, Image, NewImage};
use shared::domain::parts::Multipart;
use shared::domain::{Clock, EventId, Ids, ImageId, UploadId};
use shared::http::{Caller, FieldError, Problem, same_request};
use shared::media::{AbortParts, BeginParts};
use shared::platform::{chain, recall};
use shared::store::{CommitImage, FindImage, FindProject, RecallAttempt};

/// What is to be reserved, or was by the same request before.
#[derive(Debug)]
pub enum Reservation {
    /// Still to be written.
    New(Box<Change>),
    /// There is nothing left to do.
    Made(Box<Image>),
}

/// Finds out whether the request was made before, and what is to be reserved if not.
pub async fn prepare(
    images: &(impl FindImage + RecallAttempt), projects: &impl FindProject, ids: &impl Ids,
    clock: &impl Clock, caller: &Caller, attempt: Option<&Attempt>, new: NewImage,
) -> Result<Reservation, Problem> {
    let (now, new) = (clock.now(), granted(caller, new)?);
    if let Some(record) = recall(images, attempt, now).await? {
        return Ok(Reservation::Made(Box::new(recorded(images, caller, &record).await?)));
    }
    let project = projects.find_project(caller.project, now).await?;
    let project = project.ok_or_else(|| Problem::not_found("project"))?;
    let (image, upload) = (ImageId::made_at(now, ids.ulid()), UploadId::new(ids.ulid()));
    let record = attempt.map(|attempt| attempt.done(vec![image.to_string(), upload.to_string()], now));
    let change = Image::reserve(image, upload, caller.project, new, now).within(project.limits).once(record);
    let change = change.spending(caller.grant().map(|(token, _)| token));
    Ok(Reservation::New(Box::new(change.traced(caller.trace.clone()))))
}

/// What an upload token makes of a new image, if it is good for it.
fn granted(caller: &Caller, new: NewImage) -> Result<NewImage, Problem> {
    let Some((_, grant)) = caller.grant() else { return Ok(new) };
    if !grant.takes(&new.declared.content_type) {
        let taken = grant.content_types.join(", ");
        let detail = format!("With this token, `content_type` must be one of {taken}.");
        return Err(Problem::unsupported_media(detail));
    }
    if let Some(most) = grant.max_bytes.filter(|most| new.declared.bytes > *most) {
        return Err(Problem::too_large(format!("With this token, an upload has at most {most} bytes.")));
    }
    let tags = new.details.tags.changed(&grant.tags, &Tags::default()).map_err(|unfit| {
        Problem::invalid_fields(vec![FieldError { pointer: "/tags".into(), detail: unfit.to_string() }])
    })?;
    let details = Details { tags, ..new.details };
    Ok(NewImage { visibility: grant.visibility, details, ..new })
}

/// Writes a reservation, unless the same request just did.
pub async fn reserve(
    images: &(impl CommitImage + FindImage), ids: &impl Ids, caller: &Caller, attempt: Option<&Attempt>,
    change: Change,
) -> Result<Image, Problem> {
    match images.commit_image(None, &change, EventId::new(ids.ulid())).await {
        Ok(()) => Ok(change.image),
        Err(CommitError::Repeated(record)) => {
            let attempt = attempt.ok_or_else(|| Problem::internal("a record without an attempt"))?;
            recorded(images, caller, &same_request(attempt, *record)?).await
        }
        Err(error) => Err(error.into()),
    }
}

/// Writes a reservation for bytes that are sent in parts.
///
/// S3 is asked first, so that one write says it all. What S3 keeps of a request that got no further is no
/// image's, and goes with the bucket's rule for what is left.
pub async fn reserve_in_parts(
    images: &(impl CommitImage + FindImage), uploads: &(impl BeginParts + AbortParts), ids: &impl Ids,
    caller: &Caller, attempt: Option<&Attempt>, part_bytes: Option<u64>, change: Change,
) -> Result<Image, Problem> {
    let id = uploads.begin_parts(&change.image).await?;
    let multipart = Multipart { upload: change.image.upload, id, part_bytes };
    let begun = Image { multipart: Some(multipart.clone()), ..change.image.clone() };
    let change = Change { image: begun.clone(), ..change };
    let reserved = reserve(images, ids, caller, attempt, change).await;
    if reserved.as_ref().map_or(true, |image| image.id != begun.id)
        && let Err(error) = uploads.abort_parts(&begun, &multipart).await
    {
        tracing::warn!(cause = chain(&error), "a multipart upload is left to the bucket's expiry");
    }
    reserved
}

/// The image that a request reserved.
async fn recorded(images: &impl FindImage, caller: &Caller, record: &Record) -> Result<Image, Problem> {
    let gone = || Problem::gone("What this request reserved is no longer awaited. Reserve anew.");
    let image = record.id(0).ok_or_else(gone)?;
    match images.find_image(caller.project, image).await {
        Ok(image) if record.id(1).is_some_and(|upload| image.takes(upload)) => Ok(image),
        Ok(_) | Err(FindImageError::NotFound) => Err(gone()),
        Err(FindImageError::Unavailable(error)) => Err(error.into()),
    }
}

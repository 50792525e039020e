//! An upload under way: its parts signed, listed and joined, or the whole given up.

use std::collections::BTreeSet;

use lambda_http::Request;
use shared::domain::error::{FindImageError, JoinPartsError};
use shared::domain::image::Image;
use shared::domain::parts::{Arrived, Multipart, Part, PartsError, SentPart};
use shared::domain::{Clock, EventId, Ids, ImageId, UploadId};
use shared::http::{Caller, Problem, attempt, same_request};
use shared::media::{AbortParts, FindUpload, JoinParts, ListParts, PartTarget, SignPart};
use shared::platform::recall;
use shared::store::{ChangeError, CommitImage, FindImage, RecallAttempt, RecordAttempt, change_image};

/// The image that an upload is for, if the caller may see it.
pub async fn find_upload(
    images: &impl FindImage, caller: &Caller, (image, upload): (ImageId, UploadId),
) -> Result<Image, Problem> {
    match images.find_image(caller.project, image).await {
        Ok(image) if caller.access().sees(&image) && image.has_upload(upload) => {
            Ok(if image.upload == upload { image } else { image.with_upload_under_way() })
        }
        Ok(_) | Err(FindImageError::NotFound) => Err(Problem::not_found("upload")),
        Err(FindImageError::Unavailable(error)) => Err(error.into()),
    }
}

/// The image and what is known of its parts, which are still awaited.
async fn find_parts(
    images: &impl FindImage, caller: &Caller, (image, upload): (ImageId, UploadId),
) -> Result<(Image, Multipart), Problem> {
    let image = find_upload(images, caller, (image, upload)).await?;
    let multipart = image.multipart_of(upload).cloned();
    let multipart = multipart.ok_or_else(|| Problem::conflict("This upload is not sent in parts."))?;
    if image.awaits(upload) { Ok((image, multipart)) } else { Err(over()) }
}

fn over() -> Problem {
    Problem::gone("The upload is over: completed, aborted or out of time. Reserve a new one if need be.")
}

/// Where to send these parts, in their order and each once, however often it is named: so there are no more than the
/// upload has parts.
pub async fn sign_parts(
    images: &impl FindImage, uploads: &impl SignPart, clock: &impl Clock, caller: &Caller,
    upload: (ImageId, UploadId), numbers: &[u16],
) -> Result<Vec<PartTarget>, Problem> {
    let (image, multipart) = find_parts(images, caller, upload).await?;
    let last = multipart.parts(image.declared.bytes);
    let numbers: BTreeSet<_> = numbers.iter().copied().collect();
    if !numbers.iter().all(|number| (1..=last).contains(number)) {
        return Err(Problem::invalid_request(format!("The parts of this upload are 1 to {last}.")));
    }
    let mut targets = Vec::with_capacity(numbers.len());
    for number in numbers {
        targets.push(uploads.sign_part(&image, &multipart, number, clock.now()).await?);
    }
    Ok(targets)
}

/// The parts that have arrived.
pub async fn list_parts(
    images: &impl FindImage, uploads: &impl ListParts, caller: &Caller, upload: (ImageId, UploadId),
) -> Result<Vec<Part>, Problem> {
    let (image, multipart) = find_parts(images, caller, upload).await?;
    uploads.list_parts(&image, &multipart).await?.ok_or_else(over)
}

/// Makes an object of the parts, or looks whether the bytes that were sent as a whole are there. Doing it twice
/// is doing it once. Parts that are more than was announced are given up.
pub async fn complete_upload(
    images: &(impl FindImage + CommitImage + RecallAttempt + RecordAttempt),
    uploads: &(impl FindUpload + ListParts + JoinParts + AbortParts), (ids, clock): (&impl Ids, &impl Clock),
    request: &Request, caller: &Caller, (id, upload): (ImageId, UploadId), sent: Option<&[SentPart]>,
) -> Result<Image, Problem> {
    let (now, attempt) = (clock.now(), attempt(request, caller)?);
    let done = recall(images, attempt.as_ref(), now).await?.is_some();
    let image = find_upload(images, caller, (id, upload)).await?;
    if done {
        return Ok(image);
    }
    let image = if image.awaits(upload) {
        complete(images, uploads, (ids, clock), caller, image, upload, sent).await?
    } else {
        arrived(image)?
    };
    if let Some(attempt) = attempt {
        let record = attempt.done(vec![id.to_string(), upload.to_string()], now);
        if let Some(other) = images.record_attempt(&record, now).await? {
            same_request(&attempt, other)?;
        }
    }
    Ok(image)
}

async fn complete(
    images: &(impl FindImage + CommitImage),
    uploads: &(impl FindUpload + ListParts + JoinParts + AbortParts), (ids, clock): (&impl Ids, &impl Clock),
    caller: &Caller, image: Image, upload: UploadId, sent: Option<&[SentPart]>,
) -> Result<Image, Problem> {
    let mut too_large = false;
    let mut refusal = Problem::conflict("The bytes have not arrived. Send them first.");
    if let Some(multipart) = image.multipart_of(upload)
        && let Some(stored) = uploads.list_parts(&image, multipart).await?
    {
        // A refusal stands only if nobody else completed or aborted it just now, or is about to have done so.
        match multipart.joined(image.declared.bytes, sent, stored) {
            Err(unfit) => {
                too_large = matches!(unfit, PartsError::TooLarge { .. });
                refusal = unfit.into();
            }
            Ok(parts) => match uploads.join_parts(&image, multipart, &parts).await {
                Ok(()) => return Ok(image),
                Err(JoinPartsError::Gone) => {}
                Err(error @ JoinPartsError::Refused(_)) => refusal = error.into(),
                Err(error @ JoinPartsError::Unavailable(_)) => return Err(error.into()),
            },
        }
    }
    if uploads.find_upload(&image, upload).await?.is_some() {
        return Ok(image);
    }
    // What is not there any more has been processed, or was aborted. In this order: an upload is deleted only
    // after the image says what became of it.
    let image = find_upload(images, caller, (image.id, upload)).await?;
    if !image.awaits(upload) {
        return arrived(image);
    }
    if too_large {
        give_up(images, uploads, (ids, clock), caller, (image.id, upload), TOO_LARGE).await?;
    }
    Err(refusal)
}

fn arrived(image: Image) -> Result<Image, Problem> {
    if image.has_arrived() { Ok(image) } else { Err(over()) }
}

/// Why an upload is not given up.
#[derive(Debug)]
enum Refused {
    NotFound,
    Arrived(Arrived),
}

/// Gives an upload up. The image fails first, so that nothing that arrives late is taken; then the parts go.
pub async fn abort_upload(
    images: &(impl FindImage + CommitImage), uploads: &impl AbortParts, ids: &impl Ids, clock: &impl Clock,
    caller: &Caller, upload: (ImageId, UploadId),
) -> Result<(), Problem> {
    give_up(images, uploads, (ids, clock), caller, upload, ABORTED).await
}

const ABORTED: &str = "The upload was aborted. Reserve a new one to send the picture.";
const TOO_LARGE: &str = "The parts were more than was announced, so the upload was aborted. Reserve a new one for as \
                         many bytes as the file has.";

async fn give_up(
    images: &(impl FindImage + CommitImage), uploads: &impl AbortParts,
    (ids, clock): (&impl Ids, &impl Clock), caller: &Caller, (image, upload): (ImageId, UploadId), why: &str,
) -> Result<(), Problem> {
    let decide = |image: &Image| {
        if !caller.access().sees(image) || !image.has_upload(upload) {
            return Err(Refused::NotFound);
        }
        let change = image.abandon(upload, why, clock.now()).map_err(Refused::Arrived)?;
        Ok(change.map(|change| change.traced(caller.trace.clone())))
    };
    let event = EventId::new(ids.ulid());
    let image = match change_image(images, (caller.project, image), event, decide).await {
        Ok(image) => image,
        Err(ChangeError::NotFound | ChangeError::Refused(Refused::NotFound)) => {
            return Err(Problem::not_found("upload"));
        }
        Err(ChangeError::Refused(Refused::Arrived(arrived))) => return Err(arrived.into()),
        Err(ChangeError::Unavailable(error)) => return Err(error.into()),
        Err(error @ (ChangeError::Repeated(_) | ChangeError::QuotaExceeded)) => {
            return Err(Problem::internal(error.to_string()));
        }
        Err(ChangeError::Contended | ChangeError::OriginalMoved) => {
            return Err(Problem::conflict("Others are changing the image at this moment. Try again."));
        }
    };
    if let Some(multipart) = image.multipart_of(upload) {
        uploads.abort_parts(&image, multipart).await?;
    }
    Ok(())
}

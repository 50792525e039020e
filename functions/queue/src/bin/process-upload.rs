//! A message from the uploads bucket: an upload arrived. Checks, cleans, renders and records it.
//!
//! The message may come twice, late, and beside itself. So the image is claimed first, with a lease that
//! ends when this function can no longer be running; objects are written under keys that only this upload
//! has; and the image becomes ready, in one transaction with its event, only while the lease is ours.

use std::time::{Duration, Instant};

use aws_lambda_events::sqs::SqsMessage;
use functions_queue::{Announcement, Rendered, announcements, render_upload};
use futures::future::try_join_all;
use imaging::Budget;
use lambda_runtime::Context;
use shared::domain::error::ReadObjectError;
use shared::domain::image::{Change, Failure, Image, Lease, MAXIMUM_BYTES, NotClaimable, State};
use shared::domain::{Clock, EventId, Ids, Time, Unavailable};
use shared::media::{DeleteUpload, EraseObjects, ReadUpload, StoreOriginal, StoreVariant};
use shared::platform::{Environment, MessageError, chain, queue_messages};
use shared::store::{ChangeError, CommitImage, FindImage, change_image};

/// What is left of the function's time for writing down what came of it.
const MARGIN: Duration = Duration::from_secs(5);

/// Who works, until when, and with how much.
struct Worker {
    owner: String,
    deadline: Time,
    memory: u64,
}

/// Somebody else finished, trashed or took over the image in the meantime.
#[derive(Debug)]
struct LeaseLost {
    purging: bool,
}

async fn process_upload(
    images: &(impl FindImage + CommitImage),
    objects: &(impl ReadUpload + StoreOriginal + StoreVariant + DeleteUpload + EraseObjects), ids: &impl Ids,
    clock: &impl Clock, worker: &Worker, arrived: Announcement,
) -> Result<(), MessageError> {
    let image = match claim(images, ids, clock, worker, arrived).await {
        Ok(image) => image,
        // There is nothing left to do. Or nothing to begin with: the reservation is written before the
        // client learns where to send bytes, and was read strongly, so an upload without one is nobody's,
        // and the bucket's expiry sees to it.
        Err(ChangeError::NotFound | ChangeError::Refused(NotClaimable::Settled)) => return Ok(()),
        Err(ChangeError::Refused(NotClaimable::Leased)) => {
            return Err(MessageError::transient("another worker has the image"));
        }
        Err(error) => return Err(MessageError::transient(error)),
    };
    let outcome = work(objects, clock, worker, &image).await.map_err(MessageError::transient)?;
    if let Err(failure) = &outcome {
        tracing::info!(image = %image.id, code = failure.code, "upload cannot be used");
    }
    let decide = |now: &Image| {
        if !now.is_leased_to(&worker.owner) {
            return Err(LeaseLost { purging: now.state == State::Purging });
        }
        Ok(Some(match &outcome {
            Ok(rendered) => now.become_ready(rendered.picture.clone(), clock.now()),
            Err(failure) => now.fail(failure.clone(), clock.now()),
        }))
    };
    let event = EventId::new(ids.ulid());
    match change_image(images, (image.project, image.id), event, decide).await {
        Ok(_) => {}
        // Purged while we worked: what we wrote belongs to nobody.
        Err(ChangeError::NotFound | ChangeError::Refused(LeaseLost { purging: true })) => {
            objects.erase_objects(&image).await.map_err(MessageError::transient)?;
        }
        Err(ChangeError::Refused(LeaseLost { purging: false })) => return Ok(()),
        Err(error) => return Err(MessageError::transient(error)),
    }
    if let Err(error) = objects.delete_upload(&image).await {
        tracing::warn!(image = %image.id, cause = chain(&error), "upload is left to the bucket's expiry");
    }
    Ok(())
}

async fn claim(
    images: &(impl FindImage + CommitImage), ids: &impl Ids, clock: &impl Clock, worker: &Worker,
    arrived: Announcement,
) -> Result<Image, ChangeError<NotClaimable>> {
    let decide = |image: &Image| -> Result<Option<Change>, NotClaimable> {
        let lease = Lease { owner: worker.owner.clone(), until: worker.deadline };
        image.claim(arrived.upload, lease, clock.now()).map(Some)
    };
    change_image(images, (arrived.project, arrived.image), EventId::new(ids.ulid()), decide).await
}

/// Reads, renders and stores. The outer error may pass, the inner one will not.
async fn work(
    objects: &(impl ReadUpload + StoreOriginal + StoreVariant), clock: &impl Clock, worker: &Worker,
    image: &Image,
) -> Result<Result<Rendered, Failure>, Unavailable> {
    let permanent = |code: &str, detail: &str| {
        Ok(Err(Failure { code: code.into(), detail: detail.into(), retryable: false }))
    };
    let upload = match objects.read_upload(image, MAXIMUM_BYTES).await {
        Ok(upload) => upload,
        Err(ReadObjectError::NotFound) => {
            return permanent("upload-missing", "The uploaded bytes are gone. Upload the picture again.");
        }
        Err(ReadObjectError::TooLarge { .. }) => {
            return permanent("too-large", "The upload has more bytes than are accepted.");
        }
        Err(ReadObjectError::Unavailable(error)) => return Err(error),
    };
    let left = worker.deadline.since(clock.now()).saturating_sub(MARGIN);
    let budget = Budget { deadline: Instant::now() + left, memory: worker.memory };
    let rendered = match render_upload(&upload, &image.declared, &budget) {
        Ok(rendered) => rendered,
        Err(failure) => return Ok(Err(failure)),
    };
    drop(upload);
    let picture = &rendered.picture;
    let original =
        objects.store_original(image, &picture.extension, &picture.content_type, rendered.original.clone());
    let variants = rendered.variants.iter().zip(&picture.variants).map(|((name, bytes), variant)| {
        objects.store_variant(image, *name, variant.format.media_type(), bytes.clone())
    });
    futures::future::try_join(original, try_join_all(variants)).await?;
    Ok(Ok(rendered))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let env = Environment::load()?;
    let (images, objects, random, clock) = (env.store()?, env.media(), env.random(), env.clock());
    let memory = env.memory()?;
    let (images, objects, random, clock) = (&images, &objects, &random, &clock);
    queue_messages(move |message: SqsMessage, context: Context| async move {
        let deadline = Time::from_millis(i64::try_from(context.deadline).unwrap_or(i64::MAX));
        let worker = Worker { owner: context.request_id, deadline, memory };
        let body = message.body.unwrap_or_default();
        for arrived in announcements(&body).map_err(MessageError::undecodable)? {
            // Boxed: as one type, the whole of it is deeper than the compiler likes.
            Box::pin(process_upload(images, objects, random, clock, &worker, arrived)).await?;
        }
        Ok(())
    })
    .await
}

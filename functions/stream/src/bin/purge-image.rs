//! An `image.purging` event on the table's stream: deletes the image's objects, its rows, and last itself.
//!
//! What crashes half way is done again from the start, which finds less to do. If nobody ever succeeds, the
//! timer gives the order again.

use aws_lambda_events::dynamodb::EventRecord;
use shared::domain::error::FindImageError;
use shared::domain::image::State;
use shared::domain::{Clock, EventId, Ids, Unavailable};
use shared::media::EraseObjects;
use shared::platform::{Environment, stream_records};
use shared::store::{EraseRows, FindImage, decode_event};

async fn purge_image(
    images: &(impl FindImage + EraseRows), objects: &impl EraseObjects, ids: &impl Ids, clock: &impl Clock,
    record: EventRecord,
) -> Result<(), Unavailable> {
    let event = decode_event(record.change.new_image)?;
    let image = match images.find_image(event.project, event.subject).await {
        Ok(image) if image.state == State::Purging => image,
        // Done already, by this event come twice or by the timer's.
        Ok(_) | Err(FindImageError::NotFound) => return Ok(()),
        Err(FindImageError::Unavailable(error)) => return Err(error),
    };
    objects.erase_objects(&image).await?;
    images.erase_rows(&image, EventId::new(ids.ulid()), clock.now()).await?;
    tracing::info!(image = %image.id, "image purged");
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let env = Environment::load()?;
    let (images, objects, random, clock) = (env.store()?, env.media(), env.random(), env.clock());
    let (images, objects, random, clock) = (&images, &objects, &random, &clock);
    stream_records(move |record| purge_image(images, objects, random, clock, record)).await
}

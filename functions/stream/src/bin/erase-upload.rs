//! An `image.replaced` event on the table's stream: deletes the bytes that were replaced.
//!
//! The origin has not served them since the replacement was written. What crashes half way is done again from
//! the start; if nobody ever succeeds, the timer gives the order again.

use aws_lambda_events::dynamodb::EventRecord;
use shared::domain::error::FindImageError;
use shared::domain::image::{Image, State};
use shared::domain::{Clock, EventId, Ids, Unavailable, UploadId};
use shared::media::{EraseObjects, EraseOriginals};
use shared::platform::{Environment, stream_records};
use shared::store::{ChangeError, CommitImage, FindImage, ReleaseOriginals, change_image, decode_event};

async fn erase_upload(
    images: &(impl FindImage + ReleaseOriginals + CommitImage),
    objects: &(impl EraseObjects + EraseOriginals), ids: &impl Ids, clock: &impl Clock, record: EventRecord,
) -> Result<(), Unavailable> {
    let event = decode_event(record.change.new_image)?;
    let image = match images.find_image(event.project, event.subject).await {
        Ok(image) if image.superseded.is_empty() && image.doomed.is_empty() => return Ok(()),
        // All of its bytes go.
        Ok(Image { state: State::Purging { .. }, .. }) | Err(FindImageError::NotFound) => return Ok(()),
        Ok(image) => image,
        Err(FindImageError::Unavailable(error)) => return Err(error),
    };
    let image = images.release_originals(&image, EventId::new(ids.ulid()), clock.now()).await?;
    let erased: Vec<UploadId> = image.superseded.iter().map(|superseded| superseded.upload).collect();
    for upload in &erased {
        objects.erase_objects(&image, Some(*upload)).await?;
    }
    objects.erase_originals(&image.doomed).await?;
    let decide = |now: &Image| Ok::<_, ()>(Some(now.forget_superseded(&erased, &image.doomed, clock.now())));
    match change_image(images, (image.project, image.id), EventId::new(ids.ulid()), decide).await {
        // Purged in the meantime.
        Ok(_) | Err(ChangeError::NotFound) => Ok(()),
        Err(ChangeError::Unavailable(error)) => Err(error),
        Err(error) => Err(Unavailable::new("erase_upload", error)),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let env = Environment::load()?;
    let (images, objects, random, clock) = (env.store()?, env.media(), env.random(), env.clock());
    let (images, objects, random, clock) = (&images, &objects, &random, &clock);
    // Boxed: the requests of one record are large, all of them together.
    stream_records(move |record| Box::pin(erase_upload(images, objects, random, clock, record))).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lambda_events::dynamodb::Event as StreamEvent;
    use shared::domain::details::Details;
    use shared::domain::error::CommitError;
    use shared::domain::image::{Change, Declared, NewImage, Picture};
    use shared::domain::{ImageId, ProjectId, Time, Visibility};
    use shared::platform::SystemRandom;
    use std::sync::Mutex;

    /// The table and the buckets in one, so that the order of what they are asked shows.
    struct World {
        image: Mutex<Option<Image>>,
        done: Mutex<Vec<String>>,
        bucket_out_of_reach: bool,
    }

    impl World {
        fn note(&self, what: impl Into<String>) {
            self.done.lock().unwrap().push(what.into());
        }
    }

    impl FindImage for World {
        async fn find_image(&self, _: ProjectId, _: ImageId) -> Result<Image, FindImageError> {
            self.image.lock().unwrap().clone().ok_or(FindImageError::NotFound)
        }
    }

    impl ReleaseOriginals for World {
        async fn release_originals(
            &self, image: &Image, _: EventId, now: Time,
        ) -> Result<Image, Unavailable> {
            self.note("references");
            let released = image.give_up_originals(vec!["prj/img/upl_old.jpg".into()], now).image;
            *self.image.lock().unwrap() = Some(released.clone());
            Ok(released)
        }
    }

    impl CommitImage for World {
        async fn commit_image(
            &self, before: Option<&Image>, change: &Change, _: EventId,
        ) -> Result<(), CommitError> {
            assert_eq!(before, self.image.lock().unwrap().as_ref());
            *self.image.lock().unwrap() = Some(change.image.clone());
            self.note("image");
            Ok(())
        }
    }

    impl EraseObjects for World {
        async fn erase_objects(&self, _: &Image, upload: Option<UploadId>) -> Result<(), Unavailable> {
            if self.bucket_out_of_reach {
                return Err(Unavailable::new("erase_objects", "slow down"));
            }
            self.note(format!("objects of {}", upload.expect("only one upload's bytes go")));
            Ok(())
        }
    }

    impl EraseOriginals for World {
        async fn erase_originals(&self, keys: &[String]) -> Result<(), Unavailable> {
            self.note(keys.join(" "));
            Ok(())
        }
    }

    struct At(Time);

    impl Clock for At {
        fn now(&self) -> Time {
            self.0
        }
    }

    fn record() -> EventRecord {
        let event = include_str!("../../../../events/erase-upload.json");
        serde_json::from_str::<StreamEvent>(event).unwrap().records.remove(0)
    }

    /// The image that the event is about, with its second bytes.
    fn replaced() -> Image {
        let event = decode_event(record().change.new_image).unwrap();
        let declared = Declared { content_type: "image/jpeg".into(), bytes: 9 };
        let new = NewImage {
            declared: declared.clone(),
            visibility: Visibility::Private,
            owner: None,
            details: Details::default(),
        };
        let (first, at) = (UploadId::new(2.into()), Time::from_secs(0));
        let image = Image::reserve(event.subject, first, event.project, new, at).image;
        let ready = image.become_ready(Picture::default(), at).image;
        let replacing = ready.replace(event.upload, declared, at).unwrap().image;
        replacing.become_ready(Picture::default(), at).image
    }

    fn world(image: Option<Image>) -> World {
        World { image: Mutex::new(image), done: Mutex::default(), bucket_out_of_reach: false }
    }

    async fn erase(world: &World) -> Result<(), Unavailable> {
        erase_upload(world, world, &SystemRandom, &At(Time::from_secs(5)), record()).await
    }

    #[tokio::test]
    async fn only_what_was_replaced_goes_and_only_once() {
        let world = world(Some(replaced()));
        erase(&world).await.unwrap();
        erase(&world).await.unwrap();
        let objects = format!("objects of {}", UploadId::new(2.into()));
        assert_eq!(
            world.done.into_inner().unwrap(),
            ["references", &objects, "prj/img/upl_old.jpg", "image"]
        );
        let image = world.image.into_inner().unwrap().unwrap();
        assert_eq!((image.state.name(), image.superseded.len(), image.doomed.len()), ("ready", 0, 0));
        assert_eq!(image.due, None, "there is nothing left for the timer");
    }

    #[tokio::test]
    async fn what_could_not_be_deleted_is_remembered() {
        let world = World { bucket_out_of_reach: true, ..world(Some(replaced())) };
        assert!(erase(&world).await.is_err());
        let image = world.image.into_inner().unwrap().unwrap();
        assert_eq!((image.superseded.len(), image.doomed.len()), (1, 1));
        assert!(image.due.is_some(), "the timer gives the order again");
    }

    #[tokio::test]
    async fn an_image_that_is_purged_is_somebody_elses_business() {
        for image in [None, Some(Image { state: State::Purging { picture: None }, ..replaced() })] {
            let world = world(image);
            erase(&world).await.unwrap();
            assert!(world.done.into_inner().unwrap().is_empty());
        }
    }
}

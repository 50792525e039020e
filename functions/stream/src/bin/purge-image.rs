//! An `image.purging` event on the table's stream: deletes the image's objects, its rows, and last itself.
//!
//! What crashes half way is done again from the start, which finds less to do. If nobody ever succeeds, the
//! timer gives the order again.

use aws_lambda_events::dynamodb::EventRecord;
use shared::domain::error::FindImageError;
use shared::domain::image::State;
use shared::domain::{Clock, EventId, Ids, Unavailable};
use shared::media::{AbortParts, EraseObjects, EraseOriginals, ListOriginals};
use shared::platform::{Environment, stream_records};
use shared::store::{EraseRows, FindImage, FindOriginal, ReleaseOriginals, decode_event};

async fn purge_image(
    images: &(impl FindImage + ReleaseOriginals + FindOriginal + EraseRows),
    objects: &(impl AbortParts + EraseObjects + ListOriginals + EraseOriginals), ids: &impl Ids,
    clock: &impl Clock, record: EventRecord,
) -> Result<(), Unavailable> {
    let event = decode_event(record.change.new_image)?;
    let image = match images.find_image(event.project, event.subject).await {
        Ok(image) if matches!(image.state, State::Purging { .. }) => image,
        // Done already, by this event come twice or by the timer's.
        Ok(_) | Err(FindImageError::NotFound) => return Ok(()),
        Err(FindImageError::Unavailable(error)) => return Err(error),
    };
    if let Some(multipart) = &image.multipart {
        objects.abort_parts(&image, multipart).await?;
    }
    let image = images.release_originals(&image, EventId::new(ids.ulid()), clock.now()).await?;
    objects.erase_objects(&image, None).await?;
    let mut doomed = image.doomed.clone();
    // What came with this image may be referred to by others; what nobody refers to was left by a worker
    // that died.
    for stored in objects.list_originals(&image).await? {
        let original = match &stored.sha256 {
            Some(sha256) => images.find_original(image.project, sha256).await?,
            None => None,
        };
        if original.is_none_or(|original| original.key != stored.key) {
            doomed.push(stored.key);
        }
    }
    objects.erase_originals(&doomed).await?;
    if image.worked_on_until.is_some_and(|end| clock.now() < end) {
        // Somebody may still store something for it, and die before they notice. The timer gives the order again.
        return Ok(());
    }
    images.erase_rows(&image, EventId::new(ids.ulid()), clock.now()).await?;
    tracing::info!(image = %image.id, "image purged");
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let env = Environment::load()?;
    let (images, objects, random, clock) = (env.store()?, env.media(), env.random(), env.clock());
    let (images, objects, random, clock) = (&images, &objects, &random, &clock);
    // Boxed: the requests of one record are large, all of them together.
    stream_records(move |record| Box::pin(purge_image(images, objects, random, clock, record))).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lambda_events::dynamodb::Event as StreamEvent;
    use shared::domain::details::Details;
    use shared::domain::image::{Declared, Image, NewImage, Original};
    use shared::domain::parts::Multipart;
    use shared::domain::{ImageId, ProjectId, Time, UploadId, Visibility};
    use shared::media::StoredOriginal;
    use shared::platform::SystemRandom;
    use std::sync::Mutex;

    /// The table and the buckets in one, so that the order of what they are asked shows.
    struct World {
        image: Mutex<Option<Image>>,
        done: Mutex<Vec<&'static str>>,
        bucket_out_of_reach: bool,
    }

    impl FindImage for World {
        async fn find_image(&self, project: ProjectId, id: ImageId) -> Result<Image, FindImageError> {
            let image = self.image.lock().unwrap().clone().ok_or(FindImageError::NotFound)?;
            assert_eq!((image.project, image.id), (project, id));
            Ok(image)
        }
    }

    impl EraseObjects for World {
        async fn erase_objects(&self, _: &Image, upload: Option<UploadId>) -> Result<(), Unavailable> {
            assert_eq!(upload, None, "everything goes");
            if self.bucket_out_of_reach {
                return Err(Unavailable::new("erase_objects", "slow down"));
            }
            self.done.lock().unwrap().push("objects");
            Ok(())
        }
    }

    impl AbortParts for World {
        async fn abort_parts(&self, _: &Image, multipart: &Multipart) -> Result<(), Unavailable> {
            assert_eq!(multipart.id, "s3");
            self.done.lock().unwrap().push("parts");
            Ok(())
        }
    }

    const SHARED: &str = "prj/img/upl_shared.jpg";

    impl ReleaseOriginals for World {
        async fn release_originals(&self, image: &Image, _: EventId, _: Time) -> Result<Image, Unavailable> {
            self.done.lock().unwrap().push("references");
            Ok(Image { doomed: vec!["prj/other/upl_last.jpg".into()], ..image.clone() })
        }
    }

    impl ListOriginals for World {
        async fn list_originals(&self, _: &Image) -> Result<Vec<StoredOriginal>, Unavailable> {
            let stored = |key: &str, sha256: Option<&str>| StoredOriginal {
                key: key.into(),
                sha256: sha256.map(str::to_owned),
            };
            Ok(vec![
                stored(SHARED, Some("shared")),
                stored("prj/img/upl_orphan.jpg", Some("orphan")),
                stored("prj/img/upl_twin.jpg", Some("shared")),
                stored("prj/img/upl_nameless.jpg", None),
            ])
        }
    }

    impl FindOriginal for World {
        async fn find_original(&self, _: ProjectId, sha256: &str) -> Result<Option<Original>, Unavailable> {
            let original = Original { sha256: sha256.into(), key: SHARED.into(), bytes: 1 };
            Ok(Some(original).filter(|original| original.sha256 == "shared"))
        }
    }

    impl EraseOriginals for World {
        async fn erase_originals(&self, keys: &[String]) -> Result<(), Unavailable> {
            let expected = ["other/upl_last", "img/upl_orphan", "img/upl_twin", "img/upl_nameless"];
            assert_eq!(
                keys,
                expected.map(|key| format!("prj/{key}.jpg")),
                "another image refers to the rest"
            );
            self.done.lock().unwrap().push("originals");
            Ok(())
        }
    }

    impl EraseRows for World {
        async fn erase_rows(&self, _: &Image, _: EventId, _: Time) -> Result<(), Unavailable> {
            self.done.lock().unwrap().push("rows");
            *self.image.lock().unwrap() = None;
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
        let event = include_str!("../../../../events/purge-image.json");
        serde_json::from_str::<StreamEvent>(event).unwrap().records.remove(0)
    }

    /// The image that the event is about.
    fn world(state: State) -> World {
        let event = decode_event(record().change.new_image).unwrap();
        let declared = Declared { content_type: "image/jpeg".into(), bytes: 9 };
        let details = Details::default();
        let new = NewImage { declared, visibility: Visibility::Private, owner: None, details };
        let upload = UploadId::new(2.into());
        let image = Image::reserve(event.subject, upload, event.project, new, Time::from_secs(0)).image;
        let image = Mutex::new(Some(Image { state, ..image }));
        World { image, done: Mutex::default(), bucket_out_of_reach: false }
    }

    async fn purge(world: &World, record: EventRecord) -> Result<(), Unavailable> {
        purge_image(world, world, &SystemRandom, &At(Time::from_secs(5)), record).await
    }

    #[tokio::test]
    async fn objects_go_first_and_the_image_last_and_only_once() {
        let world = world(State::Purging { picture: None });
        purge(&world, record()).await.unwrap();
        purge(&world, record()).await.unwrap();
        assert_eq!(world.done.into_inner().unwrap(), ["references", "objects", "originals", "rows"]);
    }

    #[tokio::test]
    async fn parts_that_were_never_joined_go_too() {
        let mut world = world(State::Purging { picture: None });
        let image = world.image.get_mut().unwrap().as_mut().unwrap();
        image.multipart = Some(Multipart { upload: image.upload, id: "s3".into(), part_bytes: None });
        purge(&world, record()).await.unwrap();
        assert_eq!(world.done.into_inner().unwrap(), ["parts", "references", "objects", "originals", "rows"]);
    }

    #[tokio::test]
    async fn an_image_that_somebody_may_still_store_objects_for_is_purged_once_more() {
        let mut world = world(State::Purging { picture: None });
        let working = Some(Time::from_secs(6));
        world.image.get_mut().unwrap().as_mut().unwrap().worked_on_until = working;
        purge(&world, record()).await.unwrap();
        assert_eq!(*world.done.lock().unwrap(), ["references", "objects", "originals"]);
        world.image.get_mut().unwrap().as_mut().unwrap().worked_on_until = Some(Time::from_secs(5));
        purge(&world, record()).await.unwrap();
        assert_eq!(world.done.into_inner().unwrap().last(), Some(&"rows"));
    }

    #[tokio::test]
    async fn an_image_that_nobody_ordered_to_purge_stays() {
        let trashed_at = Time::from_secs(1);
        let trashed = State::Trashed { trashed_at, picture: None, failure: None };
        for state in [State::Pending, trashed] {
            let world = world(state);
            purge(&world, record()).await.unwrap();
            assert!(world.done.into_inner().unwrap().is_empty());
        }
    }

    #[tokio::test]
    async fn an_image_whose_objects_remain_is_not_forgotten() {
        let world = World { bucket_out_of_reach: true, ..world(State::Purging { picture: None }) };
        assert!(purge(&world, record()).await.is_err());
        assert!(world.image.into_inner().unwrap().is_some());
    }

    #[tokio::test]
    async fn a_record_that_is_no_event_is_an_error() {
        let mut record = record();
        record.change.new_image = record.change.old_image.clone();
        assert!(purge(&world(State::Purging { picture: None }), record).await.is_err());
    }
}

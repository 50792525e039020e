//! An event of an image that somebody made public or private: carries its variants over to where they belong.
//!
//! Who may see them goes by the image's row, at once; this is about the folder that a CDN reads by itself. They are
//! copied first and deleted last, and until then found on either side. What fails is tried again, by the stream and
//! then by the timer.

use aws_lambda_events::dynamodb::EventRecord;
use shared::domain::error::FindImageError;
use shared::domain::image::{Image, State};
use shared::domain::{Clock, EventId, Ids, ImageId, ProjectId, Unavailable};
use shared::media::{CopyVariants, EraseVariants, keys};
use shared::platform::{Environment, stream_records};
use shared::store::{ChangeError, CommitImage, FindImage, change_image, decode_event};

/// How often it looks again at what came to lie on the wrong side in the meantime.
const ROUNDS: u32 = 10;

/// The image as it is now. `None` if it is being purged, which finds variants on both sides.
async fn find(
    images: &impl FindImage, project: ProjectId, id: ImageId,
) -> Result<Option<Image>, Unavailable> {
    match images.find_image(project, id).await {
        Ok(Image { state: State::Purging { .. }, .. }) | Err(FindImageError::NotFound) => Ok(None),
        Ok(image) => Ok(Some(image)),
        Err(FindImageError::Unavailable(error)) => Err(error),
    }
}

async fn move_variants(
    images: &(impl FindImage + CommitImage), objects: &(impl CopyVariants + EraseVariants), ids: &impl Ids,
    clock: &impl Clock, record: EventRecord,
) -> Result<(), Unavailable> {
    let event = decode_event(record.change.new_image)?;
    let found = find(images, event.project, event.subject).await?;
    let Some(mut image) = found.filter(|image| image.moving) else { return Ok(()) };
    for _ in 0..ROUNDS {
        let copied = objects.copy_variants(&image).await?;
        let Some(now) = find(images, image.project, image.id).await? else {
            // Some may have been copied to where purging had looked already.
            let beyond = copied.iter().filter_map(|key| keys::on_other_side(key));
            let both: Vec<String> = copied.iter().cloned().chain(beyond).collect();
            return objects.erase_variants(&both).await;
        };
        if !now.moving {
            return Ok(());
        }
        if now.shown_to() != image.shown_to() {
            // It was changed back: what was to be deleted is what belongs there.
            image = now;
            continue;
        }
        if !copied.is_empty() {
            objects.erase_variants(&copied).await?;
            // Some may have come since they were listed.
            continue;
        }
        let decide =
            |now: &Image| Ok::<_, ()>(now.moved(clock.now()).filter(|_| now.shown_to() == image.shown_to()));
        let moved = change_image(images, (image.project, image.id), EventId::new(ids.ulid()), decide).await;
        return match moved {
            // Changed back between the look and the write: that has an event of its own.
            Ok(_) | Err(ChangeError::NotFound) => Ok(()),
            Err(ChangeError::Unavailable(error)) => Err(error),
            Err(error) => Err(Unavailable::new("move_variants", error)),
        };
    }
    Err(Unavailable::new("move_variants", "variants kept coming"))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let env = Environment::load()?;
    let (images, objects, random, clock) = (env.store()?, env.media(), env.random(), env.clock());
    let (images, objects, random, clock) = (&images, &objects, &random, &clock);
    stream_records(move |record| move_variants(images, objects, random, clock, record)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lambda_events::dynamodb::Event as StreamEvent;
    use shared::domain::details::{Details, DetailsPatch};
    use shared::domain::error::CommitError;
    use shared::domain::image::{Change, Declared, Lease, NewImage, Picture, Replacement};
    use shared::domain::{ImageId, ProjectId, Time, UploadId, Visibility};
    use shared::platform::SystemRandom;
    use std::sync::Mutex;

    /// The table and the bucket in one.
    struct World {
        image: Mutex<Option<Image>>,
        public: Mutex<Vec<&'static str>>,
        private: Mutex<Vec<&'static str>>,
        /// What becomes of the image, or of the bucket, while objects are copied for the first time.
        meanwhile: Mutex<Option<fn(&World)>>,
        erased: Mutex<usize>,
        out_of_reach: bool,
    }

    impl World {
        fn side(&self, visibility: Visibility) -> &Mutex<Vec<&'static str>> {
            match visibility {
                Visibility::Public => &self.public,
                Visibility::Private => &self.private,
            }
        }

        fn edit(&self, visibility: Visibility) {
            let mut image = self.image.lock().unwrap();
            let edited = image.as_ref().unwrap().edit(&DetailsPatch::default(), Some(visibility), at(9));
            *image = Some(edited.unwrap().unwrap().image);
        }

        fn image(&self) -> Image {
            self.image.lock().unwrap().clone().unwrap()
        }

        fn sides(&self) -> (Vec<&'static str>, Vec<&'static str>) {
            (self.public.lock().unwrap().clone(), self.private.lock().unwrap().clone())
        }
    }

    impl FindImage for World {
        async fn find_image(&self, project: ProjectId, id: ImageId) -> Result<Image, FindImageError> {
            let image = self.image.lock().unwrap().clone().ok_or(FindImageError::NotFound)?;
            assert_eq!((image.project, image.id), (project, id));
            Ok(image)
        }
    }

    impl CommitImage for World {
        async fn commit_image(
            &self, before: Option<&Image>, change: &Change, _: EventId,
        ) -> Result<(), CommitError> {
            let mut image = self.image.lock().unwrap();
            assert_eq!(before, image.as_ref());
            assert_eq!(change.event, None, "nobody has to be told");
            *image = Some(change.image.clone());
            Ok(())
        }
    }

    impl CopyVariants for World {
        async fn copy_variants(&self, image: &Image) -> Result<Vec<String>, Unavailable> {
            if self.out_of_reach {
                return Err(Unavailable::new("copy_variants", "slow down"));
            }
            let found = self.side(image.shown_to().other()).lock().unwrap().clone();
            self.side(image.shown_to()).lock().unwrap().extend(&found);
            if let Some(meanwhile) = self.meanwhile.lock().unwrap().take() {
                meanwhile(self);
            }
            Ok(found.iter().map(|name| format!("{}{name}", self.prefix(image.shown_to().other()))).collect())
        }
    }

    impl EraseVariants for World {
        async fn erase_variants(&self, keys: &[String]) -> Result<(), Unavailable> {
            *self.erased.lock().unwrap() += 1;
            for side in [Visibility::Public, Visibility::Private] {
                let prefix = self.prefix(side);
                self.side(side).lock().unwrap().retain(|name| !keys.contains(&format!("{prefix}{name}")));
            }
            Ok(())
        }
    }

    impl World {
        fn prefix(&self, side: Visibility) -> String {
            shared::media::keys::variants_of(&self.image(), side)
        }
    }

    struct At(Time);

    impl Clock for At {
        fn now(&self) -> Time {
            self.0
        }
    }

    fn at(secs: i64) -> Time {
        Time::from_secs(secs)
    }

    fn record() -> EventRecord {
        let event = include_str!("../../../../events/move-variants.json");
        serde_json::from_str::<StreamEvent>(event).unwrap().records.remove(0)
    }

    /// The image that the event is about, which was public and is not any more.
    fn world(state: State) -> World {
        let event = decode_event(record().change.new_image).unwrap();
        let declared = Declared { content_type: "image/jpeg".into(), bytes: 9 };
        let new =
            NewImage { declared, visibility: Visibility::Public, owner: None, details: Details::default() };
        let upload = UploadId::new(2.into());
        let image = Image::reserve(event.subject, upload, event.project, new, at(0)).image;
        let image = Image { state, due: None, ..image };
        let image = image.edit(&DetailsPatch::default(), Some(Visibility::Private), at(5)).unwrap().unwrap();
        assert_eq!(event.moving_to, Some(Visibility::Private));
        World {
            image: Mutex::new(Some(image.image)),
            public: Mutex::new(vec!["w160", "w320"]),
            private: Mutex::default(),
            meanwhile: Mutex::default(),
            erased: Mutex::default(),
            out_of_reach: false,
        }
    }

    fn ready() -> State {
        State::Ready { picture: Picture::default() }
    }

    async fn run(world: &World) -> Result<(), Unavailable> {
        move_variants(world, world, &SystemRandom, &At(at(7)), record()).await
    }

    #[tokio::test]
    async fn what_became_private_leaves_the_public_side_and_the_timer_forgets_it() {
        let world = world(ready());
        assert!(world.image().due.is_some());
        run(&world).await.unwrap();
        assert_eq!(world.sides(), (vec![], vec!["w160", "w320"]));
        assert_eq!((world.image().moving, world.image().due), (false, None));
        run(&world).await.unwrap();
        assert_eq!(*world.erased.lock().unwrap(), 1, "the event came twice");
    }

    #[tokio::test]
    async fn an_image_that_is_shown_again_while_it_is_hidden_keeps_its_variants() {
        let world = world(ready());
        *world.meanwhile.lock().unwrap() = Some(|world| world.edit(Visibility::Public));
        run(&world).await.unwrap();
        let (mut public, private) = world.sides();
        public.sort_unstable();
        public.dedup();
        assert_eq!((public, private), (vec!["w160", "w320"], vec![]));
        assert!(!world.image().moving);
    }

    #[tokio::test]
    async fn what_comes_while_others_are_moved_is_moved_too() {
        let world = world(ready());
        *world.meanwhile.lock().unwrap() = Some(|world| world.public.lock().unwrap().push("w640"));
        run(&world).await.unwrap();
        assert_eq!(world.sides(), (vec![], vec!["w160", "w320", "w640"]));
    }

    /// A worker stores variants where it saw that they belong when it took the upload.
    #[tokio::test]
    async fn an_image_that_is_worked_on_is_looked_at_again_when_it_is_done() {
        let lease = Lease { owner: "worker".into(), until: at(90) };
        let processing = world(State::Processing { lease: lease.clone() });
        let replacing = world(ready());
        if let Some(image) = &mut *replacing.image.lock().unwrap() {
            let declared = image.declared.clone();
            let upload = UploadId::new(5.into());
            let (lease, due_at) = (Some(lease), at(99));
            image.replacement = Some(Replacement { upload, declared, again: false, lease, due_at });
        }
        for world in [processing, replacing] {
            run(&world).await.unwrap();
            assert!(world.image().moving);
            world.public.lock().unwrap().push("late");
            let done = world.image().become_ready(Picture::default(), at(8)).image;
            assert!(done.moving && done.due.is_some());
            *world.image.lock().unwrap() = Some(done);
            run(&world).await.unwrap();
            assert_eq!((world.image().moving, world.sides().0), (false, vec![]));
        }
    }

    #[tokio::test]
    async fn an_image_that_is_gone_or_going_is_left_alone() {
        let gone = world(ready());
        *gone.image.lock().unwrap() = None;
        run(&gone).await.unwrap();
        let purged = world(ready());
        *purged.meanwhile.lock().unwrap() = Some(|world| {
            let image = world.image();
            let state = State::Purging { picture: None };
            *world.image.lock().unwrap() = Some(Image { state, ..image });
        });
        run(&purged).await.unwrap();
        assert_eq!(purged.sides(), (vec![], vec![]), "purging may have looked there before they were copied");
        // Its event still says where they had to be moved.
        let going = world(ready());
        let image = going.image();
        *going.image.lock().unwrap() = Some(Image { state: State::Purging { picture: None }, ..image });
        run(&going).await.unwrap();
        assert_eq!(*going.erased.lock().unwrap(), 0);
        assert!(going.private.lock().unwrap().is_empty(), "nothing is copied under the hands of who erases");
    }

    #[tokio::test]
    async fn what_could_not_be_moved_comes_again() {
        let world = World { out_of_reach: true, ..world(ready()) };
        assert!(run(&world).await.is_err());
        assert!(world.image().moving);
    }
}

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
use sha2::{Digest as _, Sha256};
use shared::domain::error::ReadObjectError;
use shared::domain::image::{Change, Failure, Image, Lease, NotClaimable, Original, State};
use shared::domain::key::hex;
use shared::domain::project::Settings;
use shared::domain::{Clock, EventId, Ids, Time, Unavailable};
use shared::media::{
    DeleteUpload, EraseObjects, EraseOriginals, ReadUpload, StoreOriginal, StoreVariant, keys,
};
use shared::platform::{Environment, MessageError, chain, queue_messages};
use shared::store::{ChangeError, CommitImage, FindImage, FindOriginal, FindProject, change_image};

/// What is left of the function's time for writing down what came of it.
const MARGIN: Duration = Duration::from_secs(5);

/// How often the original is looked for again. Each time, another image with the same bytes came or went.
const ORIGINAL_ATTEMPTS: u32 = 3;

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
    images: &(impl FindImage + CommitImage + FindProject + FindOriginal),
    objects: &(impl ReadUpload + StoreOriginal + StoreVariant + DeleteUpload + EraseObjects + EraseOriginals),
    ids: &impl Ids, clock: &impl Clock, worker: &Worker, arrived: Announcement,
) -> Result<(), MessageError> {
    let image = match claim(images, ids, clock, worker, arrived).await {
        Ok(image) => image,
        // The reservation is written before the client learns where to send bytes, and was read strongly:
        // an upload without one is nobody's, and the bucket's expiry sees to it. One whose image is in the trash
        // stays for the image's return.
        Err(ChangeError::NotFound | ChangeError::Refused(NotClaimable::Trashed)) => return Ok(()),
        // The message came twice, or the client sent its bytes again when they were not wanted any more.
        Err(ChangeError::Refused(NotClaimable::Settled)) => {
            clear(objects, arrived).await;
            return Ok(());
        }
        Err(ChangeError::Refused(NotClaimable::Leased)) => {
            return Err(MessageError::transient("another worker has the image"));
        }
        Err(error) => return Err(MessageError::transient(error)),
    };
    let image = image.with_upload_under_way();
    if let Some(trace) = &image.trace {
        tracing::info!(image = %image.id, trace_id = trace.trace_id(), "processing");
    }
    let project = images.find_project(image.project, clock.now()).await.map_err(MessageError::transient)?;
    let settings = project.map(|project| project.settings).unwrap_or_default();
    let mut outcome =
        work(images, objects, clock, worker, settings, &image).await.map_err(MessageError::transient)?;
    if let Err(failure) = &outcome {
        if failure.retryable {
            // A slow machine is not the picture's fault.
            return Err(MessageError::transient(failure.detail.clone()));
        }
        tracing::info!(image = %image.id, code = failure.code, "upload cannot be used");
    }
    let decide = |now: &Image| finish(now, worker, &outcome, clock);
    let mut settled = change_image(images, (image.project, image.id), EventId::new(ids.ulid()), decide).await;
    // Somebody else stored the same bytes first, or gave them up: look again.
    for _ in 0..ORIGINAL_ATTEMPTS {
        if !matches!(settled, Err(ChangeError::OriginalMoved)) {
            break;
        }
        if let Ok(rendered) = &mut outcome {
            let original = keep_original(images, objects, &image, rendered).await;
            rendered.picture.original = Some(original.map_err(MessageError::transient)?);
        }
        let decide = |now: &Image| finish(now, worker, &outcome, clock);
        settled = change_image(images, (image.project, image.id), EventId::new(ids.ulid()), decide).await;
    }
    let own = outcome.as_ref().ok().map(|rendered| own_original(&image, rendered));
    match settled {
        Ok(now) => {
            let used = own.as_ref().is_none_or(|own| now.originals().any(|original| original == own));
            if let Some(own) = own.filter(|_| !used) {
                // The bytes are kept elsewhere. What cannot be deleted now is found when the image is purged.
                if let Err(error) = objects.erase_originals(&[own.key]).await {
                    tracing::warn!(image = %image.id, cause = chain(&error), "a second original is left");
                }
            }
        }
        // Purged while we worked: what we wrote belongs to nobody.
        Err(ChangeError::NotFound | ChangeError::Refused(LeaseLost { purging: true })) => {
            objects.erase_objects(&image, None).await.map_err(MessageError::transient)?;
            let own: Vec<_> = own.into_iter().map(|own| own.key).collect();
            objects.erase_originals(&own).await.map_err(MessageError::transient)?;
        }
        Err(ChangeError::Refused(LeaseLost { purging: false })) => return Ok(()),
        Err(error) => return Err(MessageError::transient(error)),
    }
    clear(objects, arrived).await;
    Ok(())
}

/// What becomes of the image, if it is still ours.
fn finish(
    now: &Image, worker: &Worker, outcome: &Result<Rendered, Failure>, clock: &impl Clock,
) -> Result<Option<Change>, LeaseLost> {
    if !now.is_leased_to(&worker.owner) {
        return Err(LeaseLost { purging: matches!(now.state, State::Purging { .. }) });
    }
    Ok(Some(match outcome {
        Ok(rendered) => now.become_ready(rendered.picture.clone(), clock.now()),
        Err(failure) => now.fail(failure.clone(), clock.now()),
    }))
}

/// The original that this upload brings, if the project does not have the same bytes already.
fn own_original(image: &Image, rendered: &Rendered) -> Original {
    let sha256 = hex(&Sha256::digest(&rendered.original));
    let key = keys::original(image, &rendered.picture.extension);
    Original { sha256, key, bytes: rendered.original.len() as u64 }
}

/// Stores the original, unless the project has the same bytes already.
async fn keep_original(
    images: &impl FindOriginal, objects: &impl StoreOriginal, image: &Image, rendered: &Rendered,
) -> Result<Original, Unavailable> {
    let own = own_original(image, rendered);
    if let Some(original) = images.find_original(image.project, &own.sha256).await? {
        return Ok(original);
    }
    objects.store_original(&own, &rendered.picture.content_type, rendered.original.clone()).await?;
    Ok(own)
}

/// Deletes the uploaded bytes. That they cannot be deleted now is no reason to do the rest again.
async fn clear(objects: &impl DeleteUpload, Announcement { project, image, upload }: Announcement) {
    if let Err(error) = objects.delete_upload(project, image, upload).await {
        tracing::warn!(%image, cause = chain(&error), "upload is left to the bucket's expiry");
    }
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
    images: &impl FindOriginal, objects: &(impl ReadUpload + StoreOriginal + StoreVariant),
    clock: &impl Clock, worker: &Worker, settings: Settings, image: &Image,
) -> Result<Result<Rendered, Failure>, Unavailable> {
    let permanent = |code: &str, detail: &str| {
        Ok(Err(Failure { code: code.into(), detail: detail.into(), retryable: false }))
    };
    // S3 holds a part to what was signed for it, and a client's own parts to nothing.
    let upload = match objects.read_upload(image, image.declared.bytes).await {
        Ok(upload) => upload,
        Err(ReadObjectError::NotFound) => {
            return permanent("upload-missing", "The uploaded bytes are gone. Upload the picture again.");
        }
        Err(ReadObjectError::TooLarge { .. }) => {
            return permanent("too-large", "The upload has more bytes than were announced.");
        }
        Err(ReadObjectError::Unavailable(error)) => return Err(error),
    };
    let left = worker.deadline.since(clock.now()).saturating_sub(MARGIN);
    let budget = Budget { deadline: Instant::now() + left, memory: worker.memory };
    let mut rendered = match render_upload(&upload, &image.declared, settings, &budget) {
        Ok(rendered) => rendered,
        Err(failure) => return Ok(Err(failure)),
    };
    drop(upload);
    let original = keep_original(images, objects, image, &rendered);
    let variants =
        rendered.variants.iter().zip(&rendered.picture.variants).map(|((name, bytes), variant)| {
            objects.store_variant(image, *name, variant.format.media_type(), bytes.clone())
        });
    let (original, _) = futures::future::try_join(original, try_join_all(variants)).await?;
    rendered.picture.original = Some(original);
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

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lambda_events::sqs::SqsEvent;
    use bytes::Bytes;
    use shared::domain::details::Details;
    use shared::domain::error::{CommitError, FindImageError};
    use shared::domain::image::{Declared, DueKind, MAXIMUM_BYTES, NewImage, Picture, Superseded};
    use shared::domain::{ImageId, PictureName, Project, ProjectId, UploadId, Visibility};
    use shared::platform::SystemRandom;
    use std::sync::Mutex;

    const NOW: i64 = 1_795_237_200;

    /// A white GIF of one pixel.
    const GIF: &[u8] = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\x01\0\x01\0\0\x02\x02L\x01\0;";

    /// The table and the buckets in one, so that the order of what they are asked shows.
    struct World {
        image: Mutex<Option<Image>>,
        log: Mutex<Vec<String>>,
        upload: Result<&'static [u8], fn() -> ReadObjectError>,
        /// What becomes of the image while its bytes are read.
        meanwhile: fn(&mut Option<Image>),
        /// The original that the project has.
        known: Mutex<Option<Original>>,
        /// The original that another image stores just before this one's is written.
        rival: Option<Original>,
        /// The operation that cannot be carried out.
        out_of_reach: &'static str,
    }

    impl World {
        fn note(&self, what: &'static str) -> Result<(), Unavailable> {
            self.log.lock().unwrap().push(what.to_owned());
            if self.out_of_reach == what { Err(Unavailable::new(what, "slow down")) } else { Ok(()) }
        }

        fn log(&self) -> Vec<String> {
            self.log.lock().unwrap().clone()
        }

        fn image(&self) -> Image {
            self.image.lock().unwrap().clone().unwrap()
        }
    }

    impl FindImage for World {
        async fn find_image(&self, _: ProjectId, id: ImageId) -> Result<Image, FindImageError> {
            let image = self.image.lock().unwrap().clone();
            image.filter(|image| image.id == id).ok_or(FindImageError::NotFound)
        }
    }

    impl FindProject for World {
        async fn find_project(&self, id: ProjectId, now: Time) -> Result<Option<Project>, Unavailable> {
            self.note("find project")?;
            Ok(Some(Project::new(id, "Harbour".into(), vec![], now)))
        }
    }

    impl CommitImage for World {
        async fn commit_image(
            &self, before: Option<&Image>, change: &Change, _: EventId,
        ) -> Result<(), CommitError> {
            self.note("commit").map_err(CommitError::Unavailable)?;
            let mut image = self.image.lock().unwrap();
            if before != image.as_ref() {
                return Err(CommitError::Conflict);
            }
            let rival = self.rival.clone().filter(|rival| {
                let mut originals = change.image.originals();
                originals.any(|original| original != rival)
            });
            if rival.is_some() {
                *self.known.lock().unwrap() = rival;
                return Err(CommitError::OriginalMoved);
            }
            *image = Some(change.image.clone());
            let event = change.event.map_or_else(|| "no event".to_owned(), |kind| format!("{kind:?}"));
            self.log.lock().unwrap().push(format!("{} with {event}", change.image.state.name()));
            Ok(())
        }
    }

    impl ReadUpload for World {
        async fn read_upload(&self, _: &Image, _: u64) -> Result<Bytes, ReadObjectError> {
            self.note("read").map_err(ReadObjectError::Unavailable)?;
            (self.meanwhile)(&mut self.image.lock().unwrap());
            self.upload.map(Bytes::from_static).map_err(|error| error())
        }
    }

    impl StoreOriginal for World {
        async fn store_original(&self, _: &Original, _: &str, _: Bytes) -> Result<(), Unavailable> {
            self.note("store original")
        }
    }

    impl FindOriginal for World {
        async fn find_original(&self, _: ProjectId, _: &str) -> Result<Option<Original>, Unavailable> {
            let known = self.known.lock().unwrap().clone();
            self.note(if known.is_some() { "find original" } else { "find no original" })?;
            Ok(known)
        }
    }

    impl EraseOriginals for World {
        async fn erase_originals(&self, _: &[String]) -> Result<(), Unavailable> {
            self.note("erase original")
        }
    }

    impl StoreVariant for World {
        async fn store_variant(
            &self, _: &Image, _: PictureName, _: &str, _: Bytes,
        ) -> Result<(), Unavailable> {
            self.note("store variant")
        }
    }

    impl DeleteUpload for World {
        async fn delete_upload(&self, _: ProjectId, _: ImageId, _: UploadId) -> Result<(), Unavailable> {
            self.note("delete upload")
        }
    }

    impl EraseObjects for World {
        async fn erase_objects(&self, _: &Image, _: Option<UploadId>) -> Result<(), Unavailable> {
            self.note("erase objects")
        }
    }

    struct At(Time);

    impl Clock for At {
        fn now(&self) -> Time {
            self.0
        }
    }

    /// What the event announces.
    fn arrived() -> Announcement {
        let event = include_str!("../../../../events/process-upload.json");
        let event: SqsEvent = serde_json::from_str(event).unwrap();
        let [arrived] = announcements(event.records[0].body.as_deref().unwrap()).unwrap()[..] else {
            panic!("the event announces one upload")
        };
        arrived
    }

    fn pending() -> Image {
        let Announcement { project, image, upload } = arrived();
        let declared = Declared { content_type: "image/gif".into(), bytes: GIF.len() as u64 };
        let details = Details::default();
        let new = NewImage { declared, visibility: Visibility::Private, owner: None, details };
        Image::reserve(image, upload, project, new, Time::from_secs(NOW - 60)).image
    }

    fn world(image: Option<Image>) -> World {
        World {
            image: Mutex::new(image),
            log: Mutex::default(),
            known: Mutex::default(),
            rival: None,
            upload: Ok(GIF),
            meanwhile: |_| {},
            out_of_reach: "",
        }
    }

    async fn process(world: &World) -> Result<(), MessageError> {
        let deadline = Time::from_secs(NOW + 60);
        let worker = Worker { owner: "me".into(), deadline, memory: 1769 << 20 };
        process_upload(world, world, &SystemRandom, &At(Time::from_secs(NOW)), &worker, arrived()).await
    }

    fn leased_to_another(image: &Image) -> Image {
        let lease = Lease { owner: "another".into(), until: Time::from_secs(NOW + 30) };
        Image { state: State::Processing { lease }, revision: image.revision + 1, ..image.clone() }
    }

    #[tokio::test]
    async fn an_upload_is_claimed_stored_recorded_and_then_cleared_away() {
        let world = world(Some(pending()));
        process(&world).await.unwrap();
        let log = [
            "commit",
            "processing with no event",
            "find project",
            "read",
            "find no original",
            "store original",
            "store variant",
            "store variant",
            "commit",
            "ready with Ready",
            "delete upload",
        ];
        assert_eq!(world.log(), log);
        let image = world.image();
        let picture = image.picture().unwrap();
        assert_eq!((picture.width, picture.height, picture.content_type.as_str()), (1, 1, "image/gif"));
        assert_eq!(picture.variants.len(), 2);
    }

    #[tokio::test]
    async fn a_message_that_comes_again_is_acknowledged_and_bytes_sent_again_are_deleted() {
        let world = world(Some(pending()));
        process(&world).await.unwrap();
        let (image, mut log) = (world.image(), world.log());
        process(&world).await.unwrap();
        log.push("delete upload".to_owned());
        assert_eq!((world.image(), world.log()), (image, log));
    }

    #[tokio::test]
    async fn an_upload_that_nobody_waits_for_is_acknowledged() {
        let unknown = world(None);
        process(&unknown).await.unwrap();
        assert!(unknown.log().is_empty());
        let replaced = world(Some(Image { upload: UploadId::new(5.into()), ..pending() }));
        process(&replaced).await.unwrap();
        assert_eq!(replaced.log(), ["delete upload"]);
    }

    #[tokio::test]
    async fn an_upload_that_comes_while_its_image_is_in_the_trash_stays_for_its_return() {
        let trashed = pending().trash(Duration::from_secs(9), Time::from_secs(NOW)).unwrap().unwrap().image;
        let waiting = world(Some(trashed.clone()));
        process(&waiting).await.unwrap();
        assert!(waiting.log().is_empty());
        let restored = trashed.restore(Time::from_secs(NOW)).unwrap().unwrap().image;
        let back = world(Some(restored));
        process(&back).await.unwrap();
        assert_eq!(back.image().state.name(), "ready");
    }

    #[tokio::test]
    async fn another_workers_lease_is_waited_for_and_an_expired_one_taken_over() {
        let leased = leased_to_another(&pending());
        let busy = world(Some(leased.clone()));
        assert!(matches!(process(&busy).await, Err(MessageError::Transient(_))));
        assert!(busy.log().is_empty());

        let lease = Lease { owner: "another".into(), until: Time::from_secs(NOW) };
        let expired = world(Some(Image { state: State::Processing { lease }, ..leased }));
        process(&expired).await.unwrap();
        assert_eq!(expired.image().state.name(), "ready");
    }

    #[tokio::test]
    async fn what_fails_for_good_is_recorded_with_its_code_and_acknowledged() {
        let absent = || ReadObjectError::NotFound;
        let too_large = || ReadObjectError::TooLarge { bytes: MAXIMUM_BYTES + 1 };
        for (upload, code) in [
            (Ok(&b"plain text, and not a picture"[..]), "not-an-image"),
            (Ok(b""), "not-an-image"),
            (Ok(&GIF[..20]), "truncated"),
            (Err(absent as fn() -> _), "upload-missing"),
            (Err(too_large), "too-large"),
        ] {
            let world = World { upload, ..world(Some(pending())) };
            process(&world).await.unwrap();
            let State::Failed { failure } = world.image().state else {
                panic!("{code}: {:?}", world.image())
            };
            assert_eq!((failure.code.as_str(), failure.retryable), (code, false));
            let log = [
                "commit",
                "processing with no event",
                "find project",
                "read",
                "commit",
                "failed with Failed",
                "delete upload",
            ];
            assert_eq!(world.log(), log);
        }
    }

    #[tokio::test]
    async fn a_picture_of_another_type_than_announced_fails() {
        let declared = Declared { content_type: "image/png".into(), bytes: 9 };
        let world = world(Some(Image { declared, ..pending() }));
        process(&world).await.unwrap();
        let State::Failed { failure } = world.image().state else { panic!("it is not what was announced") };
        assert_eq!(failure.code, "media-type-mismatch");
    }

    fn elsewhere() -> Original {
        let key = "prj/img_other/upl_other.gif".into();
        Original { sha256: hex(&Sha256::digest(GIF)), key, bytes: GIF.len() as u64 }
    }

    #[tokio::test]
    async fn bytes_that_the_project_has_are_not_stored_again() {
        let world = World { known: Mutex::new(Some(elsewhere())), ..world(Some(pending())) };
        process(&world).await.unwrap();
        assert!(!world.log().contains(&"store original".to_owned()));
        assert_eq!(world.image().originals().collect::<Vec<_>>(), [&elsewhere()]);
    }

    #[tokio::test]
    async fn of_two_images_that_store_the_same_bytes_at_once_one_refers_to_the_others() {
        let world = World { rival: Some(elsewhere()), ..world(Some(pending())) };
        process(&world).await.unwrap();
        let log = world.log();
        let end =
            ["commit", "find original", "commit", "ready with Ready", "erase original", "delete upload"];
        assert_eq!(log[log.len() - end.len()..], end);
        assert_eq!(world.image().originals().collect::<Vec<_>>(), [&elsewhere()]);
    }

    /// The pictures that are served stay until the new ones are there.
    #[tokio::test]
    async fn new_bytes_take_the_place_of_the_old_ones() {
        let Announcement { upload, .. } = arrived();
        let picture = Picture { original: Some(elsewhere()), ..Picture::default() };
        let old = Image { upload: UploadId::new(77.into()), ..pending() };
        let ready = old.become_ready(picture, Time::from_secs(NOW - 50)).image;
        let declared = Declared { content_type: "image/gif".into(), bytes: GIF.len() as u64 };
        let image = ready.replace(upload, declared, Time::from_secs(NOW - 40)).unwrap().image;
        let world = world(Some(image));
        process(&world).await.unwrap();
        assert!(world.log().contains(&"ready with Replaced".to_owned()));
        let image = world.image();
        assert_eq!((image.upload, image.replacement.is_none()), (upload, true));
        let superseded = Superseded { upload: UploadId::new(77.into()), original: Some(elsewhere()) };
        assert_eq!(image.superseded, [superseded]);
        assert_eq!(image.due.unwrap().kind, DueKind::Erase);
    }

    #[tokio::test]
    async fn new_bytes_that_cannot_be_used_leave_the_old_ones() {
        let Announcement { upload, .. } = arrived();
        let old = Image { upload: UploadId::new(77.into()), ..pending() };
        let ready = old.become_ready(Picture::default(), Time::from_secs(NOW - 50)).image;
        let declared = Declared { content_type: "image/png".into(), bytes: GIF.len() as u64 };
        let image = ready.replace(upload, declared, Time::from_secs(NOW - 40)).unwrap().image;
        let world = world(Some(image));
        process(&world).await.unwrap();
        let image = world.image();
        assert_eq!((image.state.name(), image.upload), ("ready", UploadId::new(77.into())));
        assert_eq!(image.replacement_failure.unwrap().code, "media-type-mismatch");
        assert!(image.replacement.is_none() && image.due.is_none());
    }

    #[tokio::test]
    async fn what_fails_for_now_comes_again_and_leaves_the_image_claimed() {
        for out_of_reach in ["read", "store original", "store variant"] {
            let world = World { out_of_reach, ..world(Some(pending())) };
            assert!(matches!(process(&world).await, Err(MessageError::Transient(_))), "{out_of_reach}");
            assert!(world.image().is_leased_to("me"));
            assert!(!world.log().contains(&"delete upload".to_owned()));
        }
        let unclaimed = World { out_of_reach: "commit", ..world(Some(pending())) };
        assert!(matches!(process(&unclaimed).await, Err(MessageError::Transient(_))));
        assert_eq!(unclaimed.log(), ["commit"]);
    }

    #[tokio::test]
    async fn an_upload_that_cannot_be_cleared_away_is_left_to_the_buckets_expiry() {
        let world = World { out_of_reach: "delete upload", ..world(Some(pending())) };
        process(&world).await.unwrap();
        assert_eq!(world.image().state.name(), "ready");
    }

    #[tokio::test]
    async fn who_lost_the_lease_writes_nothing() {
        let meanwhile = |image: &mut Option<Image>| *image = image.as_ref().map(leased_to_another);
        let taken_over = World { meanwhile, ..world(Some(pending())) };
        process(&taken_over).await.unwrap();
        assert!(taken_over.image().is_leased_to("another"));
        assert_eq!(taken_over.log().last().unwrap(), "store variant", "nothing is deleted under the other");

        let meanwhile = |image: &mut Option<Image>| {
            let change = image.as_ref().unwrap().trash(Duration::from_secs(9), Time::from_secs(NOW));
            *image = Some(change.unwrap().unwrap().image);
        };
        let trashed = World { meanwhile, ..world(Some(pending())) };
        process(&trashed).await.unwrap();
        assert_eq!(trashed.image().state.name(), "trashed");
    }

    #[tokio::test]
    async fn nothing_stays_of_an_image_that_was_purged_meanwhile() {
        let purging =
            |image: &mut Option<Image>| image.as_mut().unwrap().state = State::Purging { picture: None };
        for meanwhile in [purging as fn(&mut Option<Image>), |image| *image = None] {
            let world = World { meanwhile, ..world(Some(pending())) };
            process(&world).await.unwrap();
            assert_eq!(world.log()[8..], ["erase objects", "erase original", "delete upload"]);

            let stuck = World { meanwhile, out_of_reach: "erase objects", ..self::world(Some(pending())) };
            assert!(matches!(process(&stuck).await, Err(MessageError::Transient(_))));
        }
    }
}

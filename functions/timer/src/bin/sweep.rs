//! Every five minutes: looks at what fell due. Uploads that never arrived and workers that never came back
//! become failed images, and the trash is emptied.
//!
//! Each entry is settled by a transaction of its own, so a crash leaves the rest to the next run.

use std::time::Duration;

use serde::Serialize;
use shared::domain::error::FindImageError;
use shared::domain::image::{DueKind, Image, Overdue};
use shared::domain::{Clock, EventId, Ids, Unavailable};
use shared::media::AbortParts;
use shared::platform::{Environment, answer};
use shared::store::{
    AdvanceWatermark, ChangeError, CommitImage, DueEntry, FindImage, FindOverdue, ForgetDue, change_image,
};

/// How many entries one run works off. What is left stays due.
const BATCH: usize = 500;

const DAY: Duration = Duration::from_hours(24);

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Swept {
    settled: usize,
    left_over: usize,
    failed: usize,
}

enum Outcome {
    Settled,
    LeftOver,
}

/// Gives up the parts of an upload whose time is up. First, so that a crash in between leaves an image that is
/// still due.
async fn abort(
    table: &impl FindImage, uploads: &impl AbortParts, clock: &impl Clock, entry: &DueEntry,
) -> Result<(), Unavailable> {
    if entry.due.kind != DueKind::Upload {
        return Ok(());
    }
    let image = match table.find_image(entry.project, entry.image).await {
        Ok(image) => image,
        Err(FindImageError::NotFound) => return Ok(()),
        Err(FindImageError::Unavailable(error)) => return Err(error),
    };
    match &image.multipart {
        Some(multipart) if matches!(image.overdue(clock.now()), Overdue::Change(_)) => {
            uploads.abort_parts(&image, multipart).await
        }
        Some(_) | None => Ok(()),
    }
}

async fn settle(
    table: &(impl FindImage + CommitImage + ForgetDue), uploads: &impl AbortParts, ids: &impl Ids,
    clock: &impl Clock, entry: &DueEntry,
) -> Result<Outcome, ChangeError<()>> {
    abort(table, uploads, clock, entry).await.map_err(ChangeError::Unavailable)?;
    let mut settled = false;
    let decide = |image: &Image| {
        settled = false;
        Ok::<_, ()>(match image.overdue(clock.now()) {
            Overdue::Change(change) => {
                settled = true;
                Some(*change)
            }
            Overdue::Nothing => None,
        })
    };
    let event = EventId::new(ids.ulid());
    match change_image(table, (entry.project, entry.image), event, decide).await {
        Ok(_) if settled => return Ok(Outcome::Settled),
        Ok(image) if image.due == Some(entry.due) => return Ok(Outcome::LeftOver),
        Ok(_) | Err(ChangeError::NotFound) => {}
        Err(error) => return Err(error),
    }
    table.forget_due(entry).await.map_err(ChangeError::Unavailable)?;
    Ok(Outcome::LeftOver)
}

async fn sweep(
    table: &(impl FindOverdue + FindImage + CommitImage + ForgetDue + AdvanceWatermark),
    uploads: &impl AbortParts, ids: &impl Ids, clock: &impl Clock,
) -> Result<Swept, Unavailable> {
    let now = clock.now();
    let entries = table.find_overdue(now, BATCH).await?;
    let mut swept = Swept::default();
    for entry in &entries {
        match settle(table, uploads, ids, clock, entry).await {
            Ok(Outcome::Settled) => swept.settled += 1,
            Ok(Outcome::LeftOver) => swept.left_over += 1,
            Err(error) => {
                swept.failed += 1;
                let cause = shared::platform::chain(&error);
                tracing::error!(image = %entry.image, cause, "due image could not be settled");
            }
        }
    }
    if swept.failed == 0 && entries.len() < BATCH {
        // A day behind: an entry that is due at once may be written late, on the other side of midnight.
        table.advance_watermark(now.before(DAY)).await?;
    }
    tracing::info!(settled = swept.settled, left_over = swept.left_over, failed = swept.failed, "swept");
    Ok(swept)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let env = Environment::load()?;
    let (table, uploads, random, clock) = (env.store()?, env.media(), env.random(), env.clock());
    let (table, uploads, random, clock) = (&table, &uploads, &random, &clock);
    answer(|_: serde_json::Value| sweep(table, uploads, random, clock)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::domain::details::Details;
    use shared::domain::error::CommitError;
    use shared::domain::image::{Change, Declared, Due, Lease, NewImage, State};
    use shared::domain::parts::Multipart;
    use shared::domain::{EventKind, ImageId, ProjectId, Time, UploadId, Visibility};
    use shared::platform::SystemRandom;
    use std::sync::Mutex;

    const NOW: i64 = 1_795_237_200;

    #[derive(Default)]
    struct Table {
        images: Mutex<Vec<Image>>,
        entries: Vec<DueEntry>,
        written: Mutex<Vec<(State, Option<EventKind>)>>,
        forgotten: Mutex<Vec<DueEntry>>,
        watermark: Mutex<Option<Time>>,
        aborted: Mutex<Vec<ImageId>>,
        bucket_out_of_reach: bool,
        /// An image that cannot be read.
        unreadable: Option<ImageId>,
        /// Another sweep, which does the same just before each write.
        rival: bool,
    }

    impl FindOverdue for Table {
        async fn find_overdue(&self, now: Time, limit: usize) -> Result<Vec<DueEntry>, Unavailable> {
            assert_eq!(now, at(0));
            Ok(self.entries.iter().take(limit).cloned().collect())
        }
    }

    impl FindImage for Table {
        async fn find_image(&self, _: ProjectId, id: ImageId) -> Result<Image, FindImageError> {
            if self.unreadable == Some(id) {
                return Err(FindImageError::Unavailable(Unavailable::new("find_image", "no route to host")));
            }
            let images = self.images.lock().unwrap();
            images.iter().find(|image| image.id == id).cloned().ok_or(FindImageError::NotFound)
        }
    }

    impl CommitImage for Table {
        async fn commit_image(
            &self, before: Option<&Image>, change: &Change, _: EventId,
        ) -> Result<(), CommitError> {
            let mut images = self.images.lock().unwrap();
            let image = images.iter_mut().find(|image| image.id == change.image.id).unwrap();
            assert_eq!(before, Some(&*image));
            *image = change.image.clone();
            if self.rival {
                return Err(CommitError::Conflict);
            }
            self.written.lock().unwrap().push((image.state.clone(), change.event));
            Ok(())
        }
    }

    impl ForgetDue for Table {
        async fn forget_due(&self, entry: &DueEntry) -> Result<(), Unavailable> {
            self.forgotten.lock().unwrap().push(entry.clone());
            Ok(())
        }
    }

    impl AdvanceWatermark for Table {
        async fn advance_watermark(&self, time: Time) -> Result<(), Unavailable> {
            *self.watermark.lock().unwrap() = Some(time);
            Ok(())
        }
    }

    impl AbortParts for Table {
        async fn abort_parts(&self, image: &Image, _: &Multipart) -> Result<(), Unavailable> {
            assert!(self.written.lock().unwrap().is_empty(), "before the image says so");
            self.aborted.lock().unwrap().push(image.id);
            if self.bucket_out_of_reach { Err(Unavailable::new("abort_parts", "slow down")) } else { Ok(()) }
        }
    }

    struct At(Time);

    impl Clock for At {
        fn now(&self) -> Time {
            self.0
        }
    }

    fn at(secs: i64) -> Time {
        Time::from_secs(NOW + secs)
    }

    /// An image that fell due a minute ago, unless its state says that it did not.
    fn image(id: u128, state: State) -> Image {
        let declared = Declared { content_type: "image/jpeg".into(), bytes: 9 };
        let details = Details::default();
        let new = NewImage { declared, visibility: Visibility::Private, owner: None, details };
        let (id, upload, project) =
            (ImageId::new(id.into()), UploadId::new(2.into()), ProjectId::new(3.into()));
        let due = match state {
            State::Trashed { .. } | State::Purging { .. } => Some(Due { at: at(-60), kind: DueKind::Purge }),
            State::Pending | State::Processing { .. } => Some(Due { at: at(-60), kind: DueKind::Upload }),
            State::Ready { .. } | State::Failed { .. } => None,
        };
        Image { state, due, ..Image::reserve(id, upload, project, new, at(-9000)).image }
    }

    fn table(images: Vec<Image>) -> Table {
        let due = Due { at: at(-60), kind: DueKind::Upload };
        let entry = |image: &Image| DueEntry {
            project: image.project,
            image: image.id,
            due: image.due.unwrap_or(due),
        };
        Table { entries: images.iter().map(entry).collect(), images: Mutex::new(images), ..Table::default() }
    }

    async fn run(table: &Table) -> Swept {
        sweep(table, table, &SystemRandom, &At(at(0))).await.unwrap()
    }

    fn trashed() -> State {
        State::Trashed { trashed_at: at(-100), picture: None, failure: None }
    }

    #[tokio::test]
    async fn each_kind_of_overdue_image_is_settled_with_its_event() {
        let lease = Lease { owner: "gone".into(), until: at(-70) };
        for (state, settled, code, event) in [
            (State::Pending, "failed", Some("upload-missing"), EventKind::Failed),
            (State::Processing { lease }, "failed", Some("processing-interrupted"), EventKind::Failed),
            (trashed(), "purging", None, EventKind::Purging),
            (State::Purging { picture: None }, "purging", None, EventKind::Purging),
        ] {
            let table = table(vec![image(1, state)]);
            assert_eq!(run(&table).await, Swept { settled: 1, left_over: 0, failed: 0 });
            let written = table.written.into_inner().unwrap();
            let [(state, Some(told))] = written.as_slice() else { panic!("one change: {written:?}") };
            assert_eq!((state.name(), *told), (settled, event));
            let failure = match state {
                State::Failed { failure } => Some((failure.code.as_str(), failure.retryable)),
                _ => None,
            };
            assert_eq!(failure, code.map(|code| (code, true)));
            assert!(table.forgotten.into_inner().unwrap().is_empty(), "the transaction moves the entry");
        }
    }

    fn in_parts(id: u128, state: State) -> Image {
        let image = image(id, state);
        let multipart = Multipart { upload: image.upload, id: "s3".into(), part_bytes: None };
        Image { multipart: Some(multipart), ..image }
    }

    #[tokio::test]
    async fn the_parts_of_an_upload_that_was_left_are_given_up() {
        let table = table(vec![in_parts(1, State::Pending)]);
        assert_eq!(run(&table).await, Swept { settled: 1, left_over: 0, failed: 0 });
        assert_eq!(table.aborted.into_inner().unwrap(), [ImageId::new(1.into())]);

        let table = Table { bucket_out_of_reach: true, ..self::table(vec![in_parts(1, State::Pending)]) };
        assert_eq!(run(&table).await, Swept { settled: 0, left_over: 0, failed: 1 });
        assert!(table.written.into_inner().unwrap().is_empty(), "it is still due");
    }

    #[tokio::test]
    async fn the_parts_of_an_upload_that_is_awaited_stay() {
        let mut image = in_parts(1, State::Pending);
        image.due = Some(Due { at: at(60), kind: DueKind::Upload });
        let table = table(vec![image]);
        run(&table).await;
        assert!(table.aborted.into_inner().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_finished_run_moves_the_watermark_a_day_behind() {
        let table = table(vec![]);
        assert_eq!(run(&table).await, Swept::default());
        assert_eq!(table.watermark.into_inner().unwrap(), Some(at(-86_400)));
    }

    #[tokio::test]
    async fn what_moved_on_or_is_gone_only_leaves_an_entry_to_forget() {
        let failure = shared::domain::image::Failure {
            code: "too-large".into(),
            detail: String::new(),
            retryable: false,
        };
        let mut table = table(vec![image(1, State::Failed { failure }), image(2, State::Pending)]);
        table.images.lock().unwrap().retain(|image| image.id == ImageId::new(1.into()));
        table
            .entries
            .push(DueEntry { due: Due { at: at(-999), kind: DueKind::Upload }, ..table.entries[0].clone() });
        assert_eq!(run(&table).await, Swept { settled: 0, left_over: 3, failed: 0 });
        assert_eq!(table.forgotten.into_inner().unwrap(), table.entries);
        assert!(table.written.into_inner().unwrap().is_empty());
    }

    #[tokio::test]
    async fn one_failure_stops_nobody_else_and_holds_the_watermark_back() {
        let images = vec![image(1, State::Pending), image(2, trashed()), image(3, State::Pending)];
        let table = Table { unreadable: Some(ImageId::new(1.into())), ..table(images) };
        assert_eq!(run(&table).await, Swept { settled: 2, left_over: 0, failed: 1 });
        assert_eq!(table.watermark.into_inner().unwrap(), None);
    }

    #[tokio::test]
    async fn a_full_batch_holds_the_watermark_back() {
        let table = table((0..=BATCH as u128).map(|id| image(id, State::Pending)).collect());
        assert_eq!(run(&table).await, Swept { settled: BATCH, left_over: 0, failed: 0 });
        assert_eq!(table.watermark.into_inner().unwrap(), None);
    }

    #[tokio::test]
    async fn a_race_lost_to_another_sweep_is_nobodys_failure() {
        let images = vec![image(1, State::Pending), image(2, trashed())];
        let table = Table { rival: true, ..table(images) };
        assert_eq!(run(&table).await, Swept { settled: 0, left_over: 2, failed: 0 });
        assert_eq!(table.watermark.into_inner().unwrap(), Some(at(-86_400)));
    }
}

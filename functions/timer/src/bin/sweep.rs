//! Every five minutes: looks at what fell due. Uploads that never arrived and workers that never came back
//! become failed images, and the trash is emptied.
//!
//! Each entry is settled by a transaction of its own, so a crash leaves the rest to the next run.

use std::time::Duration;

use serde::Serialize;
use shared::domain::image::{Image, Overdue};
use shared::domain::{Clock, EventId, Ids, Unavailable};
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

async fn settle(
    table: &(impl FindImage + CommitImage + ForgetDue), ids: &impl Ids, clock: &impl Clock, entry: &DueEntry,
) -> Result<Outcome, ChangeError<()>> {
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
    table: &(impl FindOverdue + FindImage + CommitImage + ForgetDue + AdvanceWatermark), ids: &impl Ids,
    clock: &impl Clock,
) -> Result<Swept, Unavailable> {
    let now = clock.now();
    let entries = table.find_overdue(now, BATCH).await?;
    let mut swept = Swept::default();
    for entry in &entries {
        match settle(table, ids, clock, entry).await {
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
    let (table, random, clock) = (env.store()?, env.random(), env.clock());
    let (table, random, clock) = (&table, &random, &clock);
    answer(|_: serde_json::Value| sweep(table, random, clock)).await
}

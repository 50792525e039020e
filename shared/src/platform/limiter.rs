//! Who asks too often has to wait (draft-ietf-httpapi-ratelimit-headers).
//!
//! *Writes* are counted one by one, in the table. *Reads* must not cost a write each, so every environment of a
//! function admits a few of each caller from memory; only whoever is busy there is counted in the table, a
//! batch of requests at a time. So a caller of a thousand reads a second may get, over the rate, twenty at once
//! and two a second more from each environment that they keep busy, and no more.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::Duration;

use ::http::{HeaderMap, HeaderValue, Method};

use crate::domain::rate::{Micros, Rate, TooSoon, micros};
use crate::domain::{Time, Unavailable};
use crate::store::{Counted, TakeCells, Taken};

const fn number(number: u32) -> NonZeroU32 {
    match NonZeroU32::new(number) {
        Some(number) => number,
        None => NonZeroU32::MIN,
    }
}

/// What an environment admits of each reader without asking.
const FREE: Rate = Rate::new(number(2), number(20));
/// How many reads are taken off at a time.
const BATCH: u32 = 20;
/// For how long they can be used. They are paid for; but kept for later they would add up to a burst.
const BATCH_LASTS: Duration = Duration::from_secs(2);
/// How many callers an environment remembers.
const REMEMBERED: usize = 256;

/// The rates that callers are held to.
#[derive(Debug, Clone, Copy)]
pub struct Rates {
    /// Of GET and HEAD.
    pub reads: Rate,
    /// Of everything else.
    pub writes: Rate,
}

/// Holds callers to a rate.
#[derive(Debug)]
pub struct Limiter<C> {
    cells: C,
    rates: Rates,
    /// Whether every request counts as a write.
    writes: bool,
    known: Mutex<HashMap<Counted, Memory>>,
}

/// What an environment knows of a caller.
#[derive(Debug, Clone, Copy, Default)]
struct Memory {
    /// Until when they have spent what is counted in the table, at least.
    spent: Micros,
    /// Until when they have spent what is free here.
    free: Micros,
    /// How many requests are paid for.
    paid: u32,
    /// Until when those can be used.
    paid_until: Micros,
}

/// What a caller may still ask, for the headers of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    class: &'static str,
    rate: Rate,
    left: u32,
    full_after: Duration,
    /// If the request has to wait: how long.
    pub wait: Option<Duration>,
}

impl<C> Limiter<C> {
    /// Counts with these cells.
    pub fn new(cells: C, rates: Rates) -> Self {
        Self { cells, rates, writes: false, known: Mutex::default() }
    }

    /// Where every request writes, those with GET too.
    #[must_use]
    pub fn of_writes(self) -> Self {
        Self { writes: true, ..self }
    }

    fn memory(&self, counted: &Counted) -> Memory {
        let known = self.known.lock().expect("nothing panics while holding this lock");
        known.get(counted).copied().unwrap_or_default()
    }

    fn remember(&self, counted: &Counted, memory: Memory) {
        let mut known = self.known.lock().expect("nothing panics while holding this lock");
        if known.len() >= REMEMBERED && !known.contains_key(counted) {
            let idle = known.iter().min_by_key(|(_, memory)| memory.spent.max(memory.free));
            idle.map(|(counted, _)| counted.clone()).and_then(|idle| known.remove(&idle));
        }
        known.insert(counted.clone(), memory);
    }
}

impl<C: TakeCells + Sync> Limiter<C> {
    /// Whether a caller may make this request now.
    pub async fn admit(
        &self, project: crate::domain::ProjectId, caller: &str, method: &Method, now: Time,
    ) -> Result<Standing, Unavailable> {
        let reads = !self.writes && matches!(*method, Method::GET | Method::HEAD);
        let (class, rate) = if reads { ("read", self.rates.reads) } else { ("write", self.rates.writes) };
        let counted = Counted { project, caller: caller.to_owned(), class };
        let mut memory = self.memory(&counted);
        let admitted = if reads {
            self.admit_read(&counted, rate, &mut memory, now).await?
        } else {
            self.ask(&counted, rate, 1, &mut memory, now).await?
        };
        self.remember(&counted, memory);
        let now = micros(now);
        let wait =
            || rate.take(memory.spent, now, 1).err().map_or(Duration::from_secs(1), |TooSoon { wait }| wait);
        Ok(Standing {
            class,
            rate,
            left: rate.left(memory.spent, now),
            full_after: rate.full_after(memory.spent, now),
            wait: (!admitted).then(wait),
        })
    }

    async fn admit_read(
        &self, counted: &Counted, rate: Rate, memory: &mut Memory, now: Time,
    ) -> Result<bool, Unavailable> {
        let moment = micros(now);
        if let Ok(free) = FREE.take(memory.free, moment, 1) {
            memory.free = free;
            return Ok(true);
        }
        if memory.paid > 0 && moment < memory.paid_until {
            memory.paid -= 1;
            return Ok(true);
        }
        // As many as there are, if there are not enough.
        for _ in 0..2 {
            let batch = BATCH.min(rate.burst()).min(rate.left(memory.spent, moment));
            if batch == 0 {
                return Ok(false);
            }
            if self.ask(counted, rate, batch, memory, now).await? {
                memory.paid = batch - 1;
                memory.paid_until = micros(now.after(BATCH_LASTS));
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn ask(
        &self, counted: &Counted, rate: Rate, cells: u32, memory: &mut Memory, now: Time,
    ) -> Result<bool, Unavailable> {
        let taken = self.cells.take_cells(counted, rate, cells, memory.spent, now).await?;
        let (had, spent) = match taken {
            Taken::Had(spent) => (true, spent),
            Taken::Refused(spent) => (false, spent),
        };
        memory.spent = spent;
        Ok(had)
    }
}

impl Standing {
    /// Writes the headers.
    pub fn write(&self, headers: &mut HeaderMap) {
        let Self { class, rate, left, full_after, .. } = self;
        let policy = format!("\"{class}\";q={};w={}", rate.burst(), seconds(rate.window()).max(1));
        let standing = format!("\"{class}\";r={left};t={}", seconds(*full_after));
        for (name, value) in [("ratelimit-policy", policy), ("ratelimit", standing)] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
    }
}

/// Whole seconds, rounded up.
pub fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ProjectId;
    use proptest::prelude::*;
    use std::sync::Arc;

    /// The table, for one caller.
    #[derive(Debug, Clone, Default)]
    struct Cells {
        spent: Arc<Mutex<Micros>>,
        asked: Arc<Mutex<usize>>,
        out_of_reach: bool,
    }

    impl TakeCells for Cells {
        async fn take_cells(
            &self, _: &Counted, rate: Rate, cells: u32, _: Micros, now: Time,
        ) -> Result<Taken, Unavailable> {
            if self.out_of_reach {
                return Err(Unavailable::new("take_cells", "throttled"));
            }
            *self.asked.lock().unwrap() += 1;
            let mut spent = self.spent.lock().unwrap();
            match rate.take(*spent, micros(now), cells) {
                Ok(after) => {
                    *spent = after;
                    Ok(Taken::Had(after))
                }
                Err(_) => Ok(Taken::Refused(*spent)),
            }
        }
    }

    fn rates(per_second: u32, burst: u32) -> Rates {
        let rate = Rate::new(NonZeroU32::new(per_second).unwrap(), NonZeroU32::new(burst).unwrap());
        Rates { reads: rate, writes: rate }
    }

    async fn ask(limiter: &Limiter<Cells>, method: Method, at: i64) -> Standing {
        let project = ProjectId::new(1.into());
        limiter.admit(project, "key:a", &method, Time::from_millis(1_000_000 + at)).await.unwrap()
    }

    #[tokio::test]
    async fn writes_are_counted_one_by_one() {
        let limiter = Limiter::new(Cells::default(), rates(10, 3));
        for left in [2, 1, 0] {
            let standing = ask(&limiter, Method::POST, 0).await;
            assert_eq!((standing.left, standing.wait), (left, None));
        }
        let refused = ask(&limiter, Method::DELETE, 0).await;
        assert_eq!(refused.wait, Some(Duration::from_millis(100)));
        assert_eq!(ask(&limiter, Method::PATCH, 100).await.wait, None);
        let mut headers = HeaderMap::new();
        refused.write(&mut headers);
        assert_eq!(headers["ratelimit-policy"], "\"write\";q=3;w=1");
        assert_eq!(headers["ratelimit"], "\"write\";r=0;t=1");
    }

    #[tokio::test]
    async fn where_a_get_writes_it_is_counted_as_a_write() {
        let limiter = Limiter::new(Cells::default(), rates(10, 1)).of_writes();
        assert_eq!(ask(&limiter, Method::GET, 0).await.wait, None);
        assert_eq!(ask(&limiter, Method::GET, 0).await.wait, Some(Duration::from_millis(100)));
    }

    #[tokio::test]
    async fn a_few_reads_cost_no_write_and_many_cost_few() {
        let cells = Cells::default();
        let limiter = Limiter::new(cells.clone(), rates(100, 200));
        for _ in 0..20 {
            assert_eq!(ask(&limiter, Method::GET, 0).await.wait, None);
        }
        assert_eq!(*cells.asked.lock().unwrap(), 0);
        for _ in 0..100 {
            assert_eq!(ask(&limiter, Method::HEAD, 0).await.wait, None);
        }
        assert_eq!(*cells.asked.lock().unwrap(), 5);
        // What was paid for and not used in time is gone.
        ask(&limiter, Method::GET, 10_000).await;
        assert_eq!(*cells.asked.lock().unwrap(), 5);
    }

    #[tokio::test]
    async fn the_last_reads_are_had_and_then_no_more() {
        let limiter = Limiter::new(Cells::default(), rates(10, 25));
        let mut had = 0;
        while ask(&limiter, Method::GET, 0).await.wait.is_none() {
            had += 1;
        }
        assert_eq!(had, 20 + 25);
    }

    #[tokio::test]
    async fn who_cannot_be_counted_is_not_admitted() {
        let limiter = Limiter::new(Cells { out_of_reach: true, ..Cells::default() }, rates(10, 3));
        let (project, now) = (ProjectId::new(1.into()), Time::from_secs(1000));
        assert!(limiter.admit(project, "key:a", &Method::POST, now).await.is_err());
        for _ in 0..20 {
            assert!(limiter.admit(project, "key:a", &Method::GET, now).await.is_ok());
        }
        assert!(limiter.admit(project, "key:a", &Method::GET, now).await.is_err());
    }

    #[tokio::test]
    async fn memory_is_bounded() {
        let limiter = Limiter::new(Cells::default(), rates(10, 3));
        for caller in 0..1000 {
            let (project, name) = (ProjectId::new(1.into()), format!("key:{caller}"));
            limiter.admit(project, &name, &Method::GET, Time::from_secs(1000)).await.unwrap();
        }
        assert_eq!(limiter.known.lock().unwrap().len(), REMEMBERED);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// The bound that the top of this file promises.
        #[test]
        fn reads_exceed_the_rate_by_what_is_free_and_no_more(
            per_second in 1_u32..300, burst in 1_u32..300, environments in 1_usize..5,
            steps in prop::collection::vec((0_i64..60, 0_usize..5), 1..600),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let cells = Cells::default();
            let all: Vec<_> =
                (0..environments).map(|_| Limiter::new(cells.clone(), rates(per_second, burst))).collect();
            let (mut at, mut had) = (0, 0_i64);
            for (pause, which) in steps {
                at += pause;
                let standing = runtime.block_on(ask(&all[which % environments], Method::GET, at));
                had += i64::from(standing.wait.is_none());
            }
            let free = i64::try_from(environments).unwrap() * (20 + 2 * at / 1000 + 1);
            prop_assert!(had <= i64::from(burst) + i64::from(per_second) * at / 1000 + 1 + free);
        }
    }
}

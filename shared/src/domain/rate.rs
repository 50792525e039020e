//! How often somebody may ask: the generic cell rate algorithm.
//!
//! All that is kept of a caller is one moment, until when what they have had is spent ("theoretical arrival
//! time"). Each request puts it off by one interval, and may not put it further off than the burst allows.

use std::num::NonZeroU32;
use std::time::Duration;

use super::Time;

/// A moment or a span, in microseconds: at a thousand requests a second, a millisecond is too coarse.
pub type Micros = u64;

/// How many requests a second, and how many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    per_second: NonZeroU32,
    burst: NonZeroU32,
}

/// Why and for how long somebody has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooSoon {
    /// Until as many could be had.
    pub wait: Duration,
}

impl Rate {
    /// So many a second, and so many at once.
    pub const fn new(per_second: NonZeroU32, burst: NonZeroU32) -> Self {
        Self { per_second, burst }
    }

    /// How many at once.
    pub const fn burst(self) -> u32 {
        self.burst.get()
    }

    /// What one request costs. Rounded up: never more often than was said.
    pub const fn interval(self) -> Micros {
        1_000_000_u64.div_ceil(self.per_second.get() as u64)
    }

    /// What so many cost.
    pub const fn cost(self, cells: u32) -> Micros {
        self.interval() * cells as u64
    }

    /// How far ahead of now a caller may have spent before asking for so many more.
    pub const fn tolerance(self, cells: u32) -> Micros {
        self.cost(self.burst.get().saturating_sub(cells))
    }

    /// What becomes of `spent` when so many are taken now.
    pub fn take(self, spent: Micros, now: Micros, cells: u32) -> Result<Micros, TooSoon> {
        let after = spent.max(now).saturating_add(self.cost(cells));
        let most = now.saturating_add(self.cost(self.burst.get()));
        if after <= most { Ok(after) } else { Err(TooSoon { wait: Duration::from_micros(after - most) }) }
    }

    /// How many could be taken now.
    pub fn left(self, spent: Micros, now: Micros) -> u32 {
        let most = now.saturating_add(self.cost(self.burst.get()));
        let left = most.saturating_sub(spent.max(now)) / self.interval();
        u32::try_from(left).unwrap_or(u32::MAX)
    }

    /// How long it takes until everything can be had again.
    pub fn full_after(self, spent: Micros, now: Micros) -> Duration {
        Duration::from_micros(spent.saturating_sub(now))
    }

    /// How long the whole burst takes to come back.
    pub const fn window(self) -> Duration {
        Duration::from_micros(self.cost(self.burst.get()))
    }
}

/// A point in time in microseconds.
pub fn micros(time: Time) -> Micros {
    u64::try_from(time.as_millis()).unwrap_or(0).saturating_mul(1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rate(per_second: u32, burst: u32) -> Rate {
        Rate::new(NonZeroU32::new(per_second).unwrap(), NonZeroU32::new(burst).unwrap())
    }

    #[test]
    fn a_burst_is_had_at_once_and_comes_back_one_by_one() {
        let rate = rate(10, 3);
        let (mut spent, now) = (0, 1_000_000);
        for left in [2, 1, 0] {
            spent = rate.take(spent, now, 1).unwrap();
            assert_eq!(rate.left(spent, now), left);
        }
        let refused = rate.take(spent, now, 1).unwrap_err();
        assert_eq!(refused.wait, Duration::from_millis(100));
        assert_eq!(rate.full_after(spent, now), rate.window());
        assert!(rate.take(spent, now + 99_999, 1).is_err());
        assert!(rate.take(spent, now + 100_000, 1).is_ok());
        assert!(rate.take(0, now, 4).is_err(), "more than there ever are");
    }

    proptest! {
        /// In any span, no more than the burst and what came back meanwhile.
        #[test]
        fn nobody_gets_more_than_was_said(
            per_second in 1_u32..2000, burst in 1_u32..200,
            steps in prop::collection::vec((0_u64..200_000, 1_u32..10), 1..200),
        ) {
            let rate = rate(per_second, burst);
            let (mut spent, mut now, mut had) = (0, 5_000_000, Vec::new());
            for (pause, cells) in steps {
                now += pause;
                if let Ok(after) = rate.take(spent, now, cells) {
                    prop_assert!(after >= spent, "what is spent never comes back by itself");
                    spent = after;
                    had.push((now, cells));
                }
            }
            for (begun, (from, _)) in had.iter().enumerate() {
                let mut sum = 0_u64;
                for (until, cells) in &had[begun..] {
                    sum += u64::from(*cells);
                    let came_back = (until - from) / rate.interval();
                    prop_assert!(sum <= u64::from(burst) + came_back);
                }
            }
        }

        /// What is refused can be had after the wait, and not a microsecond before.
        #[test]
        fn the_wait_is_exact(
            per_second in 1_u32..2000, burst in 1_u32..200, spent in 0_u64..10_000_000, cells in 1_u32..200,
        ) {
            let (rate, now) = (rate(per_second, burst), 5_000_000);
            let spent = spent.min(now + rate.cost(burst));
            let cells = cells.min(burst);
            match rate.take(spent, now, cells) {
                Ok(after) => prop_assert_eq!(rate.left(after, now), rate.left(spent, now) - cells),
                Err(TooSoon { wait }) => {
                    let wait = u64::try_from(wait.as_micros()).unwrap();
                    prop_assert!(wait > 0 && rate.take(spent, now + wait, cells).is_ok());
                    prop_assert!(rate.take(spent, now + wait - 1, cells).is_err());
                    prop_assert!(rate.left(spent, now) < cells);
                }
            }
        }

        /// The two conditions that the table checks are the one rule.
        #[test]
        fn idle_and_busy_together_are_the_rule(
            per_second in 1_u32..2000, burst in 1_u32..200, spent in 0_u64..10_000_000, cells in 1_u32..200,
        ) {
            let (rate, now) = (rate(per_second, burst), 5_000_000);
            let cells = cells.min(burst);
            let idle = (spent <= now).then(|| now + rate.cost(cells));
            let busy =
                (spent > now && spent <= now + rate.tolerance(cells)).then(|| spent + rate.cost(cells));
            prop_assert_eq!(idle.or(busy), rate.take(spent, now, cells).ok());
        }
    }
}

use std::time::Duration;

/// Turns delays into the whole units of a format without gaining or losing time: what rounding takes
/// from one frame, a later one gets.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    unit: Duration,
    shortest: u64,
    longest: u64,
    /// How far the animation is, and how far the units told so far say that it is.
    now: Duration,
    told: u64,
}

impl Clock {
    /// A delay of at most 10 ms becomes 100 ms in browsers, so none is made: frames that follow each
    /// other faster than a format can say play as fast as it can.
    pub(super) fn of_gif() -> Self {
        // Hundredths of a second in 16 bits (GIF 89a, 23.c.vii).
        Self::new(Duration::from_millis(10), 2, u16::MAX.into())
    }

    pub(super) fn of_webp() -> Self {
        // Milliseconds in 24 bits (RFC 9649, 2.7.1.1), of which libwebp does not take the largest.
        Self::new(Duration::from_millis(1), 11, (1 << 24) - 2)
    }

    fn new(unit: Duration, shortest: u64, longest: u64) -> Self {
        Self { unit, shortest, longest, now: Duration::ZERO, told: 0 }
    }

    /// How many units a frame shows that comes next and is to show this long.
    pub(super) fn tell(&mut self, delay: Duration) -> u64 {
        self.now = self.now.saturating_add(delay);
        let unit = self.unit.as_nanos();
        let due = u64::try_from((self.now.as_nanos() + unit / 2) / unit).unwrap_or(u64::MAX);
        let units = due.saturating_sub(self.told).clamp(self.shortest, self.longest);
        self.told = self.told.saturating_add(units);
        units
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(mut clock: Clock, delays: &[u64]) -> Vec<u64> {
        delays.iter().map(|&delay| clock.tell(Duration::from_micros(delay))).collect()
    }

    #[test]
    fn rounding_does_not_add_up() {
        assert_eq!(told(Clock::of_gif(), &[25_000; 4]), [3, 2, 3, 2]);
        let thirds = told(Clock::of_gif(), &[33_333; 300]);
        assert_eq!(thirds.iter().sum::<u64>(), 1_000);
        assert!(thirds.iter().all(|units| matches!(units, 3 | 4)));
        assert_eq!(told(Clock::of_webp(), &[33_333; 300]).iter().sum::<u64>(), 10_000);
    }

    #[test]
    fn what_is_too_fast_for_the_format_is_made_up_for_when_there_is_time() {
        assert_eq!(told(Clock::of_gif(), &[12_000, 12_000, 12_000, 100_000]), [2, 2, 2, 8]);
        assert_eq!(told(Clock::of_webp(), &[10_400; 2]), [11, 11]);
    }

    #[test]
    fn what_is_too_long_for_the_format_is_as_long_as_can_be() {
        assert_eq!(told(Clock::of_gif(), &[16_777_215_000]), [65_535]);
        assert_eq!(told(Clock::of_webp(), &[40_000_000_000]), [16_777_214]);
        let mut clock = Clock::of_gif();
        assert_eq!(clock.tell(Duration::MAX), 65_535);
        assert_eq!(clock.tell(Duration::MAX), 65_535);
    }
}

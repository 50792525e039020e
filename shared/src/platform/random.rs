//! Time and randomness as the machine has them.

use std::time::{SystemTime, UNIX_EPOCH};

use rand::RngCore as _;
use ulid::Ulid;

use crate::domain::secret::Secrets;
use crate::domain::{Clock, Ids, Secret, Time};

/// The machine's clock.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Time {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Time::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// The operating system's randomness, by way of a generator that it seeds.
#[derive(Debug, Clone, Copy)]
pub struct SystemRandom;

impl Ids for SystemRandom {
    fn ulid(&self) -> Ulid {
        let millis = u64::try_from(SystemClock.now().as_millis()).unwrap_or(0);
        let mut bits = [0_u8; 16];
        rand::rng().fill_bytes(&mut bits);
        Ulid::from_parts(millis, u128::from_ne_bytes(bits))
    }
}

impl Secrets for SystemRandom {
    fn secret(&self) -> Secret {
        let mut bits = [0_u8; 32];
        rand::rng().fill_bytes(&mut bits);
        Secret::new(bits)
    }
}

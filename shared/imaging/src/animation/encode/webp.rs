use std::time::Duration;

use crate::Reject;
use crate::animation::Loops;
use crate::animation::clock::Clock;
use crate::encode::quality;
use crate::encode::webp::{LOSSLESS, LOSSY, METHOD};
use crate::encode::{REFUSED, gave_up};
use crate::libwebp_animation::Animation;
use crate::limits::Budget;
use crate::raster::{Pixels, Raster};
use crate::recipe::Encoding;

pub(crate) struct Webp {
    animation: Animation,
    budget: Budget,
    clock: Clock,
    /// In milliseconds, modulo 2^32.
    now: u32,
}

/// libwebp keeps three canvases of 32-bit pixels and the frame itself, and encodes that like a still.
pub(super) fn memory((width, height): (u32, u32)) -> u64 {
    4 * Pixels::Rgba.bytes(width, height) + LOSSY.max(LOSSLESS) * Pixels::Gray.bytes(width, height)
}

impl Webp {
    pub(super) fn new(
        size: (u32, u32), encoding: Encoding, loops: Loops, budget: &Budget,
    ) -> Result<Self, Reject> {
        let plays = match loops {
            Loops::Forever => 0,
            Loops::Times(times) => u16::try_from(times).unwrap_or(u16::MAX),
        };
        let encoding = Encoding { quality: quality::webp(encoding.quality), ..encoding };
        let animation = Animation::new(size, plays, encoding, METHOD, budget.deadline);
        let animation = animation.map_err(|_| REFUSED)?;
        Ok(Self { animation, budget: *budget, clock: Clock::of_webp(), now: 0 })
    }

    pub(super) fn push(&mut self, raster: &Raster, delay: Duration) -> Result<(), Reject> {
        let alpha = raster.pixels == Pixels::Rgba;
        self.animation.add(&raster.data, alpha, self.now).map_err(|_| gave_up(&self.budget))?;
        let delay = u32::try_from(self.clock.tell(delay)).unwrap_or_default();
        self.now = self.now.wrapping_add(delay);
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Vec<u8>, Reject> {
        self.animation.finish(self.now).map_err(|_| REFUSED)
    }
}

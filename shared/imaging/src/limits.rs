use std::time::Instant;

use crate::{Header, Reject};

/// What may be processed at all. Everything is checked against the header, before any allocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the file.
    pub bytes: u64,
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
    /// Width times height, of the picture and of the largest frame in it.
    pub pixels: u64,
    /// Frames of an animation.
    pub frames: u32,
    /// Pixels times frames: the work that an animation is.
    pub frame_pixels: u64,
}

impl Default for Limits {
    /// Takes every phone and camera there is, with room to spare:
    ///
    /// - 100 MiB: a 100-megapixel JPEG at full quality is 60 MB, a photograph as PNG 3 bytes a pixel;
    /// - 30,000 a side: longer than any photograph but stitched ones, and half of what JPEG can say;
    /// - 120 megapixels: medium-format cameras have 100; as RGB it is 360 MB of memory;
    /// - 1,000 frames: 40 seconds at 25 a second;
    /// - 500 megapixels in all frames: those 40 seconds at 800 x 600.
    fn default() -> Self {
        Self {
            bytes: 100 << 20,
            width: 30_000,
            height: 30_000,
            pixels: 120_000_000,
            frames: 1_000,
            frame_pixels: 500_000_000,
        }
    }
}

impl Limits {
    /// Refuses a file of `bytes` bytes with this header if anything about it is over a limit.
    pub fn check(&self, header: &Header, bytes: u64) -> Result<(), Reject> {
        let pixels = (u64::from(header.width) * u64::from(header.height)).max(header.largest_frame);
        for (quantity, found, limit) in [
            ("bytes", bytes, self.bytes),
            ("pixels of width", header.width.into(), self.width.into()),
            ("pixels of height", header.height.into(), self.height.into()),
            ("pixels", pixels, self.pixels),
        ] {
            within(quantity, found, limit)?;
        }
        if header.frames > self.frames {
            return Err(Reject::TooManyFrames { found: header.frames, limit: self.frames });
        }
        // A still picture has its own limit, whatever is said of animations.
        if header.frames > 1 {
            let all = pixels.saturating_mul(header.frames.into());
            within("pixels in all frames", all, self.frame_pixels)?;
        }
        Ok(())
    }
}

fn within(quantity: &'static str, found: u64, limit: u64) -> Result<(), Reject> {
    if found > limit { Err(Reject::TooLarge { quantity, found, limit }) } else { Ok(()) }
}

/// What rendering one file may take. Checked between the steps: one step may run over the deadline,
/// none is begun after it.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// When to give up.
    pub deadline: Instant,
    /// How many bytes of memory the pixels may take, all steps' buffers together: each step is asked with what those
    /// around it leave, and counts what it is given and what it makes.
    pub memory: u64,
}

impl Budget {
    #[cfg(test)]
    pub(crate) fn for_tests() -> Self {
        Self { deadline: Instant::now() + std::time::Duration::from_mins(1), memory: 1 << 20 }
    }

    pub(crate) fn still_time(&self) -> Result<(), Reject> {
        if Instant::now() < self.deadline { Ok(()) } else { Err(Reject::OutOfTime) }
    }

    /// What it leaves to a step while `bytes` are held that are not the step's own.
    pub(crate) fn less(&self, bytes: u64) -> Self {
        Self { memory: self.memory.saturating_sub(bytes), ..*self }
    }

    /// Whether a step that holds `bytes` at its peak may begin.
    pub(crate) fn afford(&self, bytes: u64) -> Result<(), Reject> {
        if bytes <= self.memory { Ok(()) } else { Err(self.refusal(bytes)) }
    }

    /// Empty, with room for `count` values. What is sized by pixels is made here or by [`Self::collect`]: affordable
    /// memory may still not be there, and a failed allocation must not abort the process.
    pub(crate) fn room<T>(&self, count: usize) -> Result<Vec<T>, Reject> {
        let bytes = (count as u64).saturating_mul(size_of::<T>() as u64);
        self.afford(bytes)?;
        let mut room = Vec::new();
        room.try_reserve_exact(count).map_err(|_| self.refusal(bytes))?;
        Ok(room)
    }

    /// These values, of which there are so many at most.
    pub(crate) fn collect<T>(
        &self, count: usize, values: impl IntoIterator<Item = T>,
    ) -> Result<Vec<T>, Reject> {
        let mut all = self.room(count)?;
        all.extend(values);
        Ok(all)
    }

    /// So many times the same.
    pub(crate) fn filled<T: Clone>(&self, value: T, count: usize) -> Result<Vec<T>, Reject> {
        let mut all = self.room(count)?;
        all.resize(count, value);
        Ok(all)
    }

    pub(crate) fn copy<T: Copy>(&self, values: &[T]) -> Result<Vec<T>, Reject> {
        let mut copy = self.room(values.len())?;
        copy.extend_from_slice(values);
        Ok(copy)
    }

    pub(crate) fn refusal(&self, bytes: u64) -> Reject {
        Reject::TooLarge { quantity: "bytes of memory to process", found: bytes, limit: self.memory }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_affordable_and_not_there_is_refused() {
        let rich = Budget { memory: u64::MAX, ..Budget::for_tests() };
        assert_eq!(rich.room::<u64>(usize::MAX / 16).unwrap_err().code(), "too-large");
        assert_eq!(rich.filled(0_u8, usize::MAX).unwrap_err().code(), "too-large");
        let poor = Budget { memory: 10, ..rich };
        assert_eq!(poor.copy(&[0_u32; 3]).unwrap_err().code(), "too-large");
        assert_eq!(poor.less(4).collect(6, 0..6_u8).unwrap(), [0, 1, 2, 3, 4, 5]);
        assert_eq!(poor.less(5).collect(6, 0..6_u8).unwrap_err().code(), "too-large");
    }
}

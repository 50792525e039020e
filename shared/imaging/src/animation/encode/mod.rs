//! From frames to an animated file.

mod changes;
mod colours;
mod gif;
mod webp;

use std::time::Duration;

use super::Loops;
use crate::encode::REFUSED;
use crate::limits::Budget;
use crate::raster::Raster;
use crate::recipe::{Encoding, OutputFormat};
use crate::{Reject, codec};

/// The formats that can move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MovingFormat {
    Gif,
    Webp,
}

impl MovingFormat {
    pub(crate) fn of(format: OutputFormat) -> Result<Self, Reject> {
        match format {
            OutputFormat::Webp => Ok(Self::Webp),
            OutputFormat::Gif => Ok(Self::Gif),
            OutputFormat::Jpeg | OutputFormat::Png | OutputFormat::Avif => Err(REFUSED),
        }
    }

    /// How many bytes an animator of this format holds at its peak, but for the file that it makes.
    pub(crate) fn memory(self, size: (u32, u32)) -> u64 {
        match self {
            Self::Gif => gif::memory(size),
            Self::Webp => webp::memory(size),
        }
    }
}

/// Makes an animated file, a frame at a time.
pub(crate) enum Animator {
    Gif(gif::Gif),
    Webp(webp::Webp),
}

impl Animator {
    /// Of the encoding the format is not looked at. To GIF, quality has no meaning.
    pub(crate) fn new(
        format: MovingFormat, size: (u32, u32), encoding: Encoding, loops: Loops, budget: &Budget,
    ) -> Result<Self, Reject> {
        budget.afford(format.memory(size))?;
        codec::guard(|| match format {
            MovingFormat::Gif => Ok(Self::Gif(gif::Gif::new(size, loops, budget)?)),
            MovingFormat::Webp => Ok(Self::Webp(webp::Webp::new(size, encoding, loops, budget)?)),
        })
    }

    /// Adds what shows next, RGB or RGBA of the animation's size, and for how long it does. Delays are
    /// rounded to what the format can say, without losing time over the whole; frames in which nothing
    /// changes become part of the one before. After an error, the animator is of no more use.
    pub(crate) fn push(&mut self, raster: &Raster, delay: Duration) -> Result<(), Reject> {
        codec::guard(|| match self {
            Self::Gif(gif) => gif.push(raster, delay),
            Self::Webp(webp) => webp.push(raster, delay),
        })
    }

    /// The file. There must have been a frame.
    pub(crate) fn finish(self) -> Result<Vec<u8>, Reject> {
        codec::guard(|| match self {
            Self::Gif(gif) => gif.finish(),
            Self::Webp(webp) => webp.finish(),
        })
    }
}

/// A GIF that does not move.
pub(crate) fn still_gif(raster: &Raster, budget: &Budget) -> Result<Vec<u8>, Reject> {
    let size = (raster.width, raster.height);
    let budget = budget.less(raster.bytes());
    budget.afford(gif::memory(size))?;
    let mut gif = gif::Gif::new(size, Loops::Times(1), &budget)?;
    gif.push(raster, Duration::ZERO)?;
    gif.finish()
}

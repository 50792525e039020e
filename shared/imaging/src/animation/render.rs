use super::{Animator, Frame, MovingFormat, frames, loops};
use crate::limits::Budget;
use crate::raster::{Pixels, Raster};
use crate::recipe::Encoding;
use crate::{Header, Reject};

/// An animated file that is to be made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Film {
    pub(crate) size: (u32, u32),
    pub(crate) encoding: Encoding,
}

/// Takes what one film shows next: which one, and its picture, RGB or RGBA of its size.
pub(crate) type Take<'a> = &'a mut dyn FnMut(usize, &Raster) -> Result<(), Reject>;

/// Makes animated files in one pass over the frames. `show` is given each whole canvas (RGBA, stored
/// orientation, its own colours), makes what every film shows of it, and has each taken once.
///
/// In memory at any time are what decoding a frame takes ([`frames_memory`]), for every film what its encoder
/// keeps, a few frames of the film's size ([`MovingFormat::memory`]), and the file so far; and what `show` works
/// with, which is given what the others leave of the budget. None of it grows with the number of frames but the
/// files.
pub(crate) fn render(
    bytes: &[u8], header: &Header, films: &[Film], budget: &Budget,
    mut show: impl FnMut(Raster, Take, &Budget) -> Result<(), Reject>,
) -> Result<Vec<Vec<u8>>, Reject> {
    let loops = loops(bytes, header)?;
    let mut memory = frames_memory(header);
    let mut animators = Vec::with_capacity(films.len());
    for &Film { size, encoding } in films {
        let format = MovingFormat::of(encoding.format)?;
        memory = memory.saturating_add(format.memory(size));
        budget.afford(memory)?;
        animators.push(Animator::new(format, size, encoding, loops, budget)?);
    }
    let left = budget.less(memory);
    for frame in frames(bytes, header, budget)? {
        let Frame { raster, delay } = frame?;
        budget.still_time()?;
        let mut take = |film: usize, raster: &Raster| {
            animators.get_mut(film).ok_or(crate::encode::REFUSED)?.push(raster, delay)?;
            budget.still_time()
        };
        show(raster, &mut take, &left)?;
    }
    animators.into_iter().map(Animator::finish).collect()
}

/// The canvas, what is behind a frame on it, and a frame while it is decoded. The copy of the canvas is `show`'s.
fn frames_memory(header: &Header) -> u64 {
    let (width, height) = header.stored_size();
    2 * Pixels::Rgba.bytes(width, height) + 4 * header.largest_frame
}

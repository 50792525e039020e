//! Moving pictures: whole frames out of GIF, WebP and APNG, and into WebP and GIF.
//!
//! ```text
//! frames(bytes) -> whole canvases, one at a time, each with how long it shows
//! Animator::new -> push(canvas, delay) ... -> finish -> bytes
//! render        -> several of them from one pass over the frames
//! ```
//!
//! Nothing here holds more than a few canvases, however long the animation is: what is done with one
//! frame is over before the next is decoded.

mod canvas;
mod clock;
mod decode;
mod encode;
mod render;

pub(crate) use encode::still_gif;
use encode::{Animator, MovingFormat};
pub(crate) use render::{Film, Take, render};

use std::time::Duration;

use crate::container::{gif, png, webp};
use crate::limits::Budget;
use crate::raster::Raster;
use crate::{Format, Header, Reject, codec};

/// What shows at one time.
#[derive(Debug)]
pub(crate) struct Frame {
    /// The whole canvas as RGBA, with what earlier frames left on it.
    pub(crate) raster: Raster,
    /// How long it shows, as [`as_browsers_wait`].
    pub(crate) delay: Duration,
}

/// How often an animation plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loops {
    Forever,
    /// Once or more often.
    Times(u32),
}

impl Loops {
    /// As WebP (RFC 9649, 2.7.1.1) and APNG (11.3.4.1) count: 0 is for ever.
    pub(crate) fn from_plays(plays: u32) -> Self {
        if plays == 0 { Self::Forever } else { Self::Times(plays) }
    }
}

/// What is left of a file's own account of its frames once it is known how long they are.
pub(crate) type Frames<'a> = Box<dyn Iterator<Item = Result<Frame, Reject>> + 'a>;

/// Whether frames come out of such a file.
pub(crate) fn moves(header: &Header) -> bool {
    header.frames > 1 && matches!(header.format, Format::Gif | Format::Webp | Format::Png)
}

/// The frames of an animation, of which the header has been checked. After an error there are none.
pub(crate) fn frames<'a>(bytes: &'a [u8], header: &Header, budget: &Budget) -> Result<Frames<'a>, Reject> {
    let frames: Frames = match header.format {
        Format::Gif => Box::new(Guarded::new(decode::gif::Frames::new(bytes, header, *budget)?)),
        Format::Webp => Box::new(Guarded::new(decode::webp::Frames::new(bytes, header, *budget)?)),
        Format::Png => Box::new(Guarded::new(decode::png::Frames::new(bytes, header, *budget)?)),
        Format::Jpeg | Format::Avif | Format::Heic | Format::Tiff | Format::Bmp => {
            return Err(Reject::Undecodable("its format has no animations"));
        }
    };
    Ok(frames)
}

pub(crate) fn loops(bytes: &[u8], header: &Header) -> Result<Loops, Reject> {
    match header.format {
        Format::Gif => gif::loops(bytes),
        Format::Webp => webp::loops(bytes),
        Format::Png => png::loops(bytes),
        Format::Jpeg | Format::Avif | Format::Heic | Format::Tiff | Format::Bmp => Ok(Loops::Times(1)),
    }
}

/// A colour profile, which is one for all frames.
pub(crate) fn icc(bytes: &[u8], header: &Header) -> Option<Vec<u8>> {
    match header.format {
        Format::Gif => gif::icc(bytes),
        Format::Webp => webp::icc(bytes),
        Format::Png => decode::png::icc(bytes),
        Format::Jpeg | Format::Avif | Format::Heic | Format::Tiff | Format::Bmp => None,
    }
}

/// A decoder of frames.
trait Decoder {
    fn next_frame(&mut self) -> Result<Option<Frame>, Reject>;
}

/// A decoder that is not asked again once it failed or panicked, which is why it may be left in any state.
struct Guarded<D>(Option<D>);

impl<D> Guarded<D> {
    fn new(decoder: D) -> Self {
        Self(Some(decoder))
    }
}

impl<D: Decoder> Iterator for Guarded<D> {
    type Item = Result<Frame, Reject>;

    fn next(&mut self) -> Option<Self::Item> {
        let decoder = self.0.as_mut()?;
        let frame = codec::guard(|| decoder.next_frame()).transpose();
        if !matches!(frame, Some(Ok(_))) {
            self.0 = None;
        }
        frame
    }
}

/// How long browsers show a frame that asks for this: 100 ms where it asks for 10 ms or less, in every format.
///
/// Frames without a delay once played as fast as a machine could, and files still say so that were meant
/// to play at the speed of that time. Firefox: `FrameTimeout::FromRawMilliseconds` (`image/FrameTimeout.h`);
/// Safari, and Chromium after it: <https://webkit.org/b/36082>.
fn as_browsers_wait(asked: Duration) -> Duration {
    const SHORTEST: Duration = Duration::from_millis(10);
    const INSTEAD: Duration = Duration::from_millis(100);
    if asked <= SHORTEST { INSTEAD } else { asked }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_that_hardly_wait_wait_as_in_browsers() {
        for (asked, shown) in [(0, 100), (10, 100), (11, 11), (20, 20), (655_350, 655_350)] {
            assert_eq!(as_browsers_wait(Duration::from_millis(asked)), Duration::from_millis(shown));
        }
    }

    #[test]
    fn a_decoder_that_panicked_is_not_asked_again() {
        struct Panics;
        impl Decoder for Panics {
            fn next_frame(&mut self) -> Result<Option<Frame>, Reject> {
                panic!("index out of bounds")
            }
        }
        let mut frames = Guarded::new(Panics);
        assert_eq!(frames.next().unwrap().unwrap_err().code(), "undecodable");
        assert!(frames.next().is_none());
    }
}

//! libwebp's encoder of animations, behind a safe interface. What [`crate::libwebp`] says of its calls is
//! true of these.

#![allow(unsafe_code)]

use std::ffi::c_int;
use std::ptr::{self, NonNull};
use std::slice;
use std::time::Instant;

use libwebp_sys as ffi;

use crate::libwebp::{Fault, Picture};
use crate::recipe::Encoding;

/// An animation in the making: libwebp keeps the last canvas, and of every frame encodes the box that
/// differs from it.
pub(crate) struct Animation {
    encoder: NonNull<ffi::WebPAnimEncoder>,
    config: ffi::WebPConfig,
    size: (u32, u32),
    /// At an address of its own: libwebp's copy of a canvas keeps the pointer for longer than the call.
    deadline: Box<Instant>,
}

impl Animation {
    /// `plays` is 0 for ever. After the deadline, no frame can be added.
    pub(crate) fn new(
        (width, height): (u32, u32), plays: u16, encoding: Encoding, method: u8, deadline: Instant,
    ) -> Result<Self, Fault> {
        let side = |side: u32| c_int::try_from(side).map_err(|_| Fault::Broken);
        let mut config = ffi::WebPConfig::new().map_err(|()| Fault::Broken)?;
        config.quality = f32::from(encoding.quality);
        config.lossless = c_int::from(encoding.lossless);
        config.method = c_int::from(method);

        let no_parameters = ffi::WebPMuxAnimParams { bgcolor: 0, loop_count: 0 };
        let mut options = ffi::WebPAnimEncoderOptions {
            anim_params: no_parameters,
            minimize_size: 0,
            kmin: 0,
            kmax: 0,
            allow_mixed: 0,
            verbose: 0,
            padding: [0; 4],
        };
        let version = ffi::WEBP_MUX_ABI_VERSION.cast_signed();
        // SAFETY: a live, exclusive structure that the call fills in.
        if unsafe { ffi::WebPAnimEncoderOptionsInitInternal(&raw mut options, version) } == 0 {
            return Err(Fault::Broken);
        }
        options.anim_params.bgcolor = 0;
        options.anim_params.loop_count = c_int::from(plays);
        // SAFETY: the options are live and initialised; the call copies them.
        let encoder = unsafe {
            ffi::WebPAnimEncoderNewInternal(side(width)?, side(height)?, &raw const options, version)
        };
        let encoder = NonNull::new(encoder).ok_or(Fault::Broken)?;
        Ok(Self { encoder, config, size: (width, height), deadline: Box::new(deadline) })
    }

    /// Adds a canvas of `width * height * channels(alpha)` bytes, which shows from `start` on, in
    /// milliseconds from the start of the animation, modulo 2^32. Starts lie less than 2^24 apart.
    pub(crate) fn add(&mut self, pixels: &[u8], alpha: bool, start: u32) -> Result<(), Fault> {
        let mut picture = Picture::of(pixels, self.size, alpha, true, &self.deadline)?;
        // SAFETY: the encoder is live and exclusive, see `Drop`. The picture is initialised and of the
        // encoder's size; the encoder refers to it only until the call returns, but for the deadline, which
        // is dropped after the encoder. The configuration is initialised and validated by the call.
        let added = unsafe {
            let start = start.cast_signed();
            ffi::WebPAnimEncoderAdd(
                self.encoder.as_ptr(),
                picture.as_mut_ptr(),
                start,
                &raw const self.config,
            )
        };
        if added == 0 { Err(Fault::Broken) } else { Ok(()) }
    }

    /// Ends the animation `end` milliseconds after its start, modulo 2^32.
    pub(crate) fn finish(self, end: u32) -> Result<Vec<u8>, Fault> {
        // SAFETY: the encoder is live and exclusive, see `Drop`. No picture and no configuration is how
        // the end is told.
        let ended = unsafe {
            ffi::WebPAnimEncoderAdd(self.encoder.as_ptr(), ptr::null_mut(), end.cast_signed(), ptr::null())
        };
        let mut file = File(ffi::WebPData { bytes: ptr::null(), size: 0 });
        // SAFETY: as above; the file is live, exclusive and initialised as empty, and the call fills it in.
        let assembled = ended != 0
            && unsafe { ffi::WebPAnimEncoderAssemble(self.encoder.as_ptr(), &raw mut file.0) } != 0;
        if !assembled || file.0.bytes.is_null() {
            return Err(Fault::Broken);
        }
        // SAFETY: the file holds `size` initialised bytes at `bytes`, which is not null, as just checked,
        // and lives until `file` is dropped at the end of this function; the bytes are copied here.
        Ok(unsafe { slice::from_raw_parts(file.0.bytes, file.0.size) }.to_vec())
    }
}

impl Drop for Animation {
    fn drop(&mut self) {
        // SAFETY: the encoder was made by `WebPAnimEncoderNewInternal` and nothing else holds it.
        unsafe { ffi::WebPAnimEncoderDelete(self.encoder.as_ptr()) }
    }
}

/// A file of libwebp's, freed when dropped.
struct File(ffi::WebPData);

impl Drop for File {
    fn drop(&mut self) {
        // SAFETY: `bytes` is null or libwebp's own allocation, which nothing else holds. This is what
        // `WebPDataClear` does, which is an inline function of C.
        unsafe { ffi::WebPFree(self.0.bytes.cast_mut().cast()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OutputFormat;

    const ENCODING: Encoding = Encoding { format: OutputFormat::Webp, quality: 80, lossless: false };

    fn later() -> Instant {
        Instant::now() + std::time::Duration::from_mins(1)
    }

    #[test]
    fn no_frame_is_encoded_after_the_deadline() {
        let mut animation = Animation::new((64, 64), 0, ENCODING, 4, Instant::now()).unwrap();
        let first = animation.add(&[90; 64 * 64 * 3], false, 0);
        let second = animation.add(&[30; 64 * 64 * 3], false, 100);
        assert_eq!(first.and(second), Err(Fault::Broken));
    }

    #[test]
    fn sizes_that_do_not_fit_the_slices_are_refused() {
        assert!(Animation::new((0, 2), 0, ENCODING, 4, later()).is_err());
        let mut animation = Animation::new((2, 2), 0, ENCODING, 4, later()).unwrap();
        assert_eq!(animation.add(&[0; 15], true, 0), Err(Fault::Broken));
        assert_eq!(animation.add(&[0; 16], false, 0), Err(Fault::Broken));
        animation.add(&[0; 16], true, 0).unwrap();
        animation.add(&[200; 12], false, 100).unwrap();
        let file = animation.finish(150).unwrap();
        assert!(file.windows(4).any(|name| name == b"ANMF"));
    }

    #[test]
    fn an_animation_without_frames_is_none() {
        assert!(Animation::new((2, 2), 0, ENCODING, 4, later()).unwrap().finish(100).is_err());
    }
}

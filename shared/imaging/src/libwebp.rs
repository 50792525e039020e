//! libwebp's stills, behind a safe interface.
//!
//! Every function passes C a pointer together with a length that it computes from the slice itself, and
//! checks that the sizes it announces are what the slice holds. libwebp keeps none of the pointers after
//! a call returns, and what it allocates is freed by a guard, on every path.

#![allow(unsafe_code)]

use std::ffi::c_int;
use std::marker::PhantomData;
use std::ptr;
use std::slice;
use std::time::Instant;

use libwebp_sys as ffi;

/// Why libwebp did not do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The data ends too early.
    Truncated,
    /// The data is not what it should be, or the sizes are not.
    Broken,
}

/// Three or four bytes a pixel: RGB, or RGBA with alpha not premultiplied.
pub(crate) fn channels(alpha: bool) -> usize {
    if alpha { 4 } else { 3 }
}

/// Width and height as the decoder sees them.
pub(crate) fn size(file: &[u8]) -> Result<(u32, u32), Fault> {
    let config = features(file)?;
    let side = |side: c_int| u32::try_from(side).map_err(|_| Fault::Broken);
    Ok((side(config.input.width)?, side(config.input.height)?))
}

fn features(file: &[u8]) -> Result<ffi::WebPDecoderConfig, Fault> {
    let mut config = ffi::WebPDecoderConfig::new().map_err(|()| Fault::Broken)?;
    // SAFETY: pointer and length are those of one live slice; `config.input` is a live, exclusive,
    // initialised structure that the call fills in.
    let status = unsafe { ffi::WebPGetFeatures(file.as_ptr(), file.len(), &raw mut config.input) };
    outcome(status).map(|()| config)
}

/// Decodes a still into `pixels`, whose size is `width * height * channels(alpha)`. Where that is not
/// the size of the picture, libwebp averages areas to get there while it decodes.
pub(crate) fn decode(
    file: &[u8], (width, height): (u32, u32), alpha: bool, pixels: &mut [u8],
) -> Result<(), Fault> {
    let mut config = features(file)?;
    let stride = width as usize * channels(alpha);
    if stride == 0 || pixels.len() != stride * height as usize {
        return Err(Fault::Broken);
    }
    let side = |side: u32| c_int::try_from(side).map_err(|_| Fault::Broken);
    let (width, height) = (side(width)?, side(height)?);
    if (width, height) != (config.input.width, config.input.height) {
        config.options.use_scaling = 1;
        config.options.scaled_width = width;
        config.options.scaled_height = height;
    }
    config.output.colorspace =
        if alpha { ffi::WEBP_CSP_MODE::MODE_RGBA } else { ffi::WEBP_CSP_MODE::MODE_RGB };
    config.output.is_external_memory = 1;
    config.output.u.RGBA = ffi::WebPRGBABuffer {
        rgba: pixels.as_mut_ptr(),
        stride: c_int::try_from(stride).map_err(|_| Fault::Broken)?,
        size: pixels.len(),
    };
    // SAFETY: pointer and length of the input are those of one live slice. The output buffer is the
    // exclusive slice `pixels`, of exactly `stride * height` bytes as checked above, and libwebp checks
    // the output's size, stride and dimensions once more (`CheckDecBuffer`) before it writes. As the
    // memory is external, there is nothing of libwebp's own to free in `config.output`.
    let status = unsafe { ffi::WebPDecode(file.as_ptr(), file.len(), &raw mut config) };
    outcome(status)
}

fn outcome(status: ffi::VP8StatusCode) -> Result<(), Fault> {
    match status {
        ffi::VP8StatusCode::VP8_STATUS_OK => Ok(()),
        ffi::VP8StatusCode::VP8_STATUS_NOT_ENOUGH_DATA | ffi::VP8StatusCode::VP8_STATUS_SUSPENDED => {
            Err(Fault::Truncated)
        }
        _ => Err(Fault::Broken),
    }
}

/// What is to be kept of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    Lossy {
        /// libwebp's own, 0 to 100.
        quality: u8,
        /// Whether to spend time on where colours meet (`use_sharp_yuv`).
        sharp: bool,
    },
    Lossless,
}

/// 0 to 100: libwebp's default.
const LOSSLESS_EFFORT: u8 = 75;

/// A picture of libwebp's, freed when dropped. Its pixels are its own, or planes that are lent to it for `'a`, as is
/// the deadline.
pub(crate) struct Picture<'a> {
    picture: ffi::WebPPicture,
    lent: PhantomData<&'a [u8]>,
}

impl<'a> Picture<'a> {
    /// Encoding it ends in vain at the deadline, or soon after it.
    fn new(width: u32, height: u32, deadline: &'a Instant) -> Result<Self, Fault> {
        let mut picture = ffi::WebPPicture::new().map_err(|()| Fault::Broken)?;
        picture.width = c_int::try_from(width).map_err(|_| Fault::Broken)?;
        picture.height = c_int::try_from(height).map_err(|_| Fault::Broken)?;
        picture.user_data = ptr::from_ref(deadline).cast_mut().cast();
        picture.progress_hook = Some(goes_on);
        Ok(Self { picture, lent: PhantomData })
    }

    /// For calls that take a picture.
    pub(crate) fn as_mut_ptr(&mut self) -> *mut ffi::WebPPicture {
        &raw mut self.picture
    }

    /// Of `width * height * channels(alpha)` bytes; as RGB if it is to stay so, else as YUV.
    pub(crate) fn of(
        pixels: &[u8], (width, height): (u32, u32), alpha: bool, stays_rgb: bool, deadline: &'a Instant,
    ) -> Result<Self, Fault> {
        let stride = width as usize * channels(alpha);
        if stride == 0 || pixels.len() != stride * height as usize {
            return Err(Fault::Broken);
        }
        let stride = c_int::try_from(stride).map_err(|_| Fault::Broken)?;
        let mut picture = Self::new(width, height, deadline)?;
        picture.picture.use_argb = c_int::from(stays_rgb);
        // SAFETY: the source is a live slice of exactly `stride * height` bytes, checked above, of which the
        // call reads `height` rows of `stride` bytes; it copies into planes of its own.
        let imported = unsafe {
            if alpha {
                ffi::WebPPictureImportRGBA(picture.as_mut_ptr(), pixels.as_ptr(), stride)
            } else {
                ffi::WebPPictureImportRGB(picture.as_mut_ptr(), pixels.as_ptr(), stride)
            }
        };
        if imported == 0 { Err(Fault::Broken) } else { Ok(picture) }
    }

    /// Of planes, which it only borrows.
    fn of_planes(planes: Yuv<'a>, (width, height): (u32, u32), deadline: &'a Instant) -> Result<Self, Fault> {
        let half = width.div_ceil(2);
        let samples = |width: u32, height: u32| width as usize * height as usize;
        let (luma, chroma) = (samples(width, height), samples(half, height.div_ceil(2)));
        if luma == 0 || (planes.luma.len(), planes.blue.len(), planes.red.len()) != (luma, chroma, chroma) {
            return Err(Fault::Broken);
        }
        let mut lent = Self::new(width, height, deadline)?;
        let picture = &mut lent.picture;
        picture.use_argb = 0;
        picture.colorspace = ffi::WebPEncCSP::WEBP_YUV420;
        picture.y_stride = picture.width;
        picture.uv_stride = c_int::try_from(half).map_err(|_| Fault::Broken)?;
        picture.y = planes.luma.as_ptr().cast_mut();
        picture.u = planes.blue.as_ptr().cast_mut();
        picture.v = planes.red.as_ptr().cast_mut();
        Ok(lent)
    }

    fn encode(mut self, coding: Coding, method: u8) -> Result<Vec<u8>, Fault> {
        let mut config = ffi::WebPConfig::new().map_err(|()| Fault::Broken)?;
        config.method = c_int::from(method);
        match coding {
            Coding::Lossy { quality, sharp } => {
                config.quality = f32::from(quality);
                config.use_sharp_yuv = c_int::from(sharp);
            }
            Coding::Lossless => {
                config.lossless = 1;
                config.exact = 1;
                config.quality = f32::from(LOSSLESS_EFFORT);
            }
        }

        let mut writer =
            Writer(ffi::WebPMemoryWriter { mem: std::ptr::null_mut(), size: 0, max_size: 0, pad: [0] });
        // SAFETY: a live, exclusive structure that the call initialises.
        unsafe { ffi::WebPMemoryWriterInit(&raw mut writer.0) };
        self.picture.writer = Some(ffi::WebPMemoryWrite);
        self.picture.custom_ptr = (&raw mut writer.0).cast();
        // SAFETY: `config` and the picture are initialised (`WebPEncode` validates the first). No one but this module
        // sets the picture's pointers. Its planes are its own, or those of `of_planes`: slices of the sizes that width,
        // height and strides say, as is checked there, which outlive the picture (`'a`) and are only read, as
        // `WebPEncode` writes to the planes of pictures with alpha alone. The hook has what it needs, see `goes_on`.
        // `custom_ptr` is the writer that `WebPMemoryWrite` expects there; it is live and not used otherwise until the
        // call returns.
        let encoded = unsafe { ffi::WebPEncode(&raw const config, self.as_mut_ptr()) };
        if encoded == 0 || writer.0.mem.is_null() {
            return Err(Fault::Broken);
        }
        // SAFETY: the writer holds `size` initialised bytes at `mem`, which is not null, as just checked,
        // and lives until `writer` is dropped at the end of this function; the bytes are copied here.
        Ok(unsafe { slice::from_raw_parts(writer.0.mem, writer.0.size) }.to_vec())
    }
}

impl Drop for Picture<'_> {
    fn drop(&mut self) {
        // SAFETY: the picture was initialised by `WebPPicture::new`. What is freed is what libwebp allocated itself
        // (`memory_` and `memory_argb_`, not the planes, which may be lent), which nothing else holds.
        unsafe { ffi::WebPPictureFree(self.as_mut_ptr()) }
    }
}

/// Whether there is time to go on, which libwebp asks at every hundredth of the way.
unsafe extern "C" fn goes_on(_percent: c_int, picture: *const ffi::WebPPicture) -> c_int {
    // SAFETY: libwebp calls this with a live picture that has it for a hook: one that `Picture::new` has given both
    // the hook and a deadline that outlives it, or libwebp's own copy in an animation (see `Animation`).
    let deadline = unsafe { *(*picture).user_data.cast::<Instant>() };
    c_int::from(Instant::now() < deadline)
}

/// Memory that libwebp writes a file to, freed when dropped.
struct Writer(ffi::WebPMemoryWriter);

impl Drop for Writer {
    fn drop(&mut self) {
        // SAFETY: the writer was initialised by `WebPMemoryWriterInit`, so `mem` is null or libwebp's
        // own allocation, which nothing else holds.
        unsafe { ffi::WebPMemoryWriterClear(&raw mut self.0) }
    }
}

/// Encodes `width * height * channels(alpha)` bytes, or fails when the deadline has passed.
pub(crate) fn encode(
    pixels: &[u8], size: (u32, u32), alpha: bool, coding: Coding, method: u8, deadline: Instant,
) -> Result<Vec<u8>, Fault> {
    let stays_rgb = !matches!(coding, Coding::Lossy { sharp: false, .. });
    Picture::of(pixels, size, alpha, stays_rgb, &deadline)?.encode(coding, method)
}

/// The planes of a picture: luma, and blue and red chroma of half the size, rounded up, all of the range
/// that video has (16 to 235 and 240).
#[derive(Clone, Copy)]
pub(crate) struct Yuv<'a> {
    pub(crate) luma: &'a [u8],
    pub(crate) blue: &'a [u8],
    pub(crate) red: &'a [u8],
}

/// Encodes planes, lossily, or fails when the deadline has passed.
pub(crate) fn encode_yuv(
    planes: Yuv, size: (u32, u32), quality: u8, method: u8, deadline: Instant,
) -> Result<Vec<u8>, Fault> {
    Picture::of_planes(planes, size, &deadline)?.encode(Coding::Lossy { quality, sharp: false }, method)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOSSY: Coding = Coding::Lossy { quality: 80, sharp: false };

    fn later() -> Instant {
        Instant::now() + std::time::Duration::from_mins(1)
    }

    #[test]
    fn encoding_stops_when_the_time_is_over() {
        let pixels = vec![90; 300 * 200 * 3];
        let planes = || Yuv { luma: &pixels[..60_000], blue: &pixels[..15_000], red: &pixels[..15_000] };
        for (deadline, outcome) in [(later(), None), (Instant::now(), Some(Fault::Broken))] {
            for coding in [LOSSY, Coding::Lossy { quality: 80, sharp: true }, Coding::Lossless] {
                let encoded = encode(&pixels, (300, 200), false, coding, 4, deadline);
                assert_eq!(encoded.err(), outcome, "{coding:?}");
            }
            assert_eq!(encode_yuv(planes(), (300, 200), 80, 3, deadline).err(), outcome);
        }
    }

    #[test]
    fn sizes_that_do_not_fit_the_slices_are_refused() {
        let pixels = [0; 12];
        assert_eq!(encode(&pixels, (2, 3), false, LOSSY, 4, later()).unwrap_err(), Fault::Broken);
        assert_eq!(encode(&pixels, (0, 2), false, LOSSY, 4, later()).unwrap_err(), Fault::Broken);
        let file = encode(&pixels, (2, 2), false, LOSSY, 4, later()).unwrap();
        assert_eq!(size(&file).unwrap(), (2, 2));
        assert_eq!(decode(&file, (2, 2), false, &mut [0; 11]).unwrap_err(), Fault::Broken);
        assert_eq!(decode(&file, (2, 2), true, &mut [0; 12]).unwrap_err(), Fault::Broken);
        decode(&file, (2, 2), false, &mut [0; 12]).unwrap();
    }

    #[test]
    fn sides_that_webp_cannot_hold_are_refused() {
        let pixels = vec![0; 16_384 * 3];
        assert_eq!(encode(&pixels, (16_384, 1), false, LOSSY, 4, later()).unwrap_err(), Fault::Broken);
    }
}

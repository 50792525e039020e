//! What a rendering carries besides its pixels: nothing, unless a project asks for it.

use moxcms::ColorProfile;

use crate::container::{jpeg, png, webp};
use crate::recipe::OutputFormat;
use crate::{Header, Reject, codec, metadata};

/// What of a file its renderings are to keep. An untagged rendering without a word is the default.
///
/// JPEG, PNG and WebP can carry both. A rendering in another format keeps neither, and is sRGB.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Keep {
    /// The colours as they are, with their profile, where it is one of RGB and is wider or other than sRGB:
    /// Display P3, Adobe RGB and others. Colours of ink and gray become sRGB all the same.
    pub profile: bool,
    /// The notice of copyright and the name of the artist, as EXIF.
    pub copyright: bool,
}

impl Keep {
    /// The pixels and nothing else.
    pub const NOTHING: Self = Self { profile: false, copyright: false };
}

/// Profiles of screens and working spaces take from 0.5 to 4 KB; one that is larger than most renderings
/// is not sent along, and its colours become sRGB.
const LARGEST_PROFILE: usize = 256 << 10;

/// The profile as it is to be carried, if it can be. Its size is brought to a multiple of four, without
/// which libpng ignores it (ICC.1:2022, 7.2.1).
pub(crate) fn profile(icc: &[u8]) -> Option<Vec<u8>> {
    let size = u32::from_be_bytes(*icc.first_chunk()?) as usize;
    let mut icc = icc.get(..size)?.to_vec();
    icc.resize(size.next_multiple_of(4), 0);
    let whole = u32::try_from(icc.len()).ok()?;
    icc.get_mut(..4)?.copy_from_slice(&whole.to_be_bytes());
    (icc.len() <= LARGEST_PROFILE).then_some(icc)
}

/// An EXIF block that says whose the picture is and nothing else.
pub(crate) fn copyright(bytes: &[u8], header: &Header) -> Option<Vec<u8>> {
    let metadata::Metadata { copyright, artist, .. } = metadata::metadata(bytes, header);
    let fields: Vec<(u16, String)> = [(0x013b, artist), (0x8298, copyright)]
        .into_iter()
        .filter_map(|(tag, text)| Some((tag, text?)))
        .collect();
    (!fields.is_empty()).then(|| directory(&fields))
}

/// A big-endian TIFF header and one directory of texts, in the order of their tags (TIFF 6.0, 2). They
/// are declared ASCII, as all texts in EXIF, and are UTF-8 like everyone's.
fn directory(fields: &[(u16, String)]) -> Vec<u8> {
    let number = |value: usize| u32::try_from(value).expect("notices are short").to_be_bytes();
    let mut block = b"MM\0*\0\0\0\x08".to_vec();
    block.extend(u16::try_from(fields.len()).expect("there are two").to_be_bytes());
    let mut at = block.len() + 12 * fields.len() + 4;
    let mut texts = Vec::new();
    for (tag, text) in fields {
        let mut text = text.clone().into_bytes();
        text.push(0);
        block.extend(tag.to_be_bytes());
        block.extend(2_u16.to_be_bytes());
        block.extend(number(text.len()));
        if text.len() <= 4 {
            text.resize(4, 0);
            block.extend(text);
        } else {
            block.extend(number(at));
            // Values begin at even places.
            text.resize(text.len().next_multiple_of(2), 0);
            at += text.len();
            texts.extend(text);
        }
    }
    block.extend([0; 4]);
    block.extend(texts);
    block
}

/// Puts a profile and an EXIF block into a file that an encoder of this crate has made.
pub(crate) fn attach(
    file: Vec<u8>, format: OutputFormat, icc: Option<&[u8]>, exif: Option<&[u8]>,
) -> Result<Vec<u8>, Reject> {
    if icc.is_none() && exif.is_none() {
        return Ok(file);
    }
    let gray = icc.filter(|_| is_gray(&file, format)).map(of_gray);
    let icc = match &gray {
        Some(gray) => gray.as_deref(),
        None => icc,
    };
    match format {
        OutputFormat::Jpeg => jpeg::carrying(&file, icc, exif),
        OutputFormat::Png => png::carrying(&file, icc, exif),
        OutputFormat::Webp => webp::carrying(&file, icc, exif),
        OutputFormat::Avif | OutputFormat::Gif => Ok(file),
    }
}

/// Whether an encoder found no colours in a picture and stored none, in which case readers ignore a
/// profile of RGB.
fn is_gray(file: &[u8], format: OutputFormat) -> bool {
    match format {
        OutputFormat::Jpeg => jpeg::whole(file).is_ok_and(|whole| whole.frame.components.len() == 1),
        // The bit for colour in the header's type of colour (PNG, 11.2.1).
        OutputFormat::Png => file.get(25).is_some_and(|colour| colour & 2 == 0),
        OutputFormat::Webp | OutputFormat::Avif | OutputFormat::Gif => false,
    }
}

/// The profile for the grays of one of RGB, if they are told by a curve.
fn of_gray(icc: &[u8]) -> Option<Vec<u8>> {
    let made = codec::guard(|| {
        let broken = |_| Reject::Undecodable("its colour profile");
        let rgb = ColorProfile::new_from_slice(icc).map_err(broken)?;
        let same = rgb.red_trc == rgb.green_trc && rgb.red_trc == rgb.blue_trc;
        let curve = rgb.red_trc.filter(|_| same).ok_or(Reject::Undecodable("its colour profile"))?;
        let mut gray = ColorProfile::new_gray_with_gamma(1.0);
        gray.gray_trc = Some(curve);
        gray.encode().map_err(broken)
    });
    made.ok().as_deref().and_then(profile)
}

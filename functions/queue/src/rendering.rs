//! From an upload's bytes to all that is kept of them. No network here: what fails, fails for good.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use imaging::{Budget, Encoding, Keep, Limits, Metadata, OutputFormat, Recipe, Reject};
use sha2::{Digest as _, Sha256};
use shared::domain::image::{Capture, Declared, Exposure, Failure, Location, MAXIMUM_BYTES, Picture, Swatch};
use shared::domain::key::hex;
use shared::domain::preset::eager_ladder;
use shared::domain::project::Settings;
use shared::domain::{PictureName, Variant, VariantFormat};

/// The quality of every variant: where people stop seeing a difference at arm's length.
const QUALITY: u8 = 80;

/// All that is kept of an upload.
#[derive(Debug)]
pub struct Rendered {
    /// The original without its private metadata.
    pub original: Bytes,
    /// What is known of it.
    pub picture: Picture,
    /// The variants' bytes, in the order of `picture.variants`.
    pub variants: Vec<(PictureName, Bytes)>,
}

/// Checks, cleans and renders an upload, of which is kept what the project's settings say.
pub fn render_upload(
    upload: &[u8], declared: &Declared, settings: Settings, budget: &Budget,
) -> Result<Rendered, Failure> {
    let header = imaging::probe(upload).map_err(|reject| failure(&reject))?;
    let found = header.format.media_type();
    // The names of one format: HEIC is HEIF with HEVC in it (ISO/IEC 23008-12, annex C).
    let declared_type = match declared.content_type.as_str() {
        "image/heif" => "image/heic",
        declared => declared,
    };
    if declared_type != found {
        return Err(Failure {
            code: "media-type-mismatch".into(),
            detail: format!("The upload was announced as {} but is {found}.", declared.content_type),
            retryable: false,
        });
    }
    let limits = Limits { bytes: MAXIMUM_BYTES, ..Limits::default() };
    limits.check(&header, upload.len() as u64).map_err(|reject| failure(&reject))?;
    let original = imaging::clean(upload, &header, budget).map_err(|reject| failure(&reject))?;
    let ladder = eager_ladder(header.width, header.alpha);
    let keep = Keep { profile: false, copyright: settings.keep_copyright };
    let plans: Vec<_> = ladder
        .iter()
        .map(|&(preset, format)| {
            let format = match format {
                VariantFormat::Webp => OutputFormat::Webp,
                VariantFormat::Jpeg => OutputFormat::Jpeg,
                VariantFormat::Png => OutputFormat::Png,
            };
            let encoding = Encoding { format, quality: QUALITY, lossless: false };
            Recipe { keep, ..Recipe::of_width(preset.width(), encoding) }.plan(&header)
        })
        .collect();
    let rendered = imaging::render(upload, &header, &plans, budget).map_err(|reject| failure(&reject))?;
    let (variants, bytes) = ladder
        .into_iter()
        .zip(rendered.pictures)
        .map(|((preset, format), picture)| {
            let (width, height) = (picture.width, picture.height);
            let variant = Variant { preset, format, width, height, bytes: picture.bytes.len() as u64 };
            let name = variant.name();
            (variant, (name, Bytes::from(picture.bytes)))
        })
        .unzip();
    let facts = rendered.facts;
    let picture = Picture {
        content_type: original.format.media_type().to_owned(),
        extension: original.format.extension().to_owned(),
        width: header.width,
        height: header.height,
        frames: header.frames,
        bytes: original.bytes.len() as u64,
        sha256: hex(&Sha256::digest(upload)),
        thumbhash: STANDARD.encode(&facts.thumbhash),
        blurhash: facts.blurhash,
        dominant_color: css(facts.dominant_color),
        palette: facts
            .palette
            .iter()
            .map(|swatch| Swatch { color: css(swatch.color), permille: swatch.permille })
            .collect(),
        perceptual_hash: format!("{:016x}", facts.perceptual_hash),
        opaque: facts.opaque,
        reencoded: original.reencoded,
        notes: rendered.notes.iter().map(|note| note.code().to_owned()).collect(),
        // Known once it is stored.
        original: None,
        capture: capture(imaging::metadata(upload, &header), settings),
        variants,
    };
    Ok(Rendered { original: Bytes::from(original.bytes), picture, variants: bytes })
}

fn css([red, green, blue]: [u8; 3]) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// What the camera wrote, without what the project did not ask for.
fn capture(metadata: Metadata, settings: Settings) -> Capture {
    let exposure = Exposure {
        time: metadata.exposure.time.map(|time| time.to_string()),
        f_number: metadata.exposure.f_number,
        iso: metadata.exposure.iso,
        focal_length: metadata.exposure.focal_length,
        focal_length_35mm: metadata.exposure.focal_length_35mm,
        flash: metadata.exposure.flash,
    };
    let location = metadata.location.filter(|_| settings.keep_location);
    Capture {
        taken_at: metadata.taken_at,
        camera: metadata.camera,
        lens: metadata.lens,
        exposure: Some(exposure).filter(|exposure| *exposure != Exposure::default()),
        copyright: metadata.copyright,
        artist: metadata.artist,
        location: location.map(|place| Location {
            latitude: place.latitude,
            longitude: place.longitude,
            altitude: place.altitude,
        }),
    }
}

fn failure(reject: &Reject) -> Failure {
    Failure {
        code: reject.code().to_owned(),
        detail: reject.to_string(),
        retryable: matches!(reject, Reject::OutOfTime),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    /// With a place in its EXIF block.
    const PHOTOGRAPH: &[u8] = include_bytes!("../../../shared/imaging/tests/fixtures/gps/DSCN0021.jpg");
    fn rendered(upload: &[u8], content_type: &str, settings: Settings) -> Result<Rendered, Failure> {
        let declared = Declared { content_type: content_type.into(), bytes: upload.len() as u64 };
        let deadline = Instant::now() + Duration::from_mins(1);
        render_upload(upload, &declared, settings, &Budget { deadline, memory: 256 << 20 })
    }

    #[test]
    fn a_place_is_known_only_if_the_project_asks() {
        let asked = Settings { keep_location: true, keep_copyright: false };
        let of = |settings| rendered(PHOTOGRAPH, "image/jpeg", settings).unwrap();
        assert_eq!(of(Settings::default()).picture.capture.location, None);
        let known = of(asked).picture.capture.location.unwrap();
        assert!(
            (known.latitude - 43.467).abs() < 0.001 && (known.longitude - 11.885).abs() < 0.001,
            "{known:?}"
        );
        // What is stored never says it.
        let header = imaging::probe(PHOTOGRAPH).unwrap();
        assert!(imaging::metadata(PHOTOGRAPH, &header).location.is_some());
        let original = of(asked).original;
        let header = imaging::probe(&original).unwrap();
        assert_eq!(imaging::metadata(&original, &header), Metadata::default());
    }

    #[test]
    fn variants_say_whose_they_are_only_if_the_project_asks() {
        let landscape = include_bytes!("../../../shared/imaging/tests/fixtures/orientation/Landscape_0.jpg");
        // A directory of one entry: tag 0x8298, text, 9 bytes of it right after the directory (TIFF 6.0, 2).
        let entry = b"MM\0*\0\0\0\x08\0\x01\x82\x98\0\x02\0\0\0\x09\0\0\0\x1a\0\0\0\0(c) Ana \0";
        let segment = [&b"\xff\xe1\0\x2b"[..], b"Exif\0\0", entry].concat();
        let upload = [&landscape[..2], &segment, &landscape[2..]].concat();
        for keep_copyright in [false, true] {
            let settings = Settings { keep_location: false, keep_copyright };
            let rendered = rendered(&upload, "image/jpeg", settings).unwrap();
            assert_eq!(rendered.picture.capture.copyright.as_deref(), Some("(c) Ana"));
            for (name, bytes) in &rendered.variants {
                let header = imaging::probe(bytes).unwrap();
                let found = imaging::metadata(bytes, &header).copyright;
                assert_eq!(found.is_some(), keep_copyright, "{name}");
            }
        }
    }

    #[test]
    fn a_heif_is_a_heic_by_another_name() {
        let heic = include_bytes!("../../../shared/imaging/tests/fixtures/heic/420.heic");
        for content_type in ["image/heic", "image/heif"] {
            let picture = rendered(heic, content_type, Settings::default()).unwrap().picture;
            assert_eq!((picture.content_type.as_str(), picture.reencoded), ("image/heic", false));
        }
        let refused = rendered(heic, "image/avif", Settings::default()).unwrap_err();
        assert_eq!(refused.code, "media-type-mismatch");
    }
}

//! From an upload's bytes to all that is kept of them. No network here: what fails, fails for good.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use imaging::{Budget, Encoding, Limits, OutputFormat, Recipe, Reject};
use sha2::{Digest as _, Sha256};
use shared::domain::image::{Declared, Failure, MAXIMUM_BYTES, Picture};
use shared::domain::key::hex;
use shared::domain::preset::eager_ladder;
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

/// Checks, cleans and renders an upload.
pub fn render_upload(upload: &[u8], declared: &Declared, budget: &Budget) -> Result<Rendered, Failure> {
    let header = imaging::probe(upload).map_err(|reject| failure(&reject))?;
    let found = header.format.media_type();
    if declared.content_type != found {
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
    let plans: Vec<_> = ladder
        .iter()
        .map(|&(preset, format)| {
            let format = match format {
                VariantFormat::Webp => OutputFormat::Webp,
                VariantFormat::Jpeg => OutputFormat::Jpeg,
                VariantFormat::Png => OutputFormat::Png,
            };
            let encoding = Encoding { format, quality: QUALITY, lossless: false };
            Recipe::of_width(preset.width(), encoding).plan(&header)
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
    let metadata = imaging::metadata(upload, &header);
    let [red, green, blue] = rendered.facts.dominant_color;
    let picture = Picture {
        content_type: original.format.media_type().to_owned(),
        extension: original.format.extension().to_owned(),
        width: header.width,
        height: header.height,
        frames: header.frames,
        bytes: original.bytes.len() as u64,
        sha256: hex(&Sha256::digest(upload)),
        thumbhash: STANDARD.encode(&rendered.facts.thumbhash),
        dominant_color: format!("#{red:02x}{green:02x}{blue:02x}"),
        taken_at: metadata.taken_at,
        camera: metadata.camera,
        variants,
    };
    Ok(Rendered { original: Bytes::from(original.bytes), picture, variants: bytes })
}

fn failure(reject: &Reject) -> Failure {
    Failure {
        code: reject.code().to_owned(),
        detail: reject.to_string(),
        retryable: matches!(reject, Reject::OutOfTime),
    }
}

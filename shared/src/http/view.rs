//! Images as the API shows them.

use ::http::{HeaderValue, Response, StatusCode, header};
use lambda_http::Body;
use serde::Serialize;

use super::{Problem, json};
use crate::domain::details::{AltText, FocalPoint, Metadata, Tags, Title, UserId};
use crate::domain::image::{Capture, Failure, Image, State, Swatch};
use crate::domain::signed_path::{self, delivery_path, hand_out};
use crate::domain::summary::{ImageSummary, PictureSummary};
use crate::domain::{PictureName, PresetName, Project, Time, Variant, VariantFormat, Visibility};

/// An image, with all that is known of it.
#[derive(Debug, Serialize)]
pub struct ImageView<'a> {
    id: String,
    state: &'static str,
    visibility: Visibility,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<&'a UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a Title>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alt: Option<&'a AltText>,
    tags: &'a Tags,
    #[serde(skip_serializing_if = "Option::is_none")]
    focal_point: Option<FocalPoint>,
    metadata: &'a Metadata,
    created_at: Time,
    updated_at: Time,
    version: u64,
    #[serde(flatten)]
    picture: Option<PictureView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<FailureView<'a>>,
    /// Whether other bytes, or the same ones rendered anew, are under way.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    replacing: bool,
    /// Why the last new bytes did not replace the old ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    replacement_failure: Option<FailureView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trashed_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purge_at: Option<Time>,
}

#[derive(Debug, Serialize)]
struct PictureView<'a> {
    content_type: &'a str,
    width: u32,
    height: u32,
    frames: u32,
    bytes: u64,
    sha256: &'a str,
    thumbhash: &'a str,
    blurhash: &'a str,
    dominant_color: &'a str,
    palette: &'a [Swatch],
    perceptual_hash: &'a str,
    opaque: bool,
    animated: bool,
    reencoded: bool,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    notes: &'a [String],
    #[serde(flatten)]
    capture: &'a Capture,
    variants: Vec<VariantView>,
}

#[derive(Debug, Serialize)]
struct VariantView {
    preset: PresetName,
    format: VariantFormat,
    width: u32,
    height: u32,
    bytes: u64,
    path: String,
}

#[derive(Debug, Serialize)]
struct FailureView<'a> {
    code: &'a str,
    detail: &'a str,
}

impl<'a> ImageView<'a> {
    /// Shows an image, with paths that are good for an hour at least.
    pub fn new(image: &'a Image, project: &Project, now: Time) -> Self {
        let variant = |variant: &Variant| {
            let path = delivery_path(image.project, image.id, image.upload, variant.name());
            VariantView {
                preset: variant.preset,
                format: variant.format,
                width: variant.width,
                height: variant.height,
                bytes: variant.bytes,
                path: hand_out(path, image.visibility, project, now),
            }
        };
        let picture = image.picture().map(|picture| PictureView {
            content_type: &picture.content_type,
            width: picture.width,
            height: picture.height,
            frames: picture.frames,
            bytes: picture.bytes,
            sha256: &picture.sha256,
            thumbhash: &picture.thumbhash,
            blurhash: &picture.blurhash,
            dominant_color: &picture.dominant_color,
            palette: &picture.palette,
            perceptual_hash: &picture.perceptual_hash,
            opaque: picture.opaque,
            animated: picture.frames > 1,
            reencoded: picture.reencoded,
            notes: &picture.notes,
            capture: &picture.capture,
            variants: picture.variants.iter().map(variant).collect(),
        });
        let failure = match &image.state {
            State::Failed { failure: Failure { code, detail, .. } } => Some(FailureView { code, detail }),
            State::Pending
            | State::Processing { .. }
            | State::Ready { .. }
            | State::Trashed { .. }
            | State::Purging { .. } => None,
        };
        let trashed_at = image.trashed_at();
        Self {
            id: image.id.to_string(),
            state: image.state.name(),
            visibility: image.visibility,
            owner: image.owner.as_ref(),
            title: image.details.title.as_ref(),
            alt: image.details.alt.as_ref(),
            tags: &image.details.tags,
            focal_point: image.details.focal_point,
            metadata: &image.details.metadata,
            created_at: image.created_at,
            updated_at: image.updated_at,
            version: image.version,
            picture,
            failure,
            replacing: image.replacement.is_some(),
            replacement_failure: image
                .replacement_failure
                .as_ref()
                .map(|Failure { code, detail, .. }| FailureView { code, detail }),
            trashed_at,
            purge_at: trashed_at.and(image.due).map(|due| due.at),
        }
    }

    /// The entity tag of this view: the image's, and the window of the signatures in it. Without the
    /// latter a client would be told to keep paths that have expired.
    pub fn etag(image: &Image, now: Time) -> String {
        let tag = image.etag().to_string();
        match (image.visibility, image.picture()) {
            (Visibility::Private, Some(_)) => {
                format!("{}.{}\"", tag.trim_end_matches('"'), signed_path::expiry(now).as_secs())
            }
            (Visibility::Private, None) | (Visibility::Public, _) => tag,
        }
    }
}

/// 200, with the image and its entity tag.
pub fn image_answer(image: &Image, project: &Project, now: Time) -> Result<Response<Body>, Problem> {
    let mut response = json(StatusCode::OK, &ImageView::new(image, project, now))?;
    let etag = ImageView::etag(image, now);
    let headers = response.headers_mut();
    headers.insert(header::ETAG, HeaderValue::from_str(&etag).map_err(Problem::internal)?);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    if matches!(image.state, State::Pending | State::Processing { .. }) {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    Ok(response)
}

/// A row of a list.
#[derive(Debug, Serialize)]
pub struct ImageRow {
    id: String,
    state: String,
    visibility: Visibility,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<Title>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alt: Option<AltText>,
    created_at: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    trashed_at: Option<Time>,
    #[serde(flatten)]
    picture: Option<PictureSummary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thumbnail: Option<String>,
}

impl ImageRow {
    /// Shows a row, with the path of a small picture if there is one.
    pub fn new(summary: ImageSummary, project: &Project, now: Time) -> Self {
        let name = PictureName { preset: PresetName::THUMBNAIL, format: Some(VariantFormat::Webp) };
        let thumbnail = summary.picture.is_some().then(|| {
            let path = delivery_path(project.id, summary.id, summary.upload, name);
            hand_out(path, summary.visibility, project, now)
        });
        Self {
            id: summary.id.to_string(),
            state: summary.state,
            visibility: summary.visibility,
            title: summary.title,
            alt: summary.alt,
            created_at: summary.created_at,
            trashed_at: summary.trashed_at,
            picture: summary.picture,
            thumbnail,
        }
    }
}

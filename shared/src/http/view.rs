//! Images as the API shows them.

use ::http::{HeaderValue, Response, StatusCode, header};
use lambda_http::Body;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::{Object, ObjectBuilder, Type};

use super::{Problem, json};
use crate::domain::details::{AltText, FocalPoint, Metadata, Tags, Title, UserId};
use crate::domain::image::{Capture, Failure, Image, State, Swatch};
use crate::domain::signed_path::{self, delivery_path, hand_out};
use crate::domain::summary::{ImageSummary, PictureSummary};
use crate::domain::{ImageId, PictureName, PresetName, Project, Time, Variant, VariantFormat, Visibility};

/// An image, with all that is known of it. What describes the picture is there once it is `ready`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Image, examples(example))]
pub struct ImageView<'a> {
    id: ImageId,
    #[schema(schema_with = state)]
    state: &'static str,
    visibility: Visibility,
    /// The user whose it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<&'a UserId>,
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a Title>,
    /// What it shows, for who cannot see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    alt: Option<&'a AltText>,
    tags: &'a Tags,
    #[serde(skip_serializing_if = "Option::is_none")]
    focal_point: Option<FocalPoint>,
    metadata: &'a Metadata,
    created_at: Time,
    updated_at: Time,
    /// Raised by each of your changes; part of the `ETag`.
    version: u64,
    #[serde(flatten)]
    picture: Option<PictureView<'a>>,
    /// Why there is no picture, if it `failed`.
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
    /// When a trashed image goes for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    purge_at: Option<Time>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Picture)]
struct PictureView<'a> {
    /// The media type of the original.
    content_type: &'a str,
    /// Pixels across, upright.
    width: u32,
    /// Pixels down, upright.
    height: u32,
    /// How many frames the original has.
    frames: u32,
    /// The size of the stored original: the upload without its private metadata.
    bytes: u64,
    /// SHA-256 of the upload, in hex.
    sha256: &'a str,
    /// A `ThumbHash`, base64: the picture before the picture.
    thumbhash: &'a str,
    /// A `BlurHash`: the same for clients that know no other.
    blurhash: &'a str,
    /// `#rrggbb`.
    dominant_color: &'a str,
    /// The colours that make up the picture, the most frequent first.
    palette: &'a [Swatch],
    /// 64 bits, in hex: near to that of whatever looks alike.
    perceptual_hash: &'a str,
    /// Whether nothing shines through.
    opaque: bool,
    animated: bool,
    /// Whether the original is in another format than the upload, which could not be cleaned otherwise.
    reencoded: bool,
    /// What the file asked for and did not get.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    notes: &'a [String],
    #[serde(flatten)]
    capture: &'a Capture,
    variants: Vec<VariantView>,
}

/// A rendering, ready to be served.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Variant)]
struct VariantView {
    preset: PresetName,
    format: VariantFormat,
    width: u32,
    height: u32,
    bytes: u64,
    /// Where it is served. A private picture's path is signed, and expires after an hour or two.
    path: String,
}

/// Why an upload cannot be used.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Failure)]
struct FailureView<'a> {
    /// Stable, for programs.
    #[schema(examples("not-an-image"))]
    code: &'a str,
    /// For people.
    detail: &'a str,
}

fn state() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some("Where it stands. Only what is `ready` is served."))
        .enum_values(Some(["pending", "processing", "ready", "failed", "trashed", "purging"]))
        .build()
}

/// What the reference shows.
fn example() -> serde_json::Value {
    let folder =
        "/i/prj_01M5GZNY40J4Q2W8N5R7X3Z9BD/img_01M7Y7HNH0M6P1S3V5X7Z9B2DF/upl_01M7Y7HNH0N7Q2T4W6Y8A1C3EG";
    let path = |file: &str| format!("{folder}/{file}?exp=1795244400&sig=yJx3Q0bHk2mZ8dT5uWcP1A");
    serde_json::json!({
        "id": "img_01M7Y7HNH0M6P1S3V5X7Z9B2DF",
        "state": "ready",
        "visibility": "private",
        "title": "Harbour at dawn",
        "tags": ["dawn", "harbour"],
        "metadata": { "order": 1817 },
        "created_at": "2026-11-21T05:00:00.000Z",
        "updated_at": "2026-11-21T05:00:02.417Z",
        "version": 1,
        "content_type": "image/jpeg",
        "width": 4032,
        "height": 3024,
        "frames": 1,
        "bytes": 2_031_877,
        "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "thumbhash": "3OcRJYB4d3h/iIeHeEh3eIhw+j2w",
        "blurhash": "LEHV6nWB2yk8pyo0adR*.7kCMdnj",
        "dominant_color": "#43607c",
        "palette": [{ "color": "#43607c", "permille": 612 }, { "color": "#e8a34f", "permille": 388 }],
        "perceptual_hash": "c3d1a5960f1e3c78",
        "opaque": true,
        "animated": false,
        "reencoded": false,
        "taken_at": "2026-11-20T06:41:09",
        "camera": "Fujifilm X100V",
        "exposure": { "time": "1/250", "f_number": 5.6, "iso": 200, "focal_length": 23.0 },
        "variants": [
            {
                "preset": "w640", "format": "webp", "width": 640, "height": 480, "bytes": 48_102,
                "path": path("w640.webp"),
            },
            {
                "preset": "w1280", "format": "jpeg", "width": 1280, "height": 960, "bytes": 176_480,
                "path": path("w1280.jpg"),
            },
        ],
    })
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
            id: image.id,
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
    if matches!(image.state, State::Pending | State::Processing { .. }) || image.replacement.is_some() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    Ok(response)
}

/// A row of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct ImageRow {
    id: ImageId,
    #[schema(schema_with = state)]
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
    /// The path of a small picture, once there is one.
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
            id: summary.id,
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

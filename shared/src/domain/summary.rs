//! What a list shows of an image.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::details::{AltText, Title};
use super::image::Image;
use super::{ImageId, Time, UploadId, Visibility};

/// Exactly what a row of a list holds; the table's indexes carry it, so that a list is one query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageSummary {
    /// The image's id.
    pub id: ImageId,
    /// Its current upload.
    pub upload: UploadId,
    /// Where it stands: `ready`.
    pub state: String,
    /// Who may see it.
    pub visibility: Visibility,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Title>,
    /// What it shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alt: Option<AltText>,
    /// When it was reserved.
    pub created_at: Time,
    /// When it was put into the trash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trashed_at: Option<Time>,
    /// What is known once it is ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture: Option<PictureSummary>,
}

/// What a list shows of a picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PictureSummary {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// `ThumbHash`, base64.
    pub thumbhash: String,
    /// `#rrggbb`.
    pub dominant_color: String,
}

impl ImageSummary {
    /// Whether the image was neither in the trash nor being purged.
    pub fn is_live(&self) -> bool {
        !matches!(self.state.as_str(), "trashed" | "purging")
    }
}

impl From<&Image> for ImageSummary {
    fn from(image: &Image) -> Self {
        Self {
            id: image.id,
            upload: image.upload,
            state: image.state.name().to_owned(),
            visibility: image.visibility,
            title: image.details.title.clone(),
            alt: image.details.alt.clone(),
            created_at: image.created_at,
            trashed_at: image.trashed_at(),
            picture: image.picture().map(|picture| PictureSummary {
                width: picture.width,
                height: picture.height,
                thumbhash: picture.thumbhash.clone(),
                dominant_color: picture.dominant_color.clone(),
            }),
        }
    }
}

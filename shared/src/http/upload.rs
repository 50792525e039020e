//! What every request for a place to send bytes to has in common.

use lambda_http::{Body, Response};
use serde::Serialize;

use super::{FieldError, Problem, created};
use crate::domain::image::{ACCEPTED_TYPES, Declared, Image, MAXIMUM_BYTES};
use crate::domain::{ImageId, UploadId};

/// Where to send the bytes of an image: the ids, and a target.
#[derive(Debug, Serialize)]
struct CreatedUpload<Target> {
    id: UploadId,
    image: ImageId,
    #[serde(flatten)]
    target: Target,
}

/// What a client announces, if it can be taken.
pub fn declared(content_type: String, bytes: u64) -> Result<Declared, Problem> {
    if !ACCEPTED_TYPES.contains(&content_type.as_str()) {
        let accepted = ACCEPTED_TYPES.join(", ");
        return Err(Problem::unsupported_media(format!("`content_type` must be one of {accepted}.")));
    }
    if bytes == 0 {
        let detail = "must be the size of the file, at least 1".into();
        return Err(Problem::invalid_fields(vec![FieldError { pointer: "/bytes".into(), detail }]));
    }
    if bytes > MAXIMUM_BYTES {
        return Err(Problem::too_large(format!("An upload has at most {MAXIMUM_BYTES} bytes.")));
    }
    Ok(Declared { content_type, bytes })
}

/// 201: the upload that is under way for an image, and where to send its bytes.
pub fn created_upload<Target: Serialize>(image: &Image, target: Target) -> Result<Response<Body>, Problem> {
    let upload = CreatedUpload { id: image.upload, image: image.id, target };
    created(&format!("/v1/images/{}", image.id), &upload)
}

//! What every request for a place to send bytes to has in common.

use lambda_http::{Body, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::{Array, ArrayBuilder, Object, ObjectBuilder, Type};

use super::{FieldError, Problem, created};
use crate::domain::image::{ACCEPTED_TYPES, Declared, Image, MAXIMUM_BYTES};
use crate::domain::{ImageId, UploadId};

/// Where to send the bytes of an image: the ids, and a target.
#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(example))]
pub struct CreatedUpload<Target> {
    id: UploadId,
    image: ImageId,
    #[serde(flatten)]
    target: Target,
}

fn example() -> serde_json::Value {
    serde_json::json!({
        "id": "upl_01M7Y7HNH0N7Q2T4W6Y8A1C3EG",
        "image": "img_01M7Y7HNH0M6P1S3V5X7Z9B2DF",
        "method": "POST",
        "url": "https://uploads.s3.eu-west-1.amazonaws.com",
        "fields": {
            "key": "prj_01M5GZNY40J4Q2W8N5R7X3Z9BD/img_01M7Y7HNH0M6P1S3V5X7Z9B2DF/upl_01M7Y7HNH0N7Q2T4W6Y8A1C3EG",
            "Content-Type": "image/jpeg",
            "policy": "eyJleHBpcmF0aW9uIjoi...",
            "x-amz-algorithm": "AWS4-HMAC-SHA256",
            "x-amz-credential": "AKIA.../20261121/eu-west-1/s3/aws4_request",
            "x-amz-date": "20261121T050000Z",
            "x-amz-signature": "2f1e...",
        },
        "expires_at": "2026-11-21T06:00:00.000Z",
    })
}

/// How the media type of an upload is described.
pub fn accepted_types() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some("The media type of the file."))
        .enum_values(Some(ACCEPTED_TYPES))
        .build()
}

/// How several of them are described.
pub fn list_of_accepted_types() -> Array {
    ArrayBuilder::new()
        .items(accepted_types())
        .description(Some("The media types that it is good for; all, if none is named."))
        .build()
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

//! Uploads in parts: begun, signed part by part, listed, joined or given up.

use std::collections::BTreeMap;
use std::future::Future;

use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use serde::Serialize;
use utoipa::ToSchema;

use super::objects::unavailable;
use super::{Media, keys};
use crate::domain::error::JoinPartsError;
use crate::domain::image::{Image, UPLOAD_WINDOW};
use crate::domain::parts::{Multipart, Part, bare};
use crate::domain::{Time, Unavailable, UploadId};

const NO_SUCH_UPLOAD: &str = "NoSuchUpload";

/// Where to send one part, by `PUT`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PartTarget {
    /// Its place, from 1.
    pub number: u16,
    /// Where.
    pub url: String,
    /// The request's headers, each of which is part of the signature.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Until when.
    pub expires_at: Time,
}

/// Lets an image's upload be sent in parts.
pub trait BeginParts {
    /// What S3 calls it.
    fn begin_parts(&self, image: &Image) -> impl Future<Output = Result<String, Unavailable>> + Send;
}

/// Lets a client send a part.
pub trait SignPart {
    /// A target that takes a part for an hour: exactly so many bytes, where that is known.
    fn sign_part(
        &self, image: &Image, multipart: &Multipart, number: u16, now: Time,
    ) -> impl Future<Output = Result<PartTarget, Unavailable>> + Send;
}

/// Finds out which parts are there.
pub trait ListParts {
    /// The parts in their order; `None` if the upload was joined or given up.
    fn list_parts(
        &self, image: &Image, multipart: &Multipart,
    ) -> impl Future<Output = Result<Option<Vec<Part>>, Unavailable>> + Send;
}

/// Makes one object of the parts.
pub trait JoinParts {
    /// Joins these. S3 announces the object as any other.
    fn join_parts(
        &self, image: &Image, multipart: &Multipart, parts: &[Part],
    ) -> impl Future<Output = Result<(), JoinPartsError>> + Send;
}

/// Gives up an upload in parts.
pub trait AbortParts {
    /// Deletes the parts, if they are there.
    fn abort_parts(
        &self, image: &Image, multipart: &Multipart,
    ) -> impl Future<Output = Result<(), Unavailable>> + Send;
}

/// Finds out whether an upload has arrived.
pub trait FindUpload {
    /// How many bytes lie there.
    fn find_upload(
        &self, image: &Image, upload: UploadId,
    ) -> impl Future<Output = Result<Option<u64>, Unavailable>> + Send;
}

fn key(image: &Image, upload: UploadId) -> String {
    keys::upload(image.project, image.id, upload)
}

impl BeginParts for Media {
    async fn begin_parts(&self, image: &Image) -> Result<String, Unavailable> {
        const OPERATION: &str = "begin_parts";
        let begun = self
            .client
            .create_multipart_upload()
            .bucket(&self.buckets.uploads)
            .key(key(image, image.upload))
            .content_type(&image.declared.content_type)
            .send()
            .await
            .map_err(|e| unavailable(OPERATION, e))?;
        begun.upload_id.ok_or_else(|| Unavailable::new(OPERATION, "S3 gave no upload id"))
    }
}

impl SignPart for Media {
    async fn sign_part(
        &self, image: &Image, multipart: &Multipart, number: u16, now: Time,
    ) -> Result<PartTarget, Unavailable> {
        const OPERATION: &str = "sign_part";
        let config =
            PresigningConfig::expires_in(UPLOAD_WINDOW).map_err(|e| Unavailable::new(OPERATION, e))?;
        let length = multipart.bytes_of(number, image.declared.bytes).map(i64::try_from).transpose();
        let request = self
            .client
            .upload_part()
            .bucket(&self.buckets.uploads)
            .key(key(image, multipart.upload))
            .upload_id(&multipart.id)
            .part_number(i32::from(number))
            .set_content_length(length.map_err(|e| Unavailable::new(OPERATION, e))?)
            .presigned(config)
            .await
            .map_err(|e| Unavailable::new(OPERATION, e))?;
        let headers = request.headers().filter(|(name, _)| *name == "content-length");
        Ok(PartTarget {
            number,
            url: request.uri().to_owned(),
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            expires_at: now.after(UPLOAD_WINDOW),
        })
    }
}

impl ListParts for Media {
    async fn list_parts(
        &self, image: &Image, multipart: &Multipart,
    ) -> Result<Option<Vec<Part>>, Unavailable> {
        const OPERATION: &str = "list_parts";
        // There are never more than fit on one page: the largest upload has 20 parts.
        let listed = self
            .client
            .list_parts()
            .bucket(&self.buckets.uploads)
            .key(key(image, multipart.upload))
            .upload_id(&multipart.id)
            .send()
            .await;
        let listed = match listed {
            Ok(listed) => listed,
            Err(error) if error.code() == Some(NO_SUCH_UPLOAD) => return Ok(None),
            Err(error) => return Err(unavailable(OPERATION, error)),
        };
        let part = |part: &aws_sdk_s3::types::Part| {
            Some(Part {
                number: u16::try_from(part.part_number()?).ok()?,
                etag: bare(part.e_tag()?).to_owned(),
                bytes: u64::try_from(part.size()?).ok()?,
            })
        };
        let parts: Option<Vec<_>> = listed.parts().iter().map(part).collect();
        parts.map(Some).ok_or_else(|| Unavailable::new(OPERATION, "S3 left out what a part is"))
    }
}

impl JoinParts for Media {
    async fn join_parts(
        &self, image: &Image, multipart: &Multipart, parts: &[Part],
    ) -> Result<(), JoinPartsError> {
        const OPERATION: &str = "join_parts";
        let named = parts.iter().map(|part| {
            CompletedPart::builder().part_number(i32::from(part.number)).e_tag(&part.etag).build()
        });
        let upload = CompletedMultipartUpload::builder().set_parts(Some(named.collect())).build();
        let joined = self
            .client
            .complete_multipart_upload()
            .bucket(&self.buckets.uploads)
            .key(key(image, multipart.upload))
            .upload_id(&multipart.id)
            .multipart_upload(upload)
            .send()
            .await;
        match joined {
            Ok(_) => Ok(()),
            Err(error) => Err(match error.code() {
                Some(NO_SUCH_UPLOAD) => JoinPartsError::Gone,
                Some("InvalidPart" | "InvalidPartOrder" | "EntityTooSmall") => {
                    JoinPartsError::Refused(unavailable(OPERATION, error))
                }
                _ => JoinPartsError::Unavailable(unavailable(OPERATION, error)),
            }),
        }
    }
}

impl AbortParts for Media {
    async fn abort_parts(&self, image: &Image, multipart: &Multipart) -> Result<(), Unavailable> {
        let aborted = self
            .client
            .abort_multipart_upload()
            .bucket(&self.buckets.uploads)
            .key(key(image, multipart.upload))
            .upload_id(&multipart.id)
            .send()
            .await;
        match aborted {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some(NO_SUCH_UPLOAD) => Ok(()),
            Err(error) => Err(unavailable("abort_parts", error)),
        }
    }
}

impl FindUpload for Media {
    async fn find_upload(&self, image: &Image, upload: UploadId) -> Result<Option<u64>, Unavailable> {
        const OPERATION: &str = "find_upload";
        let found =
            self.client.head_object().bucket(&self.buckets.uploads).key(key(image, upload)).send().await;
        match found {
            Ok(object) => Ok(Some(object.content_length().and_then(|n| u64::try_from(n).ok()).unwrap_or(0))),
            // An answer to HEAD has no body that could say `NoSuchKey`.
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(aws_sdk_s3::operation::head_object::HeadObjectError::is_not_found) =>
            {
                Ok(None)
            }
            Err(error) => Err(unavailable(OPERATION, error)),
        }
    }
}

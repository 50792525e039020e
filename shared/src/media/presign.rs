//! Requests that a client may make of S3 in our name.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use aws_credential_types::provider::ProvideCredentials as _;
use aws_sdk_s3::presigning::PresigningConfig;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Media, keys, post_policy};
use crate::domain::image::{Image, UPLOAD_WINDOW};
use crate::domain::{Time, Unavailable};

/// What a client has to send with a PUT, because it is signed.
const SIGNED: [&str; 3] = ["content-length", "content-type", "if-none-match"];

/// How a client sends its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum UploadMethod {
    /// As a form, which a browser can submit without a script.
    #[default]
    Post,
    /// As the body of one request.
    Put,
}

/// Where to send the bytes, and how.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct UploadTarget {
    /// `POST` or `PUT`.
    pub method: UploadMethod,
    /// Where.
    pub url: String,
    /// The form's fields, to be sent before the field `file`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, String>,
    /// The request's headers, each of which is part of the signature.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Until when.
    pub expires_at: Time,
}

/// Lets a client upload an image's bytes.
pub trait PresignUpload {
    /// A target that takes exactly what was declared, for an hour. What is sent there after the first
    /// upload was processed is deleted unseen.
    fn presign_upload(
        &self, image: &Image, method: UploadMethod, now: Time,
    ) -> impl Future<Output = Result<UploadTarget, Unavailable>> + Send;
}

impl PresignUpload for Media {
    async fn presign_upload(
        &self, image: &Image, method: UploadMethod, now: Time,
    ) -> Result<UploadTarget, Unavailable> {
        match method {
            UploadMethod::Post => self.presign_form(image, image.declared.bytes, now).await,
            UploadMethod::Put => self.presign_put(image, now).await,
        }
    }
}

/// Lets a client upload bytes whose number it does not know.
pub trait PresignForm {
    /// A form that takes at least so many bytes, and at most what was declared, for an hour.
    fn presign_form(
        &self, image: &Image, least: u64, now: Time,
    ) -> impl Future<Output = Result<UploadTarget, Unavailable>> + Send;
}

impl PresignForm for Media {
    async fn presign_form(&self, image: &Image, least: u64, now: Time) -> Result<UploadTarget, Unavailable> {
        const OPERATION: &str = "presign_form";
        let credentials =
            self.credentials.provide_credentials().await.map_err(|e| Unavailable::new(OPERATION, e))?;
        let expires_at = now.after(UPLOAD_WINDOW);
        let fields = post_policy::fields(&post_policy::Form {
            bucket: &self.buckets.uploads,
            key: &keys::upload(image.project, image.id, image.upload),
            content_type: &image.declared.content_type,
            bytes: least..=image.declared.bytes,
            region: &self.region,
            credentials: &credentials,
            now,
            expires_at,
        });
        let bucket = &self.buckets.uploads;
        let url = self.endpoint.as_ref().map_or_else(
            || format!("https://{bucket}.s3.{}.amazonaws.com/", self.region),
            |endpoint| format!("{}/{bucket}", endpoint.trim_end_matches('/')),
        );
        Ok(UploadTarget { method: UploadMethod::Post, url, fields, headers: BTreeMap::new(), expires_at })
    }
}

impl Media {
    /// A URL that fetches an object in our name, for as long as a client needs to follow a redirect.
    pub(super) async fn presign_get(&self, bucket: &str, key: &str) -> Result<String, Unavailable> {
        const OPERATION: &str = "presign_get";
        const LIFETIME: Duration = Duration::from_mins(5);
        let config = PresigningConfig::expires_in(LIFETIME).map_err(|e| Unavailable::new(OPERATION, e))?;
        let request = self.client.get_object().bucket(bucket).key(key).presigned(config).await;
        Ok(request.map_err(|e| Unavailable::new(OPERATION, e))?.uri().to_owned())
    }

    async fn presign_put(&self, image: &Image, now: Time) -> Result<UploadTarget, Unavailable> {
        const OPERATION: &str = "presign_upload";
        let config =
            PresigningConfig::expires_in(UPLOAD_WINDOW).map_err(|e| Unavailable::new(OPERATION, e))?;
        let length = i64::try_from(image.declared.bytes).map_err(|e| Unavailable::new(OPERATION, e))?;
        let request = self
            .client
            .put_object()
            .bucket(&self.buckets.uploads)
            .key(keys::upload(image.project, image.id, image.upload))
            .content_type(&image.declared.content_type)
            .content_length(length)
            // Whoever finds the URL cannot replace bytes that are still to be processed.
            .if_none_match("*")
            .presigned(config)
            .await
            .map_err(|e| Unavailable::new(OPERATION, e))?;
        Ok(UploadTarget {
            method: UploadMethod::Put,
            url: request.uri().to_owned(),
            fields: BTreeMap::new(),
            headers: request
                .headers()
                // The SDK has headers of its own for tracing, which are not signed and not the client's to send.
                .filter(|(name, _)| SIGNED.contains(name))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            expires_at: now.after(UPLOAD_WINDOW),
        })
    }
}

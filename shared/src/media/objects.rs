//! Objects: read, stored and erased.

use std::future::Future;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::head_object::HeadObjectError;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{Delete, MetadataDirective, ObjectIdentifier};
use bytes::{Bytes, BytesMut};

use super::{Media, keys};
use crate::domain::error::ReadObjectError;
use crate::domain::image::{Image, Original, Picture};
use crate::domain::{ImageId, PictureName, ProjectId, Unavailable, UploadId, Variant, Visibility};

/// Renderings are never written twice under one key, so whoever has one may keep it.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// The name under which an object knows the hash of its bytes.
const SHA256: &str = "sha256";

/// For requests in which a picture is written, or copied within S3: these take longer than an answer. The body of
/// one that is read is on its way after the answer, and not held to its time.
fn patiently() -> aws_sdk_s3::config::Builder {
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(Duration::from_secs(20));
    aws_sdk_s3::Config::builder().timeout_config(timeouts.disable_operation_timeout().build())
}

/// Reads what a client uploaded.
pub trait ReadUpload {
    /// The bytes, of which there may be `limit`.
    fn read_upload(
        &self, image: &Image, limit: u64,
    ) -> impl Future<Output = Result<Bytes, ReadObjectError>> + Send;
}

/// Keeps a cleaned original.
pub trait StoreOriginal {
    /// Stores it under its key.
    fn store_original(
        &self, original: &Original, media_type: &str, bytes: Bytes,
    ) -> impl Future<Output = Result<(), Unavailable>> + Send;
}

/// Keeps a rendering.
pub trait StoreVariant {
    /// Stores it under the image's upload and visibility.
    fn store_variant(
        &self, image: &Image, name: PictureName, media_type: &str, bytes: Bytes,
    ) -> impl Future<Output = Result<(), Unavailable>> + Send;
}

/// Clears the quarantine of an upload.
pub trait DeleteUpload {
    /// Deletes it, if it is there.
    fn delete_upload(
        &self, project: ProjectId, image: ImageId, upload: UploadId,
    ) -> impl Future<Output = Result<(), Unavailable>> + Send;
}

/// A rendering, as it can be passed on.
#[derive(Debug)]
pub enum VariantBody {
    /// Its bytes.
    Bytes(Bytes),
    /// A URL of S3, good for a few minutes, where they are.
    Elsewhere(String),
}

/// Reads a rendering.
pub trait ReadVariant {
    /// The bytes if there are at most `limit`, else where they are.
    fn read_variant(
        &self, image: &Image, variant: &Variant, limit: u64,
    ) -> impl Future<Output = Result<VariantBody, ReadObjectError>> + Send;
}

/// Gives an image's original to the workers once more.
pub trait UploadOriginal {
    /// Copies it to where this upload of the image is awaited, as if a client had sent it.
    fn upload_original(
        &self, image: &Image, picture: &Picture, upload: UploadId,
    ) -> impl Future<Output = Result<(), Unavailable>> + Send;
}

/// Gives an upload to the workers once more.
pub trait AnnounceUpload {
    /// Has the bucket announce it again. Whether it is there at all.
    fn announce_upload(&self, image: &Image) -> impl Future<Output = Result<bool, Unavailable>> + Send;
}

/// Carries variants over to where they belong.
pub trait CopyVariants {
    /// Copies what lies where the image was to be seen before, and gives the keys that may go there now.
    fn copy_variants(&self, image: &Image) -> impl Future<Output = Result<Vec<String>, Unavailable>> + Send;
}

/// Deletes variants.
pub trait EraseVariants {
    /// Deletes these, if they are there.
    fn erase_variants(&self, keys: &[String]) -> impl Future<Output = Result<(), Unavailable>> + Send;
}

/// Deletes what was made of an image.
pub trait EraseObjects {
    /// Its uploads and variants: all of them, or those of one upload. Erasing twice is erasing once.
    fn erase_objects(
        &self, image: &Image, upload: Option<UploadId>,
    ) -> impl Future<Output = Result<(), Unavailable>> + Send;
}

/// An original that lies under an image's prefix. Other images may refer to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredOriginal {
    /// Its key.
    pub key: String,
    /// The hash of its bytes, which it was stored with.
    pub sha256: Option<String>,
}

/// Looks at what lies under an image's prefix.
pub trait ListOriginals {
    /// The originals that came with an image's uploads.
    fn list_originals(
        &self, image: &Image,
    ) -> impl Future<Output = Result<Vec<StoredOriginal>, Unavailable>> + Send;
}

/// Deletes originals.
pub trait EraseOriginals {
    /// Deletes these, if they are there.
    fn erase_originals(&self, keys: &[String]) -> impl Future<Output = Result<(), Unavailable>> + Send;
}

impl ReadUpload for Media {
    async fn read_upload(&self, image: &Image, limit: u64) -> Result<Bytes, ReadObjectError> {
        let key = keys::upload(image.project, image.id, image.upload);
        read(&self.client, "read_upload", &self.buckets.uploads, &key, limit).await
    }
}

impl ReadVariant for Media {
    async fn read_variant(
        &self, image: &Image, variant: &Variant, limit: u64,
    ) -> Result<VariantBody, ReadObjectError> {
        if image.moving {
            return self.read_moving(image, variant, limit).await;
        }
        let key = keys::variant(image, variant.name());
        if variant.bytes > limit {
            let url = self.presign_get(&self.buckets.variants, &key).await;
            return url.map(VariantBody::Elsewhere).map_err(ReadObjectError::Unavailable);
        }
        let bytes = read(&self.client, "read_variant", &self.buckets.variants, &key, limit).await?;
        Ok(VariantBody::Bytes(bytes))
    }
}

impl Media {
    /// Reads a rendering that may lie on either side, and is there on the second look at the first one if it was
    /// carried over in between.
    async fn read_moving(
        &self, image: &Image, variant: &Variant, limit: u64,
    ) -> Result<VariantBody, ReadObjectError> {
        const OPERATION: &str = "read_variant";
        let bucket = &self.buckets.variants;
        for side in [image.shown_to(), image.shown_to().other(), image.shown_to()] {
            let key = keys::variant_in(image, side, variant.name());
            if variant.bytes <= limit {
                match read(&self.client, OPERATION, bucket, &key, limit).await {
                    Err(ReadObjectError::NotFound) => continue,
                    read => return read.map(VariantBody::Bytes),
                }
            }
            match self.client.head_object().bucket(bucket).key(&key).send().await {
                Ok(_) => {
                    let url = self.presign_get(bucket, &key).await;
                    return url.map(VariantBody::Elsewhere).map_err(ReadObjectError::Unavailable);
                }
                Err(error) if error.as_service_error().is_some_and(HeadObjectError::is_not_found) => {}
                Err(error) => return Err(ReadObjectError::Unavailable(unavailable(OPERATION, error))),
            }
        }
        Err(ReadObjectError::NotFound)
    }
}

impl UploadOriginal for Media {
    async fn upload_original(
        &self, image: &Image, picture: &Picture, upload: UploadId,
    ) -> Result<(), Unavailable> {
        let stored = picture.original.as_ref().map(|original| original.key.clone());
        let key = stored.unwrap_or_else(|| keys::original(image, &picture.extension));
        self.client
            .copy_object()
            .copy_source(format!("{}/{key}", self.buckets.originals))
            .bucket(&self.buckets.uploads)
            .key(keys::upload(image.project, image.id, upload))
            .customize()
            .config_override(patiently())
            .send()
            .await
            .map_err(|e| unavailable("upload_original", e))?;
        Ok(())
    }
}

impl AnnounceUpload for Media {
    async fn announce_upload(&self, image: &Image) -> Result<bool, Unavailable> {
        let key = keys::upload(image.project, image.id, image.upload);
        let copied = self
            .client
            .copy_object()
            .copy_source(format!("{}/{key}", self.buckets.uploads))
            .bucket(&self.buckets.uploads)
            .key(key)
            // S3 copies nothing onto itself that is not another object afterwards.
            .metadata_directive(MetadataDirective::Replace)
            .content_type(&image.declared.content_type)
            .customize()
            .config_override(patiently())
            .send()
            .await;
        match copied {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Some("NoSuchKey") => Ok(false),
            Err(error) => Err(unavailable("announce_upload", error)),
        }
    }
}

impl CopyVariants for Media {
    async fn copy_variants(&self, image: &Image) -> Result<Vec<String>, Unavailable> {
        const OPERATION: &str = "copy_variants";
        let bucket = &self.buckets.variants;
        let from = keys::variants_of(image, image.shown_to().other());
        let to = keys::variants_of(image, image.shown_to());
        // A page of a listing is a thousand objects. What is beyond it is found when this is asked again.
        let listed = self.client.list_objects_v2().bucket(bucket).prefix(&from).send().await;
        let listed = listed.map_err(|e| unavailable(OPERATION, e))?;
        let found: Vec<String> =
            listed.contents().iter().filter_map(|object| object.key()).map(str::to_owned).collect();
        // Variants of an upload that was replaced are being erased: they only leave.
        let replacement = image.replacement.as_ref().map(|new| new.upload);
        let kept: Vec<String> = [Some(image.upload), replacement]
            .into_iter()
            .flatten()
            .map(|upload| upload.to_string())
            .collect();
        for key in &found {
            let Some(name) = key.strip_prefix(&from) else { continue };
            if !kept.iter().any(|upload| name.starts_with(upload)) {
                continue;
            }
            let copy = self.client.copy_object().bucket(bucket).copy_source(format!("{bucket}/{key}"));
            let copy = copy.key(format!("{to}{name}")).customize().config_override(patiently());
            match copy.send().await {
                Ok(_) => {}
                // Carried over by somebody else, or erased, since it was listed.
                Err(error) if error.code() == Some("NoSuchKey") => {}
                Err(error) => return Err(unavailable(OPERATION, error)),
            }
        }
        Ok(found)
    }
}

impl EraseVariants for Media {
    async fn erase_variants(&self, keys: &[String]) -> Result<(), Unavailable> {
        delete(&self.client, "erase_variants", &self.buckets.variants, keys.to_vec()).await
    }
}

impl StoreOriginal for Media {
    async fn store_original(
        &self, original: &Original, media_type: &str, bytes: Bytes,
    ) -> Result<(), Unavailable> {
        const OPERATION: &str = "store_original";
        self.client
            .put_object()
            .bucket(&self.buckets.originals)
            .key(&original.key)
            .content_type(media_type)
            // What a purge asks the table by whether somebody refers to the object.
            .metadata(SHA256, &original.sha256)
            .body(ByteStream::from(bytes))
            .customize()
            .config_override(patiently())
            .send()
            .await
            .map_err(|e| unavailable(OPERATION, e))?;
        Ok(())
    }
}

impl StoreVariant for Media {
    async fn store_variant(
        &self, image: &Image, name: PictureName, media_type: &str, bytes: Bytes,
    ) -> Result<(), Unavailable> {
        self.client
            .put_object()
            .bucket(&self.buckets.variants)
            .key(keys::variant(image, name))
            .content_type(media_type)
            .cache_control(FOR_EVER)
            .body(ByteStream::from(bytes))
            .customize()
            .config_override(patiently())
            .send()
            .await
            .map_err(|e| unavailable("store_variant", e))?;
        Ok(())
    }
}

impl DeleteUpload for Media {
    async fn delete_upload(
        &self, project: ProjectId, image: ImageId, upload: UploadId,
    ) -> Result<(), Unavailable> {
        self.client
            .delete_object()
            .bucket(&self.buckets.uploads)
            .key(keys::upload(project, image, upload))
            .send()
            .await
            .map_err(|e| unavailable("delete_upload", e))?;
        Ok(())
    }
}

impl EraseObjects for Media {
    async fn erase_objects(&self, image: &Image, upload: Option<UploadId>) -> Result<(), Unavailable> {
        // Ids have one length, so no upload's id is the beginning of another's.
        let of = |prefix: String| upload.map_or_else(|| prefix.clone(), |upload| format!("{prefix}{upload}"));
        let places = [
            (&self.buckets.uploads, of(keys::originals_of(image))),
            (&self.buckets.variants, of(keys::variants_of(image, Visibility::Public))),
            (&self.buckets.variants, of(keys::variants_of(image, Visibility::Private))),
        ];
        for (bucket, prefix) in places {
            erase(&self.client, bucket, &prefix).await?;
        }
        Ok(())
    }
}

impl ListOriginals for Media {
    async fn list_originals(&self, image: &Image) -> Result<Vec<StoredOriginal>, Unavailable> {
        const OPERATION: &str = "list_originals";
        let (bucket, prefix) = (&self.buckets.originals, keys::originals_of(image));
        let mut originals = vec![];
        // An image has as many originals as it had uploads. What is not found now is never looked for again.
        let mut pages = self.client.list_objects_v2().bucket(bucket).prefix(prefix).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|e| unavailable(OPERATION, e))?;
            for key in page.contents().iter().filter_map(|object| object.key()) {
                let head = self.client.head_object().bucket(bucket).key(key).send().await;
                let head = head.map_err(|e| unavailable(OPERATION, e))?;
                let sha256 = head.metadata().and_then(|metadata| metadata.get(SHA256)).cloned();
                originals.push(StoredOriginal { key: key.to_owned(), sha256 });
            }
        }
        Ok(originals)
    }
}

impl EraseOriginals for Media {
    async fn erase_originals(&self, keys: &[String]) -> Result<(), Unavailable> {
        for key in keys {
            let deleted = self.client.delete_object().bucket(&self.buckets.originals).key(key).send().await;
            deleted.map_err(|e| unavailable("erase_originals", e))?;
        }
        Ok(())
    }
}

async fn read(
    client: &Client, operation: &'static str, bucket: &str, key: &str, limit: u64,
) -> Result<Bytes, ReadObjectError> {
    let object = client.get_object().bucket(bucket).key(key).send().await.map_err(|error| {
        if error.code() == Some("NoSuchKey") {
            ReadObjectError::NotFound
        } else {
            ReadObjectError::Unavailable(unavailable(operation, error))
        }
    })?;
    let length = object.content_length().and_then(|length| u64::try_from(length).ok()).unwrap_or(0);
    if length > limit {
        return Err(ReadObjectError::TooLarge { bytes: length });
    }
    // One allocation of the right size: collecting first would hold a large upload twice.
    let mut bytes = BytesMut::with_capacity(usize::try_from(length).unwrap_or(0));
    let mut body = object.body;
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|e| ReadObjectError::Unavailable(Unavailable::new(operation, e)))?;
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

/// Deletes what starts with a prefix. Listing rather than remembering finds what a crashed worker left.
async fn erase(client: &Client, bucket: &str, prefix: &str) -> Result<(), Unavailable> {
    const OPERATION: &str = "erase_objects";
    loop {
        let listed = client
            .list_objects_v2()
            .bucket(bucket)
            .prefix(prefix)
            .send()
            .await
            .map_err(|e| unavailable(OPERATION, e))?;
        let found: Vec<String> =
            listed.contents().iter().filter_map(|object| object.key()).map(str::to_owned).collect();
        if found.is_empty() {
            return Ok(());
        }
        delete(client, OPERATION, bucket, found).await?;
    }
}

/// Deletes objects, a thousand at most.
async fn delete(
    client: &Client, operation: &'static str, bucket: &str, keys: Vec<String>,
) -> Result<(), Unavailable> {
    if keys.is_empty() {
        return Ok(());
    }
    let objects = keys
        .into_iter()
        .map(|key| ObjectIdentifier::builder().key(key).build())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| Unavailable::new(operation, e))?;
    let delete = Delete::builder()
        .set_objects(Some(objects))
        .quiet(true)
        .build()
        .map_err(|e| Unavailable::new(operation, e))?;
    let deleted = client
        .delete_objects()
        .bucket(bucket)
        .delete(delete)
        .send()
        .await
        .map_err(|e| unavailable(operation, e))?;
    if let Some(error) = deleted.errors().first() {
        let reason = format!("{}: {}", error.code().unwrap_or("?"), error.message().unwrap_or("?"));
        return Err(Unavailable::new(operation, reason));
    }
    Ok(())
}

pub(super) fn unavailable<E>(operation: &'static str, error: SdkError<E>) -> Unavailable
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let throttled = error.code() == Some("SlowDown");
    Unavailable { operation, throttled, source: error.into() }
}

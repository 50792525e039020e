//! Objects: read, stored and erased.

use std::future::Future;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use bytes::{Bytes, BytesMut};

use super::{Media, keys};
use crate::domain::error::ReadObjectError;
use crate::domain::image::{Image, Original};
use crate::domain::{ImageId, PictureName, ProjectId, Unavailable, UploadId, Variant, Visibility};

/// Renderings are never written twice under one key, so whoever has one may keep it.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// The name under which an object knows the hash of its bytes.
const SHA256: &str = "sha256";

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
        let key = keys::variant(image, variant.name());
        if variant.bytes > limit {
            let url = self.presign_get(&self.buckets.variants, &key).await;
            return url.map(VariantBody::Elsewhere).map_err(ReadObjectError::Unavailable);
        }
        let bytes = read(&self.client, "read_variant", &self.buckets.variants, &key, limit).await?;
        Ok(VariantBody::Bytes(bytes))
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
        // An image has as many originals as it had uploads: more than a page of them is not to be expected,
        // and found when the image is purged again.
        let listed = self.client.list_objects_v2().bucket(bucket).prefix(prefix).send().await;
        let listed = listed.map_err(|e| unavailable(OPERATION, e))?;
        let mut originals = vec![];
        for key in listed.contents().iter().filter_map(|object| object.key()) {
            let head = self.client.head_object().bucket(bucket).key(key).send().await;
            let head = head.map_err(|e| unavailable(OPERATION, e))?;
            let sha256 = head.metadata().and_then(|metadata| metadata.get(SHA256)).cloned();
            originals.push(StoredOriginal { key: key.to_owned(), sha256 });
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
        let objects = listed
            .contents()
            .iter()
            .filter_map(|object| object.key())
            .map(|key| ObjectIdentifier::builder().key(key).build())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| Unavailable::new(OPERATION, e))?;
        if objects.is_empty() {
            return Ok(());
        }
        let delete = Delete::builder()
            .set_objects(Some(objects))
            .quiet(true)
            .build()
            .map_err(|e| Unavailable::new(OPERATION, e))?;
        let deleted = client
            .delete_objects()
            .bucket(bucket)
            .delete(delete)
            .send()
            .await
            .map_err(|e| unavailable(OPERATION, e))?;
        if let Some(error) = deleted.errors().first() {
            let reason = format!("{}: {}", error.code().unwrap_or("?"), error.message().unwrap_or("?"));
            return Err(Unavailable::new(OPERATION, reason));
        }
    }
}

fn unavailable<E>(operation: &'static str, error: SdkError<E>) -> Unavailable
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let throttled = error.code() == Some("SlowDown");
    Unavailable { operation, throttled, source: error.into() }
}

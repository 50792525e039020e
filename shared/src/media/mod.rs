//! S3: three buckets, because what is in them lives differently.
//!
//! *uploads* is a quarantine that expires in a day, *originals* is kept, *variants* can be made again and is
//! the only one that pictures are served from.

pub mod keys;
mod multipart;
mod objects;
mod post_policy;
mod presign;

use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_s3::Client;

pub use multipart::{AbortParts, BeginParts, FindUpload, JoinParts, ListParts, PartTarget, SignPart};
pub use objects::{
    AnnounceUpload, CopyVariants, DeleteUpload, EraseObjects, EraseOriginals, EraseVariants, ListOriginals,
    ReadUpload, ReadVariant, StoreOriginal, StoreVariant, StoredOriginal, UploadOriginal, VariantBody,
};
pub use presign::{PresignForm, PresignUpload, UploadMethod, UploadTarget};

/// The buckets' names. A function has the ones that its environment names.
#[derive(Debug, Clone, Default)]
pub struct Buckets {
    /// Where clients put bytes.
    pub uploads: String,
    /// Where cleaned originals are kept.
    pub originals: String,
    /// Where renderings are.
    pub variants: String,
}

/// The three buckets.
#[derive(Debug, Clone)]
pub struct Media {
    client: Client,
    credentials: SharedCredentialsProvider,
    region: String,
    endpoint: Option<String>,
    buckets: Buckets,
}

impl Media {
    /// The buckets behind a client. `endpoint` is where S3 is, if it is not where AWS has it.
    pub const fn new(
        client: Client, credentials: SharedCredentialsProvider, region: String, endpoint: Option<String>,
        buckets: Buckets,
    ) -> Self {
        Self { client, credentials, region, endpoint, buckets }
    }
}

//! Who may do what: signatures are checked with the identity's secret, then IAM is asked.
//!
//! The actions of the operations:
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html>

use std::sync::Arc;

use http::Extensions;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::dto::{CopyObjectInput, CopySource, ListObjectsV2Input};
use s3s::{S3Error, S3Request, S3Result, s3_error};

use super::S3;
use crate::iam::{AccessRequest, Identity};

/// Where a request comes from; put into it by the server.
#[derive(Clone)]
pub(super) struct Origin {
    pub request_id: String,
    pub source_ip: String,
}

/// On whose behalf a request acts: of a presigned URL or form, that is who signed it.
#[derive(Clone)]
pub(super) struct Caller {
    pub identity: Arc<Identity>,
    pub request_id: String,
    pub source_ip: String,
}

impl Caller {
    pub fn new(identity: &Arc<Identity>, origin: Origin) -> Self {
        Self { identity: Arc::clone(identity), request_id: origin.request_id, source_ip: origin.source_ip }
    }

    /// The caller that the access check has found for a request.
    pub fn of(extensions: &Extensions) -> S3Result<Self> {
        extensions.get().cloned().ok_or_else(anonymous)
    }

    pub fn authorize(&self, action: &str, resource: &str, context: &[(&str, Vec<String>)]) -> S3Result<()> {
        self.identity
            .authorize(&AccessRequest { action, resource, context })
            .map_err(|denied| s3_error!(AccessDenied, "User: {denied}"))
    }

    /// The answer for a key that does not exist: only who may list the bucket may know.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html#API_GetObject_Permissions>
    pub fn missing(&self, bucket: &str) -> S3Error {
        match self.authorize("s3:ListBucket", &bucket_arn(bucket), &[]) {
            Ok(()) => s3_error!(NoSuchKey, "The specified key does not exist."),
            Err(denied) => denied,
        }
    }
}

pub(super) fn anonymous() -> S3Error {
    s3_error!(AccessDenied, "Access Denied")
}

pub(super) fn unknown_key() -> S3Error {
    s3_error!(InvalidAccessKeyId, "The AWS Access Key Id you provided does not exist in our records.")
}

pub(super) fn bucket_arn(bucket: &str) -> String {
    format!("arn:aws:s3:::{bucket}")
}

pub(super) fn object_arn(bucket: &str, key: &str) -> String {
    format!("arn:aws:s3:::{bucket}/{key}")
}

#[async_trait::async_trait]
impl S3Auth for S3 {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        let identity = self.0.identities.get(access_key).ok_or_else(unknown_key)?;
        Ok(SecretKey::from(identity.secret_key.clone()))
    }
}

#[async_trait::async_trait]
impl S3Access for S3 {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let signer = context.credentials().ok_or_else(anonymous)?;
        let identity = self.0.identities.get(&signer.access_key).ok_or_else(unknown_key)?;
        let origin = context.extensions_mut().remove::<Origin>().ok_or_else(anonymous)?;
        let caller = Caller::new(identity, origin);
        // What does not exist cannot be denied, and a wrong name should not look like a missing right.
        if let Some(bucket) = context.s3_path().get_bucket_name() {
            self.0.bucket(bucket)?;
        }
        let action = match context.s3_op().name() {
            "GetObject" | "HeadObject" => "s3:GetObject",
            "PutObject"
            | "CopyObject"
            | "CreateMultipartUpload"
            | "UploadPart"
            | "CompleteMultipartUpload" => "s3:PutObject",
            "DeleteObject" => "s3:DeleteObject",
            "AbortMultipartUpload" => "s3:AbortMultipartUpload",
            "ListParts" => "s3:ListMultipartUploadParts",
            "ListMultipartUploads" => "s3:ListBucketMultipartUploads",
            "HeadBucket" => "s3:ListBucket",
            "GetBucketLocation" => "s3:GetBucketLocation",
            "ListBuckets" => "s3:ListAllMyBuckets",
            // These depend on what is asked for, and are checked when that is parsed.
            "ListObjectsV2" | "DeleteObjects" => {
                context.extensions_mut().insert(caller);
                return Ok(());
            }
            other => return Err(s3_error!(NotImplemented, "{other} is not implemented")),
        };
        let path = context.s3_path();
        let resource = match (path.as_object(), path.as_bucket()) {
            (Some((bucket, key)), _) => object_arn(bucket, key),
            (None, Some(bucket)) => bucket_arn(bucket),
            (None, None) => "*".to_owned(),
        };
        caller.authorize(action, &resource, &[])?;
        context.extensions_mut().insert(caller);
        Ok(())
    }

    async fn list_objects_v2(&self, request: &mut S3Request<ListObjectsV2Input>) -> S3Result<()> {
        let input = &request.input;
        let stated = [
            ("s3:prefix", input.prefix.clone()),
            ("s3:delimiter", input.delimiter.clone()),
            ("s3:max-keys", input.max_keys.map(|keys| keys.to_string())),
        ];
        let context: Vec<_> =
            stated.into_iter().filter_map(|(key, value)| value.map(|value| (key, vec![value]))).collect();
        Caller::of(&request.extensions)?.authorize("s3:ListBucket", &bucket_arn(&input.bucket), &context)
    }

    async fn copy_object(&self, request: &mut S3Request<CopyObjectInput>) -> S3Result<()> {
        match &request.input.copy_source {
            CopySource::Bucket { bucket, key, .. } => {
                Caller::of(&request.extensions)?.authorize("s3:GetObject", &object_arn(bucket, key), &[])
            }
            _ => Err(s3_error!(NotImplemented, "Access points are not implemented")),
        }
    }
}

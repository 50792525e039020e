//! The operations that the embedded S3 knows, each handed to where it lives. The access check has found
//! that the bucket exists and that the caller may do this.

use s3s::{S3Request, S3Response, S3Result, dto};

use super::{REGION, S3, complete, copy, multipart, objects};

#[async_trait::async_trait]
impl s3s::S3 for S3 {
    async fn put_object(
        &self, request: S3Request<dto::PutObjectInput>,
    ) -> S3Result<S3Response<dto::PutObjectOutput>> {
        objects::put(&self.0, request).await.map(S3Response::new)
    }

    async fn get_object(
        &self, request: S3Request<dto::GetObjectInput>,
    ) -> S3Result<S3Response<dto::GetObjectOutput>> {
        objects::get(&self.0, request).await.map(S3Response::new)
    }

    async fn head_object(
        &self, request: S3Request<dto::HeadObjectInput>,
    ) -> S3Result<S3Response<dto::HeadObjectOutput>> {
        objects::head(&self.0, request).await
    }

    async fn delete_object(
        &self, request: S3Request<dto::DeleteObjectInput>,
    ) -> S3Result<S3Response<dto::DeleteObjectOutput>> {
        objects::delete(&self.0, request.input).await.map(S3Response::new)
    }

    async fn delete_objects(
        &self, request: S3Request<dto::DeleteObjectsInput>,
    ) -> S3Result<S3Response<dto::DeleteObjectsOutput>> {
        objects::delete_many(&self.0, request).await.map(S3Response::new)
    }

    async fn copy_object(
        &self, request: S3Request<dto::CopyObjectInput>,
    ) -> S3Result<S3Response<dto::CopyObjectOutput>> {
        copy::copy(&self.0, request).await.map(S3Response::new)
    }

    async fn list_objects_v2(
        &self, request: S3Request<dto::ListObjectsV2Input>,
    ) -> S3Result<S3Response<dto::ListObjectsV2Output>> {
        self.0.list_objects(request.input).await.map(S3Response::new)
    }

    async fn list_buckets(
        &self, _: S3Request<dto::ListBucketsInput>,
    ) -> S3Result<S3Response<dto::ListBucketsOutput>> {
        Ok(S3Response::new(self.0.list_buckets()))
    }

    async fn head_bucket(
        &self, _: S3Request<dto::HeadBucketInput>,
    ) -> S3Result<S3Response<dto::HeadBucketOutput>> {
        let bucket_region = Some(REGION.to_owned());
        Ok(S3Response::new(dto::HeadBucketOutput { bucket_region, ..dto::HeadBucketOutput::default() }))
    }

    async fn get_bucket_location(
        &self, _: S3Request<dto::GetBucketLocationInput>,
    ) -> S3Result<S3Response<dto::GetBucketLocationOutput>> {
        let location_constraint = Some(dto::BucketLocationConstraint::from_static(REGION));
        Ok(S3Response::new(dto::GetBucketLocationOutput { location_constraint }))
    }

    async fn create_multipart_upload(
        &self, request: S3Request<dto::CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<dto::CreateMultipartUploadOutput>> {
        multipart::create(&self.0, request.input).await.map(S3Response::new)
    }

    async fn upload_part(
        &self, request: S3Request<dto::UploadPartInput>,
    ) -> S3Result<S3Response<dto::UploadPartOutput>> {
        multipart::upload_part(&self.0, request).await.map(S3Response::new)
    }

    async fn list_parts(
        &self, request: S3Request<dto::ListPartsInput>,
    ) -> S3Result<S3Response<dto::ListPartsOutput>> {
        multipart::list_parts(&self.0, request.input).await.map(S3Response::new)
    }

    async fn complete_multipart_upload(
        &self, request: S3Request<dto::CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<dto::CompleteMultipartUploadOutput>> {
        complete::complete(&self.0, request).await.map(S3Response::new)
    }

    async fn abort_multipart_upload(
        &self, request: S3Request<dto::AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<dto::AbortMultipartUploadOutput>> {
        multipart::abort(&self.0, request.input).await.map(S3Response::new)
    }

    async fn list_multipart_uploads(
        &self, request: S3Request<dto::ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<dto::ListMultipartUploadsOutput>> {
        multipart::list_uploads(&self.0, request.input).await.map(S3Response::new)
    }
}

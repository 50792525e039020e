//! `PutObject`, `GetObject`, `HeadObject`, `DeleteObject`, `DeleteObjects`.

use std::io::SeekFrom;
use std::sync::Arc;

use http::header::{HeaderMap, HeaderName};
use http::{HeaderValue, StatusCode};
use s3s::dto::{
    ChecksumMode, DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput,
    DeletedObject, ETag, ETagCondition, Error, GetObjectInput, GetObjectOutput, HeadObjectInput,
    HeadObjectOutput, PutObjectInput, PutObjectOutput, StreamingBlob,
};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use super::State;
use super::access::{Caller, object_arn};
use super::attributes::{attributes, http_date, seconds};
use super::checksum::{only_one, state_checksum, stated_checksums};
use super::conditions::{ReadConditions, slice};
use super::index::{self, Object};
use super::receive::{Announced, receive};
use super::write::{Write, WriteConditions, commit, condition_failed};

/// Large enough that reading a megabyte takes few trips to the disk.
pub(super) const READ_BUFFER: usize = 256 * 1024;

/// What S3 deletes in one request.
const DELETED_AT_ONCE: usize = 1000;

impl State {
    /// Finds an object and opens its file.
    ///
    /// A writer may replace the object between the two, and its file is gone then; so it is looked up
    /// again until both belong together.
    pub async fn open(&self, bucket: &str, key: &str, caller: &Caller) -> S3Result<(Object, File)> {
        let mut seen = None;
        loop {
            let object = self.find(bucket, key, caller).await?;
            match self.blobs.open(bucket, &object.file).await {
                Ok(file) => return Ok((object, file)),
                Err(error) if seen.as_ref() == Some(&object.file) => {
                    return Err(S3Error::internal_error(error));
                }
                Err(_) => seen = Some(object.file),
            }
        }
    }

    async fn find(&self, bucket: &str, key: &str, caller: &Caller) -> S3Result<Object> {
        self.bucket(bucket)?;
        let (bucket_name, key) = (bucket.to_owned(), key.to_owned());
        let found = self.index.run(move |connection| index::get(connection, &bucket_name, &key)).await?;
        found.ok_or_else(|| caller.missing(bucket))
    }

    async fn delete(&self, bucket: &str, key: &str, if_match: Option<ETagCondition>) -> S3Result<()> {
        let (name, key) = (bucket.to_owned(), key.to_owned());
        let deleted = self
            .index
            .run(move |connection| {
                let transaction = connection.transaction()?;
                let existing = index::get(&transaction, &name, &key)?;
                let wanted = if_match.as_ref().and_then(ETagCondition::as_etag);
                if let (Some(object), Some(etag)) = (&existing, wanted)
                    && etag.value() != object.etag
                {
                    return Ok(Err(condition_failed()));
                }
                if existing.is_none() && if_match.is_some() {
                    return Ok(Err(s3_error!(NoSuchKey, "The specified key does not exist.")));
                }
                index::delete(&transaction, &name, &key)?;
                transaction.commit()?;
                Ok(Ok(existing.map(|object| object.file)))
            })
            .await??;
        self.blobs.remove(bucket, deleted.into_iter().collect()).await;
        Ok(())
    }
}

pub(super) async fn put(state: &Arc<State>, request: S3Request<PutObjectInput>) -> S3Result<PutObjectOutput> {
    let caller = Caller::of(&request.extensions)?;
    let mut input = request.input;
    if input.tagging.is_some() {
        return Err(s3_error!(NotImplemented, "Object tags are not implemented"));
    }
    let conditions = WriteConditions::new(input.if_match.take(), input.if_none_match.take())?;
    let mut attributes = attributes!(input)?;
    let announced = Announced::new(
        input.content_length,
        input.content_md5.as_deref(),
        only_one(stated_checksums!(input))?,
        input.checksum_algorithm.as_ref().map(s3s::dto::ChecksumAlgorithm::as_str),
        request.trailing_headers.as_ref(),
    )?;
    let body = input.body.take().unwrap_or_else(|| StreamingBlob::from(s3s::Body::empty()));
    let received = receive(state, &input.bucket, body, announced).await?;
    let etag = hex(&received.md5);
    let mut output =
        PutObjectOutput { e_tag: Some(ETag::Strong(etag.clone())), ..PutObjectOutput::default() };
    output.checksum_type = state_checksum!(output, received.checksum);
    attributes.checksum = Some(received.checksum);
    let write = Write {
        bucket: input.bucket,
        key: input.key,
        blob: received.blob,
        size: received.size,
        etag,
        attributes,
        conditions,
        upload: None,
        event: "ObjectCreated:Put",
        caller,
    };
    commit(state, write).await?;
    Ok(output)
}

pub(super) async fn get(state: &State, request: S3Request<GetObjectInput>) -> S3Result<GetObjectOutput> {
    let caller = Caller::of(&request.extensions)?;
    let input = request.input;
    no_parts(input.part_number)?;
    let (object, mut file) = state.open(&input.bucket, &input.key, &caller).await?;
    let conditions = ReadConditions {
        matches: input.if_match,
        none_match: input.if_none_match,
        modified_since: input.if_modified_since,
        unmodified_since: input.if_unmodified_since,
    };
    conditions.check(&object)?;
    let (start, length, content_range) = slice(input.range, object.size)?;
    file.seek(SeekFrom::Start(start)).await.map_err(S3Error::internal_error)?;
    let attributes = &object.attributes;
    let mut output = GetObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        body: Some(StreamingBlob::wrap(ReaderStream::with_capacity(file.take(length), READ_BUFFER))),
        cache_control: attributes.cache_control.clone(),
        content_disposition: attributes.content_disposition.clone(),
        content_encoding: attributes.content_encoding.clone(),
        content_language: attributes.content_language.clone(),
        content_length: i64::try_from(length).ok(),
        content_type: attributes.content_type.clone(),
        e_tag: Some(ETag::Strong(object.etag.clone())),
        expires: attributes.expires(),
        last_modified: Some(seconds(object.modified)),
        metadata: Some(attributes.metadata.clone().into_iter().collect()),
        ..GetObjectOutput::default()
    };
    // The checksum of the whole says nothing about a part of it.
    if let Some(checksum) = &attributes.checksum
        && content_range.is_none()
        && wants_checksum(input.checksum_mode.as_ref())
    {
        output.checksum_type = state_checksum!(output, checksum);
    }
    output.content_range = content_range;
    Ok(output)
}

pub(super) async fn head(
    state: &State, request: S3Request<HeadObjectInput>,
) -> S3Result<S3Response<HeadObjectOutput>> {
    let caller = Caller::of(&request.extensions)?;
    let input = request.input;
    no_parts(input.part_number)?;
    let object = state.find(&input.bucket, &input.key, &caller).await?;
    let conditions = ReadConditions {
        matches: input.if_match,
        none_match: input.if_none_match,
        modified_since: input.if_modified_since,
        unmodified_since: input.if_unmodified_since,
    };
    conditions.check(&object)?;
    let (_, length, content_range) = slice(input.range, object.size)?;
    let attributes = object.attributes;
    let mut output = HeadObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        content_length: i64::try_from(length).ok(),
        e_tag: Some(ETag::Strong(object.etag)),
        expires: attributes.expires(),
        last_modified: Some(seconds(object.modified)),
        cache_control: attributes.cache_control,
        content_disposition: attributes.content_disposition,
        content_encoding: attributes.content_encoding,
        content_language: attributes.content_language,
        content_type: attributes.content_type,
        metadata: Some(attributes.metadata.into_iter().collect()),
        ..HeadObjectOutput::default()
    };
    if let Some(checksum) = &attributes.checksum
        && content_range.is_none()
        && wants_checksum(input.checksum_mode.as_ref())
    {
        output.checksum_type = state_checksum!(output, checksum);
    }
    let status = if content_range.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    output.content_range = content_range;
    let mut response = S3Response::with_status(output, status);
    // The protocol layer does this for GET only.
    let overrides = [
        (http::header::CACHE_CONTROL, input.response_cache_control),
        (http::header::CONTENT_DISPOSITION, input.response_content_disposition),
        (http::header::CONTENT_ENCODING, input.response_content_encoding),
        (http::header::CONTENT_LANGUAGE, input.response_content_language),
        (http::header::CONTENT_TYPE, input.response_content_type),
        (http::header::EXPIRES, input.response_expires.as_ref().and_then(http_date)),
    ];
    response.headers = overridden(overrides)?;
    Ok(response)
}

fn overridden(overrides: impl IntoIterator<Item = (HeaderName, Option<String>)>) -> S3Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in overrides {
        let Some(value) = value else { continue };
        let value = HeaderValue::try_from(value).map_err(|_| {
            s3_error!(InvalidArgument, "Header value cannot be represented using ISO-8859-1.")
        })?;
        headers.insert(name, value);
    }
    Ok(headers)
}

fn wants_checksum(mode: Option<&ChecksumMode>) -> bool {
    mode.is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED)
}

fn no_parts(number: Option<i32>) -> S3Result<()> {
    match number {
        None => Ok(()),
        Some(_) => Err(s3_error!(NotImplemented, "Reading by part number is not implemented")),
    }
}

pub(super) async fn delete(state: &State, input: DeleteObjectInput) -> S3Result<DeleteObjectOutput> {
    state.delete(&input.bucket, &input.key, input.if_match).await?;
    Ok(DeleteObjectOutput::default())
}

pub(super) async fn delete_many(
    state: &State, request: S3Request<DeleteObjectsInput>,
) -> S3Result<DeleteObjectsOutput> {
    let caller = Caller::of(&request.extensions)?;
    let input = request.input;
    if input.delete.objects.is_empty() || input.delete.objects.len() > DELETED_AT_ONCE {
        return Err(s3_error!(
            MalformedXML,
            "The XML you provided was not well-formed or did not validate against our published schema"
        ));
    }
    let mut deleted = Vec::new();
    let mut errors = Vec::new();
    for object in input.delete.objects {
        let arn = object_arn(&input.bucket, &object.key);
        let result = match caller.authorize("s3:DeleteObject", &arn, &[]) {
            Ok(()) => {
                let if_match = object.e_tag.map(ETagCondition::ETag);
                state.delete(&input.bucket, &object.key, if_match).await
            }
            Err(denied) => Err(denied),
        };
        match result {
            Ok(()) => {
                deleted.push(DeletedObject { key: Some(object.key), ..DeletedObject::default() });
            }
            Err(error) => errors.push(listed_error(object.key, &error)),
        }
    }
    let quiet = input.delete.quiet == Some(true);
    Ok(DeleteObjectsOutput {
        deleted: (!quiet).then_some(deleted),
        errors: (!errors.is_empty()).then_some(errors),
        ..DeleteObjectsOutput::default()
    })
}

fn listed_error(key: String, error: &S3Error) -> Error {
    let code: &S3ErrorCode = error.code();
    Error {
        key: Some(key),
        code: Some(code.as_str().to_owned()),
        message: error.message().map(str::to_owned),
        version_id: None,
    }
}

/// As `ETag`s write a digest.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

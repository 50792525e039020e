//! Multipart uploads: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html>

use std::collections::HashMap;
use std::sync::Arc;

use futures::StreamExt;
use md5::{Digest, Md5};
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, ChecksumAlgorithm, ChecksumType,
    CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CompletedPart,
    CreateMultipartUploadInput, CreateMultipartUploadOutput, ETag, ListMultipartUploadsInput,
    ListMultipartUploadsOutput, ListPartsInput, ListPartsOutput, MultipartUpload, Part,
    StreamingBlob, UploadPartInput, UploadPartOutput,
};
use s3s::{S3Error, S3Request, S3Result, s3_error};
use tokio_util::io::ReaderStream;
use ulid::Ulid;

use super::State;
use super::access::Caller;
use super::attributes::{attributes, seconds};
use super::blobs::Written;
use super::checksum::{Algorithm, Checksum, only_one, state_checksum, stated_checksums};
use super::listing::{PAGE, url_encoding};
use super::notification::encode_key;
use super::objects::hex;
use super::receive::{Announced, AnnouncedChecksum, receive};
use super::uploads::{self, Upload, no_such_upload};
use super::write::{Write, WriteConditions, commit};

/// What S3 allows: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
const PART_NUMBERS: std::ops::RangeInclusive<i32> = 1..=10_000;
const SMALLEST_PART: u64 = 5 * 1024 * 1024;
const READ_BUFFER: usize = 256 * 1024;

impl State {
    async fn upload(&self, bucket: &str, key: &str, id: &str) -> S3Result<Upload> {
        self.bucket(bucket)?;
        let (bucket, key, id) = (bucket.to_owned(), key.to_owned(), id.to_owned());
        self.index
            .run(move |connection| uploads::find(connection, &bucket, &key, &id))
            .await?
            .ok_or_else(no_such_upload)
    }
}

pub(super) async fn create(
    state: &State,
    mut input: CreateMultipartUploadInput,
) -> S3Result<CreateMultipartUploadOutput> {
    state.bucket(&input.bucket)?;
    if input.tagging.is_some() {
        return Err(s3_error!(NotImplemented, "Object tags are not implemented"));
    }
    let attributes = attributes!(input)?;
    let algorithm = input
        .checksum_algorithm
        .as_ref()
        .map(|algorithm| Algorithm::parse(algorithm.as_str()))
        .transpose()?;
    // https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
    let composite = match (
        input.checksum_type.as_ref().map(ChecksumType::as_str),
        algorithm,
    ) {
        (Some(ChecksumType::FULL_OBJECT), Some(Algorithm::Sha1 | Algorithm::Sha256))
        | (Some(ChecksumType::COMPOSITE), Some(Algorithm::Crc64Nvme)) => {
            return Err(s3_error!(
                InvalidRequest,
                "The checksum type cannot be used with the checksum algorithm."
            ));
        }
        (Some(kind), _) => kind == ChecksumType::COMPOSITE,
        (None, algorithm) => !matches!(algorithm, None | Some(Algorithm::Crc64Nvme)),
    };
    let upload = Upload {
        id: Ulid::new().to_string(),
        key: input.key.clone(),
        initiated: uploads::now(),
        attributes,
        algorithm,
        composite,
    };
    let output = CreateMultipartUploadOutput {
        bucket: Some(input.bucket.clone()),
        key: Some(input.key),
        upload_id: Some(upload.id.clone()),
        checksum_type: algorithm.map(|_| checksum_type(composite)),
        checksum_algorithm: input.checksum_algorithm,
        ..CreateMultipartUploadOutput::default()
    };
    state
        .index
        .run(move |connection| uploads::create(connection, &input.bucket, &upload))
        .await?;
    Ok(output)
}

fn checksum_type(composite: bool) -> ChecksumType {
    ChecksumType::from_static(if composite {
        ChecksumType::COMPOSITE
    } else {
        ChecksumType::FULL_OBJECT
    })
}

pub(super) async fn upload_part(
    state: &State,
    request: S3Request<UploadPartInput>,
) -> S3Result<UploadPartOutput> {
    let mut input = request.input;
    if !PART_NUMBERS.contains(&input.part_number) {
        return Err(s3_error!(
            InvalidArgument,
            "Part number must be an integer between 1 and 10000, inclusive"
        ));
    }
    let upload = state
        .upload(&input.bucket, &input.key, &input.upload_id)
        .await?;
    let mut announced = Announced::new(
        input.content_length,
        input.content_md5.as_deref(),
        only_one(stated_checksums!(input))?,
        input
            .checksum_algorithm
            .as_ref()
            .map(ChecksumAlgorithm::as_str),
        request.trailing_headers.as_ref(),
    )?;
    if announced.checksum.is_none() {
        announced.checksum = upload.algorithm.map(AnnouncedChecksum::Unknown);
    }
    let body = input
        .body
        .take()
        .unwrap_or_else(|| StreamingBlob::from(s3s::Body::empty()));
    let received = receive(state, &input.bucket, body, announced).await?;
    if upload
        .algorithm
        .is_some_and(|algorithm| algorithm != received.checksum.algorithm)
    {
        return Err(s3_error!(
            InvalidRequest,
            "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
            upload.algorithm.map_or("null", Algorithm::name),
            received.checksum.algorithm.name()
        ));
    }
    let mut output = UploadPartOutput {
        e_tag: Some(ETag::Strong(hex(&received.md5))),
        ..UploadPartOutput::default()
    };
    state_checksum!(output, received.checksum);
    let bucket = input.bucket.clone();
    let replaced = state
        .index
        .run(move |connection| {
            let part = uploads::Part {
                number: input.part_number,
                file: received.blob.name().to_owned(),
                size: received.size,
                md5: received.md5,
                modified: uploads::now(),
                checksum: Some(received.checksum),
            };
            let transaction = connection.transaction()?;
            let replaced = uploads::put_part(
                &transaction,
                &input.bucket,
                &input.key,
                &input.upload_id,
                &part,
            )?;
            transaction.commit()?;
            if replaced.is_some() {
                received.blob.keep();
            }
            Ok(replaced)
        })
        .await?
        .ok_or_else(no_such_upload)?;
    state
        .blobs
        .remove(&bucket, replaced.into_iter().collect())
        .await;
    Ok(output)
}

pub(super) async fn complete(
    state: &Arc<State>,
    request: S3Request<CompleteMultipartUploadInput>,
) -> S3Result<CompleteMultipartUploadOutput> {
    let caller = Caller::of(&request.extensions)?;
    let mut input = request.input;
    let upload = state
        .upload(&input.bucket, &input.key, &input.upload_id)
        .await?;
    let conditions = WriteConditions::new(input.if_match.take(), input.if_none_match.take())?;
    let stated = only_one_of_object(stated_checksums!(input))?;
    let listed = input
        .multipart_upload
        .take()
        .and_then(|upload| upload.parts)
        .unwrap_or_default();
    let id = upload.id.clone();
    let stored = state
        .index
        .run(move |connection| uploads::parts(connection, &id, 0, 10_000))
        .await?;
    let parts = chosen(listed, stored)?;

    let size: u64 = parts.iter().map(|part| part.size).sum();
    if input
        .mpu_object_size
        .is_some_and(|stated| u64::try_from(stated) != Ok(size))
    {
        return Err(s3_error!(
            InvalidRequest,
            "The provided 'x-amz-mp-object-size' header does not match what was computed."
        ));
    }
    let mut md5 = Md5::new();
    for part in &parts {
        md5.update(&part.md5);
    }
    let etag = format!("{}-{}", hex(&md5.finalize()), parts.len());

    let (blob, checksum) = assemble(state, &input.bucket, &upload, &parts).await?;
    if stated.is_some_and(|(_, value)| value != checksum.value) {
        return Err(s3_error!(
            BadDigest,
            "The {} you specified did not match the calculated checksum.",
            checksum.algorithm.name()
        ));
    }
    let mut output = CompleteMultipartUploadOutput {
        bucket: Some(input.bucket.clone()),
        key: Some(input.key.clone()),
        e_tag: Some(ETag::Strong(etag.clone())),
        location: Some(location(&request.headers, &input.bucket, &input.key)),
        ..CompleteMultipartUploadOutput::default()
    };
    output.checksum_type = state_checksum!(output, checksum);
    let mut attributes = upload.attributes;
    attributes.checksum = Some(checksum);
    let write = Write {
        bucket: input.bucket,
        key: input.key,
        blob,
        size,
        etag,
        attributes,
        conditions,
        upload: Some(upload.id),
        event: "ObjectCreated:CompleteMultipartUpload",
        caller,
    };
    commit(state, write).await?;
    Ok(output)
}

/// The one checksum that is stated for the whole; a composite one ends with the number of parts, so
/// its format is not that of a plain one.
fn only_one_of_object(
    stated: [(Algorithm, Option<String>); 5],
) -> S3Result<Option<(Algorithm, String)>> {
    let stripped = stated.clone().map(|(algorithm, value)| {
        (
            algorithm,
            value.map(|value| value.split('-').next().unwrap_or_default().to_owned()),
        )
    });
    only_one(stripped)?;
    Ok(stated
        .into_iter()
        .find_map(|(algorithm, value)| value.map(|value| (algorithm, value))))
}

/// The parts that the client lists, checked against those that are there.
fn chosen(listed: Vec<CompletedPart>, stored: Vec<uploads::Part>) -> S3Result<Vec<uploads::Part>> {
    if listed.is_empty() {
        return Err(s3_error!(
            MalformedXML,
            "The XML you provided was not well-formed or did not validate against our published schema"
        ));
    }
    if !listed.is_sorted_by(|a, b| a.part_number < b.part_number) {
        return Err(s3_error!(
            InvalidPartOrder,
            "The list of parts was not in ascending order. Parts must be ordered by part number."
        ));
    }
    let mut stored: HashMap<i32, uploads::Part> =
        stored.into_iter().map(|part| (part.number, part)).collect();
    let count = listed.len();
    let mut parts = Vec::with_capacity(count);
    for (position, mut claimed) in listed.into_iter().enumerate() {
        let invalid = || {
            s3_error!(
                InvalidPart,
                "One or more of the specified parts could not be found. The part may not have been \
                 uploaded, or the specified entity tag may not match the part's entity tag."
            )
        };
        let part = claimed
            .part_number
            .and_then(|number| stored.remove(&number))
            .filter(|part| {
                claimed
                    .e_tag
                    .as_ref()
                    .is_some_and(|etag| etag.value() == hex(&part.md5))
            })
            .ok_or_else(invalid)?;
        if let Some((algorithm, value)) = only_one(stated_checksums!(claimed))?
            && !part
                .checksum
                .as_ref()
                .is_some_and(|sum| sum.algorithm == algorithm && sum.value == value)
        {
            return Err(invalid());
        }
        if part.size < SMALLEST_PART && position + 1 < count {
            return Err(s3_error!(
                EntityTooSmall,
                "Your proposed upload is smaller than the minimum allowed size"
            ));
        }
        parts.push(part);
    }
    Ok(parts)
}

/// Puts the parts together into one file.
async fn assemble(
    state: &State,
    bucket: &str,
    upload: &Upload,
    parts: &[uploads::Part],
) -> S3Result<(super::blobs::Blob, Checksum)> {
    let algorithm = upload.algorithm.unwrap_or(Algorithm::Crc64Nvme);
    let whole = (!upload.composite).then_some(algorithm);
    let mut draft = state
        .blobs
        .create(bucket, false, whole)
        .await
        .map_err(S3Error::internal_error)?;
    for part in parts {
        // The file of a part is gone when the part has been sent again or the upload has ended.
        let file = state
            .blobs
            .open(bucket, &part.file)
            .await
            .map_err(|_| no_such_upload())?;
        let mut chunks = ReaderStream::with_capacity(file, READ_BUFFER);
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(S3Error::internal_error)?;
            draft.write(&chunk).await.map_err(S3Error::internal_error)?;
        }
    }
    let Written { blob, checksum, .. } = draft.finish().await.map_err(S3Error::internal_error)?;
    let checksum = checksum.unwrap_or_else(|| {
        let sums = parts.iter().filter_map(|part| part.checksum.as_ref());
        Checksum::of_parts(algorithm, sums.map(|checksum| checksum.value.as_str()))
    });
    Ok((blob, checksum))
}

/// Where the new object can be found.
pub(super) fn location(headers: &http::HeaderMap, bucket: &str, key: &str) -> String {
    let host = headers
        .get(http::header::HOST)
        .and_then(|host| host.to_str().ok());
    let key = encode_key(key).replace('+', "%20");
    format!("http://{}/{bucket}/{key}", host.unwrap_or("localhost"))
}

pub(super) async fn abort(
    state: &State,
    input: AbortMultipartUploadInput,
) -> S3Result<AbortMultipartUploadOutput> {
    state.bucket(&input.bucket)?;
    let bucket = input.bucket.clone();
    let files = state
        .index
        .run(move |connection| {
            let transaction = connection.transaction()?;
            let files = uploads::remove(&transaction, &input.bucket, &input.key, &input.upload_id)?;
            transaction.commit()?;
            Ok(files)
        })
        .await?
        .ok_or_else(no_such_upload)?;
    state.blobs.remove(&bucket, files).await;
    Ok(AbortMultipartUploadOutput::default())
}

pub(super) async fn list_parts(state: &State, input: ListPartsInput) -> S3Result<ListPartsOutput> {
    let upload = state
        .upload(&input.bucket, &input.key, &input.upload_id)
        .await?;
    let limit = page(input.max_parts)?;
    let after = input.part_number_marker.unwrap_or(0);
    let id = upload.id.clone();
    let mut parts = state
        .index
        .run(move |connection| uploads::parts(connection, &id, after, limit + 1))
        .await?;
    let truncated = parts.len() > limit;
    parts.truncate(limit);
    let listed = |part: &uploads::Part| {
        let mut listed = Part {
            e_tag: Some(ETag::Strong(hex(&part.md5))),
            last_modified: Some(seconds(part.modified)),
            part_number: Some(part.number),
            size: i64::try_from(part.size).ok(),
            ..Part::default()
        };
        if let Some(checksum) = &part.checksum {
            state_checksum!(listed, checksum);
        }
        listed
    };
    Ok(ListPartsOutput {
        is_truncated: Some(truncated),
        next_part_number_marker: parts.last().map(|part| part.number),
        parts: Some(parts.iter().map(listed).collect()),
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        max_parts: i32::try_from(limit).ok(),
        part_number_marker: Some(after),
        checksum_algorithm: upload
            .algorithm
            .map(|algorithm| ChecksumAlgorithm::from_static(algorithm.name())),
        checksum_type: upload.algorithm.map(|_| checksum_type(upload.composite)),
        ..ListPartsOutput::default()
    })
}

pub(super) async fn list_uploads(
    state: &State,
    input: ListMultipartUploadsInput,
) -> S3Result<ListMultipartUploadsOutput> {
    state.bucket(&input.bucket)?;
    if input.delimiter.is_some() {
        return Err(s3_error!(
            NotImplemented,
            "Delimiters are not implemented for uploads"
        ));
    }
    let limit = page(input.max_uploads)?;
    let url = url_encoding(input.encoding_type.as_ref())?;
    let bucket = input.bucket.clone();
    let prefix = input.prefix.clone().unwrap_or_default();
    let key_marker = input.key_marker.clone().unwrap_or_default();
    // Without an id, the marker stands for all uploads of its key: no id is greater than this.
    let id_marker = input
        .upload_id_marker
        .clone()
        .unwrap_or_else(|| char::MAX.to_string());
    let mut uploads = state
        .index
        .run(move |connection| {
            let after = (key_marker.as_str(), id_marker.as_str());
            uploads::list(connection, &bucket, &prefix, after, limit + 1)
        })
        .await?;
    let truncated = uploads.len() > limit;
    uploads.truncate(limit);
    let key = |key: String| if url { encode_key(&key) } else { key };
    let next = uploads.last().filter(|_| truncated);
    Ok(ListMultipartUploadsOutput {
        next_key_marker: next.map(|upload| key(upload.key.clone())),
        next_upload_id_marker: next.map(|upload| upload.id.clone()),
        uploads: Some(
            uploads
                .into_iter()
                .map(|upload| MultipartUpload {
                    initiated: Some(seconds(upload.initiated)),
                    key: Some(key(upload.key)),
                    upload_id: Some(upload.id),
                    ..MultipartUpload::default()
                })
                .collect(),
        ),
        bucket: Some(input.bucket),
        is_truncated: Some(truncated),
        key_marker: input.key_marker.map(key),
        upload_id_marker: input.upload_id_marker,
        prefix: input.prefix.map(key),
        encoding_type: input.encoding_type,
        max_uploads: i32::try_from(limit).ok(),
        ..ListMultipartUploadsOutput::default()
    })
}

fn page(limit: Option<i32>) -> S3Result<usize> {
    match limit.map(usize::try_from) {
        None => Ok(PAGE),
        Some(Ok(limit)) => Ok(limit.min(PAGE)),
        Some(Err(_)) => Err(s3_error!(InvalidArgument, "The limit must not be negative")),
    }
}

//! Multipart uploads: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html>

use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, ChecksumAlgorithm, ChecksumType,
    CreateMultipartUploadInput, CreateMultipartUploadOutput, ETag, ListMultipartUploadsInput,
    ListMultipartUploadsOutput, ListPartsInput, ListPartsOutput, MultipartUpload, Part, StreamingBlob,
    UploadPartInput, UploadPartOutput,
};
use s3s::{S3Request, S3Result, s3_error};
use ulid::Ulid;

use super::State;
use super::attributes::{attributes, seconds};
use super::checksum::{Algorithm, only_one, state_checksum, stated_checksums};
use super::listing::{PAGE, url_encoding};
use super::notification::encode_key;
use super::objects::hex;
use super::receive::{Announced, AnnouncedChecksum, receive};
use super::uploads::{self, Upload, no_such_upload};

/// What S3 allows: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
const PART_NUMBERS: std::ops::RangeInclusive<i32> = 1..=10_000;

impl State {
    pub async fn upload(&self, bucket: &str, key: &str, id: &str) -> S3Result<Upload> {
        let (bucket, key, id) = (bucket.to_owned(), key.to_owned(), id.to_owned());
        self.index
            .run(move |connection| uploads::find(connection, &bucket, &key, &id))
            .await?
            .ok_or_else(no_such_upload)
    }

    /// An upload and its parts after a number, as they are at one moment: an upload that ends meanwhile must not
    /// look like one without parts.
    pub async fn upload_with_parts(
        &self, (bucket, key, id): (&str, &str, &str), after: i32, limit: usize,
    ) -> S3Result<(Upload, Vec<uploads::Part>)> {
        let (bucket, key, id) = (bucket.to_owned(), key.to_owned(), id.to_owned());
        self.index
            .run(move |connection| {
                let upload = uploads::find(connection, &bucket, &key, &id)?;
                upload.map(|upload| Ok((upload, uploads::parts(connection, &id, after, limit)?))).transpose()
            })
            .await?
            .ok_or_else(no_such_upload)
    }
}

pub(super) async fn create(
    state: &State, mut input: CreateMultipartUploadInput,
) -> S3Result<CreateMultipartUploadOutput> {
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
    let composite = match (input.checksum_type.as_ref().map(ChecksumType::as_str), algorithm) {
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
    state.index.run(move |connection| uploads::create(connection, &input.bucket, &upload)).await?;
    Ok(output)
}

fn checksum_type(composite: bool) -> ChecksumType {
    ChecksumType::from_static(if composite { ChecksumType::COMPOSITE } else { ChecksumType::FULL_OBJECT })
}

pub(super) async fn upload_part(
    state: &State, request: S3Request<UploadPartInput>,
) -> S3Result<UploadPartOutput> {
    let mut input = request.input;
    if !PART_NUMBERS.contains(&input.part_number) {
        return Err(s3_error!(
            InvalidArgument,
            "Part number must be an integer between 1 and 10000, inclusive"
        ));
    }
    let upload = state.upload(&input.bucket, &input.key, &input.upload_id).await?;
    let mut announced = Announced::new(
        input.content_length,
        input.content_md5.as_deref(),
        only_one(stated_checksums!(input))?,
        input.checksum_algorithm.as_ref().map(ChecksumAlgorithm::as_str),
        request.trailing_headers.as_ref(),
    )?;
    if announced.checksum.is_none() {
        announced.checksum = upload.algorithm.map(AnnouncedChecksum::Unknown);
    }
    let body = input.body.take().unwrap_or_else(|| StreamingBlob::from(s3s::Body::empty()));
    let received = receive(state, &input.bucket, body, announced).await?;
    if upload.algorithm.is_some_and(|algorithm| algorithm != received.checksum.algorithm) {
        return Err(s3_error!(
            InvalidRequest,
            "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
            upload.algorithm.map_or("null", Algorithm::name),
            received.checksum.algorithm.name()
        ));
    }
    let mut output =
        UploadPartOutput { e_tag: Some(ETag::Strong(hex(&received.md5))), ..UploadPartOutput::default() };
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
            let replaced =
                uploads::put_part(&transaction, &input.bucket, &input.key, &input.upload_id, &part)?;
            transaction.commit()?;
            if replaced.is_some() {
                received.blob.keep();
            }
            Ok(replaced)
        })
        .await?
        .ok_or_else(no_such_upload)?;
    state.blobs.remove(&bucket, replaced).await;
    Ok(output)
}

pub(super) async fn abort(
    state: &State, input: AbortMultipartUploadInput,
) -> S3Result<AbortMultipartUploadOutput> {
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
    let limit = page(input.max_parts)?;
    let after = input.part_number_marker.unwrap_or(0);
    let id = (&*input.bucket, &*input.key, &*input.upload_id);
    let (upload, mut parts) = state.upload_with_parts(id, after, limit + 1).await?;
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
    state: &State, input: ListMultipartUploadsInput,
) -> S3Result<ListMultipartUploadsOutput> {
    if input.delimiter.is_some() {
        return Err(s3_error!(NotImplemented, "Delimiters are not implemented for uploads"));
    }
    let limit = page(input.max_uploads)?;
    let url = url_encoding(input.encoding_type.as_ref())?;
    let bucket = input.bucket.clone();
    let prefix = input.prefix.clone().unwrap_or_default();
    let key_marker = input.key_marker.clone().unwrap_or_default();
    // Without an id, the marker stands for all uploads of its key: no id is greater than this.
    let id_marker = input.upload_id_marker.clone().unwrap_or_else(|| char::MAX.to_string());
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

//! `CompleteMultipartUpload`: the parts become one object.

use std::collections::HashMap;
use std::sync::Arc;

use futures::StreamExt;
use md5::{Digest, Md5};
use s3s::dto::{CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CompletedPart, ETag};
use s3s::{S3Error, S3Request, S3Result, s3_error};
use tokio_util::io::ReaderStream;

use super::State;
use super::access::Caller;
use super::blobs::{Blob, Written};
use super::checksum::{Algorithm, Checksum, only_one, state_checksum, stated_checksums};
use super::notification::encode_key;
use super::objects::{READ_BUFFER, hex};
use super::uploads::{self, Upload, no_such_upload};
use super::write::{Write, WriteConditions, commit};

/// What S3 allows: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
const SMALLEST_PART: u64 = 5 * 1024 * 1024;

pub(super) async fn complete(
    state: &Arc<State>, request: S3Request<CompleteMultipartUploadInput>,
) -> S3Result<CompleteMultipartUploadOutput> {
    let caller = Caller::of(&request.extensions)?;
    let mut input = request.input;
    let id = (&*input.bucket, &*input.key, &*input.upload_id);
    let (upload, stored) = state.upload_with_parts(id, 0, 10_000).await?;
    let conditions = WriteConditions::new(input.if_match.take(), input.if_none_match.take())?;
    let stated = only_one_of_object(stated_checksums!(input))?;
    let listed = input.multipart_upload.take().and_then(|upload| upload.parts).unwrap_or_default();
    let parts = chosen(listed, stored)?;

    let size: u64 = parts.iter().map(|part| part.size).sum();
    if input.mpu_object_size.is_some_and(|stated| u64::try_from(stated) != Ok(size)) {
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
fn only_one_of_object(stated: [(Algorithm, Option<String>); 5]) -> S3Result<Option<(Algorithm, String)>> {
    let stripped = stated.clone().map(|(algorithm, value)| {
        (algorithm, value.map(|value| value.split('-').next().unwrap_or_default().to_owned()))
    });
    only_one(stripped)?;
    Ok(stated.into_iter().find_map(|(algorithm, value)| value.map(|value| (algorithm, value))))
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
    let mut parts = Vec::with_capacity(listed.len());
    for mut claimed in listed {
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
            .filter(|part| claimed.e_tag.as_ref().is_some_and(|etag| etag.value() == hex(&part.md5)))
            .ok_or_else(invalid)?;
        if let Some((algorithm, value)) = only_one(stated_checksums!(claimed))?
            && !part.checksum.as_ref().is_some_and(|sum| sum.algorithm == algorithm && sum.value == value)
        {
            return Err(invalid());
        }
        parts.push(part);
    }
    let [all_but_last @ .., _] = parts.as_slice() else {
        return Ok(parts);
    };
    if all_but_last.iter().any(|part| part.size < SMALLEST_PART) {
        return Err(s3_error!(
            EntityTooSmall,
            "Your proposed upload is smaller than the minimum allowed size"
        ));
    }
    Ok(parts)
}

/// Puts the parts together into one file.
async fn assemble(
    state: &State, bucket: &str, upload: &Upload, parts: &[uploads::Part],
) -> S3Result<(Blob, Checksum)> {
    let algorithm = upload.algorithm.unwrap_or(Algorithm::Crc64Nvme);
    let whole = (!upload.composite).then_some(algorithm);
    let mut draft = state.blobs.create(bucket, false, whole).await.map_err(S3Error::internal_error)?;
    for part in parts {
        // The file of a part is gone when the part has been sent again or the upload has ended.
        let file = state.blobs.open(bucket, &part.file).await.map_err(|_| no_such_upload())?;
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
    let host = headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
    let key = encode_key(key).replace('+', "%20");
    format!("http://{}/{bucket}/{key}", host.unwrap_or("localhost"))
}

//! `CopyObject`.

use std::sync::Arc;

use s3s::dto::{CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopySource, ETag, MetadataDirective};
use s3s::{S3Request, S3Result, s3_error};
use tokio_util::io::ReaderStream;

use super::State;
use super::access::Caller;
use super::attributes::{attributes, seconds};
use super::checksum::{Algorithm, state_checksum};
use super::conditions::ReadConditions;
use super::objects::hex;
use super::receive::{Announced, AnnouncedChecksum, Size, receive};
use super::write::{Write, WriteConditions, commit};

/// The bytes are read and measured again: the copy of a multipart object has an ordinary `ETag`.
pub(super) async fn copy(
    state: &Arc<State>, request: S3Request<CopyObjectInput>,
) -> S3Result<CopyObjectOutput> {
    let caller = Caller::of(&request.extensions)?;
    let mut input = request.input;
    let CopySource::Bucket { bucket: source_bucket, key: source_key, .. } = &input.copy_source else {
        return Err(s3_error!(NotImplemented, "Access points are not implemented"));
    };
    let (source, file) = state.open(source_bucket, source_key, &caller).await?;
    let conditions = ReadConditions {
        matches: input.copy_source_if_match.take(),
        none_match: input.copy_source_if_none_match.take(),
        modified_since: input.copy_source_if_modified_since.take(),
        unmodified_since: input.copy_source_if_unmodified_since.take(),
    };
    conditions.check_source(&source)?;
    let replace = input
        .metadata_directive
        .as_ref()
        .is_some_and(|directive| directive.as_str() == MetadataDirective::REPLACE);
    let itself = **source_bucket == *input.bucket && **source_key == *input.key;
    if itself && !replace {
        return Err(s3_error!(
            InvalidRequest,
            "This copy request is illegal because it is trying to copy an object to itself without \
             changing the object's metadata, storage class, website redirect location or \
             encryption attributes."
        ));
    }
    let mut attributes = if replace { attributes!(input)? } else { source.attributes.clone() };
    let algorithm = match &input.checksum_algorithm {
        Some(algorithm) => Some(Algorithm::parse(algorithm.as_str())?),
        None => source.attributes.checksum.map(|checksum| checksum.algorithm),
    };
    let announced = Announced {
        size: Size::Exactly(source.size),
        md5: None,
        checksum: algorithm.map(AnnouncedChecksum::Unknown),
    };
    let received = receive(state, &input.bucket, ReaderStream::new(file), announced).await?;
    let etag = hex(&received.md5);
    let mut result =
        CopyObjectResult { e_tag: Some(ETag::Strong(etag.clone())), ..CopyObjectResult::default() };
    result.checksum_type = state_checksum!(result, received.checksum);
    attributes.checksum = Some(received.checksum);
    let write = Write {
        bucket: input.bucket,
        key: input.key,
        blob: received.blob,
        size: received.size,
        etag,
        attributes,
        conditions: WriteConditions::default(),
        upload: None,
        event: "ObjectCreated:Copy",
        caller,
    };
    let modified = commit(state, write).await?;
    result.last_modified = Some(seconds(modified));
    Ok(CopyObjectOutput { copy_object_result: Some(result), ..CopyObjectOutput::default() })
}

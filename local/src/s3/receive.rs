//! Takes a body in: streamed to a file, and refused unless it is exactly what was announced.

use std::ops::RangeInclusive;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use http::StatusCode;
use s3s::{S3Error, S3Result, StdError, TrailingHeaders, s3_error};

use super::blobs::{Blob, Written};
use super::checksum::{Algorithm, Checksum};
use super::{State, named_error};

/// What S3 takes in one request: <https://docs.aws.amazon.com/general/latest/gr/s3.html>
pub(super) const LARGEST: u64 = 5 * 1024 * 1024 * 1024;

/// How large a body has to be.
pub(super) enum Size {
    /// As the request's own `Content-Length` says: another size is a connection that broke.
    Exactly(u64),
    /// As a form's policy allows: another size is refused by that name, also if the policy allows but one.
    Allowed(RangeInclusive<u64>),
}

impl Size {
    fn largest(&self) -> u64 {
        match self {
            Self::Exactly(size) => *size,
            Self::Allowed(range) => *range.end(),
        }
    }

    fn check_smallest(&self, size: u64) -> S3Result<()> {
        match self {
            Self::Exactly(exact) if size < *exact => Err(incomplete()),
            Self::Allowed(range) if size < *range.start() => Err(s3_error!(
                EntityTooSmall,
                "Your proposed upload is smaller than the minimum allowed size"
            )),
            Self::Exactly(_) | Self::Allowed(_) => Ok(()),
        }
    }
}

/// What a request says about its body.
pub(super) struct Announced {
    /// The sizes that are accepted.
    pub size: Size,
    pub md5: Option<Vec<u8>>,
    pub checksum: Option<AnnouncedChecksum>,
}

pub(super) enum AnnouncedChecksum {
    Value(Algorithm, String),
    /// Its value comes after the body.
    Trailer(Algorithm, TrailingHeaders),
    /// Its value is not known before.
    Unknown(Algorithm),
}

/// A body that is as it was announced, still unknown to the index.
pub(super) struct Received {
    pub blob: Blob,
    pub size: u64,
    pub md5: Vec<u8>,
    pub checksum: Checksum,
}

impl Announced {
    /// From the headers of an upload whose body is the object.
    pub fn new(
        content_length: Option<i64>, content_md5: Option<&str>, stated: Option<(Algorithm, String)>,
        algorithm: Option<&str>, trailers: Option<&TrailingHeaders>,
    ) -> S3Result<Self> {
        let length = content_length.and_then(|length| u64::try_from(length).ok()).ok_or_else(|| {
            s3_error!(MissingContentLength, "You must provide the Content-Length HTTP header.")
        })?;
        if length > LARGEST {
            return Err(too_large());
        }
        let md5 = content_md5.map(|text| match BASE64.decode(text) {
            Ok(md5) if md5.len() == 16 => Ok(md5),
            _ => Err(s3_error!(InvalidDigest, "The Content-MD5 you specified was invalid.")),
        });
        let algorithm = algorithm.map(Algorithm::parse).transpose()?;
        let checksum = match (stated, algorithm, trailers) {
            (Some((algorithm, value)), _, _) => Some(AnnouncedChecksum::Value(algorithm, value)),
            (None, Some(algorithm), Some(trailers)) => {
                Some(AnnouncedChecksum::Trailer(algorithm, trailers.clone()))
            }
            (None, Some(_), None) => {
                return Err(s3_error!(
                    InvalidRequest,
                    "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* \
                     or x-amz-trailer headers were found."
                ));
            }
            (None, None, _) => None,
        };
        Ok(Self { size: Size::Exactly(length), md5: md5.transpose()?, checksum })
    }
}

pub(super) fn too_large() -> S3Error {
    s3_error!(EntityTooLarge, "Your proposed upload exceeds the maximum allowed size")
}

/// Stores a body. Whatever is wrong with it, nothing of it stays.
///
/// What comes without a checksum gets the one that S3 adds by itself, CRC-64/NVME.
pub(super) async fn receive<E: Into<StdError>>(
    state: &State, bucket: &str, body: impl Stream<Item = Result<Bytes, E>>, announced: Announced,
) -> S3Result<Received> {
    let algorithm = match &announced.checksum {
        Some(
            AnnouncedChecksum::Value(algorithm, _)
            | AnnouncedChecksum::Trailer(algorithm, _)
            | AnnouncedChecksum::Unknown(algorithm),
        ) => *algorithm,
        None => Algorithm::Crc64Nvme,
    };
    let mut draft =
        state.blobs.create(bucket, true, Some(algorithm)).await.map_err(S3Error::internal_error)?;
    let mut body = std::pin::pin!(body);
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| body_error(&error.into()))?;
        draft.write(&chunk).await.map_err(S3Error::internal_error)?;
        if draft.size() > announced.size.largest() {
            return Err(too_large());
        }
    }
    announced.size.check_smallest(draft.size())?;
    let Written { blob, size, md5, checksum } = draft.finish().await.map_err(S3Error::internal_error)?;
    if announced.md5.is_some_and(|announced| announced != md5) {
        return Err(s3_error!(BadDigest, "The Content-MD5 you specified did not match what we received."));
    }
    let checksum = checksum.expect("the draft was created with an algorithm");
    let stated = match announced.checksum {
        Some(AnnouncedChecksum::Value(_, value)) => Some(value),
        Some(AnnouncedChecksum::Trailer(algorithm, trailers)) => Some(trailer(algorithm, &trailers)?),
        Some(AnnouncedChecksum::Unknown(_)) | None => None,
    };
    if stated.is_some_and(|stated| stated != checksum.value) {
        return Err(s3_error!(
            BadDigest,
            "The {} you specified did not match the calculated checksum.",
            checksum.algorithm.name()
        ));
    }
    Ok(Received { blob, size, md5, checksum })
}

fn trailer(algorithm: Algorithm, trailers: &TrailingHeaders) -> S3Result<String> {
    let value = trailers
        .read(|headers| {
            let value = headers.get(algorithm.header())?;
            value.to_str().ok().map(str::to_owned)
        })
        .flatten()
        .ok_or_else(|| {
            named_error(
                "MalformedTrailerError",
                StatusCode::BAD_REQUEST,
                "The request contained trailing data that was not well-formed or did not conform to \
                 our published schema.",
            )
        })?;
    algorithm.check_format(&value)?;
    Ok(value)
}

fn incomplete() -> S3Error {
    s3_error!(
        IncompleteBody,
        "You did not provide the number of bytes specified by the Content-Length HTTP header"
    )
}

/// What S3 calls an error in the middle of a body.
fn body_error(error: &StdError) -> S3Error {
    // The protocol layer's errors are private types, so their messages are all there is to go by.
    let message = error.to_string();
    if message.contains("Sha256Mismatch") {
        return named_error(
            "XAmzContentSHA256Mismatch",
            StatusCode::BAD_REQUEST,
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        );
    }
    if message.contains("SignatureMismatch") {
        return s3_error!(
            SignatureDoesNotMatch,
            "The request signature we calculated does not match the signature you provided."
        );
    }
    incomplete()
}

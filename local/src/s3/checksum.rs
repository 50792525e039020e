//! The additional checksums of S3: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html>

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use s3s::checksum::ChecksumHasher;
use s3s::{S3Result, dto, s3_error};
use serde::{Deserialize, Serialize};

/// The checksum that an object was stored with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Checksum {
    pub algorithm: Algorithm,
    /// In base64; of a composite one, followed by `-` and the number of parts.
    pub value: String,
    /// A checksum of the parts' checksums rather than of the content.
    pub composite: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

impl Algorithm {
    pub const ALL: [Self; 5] = [Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256];

    /// As in `x-amz-checksum-algorithm`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    pub fn parse(name: &str) -> S3Result<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name).ok_or_else(|| {
            s3_error!(
                InvalidRequest,
                "Checksum algorithm provided is unsupported. Please try again with any of the \
                 valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]"
            )
        })
    }

    /// The header, trailer or form field that carries the value.
    pub fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    fn size(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme => 8,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    pub fn hasher(self) -> ChecksumHasher {
        let mut hasher = ChecksumHasher::default();
        match self {
            Self::Crc32 => hasher.crc32 = Some(s3s::crypto::Crc32::default()),
            Self::Crc32c => hasher.crc32c = Some(s3s::crypto::Crc32c::default()),
            Self::Crc64Nvme => hasher.crc64nvme = Some(s3s::crypto::Crc64Nvme::default()),
            Self::Sha1 => hasher.sha1 = Some(s3s::crypto::Sha1::default()),
            Self::Sha256 => hasher.sha256 = Some(s3s::crypto::Sha256::default()),
        }
        hasher
    }

    /// The value that a hasher of this algorithm came to.
    pub fn value(self, hasher: ChecksumHasher) -> String {
        let sums = hasher.finalize();
        match self {
            Self::Crc32 => sums.checksum_crc32,
            Self::Crc32c => sums.checksum_crc32c,
            Self::Crc64Nvme => sums.checksum_crc64nvme,
            Self::Sha1 => sums.checksum_sha1,
            Self::Sha256 => sums.checksum_sha256,
        }
        .expect("the hasher was made for this algorithm")
    }

    /// Refuses what cannot be a value of this algorithm.
    pub fn check_format(self, value: &str) -> S3Result<()> {
        if BASE64.decode(value).is_ok_and(|bytes| bytes.len() == self.size()) {
            return Ok(());
        }
        Err(s3_error!(InvalidRequest, "Value for {} header is invalid.", self.header()))
    }
}

impl Checksum {
    /// The checksum of a multipart object from those of its parts, in their order.
    pub fn of_parts<'a>(algorithm: Algorithm, parts: impl Iterator<Item = &'a str>) -> Self {
        let mut hasher = algorithm.hasher();
        let mut count = 0_usize;
        for part in parts {
            hasher.update(&BASE64.decode(part).unwrap_or_default());
            count += 1;
        }
        Self { algorithm, value: format!("{}-{count}", algorithm.value(hasher)), composite: true }
    }

    /// As the outputs of the protocol layer take it.
    pub fn to_dto(&self) -> dto::Checksum {
        let kind = if self.composite { dto::ChecksumType::COMPOSITE } else { dto::ChecksumType::FULL_OBJECT };
        let mut sums = dto::Checksum {
            checksum_type: Some(dto::ChecksumType::from_static(kind)),
            ..dto::Checksum::default()
        };
        let slot = match self.algorithm {
            Algorithm::Crc32 => &mut sums.checksum_crc32,
            Algorithm::Crc32c => &mut sums.checksum_crc32c,
            Algorithm::Crc64Nvme => &mut sums.checksum_crc64nvme,
            Algorithm::Sha1 => &mut sums.checksum_sha1,
            Algorithm::Sha256 => &mut sums.checksum_sha256,
        };
        *slot = Some(self.value.clone());
        sums
    }
}

/// The one checksum that a request states; more than one is an error.
pub(super) fn only_one(
    given: impl IntoIterator<Item = (Algorithm, Option<String>)>,
) -> S3Result<Option<(Algorithm, String)>> {
    let mut given = given.into_iter().filter_map(|(algorithm, value)| value.map(|value| (algorithm, value)));
    let first = given.next();
    if given.next().is_some() {
        return Err(s3_error!(
            InvalidRequest,
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
        ));
    }
    if let Some((algorithm, value)) = &first {
        algorithm.check_format(value)?;
    }
    Ok(first)
}

/// The checksums in an operation's input.
macro_rules! stated_checksums {
    ($input:expr) => {{
        use $crate::s3::checksum::Algorithm;
        [
            (Algorithm::Crc32, $input.checksum_crc32.take()),
            (Algorithm::Crc32c, $input.checksum_crc32c.take()),
            (Algorithm::Crc64Nvme, $input.checksum_crc64nvme.take()),
            (Algorithm::Sha1, $input.checksum_sha1.take()),
            (Algorithm::Sha256, $input.checksum_sha256.take()),
        ]
    }};
}
pub(super) use stated_checksums;

/// Writes a checksum into an operation's output.
macro_rules! state_checksum {
    ($output:expr, $checksum:expr) => {{
        let sums = $checksum.to_dto();
        $output.checksum_crc32 = sums.checksum_crc32;
        $output.checksum_crc32c = sums.checksum_crc32c;
        $output.checksum_crc64nvme = sums.checksum_crc64nvme;
        $output.checksum_sha1 = sums.checksum_sha1;
        $output.checksum_sha256 = sums.checksum_sha256;
        sums.checksum_type
    }};
}
pub(super) use state_checksum;

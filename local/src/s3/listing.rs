//! `ListObjectsV2`, `ListBuckets` and what else describes buckets.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as TOKEN;
use rusqlite::{Connection, params};
use s3s::dto::{
    Bucket, ChecksumAlgorithm, CommonPrefix, ETag, EncodingType, ListBucketsOutput, ListObjectsV2Input,
    ListObjectsV2Output, Object as ListedObject, ObjectStorageClass, Owner,
};
use s3s::{S3Result, s3_error};

use super::attributes::seconds;
use super::checksum::Checksum;
use super::index::{OBJECT_COLUMNS, Object, object};
use super::notification::encode_key;
use super::{REGION, State};

/// The most that S3 lists at once.
pub(super) const PAGE: usize = 1000;

/// What to list.
#[derive(Default)]
pub(super) struct Range {
    pub prefix: String,
    pub delimiter: String,
    /// The first key that may come, in bytes.
    pub from: Vec<u8>,
    pub limit: usize,
}

#[derive(Default)]
pub(super) struct Listing {
    pub objects: Vec<Object>,
    pub prefixes: Vec<String>,
    /// Where the next page begins, if there is more.
    pub next: Option<Vec<u8>>,
}

/// Lists keys in the order of their bytes, rolling up what shares a prefix up to the delimiter.
pub(super) fn list(connection: &Connection, bucket: &str, range: &Range) -> rusqlite::Result<Listing> {
    let prefix = range.prefix.as_bytes();
    let mut from = range.from.clone().max(prefix.to_vec());
    let mut listing = Listing::default();
    if range.limit == 0 {
        return Ok(listing);
    }
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {OBJECT_COLUMNS} FROM objects WHERE bucket = ?1 AND key >= ?2 ORDER BY key"
    ))?;
    'seek: loop {
        let mut rows = statement.query(params![bucket, from])?;
        while let Some(row) = rows.next()? {
            let object = object(row)?;
            let Some(rest) = object.key.strip_prefix(&range.prefix) else {
                return Ok(listing);
            };
            if listing.objects.len() + listing.prefixes.len() == range.limit {
                listing.next = Some(object.key.into_bytes());
                return Ok(listing);
            }
            let group = (!range.delimiter.is_empty())
                .then(|| rest.find(&range.delimiter))
                .flatten()
                .map(|at| range.prefix.len() + at + range.delimiter.len());
            if let Some(end) = group {
                let group = object.key[..end].to_owned();
                from = successor(&group);
                listing.prefixes.push(group);
                continue 'seek;
            }
            listing.objects.push(object);
        }
        return Ok(listing);
    }
}

/// The least byte string after everything that begins with `prefix`, which is not empty. The bytes of
/// UTF-8 stay below 0xF5, so there is always one.
fn successor(prefix: &str) -> Vec<u8> {
    let mut bytes = prefix.as_bytes().to_vec();
    if let Some(last) = bytes.last_mut() {
        *last += 1;
    }
    bytes
}

impl State {
    pub async fn list_objects(&self, input: ListObjectsV2Input) -> S3Result<ListObjectsV2Output> {
        let max_keys = input.max_keys.unwrap_or(1000);
        let limit = usize::try_from(max_keys)
            .map_err(|_| {
                s3_error!(InvalidArgument, "Argument maxKeys must be an integer between 0 and 2147483647")
            })?
            .min(PAGE);
        let url = url_encoding(input.encoding_type.as_ref())?;
        let from = match (&input.continuation_token, &input.start_after) {
            (Some(token), _) => TOKEN
                .decode(token)
                .map_err(|_| s3_error!(InvalidArgument, "The continuation token provided is incorrect"))?,
            // The least byte string after the key.
            (None, Some(key)) => [key.as_bytes(), &[0]].concat(),
            (None, None) => Vec::new(),
        };
        let range = Range {
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: input.delimiter.clone().unwrap_or_default(),
            from,
            limit,
        };
        let bucket = input.bucket.clone();
        let listing = self.index.run(move |connection| list(connection, &bucket, &range)).await?;
        let key = |key: String| if url { encode_key(&key) } else { key };
        let owner = input.fetch_owner == Some(true);
        let count = listing.objects.len() + listing.prefixes.len();
        let listed = |object: Object| ListedObject {
            e_tag: Some(ETag::Strong(object.etag)),
            key: Some(key(object.key)),
            last_modified: Some(seconds(object.modified)),
            owner: owner.then(|| Owner { display_name: None, id: Some("root".to_owned()) }),
            size: i64::try_from(object.size).ok(),
            storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
            checksum_algorithm: object
                .attributes
                .checksum
                .as_ref()
                .map(|checksum| vec![ChecksumAlgorithm::from_static(checksum.algorithm.name())]),
            checksum_type: object
                .attributes
                .checksum
                .as_ref()
                .and_then(|checksum| Checksum::to_dto(checksum).checksum_type),
            ..ListedObject::default()
        };
        Ok(ListObjectsV2Output {
            is_truncated: Some(listing.next.is_some()),
            next_continuation_token: listing.next.map(|next| TOKEN.encode(next)),
            contents: Some(listing.objects.into_iter().map(listed).collect()),
            common_prefixes: Some(
                listing
                    .prefixes
                    .into_iter()
                    .map(|prefix| CommonPrefix { prefix: Some(key(prefix)) })
                    .collect(),
            ),
            name: Some(input.bucket),
            prefix: Some(key(input.prefix.unwrap_or_default())),
            delimiter: input.delimiter.map(key),
            start_after: input.start_after.map(key),
            continuation_token: input.continuation_token,
            encoding_type: input.encoding_type,
            max_keys: i32::try_from(limit).ok(),
            key_count: i32::try_from(count).ok(),
            ..ListObjectsV2Output::default()
        })
    }

    pub fn list_buckets(&self) -> ListBucketsOutput {
        let bucket = |name: &String| Bucket {
            name: Some(name.clone()),
            creation_date: self.created.get(name).map(|at| seconds(*at)),
            bucket_region: Some(REGION.to_owned()),
        };
        ListBucketsOutput {
            buckets: Some(self.buckets.keys().map(bucket).collect()),
            owner: Some(Owner { display_name: None, id: Some("root".to_owned()) }),
            ..ListBucketsOutput::default()
        }
    }
}

/// Whether keys are to be URL-encoded in an answer.
pub(super) fn url_encoding(encoding: Option<&EncodingType>) -> S3Result<bool> {
    match encoding.map(EncodingType::as_str) {
        None => Ok(false),
        Some(EncodingType::URL) => Ok(true),
        Some(_) => Err(s3_error!(InvalidArgument, "Invalid Encoding Method specified in Request")),
    }
}

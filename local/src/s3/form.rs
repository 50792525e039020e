//! `PostObject`: a file straight out of a browser's form, allowed by a signed policy.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-post-example.html>
//!
//! The protocol layer has forms of its own, but holds the whole file in memory, takes a form for too
//! old fifteen minutes after it was signed whatever its policy says, and leaves `${filename}` alone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use bytes::Bytes;
use futures::Stream;
use http::header::{CONTENT_TYPE, ETAG, LOCATION};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use multer::{Field, Multipart};
use s3s::dto::{PostResponse, Timestamp};
use s3s::path::check_key;
use s3s::post_policy::{PostPolicy, PostPolicyCondition};
use s3s::xml::{Serialize as _, Serializer};
use s3s::{Body, S3Error, S3ErrorCode, S3Result, StdError, s3_error};

use super::State;
use super::access::{Caller, Origin, anonymous, object_arn, unknown_key};
use super::attributes::Attributes;
use super::checksum::{Algorithm, only_one};
use super::complete::location;
use super::objects::hex;
use super::receive::{Announced, AnnouncedChecksum, Size, receive};
use super::write::{Write, WriteConditions, commit};

/// What S3 allows for the fields before the file.
const FIELDS_LIMIT: usize = 20 * 1024;

/// The fields before the file, by their names in lower case.
type Fields = BTreeMap<String, String>;

/// Whether a request is a form rather than an operation of the REST API.
pub(super) fn is_form(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|value| value.starts_with("multipart/form-data"))
}

pub(super) async fn post(
    state: &Arc<State>, bucket: &str, headers: &HeaderMap, origin: Origin,
    body: impl Stream<Item = Result<Bytes, StdError>> + Send + 'static,
) -> S3Result<Response<Body>> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let boundary = multer::parse_boundary(content_type.unwrap_or_default()).map_err(malformed)?;
    let mut form = Multipart::new(body, boundary);
    let (mut fields, file) = read_fields(&mut form).await?;
    // Variables are expanded before the policy is looked at:
    // https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html
    let filename = file.file_name().unwrap_or_default();
    let filename = filename.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
    for (name, value) in &mut fields {
        if !matches!(name.as_str(), "policy" | "x-amz-signature") {
            *value = value.replace("${filename}", &filename);
        }
    }
    let key = fields.get("key").filter(|key| !key.is_empty()).cloned().ok_or_else(|| {
        s3_error!(
            InvalidArgument,
            "Bucket POST must contain a field named 'key'. If it is specified, please check the \
             order of the fields."
        )
    })?;
    if !check_key(&key) {
        return Err(s3_error!(KeyTooLongError, "Your key is too long"));
    }
    let caller = signer(state, &fields, origin)?;
    let policy = fields.get("policy").ok_or_else(anonymous)?;
    let size = check_policy(policy, &fields, bucket)?;
    state.bucket(bucket)?;
    caller.authorize("s3:PutObject", &object_arn(bucket, &key), &[])?;
    let mut attributes = attributes(&fields)?;
    let stated =
        only_one(Algorithm::ALL.map(|algorithm| (algorithm, fields.get(algorithm.header()).cloned())))?;
    let announced = Announced {
        size: Size::Allowed(size),
        md5: None,
        checksum: stated.map(|(algorithm, value)| AnnouncedChecksum::Value(algorithm, value)),
    };
    let received = receive(state, bucket, file, announced).await?;
    // The rest of the form: fields after the file count for nothing, but it must be well-formed.
    while let Some(field) = form.next_field().await.map_err(malformed)? {
        if field.name() == Some("file") {
            return Err(one_file());
        }
    }
    let etag = hex(&received.md5);
    attributes.checksum = Some(received.checksum);
    let write = Write {
        bucket: bucket.to_owned(),
        key: key.clone(),
        blob: received.blob,
        size: received.size,
        etag: etag.clone(),
        attributes,
        conditions: WriteConditions::default(),
        upload: None,
        event: "ObjectCreated:Post",
        caller,
    };
    commit(state, write).await?;
    success(&fields, headers, bucket, &key, &format!("\"{etag}\""))
}

async fn read_fields(form: &mut Multipart<'static>) -> S3Result<(Fields, Field<'static>)> {
    let mut fields = Fields::new();
    let mut size = 0;
    while let Some(mut field) = form.next_field().await.map_err(malformed)? {
        let name = field.name().unwrap_or_default().to_ascii_lowercase();
        if name == "file" {
            return Ok((fields, field));
        }
        let mut value = Vec::new();
        while let Some(chunk) = field.chunk().await.map_err(malformed)? {
            size += chunk.len();
            if size > FIELDS_LIMIT {
                return Err(s3_error!(
                    MaxPostPreDataLengthExceededError,
                    "Your POST request fields preceding the upload file was too large."
                ));
            }
            value.extend_from_slice(&chunk);
        }
        let value = String::from_utf8(value).map_err(malformed)?;
        if fields.insert(name.clone(), value).is_some() {
            return Err(s3_error!(InvalidArgument, "The field '{name}' is given twice."));
        }
    }
    Err(one_file())
}

fn one_file() -> S3Error {
    s3_error!(IncorrectNumberOfFilesInPostRequest, "POST requires exactly one file upload per request.")
}

fn malformed(error: impl std::error::Error + Send + Sync + 'static) -> S3Error {
    s3_error!(
        error,
        MalformedPOSTRequest,
        "The body of your POST request is not well-formed multipart/form-data."
    )
}

/// Who signed the policy.
fn signer(state: &State, fields: &Fields, origin: Origin) -> S3Result<Caller> {
    let field = |name: &str| fields.get(name).map(String::as_str);
    let (Some(policy), Some(signature), Some(credential)) =
        (field("policy"), field("x-amz-signature"), field("x-amz-credential"))
    else {
        return Err(anonymous());
    };
    if field("x-amz-algorithm") != Some("AWS4-HMAC-SHA256") {
        return Err(s3_error!(InvalidArgument, "X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\""));
    }
    let scope: Vec<_> = credential.split('/').collect();
    let [access_key, date, region, "s3", "aws4_request"] = scope[..] else {
        return Err(s3_error!(
            InvalidArgument,
            "The Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\"."
        ));
    };
    let day = Date::strptime("%Y%m%d", date)
        .and_then(|date| date.to_zoned(TimeZone::UTC))
        .map_err(|_| s3_error!(InvalidArgument, "The date of the Credential is mal-formed."))?;
    if !field("x-amz-date").is_some_and(|time| time.starts_with(date)) {
        return Err(s3_error!(
            InvalidArgument,
            "X-Amz-Date must be formatted via ISO8601 and be of the Credential's date."
        ));
    }
    let identity = state.identities.get(access_key).ok_or_else(unknown_key)?;
    let day = SystemTime::from(day.timestamp());
    let signing_key = generate_signing_key(&identity.secret_key, day, region, "s3");
    if calculate_signature(signing_key, policy.as_bytes()) != signature {
        return Err(s3_error!(
            SignatureDoesNotMatch,
            "The request signature we calculated does not match the signature you provided. Check \
             your key and signing method."
        ));
    }
    Ok(Caller::new(identity, origin))
}

/// Checks the form against its policy; what remains is the size that the file may have.
fn check_policy(policy: &str, fields: &Fields, bucket: &str) -> S3Result<std::ops::RangeInclusive<u64>> {
    let policy = PostPolicy::from_base64(policy).map_err(|error| {
        let message = format!("Invalid Policy: {error}");
        let mut error = S3Error::with_message(S3ErrorCode::InvalidPolicyDocument, message);
        error.set_status_code(StatusCode::BAD_REQUEST);
        error
    })?;
    if policy.expiration <= Timestamp::from(SystemTime::now()) {
        return Err(s3_error!(AccessDenied, "Invalid according to Policy: Policy expired."));
    }
    let value = |field: &str| match field {
        "bucket" => Some(bucket),
        field => fields.get(field).map(String::as_str),
    };
    let mut size = 0..=super::receive::LARGEST;
    let mut covered = Vec::new();
    for condition in &policy.conditions {
        let (field, holds, shown) = match condition {
            PostPolicyCondition::Eq { field, value: expected } => {
                (field, value(field) == Some(expected), format!("[\"eq\", \"${field}\", \"{expected}\"]"))
            }
            PostPolicyCondition::StartsWith { field, prefix } => (
                field,
                value(field).is_some_and(|value| starts_with(field, value, prefix)),
                format!("[\"starts-with\", \"${field}\", \"{prefix}\"]"),
            ),
            PostPolicyCondition::ContentLengthRange { min, max } => {
                size = *size.start().max(min)..=*size.end().min(max);
                continue;
            }
        };
        if !holds {
            return Err(s3_error!(
                AccessDenied,
                "Invalid according to Policy: Policy Condition failed: {shown}"
            ));
        }
        covered.push(field.as_str());
    }
    let exempt = |name: &str| matches!(name, "policy" | "x-amz-signature") || name.starts_with("x-ignore-");
    let extra = fields.keys().find(|name| !exempt(name) && !covered.contains(&name.as_str()));
    match extra {
        Some(name) => Err(s3_error!(AccessDenied, "Invalid according to Policy: Extra input fields: {name}")),
        None => Ok(size),
    }
}

/// Of a content type, every one in a list must begin so.
fn starts_with(field: &str, value: &str, prefix: &str) -> bool {
    if field == "content-type" {
        return value.split(',').all(|one| one.trim().starts_with(prefix));
    }
    value.starts_with(prefix)
}

fn attributes(fields: &Fields) -> S3Result<Attributes> {
    let field = |name: &str| fields.get(name).cloned();
    let metadata = fields
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix("x-amz-meta-")?.to_owned(), value.clone())));
    Attributes {
        content_type: field("content-type"),
        cache_control: field("cache-control"),
        content_disposition: field("content-disposition"),
        content_encoding: field("content-encoding"),
        content_language: field("content-language"),
        expires: field("expires"),
        metadata: metadata.collect(),
        checksum: None,
    }
    .checked()
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html>
fn success(
    fields: &Fields, headers: &HeaderMap, bucket: &str, key: &str, etag: &str,
) -> S3Result<Response<Body>> {
    let mut response = Response::new(Body::empty());
    let header = |value: &str| HeaderValue::from_str(value).map_err(S3Error::internal_error);
    response.headers_mut().insert(ETAG, header(etag)?);
    if let Some(target) = fields.get("success_action_redirect").and_then(|url| {
        let separator = if url.contains('?') { '&' } else { '?' };
        let query = [("bucket", bucket), ("key", key), ("etag", etag)]
            .map(|(name, value)| format!("{name}={}", super::notification::encode_query(value)))
            .join("&");
        // What is no URL is ignored, as if it were not there.
        url.parse::<http::Uri>().ok()?.host()?;
        HeaderValue::from_str(&format!("{url}{separator}{query}")).ok()
    }) {
        *response.status_mut() = StatusCode::SEE_OTHER;
        response.headers_mut().insert(LOCATION, target);
        return Ok(response);
    }
    let location = location(headers, bucket, key);
    response.headers_mut().insert(LOCATION, header(&location)?);
    *response.status_mut() = match fields.get("success_action_status").map(String::as_str) {
        Some("200") => StatusCode::OK,
        Some("201") => {
            let mut xml = Vec::new();
            let mut serializer = Serializer::new(&mut xml);
            serializer.decl().map_err(S3Error::internal_error)?;
            PostResponse { location: &location, bucket, key, etag }
                .serialize(&mut serializer)
                .map_err(S3Error::internal_error)?;
            *response.body_mut() = Body::from(xml);
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
            StatusCode::CREATED
        }
        _ => StatusCode::NO_CONTENT,
    };
    Ok(response)
}

//! The requests that Uppy's plugin for S3 makes of its server, called Companion, and the answers that it expects.
//!
//! Its versions send more or less beside what is read here, so what is not known is passed over.
//! <https://uppy.io/docs/aws-s3/>

use std::collections::BTreeMap;

use lambda_http::Request;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::domain::details::Details;
use shared::domain::image::{Image, MAXIMUM_BYTES, NewImage};
use shared::domain::parts::{Part, SentPart};
use shared::domain::{ImageId, UploadId};
use shared::http::{Caller, FieldError, Problem, body, declared, path_parameter, query};
use shared::media::{PartTarget, UploadTarget, keys};

/// How long a signed request can be used, in seconds.
const EXPIRES: u64 = shared::domain::image::UPLOAD_WINDOW.as_secs();

/// A file that Uppy wants to upload.
#[derive(Debug, Default, Deserialize)]
pub struct NewFile {
    /// Its media type.
    #[serde(rename = "type")]
    content_type: Option<String>,
    /// Its fields: ours are `size`, `title`, `alt`, `tags` and `visibility`.
    #[serde(default)]
    metadata: BTreeMap<String, Value>,
}

/// A file, checked.
#[derive(Debug)]
pub struct Announced {
    /// The image to reserve.
    pub new: NewImage,
    /// How many bytes there are at least.
    pub least: u64,
}

impl NewFile {
    /// Reads a body.
    pub fn from_body(request: &Request) -> Result<Self, Problem> {
        body(request)
    }

    /// Reads a query: `type=…&metadata[title]=…`.
    pub fn from_query(request: &Request) -> Result<Self, Problem> {
        let mut file = Self::default();
        for (name, value) in query::<BTreeMap<String, String>>(request)? {
            if name == "type" {
                file.content_type = Some(value);
            } else if let Some(field) = name.strip_prefix("metadata[").and_then(|name| name.strip_suffix(']'))
            {
                file.metadata.insert(field.to_owned(), Value::String(value));
            }
        }
        Ok(file)
    }

    /// Checks it. Uppy does not say how large a file is unless the page makes it a field of the file. If not,
    /// as much is reserved as an upload may have, with this token.
    pub fn check(self, caller: &Caller) -> Result<Announced, Problem> {
        let size = match self.metadata.get("size") {
            None | Some(Value::Null) => None,
            Some(size) => Some(number(size).ok_or_else(|| wrong("size", &"must be the size of the file"))?),
        };
        let most = caller.grant().and_then(|(_, grant)| grant.max_bytes).unwrap_or(MAXIMUM_BYTES);
        let declared = declared(self.content_type.unwrap_or_default(), size.unwrap_or(most))?;
        let field = |name: &str| match self.metadata.get(name) {
            Some(Value::String(text)) if !text.trim().is_empty() => Some(text.as_str()),
            _ => None,
        };
        let title = field("title").map(str::parse).transpose().map_err(|e| wrong("title", &e))?;
        let alt = field("alt").map(str::parse).transpose().map_err(|e| wrong("alt", &e))?;
        let tags: Vec<_> = field("tags")
            .unwrap_or_default()
            .split(',')
            .map(str::trim)
            .filter(|tag| !tag.is_empty())
            .collect();
        let tags = serde_json::from_value(json!(tags)).map_err(|e| wrong("tags", &e))?;
        let visibility = match field("visibility") {
            Some(visibility) => {
                Some(serde_json::from_value(json!(visibility)).map_err(|e| wrong("visibility", &e))?)
            }
            None => None,
        };
        let visibility = caller.visibility(visibility).map_err(|e| wrong("visibility", &e))?;
        let details = Details { title, alt, tags, ..Details::default() };
        let new = NewImage { declared, visibility, owner: caller.user.clone(), details };
        Ok(Announced { least: size.unwrap_or(1), new })
    }
}

fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn wrong(field: &str, detail: &impl ToString) -> Problem {
    let pointer = format!("/metadata/{field}");
    Problem::invalid_fields(vec![FieldError { pointer, detail: detail.to_string() }])
}

/// Which upload a request is about: the path says it, and the key that we answered with says whose it is.
pub fn upload_of(request: &Request, caller: &Caller) -> Result<(ImageId, UploadId), Problem> {
    #[derive(Deserialize)]
    struct Parameters {
        #[serde(default)]
        key: String,
    }
    let upload: UploadId = path_parameter(request, "upload", "upload")?;
    let parameters: Parameters = query(request)?;
    match keys::parse_upload(&parameters.key) {
        Some((project, image, found)) if project == caller.project && found == upload => Ok((image, upload)),
        Some(_) | None => Err(Problem::not_found("upload")),
    }
}

/// Which parts are to be signed: that of the path, or those of the query.
pub fn numbers(request: &Request) -> Result<Vec<u16>, Problem> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Parameters {
        part_numbers: Option<String>,
    }
    if let Ok(number) = path_parameter(request, "part", "part") {
        return Ok(vec![number]);
    }
    let parameters: Parameters = query(request)?;
    let numbers: Option<Vec<_>> = parameters
        .part_numbers
        .filter(|_| request.uri().path().ends_with("/batch"))
        .map(|list| list.split(',').map(|number| number.trim().parse().ok()).collect())
        .unwrap_or_default();
    numbers.ok_or_else(|| Problem::not_found("part"))
}

/// The parts that Uppy says it has sent.
pub fn sent_parts(request: &Request) -> Result<Vec<SentPart>, Problem> {
    #[derive(Deserialize)]
    struct Completed {
        parts: Vec<Completing>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Completing {
        part_number: u16,
        #[serde(rename = "ETag")]
        etag: String,
    }
    let completed: Completed = body(request)?;
    let sent = |part: Completing| SentPart { number: part.part_number, etag: part.etag };
    Ok(completed.parts.into_iter().map(sent).collect())
}

/// What S3 calls the object.
fn key(image: &Image) -> String {
    keys::upload(image.project, image.id, image.upload)
}

/// The answer to a file that is sent as a form.
pub fn form(target: &UploadTarget) -> Value {
    json!({ "method": "POST", "url": target.url, "fields": target.fields, "expires": EXPIRES })
}

/// The answer to a file that is sent in parts.
pub fn begun(image: &Image) -> Value {
    json!({ "uploadId": image.upload, "key": key(image) })
}

/// Where to send a part.
pub fn signed(target: &PartTarget) -> Value {
    json!({ "url": target.url, "expires": EXPIRES })
}

/// Where to send several parts.
pub fn signed_batch(targets: &[PartTarget]) -> Value {
    let urls: BTreeMap<_, _> =
        targets.iter().map(|target| (target.number.to_string(), &target.url)).collect();
    json!({ "presignedUrls": urls })
}

/// A part that is there.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Listed {
    part_number: u16,
    size: u64,
    #[serde(rename = "ETag")]
    etag: String,
}

impl From<Part> for Listed {
    fn from(part: Part) -> Self {
        Self { part_number: part.number, size: part.bytes, etag: format!("\"{}\"", part.etag) }
    }
}

/// The answer when all are there.
pub fn completed(image: &Image) -> Value {
    json!({ "location": format!("/v1/images/{}", image.id), "key": key(image) })
}

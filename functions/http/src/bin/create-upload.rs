//! `POST /v1/uploads`: reserves an image and answers with where to send its bytes.
//!
//! The bytes never pass through here: the client sends them to S3, and the object-created event moves the
//! image on (see `process-upload`).

use lambda_http::{Body, Request, Response};
use serde::{Deserialize, Serialize};
use shared::domain::error::CommitError;
use shared::domain::image::{ACCEPTED_TYPES, Declared, Image, MAXIMUM_BYTES, NewImage};
use shared::domain::{Clock, EventId, Ids, ImageId, Scope, UploadId, Visibility};
use shared::http::{Caller, FieldError, Problem, body, created};
use shared::media::{PresignUpload, UploadMethod, UploadTarget};
use shared::platform::{Environment, serve};
use shared::store::CommitImage;

/// What a client announces.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewUpload {
    content_type: String,
    bytes: u64,
    #[serde(default)]
    method: UploadMethod,
    #[serde(default)]
    visibility: Visibility,
    title: Option<String>,
}

#[derive(Debug, Serialize)]
struct CreatedUpload {
    id: UploadId,
    image: ImageId,
    #[serde(flatten)]
    target: UploadTarget,
}

/// Longer titles are descriptions.
const MAXIMUM_TITLE: usize = 200;

impl NewUpload {
    fn check(self) -> Result<(NewImage, UploadMethod), Problem> {
        let field = |pointer: &str, detail: String| {
            Problem::invalid_fields(vec![FieldError { pointer: pointer.into(), detail }])
        };
        if !ACCEPTED_TYPES.contains(&self.content_type.as_str()) {
            let accepted = ACCEPTED_TYPES.join(", ");
            return Err(Problem::unsupported_media(format!("`content_type` must be one of {accepted}.")));
        }
        if self.bytes == 0 {
            return Err(field("/bytes", "must be the size of the file, at least 1".into()));
        }
        if self.bytes > MAXIMUM_BYTES {
            return Err(Problem::too_large(format!("An upload has at most {MAXIMUM_BYTES} bytes.")));
        }
        let title = self.title.map(|title| title.trim().to_owned()).filter(|title| !title.is_empty());
        if title.as_ref().is_some_and(|title| title.chars().count() > MAXIMUM_TITLE) {
            return Err(field("/title", format!("must have at most {MAXIMUM_TITLE} characters")));
        }
        let declared = Declared { content_type: self.content_type, bytes: self.bytes };
        Ok((NewImage { declared, visibility: self.visibility, title }, self.method))
    }
}

async fn create_upload(
    images: &impl CommitImage, uploads: &impl PresignUpload, ids: &impl Ids, clock: &impl Clock,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let caller = Caller::from_request(&request)?.require(Scope::CreateUploads)?;
    let (new, method) = body::<NewUpload>(&request)?.check()?;
    let (image, upload) = (ImageId::new(ids.ulid()), UploadId::new(ids.ulid()));
    let now = clock.now();
    let change = Image::reserve(image, upload, caller.project, new, now);
    // Reserve first: whatever arrives in the bucket then has an image, and a crash here leaves a
    // reservation that the timer clears away.
    images.commit_image(None, &change, EventId::new(ids.ulid())).await.map_err(|error| match error {
        CommitError::Conflict => Problem::internal(error),
        CommitError::Unavailable(error) => error.into(),
    })?;
    let target = uploads.presign_upload(&change.image, method, now).await?;
    created(&format!("/v1/images/{image}"), &CreatedUpload { id: upload, image, target })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let env = Environment::load()?;
    let (images, uploads, random, clock) = (env.store()?, env.media(), env.random(), env.clock());
    let (images, uploads, random, clock) = (&images, &uploads, &random, &clock);
    serve(move |request| create_upload(images, uploads, random, clock, request)).await
}

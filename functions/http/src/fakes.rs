//! A table and a bucket with one image in them, as the tests of several endpoints need them.

#![allow(dead_code, reason = "each endpoint's tests use a part of it")]

use std::collections::BTreeMap;
use std::sync::Mutex;

use lambda_http::{Body, Request, Response};
use serde_json::{Value, json};
use shared::domain::details::Details;
use shared::domain::error::{CommitError, FindImageError, JoinPartsError};
use shared::domain::idempotency::{Attempt, Record};
use shared::domain::image::{Change, Declared, Image, NewImage, Picture};
use shared::domain::parts::{Multipart, PART_BYTES, Part};
use shared::domain::{
    Clock, EventId, ImageId, KeyId, Project, ProjectId, Time, TokenId, Unavailable, UploadId, Visibility,
};
use shared::http::Problem;
use shared::media::{
    AbortParts, BeginParts, FindUpload, JoinParts, ListParts, PartTarget, PresignForm, SignPart,
    UploadMethod, UploadTarget,
};
use shared::store::{CommitImage, FindImage, FindProject, RecallAttempt, RecordAttempt};

const NOW: i64 = 1_795_237_200;

pub struct World {
    pub image: Mutex<Option<Image>>,
    /// What was asked for, in its order.
    pub log: Mutex<Vec<&'static str>>,
    /// `None` when S3 knows of no such upload any more.
    parts: Mutex<Option<Vec<Part>>>,
    pub joined: Mutex<Vec<u16>>,
    object: Mutex<bool>,
    records: Mutex<Vec<Record>>,
    attempt: Option<&'static str>,
    scopes: &'static str,
    pub user: Option<&'static str>,
    /// The upload token that asks, instead of anybody else.
    token: Option<TokenId>,
    /// Whether the events come from the project that the image belongs to.
    ours: bool,
}

fn project() -> ProjectId {
    "prj_01M5GZNY40J4Q2W8N5R7X3Z9BD".parse().unwrap()
}

fn reserved() -> Image {
    let declared = Declared { content_type: "image/jpeg".into(), bytes: 2 * PART_BYTES + 1 };
    let details = Details::default();
    let new = NewImage { declared, visibility: Visibility::Private, owner: None, details };
    let (id, upload) = (ImageId::new(1.into()), UploadId::new(2.into()));
    Image::reserve(id, upload, project(), new, Time::from_secs(NOW - 60)).image
}

impl World {
    fn with(image: Option<Image>) -> Self {
        Self {
            image: Mutex::new(image),
            log: Mutex::default(),
            parts: Mutex::new(Some(vec![])),
            joined: Mutex::default(),
            object: Mutex::new(false),
            records: Mutex::default(),
            attempt: None,
            scopes: "uploads:create",
            user: None,
            token: None,
            ours: true,
        }
    }

    /// Nothing.
    pub fn empty() -> Self {
        Self::with(None)
    }

    /// An image that waits for bytes in one request.
    pub fn whole() -> Self {
        Self::with(Some(reserved()))
    }

    /// An image that waits for three parts.
    pub fn in_parts() -> Self {
        let image = reserved();
        let multipart = Multipart { upload: image.upload, id: "s3-1".into(), part_bytes: Some(PART_BYTES) };
        Self::with(Some(Image { multipart: Some(multipart), ..image }))
    }

    fn changed(mut self, change: impl FnOnce(&Image) -> Image) -> Self {
        let image = self.image.get_mut().unwrap();
        *image = image.as_ref().map(change);
        self
    }

    /// With these parts in the bucket.
    pub fn with_parts(mut self, numbers: &[u16]) -> Self {
        let part = |&number: &u16| {
            let bytes = if number == 3 { 1 } else { PART_BYTES };
            Part { number, etag: format!("e{number}"), bytes }
        };
        *self.parts.get_mut().unwrap() = Some(numbers.iter().map(part).collect());
        self
    }

    /// As Uppy cuts it: the parts have any size.
    pub fn cut_freely(self) -> Self {
        self.changed(|image| {
            let multipart =
                image.multipart.clone().map(|multipart| Multipart { part_bytes: None, ..multipart });
            Image { multipart, ..image.clone() }
        })
    }

    /// One byte less was announced.
    pub fn announced_smaller(self) -> Self {
        self.changed(|image| {
            let declared = Declared { bytes: image.declared.bytes - 1, ..image.declared.clone() };
            Image { declared, ..image.clone() }
        })
    }

    /// S3 knows of no such upload.
    pub fn given_up(mut self) -> Self {
        *self.parts.get_mut().unwrap() = None;
        self
    }

    /// The bytes are there.
    pub fn with_object(mut self) -> Self {
        *self.object.get_mut().unwrap() = true;
        self
    }

    /// The upload was aborted.
    pub fn failed(self) -> Self {
        self.changed(|image| image.abandon(image.upload, "", Time::from_secs(NOW)).unwrap().unwrap().image)
    }

    /// The picture can be served.
    pub fn ready(self) -> Self {
        self.changed(|image| image.become_ready(Picture::default(), Time::from_secs(NOW)).image)
    }

    /// The image is another project's.
    pub fn of_another(self) -> Self {
        Self { ours: false, ..self }
    }

    /// The image is one user's, and another asks.
    pub fn of_a_user(self) -> Self {
        let world = self.changed(|image| Image { owner: Some("ana".parse().unwrap()), ..image.clone() });
        Self { user: Some("ben"), ..world }
    }

    /// The caller has an upload token, and another one reserved the image.
    pub fn with_another_token(self) -> Self {
        let world =
            self.changed(|image| Image { upload_token: Some(TokenId::new(8.into())), ..image.clone() });
        Self { token: Some(TokenId::new(9.into())), ..world }
    }

    /// The caller has the upload token that reserved the image.
    pub fn with_its_token(self) -> Self {
        let token = TokenId::new(9.into());
        let world = self.changed(|image| Image { upload_token: Some(token), ..image.clone() });
        Self { token: Some(token), ..world }
    }

    /// The caller may only look.
    pub fn without_scope(self) -> Self {
        Self { scopes: "images:read", ..self }
    }

    /// Requests have this name.
    pub fn attempt(self, attempt: &'static str) -> Self {
        Self { attempt: Some(attempt), ..self }
    }

    pub fn image(&self) -> Image {
        self.image.lock().unwrap().clone().unwrap()
    }

    fn note(&self, what: &'static str) {
        self.log.lock().unwrap().push(what);
    }
}

/// The event, about the image of this world.
pub fn event_of(text: &str, world: &World) -> Value {
    let mut event: Value = serde_json::from_str(text).unwrap();
    let project = if world.ours { project() } else { ProjectId::new(7.into()) };
    let context = match (world.user, world.token) {
        (_, Some(token)) => {
            json!({ "project": project, "token": token, "grant": "{}", "scopes": world.scopes })
        }
        (Some(user), None) => json!({ "project": project, "user": user, "scopes": world.scopes }),
        (None, None) => json!({ "project": project, "key": KeyId::new(1.into()), "scopes": world.scopes }),
    };
    event["requestContext"]["authorizer"]["lambda"] = context;
    if let Some(attempt) = world.attempt {
        event["headers"]["idempotency-key"] = json!(attempt);
    }
    if let Some(image) = world.image.lock().unwrap().as_ref() {
        if event["pathParameters"]["image"].is_string() {
            event["pathParameters"]["image"] = json!(image.id);
        }
        event["pathParameters"]["upload"] = json!(image.upload);
        if event["rawQueryString"].as_str().is_some_and(|query| query.starts_with("key=")) {
            event["rawQueryString"] =
                json!(format!("key={}%2F{}%2F{}", image.project, image.id, image.upload));
        }
    }
    event
}

pub fn request(event: &Value) -> Request {
    lambda_http::request::from_str(&event.to_string()).unwrap()
}

pub fn document(response: &Response<Body>) -> Value {
    let Body::Text(text) = response.body() else { panic!("the answer is text") };
    serde_json::from_str(text).unwrap()
}

/// The status and the code of what must be a problem.
pub fn refusal(answer: Result<Response<Body>, Problem>) -> (u16, &'static str) {
    let problem = answer.unwrap_err();
    (problem.status().as_u16(), problem.code())
}

impl Clock for World {
    fn now(&self) -> Time {
        Time::from_secs(NOW)
    }
}

impl FindImage for World {
    async fn find_image(&self, project: ProjectId, id: ImageId) -> Result<Image, FindImageError> {
        let image = self.image.lock().unwrap().clone();
        image.filter(|image| (image.project, image.id) == (project, id)).ok_or(FindImageError::NotFound)
    }
}

impl CommitImage for World {
    async fn commit_image(
        &self, before: Option<&Image>, change: &Change, _: EventId,
    ) -> Result<(), CommitError> {
        self.note("commit");
        let mut image = self.image.lock().unwrap();
        assert_eq!(before, image.as_ref());
        *image = Some(change.image.clone());
        Ok(())
    }
}

impl FindProject for World {
    async fn find_project(&self, id: ProjectId, now: Time) -> Result<Option<Project>, Unavailable> {
        Ok(Some(Project::new(id, "Harbour".into(), vec![], now)))
    }
}

impl RecallAttempt for World {
    async fn recall_attempt(&self, attempt: &Attempt, _: Time) -> Result<Option<Record>, Unavailable> {
        let records = self.records.lock().unwrap();
        Ok(records.iter().find(|record| record.attempt.key == attempt.key).cloned())
    }
}

impl RecordAttempt for World {
    async fn record_attempt(&self, record: &Record, _: Time) -> Result<Option<Record>, Unavailable> {
        self.records.lock().unwrap().push(record.clone());
        Ok(None)
    }
}

impl BeginParts for World {
    async fn begin_parts(&self, _: &Image) -> Result<String, Unavailable> {
        self.note("begin parts");
        Ok("s3-1".into())
    }
}

impl SignPart for World {
    async fn sign_part(
        &self, image: &Image, multipart: &Multipart, number: u16, now: Time,
    ) -> Result<PartTarget, Unavailable> {
        let bytes = multipart.bytes_of(number, image.declared.bytes);
        let headers = bytes.map(|bytes| ("content-length".to_owned(), bytes.to_string()));
        let url = format!("https://uploads.test/{}/{number}", multipart.id);
        Ok(PartTarget { number, url, headers: headers.into_iter().collect(), expires_at: now })
    }
}

impl ListParts for World {
    async fn list_parts(&self, _: &Image, _: &Multipart) -> Result<Option<Vec<Part>>, Unavailable> {
        Ok(self.parts.lock().unwrap().clone())
    }
}

impl JoinParts for World {
    async fn join_parts(&self, _: &Image, _: &Multipart, parts: &[Part]) -> Result<(), JoinPartsError> {
        self.parts.lock().unwrap().take().ok_or(JoinPartsError::Gone)?;
        *self.object.lock().unwrap() = true;
        *self.joined.lock().unwrap() = parts.iter().map(|part| part.number).collect();
        Ok(())
    }
}

impl AbortParts for World {
    async fn abort_parts(&self, _: &Image, _: &Multipart) -> Result<(), Unavailable> {
        self.note("abort parts");
        *self.parts.lock().unwrap() = None;
        Ok(())
    }
}

impl FindUpload for World {
    async fn find_upload(&self, _: &Image, _: UploadId) -> Result<Option<u64>, Unavailable> {
        Ok(self.object.lock().unwrap().then_some(1))
    }
}

impl PresignForm for World {
    async fn presign_form(&self, image: &Image, least: u64, now: Time) -> Result<UploadTarget, Unavailable> {
        let range = format!("{least}-{}", image.declared.bytes);
        let key = format!("{}/{}/{}", image.project, image.id, image.upload);
        let fields = BTreeMap::from([("key".to_owned(), key), ("range".to_owned(), range)]);
        let url = "https://uploads.test/".to_owned();
        Ok(UploadTarget {
            method: UploadMethod::Post,
            url,
            fields,
            headers: BTreeMap::new(),
            expires_at: now,
        })
    }
}

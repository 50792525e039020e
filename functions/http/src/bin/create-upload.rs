//! `POST /v1/uploads`: reserves an image and answers with where to send its bytes.
//!
//! The bytes never pass through here: the client sends them to S3, and the object-created event moves the
//! image on (see `process-upload`).

use lambda_http::{Body, Request, Response};
use serde::Deserialize;
use shared::domain::details::{AltText, Details, FocalPoint, Metadata, Tags, Title, or_blank, unless_blank};
use shared::domain::error::{CommitError, FindImageError};
use shared::domain::idempotency::Record;
use shared::domain::image::{Declared, Image, NewImage};
use shared::domain::upload_token::Grant;
use shared::domain::{Clock, EventId, Ids, ImageId, UploadId, UserId, Visibility};
use shared::http::{
    Caller, CreatedUpload, FieldError, IdempotencyKey, Problem, accepted_types, attempt, body,
    created_upload, declared, same_request,
};
use shared::media::{PresignUpload, UploadMethod, UploadTarget};
use shared::platform::{Environment, recall, serve};
use shared::store::{CommitImage, FindImage, FindProject, KnownProjects, RecallAttempt};
use utoipa::ToSchema;

/// What a client announces.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({ "content_type": "image/jpeg", "bytes": 2_048_000, "title": "Harbour at dawn" })))]
struct NewUpload {
    #[schema(schema_with = accepted_types)]
    content_type: String,
    /// The size of the file.
    #[schema(minimum = 1, maximum = 104_857_600)]
    bytes: u64,
    #[serde(default)]
    method: UploadMethod,
    #[serde(default)]
    visibility: Visibility,
    /// Whose the image is. Only a key says so: a token's images are its user's.
    owner: Option<UserId>,
    #[serde(default, deserialize_with = "unless_blank")]
    #[schema(schema_with = or_blank::<Title>)]
    title: Option<Title>,
    #[serde(default, deserialize_with = "unless_blank")]
    #[schema(schema_with = or_blank::<AltText>)]
    alt: Option<AltText>,
    #[serde(default)]
    tags: Tags,
    focal_point: Option<FocalPoint>,
    #[serde(default)]
    metadata: Metadata,
}

impl NewUpload {
    fn check(self, caller: &Caller) -> Result<(NewImage, UploadMethod), Problem> {
        let grant = caller.grant().map(|(_, grant)| grant);
        if self.owner.is_some() && (caller.user.is_some() || grant.is_some()) {
            let detail = "is the user of the token; leave it out".into();
            return Err(Problem::invalid_fields(vec![FieldError { pointer: "/owner".into(), detail }]));
        }
        let declared = declared(self.content_type, self.bytes)?;
        let Self { title, alt, mut tags, focal_point, metadata, mut visibility, owner, method, .. } = self;
        if let Some(grant) = grant {
            within(grant, &declared)?;
            visibility = grant.visibility;
            tags = tags.changed(&grant.tags, &Tags::default()).map_err(|unfit| {
                Problem::invalid_fields(vec![FieldError {
                    pointer: "/tags".into(),
                    detail: unfit.to_string(),
                }])
            })?;
        }
        let details = Details { title, alt, tags, focal_point, metadata };
        let owner = caller.user.clone().or(owner);
        Ok((NewImage { declared, visibility, owner, details }, method))
    }
}

/// Whether an upload token is good for this.
fn within(grant: &Grant, declared: &Declared) -> Result<(), Problem> {
    if !grant.takes(&declared.content_type) {
        let taken = grant.content_types.join(", ");
        return Err(Problem::unsupported_media(format!(
            "With this token, `content_type` must be one of {taken}."
        )));
    }
    match grant.max_bytes {
        Some(most) if declared.bytes > most => {
            Err(Problem::too_large(format!("With this token, an upload has at most {most} bytes.")))
        }
        Some(_) | None => Ok(()),
    }
}

/// Create an upload
///
/// Reserves an image and answers with where to send its bytes: by default a form for a `POST` (its `fields` first,
/// then the file as `file`), or a URL and headers for a `PUT`. The image becomes `ready` by itself.
#[utoipa::path(
    post,
    path = "/v1/uploads",
    tag = "Uploads",
    security(("ApiKey" = ["uploads:create"])),
    params(IdempotencyKey),
    request_body = NewUpload,
    responses(
        (status = 201, description = "Reserved. Send the bytes within an hour.", body = CreatedUpload<UploadTarget>,
            headers(("Location"))),
        (status = 400),
        (status = 409),
        (status = 410, description = "This `Idempotency-Key` reserved an image that is gone."),
        (status = 413),
        (status = 415),
        (status = 422),
    )
)]
async fn create_upload(
    images: &(impl CommitImage + FindImage + RecallAttempt), projects: &impl FindProject,
    uploads: &impl PresignUpload, ids: &impl Ids, clock: &impl Clock, request: Request,
) -> Result<Response<Body>, Problem> {
    let caller = Caller::from_request(&request)?.require_upload()?;
    let (new, method) = body::<NewUpload>(&request)?.check(&caller)?;
    let (now, attempt) = (clock.now(), attempt(&request, &caller)?);
    if let Some(record) = recall(images, attempt.as_ref(), now).await? {
        return answer_again(images, uploads, &caller, &record, method, clock).await;
    }
    let project = projects.find_project(caller.project, now).await?;
    let project = project.ok_or_else(|| Problem::not_found("project"))?;
    let (image, upload) = (ImageId::made_at(now, ids.ulid()), UploadId::new(ids.ulid()));
    let record =
        attempt.as_ref().map(|attempt| attempt.done(vec![image.to_string(), upload.to_string()], now));
    let change = Image::reserve(image, upload, caller.project, new, now)
        .within(project.limits)
        .spending(caller.grant().map(|(token, _)| token))
        .once(record)
        .traced(caller.trace.clone());
    // Reserve first: whatever arrives in the bucket then has an image, and a crash here leaves a
    // reservation that the timer clears away.
    match images.commit_image(None, &change, EventId::new(ids.ulid())).await {
        Ok(()) => answer(uploads, &change.image, method, clock).await,
        Err(CommitError::Repeated(record)) => {
            let attempt = attempt.ok_or_else(|| Problem::internal("a record without an attempt"))?;
            let record = same_request(&attempt, *record)?;
            answer_again(images, uploads, &caller, &record, method, clock).await
        }
        Err(error) => Err(error.into()),
    }
}

async fn answer(
    uploads: &impl PresignUpload, image: &Image, method: UploadMethod, clock: &impl Clock,
) -> Result<Response<Body>, Problem> {
    created_upload(image, uploads.presign_upload(image, method, clock.now()).await?)
}

/// The same image and upload, with a target that is signed anew: the first one may have expired.
async fn answer_again(
    images: &impl FindImage, uploads: &impl PresignUpload, caller: &Caller, record: &Record,
    method: UploadMethod, clock: &impl Clock,
) -> Result<Response<Body>, Problem> {
    let gone = || Problem::gone("The image that this request reserved has been deleted.");
    let image = record.id(0).ok_or_else(gone)?;
    match images.find_image(caller.project, image).await {
        Ok(image) if Some(image.upload) == record.id(1) => answer(uploads, &image, method, clock).await,
        Ok(_) | Err(FindImageError::NotFound) => Err(gone()),
        Err(FindImageError::Unavailable(error)) => Err(error.into()),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let env = Environment::load()?;
    let (images, uploads, random, clock) = (env.store()?, env.media(), env.random(), env.clock());
    let projects = KnownProjects::new(images.clone());
    let (images, projects, uploads, random, clock) = (&images, &projects, &uploads, &random, &clock);
    serve(move |request| create_upload(images, projects, uploads, random, clock, request)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambda_http::http::{StatusCode, header};
    use serde_json::{Value, json};
    use shared::domain::idempotency::Attempt;
    use shared::domain::image::{Change, MAXIMUM_BYTES, State};
    use shared::domain::quota::Limits;
    use shared::domain::{EventKind, Project, ProjectId, Time, Unavailable};
    use shared::media::UploadTarget;
    use shared::platform::SystemRandom;
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    /// The table and the bucket in one, so that the order of what they are asked shows.
    #[derive(Default)]
    struct World {
        asked: Mutex<Vec<&'static str>>,
        written: Mutex<Option<Change>>,
        fails: Option<fn() -> CommitError>,
        /// Whether the record of an attempt is found only when it is written again.
        races: bool,
    }

    impl World {
        /// The record that was written, if there is one.
        fn record(&self) -> Option<Record> {
            self.written.lock().unwrap().as_ref().and_then(|change| change.once.clone())
        }
    }

    impl FindImage for World {
        async fn find_image(&self, project: ProjectId, id: ImageId) -> Result<Image, FindImageError> {
            let written = self.written.lock().unwrap();
            let image = written.as_ref().map(|change| change.image.clone());
            image.filter(|image| (image.project, image.id) == (project, id)).ok_or(FindImageError::NotFound)
        }
    }

    impl FindProject for World {
        async fn find_project(&self, id: ProjectId, now: Time) -> Result<Option<Project>, Unavailable> {
            Ok(Some(Project::new(id, "Harbour".into(), vec![], now)))
        }
    }

    impl RecallAttempt for World {
        async fn recall_attempt(&self, attempt: &Attempt, _: Time) -> Result<Option<Record>, Unavailable> {
            let same = |record: &Record| record.attempt.key == attempt.key && !self.races;
            Ok(self.record().filter(same))
        }
    }

    impl CommitImage for World {
        async fn commit_image(
            &self, before: Option<&Image>, change: &Change, _: EventId,
        ) -> Result<(), CommitError> {
            assert_eq!(before, None, "a reservation replaces nothing");
            self.asked.lock().unwrap().push("reserve");
            if let Some(error) = self.fails {
                return Err(error());
            }
            if let Some(record) = self.record() {
                return Err(CommitError::Repeated(Box::new(record)));
            }
            *self.written.lock().unwrap() = Some(change.clone());
            Ok(())
        }
    }

    impl PresignUpload for World {
        async fn presign_upload(
            &self, image: &Image, method: UploadMethod, now: Time,
        ) -> Result<UploadTarget, Unavailable> {
            self.asked.lock().unwrap().push("presign");
            let headers = BTreeMap::from([("content-length".to_owned(), image.declared.bytes.to_string())]);
            let url = format!("https://uploads.test/{}", image.upload);
            Ok(UploadTarget { method, url, fields: BTreeMap::new(), headers, expires_at: now })
        }
    }

    struct At(Time);

    impl Clock for At {
        fn now(&self) -> Time {
            self.0
        }
    }

    fn event() -> Value {
        serde_json::from_str(include_str!("../../../../events/create-upload.json")).unwrap()
    }

    fn event_with(body: &Value) -> Value {
        let mut event = event();
        event["body"] = json!(body.to_string());
        event
    }

    async fn answer(world: &World, event: &Value) -> Result<Response<Body>, Problem> {
        let request = lambda_http::request::from_str(&event.to_string()).unwrap();
        create_upload(world, world, world, &SystemRandom, &At(Time::from_secs(1_795_237_200)), request).await
    }

    fn document(response: &Response<Body>) -> Value {
        let Body::Text(text) = response.body() else { panic!("the answer is text") };
        serde_json::from_str(text).unwrap()
    }

    #[tokio::test]
    async fn the_image_is_reserved_before_the_client_learns_where_to_send_it() {
        let world = World::default();
        let response = answer(&world, &event()).await.unwrap();
        assert_eq!(*world.asked.lock().unwrap(), ["reserve", "presign"]);

        let Change { image, event, within, .. } = world.written.into_inner().unwrap().unwrap();
        let project: ProjectId = "prj_01M5GZNY40J4Q2W8N5R7X3Z9BD".parse().unwrap();
        assert_eq!((image.project, event), (project, Some(EventKind::Created)));
        assert_eq!(within, Some(Limits::default()), "the quota is asked");
        let title = image.details.title.as_ref().map(Title::as_str);
        assert_eq!((&image.state, title), (&State::Pending, Some("Harbour at dawn")));
        assert_eq!(image.declared, Declared { content_type: "image/jpeg".into(), bytes: 2_048_000 });

        assert_eq!(response.status(), StatusCode::CREATED);
        assert_eq!(response.headers()[header::LOCATION], format!("/v1/images/{}", image.id));
        let answered = document(&response);
        assert_eq!(answered["image"], json!(image.id));
        assert_eq!(answered["id"], json!(image.upload));
        assert_eq!(answered["method"], "POST");
        assert_eq!(answered["url"], format!("https://uploads.test/{}", image.upload));
    }

    #[tokio::test]
    async fn nothing_is_presigned_for_an_image_that_was_not_reserved() {
        let outage = || CommitError::Unavailable(Unavailable::new("commit_image", "table-7 timed out"));
        for (fails, status, code) in [
            (outage as fn() -> _, 503, "unavailable"),
            (|| CommitError::Conflict, 409, "conflict"),
            (|| CommitError::QuotaExceeded, 403, "quota-exceeded"),
        ] {
            let world = World { fails: Some(fails), ..World::default() };
            let problem = answer(&world, &event()).await.unwrap_err();
            assert_eq!((problem.status().as_u16(), problem.code()), (status, code));
            assert_eq!(*world.asked.lock().unwrap(), ["reserve"]);
            let response = problem.into_response("request-1");
            assert!(!document(&response).to_string().contains("table-7"));
        }
    }

    #[tokio::test]
    async fn a_client_may_put_instead() {
        let body = json!({ "content_type": "image/png", "bytes": 7, "method": "PUT", "title": "  " });
        let world = World::default();
        let answered = document(&answer(&world, &event_with(&body)).await.unwrap());
        assert_eq!(answered["method"], "PUT");
        assert_eq!(answered["headers"], json!({ "content-length": "7" }));
        assert_eq!(world.written.into_inner().unwrap().unwrap().image.details.title, None);
    }

    #[tokio::test]
    async fn what_cannot_be_taken_is_refused_before_anything_is_written() {
        let jpeg = |bytes: u64| json!({ "content_type": "image/jpeg", "bytes": bytes });
        let titled = |title: String| json!({ "content_type": "image/jpeg", "bytes": 1, "title": title });
        for (body, status, code, pointer) in [
            (json!({ "content_type": "image/svg+xml", "bytes": 1 }), 415, "unsupported-media", None),
            (jpeg(0), 400, "invalid-request", Some("/bytes")),
            (jpeg(MAXIMUM_BYTES + 1), 413, "too-large", None),
            (json!({ "content_type": "image/jpeg", "bytes": -1 }), 400, "invalid-request", Some("/bytes")),
            (json!({ "content_type": "image/jpeg" }), 400, "invalid-request", Some("")),
            (
                json!({ "content_type": "image/jpeg", "bytes": 1, "size": 1 }),
                400,
                "invalid-request",
                Some("/size"),
            ),
            (
                json!({ "content_type": "image/jpeg", "bytes": 1, "method": "post" }),
                400,
                "invalid-request",
                Some("/method"),
            ),
            (titled("ü".repeat(Title::LONGEST + 1)), 400, "invalid-request", Some("/title")),
        ] {
            let world = World::default();
            let problem = answer(&world, &event_with(&body)).await.unwrap_err();
            assert_eq!((problem.status().as_u16(), problem.code()), (status, code), "{body}");
            let answered = document(&problem.into_response("request-1"));
            assert_eq!(answered["errors"][0]["pointer"].as_str(), pointer, "{body}");
            assert!(world.asked.into_inner().unwrap().is_empty(), "{body}");
        }
    }

    #[tokio::test]
    async fn the_longest_title_and_the_largest_upload_are_taken() {
        let title = "ü".repeat(Title::LONGEST);
        let body = json!({ "content_type": "image/gif", "bytes": MAXIMUM_BYTES, "title": title });
        assert!(answer(&World::default(), &event_with(&body)).await.is_ok());
    }

    fn attempt_of(key: &str, bytes: u64) -> Value {
        let mut event = event_with(&json!({ "content_type": "image/jpeg", "bytes": bytes }));
        event["headers"]["idempotency-key"] = json!(key);
        event
    }

    #[tokio::test]
    async fn a_request_that_comes_twice_reserves_one_image() {
        for races in [false, true] {
            let world = World { races, ..World::default() };
            let first = document(&answer(&world, &attempt_of("a", 5)).await.unwrap());
            let again = answer(&world, &attempt_of("a", 5)).await.unwrap();
            assert_eq!(again.status(), StatusCode::CREATED);
            let again = document(&again);
            assert_eq!(
                (&again["id"], &again["image"], &again["url"]),
                (&first["id"], &first["image"], &first["url"])
            );
            let other = answer(&world, &attempt_of("a", 6)).await.unwrap_err();
            assert_eq!((other.status().as_u16(), other.code()), (422, "idempotency-mismatch"));
        }
    }

    #[tokio::test]
    async fn an_image_is_its_users_and_a_key_says_whose() {
        let body = json!({ "content_type": "image/jpeg", "bytes": 1, "owner": "ana" });
        let world = World::default();
        answer(&world, &event_with(&body)).await.unwrap();
        let owner = |world: World| world.written.into_inner().unwrap().unwrap().image.owner;
        assert_eq!(owner(world).unwrap().as_str(), "ana");

        let mut event = event();
        event["requestContext"]["authorizer"]["lambda"]["user"] = json!("ben");
        let world = World::default();
        answer(&world, &event).await.unwrap();
        assert_eq!(owner(world).unwrap().as_str(), "ben");
        event["body"] = json!(body.to_string());
        assert_eq!(answer(&World::default(), &event).await.unwrap_err().status(), 400);
        event["requestContext"]["authorizer"]["lambda"]["user"] = json!("");
        assert_eq!(
            answer(&World::default(), &event).await.unwrap_err().status(),
            401,
            "nobody is not the application"
        );
    }

    #[tokio::test]
    async fn a_key_needs_the_scope() {
        let (project, key) = ("prj_01M5GZNY40J4Q2W8N5R7X3Z9BD", "key_01M5GZNY40K8C2E4G6J8M1P3RT");
        for (context, status) in [
            (json!({ "project": project, "key": key, "scopes": "images:read images:write" }), 403),
            (json!({ "project": project, "key": key }), 403),
            (json!({ "project": project, "scopes": "admin" }), 401),
            (json!({ "key": key, "scopes": "admin" }), 401),
        ] {
            let mut event = event();
            event["requestContext"]["authorizer"]["lambda"] = context;
            let world = World::default();
            assert_eq!(answer(&world, &event).await.unwrap_err().status(), status);
            assert!(world.asked.into_inner().unwrap().is_empty());
        }
    }

    fn by_token(grant: &Value, body: &Value) -> Value {
        let mut event = event_with(body);
        event["requestContext"]["authorizer"]["lambda"] = json!({
            "project": "prj_01M5GZNY40J4Q2W8N5R7X3Z9BD",
            "token": "tok_01M5GZNY40K8C2E4G6J8M1P3RT",
            "scopes": "uploads:create",
            "grant": grant.to_string(),
        });
        event
    }

    #[tokio::test]
    async fn an_upload_token_says_what_an_upload_is_and_is_spent() {
        let world = World::default();
        let grant = json!({ "max_bytes": 9, "user": "ann", "visibility": "public", "tags": ["avatar"] });
        let body =
            json!({ "content_type": "image/png", "bytes": 9, "tags": ["me"], "visibility": "private" });
        answer(&world, &by_token(&grant, &body)).await.unwrap();
        let change = world.written.into_inner().unwrap().unwrap();
        assert_eq!(change.spends, Some("tok_01M5GZNY40K8C2E4G6J8M1P3RT".parse().unwrap()));
        let image = change.image;
        assert_eq!(image.owner.as_ref().map(UserId::as_str), Some("ann"));
        assert_eq!(image.visibility, Visibility::Public);
        assert_eq!(serde_json::to_value(&image.details.tags).unwrap(), json!(["avatar", "me"]));
    }

    #[tokio::test]
    async fn an_upload_token_is_good_for_no_more_than_it_says() {
        let grant = json!({ "content_types": ["image/png"], "max_bytes": 9 });
        for (body, status) in [
            (json!({ "content_type": "image/jpeg", "bytes": 9 }), 415),
            (json!({ "content_type": "image/png", "bytes": 10 }), 413),
            (json!({ "content_type": "image/png", "bytes": 9, "owner": "bob" }), 400),
        ] {
            let world = World::default();
            let problem = answer(&world, &by_token(&grant, &body)).await.unwrap_err();
            assert_eq!(problem.status(), status, "{body}");
            assert!(world.written.into_inner().unwrap().is_none());
        }
        let spent = World { fails: Some(|| CommitError::TokenSpent), ..World::default() };
        let body = json!({ "content_type": "image/png", "bytes": 9 });
        assert_eq!(answer(&spent, &by_token(&grant, &body)).await.unwrap_err().code(), "forbidden");
    }

    #[tokio::test]
    async fn who_the_gateway_does_not_know_is_nobody() {
        let mut event = event();
        event["requestContext"].as_object_mut().unwrap().remove("authorizer");
        event["headers"]["x-project"] = json!("prj_01M5GZNY40J4Q2W8N5R7X3Z9BD");
        let problem = answer(&World::default(), &event).await.unwrap_err();
        assert_eq!(problem.into_response("request-1").headers()[header::WWW_AUTHENTICATE], "Bearer");
    }
}

//! `POST /v1/uploads`: reserves an image and answers with where to send its bytes.
//!
//! The bytes never pass through here: the client sends them to S3, as a whole or in parts, and the object-created
//! event moves the image on (see `process-upload`).

use std::collections::BTreeMap;

use functions_http::reservation::{Reservation, prepare, reserve, reserve_in_parts};
use lambda_http::{Body, Request, Response};
use serde::{Deserialize, Serialize};
use shared::domain::details::{AltText, Details, FocalPoint, Metadata, Tags, Title, or_blank, unless_blank};
use shared::domain::image::{Image, NewImage};
use shared::domain::parts::PART_BYTES;
use shared::domain::{Clock, Ids, Time, UserId, Visibility};
use shared::http::{
    Caller, CreatedUpload, FieldError, IdempotencyKey, Problem, accepted_types, attempt, body,
    created_upload, declared,
};
use shared::media::{AbortParts, BeginParts, PresignUpload, UploadMethod, UploadTarget};
use shared::platform::{Environment, serve};
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
    method: Method,
    /// Who may see the image: `private` if nobody says. An upload token has said it already.
    visibility: Option<Visibility>,
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

/// How a client sends its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
enum Method {
    /// As a form, which a browser can submit without a script.
    #[default]
    Post,
    /// As the body of one request.
    Put,
    /// In parts, each of which can be sent again.
    Multipart,
}

/// Where to send the bytes, and how.
#[derive(Debug, Serialize, ToSchema)]
struct Target {
    method: Method,
    /// Where.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// The form's fields, to be sent before the field `file`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    fields: BTreeMap<String, String>,
    /// The request's headers, each of which is part of the signature.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, String>,
    /// Until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Time>,
    /// How many parts there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    parts: Option<u16>,
    /// How many bytes each has but the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    part_bytes: Option<u64>,
    /// The path that tells where to send each: `?parts=1,2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    targets: Option<String>,
}

impl NewUpload {
    fn check(self, caller: &Caller) -> Result<(NewImage, Method), Problem> {
        let declared = declared(self.content_type, self.bytes)?;
        let field = |pointer: &str, detail: &str| {
            let (pointer, detail) = (pointer.to_owned(), detail.to_owned());
            Err(Problem::invalid_fields(vec![FieldError { pointer, detail }]))
        };
        if self.owner.is_some() && (caller.user.is_some() || caller.grant().is_some()) {
            return field("/owner", "is the user of the token; leave it out");
        }
        let visibility = match caller.visibility(self.visibility) {
            Ok(visibility) => visibility,
            Err(detail) => return field("/visibility", detail),
        };
        let Self { title, alt, tags, focal_point, metadata, owner, method, .. } = self;
        let details = Details { title, alt, tags, focal_point, metadata };
        let owner = caller.user.clone().or(owner);
        Ok((NewImage { declared, visibility, owner, details }, method))
    }
}

/// Create an upload
///
/// Reserves an image and answers with where to send its bytes: by default a form for a `POST` (its `fields` first,
/// then the file as `file`), a URL and headers for a `PUT`, or how to send parts. The image becomes `ready` by itself.
#[utoipa::path(
    post,
    path = "/v1/uploads",
    tag = "Uploads",
    security(("ApiKey" = ["uploads:create"]), ("IdToken" = ["uploads:create"]), ("UploadToken" = [])),
    params(IdempotencyKey),
    request_body = NewUpload,
    responses(
        (status = 201, description = "Reserved. Send the bytes within an hour.", body = CreatedUpload<Target>,
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
    uploads: &(impl PresignUpload + BeginParts + AbortParts), ids: &impl Ids, clock: &impl Clock,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let caller = Caller::from_request(&request)?.require_upload()?;
    let (new, method) = body::<NewUpload>(&request)?.check(&caller)?;
    let attempt = attempt(&request, &caller)?;
    let attempt = attempt.as_ref();
    // Reserve first: whatever arrives in the bucket then has an image, and a crash here leaves a
    // reservation that the timer clears away.
    let image = match prepare(images, projects, ids, clock, &caller, attempt, new).await? {
        Reservation::Made(image) => *image,
        Reservation::New(change) if method == Method::Multipart => {
            reserve_in_parts(images, uploads, ids, &caller, attempt, Some(PART_BYTES), *change).await?
        }
        Reservation::New(change) => reserve(images, ids, &caller, attempt, *change).await?,
    };
    // An answer that is given again has a target that is signed anew: the first one may have expired.
    let target = match method {
        Method::Post => whole(method, uploads.presign_upload(&image, UploadMethod::Post, clock.now()).await?),
        Method::Put => whole(method, uploads.presign_upload(&image, UploadMethod::Put, clock.now()).await?),
        Method::Multipart => in_parts(&image),
    };
    created_upload(&image, target)
}

fn whole(method: Method, target: UploadTarget) -> Target {
    let UploadTarget { url, fields, headers, expires_at, .. } = target;
    let (url, expires_at) = (Some(url), Some(expires_at));
    Target { method, url, fields, headers, expires_at, parts: None, part_bytes: None, targets: None }
}

fn in_parts(image: &Image) -> Target {
    let parts = u16::try_from(image.declared.bytes.div_ceil(PART_BYTES)).unwrap_or(u16::MAX);
    Target {
        method: Method::Multipart,
        url: None,
        fields: BTreeMap::new(),
        headers: BTreeMap::new(),
        expires_at: None,
        parts: Some(parts),
        part_bytes: Some(PART_BYTES),
        targets: Some(format!("/v1/images/{}/uploads/{}/targets", image.id, image.upload)),
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
    use shared::domain::error::{CommitError, FindImageError};
    use shared::domain::idempotency::{Attempt, Record};
    use shared::domain::image::{Change, Declared, MAXIMUM_BYTES, State};
    use shared::domain::parts::Multipart;
    use shared::domain::quota::Limits;
    use shared::domain::{EventId, EventKind, ImageId, Project, ProjectId, Time, Unavailable};
    use shared::platform::SystemRandom;
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

    impl BeginParts for World {
        async fn begin_parts(&self, image: &Image) -> Result<String, Unavailable> {
            self.asked.lock().unwrap().push("begin parts");
            Ok(format!("s3 of {}", image.upload))
        }
    }

    impl AbortParts for World {
        async fn abort_parts(&self, image: &Image, multipart: &Multipart) -> Result<(), Unavailable> {
            self.asked.lock().unwrap().push("abort parts");
            assert_eq!(multipart.id, format!("s3 of {}", image.upload));
            Ok(())
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
        let body = json!({ "content_type": "image/png", "bytes": 9, "tags": ["me"] });
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
            (json!({ "content_type": "image/png", "bytes": 9, "visibility": "public" }), 400),
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

    fn in_parts(bytes: u64) -> Value {
        event_with(&json!({ "content_type": "image/tiff", "bytes": bytes, "method": "MULTIPART" }))
    }

    #[tokio::test]
    async fn a_large_file_is_sent_in_parts() {
        let world = World::default();
        let response = answer(&world, &in_parts(2 * PART_BYTES + 1)).await.unwrap();
        assert_eq!(*world.asked.lock().unwrap(), ["begin parts", "reserve"]);
        let answered = document(&response);
        let image = world.written.into_inner().unwrap().unwrap().image;
        let multipart = image.multipart.unwrap();
        assert_eq!((multipart.upload, multipart.part_bytes), (image.upload, Some(PART_BYTES)));
        let targets = format!("/v1/images/{}/uploads/{}/targets", image.id, image.upload);
        let expected = json!({
            "id": image.upload, "image": image.id, "method": "MULTIPART",
            "parts": 3, "part_bytes": PART_BYTES, "targets": targets,
        });
        assert_eq!(answered, expected, "what S3 calls the upload is not shown");
    }

    #[tokio::test]
    async fn parts_of_an_image_that_was_not_reserved_are_given_up() {
        let world = World { fails: Some(|| CommitError::QuotaExceeded), ..World::default() };
        assert_eq!(answer(&world, &in_parts(9)).await.unwrap_err().code(), "quota-exceeded");
        assert_eq!(world.asked.into_inner().unwrap(), ["begin parts", "reserve", "abort parts"]);
    }

    #[tokio::test]
    async fn a_second_upload_in_parts_of_one_attempt_is_given_up() {
        let world = World { races: true, ..World::default() };
        let mut event = in_parts(9);
        event["headers"]["idempotency-key"] = json!("a");
        let first = document(&answer(&world, &event).await.unwrap());
        assert_eq!(document(&answer(&world, &event).await.unwrap()), first);
        let asked = ["begin parts", "reserve", "begin parts", "reserve", "abort parts"];
        assert_eq!(world.asked.into_inner().unwrap(), asked);
    }
}

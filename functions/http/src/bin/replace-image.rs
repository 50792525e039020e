//! `POST /v1/images/{image}/uploads`: reserves a place for new bytes of an image.
//!
//! The image's pictures are served until the new ones are ready, and at the origin no longer than that. Its id,
//! title, tags and visibility stay.

use lambda_http::{Body, Request, Response};
use serde::Deserialize;
use shared::domain::error::{EditImageError, FindImageError};
use shared::domain::idempotency::Record;
use shared::domain::image::Image;
use shared::domain::{Clock, EventId, Ids, ImageId, Scope, UploadId};
use shared::http::{
    Caller, CreatedUpload, IdempotencyKey, IfMatch, Problem, accepted_types, attempt, body, created_upload,
    declared, if_match, path_parameter, same_request,
};
use shared::media::{PresignUpload, UploadMethod, UploadTarget};
use shared::platform::{Environment, recall, serve};
use shared::store::{CommitImage, FindImage, FindProject, KnownProjects, RecallAttempt, edit_image};
use utoipa::ToSchema;

/// What a client announces.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({ "content_type": "image/jpeg", "bytes": 1_872_311 })))]
struct NewBytes {
    #[schema(schema_with = accepted_types)]
    content_type: String,
    /// The size of the file.
    #[schema(minimum = 1, maximum = 104_857_600)]
    bytes: u64,
    #[serde(default)]
    method: UploadMethod,
}

/// Replace an image's bytes
///
/// Answers with where to send the new bytes, as *Create an upload* does. Until they are ready the old pictures are
/// served, and then no longer. The id, the title, the tags and the visibility stay.
#[utoipa::path(
    post,
    path = "/v1/images/{image}/uploads",
    tag = "Uploads",
    security(("ApiKey" = ["images:write"]), ("IdToken" = ["images:write"])),
    params(("image" = ImageId, Path, description = "The image."), IfMatch, IdempotencyKey),
    request_body = NewBytes,
    responses(
        (status = 201, description = "Reserved. Send the bytes within an hour.",
            body = CreatedUpload<UploadTarget>, headers(("Location"))),
        (status = 400),
        (status = 404),
        (status = 409),
        (status = 410),
        (status = 412),
        (status = 413),
        (status = 415),
        (status = 422),
    )
)]
async fn replace_image(
    images: &(impl FindImage + CommitImage + RecallAttempt), projects: &impl FindProject,
    uploads: &impl PresignUpload, ids: &impl Ids, clock: &impl Clock, request: Request,
) -> Result<Response<Body>, Problem> {
    let caller = Caller::from_request(&request)?.require(Scope::WriteImages)?;
    let image: ImageId = path_parameter(&request, "image", "image")?;
    let NewBytes { content_type, bytes, method } = body(&request)?;
    let (declared, expected) = (declared(content_type, bytes)?, if_match(&request)?);
    let (now, attempt) = (clock.now(), attempt(&request, &caller)?);
    if let Some(record) = recall(images, attempt.as_ref(), now).await? {
        return answer_again(images, uploads, &caller, &record, method, clock).await;
    }
    let project = projects.find_project(caller.project, now).await?;
    let project = project.ok_or_else(|| Problem::not_found("project"))?;
    let (event, upload) = (EventId::new(ids.ulid()), UploadId::new(ids.ulid()));
    let record =
        attempt.as_ref().map(|attempt| attempt.done(vec![image.to_string(), upload.to_string()], now));
    let decide = |image: &Image| {
        let change = image.replace(upload, declared.clone(), now)?;
        Ok(Some(change.within(project.limits).once(record.clone())))
    };
    match edit_image(images, (&caller.access(), image), event, expected.as_deref(), decide).await {
        Ok(image) => answer(uploads, &image, method, clock).await,
        Err(EditImageError::Repeated(record)) => {
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
    let image = image.with_upload_under_way();
    let target = uploads.presign_upload(&image, method, clock.now()).await?;
    created_upload(&image, target)
}

/// The same upload, with a target that is signed anew: the first one may have expired.
async fn answer_again(
    images: &impl FindImage, uploads: &impl PresignUpload, caller: &Caller, record: &Record,
    method: UploadMethod, clock: &impl Clock,
) -> Result<Response<Body>, Problem> {
    let gone = || Problem::gone("The upload that this request reserved is no longer awaited. Reserve anew.");
    let image = record.id(0).ok_or_else(gone)?;
    match images.find_image(caller.project, image).await {
        Ok(image)
            if image.takes(image.with_upload_under_way().upload)
                && Some(image.with_upload_under_way().upload) == record.id(1) =>
        {
            answer(uploads, &image, method, clock).await
        }
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
    serve(move |request| replace_image(images, projects, uploads, random, clock, request)).await
}

#[cfg(test)]
#[path = "../fake_table.rs"]
mod fake_table;

#[cfg(test)]
mod tests {
    use super::fake_table::{At, Table, image_of};
    use super::*;
    use serde_json::{Value, json};
    use shared::domain::image::{Picture, State};
    use shared::domain::{EventKind, Time, Unavailable};
    use shared::media::UploadTarget;
    use shared::platform::SystemRandom;
    use std::collections::BTreeMap;

    impl PresignUpload for Table {
        async fn presign_upload(
            &self, image: &Image, method: UploadMethod, now: Time,
        ) -> Result<UploadTarget, Unavailable> {
            let url = format!("https://uploads.test/{}", image.upload);
            let headers = BTreeMap::from([("content-length".to_owned(), image.declared.bytes.to_string())]);
            Ok(UploadTarget { method, url, fields: BTreeMap::new(), headers, expires_at: now })
        }
    }

    fn event() -> Value {
        serde_json::from_str(include_str!("../../../../events/replace-image.json")).unwrap()
    }

    fn world(ready: bool) -> Table {
        let image = image_of(&event(), State::Pending);
        Table::with(if ready {
            image.become_ready(Picture::default(), Time::from_secs(1)).image
        } else {
            image
        })
    }

    async fn answer_to(world: &Table, event: &Value) -> Result<Value, Problem> {
        let request = lambda_http::request::from_str(&event.to_string()).unwrap();
        let now = At(Time::from_secs(50));
        let response = replace_image(world, world, world, &SystemRandom, &now, request).await?;
        assert_eq!(response.status(), 201);
        let Body::Text(text) = response.body() else { panic!("the answer is text") };
        Ok(serde_json::from_str(text).unwrap())
    }

    #[tokio::test]
    async fn the_old_picture_stays_while_new_bytes_are_under_way() {
        let world = world(true);
        let answered = answer_to(&world, &event()).await.unwrap();
        let image = world.image.lock().unwrap().clone();
        let replacement = image.replacement.as_ref().unwrap();
        assert_eq!(answered["id"], json!(replacement.upload));
        assert_eq!(answered["url"], format!("https://uploads.test/{}", replacement.upload));
        assert_eq!(answered["headers"]["content-length"], "4096");
        assert_eq!((image.state.name(), image.upload), ("ready", UploadId::new(2.into())));
        assert!(image.due.is_some(), "a timer gives up bytes that never come");
        let written = world.written.into_inner().unwrap();
        assert_eq!(written[0].event, Some(EventKind::Replacing));
        assert!(written[0].within.is_some(), "the quota is asked");
    }

    #[tokio::test]
    async fn a_request_that_comes_twice_reserves_one_upload() {
        let (world, mut event) = (world(true), event());
        event["headers"]["idempotency-key"] = json!("a");
        let first = answer_to(&world, &event).await.unwrap();
        assert_eq!(answer_to(&world, &event).await.unwrap(), first);
        assert_eq!(world.written.lock().unwrap().len(), 1);
        event["headers"]["idempotency-key"] = json!("b");
        let problem = answer_to(&world, &event).await.unwrap_err();
        assert_eq!((problem.status().as_u16(), problem.code()), (409, "conflict"), "others are under way");
    }

    #[tokio::test]
    async fn an_image_that_cannot_get_new_bytes_says_why() {
        let trashed_at = Time::from_secs(1);
        for (state, status) in [
            (State::Pending, 409),
            (State::Trashed { trashed_at, picture: None, failure: None }, 409),
            (State::Purging { picture: None }, 410),
        ] {
            let world = world(false);
            world.image.lock().unwrap().state = state;
            assert_eq!(answer_to(&world, &event()).await.unwrap_err().status(), status);
        }
    }

    #[tokio::test]
    async fn another_users_image_is_not_found_and_a_stale_one_refused() {
        let (world, mut event) = (world(true), event());
        event["headers"]["if-match"] = json!("\"7.0\"");
        assert_eq!(answer_to(&world, &event).await.unwrap_err().status(), 412);
        event["requestContext"]["authorizer"]["lambda"]["user"] = json!("ben");
        assert_eq!(answer_to(&world, &event).await.unwrap_err().status(), 404);
        event["requestContext"]["authorizer"]["lambda"]["scopes"] = json!("images:read");
        assert_eq!(answer_to(&world, &event).await.unwrap_err().status(), 403);
        assert!(world.written.into_inner().unwrap().is_empty());
    }
}

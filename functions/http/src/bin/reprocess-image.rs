//! `POST /v1/images/{image}/process`: has an image's variants rendered anew, after a change of the engine or of the
//! presets, or after processing was cut short.
//!
//! It is an upload like any other, whose bytes are the stored original: so claims, leases and retries are those of
//! `process-upload`, the old variants are served until the new ones are there, and the new ones have paths of their
//! own. An upload that was cut short lies where it was, and is announced once more.

use lambda_http::http::StatusCode;
use lambda_http::{Body, Request, Response};
use shared::domain::image::{Image, State};
use shared::domain::{Clock, Ids, ImageId, UploadId};
use shared::http::{IdempotencyKey, IfMatch, ImageView, Problem, image_answer};
use shared::media::{AnnounceUpload, UploadOriginal};
use shared::platform::{Edit, Environment, edit_once, serve};
use shared::store::{CommitImage, FindImage, FindProject, KnownProjects, RecallAttempt, RecordAttempt};

/// Render an image anew
///
/// From the stored original, or from an upload whose processing was cut short. The old variants are served until the
/// new ones are there, which have paths of their own.
#[utoipa::path(
    post,
    path = "/v1/images/{image}/process",
    tag = "Images",
    security(("ApiKey" = ["images:write"]), ("IdToken" = ["images:write"])),
    params(("image" = ImageId, Path, description = "The image."), IfMatch, IdempotencyKey),
    responses(
        (status = 202, description = "The image, which is being rendered.", body = ImageView, headers(("ETag"), ("Cache-Control"), ("Retry-After"))),
        (status = 400),
        (status = 404),
        (status = 409),
        (status = 410),
        (status = 412),
        (status = 422),
    )
)]
async fn reprocess_image(
    images: &(impl FindImage + CommitImage + RecallAttempt + RecordAttempt), projects: &impl FindProject,
    objects: &(impl UploadOriginal + AnnounceUpload), ids: &impl Ids, clock: &impl Clock, request: Request,
) -> Result<Response<Body>, Problem> {
    let edit = Edit::from_request(&request, ids, clock)?;
    let project = projects.find_project(edit.caller.project, edit.now).await?;
    let project = project.ok_or_else(|| Problem::not_found("project"))?;
    let upload = UploadId::new(ids.ulid());
    // Reserve first: whatever arrives in the bucket then has an image.
    let image = edit_once(images, &edit, |image: &Image| Ok(image.process_again(upload, edit.now)?)).await?;
    match (&image.state, &image.replacement) {
        // Also where the request comes again because the first one died before this.
        (State::Ready { picture }, Some(new)) if new.again => {
            objects.upload_original(&image, picture, new.upload).await?;
        }
        (State::Failed { failure }, _) if failure.retryable => {
            if !objects.announce_upload(&image).await? {
                return Err(Problem::gone("The uploaded bytes are gone. Upload the picture again."));
            }
        }
        // The request came again when all was done.
        (
            State::Ready { .. }
            | State::Failed { .. }
            | State::Pending
            | State::Processing { .. }
            | State::Trashed { .. }
            | State::Purging { .. },
            _,
        ) => {}
    }
    let mut response = image_answer(&image, &project, edit.now)?;
    *response.status_mut() = StatusCode::ACCEPTED;
    Ok(response)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let env = Environment::load()?;
    let (images, objects, random, clock) = (env.store()?, env.media(), env.random(), env.clock());
    let projects = KnownProjects::new(images.clone());
    let (images, projects, objects, random, clock) = (&images, &projects, &objects, &random, &clock);
    serve(move |request| reprocess_image(images, projects, objects, random, clock, request)).await
}

#[cfg(test)]
#[path = "../fake_table.rs"]
mod fake_table;

#[cfg(test)]
mod tests {
    use super::fake_table::{At, Table, image_of};
    use super::*;
    use serde_json::{Value, json};
    use shared::domain::image::{Change, Declared, Failure, Lease, Original, Picture};
    use shared::domain::{EventKind, Time, Unavailable};
    use shared::platform::SystemRandom;
    use std::sync::Mutex;

    struct World {
        table: Table,
        copied: Mutex<Vec<UploadId>>,
        announced: Mutex<usize>,
        uploaded: bool,
    }

    impl UploadOriginal for World {
        async fn upload_original(&self, _: &Image, _: &Picture, upload: UploadId) -> Result<(), Unavailable> {
            assert!(!self.table.written.lock().unwrap().is_empty(), "reserved first");
            self.copied.lock().unwrap().push(upload);
            Ok(())
        }
    }

    impl AnnounceUpload for World {
        async fn announce_upload(&self, _: &Image) -> Result<bool, Unavailable> {
            *self.announced.lock().unwrap() += 1;
            Ok(self.uploaded)
        }
    }

    fn event() -> Value {
        serde_json::from_str(include_str!("../../../../events/reprocess-image.json")).unwrap()
    }

    fn world(state: State) -> World {
        World {
            table: Table::with(image_of(&event(), state)),
            copied: Mutex::default(),
            announced: Mutex::default(),
            uploaded: true,
        }
    }

    fn ready() -> State {
        let original = Original { sha256: "cd".into(), key: "k".into(), bytes: 7 };
        let content_type = "image/png".into();
        State::Ready {
            picture: Picture {
                content_type,
                sha256: "ab".into(),
                original: Some(original),
                ..Picture::default()
            },
        }
    }

    fn failed(retryable: bool) -> State {
        State::Failed {
            failure: Failure { code: "cut-short".into(), detail: "Cut short.".into(), retryable },
        }
    }

    async fn answer(world: &World, event: &Value) -> Result<Response<Body>, Problem> {
        let request = lambda_http::request::from_str(&event.to_string()).unwrap();
        reprocess_image(&world.table, &world.table, world, &SystemRandom, &At(Time::from_secs(50)), request)
            .await
    }

    #[tokio::test]
    async fn the_original_is_uploaded_anew_and_the_old_variants_stay_until_it_is_ready() {
        let world = world(ready());
        assert_eq!(answer(&world, &event()).await.unwrap().status(), 202);
        let written = world.table.written.lock().unwrap().clone();
        let [Change { image, event: Some(EventKind::Replacing), .. }] = written.as_slice() else {
            panic!("one change with its event: {written:?}")
        };
        let new = image.replacement.clone().unwrap();
        assert_eq!((new.again, *world.copied.lock().unwrap() == [new.upload]), (true, true));
        assert_eq!(new.declared, Declared { content_type: "image/png".into(), bytes: 7 });
        assert_eq!(image.state, ready());

        // What was taken from the original when it came is known all the same.
        let lease = Lease { owner: "worker".into(), until: Time::from_secs(90) };
        let claimed = image.claim(new.upload, lease, Time::from_secs(51)).unwrap().image;
        let picture = Picture { sha256: "cd".into(), blurhash: "new".into(), ..Picture::default() };
        let done = claimed.become_ready(picture, Time::from_secs(52)).image;
        let picture = done.picture().unwrap();
        assert_eq!((done.upload, &*picture.sha256, &*picture.blurhash), (new.upload, "ab", "new"));
    }

    #[tokio::test]
    async fn a_request_that_is_sent_again_uploads_the_same_again() {
        let world = world(ready());
        let mut event = event();
        event["headers"]["idempotency-key"] = json!("attempt-1");
        for _ in 0..2 {
            assert_eq!(answer(&world, &event).await.unwrap().status(), 202);
        }
        assert_eq!(world.table.written.lock().unwrap().len(), 1);
        let copied = world.copied.lock().unwrap().clone();
        assert_eq!((copied.len(), copied[0]), (2, copied[1]), "the first may have died before it copied");
    }

    #[tokio::test]
    async fn processing_that_was_cut_short_is_taken_up_again_where_the_bytes_are() {
        let world_of = |uploaded| World { uploaded, ..world(failed(true)) };
        let world = world_of(true);
        assert_eq!(answer(&world, &event()).await.unwrap().status(), 202);
        assert_eq!((*world.announced.lock().unwrap(), world.table.written.lock().unwrap().len()), (1, 0));
        let problem = answer(&world_of(false), &event()).await.unwrap_err();
        assert_eq!((problem.status().as_u16(), problem.code()), (410, "gone"));
    }

    #[tokio::test]
    async fn what_cannot_be_processed_again_has_a_problem_of_its_own() {
        let lease = Lease { owner: "worker".into(), until: Time::from_secs(90) };
        let trashed = State::Trashed { trashed_at: Time::from_secs(9), picture: None, failure: None };
        let mut bert = event();
        bert["requestContext"]["authorizer"]["lambda"]["user"] = json!("bert");
        let mut scope = event();
        scope["requestContext"]["authorizer"]["lambda"]["scopes"] = json!("images:read");
        for (state, event, status, code) in [
            (failed(false), event(), 409, "conflict"),
            (State::Pending, event(), 409, "conflict"),
            (State::Processing { lease }, event(), 409, "conflict"),
            (trashed, event(), 409, "conflict"),
            (State::Purging { picture: None }, event(), 410, "gone"),
            (ready(), bert, 404, "not-found"),
            (ready(), scope, 403, "forbidden"),
        ] {
            let world = world(state);
            let problem = answer(&world, &event).await.unwrap_err();
            assert_eq!((problem.status().as_u16(), problem.code()), (status, code));
            assert_eq!((world.copied.lock().unwrap().len(), *world.announced.lock().unwrap()), (0, 0));
        }
    }

    #[tokio::test]
    async fn a_copy_that_failed_is_made_again_by_whoever_asks() {
        let twice = world(ready());
        answer(&twice, &event()).await.unwrap();
        let mut again = event();
        again["headers"].as_object_mut().unwrap().remove("if-match");
        answer(&twice, &again).await.unwrap();
        let copied = twice.copied.lock().unwrap().clone();
        assert_eq!((copied.len(), copied[0]), (2, copied[1]), "of the same upload");
        assert_eq!(twice.table.written.lock().unwrap().len(), 1);
    }
}

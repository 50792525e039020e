//! `POST /v1/images/{image}/restore`: brings an image back from the trash as it was. One that is not there stays as
//! it is, so restoring twice is restoring once.

use lambda_http::{Body, Request, Response};
use shared::domain::image::{Image, State};
use shared::domain::{Clock, Ids, ImageId};
use shared::http::{IdempotencyKey, IfMatch, ImageView, Problem, image_answer};
use shared::media::AnnounceUpload;
use shared::platform::{Edit, Environment, edit_once, serve};
use shared::store::{CommitImage, FindImage, FindProject, KnownProjects, RecallAttempt, RecordAttempt};

/// Restore an image
///
/// Out of the trash, as it was. One that is not there stays as it is.
#[utoipa::path(
    post,
    path = "/v1/images/{image}/restore",
    tag = "Images",
    security(("ApiKey" = ["images:write"]), ("IdToken" = ["images:write"])),
    params(("image" = ImageId, Path, description = "The image."), IfMatch, IdempotencyKey),
    responses(
        (status = 200, description = "The image.", body = ImageView, headers(("ETag"), ("Cache-Control"), ("Retry-After"))),
        (status = 400),
        (status = 404),
        (status = 409),
        (status = 410),
        (status = 412),
        (status = 422),
    )
)]
async fn restore_image(
    images: &(impl FindImage + CommitImage + RecallAttempt + RecordAttempt), projects: &impl FindProject,
    uploads: &impl AnnounceUpload, ids: &impl Ids, clock: &impl Clock, request: Request,
) -> Result<Response<Body>, Problem> {
    let edit = Edit::from_request(&request, ids, clock)?;
    let project = projects.find_project(edit.caller.project, edit.now).await?;
    let project = project.ok_or_else(|| Problem::not_found("project"))?;
    let decide = |image: &Image| Ok(image.restore(edit.now)?.map(|change| change.within(project.limits)));
    let image = edit_once(images, &edit, decide).await?;
    if matches!(image.state, State::Pending) {
        // Its bytes may have come while it was in the trash. If they have not, S3 will say so when they do.
        uploads.announce_upload(&image).await?;
    }
    image_answer(&image, &project, edit.now)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let env = Environment::load()?;
    let (images, uploads, random, clock) = (env.store()?, env.media(), env.random(), env.clock());
    let projects = KnownProjects::new(images.clone());
    let (images, projects, uploads, random, clock) = (&images, &projects, &uploads, &random, &clock);
    serve(move |request| restore_image(images, projects, uploads, random, clock, request)).await
}

#[cfg(test)]
#[path = "../fake_table.rs"]
mod fake_table;

#[cfg(test)]
mod tests {
    use super::fake_table::{At, Table, image_of};
    use super::*;
    use lambda_http::http::header;
    use serde_json::{Value, json};
    use shared::domain::image::{Change, Failure, Picture};
    use shared::domain::{EventKind, Time, Unavailable};
    use shared::platform::SystemRandom;
    use std::time::Duration;

    impl AnnounceUpload for Table {
        async fn announce_upload(&self, image: &Image) -> Result<bool, Unavailable> {
            assert_eq!(image.state, State::Pending);
            assert!(!self.written.lock().unwrap().is_empty(), "only when it is awaited");
            *self.announced.lock().unwrap() += 1;
            Ok(true)
        }
    }

    fn event() -> Value {
        serde_json::from_str(include_str!("../../../../events/restore-image.json")).unwrap()
    }

    /// An image that was in this state when it was trashed.
    fn trashed(state: State) -> Table {
        let image = image_of(&event(), state);
        Table::with(image.trash(Duration::from_secs(100), Time::from_secs(9)).unwrap().unwrap().image)
    }

    async fn answer(world: &Table, event: &Value) -> Result<Response<Body>, Problem> {
        let request = lambda_http::request::from_str(&event.to_string()).unwrap();
        restore_image(world, world, world, &SystemRandom, &At(Time::from_secs(50)), request).await
    }

    fn document(response: &Response<Body>) -> Value {
        let Body::Text(text) = response.body() else { panic!("the answer is text") };
        serde_json::from_str(text).unwrap()
    }

    #[tokio::test]
    async fn an_image_is_again_what_it_was() {
        let failure = Failure { code: "too-large".into(), detail: "Too large.".into(), retryable: false };
        let ready = State::Ready { picture: Picture::default() };
        for (state, waits) in [(ready, false), (State::Failed { failure }, false), (State::Pending, true)] {
            let world = trashed(state.clone());
            let response = answer(&world, &event()).await.unwrap();
            assert!(response.headers()[header::ETAG].to_str().unwrap().starts_with("\"3.2"));
            let shown = document(&response);
            assert_eq!((&shown["state"], shown.get("purge_at")), (&json!(state.name()), None));
            let written = world.written.into_inner().unwrap();
            let [Change { image, event: Some(EventKind::Restored), .. }] = written.as_slice() else {
                panic!("one change with its event: {written:?}")
            };
            assert_eq!((&image.state, image.due.is_some()), (&state, waits));
            assert!(written[0].within.is_some(), "the quota is asked");
            assert_eq!(*world.announced.lock().unwrap(), usize::from(waits), "bytes may have come meanwhile");
        }
    }

    #[tokio::test]
    async fn restoring_twice_is_restoring_once() {
        let world = trashed(State::Pending);
        let mut twice = event();
        twice["headers"].as_object_mut().unwrap().remove("if-match");
        assert_eq!(answer(&world, &twice).await.unwrap().status(), 200);
        assert_eq!(answer(&world, &twice).await.unwrap().status(), 200);
        assert_eq!(world.written.into_inner().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_request_that_is_sent_again_does_not_undo_what_came_after_it() {
        let world = trashed(State::Pending);
        let mut attempt = event();
        attempt["headers"]["idempotency-key"] = json!("attempt-1");
        answer(&world, &attempt).await.unwrap();
        let restored = world.image.lock().unwrap().clone();
        let again = restored.trash(Duration::from_secs(100), Time::from_secs(60)).unwrap().unwrap().image;
        *world.image.lock().unwrap() = again;
        assert_eq!(document(&answer(&world, &attempt).await.unwrap())["state"], "trashed");
    }

    #[tokio::test]
    async fn what_cannot_be_restored_has_a_problem_of_its_own() {
        let mut stale = event();
        stale["headers"]["if-match"] = json!("\"1.2\"");
        let mut bert = event();
        bert["requestContext"]["authorizer"]["lambda"]["user"] = json!("bert");
        let mut scope = event();
        scope["requestContext"]["authorizer"]["lambda"]["scopes"] = json!("images:read");
        let purging = image_of(&event(), State::Purging { picture: None });
        let purging = Table::with(Image { version: 2, ..purging });
        for (world, event, status, code) in [
            (trashed(State::Pending), stale, 412, "stale"),
            (trashed(State::Pending), bert, 404, "not-found"),
            (trashed(State::Pending), scope, 403, "forbidden"),
            (purging, event(), 410, "gone"),
        ] {
            let problem = answer(&world, &event).await.unwrap_err();
            assert_eq!((problem.status().as_u16(), problem.code()), (status, code));
            assert!(world.written.into_inner().unwrap().is_empty());
        }
    }
}

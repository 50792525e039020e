//! `DELETE /v1/images/{image}`: puts an image into the trash. Its pictures are no longer served, and when
//! its time is up `sweep` has it purged. Trashing twice is trashing once.

use std::time::Duration;

use lambda_http::http::{HeaderValue, header};
use lambda_http::{Body, Request, Response};
use shared::domain::image::Image;
use shared::domain::{Clock, EventId, Ids, ImageId, Scope};
use shared::http::{Caller, IfMatch, Problem, if_match, no_content, path_parameter};
use shared::platform::{Environment, serve};
use shared::store::{CommitImage, FindImage, edit_image};

/// Trash an image
///
/// Its pictures are no longer served, and after the trash days it goes for good. Trashing twice is trashing once.
#[utoipa::path(
    delete,
    path = "/v1/images/{image}",
    tag = "Images",
    security(("ApiKey" = ["images:write"]), ("IdToken" = ["images:write"])),
    params(("image" = ImageId, Path, description = "The image."), IfMatch),
    responses(
        (status = 204, description = "It is in the trash.", headers(("ETag"))),
        (status = 400),
        (status = 404),
        (status = 409),
        (status = 410),
        (status = 412),
    )
)]
async fn trash_image(
    images: &(impl FindImage + CommitImage), ids: &impl Ids, clock: &impl Clock, retention: Duration,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let caller = Caller::from_request(&request)?.require(Scope::WriteImages)?;
    let image = path_parameter(&request, "image", "image")?;
    let expected = if_match(&request)?;
    let (event, now) = (EventId::new(ids.ulid()), clock.now());
    let decide = |image: &Image| Ok(image.trash(retention, now)?);
    let trashed = edit_image(images, (&caller.access(), image), event, expected.as_deref(), decide).await?;
    let mut response = no_content();
    let etag = HeaderValue::from_str(&trashed.etag().to_string()).map_err(Problem::internal)?;
    response.headers_mut().insert(header::ETAG, etag);
    Ok(response)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let env = Environment::load()?;
    let (images, random, clock) = (env.store()?, env.random(), env.clock());
    let retention = env.trash_retention()?;
    let (images, random, clock) = (&images, &random, &clock);
    serve(move |request| trash_image(images, random, clock, retention, request)).await
}

#[cfg(test)]
#[path = "../fake_table.rs"]
mod fake_table;

#[cfg(test)]
mod tests {
    use super::fake_table::{At, image_of};
    use super::*;
    use serde_json::{Value, json};
    use shared::domain::error::{CommitError, FindImageError};
    use shared::domain::image::{Change, DueKind, State};
    use shared::domain::{EventKind, ImageId, ProjectId, Time, Unavailable};
    use shared::platform::SystemRandom;
    use std::sync::Mutex;

    const RETENTION: Duration = Duration::from_secs(100);

    struct Table {
        image: Mutex<Image>,
        written: Mutex<Vec<Change>>,
        /// How many writes lose against somebody else's.
        conflicts: Mutex<u32>,
        out_of_reach: bool,
    }

    impl FindImage for Table {
        async fn find_image(&self, project: ProjectId, id: ImageId) -> Result<Image, FindImageError> {
            if self.out_of_reach {
                return Err(FindImageError::Unavailable(Unavailable::new("find_image", "table-7 timed out")));
            }
            let image = self.image.lock().unwrap().clone();
            if (image.project, image.id) == (project, id) { Ok(image) } else { Err(FindImageError::NotFound) }
        }
    }

    impl CommitImage for Table {
        async fn commit_image(
            &self, before: Option<&Image>, change: &Change, _: EventId,
        ) -> Result<(), CommitError> {
            let mut image = self.image.lock().unwrap();
            let mut conflicts = self.conflicts.lock().unwrap();
            if *conflicts > 0 {
                *conflicts -= 1;
                image.revision += 1;
            }
            if before != Some(&*image) {
                return Err(CommitError::Conflict);
            }
            *image = change.image.clone();
            self.written.lock().unwrap().push(change.clone());
            Ok(())
        }
    }

    fn event(if_match: Option<&str>) -> Value {
        let mut event: Value =
            serde_json::from_str(include_str!("../../../../events/trash-image.json")).unwrap();
        match if_match {
            Some(tag) => event["headers"]["if-match"] = json!(tag),
            None => drop(event["headers"].as_object_mut().unwrap().remove("if-match")),
        }
        event
    }

    fn image(state: State) -> Image {
        image_of(&event(None), state)
    }

    fn table(image: Image) -> Table {
        let (image, written, conflicts) = (Mutex::new(image), Mutex::default(), Mutex::default());
        Table { image, written, conflicts, out_of_reach: false }
    }

    async fn answer(table: &Table, event: &Value) -> Result<Response<Body>, Problem> {
        let request = lambda_http::request::from_str(&event.to_string()).unwrap();
        trash_image(table, &SystemRandom, &At(Time::from_secs(50)), RETENTION, request).await
    }

    #[tokio::test]
    async fn an_image_goes_into_the_trash_until_its_time_is_up() {
        let table = table(image(State::Pending));
        // The event's own `If-Match`, which the image is at.
        let response = answer(&table, &event(Some("\"1.2\""))).await.unwrap();
        assert_eq!(response.status(), 204);
        assert_eq!(response.headers()[header::ETAG], "\"2.2\"");
        let written = table.written.into_inner().unwrap();
        let [Change { image, event: Some(EventKind::Trashed), .. }] = written.as_slice() else {
            panic!("one change with its event: {written:?}")
        };
        let trashed_at = Time::from_secs(50);
        assert_eq!(image.state, State::Trashed { trashed_at, picture: None, failure: None });
        let due = image.due.unwrap();
        assert_eq!((due.kind, due.at), (DueKind::Purge, Time::from_secs(150)));
    }

    #[tokio::test]
    async fn only_users_edits_make_a_tag_stale() {
        for (tag, stale) in [
            (Some("\"1.0\""), false),
            (Some("\"1.9.1795244400\""), false),
            (Some("\"7.2\", \"1.2\""), false),
            (Some("*"), false),
            (None, false),
            (Some("\"2.2\""), true),
            (Some("\"0.2\""), true),
        ] {
            let table = table(image(State::Pending));
            match answer(&table, &event(tag)).await {
                Ok(_) => assert!(!stale, "{tag:?}"),
                Err(problem) => {
                    assert!(stale, "{tag:?}");
                    assert_eq!((problem.status().as_u16(), problem.code()), (412, "stale"));
                    assert_eq!(problem.into_response("request-1").headers()[header::ETAG], "\"1.2\"");
                    assert!(table.written.into_inner().unwrap().is_empty());
                }
            }
        }
    }

    #[tokio::test]
    async fn a_condition_that_cannot_be_read_is_not_no_condition() {
        for tag in ["latest", "\"\"", ""] {
            let table = table(image(State::Pending));
            assert_eq!(answer(&table, &event(Some(tag))).await.unwrap_err().status(), 400, "{tag:?}");
            assert!(table.written.into_inner().unwrap().is_empty());
        }
    }

    #[tokio::test]
    async fn trashing_twice_is_trashing_once() {
        let trashed_at = Time::from_secs(1);
        let table = table(image(State::Trashed { trashed_at, picture: None, failure: None }));
        assert_eq!(answer(&table, &event(None)).await.unwrap().status(), 204);
        assert!(table.written.into_inner().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_change_that_lost_a_race_is_decided_anew() {
        let table = table(image(State::Pending));
        *table.conflicts.lock().unwrap() = 2;
        let response = answer(&table, &event(Some("\"1.2\""))).await.unwrap();
        assert_eq!(response.headers()[header::ETAG], "\"2.4\"");
    }

    #[tokio::test]
    async fn what_cannot_be_trashed_has_a_problem_of_its_own() {
        let contended = Table { conflicts: Mutex::new(99), ..table(image(State::Pending)) };
        let unreachable = Table { out_of_reach: true, ..table(image(State::Pending)) };
        let other = Image { project: ProjectId::new(7.into()), ..image(State::Pending) };
        for (table, status, code) in [
            (table(image(State::Purging { picture: None })), 410, "gone"),
            (table(other), 404, "not-found"),
            (contended, 409, "conflict"),
            (unreachable, 503, "unavailable"),
        ] {
            let problem = answer(&table, &event(None)).await.unwrap_err();
            assert_eq!((problem.status().as_u16(), problem.code()), (status, code));
            assert!(table.written.into_inner().unwrap().is_empty());
            let response = problem.into_response("request-1");
            let Body::Text(document) = response.body() else { panic!("a problem is text") };
            assert!(!document.contains("table-7"), "{document}");
        }
    }

    #[tokio::test]
    async fn a_key_needs_the_scope() {
        let mut event = event(None);
        event["requestContext"]["authorizer"]["lambda"]["scopes"] = json!("images:read uploads:create");
        let problem = answer(&table(image(State::Pending)), &event).await.unwrap_err();
        assert_eq!(problem.code(), "forbidden");
    }
}

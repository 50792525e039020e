//! `POST /v1/images/bulk`: trashes, restores or tags up to a hundred images, with a result for each.
//!
//! Each is a transaction of its own, and set-like: what is done already stays as it is, so that the whole can be sent
//! again. Under an `Idempotency-Key` that is not even looked at: the results are remembered when all are there.

use std::time::Duration;

use lambda_http::http::StatusCode;
use lambda_http::{Body, Request, Response};
use serde::{Deserialize, Serialize};
use shared::domain::details::{DetailsPatch, Tags};
use shared::domain::idempotency::Record;
use shared::domain::image::{Change, Image, State};
use shared::domain::quota::Limits;
use shared::domain::{Clock, EventId, Ids, ImageId, Scope, Time};
use shared::http::{Caller, FieldError, IdempotencyKey, Problem, attempt, body, json, same_request};
use shared::media::AnnounceUpload;
use shared::platform::{Environment, serve};
use shared::store::{
    CommitImage, EditRefused, FindImage, FindProject, FinishAttempt, KnownProjects, RecordAttempt, edit_image,
};
use utoipa::ToSchema;

/// How many images one request may be about: what a function is done with in time.
const MOST: usize = 100;

/// What to do with which images.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(
    as = BulkEdit,
    examples(json!({ "images": ["img_01M7Y7HNH0M6P1S3V5X7Z9B2DF"], "action": "tag", "add": ["harbour"] }))
)]
struct Bulk {
    /// Their ids. One that is not an image's is not found, and does not keep the others.
    #[schema(min_items = 1, max_items = 100)]
    images: Vec<String>,
    action: Action,
    /// The tags to add. With the action `tag`, this or `remove` is needed; with the others neither.
    #[serde(default)]
    add: Tags,
    /// The tags to remove.
    #[serde(default)]
    remove: Tags,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = BulkAction)]
enum Action {
    Trash,
    Restore,
    Tag,
}

/// What became of the images, in the order of the request.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BulkResults, examples(json!({ "results": [
    { "image": "img_01M7Y7HNH0M6P1S3V5X7Z9B2DF", "status": 200, "version": 2, "state": "ready" },
] })))]
struct Results {
    results: Vec<Outcome>,
}

/// What became of one image: its version and state, or the problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = BulkOutcome)]
struct Outcome {
    /// As the request has it; what is longer than an id is cut short.
    image: String,
    /// As if it had been a request of its own.
    status: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl Outcome {
    fn of(image: &str, edited: Result<Image, Problem>) -> Self {
        let image = shown(image);
        match edited {
            Ok(now) => {
                let (version, state) = (Some(now.version), Some(now.state.name().to_owned()));
                Self { image, status: StatusCode::OK.as_u16(), version, state, code: None, detail: None }
            }
            Err(problem) => {
                let (code, detail) = (Some(problem.code().to_owned()), Some(problem.detail().to_owned()));
                Self { image, status: problem.status().as_u16(), version: None, state: None, code, detail }
            }
        }
    }

    /// Whether it may be different the next time, through no merit of the client's.
    const fn may_pass(&self) -> bool {
        self.status >= 500
    }
}

/// What the answer says of a text that may be no id, which is as long as the client likes: as much as an id has.
fn shown(name: &str) -> String {
    const LENGTH: usize = "img_01M7Y7HNH0M6P1S3V5X7Z9B2DF".len();
    match name.char_indices().nth(LENGTH) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

impl Bulk {
    fn check(&self) -> Result<(), Problem> {
        let invalid = |pointer: &str, detail: String| {
            Err(Problem::invalid_fields(vec![FieldError { pointer: pointer.into(), detail }]))
        };
        if !(1..=MOST).contains(&self.images.len()) {
            return invalid("/images", format!("must be 1 to {MOST} ids"));
        }
        match (self.action, self.add.is_empty() && self.remove.is_empty()) {
            (Action::Tag, true) => invalid("/add", "must name the tags, or `remove` must".into()),
            (Action::Trash | Action::Restore, false) => {
                let pointer = if self.add.is_empty() { "/remove" } else { "/add" };
                invalid(pointer, "goes with the action `tag` alone".into())
            }
            (Action::Tag, false) | (Action::Trash | Action::Restore, true) => Ok(()),
        }
    }

    fn decide(
        &self, image: &Image, limits: Limits, retention: Duration, now: Time,
    ) -> Result<Option<Change>, EditRefused> {
        Ok(match self.action {
            Action::Trash => image.trash(retention, now)?,
            Action::Restore => image.restore(now)?.map(|change| change.within(limits)),
            Action::Tag => {
                let tags = image.details.tags.changed(&self.add, &self.remove)?;
                image.edit(&DetailsPatch { tags: Some(Some(tags)), ..DetailsPatch::default() }, None, now)?
            }
        })
    }
}

/// Edit many images
///
/// Trashes, restores or tags up to a hundred images, with a result for each. What is done already stays as it is, so
/// that the whole can be sent again.
#[utoipa::path(
    post,
    path = "/v1/images/bulk",
    tag = "Images",
    security(("ApiKey" = ["images:write"]), ("IdToken" = ["images:write"])),
    params(IdempotencyKey),
    request_body = Bulk,
    responses(
        (status = 200, description = "A result for each image, whatever it is.", body = Results),
        (status = 400),
        (status = 409),
        (status = 415),
        (status = 422),
    )
)]
async fn edit_images(
    images: &(impl FindImage + CommitImage + RecordAttempt + FinishAttempt), projects: &impl FindProject,
    uploads: &impl AnnounceUpload, ids: &impl Ids, clock: &impl Clock, retention: Duration, request: Request,
) -> Result<Response<Body>, Problem> {
    let caller = Caller::from_request(&request)?.require(Scope::WriteImages)?;
    let bulk: Bulk = body(&request)?;
    bulk.check()?;
    let (now, attempt) = (clock.now(), attempt(&request, &caller)?);
    if let Some(attempt) = &attempt
        && let Some(record) = images.record_attempt(&attempt.begun(now), now).await?
    {
        return answer_again(&same_request(attempt, record)?);
    }
    let project = projects.find_project(caller.project, now).await?;
    let limits = project.ok_or_else(|| Problem::not_found("project"))?.limits;
    let access = caller.access();
    let mut results: Vec<Outcome> = vec![];
    for name in &bulk.images {
        // Where the table cannot be reached, it cannot be reached for the rest either, and time is short.
        if let Some(last) = results.last().filter(|last| last.may_pass()) {
            results.push(Outcome { image: shown(name), ..last.clone() });
            continue;
        }
        let edited = match name.parse::<ImageId>() {
            Ok(id) => {
                let decide = |image: &Image| bulk.decide(image, limits, retention, now);
                match edit_image(images, (&access, id), EventId::new(ids.ulid()), None, decide).await {
                    Ok(image) if bulk.action == Action::Restore && matches!(image.state, State::Pending) => {
                        // As `restore-image` does.
                        uploads.announce_upload(&image).await.map(|_| image).map_err(Problem::from)
                    }
                    edited => edited.map_err(Problem::from),
                }
            }
            Err(_) => Err(Problem::not_found("image")),
        };
        results.push(Outcome::of(name, edited));
    }
    // What may pass is not remembered: a minute later the same name makes another attempt.
    if let Some(attempt) = attempt.filter(|_| !results.iter().any(Outcome::may_pass)) {
        let written = results.iter().map(serde_json::to_string).collect::<Result<_, _>>();
        images.finish_attempt(&attempt.done(written.map_err(Problem::internal)?, now)).await?;
    }
    json(StatusCode::OK, &Results { results })
}

fn answer_again(record: &Record) -> Result<Response<Body>, Problem> {
    if record.is_begun() {
        return Err(Problem::conflict("This request is being worked on. Ask again in a moment."));
    }
    let results = record.ids.iter().map(|outcome| serde_json::from_str(outcome)).collect::<Result<_, _>>();
    json(StatusCode::OK, &Results { results: results.map_err(Problem::internal)? })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let env = Environment::load()?;
    let (images, uploads, random, clock) = (env.store()?, env.media(), env.random(), env.clock());
    let projects = KnownProjects::new(images.clone());
    let retention = env.trash_retention()?;
    let (images, projects, uploads, random, clock) = (&images, &projects, &uploads, &random, &clock);
    serve(move |request| edit_images(images, projects, uploads, random, clock, retention, request)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use shared::domain::details::Details;
    use shared::domain::error::{CommitError, FindImageError};
    use shared::domain::image::{Declared, NewImage};
    use shared::domain::{EventKind, Project, ProjectId, Unavailable, UploadId, Visibility};
    use shared::platform::SystemRandom;
    use std::sync::Mutex;

    const RETENTION: Duration = Duration::from_secs(100);

    #[derive(Default)]
    struct World {
        images: Mutex<Vec<Image>>,
        written: Mutex<usize>,
        records: Mutex<Vec<Record>>,
        /// The image that cannot be read.
        out_of_reach: Option<ImageId>,
        asked: Mutex<usize>,
        /// What was given to the workers once more.
        announced: Mutex<Vec<ImageId>>,
    }

    impl FindImage for World {
        async fn find_image(&self, project: ProjectId, id: ImageId) -> Result<Image, FindImageError> {
            *self.asked.lock().unwrap() += 1;
            if self.out_of_reach == Some(id) {
                return Err(FindImageError::Unavailable(Unavailable::new("find_image", "table-7 timed out")));
            }
            let images = self.images.lock().unwrap();
            let found = images.iter().find(|image| (image.project, image.id) == (project, id));
            found.cloned().ok_or(FindImageError::NotFound)
        }
    }

    impl CommitImage for World {
        async fn commit_image(
            &self, before: Option<&Image>, change: &Change, _: EventId,
        ) -> Result<(), CommitError> {
            let mut images = self.images.lock().unwrap();
            let image = images.iter_mut().find(|image| image.id == change.image.id).unwrap();
            assert_eq!(before, Some(&*image));
            let restores = change.event == Some(EventKind::Restored);
            assert_eq!(change.within.is_some(), restores, "what is reserved again is held against the quota");
            *image = change.image.clone();
            *self.written.lock().unwrap() += 1;
            Ok(())
        }
    }

    impl FindProject for World {
        async fn find_project(&self, id: ProjectId, now: Time) -> Result<Option<Project>, Unavailable> {
            Ok(Some(Project::new(id, "Harbour".into(), vec![], now)))
        }
    }

    impl AnnounceUpload for World {
        async fn announce_upload(&self, image: &Image) -> Result<bool, Unavailable> {
            self.announced.lock().unwrap().push(image.id);
            Ok(true)
        }
    }

    impl RecordAttempt for World {
        async fn record_attempt(&self, record: &Record, _: Time) -> Result<Option<Record>, Unavailable> {
            let mut records = self.records.lock().unwrap();
            let known = records.iter().find(|known| known.attempt.key == record.attempt.key).cloned();
            if known.is_none() {
                records.push(record.clone());
            }
            Ok(known)
        }
    }

    impl FinishAttempt for World {
        async fn finish_attempt(&self, record: &Record) -> Result<(), Unavailable> {
            let mut records = self.records.lock().unwrap();
            records.retain(|known| known.attempt.key != record.attempt.key);
            records.push(record.clone());
            Ok(())
        }
    }

    struct At(Time);

    impl Clock for At {
        fn now(&self) -> Time {
            self.0
        }
    }

    fn event(body: &Value) -> Value {
        let mut event: Value =
            serde_json::from_str(include_str!("../../../../events/edit-images.json")).unwrap();
        event["headers"].as_object_mut().unwrap().remove("idempotency-key");
        event["body"] = json!(body.to_string());
        event
    }

    fn id(id: u128) -> ImageId {
        ImageId::new(id.into())
    }

    fn image(number: u128) -> Image {
        let project = "prj_01M5GZNY40J4Q2W8N5R7X3Z9BD".parse().unwrap();
        let declared = Declared { content_type: "image/jpeg".into(), bytes: 9 };
        let owner = Some(if number == 1 { "anna" } else { "bert" }.parse().unwrap());
        let new = NewImage { declared, visibility: Visibility::Private, owner, details: Details::default() };
        Image::reserve(id(number), UploadId::new(2.into()), project, new, Time::from_secs(0)).image
    }

    fn world() -> World {
        World { images: Mutex::new(vec![image(1), image(2)]), ..World::default() }
    }

    async fn answer(world: &World, event: &Value) -> Result<Response<Body>, Problem> {
        let request = lambda_http::request::from_str(&event.to_string()).unwrap();
        edit_images(world, world, world, &SystemRandom, &At(Time::from_secs(50)), RETENTION, request).await
    }

    async fn results(world: &World, event: &Value) -> Value {
        let response = answer(world, event).await.unwrap();
        assert_eq!(response.status(), 200);
        let Body::Text(text) = response.body() else { panic!("the answer is text") };
        serde_json::from_str::<Value>(text).unwrap()["results"].take()
    }

    #[tokio::test]
    async fn each_image_has_a_result_in_the_order_of_the_request() {
        let world = world();
        let all = json!([id(2), "img_1", id(1), id(9)]);
        let trash = event(&json!({ "images": all, "action": "trash" }));
        let shown = results(&world, &trash).await;
        assert_eq!(shown[0], json!({ "image": id(2), "status": 200, "version": 2, "state": "trashed" }));
        assert_eq!(shown[2]["image"], json!(id(1)));
        for (place, image) in [(1, json!("img_1")), (3, json!(id(9)))] {
            let detail = "There is no such image.";
            let expected = json!({ "image": image, "status": 404, "code": "not-found", "detail": detail });
            assert_eq!(shown[place], expected);
        }
        assert_eq!(results(&world, &trash).await, shown, "trashing twice is trashing once");
        assert_eq!(*world.written.lock().unwrap(), 2);

        let restored = results(&world, &event(&json!({ "images": [id(1)], "action": "restore" }))).await;
        assert_eq!(restored[0]["state"], "pending");
        assert_eq!(*world.announced.lock().unwrap(), [id(1)], "its bytes may have come in the meantime");
    }

    #[tokio::test]
    async fn tags_are_added_and_removed_as_in_sets() {
        let world = world();
        let add = event(&json!({ "images": [id(1), id(1)], "action": "tag", "add": ["a", "b"] }));
        let shown = results(&world, &add).await;
        assert_eq!((&shown[0]["version"], &shown[1]["version"]), (&json!(2), &json!(2)));
        let change = json!({ "images": [id(1), id(2)], "action": "tag", "add": ["c"], "remove": ["a"] });
        results(&world, &event(&change)).await;
        let images = world.images.lock().unwrap();
        let tags = |image: &Image| serde_json::to_value(&image.details.tags).unwrap();
        assert_eq!((tags(&images[0]), tags(&images[1])), (json!(["b", "c"]), json!(["c"])));
    }

    #[tokio::test]
    async fn an_image_that_would_have_too_many_tags_does_not_keep_the_others_from_theirs() {
        let world = world();
        let many: Vec<String> = (0..20).map(|n| format!("t{n}")).collect();
        results(&world, &event(&json!({ "images": [id(1)], "action": "tag", "add": many }))).await;
        let one_more = json!({ "images": [id(1), id(2)], "action": "tag", "add": ["u"] });
        let shown = results(&world, &event(&one_more)).await;
        assert_eq!((&shown[0]["status"], &shown[0]["code"]), (&json!(400), &json!("invalid-request")));
        assert_eq!(shown[1]["status"], 200);
    }

    #[tokio::test]
    async fn a_user_changes_no_other_users_images() {
        let world = world();
        let mut event = event(&json!({ "images": [id(1), id(2)], "action": "trash" }));
        event["requestContext"]["authorizer"]["lambda"]["user"] = json!("anna");
        let shown = results(&world, &event).await;
        assert_eq!((&shown[0]["status"], &shown[1]["status"]), (&json!(200), &json!(404)));
    }

    #[tokio::test]
    async fn the_same_request_under_one_name_is_answered_from_the_record() {
        let world = world();
        let mut first = event(&json!({ "images": [id(1), id(9)], "action": "trash" }));
        first["headers"]["idempotency-key"] = json!("attempt-1");
        let shown = results(&world, &first).await;
        results(&world, &event(&json!({ "images": [id(1)], "action": "restore" }))).await;
        let asked = *world.asked.lock().unwrap();
        assert_eq!(results(&world, &first).await, shown);
        assert_eq!(*world.asked.lock().unwrap(), asked);
        assert_eq!(world.images.lock().unwrap()[0].state, State::Pending);

        first["body"] = json!(json!({ "images": [id(2)], "action": "trash" }).to_string());
        assert_eq!(answer(&world, &first).await.unwrap_err().code(), "idempotency-mismatch");
    }

    #[tokio::test]
    async fn texts_that_are_too_long_for_an_id_do_not_fill_the_record() {
        let world = world();
        let long = "\u{1}ä".repeat(5000);
        let mut event = event(&json!({ "images": vec![long; 100], "action": "trash" }));
        event["headers"]["idempotency-key"] = json!("attempt-1");
        let shown = results(&world, &event).await;
        assert_eq!(
            (&shown[99]["status"], &shown[99]["image"]),
            (&json!(404), &json!("\u{1}ä".repeat(15) + "…"))
        );
        let written: usize =
            world.records.lock().unwrap().iter().flat_map(|record| &record.ids).map(String::len).sum();
        assert!((1..100_000).contains(&written), "{written}");
    }

    #[tokio::test]
    async fn a_request_that_is_worked_on_is_not_begun_a_second_time() {
        let world = world();
        let mut event = event(&json!({ "images": [id(1)], "action": "trash" }));
        event["headers"]["idempotency-key"] = json!("attempt-1");
        let request = lambda_http::request::from_str(&event.to_string()).unwrap();
        let caller = Caller::from_request(&request).unwrap();
        let begun = attempt(&request, &caller).unwrap().unwrap().begun(Time::from_secs(49));
        world.records.lock().unwrap().push(begun);
        let problem = answer(&world, &event).await.unwrap_err();
        assert_eq!((problem.status().as_u16(), problem.code()), (409, "conflict"));
        assert_eq!(*world.written.lock().unwrap(), 0);
    }

    #[tokio::test]
    async fn an_outage_ends_the_work_and_is_not_remembered() {
        let world = World { out_of_reach: Some(id(1)), ..world() };
        let mut event = event(&json!({ "images": [id(2), id(1), id(2)], "action": "trash" }));
        event["headers"]["idempotency-key"] = json!("attempt-1");
        let shown = results(&world, &event).await;
        let statuses: Vec<_> = (0..3).map(|place| shown[place]["status"].clone()).collect();
        assert_eq!(statuses, [200, 503, 503]);
        assert!(!shown.to_string().contains("table-7"));
        assert_eq!(*world.asked.lock().unwrap(), 2);
        assert!(world.records.lock().unwrap()[0].is_begun(), "another attempt is possible in a minute");
    }

    #[tokio::test]
    async fn a_request_that_makes_no_sense_changes_nothing() {
        for (body, pointer) in [
            (json!({ "images": [], "action": "trash" }), "/images"),
            (json!({ "images": vec![id(1); 101], "action": "trash" }), "/images"),
            (json!({ "images": [id(1)], "action": "delete" }), "/action"),
            (json!({ "images": [id(1)], "action": "tag" }), "/add"),
            (json!({ "images": [id(1)], "action": "trash", "add": ["a"] }), "/add"),
            (json!({ "images": [id(1)], "action": "restore", "remove": ["a"] }), "/remove"),
            (json!({ "images": [id(1)], "action": "tag", "add": [""] }), "/add/0"),
            (json!({ "images": [1], "action": "trash" }), "/images/0"),
            (json!({ "images": [id(1)], "action": "trash", "ids": [] }), "/ids"),
        ] {
            let world = world();
            let problem = answer(&world, &event(&body)).await.unwrap_err();
            assert_eq!(problem.status(), 400, "{body}");
            let response = problem.into_response("r");
            let Body::Text(text) = response.body() else { panic!("a problem is text") };
            let document: Value = serde_json::from_str(text).unwrap();
            assert_eq!(document["errors"][0]["pointer"], pointer, "{body}");
            assert_eq!(*world.written.lock().unwrap(), 0);
        }
        let mut scope = event(&json!({ "images": [id(1)], "action": "trash" }));
        scope["requestContext"]["authorizer"]["lambda"]["scopes"] = json!("images:read");
        assert_eq!(answer(&world(), &scope).await.unwrap_err().code(), "forbidden");
    }
}

//! `PATCH /v1/images/{image}`: says something else of an image, as a merge patch (RFC 7396): what is absent stays,
//! what is `null` goes, and metadata is merged member by member.
//!
//! Who sends `If-Match` loses no other edit. Who does not, wins. Where the image is shown to others from now on, or
//! no longer, `move-variants` carries its variants over; who may see them goes by the image's row at once.

use lambda_http::{Body, Request, Response};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use shared::domain::details::{AltText, DetailsPatch, FocalPoint, Metadata, Tags, Title, given};
use shared::domain::image::Image;
use shared::domain::{Clock, Ids, ImageId, Visibility};
use shared::http::{IdempotencyKey, IfMatch, ImageView, Problem, image_answer, merge_patch};
use shared::platform::{Edit, Environment, edit_once, serve};
use shared::store::{CommitImage, FindImage, FindProject, KnownProjects, RecallAttempt, RecordAttempt};
use utoipa::ToSchema;

/// What is absent stays, and what is `null` goes (RFC 7396).
#[expect(clippy::option_option, reason = "absent, `null` and a value are three things")]
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({ "title": "Harbour, evening", "tags": ["harbour", "dusk"], "metadata": { "order": null } })))]
struct ImagePatch {
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Title>)]
    title: Option<Option<Title>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<AltText>)]
    alt: Option<Option<AltText>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Tags>)]
    tags: Option<Option<Tags>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<FocalPoint>)]
    focal_point: Option<Option<FocalPoint>>,
    /// Merged member by member.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Metadata>)]
    metadata: Option<Option<Map<String, Value>>>,
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = Visibility, required = false)]
    visibility: Option<Visibility>,
}

/// Every image has one, so it cannot be removed.
fn not_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Visibility>, D::Error> {
    Visibility::deserialize(deserializer).map(Some)
}

/// Update an image
///
/// A merge patch. Without `If-Match` the last edit wins; with it, none is lost. Whoever shows an image to others, or no
/// longer, does so at once.
#[utoipa::path(
    patch,
    path = "/v1/images/{image}",
    tag = "Images",
    security(("ApiKey" = ["images:write"]), ("IdToken" = ["images:write"])),
    params(("image" = ImageId, Path, description = "The image."), IfMatch, IdempotencyKey),
    request_body(content((ImagePatch = "application/merge-patch+json"), (ImagePatch = "application/json"))),
    responses(
        (status = 200, description = "The image as it is now.", body = ImageView, headers(("ETag"), ("Cache-Control"), ("Retry-After"))),
        (status = 400),
        (status = 404),
        (status = 409),
        (status = 410),
        (status = 412),
        (status = 415),
        (status = 422),
    )
)]
async fn update_image(
    images: &(impl FindImage + CommitImage + RecallAttempt + RecordAttempt), projects: &impl FindProject,
    ids: &impl Ids, clock: &impl Clock, request: Request,
) -> Result<Response<Body>, Problem> {
    let edit = Edit::from_request(&request, ids, clock)?;
    let ImagePatch { title, alt, tags, focal_point, metadata, visibility } = merge_patch(&request)?;
    let patch = DetailsPatch { title, alt, tags, focal_point, metadata };
    let project = projects.find_project(edit.caller.project, edit.now).await?;
    let project = project.ok_or_else(|| Problem::not_found("project"))?;
    let decide = |image: &Image| Ok(image.edit(&patch, visibility, edit.now)?);
    let image = edit_once(images, &edit, decide).await?;
    image_answer(&image, &project, edit.now)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let env = Environment::load()?;
    let (images, random, clock) = (env.store()?, env.random(), env.clock());
    let projects = KnownProjects::new(images.clone());
    let (images, projects, random, clock) = (&images, &projects, &random, &clock);
    serve(move |request| update_image(images, projects, random, clock, request)).await
}

#[cfg(test)]
#[path = "../fake_table.rs"]
mod fake_table;

#[cfg(test)]
mod tests {
    use super::fake_table::{At, Table, image_of};
    use super::*;
    use lambda_http::http::header;
    use serde_json::json;
    use shared::domain::image::{Change, Lease, Picture, State};
    use shared::domain::{EventKind, ProjectId, Time};
    use shared::platform::SystemRandom;

    fn event() -> Value {
        serde_json::from_str(include_str!("../../../../events/update-image.json")).unwrap()
    }

    fn event_with(patch: &Value) -> Value {
        let mut event = event();
        event["body"] = json!(patch.to_string());
        event["headers"].as_object_mut().unwrap().remove("if-match");
        event
    }

    fn world(state: State) -> Table {
        Table::with(image_of(&event(), state))
    }

    fn ready() -> State {
        State::Ready { picture: Picture::default() }
    }

    async fn answer(world: &Table, event: &Value) -> Result<Response<Body>, Problem> {
        let request = lambda_http::request::from_str(&event.to_string()).unwrap();
        update_image(world, world, &SystemRandom, &At(Time::from_secs(50)), request).await
    }

    fn document(response: &Response<Body>) -> Value {
        let Body::Text(text) = response.body() else { panic!("the answer is text") };
        serde_json::from_str(text).unwrap()
    }

    #[tokio::test]
    async fn a_patch_is_answered_with_the_whole_image_and_its_new_tag() {
        let world = world(ready());
        let response = answer(&world, &event()).await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(response.headers()[header::ETAG].to_str().unwrap().starts_with("\"2.2"));
        let shown = document(&response);
        assert_eq!((&shown["title"], &shown["version"]), (&json!("Harbour at dawn"), &json!(2)));
        assert_eq!(shown["tags"], json!(["boats", "sea"]));
        assert_eq!(shown["state"], "ready");
        let written = world.written.into_inner().unwrap();
        let [Change { image, event: Some(EventKind::Updated), .. }] = written.as_slice() else {
            panic!("one change with its event: {written:?}")
        };
        assert_eq!((image.visibility, image.moving, image.due), (Visibility::Private, false, None));
    }

    #[tokio::test]
    async fn null_removes_and_what_is_absent_stays() {
        let world = world(ready());
        let shown = document(&answer(&world, &event_with(&json!({ "alt": "Boats" }))).await.unwrap());
        assert_eq!((&shown["title"], &shown["alt"]), (&json!("Harbour"), &json!("Boats")));
        let shown = document(&answer(&world, &event_with(&json!({ "title": null }))).await.unwrap());
        assert_eq!((shown.get("title"), &shown["alt"]), (None, &json!("Boats")));
    }

    #[tokio::test]
    async fn a_patch_that_changes_nothing_writes_nothing() {
        let world = world(ready());
        for patch in [json!({}), json!({ "title": "Harbour", "visibility": "private", "tags": [] })] {
            let response = answer(&world, &event_with(&patch)).await.unwrap();
            assert!(response.headers()[header::ETAG].to_str().unwrap().starts_with("\"1.2"));
        }
        assert!(world.written.into_inner().unwrap().is_empty());
    }

    #[tokio::test]
    async fn who_knows_an_old_version_is_told_the_new_one() {
        let world = world(ready());
        let mut event = event_with(&json!({ "title": "Quay" }));
        event["headers"]["if-match"] = json!("\"1.0\"");
        assert!(answer(&world, &event).await.is_ok(), "functions' revisions are no edits");
        event["body"] = json!(json!({ "title": "Pier" }).to_string());
        let problem = answer(&world, &event).await.unwrap_err();
        assert_eq!((problem.status().as_u16(), problem.code()), (412, "stale"));
        assert_eq!(problem.into_response("r").headers()[header::ETAG], "\"2.2\"");
    }

    #[tokio::test]
    async fn an_image_that_is_shown_to_others_has_its_variants_moved_and_a_timer_that_minds_it() {
        let lease = Lease { owner: "worker".into(), until: Time::from_secs(90) };
        for (state, due) in [(ready(), true), (State::Processing { lease }, false), (State::Pending, false)] {
            let world = world(state);
            answer(&world, &event_with(&json!({ "visibility": "public" }))).await.unwrap();
            let image = world.image.into_inner().unwrap();
            assert_eq!((image.visibility, image.moving), (Visibility::Public, true));
            assert_eq!(image.due.is_some(), due, "an upload that is awaited has a timer of its own");
        }
    }

    #[tokio::test]
    async fn a_request_that_is_sent_again_takes_effect_once() {
        let world = world(ready());
        let mut first = event_with(&json!({ "title": "Quay" }));
        first["headers"]["idempotency-key"] = json!("attempt-1");
        first["headers"]["if-match"] = json!("\"1.2\"");
        answer(&world, &first).await.unwrap();
        answer(&world, &event_with(&json!({ "title": "Pier" }))).await.unwrap();
        let again = document(&answer(&world, &first).await.unwrap());
        assert_eq!((&again["title"], &again["version"]), (&json!("Pier"), &json!(3)));
        assert_eq!(world.written.lock().unwrap().len(), 2);
        first["body"] = json!(json!({ "title": "Mole" }).to_string());
        assert_eq!(answer(&world, &first).await.unwrap_err().code(), "idempotency-mismatch");
    }

    #[tokio::test]
    async fn what_changed_nothing_changes_nothing_when_it_is_sent_again() {
        let world = world(ready());
        let mut same = event_with(&json!({ "title": "Harbour" }));
        same["headers"]["idempotency-key"] = json!("attempt-1");
        answer(&world, &same).await.unwrap();
        answer(&world, &event_with(&json!({ "title": "Pier" }))).await.unwrap();
        assert_eq!(document(&answer(&world, &same).await.unwrap())["title"], "Pier");
    }

    #[tokio::test]
    async fn what_does_not_fit_is_refused() {
        for (patch, pointer) in [
            (json!({ "title": "" }), Some("/title")),
            (json!({ "title": 7 }), Some("/title")),
            (json!({ "alt": "x".repeat(1001) }), Some("/alt")),
            (json!({ "tags": "sea" }), Some("/tags")),
            (json!({ "tags": ["x".repeat(51)] }), Some("/tags/0")),
            (json!({ "focal_point": { "x": 2, "y": 0 } }), Some("/focal_point")),
            (json!({ "focal_point": { "x": 0.5 } }), Some("/focal_point")),
            (json!({ "metadata": [] }), Some("/metadata")),
            (json!({ "metadata": { "x": "y".repeat(2048) } }), None),
            (json!({ "visibility": null }), Some("/visibility")),
            (json!({ "visibility": "secret" }), Some("/visibility")),
            (json!({ "owner": "bert" }), Some("/owner")),
            (json!({ "state": "ready" }), Some("/state")),
            (json!([]), Some("")),
        ] {
            let world = world(ready());
            let problem = answer(&world, &event_with(&patch)).await.unwrap_err();
            assert_eq!((problem.status().as_u16(), problem.code()), (400, "invalid-request"), "{patch}");
            let document = document(&problem.into_response("r"));
            assert_eq!(document["errors"][0]["pointer"].as_str(), pointer, "{patch}: {document}");
            assert!(world.written.into_inner().unwrap().is_empty());
        }
        let mut event = event();
        event["headers"]["content-type"] = json!("text/plain");
        assert_eq!(answer(&world(ready()), &event).await.unwrap_err().status(), 415);
    }

    #[tokio::test]
    async fn an_image_that_is_not_theirs_is_not_there() {
        let other = Image { project: ProjectId::new(7.into()), ..image_of(&event(), ready()) };
        let mut bert = event();
        bert["requestContext"]["authorizer"]["lambda"]["user"] = json!("bert");
        let mut anna = event();
        anna["requestContext"]["authorizer"]["lambda"]["user"] = json!("anna");
        assert!(answer(&world(ready()), &anna).await.is_ok());
        for (world, event) in [(Table::with(other), event()), (world(ready()), bert)] {
            let problem = answer(&world, &event).await.unwrap_err();
            assert_eq!((problem.status().as_u16(), problem.code()), (404, "not-found"));
            assert!(world.written.into_inner().unwrap().is_empty());
        }
        let purging = world(State::Purging { picture: None });
        assert_eq!(answer(&purging, &event()).await.unwrap_err().code(), "gone");
        let mut scope = event();
        scope["requestContext"]["authorizer"]["lambda"]["scopes"] = json!("images:read uploads:create");
        assert_eq!(answer(&world(ready()), &scope).await.unwrap_err().code(), "forbidden");
    }
}

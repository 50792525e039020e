//! `POST /s3/multipart`: Uppy is about to upload a large file. Reserves an image for bytes in parts.

use functions_http::companion::{NewFile, begun};
use functions_http::reservation::{Reservation, prepare, reserve_in_parts};
use lambda_http::http::StatusCode;
use lambda_http::{Body, Request, Response};
use shared::domain::{Clock, Ids};
use shared::http::{Caller, Problem, attempt, json};
use shared::media::{AbortParts, BeginParts};
use shared::platform::{Environment, serve};
use shared::store::{CommitImage, FindImage, FindProject, KnownProjects, RecallAttempt};

async fn begin_uppy_upload(
    images: &(impl CommitImage + FindImage + RecallAttempt), projects: &impl FindProject,
    uploads: &(impl BeginParts + AbortParts), ids: &impl Ids, clock: &impl Clock, request: Request,
) -> Result<Response<Body>, Problem> {
    let caller = Caller::from_request(&request)?.require_upload()?;
    let new = NewFile::from_body(&request)?.check(&caller)?.new;
    let attempt = attempt(&request, &caller)?;
    let attempt = attempt.as_ref();
    let image = match prepare(images, projects, ids, clock, &caller, attempt, new).await? {
        Reservation::Made(image) => *image,
        // Uppy cuts files as it likes.
        Reservation::New(change) => {
            reserve_in_parts(images, uploads, ids, &caller, attempt, None, *change).await?
        }
    };
    json(StatusCode::OK, &begun(&image))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let env = Environment::load()?;
    let (images, uploads, random, clock) = (env.store()?, env.media(), env.random(), env.clock());
    let projects = KnownProjects::new(images.clone());
    let (images, projects, uploads, random, clock) = (&images, &projects, &uploads, &random, &clock);
    serve(move |request| begin_uppy_upload(images, projects, uploads, random, clock, request)).await
}

#[cfg(test)]
#[path = "../fakes.rs"]
mod fakes;

#[cfg(test)]
mod tests {
    use super::fakes::{World, document, event_of, refusal, request};
    use super::*;
    use serde_json::json;
    use shared::domain::image::MAXIMUM_BYTES;
    use shared::platform::SystemRandom;

    async fn answer(world: &World, body: &str) -> Result<Response<Body>, Problem> {
        let mut event = event_of(include_str!("../../../../events/begin-uppy-upload.json"), world);
        if !body.is_empty() {
            event["body"] = body.into();
        }
        begin_uppy_upload(world, world, world, &SystemRandom, world, request(&event)).await
    }

    #[tokio::test]
    async fn uppy_learns_our_name_of_the_upload_and_not_that_of_s3() {
        let world = World::empty();
        let answered = document(&answer(&world, "").await.unwrap());
        let image = world.image();
        let key = format!("{}/{}/{}", image.project, image.id, image.upload);
        assert_eq!(answered, json!({ "uploadId": image.upload, "key": key }));
        let multipart = image.multipart.unwrap();
        assert_eq!((multipart.id.as_str(), multipart.part_bytes), ("s3-1", None));
    }

    #[tokio::test]
    async fn metadata_of_any_kind_does_not_stand_in_the_way() {
        let world = World::empty();
        let body =
            r#"{"filename":"a","type":"image/png","metadata":{"size":5,"name":"a","x":{"y":[1]},"z":null}}"#;
        answer(&world, body).await.unwrap();
        assert_eq!(world.image().declared.bytes, 5);
    }

    #[tokio::test]
    async fn a_file_of_unknown_size_may_have_what_the_token_allows() {
        let world = World::empty().with_its_token();
        for (grant, bytes) in [("{}", MAXIMUM_BYTES), (r#"{"max_bytes":5000000}"#, 5_000_000)] {
            let mut event = event_of(include_str!("../../../../events/begin-uppy-upload.json"), &world);
            event["body"] = r#"{"filename":"a","type":"image/png","metadata":{}}"#.into();
            event["requestContext"]["authorizer"]["lambda"]["grant"] = grant.into();
            *world.image.lock().unwrap() = None;
            begin_uppy_upload(&world, &world, &world, &SystemRandom, &world, request(&event)).await.unwrap();
            assert_eq!(world.image().declared.bytes, bytes);
        }
    }

    #[tokio::test]
    async fn who_may_see_it_is_what_the_token_says_and_not_passed_over_in_silence() {
        for (visibility, taken) in [("private", true), ("public", false)] {
            let world = World::empty().with_its_token();
            let mut event = event_of(include_str!("../../../../events/begin-uppy-upload.json"), &world);
            let metadata = json!({ "visibility": visibility });
            event["body"] = json!(json!({ "type": "image/png", "metadata": metadata }).to_string());
            event["requestContext"]["authorizer"]["lambda"]["grant"] = "{}".into();
            *world.image.lock().unwrap() = None;
            let begun =
                begin_uppy_upload(&world, &world, &world, &SystemRandom, &world, request(&event)).await;
            assert_eq!(begun.is_ok(), taken, "{visibility}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_taken_is_refused_before_anything_is_written() {
        for (body, expected) in [
            (r#"{"filename":"a"}"#, (415, "unsupported-media")),
            (r#"{"type":"image/png","metadata":{"size":-1}}"#, (400, "invalid-request")),
            (r#"{"type":"image/png","metadata":[]}"#, (400, "invalid-request")),
        ] {
            let world = World::empty();
            assert_eq!(refusal(answer(&world, body).await), expected, "{body}");
            assert!(world.log.lock().unwrap().is_empty());
        }
        assert_eq!(refusal(answer(&World::empty().without_scope(), "").await), (403, "forbidden"));
    }
}

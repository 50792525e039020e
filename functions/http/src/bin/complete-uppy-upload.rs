//! `POST /s3/multipart/{upload}/complete`: Uppy has sent all parts. They become one object, which S3 announces.

use functions_http::companion::{completed, sent_parts, upload_of};
use functions_http::parts::complete_upload;
use lambda_http::http::StatusCode;
use lambda_http::{Body, Request, Response};
use shared::domain::{Clock, Ids};
use shared::http::{Caller, Problem, json};
use shared::media::{AbortParts, FindUpload, JoinParts, ListParts};
use shared::platform::{Environment, serve};
use shared::store::{CommitImage, FindImage, RecallAttempt, RecordAttempt};

async fn complete_uppy_upload(
    images: &(impl FindImage + CommitImage + RecallAttempt + RecordAttempt),
    uploads: &(impl FindUpload + ListParts + JoinParts + AbortParts), ids: &impl Ids, clock: &impl Clock,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let caller = Caller::from_request(&request)?.require_upload()?;
    let upload = upload_of(&request, &caller)?;
    let sent = sent_parts(&request)?;
    let image =
        complete_upload(images, uploads, (ids, clock), &request, &caller, upload, Some(&sent)).await?;
    json(StatusCode::OK, &completed(&image))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let env = Environment::load()?;
    let (images, uploads, random, clock) = (env.store()?, env.media(), env.random(), env.clock());
    let (images, uploads, random, clock) = (&images, &uploads, &random, &clock);
    serve(move |request| complete_uppy_upload(images, uploads, random, clock, request)).await
}

#[cfg(test)]
#[path = "../fakes.rs"]
mod fakes;

#[cfg(test)]
mod tests {
    use super::fakes::{World, document, event_of, refusal, request};
    use super::*;
    use shared::domain::image::State;
    use shared::platform::SystemRandom;

    async fn answer(world: &World, body: &str) -> Result<Response<Body>, Problem> {
        let mut event = event_of(include_str!("../../../../events/complete-uppy-upload.json"), world);
        event["body"] = body.into();
        complete_uppy_upload(world, world, &SystemRandom, world, request(&event)).await
    }

    const ALL: &str = r#"{"parts":[
        {"PartNumber":1,"ETag":"e1"},{"PartNumber":2,"ETag":"\"e2\""},{"PartNumber":3,"ETag":"e3"}
    ]}"#;

    #[tokio::test]
    async fn the_parts_are_joined_and_uppy_learns_where_the_image_is() {
        let world = World::in_parts().with_parts(&[1, 2, 3]);
        let answered = document(&answer(&world, ALL).await.unwrap());
        assert_eq!(*world.joined.lock().unwrap(), [1, 2, 3]);
        let image = world.image();
        assert_eq!(answered["location"], format!("/v1/images/{}", image.id));
        assert_eq!(answered["key"], format!("{}/{}/{}", image.project, image.id, image.upload));
    }

    #[tokio::test]
    async fn parts_that_are_more_than_was_announced_are_given_up_with_their_image() {
        let world = World::in_parts().cut_freely().announced_smaller().with_parts(&[1, 2, 3]);
        assert_eq!(refusal(answer(&world, ALL).await), (413, "too-large"));
        assert_eq!(*world.log.lock().unwrap(), ["commit", "abort parts"]);
        let State::Failed { failure } = world.image().state else { panic!("{:?}", world.image()) };
        assert_eq!(failure.code, "upload-aborted");
        assert!(world.joined.lock().unwrap().is_empty());
        assert_eq!(refusal(answer(&world, ALL).await), (410, "gone"));
        // Unless somebody else joined what fitted just before.
        let world = World::in_parts().cut_freely().announced_smaller().with_parts(&[1, 2, 3]).with_object();
        assert_eq!(answer(&world, ALL).await.unwrap().status(), 200);
        assert!(world.log.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn what_does_not_make_up_the_upload_is_not_joined() {
        for (there, body, expected) in [
            (&[1, 3][..], ALL, (409, "conflict")),
            (&[1, 2, 3], r#"{"parts":[{"PartNumber":2,"ETag":"e2"}]}"#, (409, "conflict")),
            (&[1, 2, 3], r#"{"parts":[{"PartNumber":1}]}"#, (400, "invalid-request")),
        ] {
            let world = World::in_parts().with_parts(there);
            assert_eq!(refusal(answer(&world, body).await), expected);
            assert!(world.joined.lock().unwrap().is_empty());
        }
        assert_eq!(refusal(answer(&World::in_parts().of_another(), ALL).await), (404, "not-found"));
        assert_eq!(refusal(answer(&World::in_parts().without_scope(), ALL).await), (403, "forbidden"));
    }
}

//! `DELETE /s3/multipart/{upload}`: somebody changed their mind, and Uppy says so.

use functions_http::companion::upload_of;
use functions_http::parts::abort_upload;
use lambda_http::http::StatusCode;
use lambda_http::{Body, Request, Response};
use serde_json::Map;
use shared::domain::{Clock, Ids};
use shared::http::{Caller, Problem, json};
use shared::media::AbortParts;
use shared::platform::{Environment, serve};
use shared::store::{CommitImage, FindImage};

async fn abort_uppy_upload(
    images: &(impl FindImage + CommitImage), uploads: &impl AbortParts, ids: &impl Ids, clock: &impl Clock,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let caller = Caller::from_request(&request)?.require_upload()?;
    let upload = upload_of(&request, &caller)?;
    abort_upload(images, uploads, ids, clock, &caller, upload).await?;
    // Uppy reads a document from every answer.
    json(StatusCode::OK, &Map::new())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let env = Environment::load()?;
    let (images, uploads, random, clock) = (env.store()?, env.media(), env.random(), env.clock());
    let (images, uploads, random, clock) = (&images, &uploads, &random, &clock);
    serve(move |request| abort_uppy_upload(images, uploads, random, clock, request)).await
}

#[cfg(test)]
#[path = "../fakes.rs"]
mod fakes;

#[cfg(test)]
mod tests {
    use super::fakes::{World, document, event_of, refusal, request};
    use super::*;
    use shared::platform::SystemRandom;

    async fn answer(world: &World) -> Result<Response<Body>, Problem> {
        let event = event_of(include_str!("../../../../events/abort-uppy-upload.json"), world);
        abort_uppy_upload(world, world, &SystemRandom, world, request(&event)).await
    }

    #[tokio::test]
    async fn the_image_fails_and_the_parts_go() {
        let world = World::in_parts().with_parts(&[1]);
        assert_eq!(document(&answer(&world).await.unwrap()), serde_json::json!({}));
        assert_eq!(*world.log.lock().unwrap(), ["commit", "abort parts"]);
        assert_eq!(world.image().state.name(), "failed");
    }

    #[tokio::test]
    async fn what_has_arrived_or_is_not_ours_stays() {
        for (world, expected) in [
            (World::in_parts().ready(), (409, "conflict")),
            (World::in_parts().of_another(), (404, "not-found")),
            (World::in_parts().without_scope(), (403, "forbidden")),
        ] {
            assert_eq!(refusal(answer(&world).await), expected);
            assert!(world.log.lock().unwrap().is_empty());
        }
    }
}

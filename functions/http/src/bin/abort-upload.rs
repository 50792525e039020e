//! `DELETE /v1/images/{image}/uploads/{upload}`: gives an upload up. Its image has failed then, and what has arrived
//! is deleted.

use functions_http::parts::abort_upload as abort;
use lambda_http::{Body, Request, Response};
use shared::domain::{Clock, Ids, ImageId, UploadId};
use shared::http::{Caller, Problem, no_content, path_parameter};
use shared::media::AbortParts;
use shared::platform::{Environment, serve};
use shared::store::{CommitImage, FindImage};

/// Abort an upload
///
/// The image has failed then, with the code `upload-aborted`; what has arrived is deleted. To abort an upload again is to
/// have aborted it.
#[utoipa::path(
    delete,
    path = "/v1/images/{image}/uploads/{upload}",
    tag = "Uploads",
    security(("ApiKey" = ["uploads:create"]), ("IdToken" = ["uploads:create"]), ("UploadToken" = [])),
    params(("image" = ImageId, Path, description = "The image."), ("upload" = UploadId, Path, description = "The upload.")),
    responses(
        (status = 204, description = "It is given up."),
        (status = 404),
        (status = 409, description = "The bytes have arrived already."),
    )
)]
async fn abort_upload(
    images: &(impl FindImage + CommitImage), uploads: &impl AbortParts, ids: &impl Ids, clock: &impl Clock,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let caller = Caller::from_request(&request)?.require_upload()?;
    let image = path_parameter(&request, "image", "image")?;
    let upload = path_parameter(&request, "upload", "upload")?;
    abort(images, uploads, ids, clock, &caller, (image, upload)).await?;
    Ok(no_content())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let env = Environment::load()?;
    let (images, uploads, random, clock) = (env.store()?, env.media(), env.random(), env.clock());
    let (images, uploads, random, clock) = (&images, &uploads, &random, &clock);
    serve(move |request| abort_upload(images, uploads, random, clock, request)).await
}

#[cfg(test)]
#[path = "../fakes.rs"]
mod fakes;

#[cfg(test)]
mod tests {
    use super::fakes::{World, event_of, refusal, request};
    use super::*;
    use shared::domain::image::State;
    use shared::platform::SystemRandom;

    async fn answer(world: &World) -> Result<Response<Body>, Problem> {
        let event = event_of(include_str!("../../../../events/abort-upload.json"), world);
        abort_upload(world, world, &SystemRandom, world, request(&event)).await
    }

    #[tokio::test]
    async fn the_image_fails_first_and_then_the_parts_go() {
        let world = World::in_parts().with_parts(&[1]);
        assert_eq!(answer(&world).await.unwrap().status(), 204);
        assert_eq!(*world.log.lock().unwrap(), ["commit", "abort parts"]);
        let State::Failed { failure } = world.image().state else { panic!("{:?}", world.image()) };
        assert_eq!((failure.code.as_str(), failure.retryable), ("upload-aborted", false));
        // What could not be deleted the first time is the second.
        assert_eq!(answer(&world).await.unwrap().status(), 204);
        assert_eq!(*world.log.lock().unwrap(), ["commit", "abort parts", "abort parts"]);
    }

    #[tokio::test]
    async fn an_upload_that_is_sent_as_a_whole_is_given_up_too() {
        let world = World::whole();
        assert_eq!(answer(&world).await.unwrap().status(), 204);
        assert_eq!(*world.log.lock().unwrap(), ["commit"]);
    }

    #[tokio::test]
    async fn what_has_arrived_or_is_not_ours_stays() {
        for (world, expected) in [
            (World::in_parts().ready(), (409, "conflict")),
            (World::in_parts().of_another(), (404, "not-found")),
            (World::in_parts().of_a_user(), (404, "not-found")),
            (World::in_parts().with_another_token(), (404, "not-found")),
            (World::in_parts().without_scope(), (403, "forbidden")),
        ] {
            assert_eq!(refusal(answer(&world).await), expected);
            assert!(world.log.lock().unwrap().is_empty());
        }
    }
}

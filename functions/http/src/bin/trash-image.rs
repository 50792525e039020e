//! `DELETE /v1/images/{image}`: puts an image into the trash. Its pictures are no longer served, and when
//! its time is up `sweep` has it purged. Trashing twice is trashing once.

use std::time::Duration;

use lambda_http::http::{HeaderValue, header};
use lambda_http::{Body, Request, Response};
use shared::domain::error::TrashImageError;
use shared::domain::image::{BeingPurged, Image};
use shared::domain::{Clock, EventId, Ids, Scope};
use shared::http::{Caller, Problem, if_match, no_content, path_parameter};
use shared::platform::{Environment, serve};
use shared::store::{ChangeError, CommitImage, FindImage, change_image};

async fn trash_image(
    images: &(impl FindImage + CommitImage), ids: &impl Ids, clock: &impl Clock, retention: Duration,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let caller = Caller::from_request(&request)?.require(Scope::WriteImages)?;
    let image = path_parameter(&request, "image", "image")?;
    let expected = if_match(&request)?;
    let (event, now) = (EventId::new(ids.ulid()), clock.now());
    let decide = |image: &Image| {
        if expected.as_ref().is_some_and(|versions| !versions.contains(&image.version)) {
            return Err(TrashImageError::Stale { current: image.etag() });
        }
        image.trash(retention, now).map_err(|BeingPurged| TrashImageError::Purging)
    };
    let trashed = change_image(images, (caller.project, image), event, decide).await;
    let trashed = trashed.map_err(|error| match error {
        ChangeError::NotFound => TrashImageError::NotFound,
        ChangeError::Refused(refusal) => refusal,
        ChangeError::Contended => TrashImageError::Contended,
        ChangeError::Unavailable(error) => TrashImageError::Unavailable(error),
    })?;
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

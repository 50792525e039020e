//! `GET /s3/params`: Uppy is about to upload a file in one request. Reserves an image and answers with a form.
//!
//! A GET that writes is Uppy's wish; a page that asks twice has two images, one of which times out.

use functions_http::companion::{Announced, NewFile, form};
use functions_http::reservation::{Reservation, prepare, reserve};
use lambda_http::http::{HeaderValue, StatusCode, header};
use lambda_http::{Body, Request, Response};
use shared::domain::{Clock, Ids};
use shared::http::{Caller, Problem, json};
use shared::media::PresignForm;
use shared::platform::{Environment, serve_write};
use shared::store::{CommitImage, FindImage, FindProject, KnownProjects, RecallAttempt};

async fn sign_uppy_form(
    images: &(impl CommitImage + FindImage + RecallAttempt), projects: &impl FindProject,
    uploads: &impl PresignForm, ids: &impl Ids, clock: &impl Clock, request: Request,
) -> Result<Response<Body>, Problem> {
    let caller = Caller::from_request(&request)?.require_upload()?;
    let Announced { new, least } = NewFile::from_query(&request)?.check(&caller)?;
    let image = match prepare(images, projects, ids, clock, &caller, None, new).await? {
        Reservation::Made(image) => *image,
        Reservation::New(change) => reserve(images, ids, &caller, None, *change).await?,
    };
    let target = uploads.presign_form(&image, least, clock.now()).await?;
    let mut response = json(StatusCode::OK, &form(&target))?;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let env = Environment::load()?;
    let (images, uploads, random, clock) = (env.store()?, env.media(), env.random(), env.clock());
    let projects = KnownProjects::new(images.clone());
    let (images, projects, uploads, random, clock) = (&images, &projects, &uploads, &random, &clock);
    // Uppy asks with GET, and an image is reserved.
    serve_write(move |request| sign_uppy_form(images, projects, uploads, random, clock, request)).await
}

#[cfg(test)]
#[path = "../fakes.rs"]
mod fakes;

#[cfg(test)]
mod tests {
    use super::fakes::{World, document, event_of, refusal, request};
    use super::*;
    use shared::domain::image::MAXIMUM_BYTES;
    use shared::platform::SystemRandom;

    async fn answer(world: &World, query: &str) -> Result<Response<Body>, Problem> {
        let mut event = event_of(include_str!("../../../../events/sign-uppy-form.json"), world);
        if !query.is_empty() {
            event["rawQueryString"] = query.into();
        }
        sign_uppy_form(world, world, world, &SystemRandom, world, request(&event)).await
    }

    #[tokio::test]
    async fn a_file_of_unknown_size_may_have_as_many_bytes_as_any() {
        let world = World::empty();
        let response = answer(&world, "").await.unwrap();
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        let image = world.image();
        assert_eq!(image.declared.bytes, MAXIMUM_BYTES);
        assert_eq!(image.details.title.unwrap().as_str(), "Harbour at dawn");
        let answered = document(&response);
        assert_eq!((&answered["method"], &answered["expires"]), (&"POST".into(), &3600.into()));
        assert_eq!(answered["fields"]["range"], format!("1-{MAXIMUM_BYTES}"));
        assert_eq!(answered["fields"]["key"], format!("{}/{}/{}", image.project, image.id, image.upload));
    }

    #[tokio::test]
    async fn a_page_may_say_the_size() {
        let world = World::empty();
        let query = "filename=a.png&type=image%2Fpng&metadata%5Bsize%5D=77&metadata%5Btags%5D=sea%2C%20boats";
        let answered = document(&answer(&world, query).await.unwrap());
        assert_eq!(answered["fields"]["range"], "77-77");
        let image = world.image();
        assert_eq!((image.declared.bytes, image.details.tags.iter().count()), (77, 2));
    }

    #[tokio::test]
    async fn what_cannot_be_taken_is_refused_before_anything_is_written() {
        for (query, expected) in [
            ("filename=a", (415, "unsupported-media")),
            ("type=text%2Fplain", (415, "unsupported-media")),
            ("type=image%2Fpng&metadata%5Bsize%5D=0", (400, "invalid-request")),
            ("type=image%2Fpng&metadata%5Bsize%5D=x", (400, "invalid-request")),
            ("type=image%2Fpng&metadata%5Bsize%5D=999999999", (413, "too-large")),
            ("type=image%2Fpng&metadata%5Bvisibility%5D=all", (400, "invalid-request")),
        ] {
            let world = World::empty();
            assert_eq!(refusal(answer(&world, query).await), expected, "{query}");
            assert!(world.log.lock().unwrap().is_empty());
        }
        assert_eq!(refusal(answer(&World::empty().without_scope(), "").await), (403, "forbidden"));
    }
}

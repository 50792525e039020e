//! `GET /v1/images/{image}`: one image, with the paths of its variants.

use lambda_http::http::{HeaderValue, StatusCode, header};
use lambda_http::{Body, Request, Response};
use shared::domain::image::State;
use shared::domain::{Clock, Scope};
use shared::http::{Caller, ImageView, Problem, if_none_match, json, not_modified, path_parameter};
use shared::platform::{Environment, serve};
use shared::store::{FindImage, FindProject, KnownProjects};

async fn get_image(
    images: &impl FindImage, projects: &impl FindProject, clock: &impl Clock, request: Request,
) -> Result<Response<Body>, Problem> {
    let caller = Caller::from_request(&request)?.require(Scope::ReadImages)?;
    let image = path_parameter(&request, "image", "image")?;
    let now = clock.now();
    let project = projects.find_project(caller.project, now).await?;
    let project = project.ok_or_else(|| Problem::not_found("project"))?;
    let image = images.find_image(caller.project, image).await?;
    let etag = ImageView::etag(&image, now);
    let mut response = if if_none_match(&request, &etag) {
        not_modified()
    } else {
        json(StatusCode::OK, &ImageView::new(&image, &project, now))?
    };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, HeaderValue::from_str(&etag).map_err(Problem::internal)?);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    if matches!(image.state, State::Pending | State::Processing { .. }) {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    Ok(response)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let env = Environment::load()?;
    let (images, clock) = (env.store()?, env.clock());
    let projects = KnownProjects::new(images.clone());
    let (images, projects, clock) = (&images, &projects, &clock);
    serve(move |request| get_image(images, projects, clock, request)).await
}

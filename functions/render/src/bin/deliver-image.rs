//! `GET` and `HEAD /i/{project}/{image}/{upload}/{file}`: a stored variant, one picture for ever.
//! `/i/{project}/{image}/{file}` leads to the current one.
//!
//! Public pictures are everybody's; private ones need the signature that `get-image` hands out. The image's
//! row is read each time, so a trashed image is gone at once.

use std::time::Duration;

use lambda_http::http::{HeaderValue, Method, StatusCode, header};
use lambda_http::{Body, Request, RequestExt as _, Response};
use shared::domain::error::FindImageError;
use shared::domain::image::Image;
use shared::domain::preset::resolve;
use shared::domain::signed_path::{self, Refused, delivery_path, sign};
use shared::domain::{Clock, ImageId, PictureName, Project, ProjectId, Time, UploadId, Variant, Visibility};
use shared::http::{Problem, if_none_match, path_parameter};
use shared::media::{ReadVariant, VariantBody};
use shared::platform::{Environment, serve};
use shared::store::{FindImage, FindProject, KnownProjects};

/// The largest picture that fits into a function's answer: 6 MB, as base64 in JSON
/// (<https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>). Larger ones are fetched
/// from S3 itself.
const LARGEST_ANSWER: u64 = 4 * 1024 * 1024;

/// How long "the current picture" is remembered.
const CURRENT_FOR: Duration = Duration::from_mins(1);

/// Who may keep an answer, and until when.
enum Access {
    Everybody,
    Bearer { expires: Time },
}

impl Access {
    fn cache_control(&self, at_most: Duration, now: Time) -> String {
        match self {
            Self::Everybody => format!("public, max-age={}", at_most.as_secs()),
            Self::Bearer { expires } => {
                format!("private, max-age={}", expires.since(now).min(at_most).as_secs())
            }
        }
    }
}

fn access(request: &Request, image: &Image, project: &Project, now: Time) -> Result<Access, Problem> {
    if image.visibility == Visibility::Public {
        return Ok(Access::Everybody);
    }
    let query = request.query_string_parameters();
    let (Some(exp), Some(sig)) = (query.first("exp"), query.first("sig")) else {
        let detail = "This picture is private. `GET /v1/images/{image}` hands out a signed path.";
        return Err(Problem::forbidden(detail));
    };
    match signed_path::verify(request.uri().path(), exp, sig, &project.signing_keys, now) {
        Ok(expires) => Ok(Access::Bearer { expires }),
        Err(refused @ (Refused::Invalid | Refused::Expired)) => {
            let again = "`GET /v1/images/{image}` hands out a new one.";
            Err(Problem::forbidden(format!("{}; {again}", capitalised(&refused.to_string()))))
        }
    }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Whether the client says that it reads WebP. `*/*` does not: it is what a client sends that says nothing.
fn accepts_webp(request: &Request) -> bool {
    let lines = request.headers().get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let refused = |parameter: &str| {
            parameter.strip_prefix("q=").and_then(|q| q.parse::<f32>().ok()).is_some_and(|q| q <= 0.0)
        };
        parts.next().is_some_and(|name| matches!(name, "image/webp" | "image/*")) && !parts.any(refused)
    })
}

async fn deliver_image(
    images: &impl FindImage, projects: &impl FindProject, objects: &impl ReadVariant, clock: &impl Clock,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let project: ProjectId = path_parameter(&request, "project", "picture")?;
    let id: ImageId = path_parameter(&request, "image", "picture")?;
    let name: PictureName = path_parameter(&request, "file", "picture")?;
    let asks_for_current = request.path_parameters_ref().is_none_or(|p| p.first("upload").is_none());
    let now = clock.now();
    let missing = || Problem::not_found("picture");
    let (project, image) = tokio::join!(projects.find_project(project, now), images.find_image(project, id));
    let project = project?.ok_or_else(missing)?;
    let image = image.map_err(|error| match error {
        FindImageError::NotFound => missing(),
        FindImageError::Unavailable(error) => error.into(),
    })?;
    let access = access(&request, &image, &project, now)?;
    let picture = image.picture().ok_or_else(missing)?;
    if asks_for_current {
        return redirect_to_current(&image, name, &project, &access, now);
    }
    let upload: UploadId = path_parameter(&request, "upload", "picture")?;
    if upload != image.upload {
        return Err(missing());
    }
    let variant = resolve(&picture.variants, name, accepts_webp(&request)).ok_or_else(missing)?;
    let etag = format!("\"{}-{}\"", image.upload, variant.name());
    let mut response = if if_none_match(&request, &etag) {
        shared::http::not_modified()
    } else if request.method() == Method::HEAD {
        with_length(Response::new(Body::Empty), variant)
    } else {
        match objects.read_variant(&image, variant, LARGEST_ANSWER).await? {
            VariantBody::Bytes(bytes) => with_length(Response::new(Body::Binary(bytes.into())), variant),
            VariantBody::Elsewhere(url) => return temporary_redirect(&url, "private, no-store"),
        }
    };
    let headers = response.headers_mut();
    let year = Duration::from_hours(8760);
    let cache = format!("{}, immutable", access.cache_control(year, now));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_str(&cache).map_err(Problem::internal)?);
    headers.insert(header::ETAG, HeaderValue::from_str(&etag).map_err(Problem::internal)?);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if name.format.is_none() {
        headers.insert(header::VARY, HeaderValue::from_static("Accept"));
    }
    Ok(response)
}

fn with_length(mut response: Response<Body>, variant: &Variant) -> Response<Body> {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(variant.format.media_type()));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(variant.bytes));
    response
}

fn redirect_to_current(
    image: &Image, name: PictureName, project: &Project, access: &Access, now: Time,
) -> Result<Response<Body>, Problem> {
    let path = delivery_path(image.project, image.id, image.upload, name);
    let path = match (access, project.signing_keys.first()) {
        (Access::Bearer { expires }, Some(key)) => sign(&path, *expires, key),
        (Access::Bearer { .. }, None) | (Access::Everybody, _) => path,
    };
    temporary_redirect(&path, &access.cache_control(CURRENT_FOR, now))
}

fn temporary_redirect(location: &str, cache_control: &str) -> Result<Response<Body>, Problem> {
    Response::builder()
        .status(StatusCode::TEMPORARY_REDIRECT)
        .header(header::LOCATION, location)
        .header(header::CACHE_CONTROL, cache_control)
        .body(Body::Empty)
        .map_err(Problem::internal)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let env = Environment::load()?;
    let (images, objects, clock) = (env.store()?, env.media(), env.clock());
    let projects = KnownProjects::new(images.clone());
    let (images, projects, objects, clock) = (&images, &projects, &objects, &clock);
    serve(move |request| deliver_image(images, projects, objects, clock, request)).await
}

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
use shared::http::{IfNoneMatch, Problem, if_none_match, path_parameter};
use shared::media::{ReadVariant, VariantBody};
use shared::platform::{Environment, serve};
use shared::store::{FindImage, FindProject, KnownProjects};
use utoipa::IntoParams;

/// The signature of a private picture's path.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what `access` reads")]
struct Signature {
    /// When the signature expires, in seconds since 1970.
    #[param(example = "1795244400")]
    exp: Option<String>,
    /// The signature.
    #[param(example = "yJx3Q0bHk2mZ8dT5uWcP1A")]
    sig: Option<String>,
}

/// Fetch the current picture
///
/// Leads to the picture of the image's current upload.
#[utoipa::path(
    method(get, head),
    path = "/i/{project}/{image}/{file}",
    tag = "Pictures",
    params(
        ("project" = ProjectId, Path, description = "The project."),
        ("image" = ImageId, Path, description = "The image."),
        ("file" = PictureName, Path, description = "The preset and the format."),
        Signature,
    ),
    responses(
        (status = 307, description = "The picture is there.", headers(("Location"), ("Cache-Control"))),
        (status = 403),
        (status = 404),
    )
)]
#[expect(dead_code, reason = "the second route of the function below, for the reference")]
fn deliver_image_current() {}

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

/// The path is the one that the parameters name, not the one that the request came by: that is put together
/// from headers which the client writes.
fn access(
    request: &Request, path: &str, image: &Image, project: &Project, now: Time,
) -> Result<Access, Problem> {
    if image.visibility == Visibility::Public {
        return Ok(Access::Everybody);
    }
    let query = request.query_string_parameters();
    let (Some(exp), Some(sig)) = (query.first("exp"), query.first("sig")) else {
        let detail = "This picture is private. `GET /v1/images/{image}` hands out a signed path.";
        return Err(Problem::forbidden(detail));
    };
    match signed_path::verify(path, exp, sig, &project.signing_keys, now) {
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
        let range = range.to_ascii_lowercase();
        let mut parts = range.split(';').map(str::trim);
        let refused = |parameter: &str| {
            parameter.strip_prefix("q=").and_then(|q| q.parse::<f32>().ok()).is_some_and(|q| q <= 0.0)
        };
        parts.next().is_some_and(|name| matches!(name, "image/webp" | "image/*")) && !parts.any(refused)
    })
}

/// Fetch a picture
///
/// One picture for ever: what this path answers with never changes. A private picture's path needs the signature
/// with which `GET /v1/images/{image}` hands it out. Without an extension, the format suits the client.
#[utoipa::path(
    method(get, head),
    path = "/i/{project}/{image}/{upload}/{file}",
    tag = "Pictures",
    params(
        ("project" = ProjectId, Path, description = "The project."),
        ("image" = ImageId, Path, description = "The image."),
        ("upload" = UploadId, Path, description = "The upload."),
        ("file" = PictureName, Path, description = "The preset and the format."),
        Signature,
        IfNoneMatch,
    ),
    responses(
        (status = 200, description = "The picture.",
            content(("image/webp"), ("image/jpeg"), ("image/png")),
            headers(("ETag"), ("Cache-Control"), ("Vary"))),
        (status = 304, description = "You have it already.", headers(("ETag"), ("Cache-Control"))),
        (status = 307, description = "It is large: fetch it there.", headers(("Location"), ("Cache-Control"))),
        (status = 403),
        (status = 404),
    )
)]
async fn deliver_image(
    images: &impl FindImage, projects: &impl FindProject, objects: &impl ReadVariant, clock: &impl Clock,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let project: ProjectId = path_parameter(&request, "project", "picture")?;
    let id: ImageId = path_parameter(&request, "image", "picture")?;
    let name: PictureName = path_parameter(&request, "file", "picture")?;
    let parameters = request.path_parameters_ref();
    let upload: Option<UploadId> = match parameters.and_then(|parameters| parameters.first("upload")) {
        Some(_) => Some(path_parameter(&request, "upload", "picture")?),
        None => None,
    };
    let path = upload.map_or_else(
        || format!("/i/{project}/{id}/{name}"),
        |upload| delivery_path(project, id, upload, name),
    );
    let now = clock.now();
    let missing = || Problem::not_found("picture");
    let (project, image) = tokio::join!(projects.find_project(project, now), images.find_image(project, id));
    let project = project?.ok_or_else(missing)?;
    let image = image.map_err(|error| match error {
        FindImageError::NotFound => missing(),
        FindImageError::Unavailable(error) => error.into(),
    })?;
    let access = access(&request, &path, &image, &project, now)?;
    let picture = image.picture().ok_or_else(missing)?;
    let Some(upload) = upload else {
        return redirect_to_current(&image, name, &project, &access, now);
    };
    if upload != image.upload {
        return Err(missing());
    }
    let variant = resolve(&picture.variants, name, accepts_webp(&request)).ok_or_else(missing)?;
    let etag = format!("\"{}-{}\"", image.upload, variant.name());
    let mut response = if if_none_match(&request, &etag) {
        shared::http::not_modified()
    } else if request.method() == Method::HEAD {
        // A large one, too: a URL that is signed for GET is good for nothing else.
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
    // A 304 has it too: the gateway would add one of its own, and caches would believe that.
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(variant.format.media_type()));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if name.format.is_none() {
        headers.insert(header::VARY, HeaderValue::from_static("Accept"));
    }
    Ok(response)
}

fn with_length(mut response: Response<Body>, variant: &Variant) -> Response<Body> {
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(variant.bytes));
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use shared::domain::details::Details;
    use shared::domain::error::ReadObjectError;
    use shared::domain::image::{Declared, NewImage, Picture};
    use shared::domain::{PresetName, Secret, Unavailable, VariantFormat};
    use std::sync::Mutex;

    /// When the event came.
    const NOW: i64 = 1_795_237_200;
    /// When its signature expires.
    const EXPIRY: i64 = NOW + 7200;

    struct World {
        image: Option<Image>,
        read: Mutex<Vec<String>>,
    }

    impl FindImage for World {
        async fn find_image(&self, project: ProjectId, id: ImageId) -> Result<Image, FindImageError> {
            let image = self.image.clone().ok_or(FindImageError::NotFound)?;
            if (image.project, image.id) == (project, id) { Ok(image) } else { Err(FindImageError::NotFound) }
        }
    }

    impl FindProject for World {
        async fn find_project(&self, id: ProjectId, _: Time) -> Result<Option<Project>, Unavailable> {
            // The event was signed with the older of two keys.
            let signing_keys = vec![Secret::new([2; 32]), Secret::new([1; 32])];
            Ok(Some(Project::new(id, "Harbour".into(), signing_keys, Time::from_secs(0))))
        }
    }

    impl ReadVariant for World {
        async fn read_variant(
            &self, image: &Image, variant: &Variant, limit: u64,
        ) -> Result<VariantBody, ReadObjectError> {
            let name = variant.name().to_string();
            self.read.lock().unwrap().push(name.clone());
            if variant.bytes > limit {
                return Ok(VariantBody::Elsewhere(format!("https://variants.test/{}/{name}", image.upload)));
            }
            Ok(VariantBody::Bytes(name.into_bytes().into()))
        }
    }

    struct At(Time);

    impl Clock for At {
        fn now(&self) -> Time {
            self.0
        }
    }

    fn event() -> Value {
        serde_json::from_str(include_str!("../../../../events/deliver-image.json")).unwrap()
    }

    /// The event with another file and query string.
    fn event_for(file: &str, query: &str) -> Value {
        let mut event = event();
        event["rawPath"] = json!(event["rawPath"].as_str().unwrap().replace("w640.webp", file));
        event["pathParameters"]["file"] = json!(file);
        event["rawQueryString"] = json!(query);
        event
    }

    fn reserved(visibility: Visibility) -> Image {
        let id = |name: &str| event()["pathParameters"][name].as_str().unwrap().to_owned();
        let (image, upload, project) =
            (id("image").parse().unwrap(), id("upload").parse().unwrap(), id("project").parse().unwrap());
        let declared = Declared { content_type: "image/jpeg".into(), bytes: 9 };
        let new = NewImage { declared, visibility, owner: None, details: Details::default() };
        Image::reserve(image, upload, project, new, Time::from_secs(0)).image
    }

    fn ready(visibility: Visibility) -> Image {
        let variant = |preset: PresetName, format, bytes| Variant {
            preset,
            format,
            width: preset.width(),
            height: 9,
            bytes,
        };
        let picture = Picture {
            content_type: "image/jpeg".into(),
            extension: "jpg".into(),
            width: 5000,
            height: 90,
            frames: 1,
            bytes: 8,
            sha256: "ab".into(),
            thumbhash: "cd".into(),
            dominant_color: "#00ff00".into(),
            variants: vec![
                variant(PresetName::W640, VariantFormat::Webp, 9),
                variant(PresetName::W1280, VariantFormat::Jpeg, 9),
                variant(PresetName::W2048, VariantFormat::Webp, LARGEST_ANSWER + 1),
            ],
            ..Picture::default()
        };
        reserved(visibility).become_ready(picture, Time::from_secs(9)).image
    }

    fn world(image: Image) -> World {
        World { image: Some(image), read: Mutex::default() }
    }

    async fn answer(world: &World, event: &Value, now: i64) -> Result<Response<Body>, Problem> {
        let request = lambda_http::request::from_str(&event.to_string()).unwrap();
        deliver_image(world, world, world, &At(Time::from_secs(now)), request).await
    }

    fn text<'a>(response: &'a Response<Body>, name: &str) -> &'a str {
        response.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[tokio::test]
    async fn a_public_picture_is_everybodys_and_a_private_one_the_bearers() {
        let signed = event()["rawQueryString"].as_str().unwrap().to_owned();
        let altered = signed.replace("sig=y", "sig=z");
        let prolonged = signed.replace("exp=1", "exp=2");
        for (query, now, status) in [
            (signed.as_str(), NOW, 200),
            (&signed, EXPIRY - 1, 200),
            (&signed, EXPIRY, 403),
            (&altered, NOW, 403),
            (&prolonged, NOW, 403),
            ("", NOW, 403),
            ("exp=1795244400", NOW, 403),
            ("exp=&sig=", NOW, 403),
        ] {
            let event = event_for("w640.webp", query);
            let public = answer(&world(ready(Visibility::Public)), &event, now).await.unwrap();
            assert_eq!(public.status(), 200, "{query}");
            assert_eq!(text(&public, "cache-control"), "public, max-age=31536000, immutable");

            let private = world(ready(Visibility::Private));
            match answer(&private, &event, now).await {
                Ok(response) => {
                    assert_eq!(response.status(), status, "{query} at {now}");
                    let cache = format!("private, max-age={}, immutable", EXPIRY - now);
                    assert_eq!(text(&response, "cache-control"), cache);
                }
                Err(problem) => {
                    assert_eq!(problem.status(), status, "{query} at {now}");
                    assert_eq!(problem.code(), "forbidden");
                    assert!(private.read.into_inner().unwrap().is_empty());
                }
            }
        }
    }

    #[tokio::test]
    async fn a_signature_opens_no_other_file() {
        let query = event()["rawQueryString"].as_str().unwrap().to_owned();
        let event = event_for("w2048.webp", &query);
        let problem = answer(&world(ready(Visibility::Private)), &event, NOW).await.unwrap_err();
        assert_eq!(problem.code(), "forbidden");
    }

    #[tokio::test]
    async fn a_picture_comes_with_its_type_size_and_tag() {
        let response = answer(&world(ready(Visibility::Private)), &event(), NOW).await.unwrap();
        let Body::Binary(bytes) = response.body() else { panic!("a picture is binary") };
        assert_eq!(bytes.as_slice(), b"w640.webp");
        assert_eq!(text(&response, "content-type"), "image/webp");
        assert_eq!(text(&response, "content-length"), "9");
        assert_eq!(text(&response, "etag"), "\"upl_01M7Y7HNH0N7Q2T4W6Y8A1C3EG-w640.webp\"");
        assert_eq!(text(&response, "x-content-type-options"), "nosniff");
        assert_eq!(text(&response, "vary"), "", "the path names the format");
    }

    #[tokio::test]
    async fn neither_head_nor_a_fresh_copy_reads_the_bucket() {
        let mut head = event();
        head["requestContext"]["http"]["method"] = json!("HEAD");
        let world = world(ready(Visibility::Private));
        let response = answer(&world, &head, NOW).await.unwrap();
        assert_eq!((response.status().as_u16(), text(&response, "content-length")), (200, "9"));
        assert!(matches!(response.body(), Body::Empty));

        let mut conditional = event();
        conditional["headers"]["if-none-match"] = json!(text(&response, "etag"));
        let unchanged = answer(&world, &conditional, NOW).await.unwrap();
        assert_eq!(unchanged.status(), 304);
        assert!(matches!(unchanged.body(), Body::Empty));
        for header in ["cache-control", "etag"] {
            assert_eq!(text(&unchanged, header), text(&response, header));
        }
        assert!(world.read.into_inner().unwrap().is_empty());
    }

    #[tokio::test]
    async fn the_format_is_negotiated_where_the_path_names_none() {
        for (accept, file) in [
            ("image/avif,image/webp,*/*;q=0.8", "w640.webp"),
            ("image/*", "w640.webp"),
            ("*/*", "w1280.jpg"),
            ("image/webp;q=0, image/jpeg", "w1280.jpg"),
        ] {
            let mut event = event_for("w640", "");
            event["headers"]["accept"] = json!(accept);
            let world = world(ready(Visibility::Public));
            let response = answer(&world, &event, NOW).await.unwrap();
            assert_eq!(text(&response, "vary"), "Accept");
            assert_eq!(world.read.into_inner().unwrap(), [file], "{accept}");
        }
    }

    #[tokio::test]
    async fn what_no_answer_holds_is_fetched_from_the_bucket() {
        let event = event_for("w2048.webp", "");
        let response = answer(&world(ready(Visibility::Public)), &event, NOW).await.unwrap();
        assert_eq!(response.status(), 307);
        assert_eq!(
            text(&response, "location"),
            "https://variants.test/upl_01M7Y7HNH0N7Q2T4W6Y8A1C3EG/w2048.webp"
        );
        assert_eq!(text(&response, "cache-control"), "private, no-store", "the URL is good for minutes");
    }

    #[tokio::test]
    async fn head_of_a_large_picture_is_not_sent_to_a_url_that_is_signed_for_get() {
        let mut head = event_for("w2048.webp", "");
        head["requestContext"]["http"]["method"] = json!("HEAD");
        let response = answer(&world(ready(Visibility::Public)), &head, NOW).await.unwrap();
        let length = (LARGEST_ANSWER + 1).to_string();
        assert_eq!((response.status().as_u16(), text(&response, "content-length")), (200, length.as_str()));
        assert_eq!(text(&response, "content-type"), "image/webp");
    }

    #[tokio::test]
    async fn a_path_without_an_upload_leads_to_the_current_one() {
        let mut event = event_for("w640.webp", "");
        let path = event["rawPath"].as_str().unwrap().to_owned();
        let current = path.replace("/upl_01M7Y7HNH0N7Q2T4W6Y8A1C3EG", "");
        event["rawPath"] = json!(current);
        event["pathParameters"].as_object_mut().unwrap().remove("upload");
        let public = answer(&world(ready(Visibility::Public)), &event, NOW).await.unwrap();
        assert_eq!((public.status().as_u16(), text(&public, "location")), (307, path.as_str()));
        assert_eq!(text(&public, "cache-control"), "public, max-age=60");

        let private = world(ready(Visibility::Private));
        assert_eq!(answer(&private, &event, NOW).await.unwrap_err().code(), "forbidden");
        let signed = sign(&current, Time::from_secs(NOW + 30), &Secret::new([1; 32]));
        event["rawQueryString"] = json!(signed.split_once('?').unwrap().1);
        let response = answer(&private, &event, NOW).await.unwrap();
        // Good for as long as the one it was reached by, and signed with the newest key.
        let expected = sign(&path, Time::from_secs(NOW + 30), &Secret::new([2; 32]));
        assert_eq!(text(&response, "location"), expected);
        assert_eq!(text(&response, "cache-control"), "private, max-age=30");
    }

    #[tokio::test]
    async fn there_is_no_picture_of_what_is_not_ready_or_not_asked_for_right() {
        let query = event()["rawQueryString"].as_str().unwrap().to_owned();
        let trashed = ready(Visibility::Public).trash(Duration::from_secs(9), Time::from_secs(10));
        let replaced = Image { upload: UploadId::new(5.into()), ..ready(Visibility::Public) };
        let foreign = Image { project: ProjectId::new(5.into()), ..ready(Visibility::Public) };
        for image in [
            None,
            Some(reserved(Visibility::Public)),
            Some(trashed.unwrap().unwrap().image),
            Some(replaced),
            Some(foreign),
        ] {
            let world = World { image, read: Mutex::default() };
            let problem = answer(&world, &event(), NOW).await.unwrap_err();
            assert_eq!((problem.status().as_u16(), problem.code()), (404, "not-found"));
        }
        for file in ["w641.webp", "w640.exe", "w2048.jpg", "..", "w640.webp/"] {
            let event = event_for(file, &query);
            let problem = answer(&world(ready(Visibility::Public)), &event, NOW).await.unwrap_err();
            assert_eq!(problem.code(), "not-found", "{file}");
        }
    }
}

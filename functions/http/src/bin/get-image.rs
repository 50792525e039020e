//! `GET /v1/images/{image}`: one image, with the paths of its variants.

use lambda_http::http::header;
use lambda_http::{Body, Request, Response};
use shared::domain::{Clock, ImageId, Scope};
use shared::http::{
    Caller, IfNoneMatch, ImageView, Problem, if_none_match, image_answer, not_modified, path_parameter,
};
use shared::platform::{Environment, serve};
use shared::store::{FindImage, FindProject, KnownProjects};

/// Get an image
///
/// With the paths of its variants. While it is `pending` or `processing`, `Retry-After` says when to look again.
#[utoipa::path(
    get,
    path = "/v1/images/{image}",
    tag = "Images",
    security(("ApiKey" = ["images:read"]), ("IdToken" = ["images:read"]), ("UploadToken" = [])),
    params(("image" = ImageId, Path, description = "The image."), IfNoneMatch),
    responses(
        (status = 200, description = "The image.", body = ImageView,
            headers(("ETag"), ("Cache-Control"), ("Retry-After"))),
        (status = 304, description = "You have it already.", headers(("ETag"), ("Cache-Control"), ("Retry-After"))),
        (status = 404),
    )
)]
async fn get_image(
    images: &impl FindImage, projects: &impl FindProject, clock: &impl Clock, request: Request,
) -> Result<Response<Body>, Problem> {
    let caller = Caller::from_request(&request)?.require_or_upload(Scope::ReadImages)?;
    let image = path_parameter(&request, "image", "image")?;
    let now = clock.now();
    let project = projects.find_project(caller.project, now).await?;
    let project = project.ok_or_else(|| Problem::not_found("project"))?;
    let image = images.find_image(caller.project, image).await?;
    if !caller.access().sees(&image) {
        return Err(Problem::not_found("image"));
    }
    let etag = ImageView::etag(&image, now);
    let response = image_answer(&image, &project, now)?;
    if !if_none_match(&request, &etag) {
        return Ok(response);
    }
    let mut unchanged = not_modified();
    *unchanged.headers_mut() = response.headers().clone();
    unchanged.headers_mut().remove(header::CONTENT_TYPE);
    Ok(unchanged)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let env = Environment::load()?;
    let (images, clock) = (env.store()?, env.clock());
    let projects = KnownProjects::new(images.clone());
    let (images, projects, clock) = (&images, &projects, &clock);
    serve(move |request| get_image(images, projects, clock, request)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambda_http::http::StatusCode;
    use serde_json::{Value, json};
    use shared::domain::details::Details;
    use shared::domain::error::FindImageError;
    use shared::domain::image::{Declared, Failure, Lease, NewImage, Picture};
    use shared::domain::{
        Image, ImageId, PresetName, Project, ProjectId, Secret, Time, Unavailable, UploadId, Variant,
        VariantFormat, Visibility,
    };
    use std::time::Duration;

    /// In the middle of a window of signatures.
    const NOW: i64 = 1_795_237_200 + 1800;

    struct Table(Option<Image>);

    impl FindImage for Table {
        async fn find_image(&self, project: ProjectId, id: ImageId) -> Result<Image, FindImageError> {
            let outage = || FindImageError::Unavailable(Unavailable::new("find_image", "table-7 timed out"));
            let image = self.0.clone().ok_or_else(outage)?;
            if (image.project, image.id) == (project, id) { Ok(image) } else { Err(FindImageError::NotFound) }
        }
    }

    impl FindProject for Table {
        async fn find_project(&self, id: ProjectId, _: Time) -> Result<Option<Project>, Unavailable> {
            let signing_keys = vec![Secret::new([1; 32])];
            Ok(Some(Project::new(id, "Harbour".into(), signing_keys, Time::from_secs(0))))
        }
    }

    struct At(Time);

    impl Clock for At {
        fn now(&self) -> Time {
            self.0
        }
    }

    fn event() -> Value {
        serde_json::from_str(include_str!("../../../../events/get-image.json")).unwrap()
    }

    /// The image that the event asks for.
    fn pending(visibility: Visibility) -> Image {
        let event = event();
        let project = &event["requestContext"]["authorizer"]["lambda"]["project"];
        let project = serde_json::from_value(project.clone()).unwrap();
        let id = serde_json::from_value(event["pathParameters"]["image"].clone()).unwrap();
        let declared = Declared { content_type: "image/jpeg".into(), bytes: 9 };
        let details = Details { title: Some("Harbour".parse().unwrap()), ..Details::default() };
        let new = NewImage { declared, visibility, owner: None, details };
        Image::reserve(id, UploadId::new(2.into()), project, new, Time::from_secs(0)).image
    }

    fn ready(visibility: Visibility) -> Image {
        let (preset, format) = (PresetName::W160, VariantFormat::Webp);
        let picture = Picture {
            content_type: "image/jpeg".into(),
            extension: "jpg".into(),
            width: 160,
            height: 90,
            frames: 1,
            bytes: 8,
            sha256: "ab".into(),
            thumbhash: "cd".into(),
            dominant_color: "#00ff00".into(),
            variants: vec![Variant { preset, format, width: 160, height: 90, bytes: 4 }],
            ..Picture::default()
        };
        pending(visibility).become_ready(picture, Time::from_secs(9)).image
    }

    async fn answer(image: Option<Image>, event: &Value, now: i64) -> Result<Response<Body>, Problem> {
        let request = lambda_http::request::from_str(&event.to_string()).unwrap();
        let table = Table(image);
        get_image(&table, &table, &At(Time::from_secs(now)), request).await
    }

    fn document(response: &Response<Body>) -> Value {
        let Body::Text(text) = response.body() else { panic!("the answer is text") };
        serde_json::from_str(text).unwrap()
    }

    #[tokio::test]
    async fn a_ready_image_has_signed_paths_that_no_cache_outlives() {
        let response = answer(Some(ready(Visibility::Private)), &event(), NOW).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[header::CACHE_CONTROL], "private, no-cache");
        assert!(!response.headers().contains_key(header::RETRY_AFTER));
        let document = document(&response);
        assert_eq!(document["state"], "ready");
        assert_eq!(document["title"], "Harbour");
        assert_eq!(document["dominant_color"], "#00ff00");
        let path = document["variants"][0]["path"].as_str().unwrap();
        assert!(path.contains("/w160.webp?exp=1795244400&sig="), "{path}");
    }

    #[tokio::test]
    async fn a_public_image_has_plain_paths_and_a_plain_tag() {
        let response = answer(Some(ready(Visibility::Public)), &event(), NOW).await.unwrap();
        assert_eq!(response.headers()[header::ETAG], "\"1.1\"");
        let path = document(&response)["variants"][0]["path"].as_str().unwrap().to_owned();
        assert!(path.ends_with("/w160.webp"), "{path}");
    }

    #[tokio::test]
    async fn a_client_keeps_its_copy_until_the_signatures_in_it_are_renewed() {
        let image = Some(ready(Visibility::Private));
        let first = answer(image.clone(), &event(), NOW).await.unwrap();
        let mut event = event();
        event["headers"]["if-none-match"] = json!(first.headers()[header::ETAG].to_str().unwrap());
        let again = answer(image.clone(), &event, NOW + 60).await.unwrap();
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        assert!(matches!(again.body(), Body::Empty));
        assert_eq!(again.headers()[header::ETAG], first.headers()[header::ETAG]);
        let next_window = answer(image, &event, NOW + 3600).await.unwrap();
        assert_eq!(next_window.status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn an_unfinished_image_says_when_to_look_again() {
        let pending = pending(Visibility::Private);
        let lease = Lease { owner: "a".into(), until: Time::from_secs(60) };
        let processing = pending.claim(pending.upload, lease, Time::from_secs(1)).unwrap().image;
        for image in [pending, processing] {
            let state = image.state.name();
            let response = answer(Some(image), &event(), NOW).await.unwrap();
            assert_eq!(response.headers()[header::RETRY_AFTER], "1");
            assert_eq!(document(&response)["state"], state);
        }
    }

    #[tokio::test]
    async fn a_failed_image_says_why_and_a_trashed_one_until_when() {
        let failure = Failure { code: "too-large".into(), detail: "Too large.".into(), retryable: false };
        let failed = pending(Visibility::Private).fail(failure, Time::from_secs(9)).image;
        let shown = document(&answer(Some(failed), &event(), NOW).await.unwrap());
        assert_eq!(shown["failure"], json!({ "code": "too-large", "detail": "Too large." }));

        let trashed = ready(Visibility::Private).trash(Duration::from_secs(100), Time::from_secs(10));
        let shown = document(&answer(Some(trashed.unwrap().unwrap().image), &event(), NOW).await.unwrap());
        assert_eq!(shown["state"], "trashed");
        assert_eq!(shown["trashed_at"], "1970-01-01T00:00:10.000Z");
        assert_eq!(shown["purge_at"], "1970-01-01T00:01:50.000Z");
        assert_eq!(shown.get("variants"), None);
    }

    #[tokio::test]
    async fn who_waits_for_new_bytes_hears_when_to_ask_again() {
        let image = ready(Visibility::Private);
        let declared = image.declared.clone();
        let replacing = image.replace(UploadId::new(9.into()), declared, Time::from_secs(9)).unwrap().image;
        let response = answer(Some(replacing), &event(), NOW).await.unwrap();
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
        let shown = document(&response);
        assert_eq!((&shown["state"], &shown["replacing"]), (&json!("ready"), &json!(true)));
    }

    #[tokio::test]
    async fn another_projects_image_and_a_malformed_id_are_not_found() {
        let other = Image { project: ProjectId::new(7.into()), ..ready(Visibility::Public) };
        assert_eq!(answer(Some(other), &event(), NOW).await.unwrap_err().code(), "not-found");
        let mut event = event();
        event["pathParameters"]["image"] = json!("img_1");
        let problem = answer(Some(ready(Visibility::Public)), &event, NOW).await.unwrap_err();
        assert_eq!(problem.code(), "not-found");
    }

    #[tokio::test]
    async fn a_key_needs_the_scope() {
        let mut event = event();
        event["requestContext"]["authorizer"]["lambda"]["scopes"] = json!("images:write uploads:create");
        let problem = answer(Some(ready(Visibility::Public)), &event, NOW).await.unwrap_err();
        assert_eq!(problem.code(), "forbidden");
        event["requestContext"]["authorizer"]["lambda"]["scopes"] = json!("admin");
        assert!(answer(Some(ready(Visibility::Public)), &event, NOW).await.is_ok());
    }

    #[tokio::test]
    async fn an_outage_is_answered_without_its_cause() {
        let problem = answer(None, &event(), NOW).await.unwrap_err();
        let response = problem.into_response("request-1");
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(response.headers().contains_key(header::RETRY_AFTER));
        assert!(!document(&response).to_string().contains("table-7"));
    }
}

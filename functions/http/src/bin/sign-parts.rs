//! `GET /v1/images/{image}/uploads/{upload}/targets?parts=1,2`: where to send the parts of an upload, for as long as
//! it is awaited. A part that was lost is signed again.

use functions_http::parts::sign_parts as sign;
use lambda_http::http::{HeaderValue, StatusCode, header};
use lambda_http::{Body, Request, Response};
use serde::{Deserialize, Serialize};
use shared::domain::{Clock, ImageId, UploadId};
use shared::http::{Caller, FieldError, Problem, json, path_parameter, query};
use shared::media::{PartTarget, SignPart};
use shared::platform::{Environment, serve};
use shared::store::FindImage;
use utoipa::ToSchema;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// Numbers, separated by commas.
    parts: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({ "parts": [{
    "number": 1,
    "url": "https://uploads.s3.eu-west-1.amazonaws.com/...?partNumber=1&X-Amz-Signature=2f1e...",
    "headers": { "content-length": "8388608" },
    "expires_at": "2026-11-21T06:00:00.000Z",
}] })))]
struct Targets {
    parts: Vec<PartTarget>,
}

/// Sign parts
///
/// Where to `PUT` these parts of an upload that was created with the method `MULTIPART`. Each target is good for an hour;
/// a part can be signed and sent again as long as the upload is awaited. They come in their order, each once.
#[utoipa::path(
    get,
    path = "/v1/images/{image}/uploads/{upload}/targets",
    tag = "Uploads",
    security(("ApiKey" = ["uploads:create"]), ("IdToken" = ["uploads:create"]), ("UploadToken" = [])),
    params(
        ("image" = ImageId, Path, description = "The image."),
        ("upload" = UploadId, Path, description = "The upload."),
        ("parts" = String, Query, description = "Numbers of parts, separated by commas.", example = "1,2",
            pattern = "^[1-9][0-9]{0,3}(,[1-9][0-9]{0,3})*$"),
    ),
    responses(
        (status = 200, description = "Where to send them.", body = Targets),
        (status = 400),
        (status = 404),
        (status = 409, description = "The upload is not sent in parts."),
        (status = 410, description = "The upload is over."),
    )
)]
async fn sign_parts(
    images: &impl FindImage, uploads: &impl SignPart, clock: &impl Clock, request: Request,
) -> Result<Response<Body>, Problem> {
    let caller = Caller::from_request(&request)?.require_upload()?;
    let image = path_parameter(&request, "image", "image")?;
    let upload = path_parameter(&request, "upload", "upload")?;
    let parameters: Parameters = query(&request)?;
    let numbers: Result<Vec<u16>, _> =
        parameters.parts.split(',').map(|number| number.trim().parse()).collect();
    let numbers = numbers.map_err(|_| {
        let detail = "must be numbers of parts, separated by commas".to_owned();
        Problem::invalid_fields(vec![FieldError { pointer: "/parts".into(), detail }])
    })?;
    let parts = sign(images, uploads, clock, &caller, (image, upload), &numbers).await?;
    let mut response = json(StatusCode::OK, &Targets { parts })?;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let env = Environment::load()?;
    let (images, uploads, clock) = (env.store()?, env.media(), env.clock());
    let (images, uploads, clock) = (&images, &uploads, &clock);
    serve(move |request| sign_parts(images, uploads, clock, request)).await
}

#[cfg(test)]
#[path = "../fakes.rs"]
mod fakes;

#[cfg(test)]
mod tests {
    use super::fakes::{World, document, event_of, refusal, request};
    use super::*;

    async fn answer(world: &World, parts: &str) -> Result<Response<Body>, Problem> {
        let mut event = event_of(include_str!("../../../../events/sign-parts.json"), world);
        event["rawQueryString"] = parts.into();
        sign_parts(world, world, world, request(&event)).await
    }

    #[tokio::test]
    async fn each_part_that_is_asked_for_is_signed() {
        let world = World::in_parts();
        let response = answer(&world, "parts=1,3").await.unwrap();
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        let parts = &document(&response)["parts"];
        assert_eq!((&parts[0]["number"], &parts[1]["number"]), (&1.into(), &3.into()));
        assert_eq!(parts[1]["headers"]["content-length"], "1");
        assert_eq!(parts[1]["url"], "https://uploads.test/s3-1/3");
    }

    #[tokio::test]
    async fn a_part_that_is_named_a_thousand_times_is_signed_once() {
        let world = World::in_parts();
        let many = format!("parts=3{}", ",1".repeat(1000));
        let answered = document(&answer(&world, &many).await.unwrap());
        let numbers: Vec<_> =
            answered["parts"].as_array().unwrap().iter().map(|part| &part["number"]).collect();
        assert_eq!(numbers, [1, 3]);
    }

    #[tokio::test]
    async fn a_part_that_there_is_not_is_refused() {
        for parts in ["parts=0", "parts=4", "parts=65536", "parts=", "parts=1,,2", "", "parts=1&more=1"] {
            let problem = answer(&World::in_parts(), parts).await;
            assert_eq!(refusal(problem), (400, "invalid-request"), "{parts}");
        }
    }

    #[tokio::test]
    async fn nothing_is_signed_for_an_upload_that_is_over_or_not_ours() {
        assert_eq!(refusal(answer(&World::whole(), "parts=1").await), (409, "conflict"));
        assert_eq!(refusal(answer(&World::in_parts().failed(), "parts=1").await), (410, "gone"));
        assert_eq!(refusal(answer(&World::in_parts().of_another(), "parts=1").await), (404, "not-found"));
        assert_eq!(refusal(answer(&World::in_parts().of_a_user(), "parts=1").await), (404, "not-found"));
        let strange = World::in_parts().with_another_token();
        assert_eq!(refusal(answer(&strange, "parts=1").await), (404, "not-found"));
        assert!(answer(&World::in_parts().with_its_token(), "parts=1").await.is_ok());
        assert_eq!(refusal(answer(&World::in_parts().without_scope(), "parts=1").await), (403, "forbidden"));
    }
}

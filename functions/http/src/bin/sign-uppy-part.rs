//! `GET /s3/multipart/{upload}/{part}`, and `…/batch?partNumbers=1,2`: where Uppy sends a part, or several.

use functions_http::companion::{numbers, signed, signed_batch, upload_of};
use functions_http::parts::sign_parts;
use lambda_http::http::{HeaderValue, StatusCode, header};
use lambda_http::{Body, Request, Response};
use shared::domain::Clock;
use shared::http::{Caller, Problem, json};
use shared::media::SignPart;
use shared::platform::{Environment, serve};
use shared::store::FindImage;

async fn sign_uppy_part(
    images: &impl FindImage, uploads: &impl SignPart, clock: &impl Clock, request: Request,
) -> Result<Response<Body>, Problem> {
    let caller = Caller::from_request(&request)?.require_upload()?;
    let upload = upload_of(&request, &caller)?;
    let targets = sign_parts(images, uploads, clock, &caller, upload, &numbers(&request)?).await?;
    let answer = match targets.as_slice() {
        [target] if !request.uri().path().ends_with("/batch") => signed(target),
        targets => signed_batch(targets),
    };
    let mut response = json(StatusCode::OK, &answer)?;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let env = Environment::load()?;
    let (images, uploads, clock) = (env.store()?, env.media(), env.clock());
    let (images, uploads, clock) = (&images, &uploads, &clock);
    serve(move |request| sign_uppy_part(images, uploads, clock, request)).await
}

#[cfg(test)]
#[path = "../fakes.rs"]
mod fakes;

#[cfg(test)]
mod tests {
    use super::fakes::{World, document, event_of, refusal, request};
    use super::*;
    use serde_json::json;

    async fn answer(world: &World, part: &str) -> Result<Response<Body>, Problem> {
        let mut event = event_of(include_str!("../../../../events/sign-uppy-part.json"), world);
        if let Some(numbers) = part.strip_prefix("batch?") {
            event["pathParameters"].as_object_mut().unwrap().remove("part");
            event["rawPath"] = "/s3/multipart/upload/batch".into();
            let query = event["rawQueryString"].as_str().unwrap().to_owned();
            event["rawQueryString"] = format!("{query}&partNumbers={numbers}").into();
        } else {
            event["pathParameters"]["part"] = part.into();
        }
        sign_uppy_part(world, world, world, request(&event)).await
    }

    #[tokio::test]
    async fn a_part_is_signed_and_several_are() {
        let response = answer(&World::in_parts(), "2").await.unwrap();
        assert_eq!(document(&response), json!({ "url": "https://uploads.test/s3-1/2", "expires": 3600 }));
        let response = answer(&World::in_parts(), "batch?1,3").await.unwrap();
        let urls = json!({ "1": "https://uploads.test/s3-1/1", "3": "https://uploads.test/s3-1/3" });
        assert_eq!(document(&response), json!({ "presignedUrls": urls }));
    }

    #[tokio::test]
    async fn a_part_that_there_is_not_is_not_signed() {
        for (part, expected) in [
            ("0", (400, "invalid-request")),
            ("4", (400, "invalid-request")),
            ("x", (404, "not-found")),
            ("batch?1,x", (404, "not-found")),
        ] {
            assert_eq!(refusal(answer(&World::in_parts(), part).await), expected, "{part}");
        }
        assert_eq!(refusal(answer(&World::in_parts().of_another(), "1").await), (404, "not-found"));
        assert_eq!(refusal(answer(&World::in_parts().of_a_user(), "1").await), (404, "not-found"));
        assert_eq!(refusal(answer(&World::in_parts().without_scope(), "1").await), (403, "forbidden"));
    }

    #[tokio::test]
    async fn the_key_and_the_path_are_of_one_upload() {
        let world = World::in_parts();
        let mut event = event_of(include_str!("../../../../events/sign-uppy-part.json"), &world);
        event["pathParameters"]["part"] = "1".into();
        event["pathParameters"]["upload"] = "upl_01M5GZNY40J4Q2W8N5R7X3Z9BD".into();
        let answer = sign_uppy_part(&world, &world, &world, request(&event)).await;
        assert_eq!(refusal(answer), (404, "not-found"));
    }
}

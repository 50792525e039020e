//! `GET /s3/multipart/{upload}`: the parts that Uppy need not send again.

use functions_http::companion::{Listed, upload_of};
use functions_http::parts::list_parts;
use lambda_http::http::StatusCode;
use lambda_http::{Body, Request, Response};
use shared::http::{Caller, Problem, json};
use shared::media::ListParts;
use shared::platform::{Environment, serve};
use shared::store::FindImage;

async fn list_uppy_parts(
    images: &impl FindImage, uploads: &impl ListParts, request: Request,
) -> Result<Response<Body>, Problem> {
    let caller = Caller::from_request(&request)?.require_upload()?;
    let upload = upload_of(&request, &caller)?;
    let parts = list_parts(images, uploads, &caller, upload).await?;
    json(StatusCode::OK, &parts.into_iter().map(Listed::from).collect::<Vec<_>>())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let env = Environment::load()?;
    let (images, uploads) = (env.store()?, env.media());
    let (images, uploads) = (&images, &uploads);
    serve(move |request| list_uppy_parts(images, uploads, request)).await
}

#[cfg(test)]
#[path = "../fakes.rs"]
mod fakes;

#[cfg(test)]
mod tests {
    use super::fakes::{World, document, event_of, refusal, request};
    use super::*;
    use serde_json::json;

    async fn answer(world: &World) -> Result<Response<Body>, Problem> {
        let event = event_of(include_str!("../../../../events/list-uppy-parts.json"), world);
        list_uppy_parts(world, world, request(&event)).await
    }

    #[tokio::test]
    async fn parts_are_listed_as_s3_would() {
        let answered = document(&answer(&World::in_parts().with_parts(&[1])).await.unwrap());
        assert_eq!(answered, json!([{ "PartNumber": 1, "Size": 8 << 20, "ETag": "\"e1\"" }]));
    }

    #[tokio::test]
    async fn an_upload_that_is_over_or_not_ours_has_none() {
        assert_eq!(refusal(answer(&World::in_parts().given_up()).await), (410, "gone"));
        assert_eq!(refusal(answer(&World::in_parts().of_another()).await), (404, "not-found"));
        assert_eq!(refusal(answer(&World::in_parts().without_scope()).await), (403, "forbidden"));
    }
}

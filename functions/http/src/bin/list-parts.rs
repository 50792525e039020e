//! `GET /v1/images/{image}/uploads/{upload}/parts`: the parts of an upload that have arrived. A client that lost its
//! connection sends what is missing.

use functions_http::parts::list_parts as list;
use lambda_http::http::StatusCode;
use lambda_http::{Body, Request, Response};
use serde::Serialize;
use shared::domain::parts::Part;
use shared::domain::{ImageId, UploadId};
use shared::http::{Caller, Problem, json, path_parameter};
use shared::media::ListParts;
use shared::platform::{Environment, serve};
use shared::store::FindImage;
use utoipa::ToSchema;

#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({ "parts": [{ "number": 1, "etag": "9b2cf535f27731c974343645a3985328", "bytes": 8_388_608 }] })))]
struct Arrived {
    parts: Vec<Part>,
}

/// List parts
///
/// The parts that have arrived. After a lost connection, send the others.
#[utoipa::path(
    get,
    path = "/v1/images/{image}/uploads/{upload}/parts",
    tag = "Uploads",
    security(("ApiKey" = ["uploads:create"]), ("IdToken" = ["uploads:create"]), ("UploadToken" = [])),
    params(("image" = ImageId, Path, description = "The image."), ("upload" = UploadId, Path, description = "The upload.")),
    responses(
        (status = 200, description = "The parts, in their order.", body = Arrived),
        (status = 404),
        (status = 409, description = "The upload is not sent in parts."),
        (status = 410, description = "The upload is over."),
    )
)]
async fn list_parts(
    images: &impl FindImage, uploads: &impl ListParts, request: Request,
) -> Result<Response<Body>, Problem> {
    let caller = Caller::from_request(&request)?.require_upload()?;
    let image = path_parameter(&request, "image", "image")?;
    let upload = path_parameter(&request, "upload", "upload")?;
    let parts = list(images, uploads, &caller, (image, upload)).await?;
    json(StatusCode::OK, &Arrived { parts })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let env = Environment::load()?;
    let (images, uploads) = (env.store()?, env.media());
    let (images, uploads) = (&images, &uploads);
    serve(move |request| list_parts(images, uploads, request)).await
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
        let event = event_of(include_str!("../../../../events/list-parts.json"), world);
        list_parts(world, world, request(&event)).await
    }

    #[tokio::test]
    async fn what_has_arrived_is_listed() {
        let world = World::in_parts().with_parts(&[1, 3]);
        let part = |number: u16, bytes: u64| json!({ "number": number, "etag": format!("e{number}"), "bytes": bytes });
        let expected = json!({ "parts": [part(1, 8 << 20), part(3, 1)] });
        assert_eq!(document(&answer(&world).await.unwrap()), expected);
    }

    #[tokio::test]
    async fn an_upload_that_is_over_has_no_parts() {
        assert_eq!(refusal(answer(&World::in_parts().given_up()).await), (410, "gone"));
        assert_eq!(refusal(answer(&World::in_parts().failed()).await), (410, "gone"));
        assert_eq!(refusal(answer(&World::in_parts().of_another()).await), (404, "not-found"));
        assert_eq!(refusal(answer(&World::in_parts().without_scope()).await), (403, "forbidden"));
    }
}

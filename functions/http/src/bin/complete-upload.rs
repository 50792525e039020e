//! `POST /v1/images/{image}/uploads/{upload}/complete`: joins the parts of an upload. S3 then announces the object
//! like any other.
//!
//! An upload that is sent as a whole needs no such call: for one, this says whether its bytes have arrived.

use functions_http::parts::complete_upload as complete;
use lambda_http::http::StatusCode;
use lambda_http::{Body, Request, Response};
use serde::{Deserialize, Serialize};
use shared::domain::parts::SentPart;
use shared::domain::{Clock, Ids, ImageId, UploadId};
use shared::http::{Caller, IdempotencyKey, Problem, body, json, path_parameter};
use shared::media::{AbortParts, FindUpload, JoinParts, ListParts};
use shared::platform::{Environment, serve};
use shared::store::{CommitImage, FindImage, RecallAttempt, RecordAttempt};
use utoipa::ToSchema;

/// What a client says it has sent: nothing leaves the list to what is there.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({ "parts": [{ "number": 1, "etag": "9b2cf535f27731c974343645a3985328" }] })))]
struct Completion {
    parts: Option<Vec<SentPart>>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(examples(json!({
    "id": "upl_01M7Y7HNH0N7Q2T4W6Y8A1C3EG", "image": "img_01M7Y7HNH0M6P1S3V5X7Z9B2DF", "state": "pending",
})))]
struct Completed {
    id: UploadId,
    image: ImageId,
    #[schema(value_type = String)]
    state: &'static str,
}

/// Complete an upload
///
/// Puts the parts together: those that are named or, in an empty object, all that have arrived. To complete an upload
/// again is to have completed it. One that is sent as a whole needs no completing; the answer says whether it is there.
#[utoipa::path(
    post,
    path = "/v1/images/{image}/uploads/{upload}/complete",
    tag = "Uploads",
    security(("ApiKey" = ["uploads:create"]), ("IdToken" = ["uploads:create"]), ("UploadToken" = [])),
    params(
        ("image" = ImageId, Path, description = "The image."),
        ("upload" = UploadId, Path, description = "The upload."),
        IdempotencyKey,
    ),
    request_body = Completion,
    responses(
        (status = 202, description = "All bytes are there, and the image becomes ready by itself.", body = Completed),
        (status = 400),
        (status = 404),
        (status = 409, description = "Bytes are missing."),
        (status = 410, description = "The upload is over: aborted, or out of time."),
        (status = 413, description = "The parts are more than was announced, and deleted."),
        (status = 415),
        (status = 422),
    )
)]
async fn complete_upload(
    images: &(impl FindImage + CommitImage + RecallAttempt + RecordAttempt),
    uploads: &(impl FindUpload + ListParts + JoinParts + AbortParts), ids: &impl Ids, clock: &impl Clock,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let caller = Caller::from_request(&request)?.require_upload()?;
    let image = path_parameter(&request, "image", "image")?;
    let upload = path_parameter(&request, "upload", "upload")?;
    let completion: Completion =
        if request.body().is_empty() { Completion::default() } else { body(&request)? };
    let sent = completion.parts.as_deref();
    let image = complete(images, uploads, (ids, clock), &request, &caller, (image, upload), sent).await?;
    json(StatusCode::ACCEPTED, &Completed { id: upload, image: image.id, state: image.state.name() })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let env = Environment::load()?;
    let (images, uploads, random, clock) = (env.store()?, env.media(), env.random(), env.clock());
    let (images, uploads, random, clock) = (&images, &uploads, &random, &clock);
    serve(move |request| complete_upload(images, uploads, random, clock, request)).await
}

#[cfg(test)]
#[path = "../fakes.rs"]
mod fakes;

#[cfg(test)]
mod tests {
    use super::fakes::{World, document, event_of, refusal, request};
    use super::*;
    use serde_json::{Value, json};
    use shared::platform::SystemRandom;

    async fn answer(world: &World, body: Value) -> Result<Response<Body>, Problem> {
        let mut event = event_of(include_str!("../../../../events/complete-upload.json"), world);
        event["body"] = if body.is_null() { body } else { json!(body.to_string()) };
        complete_upload(world, world, &SystemRandom, world, request(&event)).await
    }

    fn named(numbers: &[u16]) -> Value {
        let part = |number: &u16| json!({ "number": number, "etag": format!("\"e{number}\"") });
        json!({ "parts": numbers.iter().map(part).collect::<Vec<_>>() })
    }

    #[tokio::test]
    async fn the_parts_are_joined_whether_they_are_named_or_not() {
        for body in [Value::Null, json!({}), named(&[1, 2, 3])] {
            let world = World::in_parts().with_parts(&[1, 2, 3]);
            let response = answer(&world, body).await.unwrap();
            assert_eq!(response.status(), 202);
            assert_eq!(document(&response)["state"], "pending");
            assert_eq!(*world.joined.lock().unwrap(), [1, 2, 3]);
        }
    }

    #[tokio::test]
    async fn what_does_not_make_up_the_upload_is_not_joined() {
        for (there, body, expected) in [
            (&[1, 3][..], json!({}), (409, "conflict")),
            (&[1, 2, 3], named(&[1, 3]), (409, "conflict")),
            (&[1, 2, 3], named(&[2, 1, 3]), (400, "invalid-request")),
            (&[1, 2, 3], json!({ "parts": [{ "number": 1 }] }), (400, "invalid-request")),
            (&[1, 2, 3], json!({ "upload_id": "s3" }), (400, "invalid-request")),
        ] {
            let world = World::in_parts().with_parts(there);
            assert_eq!(refusal(answer(&world, body).await), expected);
            assert!(world.joined.lock().unwrap().is_empty());
        }
    }

    #[tokio::test]
    async fn completing_twice_is_completing_once() {
        let world = World::in_parts().with_parts(&[1, 2, 3]);
        answer(&world, json!({})).await.unwrap();
        assert_eq!(answer(&world, json!({})).await.unwrap().status(), 202);
        let ready = World::in_parts().given_up().ready();
        assert_eq!(document(&answer(&ready, json!({})).await.unwrap())["state"], "ready");
    }

    #[tokio::test]
    async fn parts_that_went_into_the_object_meanwhile_are_not_missed() {
        let world = World::in_parts().with_parts(&[]).with_object();
        assert_eq!(answer(&world, json!({})).await.unwrap().status(), 202);
    }

    #[tokio::test]
    async fn an_upload_that_was_given_up_cannot_be_completed() {
        assert_eq!(refusal(answer(&World::in_parts().given_up(), json!({})).await), (409, "conflict"));
        assert_eq!(refusal(answer(&World::in_parts().failed(), json!({})).await), (410, "gone"));
        assert_eq!(refusal(answer(&World::in_parts().of_another(), json!({})).await), (404, "not-found"));
        assert_eq!(refusal(answer(&World::in_parts().without_scope(), json!({})).await), (403, "forbidden"));
    }

    #[tokio::test]
    async fn an_upload_that_was_sent_as_a_whole_has_arrived_or_not() {
        assert_eq!(refusal(answer(&World::whole(), Value::Null).await), (409, "conflict"));
        let world = World::whole().with_object();
        assert_eq!(answer(&world, Value::Null).await.unwrap().status(), 202);
    }

    #[tokio::test]
    async fn a_name_of_an_attempt_stands_for_one_request() {
        let world = World::in_parts().with_parts(&[1, 2, 3]).attempt("a");
        answer(&world, json!({})).await.unwrap();
        assert_eq!(answer(&world, json!({})).await.unwrap().status(), 202);
        let other = answer(&world, named(&[1, 2, 3])).await;
        assert_eq!(refusal(other), (422, "idempotency-mismatch"));
    }
}

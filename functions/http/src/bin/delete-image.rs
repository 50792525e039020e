//! `DELETE /v1/trash/{image}`: deletes an image for good, before its time in the trash is up: its bytes, its variants
//! and its rows. Nothing that is not in the trash can be lost by one request.
//!
//! The order is written here; `purge-image` carries it out. Once it is written there is no way back.

use lambda_http::{Body, Request, Response};
use shared::domain::image::Image;
use shared::domain::{Clock, EventId, Ids, ImageId, Scope};
use shared::http::{Caller, IfMatch, Problem, accepted, if_match, path_parameter};
use shared::platform::{Environment, serve};
use shared::store::{CommitImage, FindImage, edit_image};

/// Delete an image for good
///
/// Its bytes, its variants and all that is known of it, before its time in the trash is up. Only what is in the trash
/// can be deleted, and then there is no way back.
#[utoipa::path(
    delete,
    path = "/v1/trash/{image}",
    tag = "Images",
    security(("ApiKey" = ["images:write"]), ("IdToken" = ["images:write"])),
    params(("image" = ImageId, Path, description = "The image."), IfMatch),
    responses(
        (status = 202, description = "It is being deleted."),
        (status = 400),
        (status = 404),
        (status = 409),
        (status = 410),
        (status = 412),
    )
)]
async fn delete_image(
    images: &(impl FindImage + CommitImage), ids: &impl Ids, clock: &impl Clock, request: Request,
) -> Result<Response<Body>, Problem> {
    let caller = Caller::from_request(&request)?.require(Scope::WriteImages)?;
    let image = path_parameter(&request, "image", "image")?;
    let expected = if_match(&request)?;
    let (event, now) = (EventId::new(ids.ulid()), clock.now());
    let decide = |image: &Image| Ok(image.purge(now)?);
    edit_image(images, (&caller.access(), image), event, expected.as_deref(), decide).await?;
    Ok(accepted())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let env = Environment::load()?;
    let (images, random, clock) = (env.store()?, env.random(), env.clock());
    let (images, random, clock) = (&images, &random, &clock);
    serve(move |request| delete_image(images, random, clock, request)).await
}

#[cfg(test)]
#[path = "../fake_table.rs"]
mod fake_table;

#[cfg(test)]
mod tests {
    use super::fake_table::{At, Table, image_of};
    use super::*;
    use serde_json::{Value, json};
    use shared::domain::image::{Change, DueKind, Picture, State};
    use shared::domain::{EventKind, Time};
    use shared::platform::SystemRandom;

    fn event() -> Value {
        serde_json::from_str(include_str!("../../../../events/delete-image.json")).unwrap()
    }

    fn trashed() -> State {
        let trashed_at = Time::from_secs(9);
        State::Trashed { trashed_at, picture: Some(Picture::default()), failure: None }
    }

    fn table(state: State) -> Table {
        Table::with(image_of(&event(), state))
    }

    async fn answer(table: &Table, event: &Value) -> Result<Response<Body>, Problem> {
        let request = lambda_http::request::from_str(&event.to_string()).unwrap();
        delete_image(table, &SystemRandom, &At(Time::from_secs(50)), request).await
    }

    #[tokio::test]
    async fn the_order_is_given_once_and_a_timer_gives_it_again() {
        let table = table(trashed());
        let mut event = event();
        event["headers"].as_object_mut().unwrap().remove("if-match");
        assert_eq!(answer(&table, &event).await.unwrap().status(), 202);
        assert_eq!(answer(&table, &event).await.unwrap().status(), 202);
        let written = table.written.into_inner().unwrap();
        let [Change { image, event: Some(EventKind::Purging), .. }] = written.as_slice() else {
            panic!("one change with its event: {written:?}")
        };
        assert!(matches!(image.state, State::Purging { picture: Some(_) }));
        assert_eq!(image.due.map(|due| due.kind), Some(DueKind::Purge));
    }

    #[tokio::test]
    async fn nothing_that_is_not_in_the_trash_is_lost() {
        let ready = State::Ready { picture: Picture::default() };
        let mut stale = event();
        stale["headers"]["if-match"] = json!("\"7.0\"");
        let mut bert = event();
        bert["requestContext"]["authorizer"]["lambda"]["user"] = json!("bert");
        let mut scope = event();
        scope["requestContext"]["authorizer"]["lambda"]["scopes"] = json!("images:read");
        for (state, event, status, code) in [
            (ready, event(), 409, "conflict"),
            (State::Pending, event(), 409, "conflict"),
            (trashed(), stale, 412, "stale"),
            (trashed(), bert, 404, "not-found"),
            (trashed(), scope, 403, "forbidden"),
        ] {
            let table = table(state);
            let problem = answer(&table, &event).await.unwrap_err();
            assert_eq!((problem.status().as_u16(), problem.code()), (status, code));
            assert!(table.written.into_inner().unwrap().is_empty());
        }
    }
}

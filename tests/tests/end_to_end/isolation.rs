//! Projects know nothing of each other.

use end_to_end::{Reservation, Stack, pictures};
use serde_json::{Value, json};

#[tokio::test]
async fn another_projects_image_is_not_found_by_any_means() {
    let stack = Stack::shared().await;
    let stranger = stack.new_project().await;
    let image = stack.api.ready(&pictures::jpeg(&pictures::halves(200, 100)), "image/jpeg").await;
    let id = image["id"].as_str().unwrap();
    let path = format!("/v1/images/{id}");
    // Word for word what is said of an image that nobody has.
    let mut nobodys =
        stranger.get("/v1/images/img_01JZZZZZZZZZZZZZZZZZZZZZZZ").await.problem(404, "not-found");
    for mut theirs in [
        stranger.get(&path).await.problem(404, "not-found"),
        stranger.delete(&path).await.problem(404, "not-found"),
    ] {
        theirs["instance"] = Value::Null;
        nobodys["instance"] = Value::Null;
        assert_eq!(theirs, nobodys);
    }
    let page: Value = stranger.get("/v1/images").await.json();
    assert_eq!(page["images"], json!([]));
    assert_eq!(stack.api.image(id).await["state"], "ready");
}

#[tokio::test]
async fn a_signed_path_opens_nothing_in_another_project() {
    let stack = Stack::shared().await;
    let stranger = stack.new_project().await;
    let bytes = pictures::jpeg(&pictures::halves(200, 100));
    let mine = stack.api.ready(&bytes, "image/jpeg").await;
    let theirs = stranger.ready(&bytes, "image/jpeg").await;
    let path = |image: &Value| image["variants"][0]["path"].as_str().unwrap().to_owned();
    let (mine, theirs) = (path(&mine), path(&theirs));
    let (my_path, my_query) = mine.split_once('?').unwrap();
    let (their_path, _) = theirs.split_once('?').unwrap();
    stack.api.picture(&format!("{their_path}?{my_query}")).await.problem(403, "forbidden");
    // One's own signature, on one's own project's name, for another's image.
    let crossed = my_path.replace(&stack.api.project, &stranger.project);
    let answer = stack.api.picture(&format!("{crossed}?{my_query}")).await;
    answer.problem(404, "not-found");
}

#[tokio::test]
async fn an_upload_cannot_be_put_in_another_projects_place() {
    let stack = Stack::shared().await;
    let stranger = stack.new_project().await;
    let bytes = pictures::png(&pictures::disc(32));
    let new = json!({ "content_type": "image/png", "bytes": bytes.len() });
    let (mine, theirs) = tokio::join!(stack.api.reserve(&new), stranger.reserve(&new));
    for reservation in [&mine, &theirs] {
        stack.expect_pending(&reservation.image);
    }
    let mut crossed = mine.clone();
    crossed.fields.insert("key".into(), theirs.fields["key"].clone());
    stack.api.send(&crossed, &bytes).await.refused_by_s3(403, "AccessDenied");
    let swapped = Reservation { fields: theirs.fields.clone(), ..mine };
    // Their own form is theirs, wherever it comes from.
    assert_eq!(stack.api.send(&swapped, &bytes).await.status, 201);
    assert_eq!(stranger.settled(&theirs.image).await["state"], "ready");
}

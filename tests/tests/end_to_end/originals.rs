//! Bytes that several images share, and bytes that are replaced.

use end_to_end::{Stack, pictures, wait_until};
use serde_json::{Value, json};

async fn gone(stack: &Stack, image: &str) {
    wait_until(&format!("{image} to be gone"), async || {
        stack.root.image(image).await.is_none().then_some(())
    })
    .await;
}

async fn quota(stack: &Stack) -> Value {
    let rows = stack.root.rows().await;
    rows.into_iter().find(|row| row["type"] == "quota").unwrap_or_default()
}

#[tokio::test]
async fn the_same_bytes_are_stored_and_charged_once_and_stay_until_the_last_image_goes() {
    let stack = Stack::start(&["--parameter", "TrashDays=0"]).await;
    let bytes = pictures::jpeg(&pictures::halves(200, 100));
    let first = stack.api.ready(&bytes, "image/jpeg").await;
    let second = stack.api.ready(&bytes, "image/jpeg").await;
    let originals = stack.root.objects("OriginalsBucket").await;
    assert_eq!(originals.len(), 1, "{originals:?}");
    let held = quota(&stack).await;
    assert_eq!(
        (&held["stored"], &held["images"], &held["reserved"]),
        (&first["bytes"], &json!(2), &json!(0))
    );

    // The one that brought them goes first.
    for (image, left) in [(&first, 1), (&second, 0)] {
        let id = image["id"].as_str().unwrap();
        assert_eq!(stack.api.delete(&format!("/v1/images/{id}")).await.status, 204);
        assert_eq!(stack.root.sweep().await["settled"], 1);
        gone(&stack, id).await;
        assert_eq!(stack.root.objects("OriginalsBucket").await.len(), left);
        assert_eq!(quota(&stack).await["images"], left);
    }
    assert_eq!(quota(&stack).await["stored"], 0);
}

#[tokio::test]
async fn another_project_with_the_same_bytes_has_its_own() {
    let stack = Stack::start(&[]).await;
    let bytes = pictures::jpeg(&pictures::halves(200, 100));
    stack.api.ready(&bytes, "image/jpeg").await;
    stack.new_project().await.ready(&bytes, "image/jpeg").await;
    assert_eq!(stack.root.objects("OriginalsBucket").await.len(), 2);
}

#[tokio::test]
async fn images_that_bring_the_same_bytes_at_the_same_time_share_them() {
    let stack = Stack::start(&[]).await;
    let bytes = pictures::jpeg(&pictures::noise(300, 200));
    let api = &stack.api;
    let images = futures::future::join_all((0..6).map(|_| api.ready(&bytes, "image/jpeg"))).await;
    assert_eq!(stack.root.objects("OriginalsBucket").await.len(), 1);
    assert_eq!(quota(&stack).await["stored"], images[0]["bytes"]);
}

async fn replace(stack: &Stack, id: &str, bytes: &[u8], content_type: &str) -> u16 {
    let new = json!({ "content_type": content_type, "bytes": bytes.len(), "method": "PUT" });
    let answer = stack.api.post(&format!("/v1/images/{id}/uploads"), &new).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    stack.api.send(&answer.json(), bytes).await.status
}

#[tokio::test]
async fn replaced_bytes_are_served_until_the_new_ones_are_there_and_no_longer() {
    let stack = Stack::start(&[]).await;
    let old = stack.api.ready(&pictures::jpeg(&pictures::halves(200, 100)), "image/jpeg").await;
    let (id, old_path) = (old["id"].as_str().unwrap(), old["variants"][0]["path"].as_str().unwrap());
    let bytes = pictures::png(&pictures::disc(64));
    let new = json!({ "content_type": "image/png", "bytes": bytes.len(), "method": "PUT" });
    let reserved = stack.api.post(&format!("/v1/images/{id}/uploads"), &new).await;
    assert_eq!(stack.api.picture(old_path).await.status, 200);
    let again = stack.api.post(&format!("/v1/images/{id}/uploads"), &new).await;
    again.problem(409, "conflict");
    assert_eq!(stack.api.send(&reserved.json(), &bytes).await.status, 200);
    let replaced = wait_until("the new picture", async || {
        Some(stack.api.image(id).await).filter(|image| image["content_type"] == "image/png")
    })
    .await;
    stack.api.picture(old_path).await.problem(404, "not-found");
    let new_path = replaced["variants"][0]["path"].as_str().unwrap();
    assert_eq!(stack.api.picture(new_path).await.status, 200);
    assert_eq!((&replaced["width"], &replaced["state"]), (&json!(64), &json!("ready")));
    wait_until("the old bytes to be gone", async || {
        let upload = old_path.split('/').nth(4).unwrap();
        let left = stack.root.objects("VariantsBucket").await.iter().any(|key| key.contains(upload));
        (!left && stack.root.objects("OriginalsBucket").await.len() == 1).then_some(())
    })
    .await;
    let events = ["image.created", "image.ready", "image.replacing", "image.replaced"];
    assert_eq!(stack.root.events(id).await, events);
}

#[tokio::test]
async fn a_replacement_that_is_no_picture_leaves_the_old_one_and_says_why() {
    let stack = Stack::shared().await;
    let old = stack.api.ready(&pictures::jpeg(&pictures::halves(200, 100)), "image/jpeg").await;
    let id = old["id"].as_str().unwrap();
    assert_eq!(replace(&stack, id, b"Dear Sir or Madam", "image/jpeg").await, 200);
    let failed = wait_until("the failure", async || {
        Some(stack.api.image(id).await).filter(|image| image["replacement_failure"].is_object())
    })
    .await;
    assert_eq!((&failed["state"], &failed["sha256"]), (&json!("ready"), &old["sha256"]));
    assert_eq!(stack.api.picture(old["variants"][0]["path"].as_str().unwrap()).await.status, 200);
}

#[tokio::test]
async fn bytes_that_never_come_are_given_up_by_the_timer() {
    let stack = Stack::start(&[]).await;
    let old = stack.api.ready(&pictures::jpeg(&pictures::halves(200, 100)), "image/jpeg").await;
    let id = old["id"].as_str().unwrap();
    let new = json!({ "content_type": "image/png", "bytes": 99, "method": "PUT" });
    let reserved = stack.api.post(&format!("/v1/images/{id}/uploads"), &new).await;
    assert_eq!(reserved.status, 201);
    assert_eq!(quota(&stack).await["reserved"], 99);
    let mut row = stack.root.image(id).await.unwrap();
    row["replacement"]["due_at"] = json!("2020-01-01T00:00:00.000Z");
    stack.root.put_row(&row).await;
    stack.root.make_due(id).await;
    assert_eq!(stack.root.sweep().await["settled"], 1);
    assert_eq!(stack.api.image(id).await["replacement_failure"]["code"], "upload-missing");
    assert_eq!(quota(&stack).await["reserved"], 0);
}

//! Functions that are killed in the middle, and what the timer makes of what they leave.

use end_to_end::{Stack, pictures, wait_until};
use jiff::Timestamp;
use serde_json::{Value, json};

/// A picture that takes a while.
fn large() -> Vec<u8> {
    pictures::jpeg(&pictures::noise(2400, 1800))
}

/// Uploads a large picture, and waits until a worker has it.
async fn being_processed(stack: &Stack) -> String {
    let image = stack.api.upload(&large(), "image/jpeg").await;
    wait_until("a worker to take it", async || {
        let row = stack.root.image(&image).await.unwrap();
        assert!(row["state"] != "ready", "the picture is too small to be caught at it");
        (row["state"] == "processing").then_some(())
    })
    .await;
    image
}

#[tokio::test]
async fn a_worker_that_is_killed_is_replaced_when_its_lease_is_over() {
    let arguments = ["--set", "ProcessUpload.Timeout=12", "--set", "UploadsQueue.VisibilityTimeout=13"];
    let stack = Stack::start(&arguments).await;
    let image = being_processed(&stack).await;
    assert!(stack.root.kill("ProcessUpload").await);
    let killed = stack.root.image(&image).await.unwrap();
    assert_eq!(killed["state"], "processing");
    let until: Timestamp = killed["lease"]["until"].as_str().unwrap().parse().unwrap();

    // Whoever comes before is sent away: nobody knows yet that the worker is dead.
    stack.root.release("UploadsQueue").await;
    wait_until("another worker to be sent away", async || {
        stack.log().contains("another worker has the image").then_some(())
    })
    .await;
    assert!(Timestamp::now() < until, "the test was too slow to see it");
    assert_eq!(stack.root.image(&image).await.unwrap(), killed);

    // The message comes again by itself, when the lease is over.
    assert_eq!(stack.api.settled(&image).await["state"], "ready");
    let finished = stack.root.image(&image).await.unwrap();
    assert_eq!(finished["revision"], 3, "claimed, claimed again, ready");
    assert_eq!(stack.root.events(&image).await, ["image.created", "image.ready"]);
}

#[tokio::test]
async fn a_worker_that_never_comes_back_fails_the_image_until_another_does() {
    let stack = Stack::start(&[]).await;
    let image = being_processed(&stack).await;
    assert!(stack.root.kill("ProcessUpload").await);
    stack.root.make_due(&image).await;
    assert_eq!(stack.root.sweep().await["settled"], 1);
    let failed = stack.api.image(&image).await;
    assert_eq!(failed["failure"]["code"], "processing-interrupted", "{failed}");
    // The message is still there, and the bytes are.
    stack.root.release("UploadsQueue").await;
    wait_until("the picture", async || (stack.api.image(&image).await["state"] == "ready").then_some(()))
        .await;
    let events = ["image.created", "image.failed", "image.ready"];
    assert_eq!(stack.root.events(&image).await, events);
}

#[tokio::test]
async fn a_worker_that_runs_out_of_time_keeps_the_bytes_for_another() {
    // Five seconds are kept for writing down what came of it: there is no time to begin with.
    let once = "UploadsQueue.RedrivePolicy.maxReceiveCount=1";
    let stack = Stack::start(&["--set", "ProcessUpload.Timeout=5", "--set", once]).await;
    let image = stack.api.upload(&large(), "image/jpeg").await;
    wait_until("the upload among the dead letters", async || {
        if stack.log().contains("message will come again") {
            stack.root.release("UploadsQueue").await;
        }
        (stack.root.depth("UploadsDeadLetters").await == 1).then_some(())
    })
    .await;
    stack.expect_dead_letters(1);
    stack.expect_upload(&image);
    stack.root.make_due(&image).await;
    stack.root.sweep().await;
    let failed = stack.api.settled(&image).await;
    assert_eq!(failed["failure"]["code"], "processing-interrupted", "{failed}");
}

#[tokio::test]
async fn an_image_that_is_trashed_while_it_is_processed_stays_trashed() {
    let stack = Stack::start(&[]).await;
    let image = being_processed(&stack).await;
    let path = format!("/v1/images/{image}");
    assert_eq!(stack.api.delete(&path).await.status, 204);
    wait_until("the worker to end", async || (stack.root.depth("UploadsQueue").await == 0).then_some(()))
        .await;
    assert_eq!(stack.api.image(&image).await["state"], "trashed");
    assert_eq!(stack.root.events(&image).await, ["image.created", "image.trashed"]);
    // Purged with the rest, when its time comes and nobody can be working on it any more.
    stack.expect_upload(&image);
    stack.root.end_work(&image).await;
    stack.root.make_due(&image).await;
    stack.root.sweep().await;
    gone(&stack, &image).await;
}

// --- The timer

#[tokio::test]
async fn uploads_that_never_arrive_become_failed_images_however_many_look() {
    let stack = Stack::start(&[]).await;
    let mut images = vec![];
    for _ in 0..3 {
        let image = stack.api.reserve_put(b"never sent", "image/png").await.image;
        stack.root.make_due(&image).await;
        images.push(image);
    }
    let waiting = stack.api.reserve_put(b"not due", "image/png").await.image;
    stack.expect_pending(&waiting);

    let (one, other) = tokio::join!(stack.root.sweep(), stack.root.sweep());
    let settled = |swept: &Value| swept["settled"].as_u64().unwrap();
    assert_eq!(settled(&one) + settled(&other), 3, "{one} {other}");
    assert_eq!((&one["failed"], &other["failed"]), (&json!(0), &json!(0)));
    for image in &images {
        let failed = stack.api.image(image).await;
        assert_eq!(failed["failure"]["code"], "upload-missing", "{failed}");
        assert_eq!(stack.root.events(image).await, ["image.created", "image.failed"]);
    }
    assert_eq!(stack.api.image(&waiting).await["state"], "pending");
    assert_eq!(stack.root.sweep().await, json!({ "settled": 0, "left_over": 0, "failed": 0 }));
}

#[tokio::test]
async fn a_sweep_that_is_throttled_leaves_the_rest_to_the_next() {
    let stack = Stack::start(&[]).await;
    let image = stack.api.reserve_put(b"never sent", "image/png").await.image;
    stack.root.make_due(&image).await;
    stack.root.fault("dynamodb=throttle:100%").await;
    let answer = stack.root.invoke("Sweep", &json!({})).await;
    assert_eq!(answer.status, 502, "{}", answer.text());
    stack.root.fault("dynamodb=throttle:0%").await;
    assert_eq!(stack.root.sweep().await["settled"], 1);
    assert_eq!(stack.api.image(&image).await["state"], "failed");
}

// --- The trash

/// Waits until nothing is left of an image but its history.
async fn gone(stack: &Stack, image: &str) {
    wait_until(&format!("{image} to be gone"), async || {
        (stack.root.image(image).await.is_none()).then_some(())
    })
    .await;
    stack.api.get(&format!("/v1/images/{image}")).await.problem(404, "not-found");
    assert_eq!(stack.root.rows_of(image, "due").await, [Value::Null; 0]);
    for bucket in ["UploadsBucket", "OriginalsBucket", "VariantsBucket"] {
        assert_eq!(stack.root.objects_of(bucket, image).await, [""; 0], "{bucket}");
    }
}

#[tokio::test]
async fn the_trash_is_emptied_when_its_time_is_up() {
    let stack = Stack::start(&["--parameter", "TrashDays=0"]).await;
    let bytes = pictures::jpeg(&pictures::halves(200, 100));
    let image = stack.api.ready(&bytes, "image/jpeg").await;
    let kept = stack.api.ready(&pictures::jpeg(&pictures::halves(100, 100)), "image/jpeg").await;
    let id = image["id"].as_str().unwrap();
    assert_eq!(stack.api.delete(&format!("/v1/images/{id}")).await.status, 204);
    assert_eq!(stack.root.sweep().await["settled"], 1);
    gone(&stack, id).await;
    let events = ["image.created", "image.ready", "image.trashed", "image.purging", "image.purged"];
    assert_eq!(stack.root.events(id).await, events);
    let path = kept["variants"][0]["path"].as_str().unwrap();
    assert_eq!(stack.api.picture(path).await.status, 200);
}

#[tokio::test]
async fn a_purge_that_is_killed_is_done_again() {
    const ROWS: usize = 500;
    let stack = Stack::start(&["--parameter", "TrashDays=0"]).await;
    let bytes = pictures::jpeg(&pictures::halves(200, 100));
    let image = stack.api.ready(&bytes, "image/jpeg").await;
    let id = image["id"].as_str().unwrap();
    // So much belongs to this image that its purge takes a while.
    let key = stack.root.image(id).await.unwrap()["PK"].clone();
    for number in 0..ROWS {
        let row = json!({ "PK": key, "SK": format!("VARIANT#{number}"), "type": "variant", "image": id });
        stack.root.put_row(&row).await;
    }
    assert_eq!(stack.api.delete(&format!("/v1/images/{id}")).await.status, 204);
    assert_eq!(stack.root.sweep().await["settled"], 1);
    wait_until("the purge to be under way", async || {
        (stack.root.rows_of(id, "variant").await.len() < ROWS).then_some(())
    })
    .await;
    assert!(stack.root.kill("PurgeImage").await);
    wait_until("the killed invocation", async || {
        (stack.root.function("PurgeImage").await["errors"] == 1).then_some(())
    })
    .await;
    gone(&stack, id).await;
    assert_eq!(stack.root.rows_of(id, "variant").await, [Value::Null; 0]);
    let purged = stack.root.events(id).await.into_iter().filter(|event| event == "image.purged").count();
    assert_eq!(purged, 1);
}

#[tokio::test]
async fn a_purge_that_nobody_could_do_is_ordered_again() {
    // Without permission to delete, until a fresh stack has it; the order must outlive the attempts.
    let data = tempfile::TempDir::new().unwrap();
    let directory = data.path().display().to_string();
    let bytes = pictures::jpeg(&pictures::halves(200, 100));
    let first = Stack::start(&[
        "--data",
        &directory,
        "--parameter",
        "TrashDays=0",
        "--set",
        "PurgeImage.Policies=[]",
        "--set",
        "PurgeImage.Events.Purging.Properties.MaximumRetryAttempts=1",
    ])
    .await;
    let image = first.api.ready(&bytes, "image/jpeg").await;
    let id = image["id"].as_str().unwrap().to_owned();
    first.api.delete(&format!("/v1/images/{id}")).await;
    first.root.sweep().await;
    wait_until("the position of the order to be left", async || {
        (first.root.depth("PurgeFailures").await == 1).then_some(())
    })
    .await;
    assert_eq!(first.root.image(&id).await.unwrap()["state"], "purging");
    first.api.delete(&format!("/v1/images/{id}")).await.problem(410, "gone");
    assert!(first.end(rustix::process::Signal::TERM).success());

    let second = Stack::with_data(data.path()).await;
    second.expect_dead_letters(1);
    second.root.make_due(&id).await;
    assert_eq!(second.root.sweep().await["settled"], 1);
    gone(&second, &id).await;
}

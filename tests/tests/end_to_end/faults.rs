//! What goes wrong on the way: messages that come twice, late or for nobody, and services that fail.

use std::path::Path;

use end_to_end::{Stack, answer, pictures, wait_until};
use http::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

fn small() -> Vec<u8> {
    pictures::jpeg(&pictures::halves(200, 100))
}

/// Where the bytes of a reserved image go.
fn key(project: &str, reservation: &end_to_end::Reservation) -> String {
    format!("{project}/{}/{}", reservation.image, reservation.id)
}

/// No event of the bucket reaches the queue: the test sends them.
const EVENTS_HELD_BACK: [&str; 2] = ["--set", "UploadsBucket.NotificationConfiguration={}"];

async fn invocations(stack: &Stack) -> u64 {
    stack.root.function("ProcessUpload").await["invocations"].as_u64().unwrap()
}

async fn drained(stack: &Stack) {
    wait_until("the queue to be empty", async || (stack.root.depth("UploadsQueue").await == 0).then_some(()))
        .await;
}

#[tokio::test]
async fn an_event_that_comes_twice_is_worked_off_once() {
    let stack = Stack::start(&["--duplicate", "--reorder"]).await;
    let bytes = small();
    let mut images = vec![];
    for _ in 0..4 {
        images.push(stack.api.upload(&bytes, "image/jpeg").await);
    }
    for image in &images {
        assert_eq!(stack.api.settled(image).await["state"], "ready");
    }
    drained(&stack).await;
    // The bucket's test event at the start was doubled, too.
    assert_eq!(invocations(&stack).await, 2 * 5);
    for image in &images {
        assert_eq!(stack.root.events(image).await, ["image.created", "image.ready"]);
        assert_eq!(stack.root.image(image).await.unwrap()["revision"], 2);
    }
}

#[tokio::test]
async fn an_event_that_comes_again_when_all_is_done_changes_nothing() {
    let stack = Stack::shared().await;
    let bytes = small();
    let reservation = stack.api.reserve_put(&bytes, "image/jpeg").await;
    stack.api.send(&reservation, &bytes).await;
    stack.api.settled(&reservation.image).await;
    let before = stack.root.image(&reservation.image).await;
    stack.root.announce(&key(&stack.api.project, &reservation)).await;
    drained(&stack).await;
    assert_eq!(stack.root.image(&reservation.image).await, before);
}

#[tokio::test]
async fn two_events_at_the_same_time_make_one_picture() {
    let stack = Stack::start(&EVENTS_HELD_BACK).await;
    let bytes = pictures::jpeg(&pictures::noise(1200, 900));
    let reservation = stack.api.reserve_put(&bytes, "image/jpeg").await;
    stack.api.send(&reservation, &bytes).await;
    let key = key(&stack.api.project, &reservation);
    tokio::join!(stack.root.announce(&key), stack.root.announce(&key));
    let image = stack.api.settled(&reservation.image).await;
    assert_eq!(image["state"], "ready", "{image}");
    // Whoever came second was told to come again, or found that there was nothing left to do.
    stack.root.release("UploadsQueue").await;
    drained(&stack).await;
    assert_eq!(stack.root.events(&reservation.image).await, ["image.created", "image.ready"]);
}

#[tokio::test]
async fn an_event_that_comes_late_is_in_time() {
    let stack = Stack::start(&EVENTS_HELD_BACK).await;
    let bytes = small();
    let reservation = stack.api.reserve_put(&bytes, "image/jpeg").await;
    stack.api.send(&reservation, &bytes).await;
    // So late that the timer has given up on it.
    stack.root.make_due(&reservation.image).await;
    stack.root.sweep().await;
    let image = stack.api.image(&reservation.image).await;
    assert_eq!(image["failure"]["code"], "upload-missing", "{image}");
    stack.root.announce(&key(&stack.api.project, &reservation)).await;
    wait_until("the picture", async || {
        (stack.api.image(&reservation.image).await["state"] == "ready").then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_event_for_nobody_is_acknowledged() {
    let stack = Stack::shared().await;
    let reservation = stack.api.reserve_put(b"never sent", "image/png").await;
    stack.expect_pending(&reservation.image);
    let ours = key(&stack.api.project, &reservation);
    let (image, upload) = ("img_01JZZZZZZZZZZZZZZZZZZZZZZZ", "upl_01JZZZZZZZZZZZZZZZZZZZZZZZ");
    for key in [
        // Before its reservation is visible, or of an image that is gone.
        ours.replace(&reservation.image, image),
        // An upload that the image does not have.
        ours.replace(&reservation.id, upload),
        "somebody+else%27s.jpg".to_owned(),
        "..%2F..%2Fetc%2Fpasswd".to_owned(),
        String::new(),
    ] {
        stack.root.announce(&key).await;
    }
    drained(&stack).await;
    assert_eq!(stack.api.image(&reservation.image).await["state"], "pending");
}

#[tokio::test]
async fn an_event_for_bytes_that_are_gone_fails_the_image() {
    let stack = Stack::shared().await;
    let reservation = stack.api.reserve_put(b"never sent", "image/png").await;
    stack.root.announce(&key(&stack.api.project, &reservation)).await;
    let image = stack.api.settled(&reservation.image).await;
    assert_eq!(image["failure"]["code"], "upload-missing", "{image}");
}

#[tokio::test]
async fn a_poison_message_ends_among_the_dead_letters_and_the_rest_of_its_batch_does_not() {
    let batches = "ProcessUpload.Events.Uploads.Properties.BatchSize=5";
    let window = "ProcessUpload.Events.Uploads.Properties.MaximumBatchingWindowInSeconds=1";
    let patience = "UploadsQueue.RedrivePolicy.maxReceiveCount=2";
    let mut arguments = EVENTS_HELD_BACK.to_vec();
    arguments.extend(["--set", batches, "--set", window, "--set", patience]);
    let stack = Stack::start(&arguments).await;
    let bytes = small();
    let mut reservations = vec![];
    for _ in 0..2 {
        let reservation = stack.api.reserve_put(&bytes, "image/jpeg").await;
        stack.api.send(&reservation, &bytes).await;
        reservations.push(reservation);
    }
    stack.root.announce(&key(&stack.api.project, &reservations[0])).await;
    stack.root.send("UploadsQueue", "poison").await;
    stack.root.announce(&key(&stack.api.project, &reservations[1])).await;
    for reservation in &reservations {
        assert_eq!(stack.api.settled(&reservation.image).await["state"], "ready");
    }
    wait_until("the poison to be left", async || (stack.root.depth("UploadsQueue").await == 1).then_some(()))
        .await;
    assert_eq!(invocations(&stack).await, 1, "the three were one batch");
    wait_until("the poison among the dead letters", async || {
        stack.root.release("UploadsQueue").await;
        (stack.root.depth("UploadsDeadLetters").await == 1).then_some(())
    })
    .await;
    assert_eq!(stack.root.messages("UploadsDeadLetters").await[0]["body"], "poison");
    for reservation in &reservations {
        assert_eq!(stack.root.events(&reservation.image).await, ["image.created", "image.ready"]);
    }
    stack.expect_dead_letters(1);
}

#[tokio::test]
async fn a_dead_letter_can_be_given_back_and_is_worked_off() {
    let stack = Stack::start(&["--set", "UploadsQueue.RedrivePolicy.maxReceiveCount=1"]).await;
    let bytes = small();
    let reservation = stack.api.reserve_put(&bytes, "image/jpeg").await;
    stack.root.fault("dynamodb=throttle:100%").await;
    stack.api.send(&reservation, &bytes).await;
    wait_until("the upload among the dead letters", async || {
        let tried = stack.root.messages("UploadsQueue").await.iter().any(|m| m["received"] == 1);
        if tried && stack.log().contains("message will come again") {
            stack.root.release("UploadsQueue").await;
        }
        (stack.root.depth("UploadsDeadLetters").await == 1).then_some(())
    })
    .await;
    stack.root.fault("dynamodb=throttle:0%").await;
    assert_eq!(stack.api.image(&reservation.image).await["state"], "pending");
    stack.root.redrive("UploadsDeadLetters").await;
    assert_eq!(stack.api.settled(&reservation.image).await["state"], "ready");
}

#[tokio::test]
async fn while_the_table_is_throttled_nothing_is_lost_and_nothing_is_denied() {
    let stack = Stack::start(&[]).await;
    let bytes = small();
    let reservation = stack.api.reserve_put(&bytes, "image/jpeg").await;
    let path = format!("/v1/images/{}", reservation.image);
    let newcomer = stack.new_project().await;
    let ready = stack.api.ready(&bytes, "image/jpeg").await;
    let picture = ready["variants"][0]["path"].as_str().unwrap();

    stack.root.fault("dynamodb=throttle:100%").await;
    assert_eq!(stack.api.send(&reservation, &bytes).await.status, 200);
    // The key is known to the gateway, and the function says what is wrong.
    let (get, delete, shown, new) = tokio::join!(
        stack.api.get(&path),
        stack.api.delete(&path),
        stack.api.picture(picture),
        // Whose key is not known yet is not refused: an outage is no verdict.
        newcomer.get("/v1/images"),
    );
    for answer in [get, delete, shown] {
        answer.problem(503, "unavailable");
        assert_eq!(answer.header("retry-after"), "2");
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    assert_eq!(new.status, 500, "{}", new.text());
    wait_until("the message to be given back", async || {
        stack.log().contains("message will come again").then_some(())
    })
    .await;

    stack.root.fault("dynamodb=throttle:0%").await;
    assert_eq!(newcomer.get("/v1/images").await.status, 200);
    assert_eq!(stack.api.image(&reservation.image).await["state"], "pending");
    stack.root.release("UploadsQueue").await;
    assert_eq!(stack.api.settled(&reservation.image).await["state"], "ready");
}

#[tokio::test]
async fn a_table_that_is_throttled_now_and_then_goes_unnoticed() {
    let stack = Stack::start(&["--fault", "dynamodb=throttle:10%", "--seed", "7"]).await;
    let bytes = small();
    for _ in 0..5 {
        stack.api.ready(&bytes, "image/jpeg").await;
    }
    stack.root.fault("dynamodb=throttle:0%").await;
}

#[tokio::test]
async fn an_upload_waits_for_a_bucket_that_cannot_be_read() {
    let stack = Stack::start(&["--set", "UploadsBucket.NotificationConfiguration={}"]).await;
    let bytes = small();
    let reservation = stack.api.reserve_put(&bytes, "image/jpeg").await;
    stack.root.fault("s3=throttle:100%").await;
    stack.api.send(&reservation, &bytes).await.refused_by_s3(503, "SlowDown");
    stack.root.fault("s3=throttle:0%").await;
    assert_eq!(stack.api.send(&reservation, &bytes).await.status, 200);

    stack.root.fault("s3=error:100%").await;
    stack.root.announce(&key(&stack.api.project, &reservation)).await;
    wait_until("the message to be given back", async || {
        stack.log().contains("message will come again").then_some(())
    })
    .await;
    stack.root.fault("s3=error:0%").await;
    assert_eq!(stack.api.image(&reservation.image).await["state"], "processing");
    stack.root.expire_lease(&reservation.image).await;
    stack.root.release("UploadsQueue").await;
    assert_eq!(stack.api.settled(&reservation.image).await["state"], "ready");
}

#[tokio::test]
async fn an_upload_waits_for_a_bucket_that_cannot_be_written() {
    let data = TempDir::new().unwrap();
    let stack = Stack::with_data(data.path()).await;
    let bucket = data.path().join("objects").join(stack.root.name("OriginalsBucket"));
    let away = data.path().join("away");
    let rename = |from: &Path, to: &Path| std::fs::rename(from, to).unwrap();
    rename(&bucket, &away);
    let image = stack.api.upload(&small(), "image/jpeg").await;
    wait_until("the message to be given back", async || {
        stack.log().contains("message will come again").then_some(())
    })
    .await;
    assert_eq!(stack.api.image(&image).await["state"], "processing");
    rename(&away, &bucket);
    // The lease of the attempt that failed holds until it would have been over.
    stack.root.expire_lease(&image).await;
    stack.root.release("UploadsQueue").await;
    assert_eq!(stack.api.settled(&image).await["state"], "ready");
}

#[tokio::test]
async fn a_client_that_goes_away_in_the_middle_leaves_nothing() {
    use tokio::io::AsyncWriteExt as _;

    let stack = Stack::shared().await;
    let bytes = small();
    let reservation = stack.api.reserve_put(&bytes, "image/jpeg").await;
    let address = stack.ready().s3.strip_prefix("http://").unwrap();
    let path = reservation.url.strip_prefix(&stack.ready().s3).unwrap();
    let mut connection = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!(
        "PUT {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: image/jpeg\r\nif-none-match: *\r\n\
         content-length: {}\r\n\r\n",
        bytes.len()
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    connection.write_all(&bytes[..bytes.len() / 2]).await.unwrap();
    drop(connection);
    assert_eq!(stack.root.objects_of("UploadsBucket", &reservation.image).await, [""; 0]);
    // The same request is still good: nothing has been stored under its key.
    assert_eq!(stack.api.send(&reservation, &bytes).await.status, 200);
    assert_eq!(stack.api.settled(&reservation.image).await["state"], "ready");
}

#[tokio::test]
async fn a_conditional_read_during_a_fault_is_answered_as_a_fault() {
    let stack = Stack::start(&[]).await;
    let image = stack.api.ready(&small(), "image/jpeg").await;
    let path = format!("/v1/images/{}", image["id"].as_str().unwrap());
    let etag = stack.api.get(&path).await.header("etag").to_owned();
    stack.root.fault("dynamodb=error:100%").await;
    let request = stack.api.request(Method::GET, &path).header("if-none-match", &etag);
    let answer = answer(request).await;
    answer.problem(503, "unavailable");
    stack.root.fault("dynamodb=error:0%").await;
    let new: Value = json!({ "content_type": "image/png", "bytes": 0 });
    stack.api.post("/v1/uploads", &new).await.problem(400, "invalid-request");
}

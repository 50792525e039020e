//! The API: images found, listed and trashed.

use end_to_end::{Api, Stack, answer, pictures};
use http::Method;
use serde_json::{Value, json};

fn ids(page: &Value) -> Vec<String> {
    page["images"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

/// Reserves images that nobody ever sends.
async fn reserve(stack: &Stack, api: &Api, count: usize) -> Vec<String> {
    let mut images = vec![];
    for _ in 0..count {
        let image = api.reserve_put(b"never sent", "image/png").await.image;
        stack.expect_pending(&image);
        images.push(image);
    }
    images
}

#[tokio::test]
async fn a_list_goes_from_the_newest_to_the_oldest_over_several_pages() {
    let stack = Stack::shared().await;
    let api = stack.new_project().await;
    let mut reserved = reserve(&stack, &api, 7).await;
    // Within a millisecond ids are in no order, but these took longer than that.
    reserved.reverse();

    let mut found = vec![];
    let mut sizes = vec![];
    let mut path = "/v1/images?limit=3".to_owned();
    loop {
        let answer = api.get(&path).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("cache-control"), "private, no-cache");
        let page: Value = answer.json();
        sizes.push(ids(&page).len());
        found.extend(ids(&page));
        let Some(cursor) = page["next_cursor"].as_str() else {
            assert!(answer.header("link").ends_with("; rel=\"first\""), "{}", answer.header("link"));
            break;
        };
        path = format!("/v1/images?cursor={cursor}");
        assert!(answer.header("link").ends_with(&format!(", <{path}>; rel=\"next\"")));
    }
    assert_eq!(sizes, [3, 3, 1]);
    assert_eq!(found, reserved);
    let page: Value = api.get("/v1/images?limit=7").await.json();
    assert_eq!(page["next_cursor"], Value::Null, "a page that is just full is the last");
    assert_eq!(ids(&page).len(), 7);
}

#[tokio::test]
async fn images_that_come_and_go_between_pages_shift_nothing() {
    let stack = Stack::shared().await;
    let api = stack.new_project().await;
    let reserved = reserve(&stack, &api, 4).await;
    let first: Value = api.get("/v1/images?limit=2").await.json();
    let cursor = first["next_cursor"].as_str().unwrap();
    reserve(&stack, &api, 1).await;
    // The very image that the cursor stands on.
    assert_eq!(api.delete(&format!("/v1/images/{}", reserved[2])).await.status, 204);
    let second: Value = api.get(&format!("/v1/images?cursor={cursor}")).await.json();
    assert_eq!(ids(&second), [reserved[1].clone(), reserved[0].clone()]);
}

#[tokio::test]
async fn a_row_shows_a_picture_and_a_trashed_image_is_no_row() {
    let stack = Stack::shared().await;
    let api = stack.new_project().await;
    let image = api.ready(&pictures::jpeg(&pictures::halves(400, 200)), "image/jpeg").await;
    let page: Value = api.get("/v1/images").await.json();
    let row = &page["images"][0];
    for name in ["id", "state", "width", "height", "thumbhash", "dominant_color", "created_at"] {
        assert_eq!(row[name], image[name], "{name}");
    }
    let thumbnail = api.picture(row["thumbnail"].as_str().unwrap()).await;
    assert_eq!(thumbnail.status, 200, "{}", thumbnail.text());
    assert_eq!(image::load_from_memory(&thumbnail.body).unwrap().width(), 320);
    api.delete(&format!("/v1/images/{}", image["id"].as_str().unwrap())).await;
    let page: Value = api.get("/v1/images").await.json();
    assert_eq!(ids(&page), [""; 0]);
}

#[tokio::test]
async fn a_list_that_makes_no_sense_is_a_problem_that_says_where() {
    let stack = Stack::shared().await;
    let api = stack.new_project().await;
    let other = stack.new_project().await;
    reserve(&stack, &other, 2).await;
    let foreign: Value = other.get("/v1/images?limit=1").await.json();
    let foreign = foreign["next_cursor"].as_str().unwrap();
    let mut altered = foreign.to_owned();
    altered.replace_range(10..11, if &altered[10..11] == "A" { "B" } else { "A" });
    for (client, query, pointer) in [
        (&api, "cursor=%00", "/cursor"),
        (&api, "cursor=", "/cursor"),
        (&api, "cursor=bm90IGEgY3Vyc29y", "/cursor"),
        (&api, &*format!("cursor={foreign}"), "/cursor"),
        (&other, &*format!("cursor={altered}"), "/cursor"),
        (&other, &*format!("cursor={foreign}&limit=5"), "/limit"),
        (&api, "limit=0", "/limit"),
        (&api, "limit=101", "/limit"),
        (&api, "limit=many", "/limit"),
        (&api, "limit=-1", "/limit"),
    ] {
        let problem = client.get(&format!("/v1/images?{query}")).await.problem(400, "invalid-request");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{query}: {problem}");
    }
    let unknown = api.get("/v1/images?colour=red").await.problem(400, "invalid-request");
    assert!(unknown["detail"].as_str().unwrap().contains("colour"), "{unknown}");
}

#[tokio::test]
async fn who_waits_for_an_image_is_told_when_to_look_again_and_what_has_not_changed() {
    let stack = Stack::shared().await;
    let bytes = pictures::jpeg(&pictures::halves(200, 100));
    let reservation = stack.api.reserve_put(&bytes, "image/jpeg").await;
    let path = format!("/v1/images/{}", reservation.image);
    let pending = stack.api.get(&path).await;
    assert_eq!(pending.json::<Value>()["state"], "pending");
    assert_eq!(pending.header("retry-after"), "1");
    let get = |etag: &str| answer(stack.api.request(Method::GET, &path).header("if-none-match", etag));
    let same = get(pending.header("etag")).await;
    assert_eq!((same.status, same.body.len(), same.header("retry-after")), (304, 0, "1"));

    stack.api.send(&reservation, &bytes).await;
    stack.api.settled(&reservation.image).await;
    let ready = get(pending.header("etag")).await;
    assert_eq!(ready.status, 200, "{}", ready.text());
    assert_eq!(ready.header("retry-after"), "");
    assert_eq!(ready.header("cache-control"), "private, no-cache");
    assert_eq!(get(ready.header("etag")).await.status, 304);
}

#[tokio::test]
async fn trashing_minds_the_version_that_the_client_knows_and_can_be_repeated() {
    let stack = Stack::shared().await;
    let image = stack.api.ready(&pictures::jpeg(&pictures::halves(100, 50)), "image/jpeg").await;
    let id = image["id"].as_str().unwrap();
    let path = format!("/v1/images/{id}");
    let etag = stack.api.get(&path).await.header("etag").to_owned();
    let delete = |etag: &str| answer(stack.api.request(Method::DELETE, &path).header("if-match", etag));

    let stale = delete("\"7.0\"").await;
    stale.problem(412, "stale");
    assert!(etag.starts_with(stale.header("etag").trim_end_matches('"')), "{}", stale.header("etag"));
    delete("latest").await.problem(400, "invalid-request");
    assert_eq!(stack.api.image(id).await["state"], "ready");

    let trashed = delete(&etag).await;
    assert_eq!((trashed.status, trashed.body.len()), (204, 0), "{}", trashed.text());
    let again = stack.api.delete(&path).await;
    assert_eq!((again.status, again.header("etag")), (204, trashed.header("etag")));
    delete(&etag).await.problem(412, "stale");

    let now = stack.api.image(id).await;
    assert_eq!(now["state"], "trashed");
    let (trashed_at, purge_at) = (now["trashed_at"].as_str().unwrap(), now["purge_at"].as_str().unwrap());
    let days = purge_at.parse::<jiff::Timestamp>().unwrap().duration_since(trashed_at.parse().unwrap());
    assert_eq!(days.as_hours(), 30 * 24);
    assert_eq!(now.get("variants"), None);
    assert_eq!(stack.root.events(id).await, ["image.created", "image.ready", "image.trashed"]);
}

#[tokio::test]
async fn an_image_that_is_trashed_before_its_bytes_arrive_stays_trashed() {
    let stack = Stack::shared().await;
    let bytes = pictures::jpeg(&pictures::halves(100, 50));
    let reservation = stack.api.reserve_put(&bytes, "image/jpeg").await;
    assert_eq!(stack.api.delete(&format!("/v1/images/{}", reservation.image)).await.status, 204);
    // The presigned request outlives the image. What it leaves, the purge finds.
    assert_eq!(stack.api.send(&reservation, &bytes).await.status, 200);
    stack.expect_upload(&reservation.image);
    assert_eq!(stack.api.settled(&reservation.image).await["state"], "trashed");
}

#[tokio::test]
async fn what_is_not_offered_is_not_found() {
    let stack = Stack::shared().await;
    let image = stack.api.ready(&pictures::jpeg(&pictures::halves(100, 50)), "image/jpeg").await;
    let path = format!("/v1/images/{}", image["id"].as_str().unwrap());
    for (method, path) in [
        (Method::GET, format!("{path}/restore")),
        (Method::PUT, path.clone()),
        (Method::POST, path.clone()),
        (Method::GET, "/v1/uploads".to_owned()),
        (Method::GET, "/v1".to_owned()),
        (Method::GET, "/".to_owned()),
    ] {
        let answer = answer(stack.api.request(method, &path).body("{}")).await;
        assert_eq!((answer.status, &*answer.text()), (404, r#"{"message":"Not Found"}"#), "{path}");
    }
    for nobody in ["img_01JZZZZZZZZZZZZZZZZZZZZZZZ", "img_", "1", "..", "upl_01JZZZZZZZZZZZZZZZZZZZZZZZ"] {
        let answer = stack.api.get(&format!("/v1/images/{nobody}")).await;
        assert_eq!(answer.status, 404, "{nobody}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_key_may_do_what_its_scopes_say() {
    let stack = Stack::shared().await;
    let api = stack.new_project().await;
    let rows = stack.root.rows().await;
    let mut key = rows.into_iter().find(|r| r["type"] == "key" && r["project"] == *api.project).unwrap();
    key["scopes"] = json!(["images:read"]);
    stack.root.put_row(&key).await;
    assert_eq!(api.get("/v1/images").await.status, 200);
    let new = json!({ "content_type": "image/png", "bytes": 1 });
    let problem = api.post("/v1/uploads", &new).await.problem(403, "forbidden");
    assert!(problem["detail"].as_str().unwrap().contains("uploads:create"), "{problem}");
    let path = "/v1/images/img_01JZZZZZZZZZZZZZZZZZZZZZZZ";
    api.delete(path).await.problem(403, "forbidden");
}

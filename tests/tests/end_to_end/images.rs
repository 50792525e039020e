//! Images: edited, found, shown to others, restored and deleted for good.

use end_to_end::{Answer, Api, Stack, answer, pictures, wait_until};
use http::Method;
use serde_json::{Value, json};

async fn patch(api: &Api, image: &str, patch: &Value) -> Answer {
    let request = api.request(Method::PATCH, &format!("/v1/images/{image}")).body(patch.to_string());
    answer(request.header("content-type", "application/merge-patch+json")).await
}

async fn send(api: &Api, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
    let request = api.request(method, path);
    answer(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
}

fn ids(page: &Value) -> Vec<String> {
    page["images"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

/// The ids of all pages of a list, and how many each page had.
async fn all(api: &Api, query: &str) -> (Vec<String>, Vec<usize>) {
    let (mut found, mut sizes) = (vec![], vec![]);
    let mut path = format!("/v1/images?{query}");
    loop {
        let answer = api.get(&path).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let page: Value = answer.json();
        sizes.push(ids(&page).len());
        found.extend(ids(&page));
        let Some(cursor) = page["next_cursor"].as_str() else { return (found, sizes) };
        path = format!("/v1/images?cursor={cursor}");
    }
}

/// The tags of a project and their counts.
async fn tags(api: &Api) -> Value {
    let answer = api.get("/v1/tags").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json::<Value>()["tags"].take()
}

/// Reserves an image that nobody ever sends.
async fn reserve(stack: &Stack, api: &Api, more: &Value) -> String {
    let mut new = json!({ "content_type": "image/png", "bytes": 5 });
    new.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let image = api.reserve(&new).await.image;
    stack.expect_pending(&image);
    image
}

fn small() -> Vec<u8> {
    pictures::jpeg(&pictures::halves(200, 100))
}

#[tokio::test]
async fn an_edited_image_is_shown_listed_and_found_as_it_is_now() {
    let stack = Stack::shared().await;
    let api = stack.new_project().await;
    let image = api.ready(&small(), "image/jpeg").await;
    let id = image["id"].as_str().unwrap();
    let edit = json!({
        "title": "Harbour", "alt": "Boats at dawn", "tags": ["sea", "boats & more"],
        "focal_point": { "x": 0.5, "y": 0 }, "metadata": { "album": { "page": 3, "side": "left" } },
    });
    let edited = patch(&api, id, &edit).await;
    assert_eq!(edited.status, 200, "{}", edited.text());
    let shown: Value = edited.json();
    assert_eq!((&shown["title"], &shown["tags"]), (&json!("Harbour"), &json!(["boats & more", "sea"])));
    assert_eq!(edited.header("etag"), api.get(&format!("/v1/images/{id}")).await.header("etag"));
    let again = json!({ "alt": null, "metadata": { "album": { "side": null }, "new": [1] } });
    let shown: Value = patch(&api, id, &again).await.json();
    assert_eq!(shown.get("alt"), None);
    assert_eq!(shown["metadata"], json!({ "album": { "page": 3 }, "new": [1] }));
    assert_eq!(shown["focal_point"], json!({ "x": 0.5, "y": 0.0 }));

    let row: Value = api.get("/v1/images?tag=boats%20%26%20more").await.json();
    assert_eq!(row["images"][0]["title"], "Harbour");
    let counts = json!([{ "tag": "boats & more", "images": 1 }, { "tag": "sea", "images": 1 }]);
    assert_eq!(tags(&api).await, counts);
    patch(&api, id, &json!({ "tags": ["sea"] })).await;
    assert_eq!(all(&api, "tag=boats%20%26%20more").await.0, [""; 0]);
    assert_eq!(tags(&api).await, json!([{ "tag": "sea", "images": 1 }]));
}

#[tokio::test]
async fn of_writers_who_know_the_same_version_exactly_one_wins() {
    let stack = Stack::shared().await;
    let image = stack.api.ready(&small(), "image/jpeg").await;
    let path = format!("/v1/images/{}", image["id"].as_str().unwrap());
    let etag = stack.api.get(&path).await.header("etag").to_owned();
    let write = |n: usize| {
        let request = stack.api.request(Method::PATCH, &path).header("if-match", &etag);
        answer(request.json(&json!({ "title": format!("Writer {n}") })))
    };
    let answers = futures::future::join_all((0..8).map(write)).await;
    let won: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 200).collect();
    let [won] = won.as_slice() else { panic!("{} won", won.len()) };
    for lost in answers.iter().filter(|answer| answer.status != 200) {
        lost.problem(412, "stale");
        assert!(won.header("etag").starts_with(lost.header("etag").trim_end_matches('"')));
    }
    let title = won.json::<Value>()["title"].clone();
    assert_eq!(stack.api.get(&path).await.json::<Value>()["title"], title);
}

#[tokio::test]
async fn an_edit_that_is_sent_twice_takes_effect_once() {
    let stack = Stack::shared().await;
    let image = stack.api.ready(&small(), "image/jpeg").await;
    let path = format!("/v1/images/{}", image["id"].as_str().unwrap());
    let key = format!("edit-{}", image["id"].as_str().unwrap());
    let write = |title: &str| {
        let request = stack.api.request(Method::PATCH, &path).header("idempotency-key", &key);
        answer(request.json(&json!({ "title": title })))
    };
    let answers = futures::future::join_all((0..10).map(|_| write("Once"))).await;
    for answer in &answers {
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json::<Value>()["version"], 2);
    }
    write("Twice").await.problem(422, "idempotency-mismatch");
    let events = stack.root.events(image["id"].as_str().unwrap()).await;
    assert_eq!(events, ["image.created", "image.ready", "image.updated"]);
}

#[tokio::test]
async fn an_image_that_is_hidden_is_hidden_at_once_and_its_variants_leave_the_public_folder() {
    let stack = Stack::shared().await;
    let api = &stack.api;
    let new = json!({ "content_type": "image/jpeg", "bytes": small().len(), "method": "PUT", "visibility": "public" });
    let reservation = api.reserve(&new).await;
    api.send(&reservation, &small()).await;
    let image = api.settled(&reservation.image).await;
    let id = reservation.image.as_str();
    let plain = image["variants"][0]["path"].as_str().unwrap().to_owned();
    assert_eq!(api.picture(&plain).await.status, 200);

    for (visibility, folder) in [("private", "private/"), ("public", "public/")] {
        let edited: Value = patch(api, id, &json!({ "visibility": visibility })).await.json();
        let path = edited["variants"][0]["path"].as_str().unwrap();
        assert_eq!(path.contains("sig="), visibility == "private");
        let unsigned = api.picture(&plain).await;
        assert_eq!(unsigned.status, if visibility == "private" { 403 } else { 200 });
        wait_until("variants to be moved", async || {
            let picture = api.picture(path).await;
            assert_eq!(picture.status, 200, "found on either side: {}", picture.text());
            let objects = stack.root.objects_of("VariantsBucket", id).await;
            let settled = stack.root.image(id).await.unwrap()["moving"] != true;
            (settled && objects.iter().all(|key| key.starts_with(folder))).then_some(())
        })
        .await;
        assert_eq!(
            stack.root.objects_of("VariantsBucket", id).await.len(),
            image["variants"].as_array().unwrap().len()
        );
    }
}

#[tokio::test]
async fn an_image_that_is_shown_and_hidden_in_turns_loses_no_variant() {
    let stack = Stack::shared().await;
    let image = stack.api.ready(&small(), "image/jpeg").await;
    let id = image["id"].as_str().unwrap();
    for visibility in ["public", "private", "public", "private", "public", "private", "public"] {
        assert_eq!(patch(&stack.api, id, &json!({ "visibility": visibility })).await.status, 200);
    }
    wait_until("variants to be moved", async || {
        (stack.root.image(id).await.unwrap()["moving"] != true).then_some(())
    })
    .await;
    let objects = stack.root.objects_of("VariantsBucket", id).await;
    assert_eq!(objects.len(), image["variants"].as_array().unwrap().len());
    for variant in stack.api.image(id).await["variants"].as_array().unwrap() {
        assert_eq!(stack.api.picture(variant["path"].as_str().unwrap()).await.status, 200);
    }
}

/// A worker stores variants where it saw that they belong when it took the upload.
#[tokio::test]
async fn an_image_that_is_hidden_while_it_is_processed_leaves_nothing_public() {
    let stack = Stack::shared().await;
    let bytes = pictures::jpeg(&pictures::halves(1600, 1200));
    let new = json!({ "content_type": "image/jpeg", "bytes": bytes.len(), "method": "PUT", "visibility": "public" });
    let reservation = stack.api.reserve(&new).await;
    stack.api.send(&reservation, &bytes).await;
    let id = reservation.image.as_str();
    wait_until("a worker to have it", async || {
        let state = stack.api.image(id).await["state"].clone();
        matches!(state.as_str(), Some("processing" | "ready")).then_some(())
    })
    .await;
    assert_eq!(patch(&stack.api, id, &json!({ "visibility": "private" })).await.status, 200);
    assert_eq!(stack.api.settled(id).await["state"], "ready");
    wait_until("variants to be moved", async || {
        let objects = stack.root.objects_of("VariantsBucket", id).await;
        let settled = stack.root.image(id).await.unwrap()["moving"] != true;
        (settled && objects.iter().all(|key| key.starts_with("private/"))).then_some(())
    })
    .await;
}

#[tokio::test]
async fn tags_and_their_counts_follow_an_image_through_the_trash_and_out_of_this_world() {
    let stack = Stack::shared().await;
    let api = stack.new_project().await;
    let image = api.ready(&small(), "image/jpeg").await;
    let id = image["id"].as_str().unwrap();
    let path = format!("/v1/images/{id}");
    patch(&api, id, &json!({ "tags": ["sea"] })).await;
    let one = json!([{ "tag": "sea", "images": 1 }]);
    assert_eq!(tags(&api).await, one);

    send(&api, Method::DELETE, &format!("/v1/trash/{id}"), &[]).await.problem(409, "conflict");
    assert_eq!(api.delete(&path).await.status, 204);
    assert_eq!((tags(&api).await, all(&api, "tag=sea").await.0), (json!([]), vec![]));
    assert_eq!(all(&api, "state=trashed").await.0, [id]);
    // What is in the trash can be said something of, too.
    assert_eq!(patch(&api, id, &json!({ "tags": ["sea", "sky"] })).await.status, 200);
    assert_eq!(tags(&api).await, json!([]));

    let restored = send(&api, Method::POST, &format!("{path}/restore"), &[]).await;
    assert_eq!((restored.status, &restored.json::<Value>()["state"]), (200, &json!("ready")));
    let both = json!([{ "tag": "sea", "images": 1 }, { "tag": "sky", "images": 1 }]);
    assert_eq!((tags(&api).await, all(&api, "tag=sky").await.0), (both, vec![id.to_owned()]));
    assert_eq!(all(&api, "state=trashed").await.0, [""; 0]);
    let thumbnail = api.picture(restored.json::<Value>()["variants"][0]["path"].as_str().unwrap()).await;
    assert_eq!(thumbnail.status, 200);

    assert_eq!(api.delete(&path).await.status, 204);
    let deleted = send(&api, Method::DELETE, &format!("/v1/trash/{id}"), &[]).await;
    assert_eq!((deleted.status, deleted.body.len()), (202, 0));
    wait_until("the image to be gone", async || (api.get(&path).await.status == 404).then_some(())).await;
    assert_eq!((tags(&api).await, all(&api, "tag=sea").await.0), (json!([]), vec![]));
    for bucket in ["OriginalsBucket", "VariantsBucket", "UploadsBucket"] {
        assert_eq!(stack.root.objects_of(bucket, id).await, [""; 0]);
    }
    send(&api, Method::POST, &format!("{path}/restore"), &[]).await.problem(404, "not-found");
    send(&api, Method::DELETE, &format!("/v1/trash/{id}"), &[]).await.problem(404, "not-found");
}

#[tokio::test]
async fn counts_are_right_when_many_tag_at_once() {
    let stack = Stack::shared().await;
    let api = stack.new_project().await;
    let mut images = vec![];
    for _ in 0..4 {
        images.push(reserve(&stack, &api, &json!({ "tags": ["sea"] })).await);
    }
    let edit = |n: usize| {
        let (api, image) = (&api, &images[n % 4]);
        async move {
            wait_until("an edit to be heard", async || {
                let edited = patch(api, image, &json!({ "tags": ["sea", format!("t{}", n % 3)] })).await;
                (edited.status == 200).then_some(())
            })
            .await;
        }
    };
    futures::future::join_all((0..24).map(edit)).await;
    let mut expected = std::collections::BTreeMap::new();
    for image in &images {
        for tag in api.image(image).await["tags"].as_array().unwrap() {
            *expected.entry(tag.as_str().unwrap().to_owned()).or_insert(0) += 1;
        }
    }
    let expected: Vec<Value> =
        expected.iter().map(|(tag, images)| json!({ "tag": tag, "images": images })).collect();
    assert_eq!(tags(&api).await, json!(expected));
}

#[tokio::test]
async fn pages_of_images_of_one_instant_lose_none_and_show_none_twice() {
    let stack = Stack::shared().await;
    let api = stack.new_project().await;
    let new = json!({ "tags": ["burst"], "owner": "anna" });
    let mut reserved: Vec<String> =
        futures::future::join_all((0..10).map(|_| reserve(&stack, &api, &new))).await;
    reserved.sort();
    for filter in ["", "tag=burst&", "owner=anna&", "state=pending&"] {
        let (oldest, sizes) = all(&api, &format!("{filter}order=oldest&limit=3")).await;
        assert_eq!((&oldest, sizes), (&reserved, vec![3, 3, 3, 1]), "{filter}");
        let (mut newest, _) = all(&api, &format!("{filter}limit=4")).await;
        newest.reverse();
        assert_eq!(newest, reserved, "{filter}");
    }
    assert_eq!(all(&api, "owner=bert").await.0, [""; 0]);
    for image in &reserved {
        api.delete(&format!("/v1/images/{image}")).await;
    }
    let (mut trashed, sizes) = all(&api, "state=trashed&order=oldest&limit=3").await;
    trashed.sort();
    assert_eq!((trashed, sizes), (reserved, vec![3, 3, 3, 1]));
}

#[tokio::test]
async fn a_range_of_time_has_exactly_what_was_made_in_it() {
    let stack = Stack::shared().await;
    let api = stack.new_project().await;
    let mut made = vec![];
    for _ in 0..4 {
        let image = reserve(&stack, &api, &json!({ "tags": ["sea"] })).await;
        let at = api.image(&image).await["created_at"].as_str().unwrap().to_owned();
        made.push((image, at));
    }
    made.sort();
    let [(_, _), (b, from), (c, _), (_, until)] = made.as_slice() else { panic!("four images") };
    for filter in ["", "tag=sea&", "state=pending&"] {
        let query = format!("{filter}order=oldest&created_after={from}&created_before={until}");
        let expected: Vec<_> = [b, c].into_iter().filter(|_| from < until).cloned().collect();
        assert_eq!(all(&api, &query).await.0, expected, "{query}");
        assert_eq!(all(&api, &format!("{query}&limit=1")).await.0, expected);
        assert_eq!(all(&api, &format!("{filter}created_before={from}")).await.0, [made[0].0.clone()]);
        assert_eq!(all(&api, &format!("{filter}created_after={until}")).await.0, [made[3].0.clone()]);
    }
}

#[tokio::test]
async fn a_cursor_is_good_for_its_own_list_alone() {
    let stack = Stack::shared().await;
    let api = stack.new_project().await;
    for tag in ["a", "b"] {
        reserve(&stack, &api, &json!({ "tags": [tag] })).await;
    }
    let cursor = |page: Value| page["next_cursor"].as_str().unwrap().to_owned();
    let images = cursor(api.get("/v1/images?limit=1").await.json());
    let tags = cursor(api.get("/v1/tags?limit=1").await.json());
    for path in [
        format!("/v1/images?cursor={tags}"),
        format!("/v1/tags?cursor={images}"),
        format!("/v1/images?cursor={images}&tag=a"),
        format!("/v1/tags?cursor={tags}&prefix=a"),
    ] {
        api.get(&path).await.problem(400, "invalid-request");
    }
    let rest: Value = api.get(&format!("/v1/tags?cursor={tags}")).await.json();
    assert_eq!(rest["tags"], json!([{ "tag": "b", "images": 1 }]));
}

#[tokio::test]
async fn another_projects_image_is_not_found_whatever_is_to_become_of_it() {
    let stack = Stack::shared().await;
    let stranger = stack.new_project().await;
    let image = stack.api.ready(&small(), "image/jpeg").await;
    let id = image["id"].as_str().unwrap();
    patch(&stranger, id, &json!({ "title": "Mine" })).await.problem(404, "not-found");
    for (method, path) in
        [(Method::POST, format!("/v1/images/{id}/restore")), (Method::DELETE, format!("/v1/trash/{id}"))]
    {
        send(&stranger, method, &path, &[]).await.problem(404, "not-found");
    }
    assert_eq!(stack.root.events(id).await, ["image.created", "image.ready"]);
}

#[tokio::test]
async fn who_restores_an_image_twice_does_not_undo_what_came_after() {
    let stack = Stack::shared().await;
    let image = stack.api.ready(&small(), "image/jpeg").await;
    let id = image["id"].as_str().unwrap();
    let (path, restore) = (format!("/v1/images/{id}"), format!("/v1/images/{id}/restore"));
    stack.api.delete(&path).await;
    let key = format!("restore-{id}");
    let headers = [("idempotency-key", key.as_str())];
    let restored: Value = send(&stack.api, Method::POST, &restore, &headers).await.json();
    assert_eq!(restored["state"], "ready");
    stack.api.delete(&path).await;
    let again: Value = send(&stack.api, Method::POST, &restore, &headers).await.json();
    assert_eq!(again["state"], "trashed");
    assert_eq!(stack.api.image(id).await["state"], "trashed");
}

#[tokio::test]
async fn an_image_that_is_processed_again_has_new_variants_of_the_same_picture() {
    // A stack of its own: what others are working on must not be given out a second time, below.
    let stack = Stack::start(&[]).await;
    let api = &stack.api;
    let image = api.ready(&small(), "image/jpeg").await;
    let id = image["id"].as_str().unwrap();
    let old = image["variants"][0]["path"].as_str().unwrap().to_owned();
    let process = format!("/v1/images/{id}/process");
    let key = format!("process-{id}");
    let headers = [("idempotency-key", key.as_str())];
    let begun = send(api, Method::POST, &process, &headers).await;
    assert_eq!((begun.status, &begun.json::<Value>()["replacing"]), (202, &json!(true)), "{}", begun.text());
    assert_eq!(send(api, Method::POST, &process, &headers).await.status, 202, "sent again");
    let now = wait_until("the new variants", async || {
        let now = api.image(id).await;
        (now.get("replacing").is_none()).then_some(now)
    })
    .await;
    for name in ["id", "sha256", "width", "height", "thumbhash", "bytes", "content_type", "state"] {
        assert_eq!(now[name], image[name], "{name}");
    }
    assert_eq!(now.get("replacement_failure"), None, "{now}");
    let new = now["variants"][0]["path"].as_str().unwrap();
    let (of_old, of_new) = (api.picture(&old).await, api.picture(new).await);
    assert_eq!((of_old.status, of_new.status), (404, 200), "one picture for ever under a path");
    let events = stack.root.events(id).await;
    assert_eq!(events, ["image.created", "image.ready", "image.replacing", "image.replaced"]);
    // The bytes were announced twice: who came while another worker had the image need not wait any longer.
    wait_until("an empty queue", async || {
        stack.root.release("UploadsQueue").await;
        (stack.root.depth("UploadsQueue").await == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_upload_that_was_cut_short_and_is_gone_cannot_be_processed_again() {
    let stack = Stack::start(&[]).await;
    let bytes = pictures::png(&pictures::disc(8));
    let image = stack.api.reserve_put(&bytes, "image/png").await.image;
    stack.root.make_due(&image).await;
    stack.root.sweep().await;
    assert_eq!(stack.api.image(&image).await["state"], "failed");
    let process = format!("/v1/images/{image}/process");
    send(&stack.api, Method::POST, &process, &[]).await.problem(410, "gone");
    // Bytes that come after all, while nobody listens for them.
    let key = format!(
        "{}/{image}/{}",
        stack.api.project,
        stack.root.image(&image).await.unwrap()["upload"].as_str().unwrap()
    );
    stack.root.put_object("UploadsBucket", &key, bytes).await;
    wait_until("the picture", async || (stack.api.image(&image).await["state"] == "ready").then_some(()))
        .await;
}

#[tokio::test]
async fn many_images_are_changed_by_one_request_with_a_result_for_each() {
    let stack = Stack::shared().await;
    let api = stack.new_project().await;
    let stranger = stack.new_project().await;
    let theirs = reserve(&stack, &stranger, &json!({})).await;
    let mut images = vec![];
    for _ in 0..3 {
        images.push(reserve(&stack, &api, &json!({ "tags": ["draft"] })).await);
    }
    let all: Vec<&str> = images.iter().map(String::as_str).chain([theirs.as_str()]).collect();
    let bulk = async |body: Value| -> Vec<Value> {
        let answer = api.post("/v1/images/bulk", &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json::<Value>()["results"].as_array().unwrap().clone()
    };
    let results = bulk(json!({ "images": all, "action": "tag", "add": ["sea"], "remove": ["draft"] })).await;
    let statuses: Vec<_> = results.iter().map(|result| result["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [200, 200, 200, 404]);
    assert_eq!(tags(&api).await, json!([{ "tag": "sea", "images": 3 }]));

    let trash = json!({ "images": &all[..2], "action": "trash" });
    let request = |body: &Value| {
        let request = api.request(Method::POST, "/v1/images/bulk").header("idempotency-key", "bulk-1");
        answer(request.json(body))
    };
    let answers = futures::future::join_all((0..8).map(|_| request(&trash))).await;
    let worked: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert!(!worked.is_empty());
    for answer in &answers {
        match answer.status {
            200 => assert_eq!(answer.text(), worked[0].text()),
            _ => drop(answer.problem(409, "conflict")),
        }
    }
    assert_eq!(tags(&api).await, json!([{ "tag": "sea", "images": 1 }]));
    bulk(json!({ "images": &all[..2], "action": "restore" })).await;
    assert_eq!(request(&trash).await.text(), worked[0].text(), "answered again, and not done again");
    assert_eq!(tags(&api).await, json!([{ "tag": "sea", "images": 3 }]));
    request(&json!({ "images": all, "action": "trash" })).await.problem(422, "idempotency-mismatch");
    assert_eq!(stranger.image(&theirs).await["state"], "pending");
}

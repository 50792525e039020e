//! Pictures as browsers get them: who may see what, for how long, and in which format.

use end_to_end::{Api, Stack, answer, pictures};
use http::Method;
use serde_json::{Value, json};

/// Uploads a picture that everybody may see.
async fn public(api: &Api) -> Value {
    let bytes = pictures::jpeg(&pictures::halves(400, 200));
    let new = json!({
        "content_type": "image/jpeg", "bytes": bytes.len(), "method": "PUT", "visibility": "public",
    });
    let reservation = api.reserve(&new).await;
    assert_eq!(api.send(&reservation, &bytes).await.status, 200);
    let image = api.settled(&reservation.image).await;
    assert_eq!(image["state"], "ready", "{image}");
    image
}

async fn private(api: &Api) -> Value {
    api.ready(&pictures::jpeg(&pictures::halves(400, 200)), "image/jpeg").await
}

/// The path of a variant, `w160` in WebP.
fn path(image: &Value) -> String {
    image["variants"][0]["path"].as_str().unwrap().to_owned()
}

fn max_age(answer: &end_to_end::Answer) -> u64 {
    let (_, age) = answer.header("cache-control").split_once("max-age=").unwrap();
    age.split(',').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_public_picture_needs_no_signature_and_is_cached_for_ever() {
    let stack = Stack::shared().await;
    let image = public(&stack.api).await;
    let path = path(&image);
    assert!(!path.contains('?'), "{path}");
    let answer = stack.api.picture(&path).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(answer.header("content-type"), "image/webp");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("vary"), "", "the path names the format");
    // The folder that a CDN may read holds it, and the other does not.
    let keys = stack.root.objects_of("VariantsBucket", image["id"].as_str().unwrap()).await;
    assert!(keys.iter().all(|key| key.starts_with("public/")), "{keys:?}");
}

#[tokio::test]
async fn a_private_picture_is_for_who_has_its_signed_path() {
    let stack = Stack::shared().await;
    let image = private(&stack.api).await;
    let signed = path(&image);
    let (bare, query) = signed.split_once('?').unwrap();
    let opened = stack.api.picture(&signed).await;
    assert_eq!(opened.status, 200, "{}", opened.text());
    assert!(opened.header("cache-control").starts_with("private, max-age="));
    assert!((1..=7200).contains(&max_age(&opened)), "{}", opened.header("cache-control"));

    let refused = stack.api.picture(bare).await;
    refused.problem(403, "forbidden");
    assert_eq!(refused.header("cache-control"), "no-store");
    // Not even with the key: pictures are shown to people, who have none.
    answer(stack.api.request(Method::GET, bare)).await.problem(403, "forbidden");

    let (exp, sig) = query.split_once('&').unwrap();
    let seconds: u64 = exp.strip_prefix("exp=").unwrap().parse().unwrap();
    let letter = if sig.starts_with("sig=A") { "B" } else { "A" };
    let altered = [
        format!("{}?{query}", bare.replace("w160", "w320")),
        format!("{bare}?exp={}&{sig}", seconds + 3600),
        format!("{bare}?exp={}&{sig}", seconds - 86_400),
        format!("{bare}?{exp}&sig={letter}{}", &sig[5..]),
        format!("{bare}?{exp}&sig=AAAAAAAAAAAAAAAAAAAAAA"),
        format!("{bare}?{exp}&sig="),
        format!("{bare}?{exp}"),
        format!("{bare}?exp=tomorrow&{sig}"),
    ];
    for path in altered {
        stack.api.picture(&path).await.problem(403, "forbidden");
    }
    let keys = stack.root.objects_of("VariantsBucket", image["id"].as_str().unwrap()).await;
    assert!(keys.iter().all(|key| key.starts_with("private/")), "{keys:?}");
}

#[tokio::test]
async fn an_expired_signature_is_refused_though_it_is_genuine() {
    use base64::Engine as _;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;

    let stack = Stack::shared().await;
    let image = private(&stack.api).await;
    let signed = path(&image);
    let (bare, query) = signed.split_once('?').unwrap();
    // Made as the project's owner would make it: the key is in the table.
    let rows = stack.root.rows().await;
    let project = rows.iter().find(|row| row["type"] == "project" && row["id"] == stack.api.project);
    let key = BASE64.decode(project.unwrap()["signing_keys"][0].as_str().unwrap()).unwrap();
    let sign = |exp: &str| {
        let tag = hmac_sha256(&key, format!("path\n{bare}\n{exp}").as_bytes());
        format!("exp={exp}&sig={}", BASE64.encode(&tag[..16]))
    };
    let exp = query.strip_prefix("exp=").unwrap().split('&').next().unwrap();
    assert_eq!(sign(exp), query, "the test signs as the functions do");

    let problem = stack.api.picture(&format!("{bare}?{}", sign("1700000000"))).await;
    let problem = problem.problem(403, "forbidden");
    assert!(problem["detail"].as_str().unwrap().contains("expired"), "{problem}");
}

fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    use hmac::{Hmac, Mac as _};
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key).unwrap();
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

#[tokio::test]
async fn what_a_browser_has_is_not_sent_again_and_head_says_what_get_would() {
    let stack = Stack::shared().await;
    let image = public(&stack.api).await;
    let url = format!("{}{}", stack.ready().api, path(&image));
    let whole = answer(stack.api.elsewhere(Method::GET, &url)).await;
    let etag = whole.header("etag");
    assert!(etag.starts_with('"') && etag.ends_with('"'), "{etag}");
    assert_eq!(whole.header("content-length"), whole.body.len().to_string());

    for tags in [etag.to_owned(), format!("W/{etag}"), format!("\"other\", {etag}"), "*".to_owned()] {
        let again = answer(stack.api.elsewhere(Method::GET, &url).header("if-none-match", &tags)).await;
        assert_eq!((again.status, again.body.len()), (304, 0), "{tags}");
        assert_eq!(again.header("etag"), etag);
        assert_eq!(again.header("cache-control"), whole.header("cache-control"));
    }
    let other = answer(stack.api.elsewhere(Method::GET, &url).header("if-none-match", "\"other\"")).await;
    assert_eq!(other.status, 200);

    let head = answer(stack.api.elsewhere(Method::HEAD, &url)).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    for name in ["etag", "cache-control", "content-type", "content-length"] {
        assert_eq!(head.header(name), whole.header(name), "{name}");
    }
}

#[tokio::test]
async fn a_path_without_a_format_is_answered_in_one_that_the_client_reads() {
    let stack = Stack::shared().await;
    let image = public(&stack.api).await;
    let path = path(&image);
    let bare = path.strip_suffix(".webp").unwrap();
    let url = format!("{}{bare}", stack.ready().api);
    for (accept, expected) in [
        ("image/avif,image/webp,image/apng,*/*;q=0.8", "image/webp"),
        ("image/*", "image/webp"),
        ("*/*", "image/jpeg"),
        ("image/webp;q=0, image/jpeg", "image/jpeg"),
        ("text/html", "image/jpeg"),
    ] {
        let found = answer(stack.api.elsewhere(Method::GET, &url).header("accept", accept)).await;
        assert_eq!(found.status, 200, "{}", found.text());
        assert_eq!(found.header("content-type"), expected, "{accept}");
        assert_eq!(found.header("vary"), "Accept");
        let format = image::guess_format(&found.body).unwrap();
        assert_eq!(format.to_mime_type(), expected);
    }
}

#[tokio::test]
async fn a_path_without_an_upload_leads_to_the_current_picture() {
    let stack = Stack::shared().await;
    let (open, closed) = tokio::join!(public(&stack.api), private(&stack.api));
    let current =
        |image: &Value| format!("/i/{}/{}/w160.webp", stack.api.project, image["id"].as_str().unwrap());
    let redirect = stack.api.picture(&current(&open)).await;
    assert_eq!(redirect.status, 307, "{}", redirect.text());
    assert_eq!(redirect.header("location"), path(&open));
    assert_eq!(redirect.header("cache-control"), "public, max-age=60");
    stack.api.picture(&current(&closed)).await.problem(403, "forbidden");
}

#[tokio::test]
async fn a_trashed_picture_is_gone_at_once() {
    let stack = Stack::shared().await;
    for image in [public(&stack.api).await, private(&stack.api).await] {
        let path = path(&image);
        assert_eq!(stack.api.picture(&path).await.status, 200);
        let trashed = stack.api.delete(&format!("/v1/images/{}", image["id"].as_str().unwrap())).await;
        assert_eq!(trashed.status, 204, "{}", trashed.text());
        stack.api.picture(&path).await.problem(404, "not-found");
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let stack = Stack::shared().await;
    let image = public(&stack.api).await;
    let path = path(&image);
    let (folder, _) = path.rsplit_once('/').unwrap();
    for wrong in [
        format!("{folder}/w161.webp"),
        format!("{folder}/w160.avif"),
        format!("{folder}/w160.png"),
        format!("{folder}/original.jpg"),
        format!("{folder}/..%2fw160.webp"),
        path.replace("upl_", "upl_0"),
        path.replace("prj_", "prj_7ZZZZZZZZZZZZZZZZZZZZZZZZZ").replace("/img_", "/img_7"),
    ] {
        let answer = stack.api.picture(&wrong).await;
        assert_eq!(answer.status, 404, "{wrong}: {}", answer.text());
    }
    // A preset wider than the picture is the whole picture, at its own width.
    let answer = stack.api.picture(&format!("{folder}/w2048.webp")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(image::load_from_memory(&answer.body).unwrap().width(), 400);
}

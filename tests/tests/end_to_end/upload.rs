//! The path of one picture, from its reservation to everything that is kept of it.

use std::io::Cursor;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use end_to_end::pictures::{self, LEFT, RIGHT, SECRETS};
use end_to_end::{Api, Stack};
use image::{DynamicImage, GenericImageView as _, Rgb};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// `preset.format` and the size of each variant, as the API says, in its order.
fn variants(image: &Value) -> Vec<(String, u64, u64)> {
    let of = |v: &Value| {
        let name = format!("{}.{}", v["preset"].as_str().unwrap(), v["format"].as_str().unwrap());
        (name, v["width"].as_u64().unwrap(), v["height"].as_u64().unwrap())
    };
    image["variants"].as_array().unwrap().iter().map(of).collect()
}

fn expected(list: &[(&str, u64, u64)]) -> Vec<(String, u64, u64)> {
    list.iter().map(|&(name, width, height)| (name.to_owned(), width, height)).collect()
}

/// Fetches every variant, and checks that it is what the API says.
async fn fetch_all(api: &Api, image: &Value) -> Vec<DynamicImage> {
    let mut pictures = vec![];
    for variant in image["variants"].as_array().unwrap() {
        let answer = api.picture(variant["path"].as_str().unwrap()).await;
        assert_eq!(answer.status, 200, "{variant}: {}", answer.text());
        let format = variant["format"].as_str().unwrap();
        assert_eq!(answer.header("content-type"), format!("image/{format}"));
        assert_eq!(variant["bytes"], answer.body.len());
        let picture = image::load_from_memory(&answer.body).unwrap();
        assert_eq!(variant["width"], picture.width());
        assert_eq!(variant["height"], picture.height());
        pictures.push(picture);
    }
    pictures
}

#[track_caller]
fn assert_colour(picture: &DynamicImage, (x, y): (u32, u32), expected: Rgb<u8>) {
    let found = picture.get_pixel(x, y).0;
    let near = found.iter().zip(expected.0).all(|(a, b)| a.abs_diff(b) < 24);
    assert!(near, "{found:?} at {x}, {y} is not {expected:?}");
}

#[tokio::test]
async fn a_jpeg_sent_as_a_form_is_served_in_every_size() {
    let stack = Stack::shared().await;
    let bytes = pictures::jpeg(&pictures::halves(2600, 1300));
    let new = json!({ "content_type": "image/jpeg", "bytes": bytes.len(), "title": " Two halves " });
    let reservation = stack.api.reserve(&new).await;
    assert_eq!(reservation.method, "POST");
    let sent = stack.api.send(&reservation, &bytes).await;
    assert_eq!(sent.status, 201, "{}", sent.text());

    let image = stack.api.settled(&reservation.image).await;
    assert_eq!(image["state"], "ready", "{image}");
    assert_eq!(image["title"], "Two halves");
    assert_eq!((&image["width"], &image["height"]), (&json!(2600), &json!(1300)));
    assert_eq!(image["content_type"], "image/jpeg");
    assert_eq!(image["sha256"], format!("{:x}", Sha256::digest(&bytes)));
    // A ThumbHash is five bytes and what the picture takes, 25 at most.
    let thumbhash = BASE64_STANDARD.decode(image["thumbhash"].as_str().unwrap()).unwrap();
    assert!((5..=25).contains(&thumbhash.len()), "{}", thumbhash.len());
    let ladder = [
        ("w160.webp", 160, 80),
        ("w320.webp", 320, 160),
        ("w640.webp", 640, 320),
        ("w1280.webp", 1280, 640),
        ("w2048.webp", 2048, 1024),
        ("w1280.jpeg", 1280, 640),
    ];
    assert_eq!(variants(&image), expected(&ladder));
    for picture in fetch_all(&stack.api, &image).await {
        let (width, height) = picture.dimensions();
        assert_colour(&picture, (width / 8, height / 2), LEFT);
        assert_colour(&picture, (width - width / 8, height / 2), RIGHT);
    }
    assert_eq!(stack.root.objects_of("UploadsBucket", &reservation.image).await, [""; 0]);
    assert_eq!(stack.root.events(&reservation.image).await, ["image.created", "image.ready"]);
}

#[tokio::test]
async fn what_is_private_leaves_the_stored_original_and_nothing_else_does() {
    let stack = Stack::shared().await;
    let plain = pictures::jpeg(&pictures::noise(320, 200));
    let bytes = pictures::with_metadata(&plain, 1);
    for secret in SECRETS {
        assert!(contains(&bytes, secret), "the test does not send {secret}");
    }
    assert!(exif_fields(&bytes).iter().any(|field| field == "GPSAreaInformation"));

    let image = stack.api.ready(&bytes, "image/jpeg").await;
    let id = image["id"].as_str().unwrap();
    let originals = stack.root.objects_of("OriginalsBucket", id).await;
    let [original] = originals.as_slice() else { panic!("{originals:?}") };
    let kept = stack.root.object("OriginalsBucket", original).await;
    let mut stored = vec![kept.clone()];
    for key in stack.root.objects_of("VariantsBucket", id).await {
        stored.push(stack.root.object("VariantsBucket", &key).await);
    }
    for secret in SECRETS {
        assert!(!stored.iter().any(|object| contains(object, secret)), "{secret} is still there");
    }
    assert_eq!(image["bytes"], kept.len());
    assert!(!exif_fields(&kept).iter().any(|field| field.starts_with("GPS")));
    // Lossless: the same pixels come out of the same compressed data.
    let scan = plain.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap();
    assert!(kept.windows(plain.len() - scan).any(|window| window == &plain[scan..]));
    let (before, after) = (image::load_from_memory(&plain).unwrap(), image::load_from_memory(&kept).unwrap());
    assert_eq!(before, after);
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// The names of all EXIF fields of a JPEG.
fn exif_fields(jpeg: &[u8]) -> Vec<String> {
    let read = exif::Reader::new().read_from_container(&mut Cursor::new(jpeg));
    read.map(|exif| exif.fields().map(|field| field.tag.to_string()).collect()).unwrap_or_default()
}

#[tokio::test]
async fn a_picture_that_was_taken_sideways_is_served_upright() {
    let stack = Stack::shared().await;
    // Orientation 6: what is stored as the left is meant to be the top.
    let bytes = pictures::with_metadata(&pictures::jpeg(&pictures::halves(800, 400)), 6);
    let image = stack.api.ready(&bytes, "image/jpeg").await;
    assert_eq!((&image["width"], &image["height"]), (&json!(400), &json!(800)));
    let ladder =
        [("w160.webp", 160, 320), ("w320.webp", 320, 640), ("w640.webp", 400, 800), ("w1280.jpeg", 400, 800)];
    assert_eq!(variants(&image), expected(&ladder));
    for picture in fetch_all(&stack.api, &image).await {
        let (width, height) = picture.dimensions();
        assert_colour(&picture, (width / 2, height / 8), LEFT);
        assert_colour(&picture, (width / 2, height - height / 8), RIGHT);
    }
}

#[tokio::test]
async fn a_png_keeps_its_transparency_and_its_size() {
    let stack = Stack::shared().await;
    let image = stack.api.ready(&pictures::png(&pictures::disc(700)), "image/png").await;
    let ladder = [
        ("w160.webp", 160, 160),
        ("w320.webp", 320, 320),
        ("w640.webp", 640, 640),
        ("w1280.webp", 700, 700),
        ("w1280.png", 700, 700),
    ];
    assert_eq!(variants(&image), expected(&ladder));
    for picture in fetch_all(&stack.api, &image).await {
        let size = picture.width();
        assert_eq!(picture.get_pixel(1, 1).0[3], 0);
        assert_eq!(picture.get_pixel(size / 2, size / 2).0[3], 255);
        assert_colour(&picture, (size / 2, size / 2), Rgb([20, 160, 80]));
    }
}

#[tokio::test]
async fn a_webp_becomes_a_ladder_and_a_jpeg() {
    let stack = Stack::shared().await;
    let image = stack.api.ready(&pictures::webp(&pictures::halves(500, 250)), "image/webp").await;
    let ladder =
        [("w160.webp", 160, 80), ("w320.webp", 320, 160), ("w640.webp", 500, 250), ("w1280.jpeg", 500, 250)];
    assert_eq!(variants(&image), expected(&ladder));
    for picture in fetch_all(&stack.api, &image).await {
        assert_colour(&picture, (picture.width() / 8, 20), LEFT);
    }
}

#[tokio::test]
async fn an_animation_is_its_first_frame_and_a_small_picture_is_never_enlarged() {
    let stack = Stack::shared().await;
    let image = stack.api.ready(&pictures::gif(100, 60), "image/gif").await;
    assert_eq!(image["frames"], 2);
    let pictures = fetch_all(&stack.api, &image).await;
    let found = variants(&image);
    assert_eq!(found[0], ("w160.webp".to_owned(), 100, 60));
    assert!(found.len() == 2 && found[1].0.starts_with("w1280."), "{found:?}");
    for picture in pictures {
        assert_eq!(picture.dimensions(), (100, 60));
        assert_colour(&picture, (10, 30), LEFT);
        assert_colour(&picture, (90, 30), RIGHT);
    }
}

#[tokio::test]
async fn a_variant_too_large_for_an_answer_comes_from_the_bucket() {
    let stack = Stack::shared().await;
    let noise = DynamicImage::from(pictures::noise(1280, 1280)).into_rgba8();
    let mut picture = noise;
    picture.put_pixel(0, 0, image::Rgba([0, 0, 0, 0]));
    let image = stack.api.ready(&pictures::png(&picture), "image/png").await;
    let variant = image["variants"].as_array().unwrap().iter().find(|v| v["format"] == "png").unwrap();
    assert!(variant["bytes"].as_u64().unwrap() > 4 << 20, "{variant}");
    let answer = stack.api.picture(variant["path"].as_str().unwrap()).await;
    assert_eq!(answer.status, 307, "{}", answer.text());
    assert_eq!(answer.header("cache-control"), "private, no-store");
    let elsewhere = stack.api.elsewhere(http::Method::GET, answer.header("location"));
    let fetched = end_to_end::answer(elsewhere).await;
    assert_eq!(fetched.status, 200, "{}", fetched.text());
    assert_eq!(image::load_from_memory(&fetched.body).unwrap().into_rgba8(), picture);
}

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../../../shared/imaging/tests/fixtures/", $name)).as_slice()
    };
}

#[tokio::test]
async fn pictures_of_phones_and_scanners_become_pictures_for_browsers() {
    let stack = Stack::shared().await;
    for (bytes, content_type, kept, extension) in [
        (fixture!("avif/exif.avif"), "image/avif", "image/avif", "avif"),
        (fixture!("heic/exif.heic"), "image/heic", "image/heic", "heic"),
        (fixture!("heic/420.heic"), "image/heif", "image/heic", "heic"),
        (fixture!("tiff/exif.tiff"), "image/tiff", "image/png", "png"),
        (fixture!("bmp/rgb24.bmp"), "image/bmp", "image/png", "png"),
    ] {
        let image = stack.api.ready(bytes, content_type).await;
        assert_eq!(image["content_type"], kept, "{image}");
        assert_eq!(image["reencoded"], kept == "image/png", "{image}");
        assert_eq!(image["animated"], false, "{image}");
        assert_eq!(image["opaque"], true, "{image}");
        assert!(!image["palette"].as_array().unwrap().is_empty(), "{image}");
        assert_eq!(image["perceptual_hash"].as_str().unwrap().len(), 16, "{image}");
        // Nobody asked for the place.
        assert_eq!(image.get("location"), None, "{image}");
        fetch_all(&stack.api, &image).await;
        let originals = stack.root.objects_of("OriginalsBucket", image["id"].as_str().unwrap()).await;
        assert!(originals.iter().all(|key| key.ends_with(&format!(".{extension}"))), "{originals:?}");
    }
}

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
    let hash = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(image["sha256"], hash);
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

//! A client of the API, and what it is answered.

use std::collections::BTreeMap;

use http::{HeaderMap, Method};
use reqwest::multipart::{Form, Part};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::wait_until;

/// A client that shows every answer as it comes.
pub(crate) fn http() -> Client {
    // The stack speaks HTTP; the client wants a provider all the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().redirect(Policy::none()).build().unwrap()
}

/// Sends a request and reads the whole answer.
pub async fn answer(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.bytes().await.unwrap().to_vec();
    Answer { status, headers, body }
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// A header; nothing if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}: {}", self.status, self.text()))
    }

    /// Asserts that this is a whole problem document (RFC 9457) and gives it.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem: Value = self.json();
        assert_eq!(problem["status"], status);
        assert_eq!(problem["code"], code);
        assert_eq!(problem["type"], format!("/problems/{code}"));
        for name in ["title", "detail", "instance"] {
            assert!(problem[name].as_str().is_some_and(|text| !text.is_empty()), "{name}: {problem}");
        }
        problem
    }

    /// Asserts that S3 refused a request, with this code.
    #[track_caller]
    pub fn refused_by_s3(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{}", self.text());
        assert!(self.text().contains(&format!("<Code>{code}</Code>")), "{}", self.text());
    }
}

/// Where to send the bytes of a reserved image.
#[derive(Debug, Clone, Deserialize)]
pub struct Reservation {
    /// The image's id.
    pub image: String,
    /// The upload's.
    pub id: String,
    /// `POST` or `PUT`.
    pub method: String,
    /// Where.
    pub url: String,
    /// The form's fields.
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
    /// The request's headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

/// The API with a key, or without one.
#[derive(Debug, Clone)]
pub struct Api {
    /// The project of the key.
    pub project: String,
    http: Client,
    base: String,
    key: Option<String>,
}

impl Api {
    /// The API at a base URL.
    pub fn new(base: &str, project: &str, key: Option<&str>) -> Self {
        Self { project: project.into(), http: http(), base: base.into(), key: key.map(str::to_owned) }
    }

    /// The same API with another key.
    #[must_use]
    pub fn with_key(&self, key: Option<&str>) -> Self {
        Self { key: key.map(str::to_owned), ..self.clone() }
    }

    /// The key.
    pub fn key(&self) -> &str {
        self.key.as_deref().unwrap_or_default()
    }

    /// A request with the key.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    /// A request to anywhere, without the key.
    pub fn elsewhere(&self, method: Method, url: &str) -> RequestBuilder {
        self.http.request(method, url)
    }

    /// Reads something.
    pub async fn get(&self, path: &str) -> Answer {
        answer(self.request(Method::GET, path)).await
    }

    /// Deletes something.
    pub async fn delete(&self, path: &str) -> Answer {
        answer(self.request(Method::DELETE, path)).await
    }

    /// Sends a JSON document.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        answer(self.request(Method::POST, path).json(body)).await
    }

    /// Sends a merge patch.
    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        answer(self.request(Method::PATCH, path).json(body)).await
    }

    /// Fetches a picture as a browser would, without a key.
    pub async fn picture(&self, path: &str) -> Answer {
        answer(self.elsewhere(Method::GET, &format!("{}{path}", self.base))).await
    }

    /// Reserves an image.
    pub async fn reserve(&self, new: &Value) -> Reservation {
        let answer = self.post("/v1/uploads", new).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        let reservation: Reservation = answer.json();
        assert_eq!(answer.header("location"), format!("/v1/images/{}", reservation.image));
        reservation
    }

    /// Reserves an image for bytes of a type, to be sent with `PUT`.
    pub async fn reserve_put(&self, bytes: &[u8], content_type: &str) -> Reservation {
        let new = json!({ "content_type": content_type, "bytes": bytes.len(), "method": "PUT" });
        self.reserve(&new).await
    }

    /// Sends bytes to where they were reserved, as that says.
    pub async fn send(&self, to: &Reservation, bytes: &[u8]) -> Answer {
        if to.method == "PUT" {
            let mut request = self.elsewhere(Method::PUT, &to.url);
            for (name, value) in to.headers.iter().filter(|(name, _)| *name != "content-length") {
                request = request.header(name, value);
            }
            return answer(request.body(bytes.to_vec())).await;
        }
        let form =
            to.fields.iter().fold(Form::new(), |form, (name, value)| form.text(name.clone(), value.clone()));
        let form = form.part("file", Part::bytes(bytes.to_vec()).file_name("picture"));
        answer(self.elsewhere(Method::POST, &to.url).multipart(form)).await
    }

    /// Uploads bytes, and gives the image's id.
    pub async fn upload(&self, bytes: &[u8], content_type: &str) -> String {
        let reservation = self.reserve_put(bytes, content_type).await;
        let sent = self.send(&reservation, bytes).await;
        assert_eq!(sent.status, 200, "{}", sent.text());
        reservation.image
    }

    /// An image as it is now.
    pub async fn image(&self, image: &str) -> Value {
        let answer = self.get(&format!("/v1/images/{image}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    /// Waits until an image is neither pending nor being processed.
    pub async fn settled(&self, image: &str) -> Value {
        wait_until(&format!("{image} to be settled"), async || {
            let now = self.image(image).await;
            (!matches!(now["state"].as_str(), Some("pending" | "processing"))).then_some(now)
        })
        .await
    }

    /// Uploads bytes and waits until they can be served.
    pub async fn ready(&self, bytes: &[u8], content_type: &str) -> Value {
        let image = self.upload(bytes, content_type).await;
        let image = self.settled(&image).await;
        assert_eq!(image["state"], "ready", "{image}");
        image
    }

    /// Uploads bytes that cannot be used, and gives the failure's code.
    pub async fn failure(&self, bytes: &[u8], content_type: &str) -> String {
        let image = self.upload(bytes, content_type).await;
        let image = self.settled(&image).await;
        assert_eq!(image["state"], "failed", "{image}");
        assert!(image["failure"]["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{image}");
        image["failure"]["code"].as_str().unwrap().to_owned()
    }
}

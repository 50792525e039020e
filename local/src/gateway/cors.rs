//! CORS as HTTP APIs do it: from the API's configuration alone.
//!
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-cors.html>

use axum::body::Body;
use axum::response::Response;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderName, HeaderValue, ORIGIN,
};
use http::request::Parts;
use http::{Method, StatusCode};

use crate::template::model::Cors;

/// A configuration, with its header values made once.
#[derive(Debug)]
pub(super) struct CrossOrigin {
    origins: Vec<String>,
    methods: Vec<String>,
    preflight: Vec<(HeaderName, HeaderValue)>,
    actual: Vec<(HeaderName, HeaderValue)>,
}

impl CrossOrigin {
    pub(super) fn new(cors: Cors) -> Self {
        let list = |name: HeaderName, values: &[String]| {
            let value = (!values.is_empty()).then(|| values.join(","))?;
            Some((name, HeaderValue::try_from(value).ok()?))
        };
        let credentials =
            cors.credentials.then(|| (ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true")));
        Self {
            preflight: [
                list(ACCESS_CONTROL_ALLOW_METHODS, &cors.methods),
                list(ACCESS_CONTROL_ALLOW_HEADERS, &cors.headers),
                cors.max_age.map(|seconds| (ACCESS_CONTROL_MAX_AGE, seconds.into())),
                credentials.clone(),
            ]
            .into_iter()
            .flatten()
            .collect(),
            actual: [list(ACCESS_CONTROL_EXPOSE_HEADERS, &cors.expose), credentials]
                .into_iter()
                .flatten()
                .collect(),
            origins: cors.origins,
            methods: cors.methods,
        }
    }

    /// Answers a preflight request. One that asks for too much gets no permission, and no error.
    pub(super) fn preflight(&self, request: &Parts) -> Option<Response> {
        let wanted = request.headers.get(ACCESS_CONTROL_REQUEST_METHOD)?;
        let origin = request.headers.get(ORIGIN)?;
        if request.method != Method::OPTIONS {
            return None;
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let allowed =
            self.methods.iter().any(|method| method == "*" || method.as_bytes() == wanted.as_bytes());
        if let (true, Some(origin)) = (allowed, self.allow(origin)) {
            let headers = response.headers_mut();
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.extend(self.preflight.iter().cloned());
        }
        Some(response)
    }

    /// Replaces what the function says about CORS: "API Gateway ignores CORS headers returned from
    /// your backend integration".
    pub(super) fn decorate(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
        for name in [
            ACCESS_CONTROL_ALLOW_CREDENTIALS,
            ACCESS_CONTROL_ALLOW_HEADERS,
            ACCESS_CONTROL_ALLOW_METHODS,
            ACCESS_CONTROL_ALLOW_ORIGIN,
            ACCESS_CONTROL_EXPOSE_HEADERS,
            ACCESS_CONTROL_MAX_AGE,
        ] {
            headers.remove(name);
        }
        if let Some(origin) = origin.and_then(|origin| self.allow(origin)) {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.extend(self.actual.iter().cloned());
        }
    }

    /// The origin that is allowed: `*`, or the one that asks.
    fn allow(&self, origin: &HeaderValue) -> Option<HeaderValue> {
        if self.origins.iter().any(|allowed| allowed == "*") {
            return Some(HeaderValue::from_static("*"));
        }
        let text = origin.to_str().ok()?;
        let matches = |allowed: &String| match allowed.strip_suffix('*') {
            // `https://*`: every origin of a scheme.
            Some(scheme) => text.starts_with(scheme),
            None => allowed == text,
        };
        self.origins.iter().any(matches).then(|| origin.clone())
    }
}

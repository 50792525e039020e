//! What DynamoDB and SQS share on the wire: the AWS JSON 1.0 protocol and Signature Version 4.
//!
//! <https://smithy.io/2.0/aws/protocols/aws-json-1_0-protocol.html>

use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::json;
use subtle::ConstantTimeEq;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::iam::{Identities, Identity};

/// The media type of requests and answers.
pub(crate) const CONTENT_TYPE: &str = "application/x-amz-json-1.0";

/// Serves a router until the token is cancelled, without Nagle's delay: requests and answers are
/// single small writes, and the delay would add up to 40 ms to each.
pub(crate) async fn serve(
    listener: TcpListener, router: Router, shutdown: CancellationToken,
) -> io::Result<()> {
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "could not set TCP_NODELAY");
        }
    });
    axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned()).await
}

/// The operation that a request names in `X-Amz-Target`, after the service's prefix.
pub(crate) fn operation<'a>(headers: &'a HeaderMap, prefix: &str) -> Option<&'a str> {
    headers.get("x-amz-target")?.to_str().ok()?.strip_prefix(prefix)?.strip_prefix('.')
}

/// An answer in the protocol's media type.
pub(crate) fn answer(status: StatusCode, body: impl Into<axum::body::Body>) -> Response {
    let mut response = (status, body.into()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    let id = uuid::Uuid::new_v4().to_string();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert("x-amzn-requestid", id);
    }
    response
}

/// An error answer: the type as the service's model names it, and a message.
pub(crate) fn error(status: StatusCode, shape: &str, message: &str) -> Response {
    answer(status, json!({ "__type": shape, "message": message }).to_string())
}

/// Why a request was not accepted as anybody's.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotAuthenticated {
    /// No signature at all.
    #[error("Request is missing Authentication Token")]
    Missing,
    /// A signature that lacks a part.
    #[error(
        "Authorization header requires a Credential, SignedHeaders and Signature and the date in X-Amz-Date"
    )]
    Incomplete,
    /// An access key that this stack has not given to anybody.
    #[error("The security token included in the request is invalid.")]
    UnknownKey,
    /// The signature is for something else or made with another secret.
    #[error(
        "The request signature we calculated does not match the signature you provided. Check your \
         AWS Secret Access Key and signing method."
    )]
    Mismatch,
}

impl NotAuthenticated {
    /// The error's name, which is the same for every service.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Missing => "MissingAuthenticationTokenException",
            Self::Incomplete => "IncompleteSignatureException",
            Self::UnknownKey => "UnrecognizedClientException",
            Self::Mismatch => "InvalidSignatureException",
        }
    }
}

/// Finds out who sent a request, by computing its signature again with the secret of the access key
/// that it names.
pub(crate) fn authenticate(
    identities: &Identities, service: &str, parts: &Parts, body: &[u8],
) -> Result<Arc<Identity>, NotAuthenticated> {
    use NotAuthenticated::{Incomplete, Mismatch, Missing, UnknownKey};

    let text = |name: &str| parts.headers.get(name).and_then(|v| v.to_str().ok());
    let authorization = text("authorization").ok_or(Missing)?;
    let claim = Claim::parse(authorization).ok_or(Incomplete)?;
    let identity = identities.get(claim.access_key).ok_or(UnknownKey)?;
    let time = text("x-amz-date").and_then(signing_time).ok_or(Incomplete)?;
    if claim.service != service {
        return Err(Mismatch);
    }
    // `sign` adds these itself, from the time, the credentials and the settings.
    let is_added =
        |name: &str| ["x-amz-date", "x-amz-security-token", "x-amz-content-sha256"].contains(&name);
    let mut headers = Vec::new();
    for name in claim.signed_headers.split(';').filter(|name| !is_added(name)) {
        headers.push((name, text(name).ok_or(Mismatch)?));
    }
    let mut settings = SigningSettings::default();
    settings.excluded_headers = None;
    let signs = |header: &str| claim.signed_headers.split(';').any(|name| name == header);
    if signs("x-amz-content-sha256") {
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    let token = text("x-amz-security-token").filter(|_| signs("x-amz-security-token"));
    let credentials = Credentials::new(
        &identity.access_key,
        &identity.secret_key,
        token.map(str::to_owned),
        None,
        "request",
    )
    .into();
    let parameters = v4::SigningParams::builder()
        .identity(&credentials)
        .region(claim.region)
        .name(service)
        .time(time)
        .settings(settings)
        .build()
        .map_err(|_| Incomplete)?
        .into();
    let uri = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let request =
        SignableRequest::new(parts.method.as_str(), uri, headers.into_iter(), SignableBody::Bytes(body))
            .map_err(|_| Mismatch)?;
    let (_, signature) = sign(request, &parameters).map_err(|_| Mismatch)?.into_parts();
    if bool::from(signature.as_bytes().ct_eq(claim.signature.as_bytes())) {
        Ok(Arc::clone(identity))
    } else {
        Err(Mismatch)
    }
}

/// An `Authorization` header taken apart.
struct Claim<'a> {
    access_key: &'a str,
    region: &'a str,
    service: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
}

impl<'a> Claim<'a> {
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html>
    fn parse(header: &'a str) -> Option<Self> {
        let rest = header.strip_prefix("AWS4-HMAC-SHA256")?;
        let field =
            |name: &str| rest.split(',').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
        let mut scope = field("Credential")?.split('/');
        let (access_key, _date) = (scope.next()?, scope.next()?);
        let (region, service) = (scope.next()?, scope.next()?);
        Some(Self {
            access_key,
            region,
            service,
            signed_headers: field("SignedHeaders")?,
            signature: field("Signature")?,
        })
    }
}

/// The time of `X-Amz-Date`: `20260102T030405Z`.
fn signing_time(text: &str) -> Option<SystemTime> {
    let time = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok()?;
    Some(time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().into())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An identity that may do what its statements say.
    pub(crate) fn identity(name: &str) -> Identity {
        Identity {
            name: name.to_owned(),
            access_key: format!("AKIA{name}"),
            secret_key: format!("secret of {name}"),
            statements: None,
            references: crate::iam::References::default(),
        }
    }

    /// A request as an SDK signs it.
    pub(crate) fn signed(
        identity: &Identity, service: &'static str, url: &str, target: &str, body: String,
        token: Option<&str>,
    ) -> http::Request<String> {
        let credentials = Credentials::new(
            &identity.access_key,
            &identity.secret_key,
            token.map(str::to_owned),
            None,
            "test",
        )
        .into();
        let parameters = v4::SigningParams::builder()
            .identity(&credentials)
            .region("eu-west-1")
            .name(service)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .unwrap()
            .into();
        let headers = [("content-type", CONTENT_TYPE), ("x-amz-target", target)];
        let signable =
            SignableRequest::new("POST", url, headers.into_iter(), SignableBody::Bytes(body.as_bytes()))
                .unwrap();
        let (instructions, _) = sign(signable, &parameters).unwrap().into_parts();
        let mut request = http::Request::post(url);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let mut request = request.body(body).unwrap();
        instructions.apply_to_request_http1x(&mut request);
        request
    }

    fn received(request: http::Request<String>) -> (Parts, String) {
        let (mut parts, body) = request.into_parts();
        // What a client puts on the wire: the host as a header, the path as the target.
        let host = parts.uri.authority().unwrap().to_string();
        parts.headers.insert("host", host.parse().unwrap());
        parts.uri = parts.uri.path().parse().unwrap();
        (parts, body)
    }

    fn request(identity: &Identity, token: Option<&str>) -> (Parts, String) {
        let url = "http://127.0.0.1:4567/";
        received(signed(identity, "sqs", url, "AmazonSQS.ListQueues", "{}".to_owned(), token))
    }

    #[test]
    fn a_signature_names_its_sender_with_and_without_a_session_token() {
        let identities = Identities::new([identity("A"), identity("B")]);
        for token in [None, Some("session")] {
            let (parts, body) = request(&identity("B"), token);
            let found = authenticate(&identities, "sqs", &parts, body.as_bytes()).unwrap();
            assert_eq!(found.name, "B");
        }
    }

    #[test]
    fn a_request_that_nobody_signed_like_this_is_refused() {
        let identities = Identities::new([identity("A")]);
        let refusal = |change: &dyn Fn(&mut Parts, &mut String)| {
            let (mut parts, mut body) = request(&identity("A"), None);
            change(&mut parts, &mut body);
            authenticate(&identities, "sqs", &parts, body.as_bytes()).unwrap_err()
        };
        assert_eq!(refusal(&|_, body| body.push(' ')), NotAuthenticated::Mismatch);
        assert_eq!(
            refusal(&|parts, _| {
                parts.headers.insert("x-amz-target", "AmazonSQS.PurgeQueue".parse().unwrap());
            }),
            NotAuthenticated::Mismatch
        );
        assert_eq!(
            refusal(&|parts, _| {
                parts.headers.remove("authorization");
            }),
            NotAuthenticated::Missing
        );
        assert_eq!(
            refusal(&|parts, _| {
                parts.headers.insert("authorization", "AWS4-HMAC-SHA256 nonsense".parse().unwrap());
            }),
            NotAuthenticated::Incomplete
        );
    }

    #[test]
    fn another_key_another_secret_and_another_service_are_told_apart() {
        let mut impostor = identity("A");
        impostor.secret_key = "guessed".to_owned();
        let identities = Identities::new([identity("A")]);
        let attempt = |sender: &Identity, service| {
            let (parts, body) = request(sender, None);
            authenticate(&identities, service, &parts, body.as_bytes()).unwrap_err()
        };
        assert_eq!(attempt(&identity("C"), "sqs"), NotAuthenticated::UnknownKey);
        assert_eq!(attempt(&impostor, "sqs"), NotAuthenticated::Mismatch);
        assert_eq!(attempt(&identity("A"), "dynamodb"), NotAuthenticated::Mismatch);
    }
}

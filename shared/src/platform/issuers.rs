//! The keys of issuers, fetched as OpenID Connect Discovery 1.0 has it and kept for a while.
//!
//! Whoever owns a project names the issuers, so they decide where these requests go: to the public internet
//! alone, by https, with no redirect followed, and for small documents that come soon.

use std::collections::HashMap;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::dns::{DnsFuture, ResolveDns, ResolveDnsError};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorSettings};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use serde::Deserialize;

use crate::domain::identity::{FindSigningKeys, SigningKeys};
use crate::domain::issuer::Reach;
use crate::domain::{Time, Unavailable};

/// For how long keys are believed without a look. They are then fetched again; an issuer that is out of reach
/// at that moment does not matter yet.
const FRESH_FOR: Duration = Duration::from_mins(10);
/// For how long keys are believed at all.
const BELIEVED_FOR: Duration = Duration::from_hours(1);
/// How often an issuer is asked at most for a key that we do not know, or that does not answer.
const ASKED_EVERY: Duration = Duration::from_secs(30);
/// How many issuers are remembered.
const REMEMBERED: usize = 64;
/// How long one document may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// How large one may be.
const MAXIMUM_DOCUMENT: usize = 256 * 1024;

const OPERATION: &str = "find_signing_keys";

/// Gets a document by its URL.
pub trait FetchDocument {
    /// The document.
    fn fetch_document(&self, url: &str) -> impl Future<Output = Result<Bytes, Unavailable>> + Send;
}

/// Issuers whose keys this process has lately fetched.
#[derive(Debug)]
pub struct Issuers<D> {
    documents: D,
    reach: Reach,
    known: Mutex<HashMap<String, Known>>,
}

#[derive(Debug, Clone, Default)]
struct Known {
    /// What it answered last, and when.
    keys: Option<(Arc<SigningKeys>, Time)>,
    /// When it last did not answer, if nothing better came since.
    failed_at: Option<Time>,
}

impl Known {
    fn asked_at(&self) -> Option<Time> {
        self.keys.as_ref().map(|(_, fetched_at)| *fetched_at).max(self.failed_at)
    }

    /// The keys, if they are younger than that.
    fn within(&self, age: Duration, now: Time) -> Option<Arc<SigningKeys>> {
        let young = |(_, fetched_at): &&(_, Time)| now.since(*fetched_at) < age;
        self.keys.as_ref().filter(young).map(|(keys, _)| Arc::clone(keys))
    }
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

impl<D> Issuers<D> {
    /// Nothing is fetched before it is asked for.
    pub fn new(documents: D, reach: Reach) -> Self {
        Self { documents, reach, known: Mutex::default() }
    }

    fn known(&self, issuer: &str) -> Known {
        let all = self.known.lock().expect("nothing panics while holding this lock");
        all.get(issuer).cloned().unwrap_or_default()
    }

    fn remember(&self, issuer: &str, known: Known) {
        let mut all = self.known.lock().expect("nothing panics while holding this lock");
        if all.len() >= REMEMBERED && !all.contains_key(issuer) {
            let oldest = all.iter().min_by_key(|(_, known)| known.asked_at()).map(|(name, _)| name.clone());
            oldest.and_then(|oldest| all.remove(&oldest));
        }
        all.insert(issuer.to_owned(), known);
    }
}

impl<D: FetchDocument + Sync> Issuers<D> {
    async fn fetch(&self, issuer: &str) -> Result<SigningKeys, Unavailable> {
        let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let document = self.documents.fetch_document(&url).await?;
        let discovery: Discovery =
            serde_json::from_slice(&document).map_err(|e| Unavailable::new(OPERATION, e))?;
        if discovery.issuer != issuer {
            return Err(Unavailable::new(OPERATION, "the discovery document is another issuer's"));
        }
        if !self.reach.allows(&discovery.jwks_uri) {
            return Err(Unavailable::new(
                OPERATION,
                "the issuer's keys are at an address that is not fetched",
            ));
        }
        let document = self.documents.fetch_document(&discovery.jwks_uri).await?;
        SigningKeys::read(&document).map_err(|e| Unavailable::new(OPERATION, e))
    }
}

impl<D: FetchDocument + Sync> FindSigningKeys for Issuers<D> {
    async fn find_signing_keys(
        &self, issuer: &str, key: Option<&str>, now: Time,
    ) -> Result<Arc<SigningKeys>, Unavailable> {
        let known = self.known(issuer);
        let has = |keys: &Arc<SigningKeys>| key.is_none_or(|key| keys.has(key));
        let good = known.within(FRESH_FOR, now).filter(has);
        // Who answered lately has no key that we do not know.
        if let Some(keys) = good.or_else(|| known.within(ASKED_EVERY, now)) {
            return Ok(keys);
        }
        let error = if known.failed_at.is_some_and(|failed_at| now.since(failed_at) < ASKED_EVERY) {
            Unavailable::new(OPERATION, "the issuer did not answer a moment ago")
        } else {
            match self.fetch(issuer).await {
                Ok(keys) => {
                    let keys = Arc::new(keys);
                    let known = Known { keys: Some((Arc::clone(&keys), now)), failed_at: None };
                    self.remember(issuer, known);
                    return Ok(keys);
                }
                Err(error) => {
                    tracing::warn!(issuer, cause = super::chain(&error), "keys could not be fetched");
                    self.remember(issuer, Known { failed_at: Some(now), ..known.clone() });
                    error
                }
            }
        };
        // Keys that are known go on being good, for a while. One that is not known may be new, so nothing
        // can be said of it.
        known.within(BELIEVED_FOR, now).filter(has).ok_or(error)
    }
}

/// The web, as far as it may be reached.
#[derive(Debug)]
pub struct Web {
    reach: Reach,
    connector: OnceLock<Connector>,
}

impl Web {
    /// Certificates are read at the first request.
    pub const fn new(reach: Reach) -> Self {
        Self { reach, connector: OnceLock::new() }
    }

    fn connector(&self) -> &Connector {
        let settings =
            || HttpConnectorSettings::builder().connect_timeout(PATIENCE).read_timeout(PATIENCE).build();
        self.connector.get_or_init(|| {
            Connector::builder()
                .tls_provider(Provider::Rustls(CryptoMode::Ring))
                .connector_settings(settings())
                .sleep_impl(TokioSleep::new())
                .build_with_resolver(Within(self.reach))
        })
    }

    async fn get(&self, url: &str) -> Result<Bytes, Box<dyn std::error::Error + Send + Sync>> {
        if !self.reach.allows(url) {
            return Err("an address that is not fetched".into());
        }
        let mut request = HttpRequest::get(url)?;
        request.headers_mut().insert("accept", "application/json");
        let response = self.connector().call(request).await?;
        // Nothing is redirected: 3xx is not what was asked for, either.
        if response.status().as_u16() != 200 {
            return Err(format!("status {}", response.status().as_u16()).into());
        }
        let body = Limited::new(response.into_body(), MAXIMUM_DOCUMENT).collect().await?;
        Ok(body.to_bytes())
    }
}

impl FetchDocument for Web {
    async fn fetch_document(&self, url: &str) -> Result<Bytes, Unavailable> {
        let fetched = tokio::time::timeout(PATIENCE, self.get(url)).await;
        fetched.map_err(|e| Unavailable::new(OPERATION, e))?.map_err(|e| Unavailable::new(OPERATION, e))
    }
}

/// Names, as far as they stand for addresses that may be reached. The address that is checked is the one that
/// is connected to.
#[derive(Debug, Clone, Copy)]
struct Within(Reach);

impl ResolveDns for Within {
    fn resolve_dns<'a>(&'a self, name: &'a str) -> DnsFuture<'a> {
        let (reach, name) = (self.0, name.to_owned());
        DnsFuture::new(async move {
            let resolved = tokio::task::spawn_blocking(move || (name, 0).to_socket_addrs()).await;
            let addresses: Vec<IpAddr> = resolved
                .map_err(ResolveDnsError::new)?
                .map_err(ResolveDnsError::new)?
                .map(|address| address.ip())
                .collect();
            if addresses.iter().all(|address| reach.allows_address(*address)) {
                Ok(addresses)
            } else {
                Err(ResolveDnsError::new("a name of a private address"))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// The web with one issuer on it.
    #[derive(Default)]
    struct Pages {
        keys: Mutex<Vec<&'static str>>,
        down: Mutex<bool>,
        asked: AtomicUsize,
        named: Option<&'static str>,
        keys_at: Option<&'static str>,
        fetched: AtomicUsize,
    }

    const ISSUER: &str = "https://id.example.org/";

    impl FetchDocument for Pages {
        async fn fetch_document(&self, url: &str) -> Result<Bytes, Unavailable> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            if *self.down.lock().unwrap() {
                return Err(Unavailable::new(OPERATION, "refused"));
            }
            if url == "https://id.example.org/.well-known/openid-configuration" {
                let keys_at = self.keys_at.unwrap_or("https://keys.example.org/jwks");
                let issuer = self.named.unwrap_or(ISSUER);
                return Ok(serde_json::json!({ "issuer": issuer, "jwks_uri": keys_at }).to_string().into());
            }
            assert_eq!(url, "https://keys.example.org/jwks");
            self.fetched.fetch_add(1, Ordering::Relaxed);
            let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
            let key = |kid: &&str| serde_json::json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "x": x });
            let keys: Vec<_> = self.keys.lock().unwrap().iter().map(key).collect();
            Ok(serde_json::json!({ "keys": keys }).to_string().into())
        }
    }

    fn issuers(pages: Pages) -> Issuers<Pages> {
        pages.keys.lock().unwrap().push("a");
        Issuers::new(pages, Reach::Internet)
    }

    async fn has(issuers: &Issuers<Pages>, key: &str, secs: i64) -> Result<bool, Unavailable> {
        let keys = issuers.find_signing_keys(ISSUER, Some(key), Time::from_secs(1_000_000 + secs)).await?;
        Ok(keys.has(key))
    }

    fn fetched(issuers: &Issuers<Pages>) -> usize {
        issuers.documents.fetched.load(Ordering::Relaxed)
    }

    #[tokio::test]
    async fn keys_are_fetched_once_and_again_after_a_while() {
        let issuers = issuers(Pages::default());
        for (secs, times) in [(0, 1), (1, 1), (599, 1), (600, 2), (1199, 2)] {
            assert!(has(&issuers, "a", secs).await.unwrap());
            assert_eq!(fetched(&issuers), times, "at {secs}");
        }
    }

    #[tokio::test]
    async fn a_new_key_is_found_and_an_invented_one_is_not_asked_for_all_the_time() {
        let issuers = issuers(Pages::default());
        assert!(!has(&issuers, "b", 0).await.unwrap());
        issuers.documents.keys.lock().unwrap().push("b");
        assert!(!has(&issuers, "b", 29).await.unwrap());
        assert_eq!(fetched(&issuers), 1);
        assert!(has(&issuers, "b", 30).await.unwrap());
        for _ in 0..5 {
            assert!(!has(&issuers, "c", 31).await.unwrap());
        }
        assert_eq!(fetched(&issuers), 2);
    }

    #[tokio::test]
    async fn an_outage_is_an_error_once_the_keys_are_old_and_at_once_for_a_key_that_may_be_new() {
        let issuers = issuers(Pages::default());
        assert!(has(&issuers, "a", 0).await.unwrap());
        *issuers.documents.down.lock().unwrap() = true;
        assert!(has(&issuers, "b", 60).await.is_err(), "neither known nor unknown");
        assert!(has(&issuers, "a", 700).await.unwrap());
        assert!(has(&issuers, "a", 3599).await.unwrap());
        assert!(has(&issuers, "a", 3600).await.is_err());
        *issuers.documents.down.lock().unwrap() = false;
        assert!(has(&issuers, "a", 3630).await.unwrap());
    }

    #[tokio::test]
    async fn an_outage_is_no_denial_of_a_key_that_may_be_new_however_often_it_is_asked_for() {
        let issuers = issuers(Pages::default());
        assert!(has(&issuers, "a", 0).await.unwrap());
        *issuers.documents.down.lock().unwrap() = true;
        for secs in [60, 61, 89, 90, 700, 701] {
            assert!(has(&issuers, "b", secs).await.is_err(), "at {secs}");
            assert!(has(&issuers, "a", secs).await.unwrap(), "at {secs}");
        }
        issuers.documents.keys.lock().unwrap().push("b");
        *issuers.documents.down.lock().unwrap() = false;
        assert!(has(&issuers, "b", 730).await.unwrap());
    }

    #[tokio::test]
    async fn an_issuer_that_does_not_answer_is_an_error_each_time_and_seldom_asked() {
        let issuers = issuers(Pages { down: Mutex::new(true), ..Pages::default() });
        for (secs, times) in [(0, 1), (1, 1), (29, 1), (30, 2), (59, 2), (60, 3)] {
            assert!(has(&issuers, "a", secs).await.is_err());
            assert_eq!(issuers.documents.asked.load(Ordering::Relaxed), times, "at {secs}");
        }
    }

    #[tokio::test]
    async fn a_document_that_leads_astray_is_not_followed() {
        for pages in [
            Pages { named: Some("https://id.example.org"), ..Pages::default() },
            Pages { keys_at: Some("http://keys.example.org/jwks"), ..Pages::default() },
            Pages { keys_at: Some("https://169.254.169.254/jwks"), ..Pages::default() },
        ] {
            assert!(has(&issuers(pages), "a", 0).await.is_err());
        }
    }

    #[tokio::test]
    async fn a_name_of_a_private_address_is_not_connected_to() {
        assert!(Within(Reach::Internet).resolve_dns("localhost").await.is_err());
        assert!(Within(Reach::ThisMachine).resolve_dns("localhost").await.is_ok());
        for url in ["http://127.0.0.1:1/", "https://127.0.0.1/", "https://localhost/"] {
            assert!(Web::new(Reach::Internet).fetch_document(url).await.is_err(), "{url}");
        }
    }
}

//! The real SDK, and raw HTTP where it matters, against a served store.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_s3::config::{BehaviorVersion, Region};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use futures::FutureExt;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Durability, Notify, S3, open};
use crate::faults::Faults;
use crate::iam::{Identities, Identity, References, Statement};
use crate::template::model::{Bucket, BucketCors, Notification};

mod access;
mod cors;
mod forms;
mod integrity;
mod listing;
mod multipart;
mod notifications;
mod objects;
mod storage;

const BUCKET: &str = "pictures";
const QUEUE: &str = "arn:aws:sqs:eu-west-1:000000000000:uploads";

/// A served store, and what it has sent to queues.
struct Stack {
    s3: S3,
    address: SocketAddr,
    sent: Arc<Mutex<Vec<(String, String)>>>,
    root: TempDir,
    shutdown: CancellationToken,
    server: JoinHandle<std::io::Result<()>>,
}

impl Stack {
    async fn start() -> Self {
        Self::with_bucket(bucket(BUCKET)).await
    }

    async fn with_bucket(bucket: Bucket) -> Self {
        Self::open(tempfile::tempdir().unwrap(), vec![bucket], false).await
    }

    async fn open(root: TempDir, buckets: Vec<Bucket>, deaf: bool) -> Self {
        let sent = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&sent);
        let notify: Notify = Arc::new(move |queue, body| {
            let log = Arc::clone(&log);
            async move {
                if deaf {
                    return Err("the queue is away".to_owned());
                }
                log.lock().unwrap().push((queue, body));
                Ok(())
            }
            .boxed()
        });
        let s3 = open(root.path(), Durability::Synced, &buckets, identities(), notify).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let server = tokio::spawn(s3.clone().serve(listener, Faults::default(), shutdown.clone()));
        Self { s3, address, sent, root, shutdown, server }
    }

    /// Stops the server and lets go of the directory, as the end of the process would.
    async fn stop(self) -> TempDir {
        self.shutdown.cancel();
        self.server.await.unwrap().unwrap();
        // Spawned writes hold the store for a moment longer than their answers take.
        let state = Arc::downgrade(&self.s3.0);
        drop(self.s3);
        wait_for(|| state.strong_count() == 0).await;
        self.root
    }

    fn client(&self) -> aws_sdk_s3::Client {
        self.client_of("root")
    }

    fn client_of(&self, name: &str) -> aws_sdk_s3::Client {
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build_https();
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-west-1"))
            .endpoint_url(format!("http://{}", self.address))
            .force_path_style(true)
            .retry_config(aws_sdk_s3::config::retry::RetryConfig::disabled())
            .credentials_provider(Credentials::new(
                name,
                format!("{name}-secret"),
                Some("a session".to_owned()),
                None,
                "test",
            ))
            .http_client(http)
            .build();
        aws_sdk_s3::Client::from_conf(config)
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    async fn put(&self, key: &str, body: &[u8]) {
        let body = ByteStream::from(body.to_vec());
        self.client().put_object().bucket(BUCKET).key(key).body(body).send().await.unwrap();
    }

    async fn read(&self, key: &str) -> Vec<u8> {
        let object = self.client().get_object().bucket(BUCKET).key(key).send().await.unwrap();
        object.body.collect().await.unwrap().to_vec()
    }

    async fn keys(&self) -> Vec<String> {
        self.s3.list(BUCKET).await.unwrap().into_iter().map(|(key, _)| key).collect()
    }

    /// How many files the bucket's directory holds.
    fn files(&self) -> usize {
        std::fs::read_dir(self.root.path().join(BUCKET)).unwrap().count()
    }

    fn sent(&self) -> Vec<serde_json::Value> {
        let sent = self.sent.lock().unwrap();
        sent.iter().map(|(_, body)| serde_json::from_str(body).unwrap()).collect()
    }
}

fn bucket(name: &str) -> Bucket {
    Bucket {
        id: "Pictures".to_owned(),
        name: name.to_owned(),
        cors: Vec::new(),
        notifications: Vec::new(),
        expire_after: None,
    }
}

fn notifying(events: &[&str], prefix: &str, suffix: &str) -> Bucket {
    let notification = Notification {
        queue: QUEUE.to_owned(),
        events: events.iter().map(|&event| event.to_owned()).collect(),
        prefix: prefix.to_owned(),
        suffix: suffix.to_owned(),
    };
    Bucket { notifications: vec![notification], ..bucket(BUCKET) }
}

/// `root` may do everything, `reader` only read and `writer` only write under `in/`, `nobody` nothing.
fn identities() -> Arc<Identities> {
    let identity = |name: &str, statements: Option<Vec<Statement>>| Identity {
        name: name.to_owned(),
        access_key: name.to_owned(),
        secret_key: format!("{name}-secret"),
        statements,
        references: References::default(),
    };
    let allow = |actions: &[&str], resource: &str| Statement {
        sid: None,
        allow: true,
        actions: actions.iter().map(|&action| action.to_owned()).collect(),
        resources: vec![resource.to_owned()],
        conditions: serde_json::Map::new(),
    };
    let objects = "arn:aws:s3:::pictures/in/*";
    let mut browse = allow(&["s3:ListBucket"], "arn:aws:s3:::pictures");
    browse.conditions = serde_json::from_str(r#"{"StringLike":{"s3:prefix":"in/*"}}"#).unwrap();
    Arc::new(Identities::new([
        identity("root", None),
        identity("reader", Some(vec![allow(&["s3:GetObject"], objects)])),
        identity("writer", Some(vec![allow(&["s3:PutObject", "s3:DeleteObject"], objects)])),
        identity("browser", Some(vec![browse])),
        identity("nobody", Some(vec![])),
    ]))
}

/// The code of the error that S3 answered with.
#[track_caller]
fn code<T: std::fmt::Debug, E: ProvideErrorMetadata + std::fmt::Debug>(
    result: Result<T, SdkError<E>>,
) -> String {
    let error = result.expect_err("the request should be refused");
    error.code().unwrap_or_else(|| panic!("no code in {error:?}")).to_owned()
}

#[track_caller]
fn status<T: std::fmt::Debug, E: std::fmt::Debug>(result: Result<T, SdkError<E>>) -> u16 {
    let error = result.expect_err("the request should be refused");
    error.raw_response().unwrap_or_else(|| panic!("no response in {error:?}")).status().as_u16()
}

/// Waits until a condition holds, for ten seconds at most.
async fn wait_for(condition: impl Fn() -> bool) {
    let poll = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), poll).await.expect("the condition never held");
}

/// Plain HTTP, without the SDK's ideas.
fn http() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

fn cors_rule(origins: &[&str], methods: &[&str], headers: &[&str]) -> BucketCors {
    let owned = |all: &[&str]| all.iter().map(|&one| one.to_owned()).collect();
    BucketCors {
        origins: owned(origins),
        methods: owned(methods),
        headers: owned(headers),
        expose: vec!["ETag".to_owned()],
        max_age: Some(600),
    }
}

/// For URLs that a test uses at once.
fn hour() -> PresigningConfig {
    PresigningConfig::expires_in(Duration::from_hours(1)).unwrap()
}

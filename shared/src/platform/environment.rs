//! What a function's environment says, read once at its start.

use std::env;
use std::num::NonZeroU32;
use std::sync::OnceLock;
use std::time::Duration;

use super::limiter::{Limiter, Rates};
use super::{Issuers, SystemClock, SystemRandom, Web, clients, telemetry};
use crate::domain::issuer::Reach;
use crate::domain::rate::Rate;
use crate::media::{Buckets, Media};
use crate::store::Store;

/// A variable that the template should have set.
#[derive(Debug, thiserror::Error)]
#[error("the environment variable {name} must be {expected}")]
pub struct InvalidEnvironment {
    name: &'static str,
    expected: &'static str,
}

/// A function's environment: where things are, and what gives out time and randomness.
#[derive(Debug, Clone)]
pub struct Environment {
    region: String,
}

impl Environment {
    /// Reads it, and starts the log.
    pub fn load() -> Result<Self, InvalidEnvironment> {
        telemetry::start();
        Self::read()
    }

    /// Reads it.
    pub(super) fn read() -> Result<Self, InvalidEnvironment> {
        Ok(Self { region: variable("AWS_REGION")? })
    }

    /// The table.
    pub fn store(&self) -> Result<Store, InvalidEnvironment> {
        // Whoever asks for it shares the one connection.
        static CLIENT: OnceLock<aws_sdk_dynamodb::Client> = OnceLock::new();
        let client = CLIENT.get_or_init(|| {
            let config = clients::config(self.region.clone());
            clients::dynamodb(&config, optional("AWS_ENDPOINT_URL_DYNAMODB").as_deref())
        });
        Ok(Store::new(client.clone(), variable("TABLE_NAME")?))
    }

    /// The buckets.
    pub fn media(&self) -> Media {
        let config = clients::config(self.region.clone());
        let endpoint = optional("AWS_ENDPOINT_URL_S3");
        let buckets = Buckets {
            uploads: optional("UPLOADS_BUCKET").unwrap_or_default(),
            originals: optional("ORIGINALS_BUCKET").unwrap_or_default(),
            variants: optional("VARIANTS_BUCKET").unwrap_or_default(),
        };
        let client = clients::s3(&config, endpoint.as_deref());
        Media::new(client, clients::credentials(), self.region.clone(), endpoint, buckets)
    }

    /// Where issuers of tokens may be. On this machine only where the local stack says so: the template never
    /// does.
    pub fn reach(&self) -> Reach {
        match optional("ALLOW_LOOPBACK_ISSUERS").as_deref() {
            Some("true") => Reach::ThisMachine,
            Some(_) | None => Reach::Internet,
        }
    }

    /// The keys of issuers.
    pub fn issuers(&self) -> Issuers<Web> {
        let reach = self.reach();
        Issuers::new(Web::new(reach), reach)
    }

    /// What holds callers to a rate.
    pub(super) fn limiter(&self) -> Result<Limiter<Store>, InvalidEnvironment> {
        let reads = rate(("READS_PER_SECOND", 200), ("READ_BURST", 400))?;
        let writes = rate(("WRITES_PER_SECOND", 50), ("WRITE_BURST", 100))?;
        Ok(Limiter::new(self.store()?, Rates { reads, writes }))
    }

    /// Ids and secrets.
    pub const fn random(&self) -> SystemRandom {
        SystemRandom
    }

    /// Time.
    pub const fn clock(&self) -> SystemClock {
        SystemClock
    }

    /// How long an image stays in the trash.
    pub fn trash_retention(&self) -> Result<Duration, InvalidEnvironment> {
        let invalid = InvalidEnvironment { name: "TRASH_DAYS", expected: "a number of days" };
        let days: u32 = variable("TRASH_DAYS")?.parse().map_err(|_| invalid)?;
        Ok(Duration::from_secs(u64::from(days) * 24 * 3600))
    }

    /// The function's memory in bytes, as Lambda says it.
    pub fn memory(&self) -> Result<u64, InvalidEnvironment> {
        let name = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE";
        let invalid = InvalidEnvironment { name, expected: "a number of megabytes" };
        let megabytes: u64 = variable(name)?.parse().map_err(|_| invalid)?;
        Ok(megabytes * 1024 * 1024)
    }
}

fn rate(per_second: (&'static str, u32), burst: (&'static str, u32)) -> Result<Rate, InvalidEnvironment> {
    let number = |(name, default): (&'static str, u32)| match optional(name) {
        None => Ok(NonZeroU32::new(default).unwrap_or(NonZeroU32::MIN)),
        Some(text) => text.parse().map_err(|_| InvalidEnvironment { name, expected: "a number of requests" }),
    };
    Ok(Rate::new(number(per_second)?, number(burst)?))
}

fn optional(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn variable(name: &'static str) -> Result<String, InvalidEnvironment> {
    optional(name).ok_or(InvalidEnvironment { name, expected: "set" })
}

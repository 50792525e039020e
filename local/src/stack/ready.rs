//! What a running stack says of itself.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Listeners, REGION};
use crate::iam::Identity;
use crate::template::model::Deployment;

/// Where everything is, and how to get in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ready {
    /// The API's base URL.
    pub api: String,
    /// S3's endpoint.
    pub s3: String,
    /// DynamoDB's endpoint.
    pub dynamodb: String,
    /// SQS's endpoint.
    pub sqs: String,
    /// A page about the stack.
    pub stack: String,
    /// The first project.
    pub project: String,
    /// Its API key.
    pub key: String,
    /// An access key that may do everything, for the AWS command line.
    pub access_key: String,
    /// Its secret.
    pub secret_key: String,
    /// The region to name.
    pub region: String,
    /// The physical names of tables, buckets and queues by their logical ids.
    pub resources: BTreeMap<String, String>,
}

impl Ready {
    pub(super) fn new(listeners: &Listeners, root: &Identity, deployment: &Deployment) -> Self {
        let tables = deployment.tables.iter().map(|table| (table.id.clone(), table.name.clone()));
        let buckets = deployment.buckets.iter().map(|bucket| (bucket.id.clone(), bucket.name.clone()));
        let queues = deployment.queues.iter().map(|queue| (queue.id.clone(), queue.name.clone()));
        Self {
            api: listeners.api_url(),
            s3: listeners.s3_url(),
            dynamodb: listeners.dynamodb_url(),
            sqs: listeners.sqs_url(),
            stack: format!("{}/_tintype/", listeners.api_url()),
            project: String::new(),
            key: String::new(),
            access_key: root.access_key.clone(),
            secret_key: root.secret_key.clone(),
            region: REGION.to_owned(),
            resources: tables.chain(buckets).chain(queues).collect(),
        }
    }

    /// Writes it to a file, whole or not at all: whoever waits for the file may read it at once.
    pub fn write(&self, file: &Path) -> io::Result<()> {
        write_private(file, &serde_json::to_vec_pretty(self)?)
    }

    /// Makes sure that a file can be written later, and that nobody finds an old one until then.
    pub fn prepare(file: &Path) -> io::Result<()> {
        write_private(file, b"")?;
        std::fs::remove_file(file)
    }

    /// Leaves word for `tintype upload`. That it cannot be left is no reason not to run.
    pub fn remember(&self) {
        let file = remembered();
        let written = file.parent().map(std::fs::create_dir_all).transpose().and_then(|_| self.write(&file));
        if let Err(error) = written {
            tracing::debug!(%error, "the stack leaves no word of itself");
        }
    }

    /// The stack that runs in this directory.
    pub fn recall() -> Option<Self> {
        serde_json::from_slice(&std::fs::read(remembered()).ok()?).ok()
    }

    /// Takes the word back, unless another stack has left its own in the meantime.
    pub fn forget(&self) {
        if Self::recall().is_some_and(|remembered| remembered.api == self.api) {
            let _ = std::fs::remove_file(remembered());
        }
    }
}

fn remembered() -> PathBuf {
    PathBuf::from(".tintype").join("stack.json")
}

/// Writes a file that only its owner reads, by way of a temporary one.
pub fn write_private(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let mut temporary = tempfile::NamedTempFile::new_in(directory)?;
    temporary.write_all(bytes)?;
    temporary.as_file().sync_all()?;
    temporary.persist(file)?;
    Ok(())
}

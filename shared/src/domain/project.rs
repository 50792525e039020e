//! Projects: the tenants.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::issuer::Issuer;
use super::quota::Limits;
use super::{ProjectId, Secret, Time};

/// A tenant. Everything else belongs to exactly one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// What its owner calls it.
    pub name: String,
    /// The keys that sign delivery paths and cursors: the first signs, any of them verifies, so that a
    /// key can be replaced without breaking the paths in circulation.
    pub signing_keys: Vec<Secret>,
    /// How its pictures are treated.
    #[serde(default)]
    pub settings: Settings,
    /// How much it may keep.
    #[serde(default)]
    pub limits: Limits,
    /// Whose users it trusts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub issuers: Vec<Issuer>,
    /// Rises with every change.
    #[serde(default)]
    pub version: u64,
    /// When it was made.
    pub created_at: Time,
}

/// What a list shows of a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProjectSummary {
    /// Its id.
    pub id: ProjectId,
    /// What its owner calls it.
    pub name: String,
    /// How much it may keep.
    pub limits: Limits,
    /// When it was made.
    pub created_at: Time,
}

impl Project {
    /// A project as it is made: nothing kept that could betray somebody.
    pub fn new(id: ProjectId, name: String, signing_keys: Vec<Secret>, now: Time) -> Self {
        Self {
            id,
            name,
            signing_keys,
            settings: Settings::default(),
            limits: Limits::default(),
            issuers: vec![],
            version: 1,
            created_at: now,
        }
    }

    /// What a list shows of it.
    pub fn summary(&self) -> ProjectSummary {
        let Self { id, name, limits, created_at, .. } = self;
        ProjectSummary { id: *id, name: name.clone(), limits: *limits, created_at: *created_at }
    }
}

/// How a project's pictures are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Settings {
    /// Whether images know the place where they were taken.
    #[serde(default)]
    pub keep_location: bool,
    /// Whether renderings say whose they are.
    #[serde(default)]
    pub keep_copyright: bool,
}

//! Projects: the tenants.

use serde::{Deserialize, Serialize};

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
            created_at: now,
        }
    }
}

/// How a project's pictures are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Settings {
    /// Whether images know the place where they were taken.
    #[serde(default)]
    pub keep_location: bool,
    /// Whether renderings say whose they are.
    #[serde(default)]
    pub keep_copyright: bool,
}

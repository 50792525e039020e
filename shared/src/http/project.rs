//! Projects as the API shows them, and as it takes them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{FieldError, Patched, Problem};
use crate::domain::issuer::{InvalidIssuer, Issuer, Reach};
use crate::domain::project::Settings;
use crate::domain::quota::Limits;
use crate::domain::{Project, ProjectId, Scope, Time};

/// A project, without the keys that it signs with.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Project, examples(json!({
    "id": "prj_01M5GZNY40J4Q2W8N5R7X3Z9BD", "name": "Harbour",
    "settings": { "keep_location": false, "keep_copyright": false },
    "limits": { "bytes": 107_374_182_400_u64, "images": 1_000_000 }, "issuers": [],
    "created_at": "2026-11-21T05:00:00.000Z",
})))]
pub struct ProjectView<'a> {
    id: ProjectId,
    name: &'a str,
    settings: Settings,
    limits: Limits,
    issuers: &'a [Issuer],
    created_at: Time,
}

impl<'a> ProjectView<'a> {
    /// Shows a project.
    pub fn new(project: &'a Project) -> Self {
        let Project { id, name, settings, limits, issuers, created_at, .. } = project;
        Self { id: *id, name, settings: *settings, limits: *limits, issuers, created_at: *created_at }
    }

    /// The entity tag of this view.
    pub fn etag(project: &Project) -> String {
        format!("\"{}\"", project.version)
    }
}

/// What a request says of a project's settings; what it does not name stays, and what is `null` is as it is for a
/// new project.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SettingsPatch {
    #[serde(default)]
    #[schema(value_type = Option<bool>)]
    keep_location: Patched<bool>,
    #[serde(default)]
    #[schema(value_type = Option<bool>)]
    keep_copyright: Patched<bool>,
}

impl SettingsPatch {
    /// The settings as the request wants them.
    pub fn apply(self, to: Settings) -> Settings {
        let new = Settings::default();
        Settings {
            keep_location: self.keep_location.of(to.keep_location, new.keep_location),
            keep_copyright: self.keep_copyright.of(to.keep_copyright, new.keep_copyright),
        }
    }
}

/// What a request says of a project's limits; what it does not name stays, and what is `null` is as it is for a
/// new project.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitsPatch {
    #[serde(default)]
    #[schema(value_type = Option<u64>)]
    bytes: Patched<u64>,
    #[serde(default)]
    #[schema(value_type = Option<u64>)]
    images: Patched<u64>,
}

impl LimitsPatch {
    /// The limits as the request wants them.
    pub fn apply(self, to: Limits) -> Limits {
        let new = Limits::default();
        Limits { bytes: self.bytes.of(to.bytes, new.bytes), images: self.images.of(to.images, new.images) }
    }
}

/// An issuer that a project wants to trust.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewIssuer {
    issuer: String,
    audience: String,
    user_claim: Option<String>,
    user_prefix: Option<String>,
    scopes: Option<Vec<Scope>>,
    scopes_claim: Option<String>,
}

impl NewIssuer {
    /// All of them, if they can be trusted together.
    pub fn check_all(new: Vec<Self>, reach: Reach) -> Result<Vec<Issuer>, Problem> {
        let issuers: Vec<_> = new.into_iter().map(Self::filled).collect();
        Issuer::check_all(&issuers, reach).map_err(|InvalidIssuer { index, field, expected }| {
            let pointer = match field {
                "" => format!("/issuers/{index}"),
                field => format!("/issuers/{index}/{field}"),
            };
            Problem::invalid_fields(vec![FieldError { pointer, detail: expected.to_owned() }])
        })?;
        Ok(issuers)
    }

    fn filled(self) -> Issuer {
        Issuer {
            issuer: self.issuer,
            audience: self.audience,
            user_claim: self.user_claim.unwrap_or_else(|| "sub".into()),
            user_prefix: self.user_prefix.unwrap_or_default(),
            scopes: self.scopes.unwrap_or_else(|| Scope::OF_USERS.into()),
            scopes_claim: self.scopes_claim,
        }
    }
}

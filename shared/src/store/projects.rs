//! Projects.

use std::future::Future;
use std::sync::Mutex;
use std::time::Duration;

use super::api_keys::key_item;
use super::item::{Item, decode, encode, number, primary_key, text, unavailable};
use super::transaction::{Expression, Part, Transaction};
use super::{Store, issuers, keys};
use crate::domain::error::{ChangeProjectError, WriteError};
use crate::domain::idempotency::Record;
use crate::domain::page::{Page, PlainQuery};
use crate::domain::project::ProjectSummary;
use crate::domain::{ApiKey, Project, ProjectId, Time, Unavailable};

/// Makes a project with its first key.
pub trait CreateProject {
    /// Writes both, and the record of the attempt, or nothing.
    fn create_project(
        &self, project: &Project, key: &ApiKey, once: Option<&Record>,
    ) -> impl Future<Output = Result<(), WriteError>> + Send;
}

/// Reads a project.
pub trait FindProject {
    /// The project by this id, if there is one.
    fn find_project(
        &self, project: ProjectId, now: Time,
    ) -> impl Future<Output = Result<Option<Project>, Unavailable>> + Send;
}

/// Reads a page of all projects.
pub trait ListProjects {
    /// The projects, the newest first.
    fn list_projects(
        &self, query: &PlainQuery<ProjectId>,
    ) -> impl Future<Output = Result<Page<ProjectSummary, ProjectId>, Unavailable>> + Send;
}

/// Writes a change of a project.
pub trait CommitProject {
    /// Writes the project, if it still is at the version that it had `before`, and where its issuers lead.
    fn commit_project(
        &self, before: &Project, project: &Project,
    ) -> impl Future<Output = Result<(), WriteError>> + Send;
}

/// How often a change is tried before the caller is told to come back later.
const ATTEMPTS: u32 = 5;

/// Applies a rule to a project as it is now and writes what comes of it, if anything does.
pub async fn change_project(
    projects: &(impl FindProject + CommitProject), id: ProjectId, expected: Option<&[u64]>, now: Time,
    decide: impl Fn(&Project) -> Project,
) -> Result<Project, ChangeProjectError> {
    for _ in 0..ATTEMPTS {
        let found = projects.find_project(id, now).await.map_err(ChangeProjectError::Unavailable)?;
        let before = found.ok_or(ChangeProjectError::NotFound)?;
        if expected.is_some_and(|versions| !versions.contains(&before.version)) {
            return Err(ChangeProjectError::Stale { current: before.version });
        }
        let after = decide(&before);
        if after == before {
            return Ok(before);
        }
        let after = Project { version: before.version + 1, ..after };
        match projects.commit_project(&before, &after).await {
            Ok(()) => return Ok(after),
            // Projects' changes are told apart by what they become, not by records.
            Err(WriteError::Conflict | WriteError::Repeated(_)) => {}
            Err(WriteError::Taken(index)) => return Err(ChangeProjectError::IssuerTaken(index)),
            Err(WriteError::Unavailable(e)) => return Err(ChangeProjectError::Unavailable(e)),
        }
    }
    Err(ChangeProjectError::Contended)
}

fn project_item(operation: &'static str, project: &Project) -> Result<Item, Unavailable> {
    let mut at = primary_key(keys::project(project.id), "PROJECT");
    at.insert("GSI1PK".into(), text("PROJECTS"));
    at.insert("GSI1SK".into(), text(project.id.to_string()));
    let mut item = encode(operation, "project", at, project)?;
    let summary =
        serde_dynamo::to_attribute_value(project.summary()).map_err(|e| Unavailable::new(operation, e))?;
    item.insert("summary".into(), summary);
    Ok(item)
}

impl CreateProject for Store {
    async fn create_project(
        &self, project: &Project, key: &ApiKey, once: Option<&Record>,
    ) -> Result<(), WriteError> {
        const OPERATION: &str = "create_project";
        let absent = || Some(Expression::new("attribute_not_exists(PK)"));
        let items = || Ok([project_item(OPERATION, project)?, key_item(OPERATION, key)?]);
        let mut transaction = Transaction::new(&self.table, OPERATION);
        for item in items().map_err(WriteError::Unavailable)? {
            transaction.put(Part::Subject, item, absent()).map_err(WriteError::Unavailable)?;
        }
        self.write_once(transaction, once).await
    }
}

impl ListProjects for Store {
    async fn list_projects(
        &self, query: &PlainQuery<ProjectId>,
    ) -> Result<Page<ProjectSummary, ProjectId>, Unavailable> {
        #[derive(serde::Deserialize)]
        struct Row {
            summary: ProjectSummary,
        }
        let start = query.after.map(|after| {
            let mut key = primary_key(keys::project(after), "PROJECT");
            key.insert("GSI1PK".into(), text("PROJECTS"));
            key.insert("GSI1SK".into(), text(after.to_string()));
            key
        });
        let (rows, more) = self.page("list_projects", "PROJECTS", start, query.limit).await?;
        let rows: Vec<_> = rows.into_iter().map(|row: Row| row.summary).collect();
        let after = rows.last().filter(|_| more).map(|row| row.id);
        Ok(Page { rows, after })
    }
}

impl CommitProject for Store {
    async fn commit_project(&self, before: &Project, project: &Project) -> Result<(), WriteError> {
        const OPERATION: &str = "commit_project";
        let mut transaction = Transaction::new(&self.table, OPERATION);
        // The first projects had no version.
        let same = "attribute_exists(PK) AND (version = :version OR attribute_not_exists(version))";
        let same = Expression::new(same).value(":version", number(before.version));
        let item = project_item(OPERATION, project).map_err(WriteError::Unavailable)?;
        transaction.put(Part::Subject, item, Some(same)).map_err(WriteError::Unavailable)?;
        issuers::moves(&mut transaction, OPERATION, before, project).map_err(WriteError::Unavailable)?;
        self.write_once(transaction, None).await
    }
}

impl FindProject for Store {
    async fn find_project(&self, project: ProjectId, _now: Time) -> Result<Option<Project>, Unavailable> {
        const OPERATION: &str = "find_project";
        let found = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(primary_key(keys::project(project), "PROJECT")))
            // What it is remembered for costs more than what a strong read does.
            .consistent_read(true)
            .send()
            .await
            .map_err(|e| unavailable(OPERATION, e))?;
        found.item.map(|item| decode(OPERATION, item)).transpose()
    }
}

/// How long a function believes what it read of a project. A signing key is therefore added this long
/// before it signs, and kept this long after it last did.
const BELIEVED_FOR: Duration = Duration::from_mins(1);
/// How many projects a function remembers.
const REMEMBERED: usize = 256;

/// Projects that this process has read lately, so that signing costs no request of its own.
#[derive(Debug)]
pub struct KnownProjects<P> {
    projects: P,
    known: Mutex<Vec<(Time, Project)>>,
}

impl<P> KnownProjects<P> {
    /// Remembers what `projects` finds.
    pub const fn new(projects: P) -> Self {
        Self { projects, known: Mutex::new(Vec::new()) }
    }
}

impl<P: FindProject + Sync> FindProject for KnownProjects<P> {
    async fn find_project(&self, id: ProjectId, now: Time) -> Result<Option<Project>, Unavailable> {
        let fresh = |read_at: Time| now.since(read_at) < BELIEVED_FOR;
        {
            let known = self.known.lock().expect("nothing panics while holding this lock");
            if let Some((_, project)) = known.iter().find(|(read_at, p)| p.id == id && fresh(*read_at)) {
                return Ok(Some(project.clone()));
            }
        }
        let found = self.projects.find_project(id, now).await?;
        if let Some(project) = &found {
            let mut known = self.known.lock().expect("nothing panics while holding this lock");
            known.retain(|(read_at, p)| p.id != id && fresh(*read_at));
            if known.len() >= REMEMBERED {
                // The oldest is the first.
                known.remove(0);
            }
            known.push((now, project.clone()));
        }
        Ok(found)
    }
}

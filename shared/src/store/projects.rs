//! Projects.

use std::future::Future;
use std::sync::Mutex;
use std::time::Duration;

use aws_sdk_dynamodb::types::{Put, TransactWriteItem};

use super::api_keys::key_item;
use super::item::{decode, encode, primary_key, text, unavailable};
use super::{Store, keys};
use crate::domain::{ApiKey, Project, ProjectId, Time, Unavailable};

/// Makes a project with its first key.
pub trait CreateProject {
    /// Writes both, or neither.
    fn create_project(
        &self, project: &Project, key: &ApiKey,
    ) -> impl Future<Output = Result<(), Unavailable>> + Send;
}

/// Reads a project.
pub trait FindProject {
    /// The project by this id, if there is one.
    fn find_project(
        &self, project: ProjectId, now: Time,
    ) -> impl Future<Output = Result<Option<Project>, Unavailable>> + Send;
}

impl CreateProject for Store {
    async fn create_project(&self, project: &Project, key: &ApiKey) -> Result<(), Unavailable> {
        const OPERATION: &str = "create_project";
        let mut at = primary_key(keys::project(project.id), "PROJECT");
        at.insert("GSI1PK".into(), text("PROJECTS"));
        at.insert("GSI1SK".into(), text(project.id.to_string()));
        let project_item = encode(OPERATION, "project", at, project)?;
        let key_item = key_item(OPERATION, key)?;
        let mut transaction = self.client.transact_write_items();
        for item in [project_item, key_item] {
            let put = Put::builder()
                .table_name(&self.table)
                .set_item(Some(item))
                .condition_expression("attribute_not_exists(PK)")
                .build()
                .map_err(|e| Unavailable::new(OPERATION, e))?;
            transaction = transaction.transact_items(TransactWriteItem::builder().put(put).build());
        }
        transaction.send().await.map_err(|e| unavailable(OPERATION, e))?;
        Ok(())
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

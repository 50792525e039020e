//! Makes a project and its first API key. Invoked by the operator, not by HTTP: who may invoke it is IAM's
//! business, and a fresh deployment has nobody else to ask.
//!
//! The key is in the answer and nowhere else: only its hash is stored.

use serde::{Deserialize, Serialize};
use shared::domain::secret::Secrets;
use shared::domain::{ApiKey, Clock, Ids, KeyId, KeyToken, Project, ProjectId, Scope, Unavailable};
use shared::platform::{Environment, answer};
use shared::store::CreateProject;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewProject {
    name: String,
}

#[derive(Debug, Serialize)]
struct CreatedProject {
    project: ProjectId,
    key: String,
}

async fn create_project(
    projects: &impl CreateProject, random: &(impl Ids + Secrets), clock: &impl Clock, new: NewProject,
) -> Result<CreatedProject, Unavailable> {
    let now = clock.now();
    let project = Project {
        id: ProjectId::new(random.ulid()),
        name: new.name,
        signing_keys: vec![random.secret(), random.secret()],
        created_at: now,
    };
    let token = KeyToken { id: KeyId::new(random.ulid()), secret: random.secret() };
    let key = ApiKey::new(&token, project.id, vec![Scope::Admin], now);
    projects.create_project(&project, &key).await?;
    Ok(CreatedProject { project: project.id, key: token.expose_text() })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let env = Environment::load()?;
    let (projects, random, clock) = (env.store()?, env.random(), env.clock());
    let (projects, random, clock) = (&projects, &random, &clock);
    answer(|event| create_project(projects, random, clock, event)).await
}

//! Makes a project and its first API key. Invoked by the operator, not by HTTP: who may invoke it is IAM's
//! business, and a fresh deployment has nobody else to ask.
//!
//! The key is in the answer and nowhere else: only its hash is stored.

use serde::{Deserialize, Serialize};
use shared::domain::project::Settings;
use shared::domain::secret::Secrets;
use shared::domain::{ApiKey, Clock, Ids, KeyId, KeyToken, Project, ProjectId, Scope, Unavailable};
use shared::platform::{Environment, answer};
use shared::store::CreateProject;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewProject {
    name: String,
    /// Whether images know the place where they were taken.
    #[serde(default)]
    keep_location: bool,
    /// Whether renderings say whose they are.
    #[serde(default)]
    keep_copyright: bool,
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
    let settings = Settings { keep_location: new.keep_location, keep_copyright: new.keep_copyright };
    let signing_keys = vec![random.secret(), random.secret()];
    let project = Project::new(ProjectId::new(random.ulid()), new.name, signing_keys, now);
    let project = Project { settings, ..project };
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

#[cfg(test)]
mod tests {
    use super::*;
    use shared::domain::Time;
    use shared::platform::SystemRandom;
    use std::sync::Mutex;

    #[derive(Default)]
    struct Projects {
        written: Mutex<Option<(Project, ApiKey)>>,
        out_of_reach: bool,
    }

    impl CreateProject for Projects {
        async fn create_project(&self, project: &Project, key: &ApiKey) -> Result<(), Unavailable> {
            if self.out_of_reach {
                return Err(Unavailable::new("create_project", "no route to host"));
            }
            *self.written.lock().unwrap() = Some((project.clone(), key.clone()));
            Ok(())
        }
    }

    struct At(Time);

    impl Clock for At {
        fn now(&self) -> Time {
            self.0
        }
    }

    fn event() -> NewProject {
        serde_json::from_str(include_str!("../../../../events/create-project.json")).unwrap()
    }

    #[tokio::test]
    async fn the_answered_key_opens_the_written_project() {
        let (projects, now) = (Projects::default(), Time::from_secs(5));
        let created = create_project(&projects, &SystemRandom, &At(now), event()).await.unwrap();
        let (project, key) = projects.written.into_inner().unwrap().unwrap();
        let token: KeyToken = created.key.parse().unwrap();
        assert!(key.admits(&token, now));
        assert_eq!((created.project, key.project), (project.id, project.id));
        assert_eq!(project.name, "Harbour");
        assert_eq!(project.created_at, now);
        assert_eq!(key.scopes, [Scope::Admin]);
        assert!(!serde_json::to_string(&key).unwrap().contains(&token.secret.expose_text()));
    }

    #[tokio::test]
    async fn a_project_has_two_signing_keys_of_its_own() {
        let projects = Projects::default();
        create_project(&projects, &SystemRandom, &At(Time::from_secs(5)), event()).await.unwrap();
        let (project, _) = projects.written.into_inner().unwrap().unwrap();
        assert_eq!(project.signing_keys.len(), 2);
        assert_ne!(project.signing_keys[0], project.signing_keys[1]);
    }

    #[tokio::test]
    async fn no_key_is_shown_that_was_not_written() {
        let projects = Projects { out_of_reach: true, ..Projects::default() };
        assert!(create_project(&projects, &SystemRandom, &At(Time::from_secs(5)), event()).await.is_err());
    }

    #[test]
    fn a_misspelt_field_is_refused() {
        assert!(serde_json::from_str::<NewProject>(r#"{"name":"x","nmae":"y"}"#).is_err());
    }
}

//! `template.yaml` in, a [`Deployment`] out.

pub mod error;
pub mod model;
pub mod names;

mod api;
mod event;
mod function;
mod globals;
mod intrinsics;
mod parameters;
mod property;
mod references;
mod storage;
#[cfg(test)]
mod tests;
mod yaml;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use serde_json::{Map, Value};

use self::api::Api;
use self::error::TemplateError;
use self::intrinsics::{Scope, scalar};
use self::model::{Deployment, Table, Trigger};
use self::names::Kind;
use self::property::Property;
use self::yaml::Source;

/// A template as written, with what the command line changes in it.
#[derive(Debug, Clone)]
pub struct Template {
    source: Source,
    given: BTreeMap<String, String>,
}

/// What references need to know of the running stack.
#[derive(Debug, Clone)]
pub struct Context {
    /// Where the HTTP API answers, `http://127.0.0.1:3000`.
    pub api_url: String,
    /// Where SQS answers, `http://127.0.0.1:9324`; the address of every queue begins with it.
    pub queue_url: String,
}

/// What the resources of a template say of each other.
#[derive(Debug, Default)]
struct Catalogue {
    queues: Vec<String>,
    tables: Vec<Table>,
    api: Option<Api>,
}

impl Template {
    /// Reads a template's file.
    pub fn read(path: &Path) -> Result<Self, TemplateError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| TemplateError::Read { path: path.to_owned(), source })?;
        Self::parse(&text)
    }

    /// Reads a template's text.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        Ok(Self { source: yaml::parse(text)?, given: BTreeMap::new() })
    }

    /// Applies parameters (`Name=value`) and single properties (`Resource.Property=value`).
    pub fn with(
        mut self, parameters: &[impl AsRef<str>], overrides: &[impl AsRef<str>],
    ) -> Result<Self, TemplateError> {
        for assignment in parameters {
            let assignment = assignment.as_ref();
            let (name, value) = assignment.split_once('=').ok_or_else(|| TemplateError::Invalid {
                path: format!("--parameter {assignment}"),
                reason: "expected `Name=value`".to_owned(),
            })?;
            parameters::check_declared(&self.source.root, name)?;
            self.given.insert(name.to_owned(), value.to_owned());
        }
        for assignment in overrides {
            globals::set(&mut self.source.root, assignment.as_ref())?;
        }
        Ok(self)
    }

    /// Works out what the template deploys.
    pub fn resolve(&self, context: &Context) -> Result<Deployment, TemplateError> {
        let root = &self.source.root;
        references::check(root)?;
        let parameters = parameters::values(root, &self.given)?;
        let scope = Scope::new(root, &parameters, context);

        let mut resources = Vec::new();
        for id in &self.source.order {
            if let Some(resource) = self.resource(id, &scope)? {
                resources.push(resource);
            }
        }
        let catalogue = Catalogue::of(&resources)?;
        let mut deployment = Deployment::default();
        for resource in &resources {
            let (id, properties) = (resource.id, resource.properties());
            match resource.kind {
                Kind::Function => {
                    deployment.functions.push(function::read(id, &properties, &catalogue)?);
                }
                Kind::Bucket => {
                    deployment.buckets.push(storage::bucket(id, &properties, &catalogue)?);
                }
                Kind::Queue => deployment.queues.push(storage::queue(id, &properties, &catalogue)?),
                Kind::HttpApi | Kind::Table | Kind::Other => {}
            }
        }
        check_routes(&deployment)?;
        deployment.api = catalogue.api.map(|api| api.api);
        deployment.tables = catalogue.tables;
        deployment.outputs = outputs(root, &scope)?;
        Ok(deployment)
    }

    /// One resource with its properties resolved; `None` if it is not run, or not deployed.
    fn resource<'a>(&'a self, id: &'a str, scope: &Scope<'_>) -> Result<Option<Resource<'a>>, TemplateError> {
        let resource = &self.source.root["Resources"][id];
        let path = format!("Resources.{id}");
        let resource_type = resource["Type"]
            .as_str()
            .ok_or_else(|| TemplateError::Missing { path: format!("{path}.Type") })?;
        if !scope.is_deployed(id)? {
            return Ok(None);
        }
        let kind = Kind::of(resource_type);
        if kind == Kind::Other {
            return match instead(resource_type) {
                Some(instead) => Err(TemplateError::Unsupported {
                    path: format!("{path}.Type"),
                    what: format!("`{resource_type}` is not run locally: use {instead}"),
                }),
                None => Ok(None),
            };
        }
        let properties = globals::with_globals(&self.source.root, resource);
        let properties = scope.resolve(&properties, &path)?.unwrap_or_default();
        Ok(Some(Resource { id, kind, properties }))
    }
}

/// What to write instead of a resource that would be a trigger, a function or an API in production
/// and that the local stack would pass over.
fn instead(resource_type: &str) -> Option<&'static str> {
    match resource_type {
        "AWS::Lambda::EventSourceMapping" | "AWS::Scheduler::Schedule" => Some("the function's `Events`"),
        "AWS::Lambda::Function" => Some("`AWS::Serverless::Function`"),
        "AWS::Serverless::Api" => Some("`AWS::Serverless::HttpApi`"),
        "AWS::Serverless::SimpleTable" | "AWS::DynamoDB::GlobalTable" => Some("`AWS::DynamoDB::Table`"),
        other if other.starts_with("AWS::Serverless::") => Some("functions, queues and tables"),
        _ => None,
    }
}

struct Resource<'a> {
    id: &'a str,
    kind: Kind,
    properties: Value,
}

impl Resource<'_> {
    fn properties(&self) -> Property<'_> {
        Property::new(&self.properties, format!("Resources.{}", self.id))
    }
}

impl Catalogue {
    fn of(resources: &[Resource<'_>]) -> Result<Self, TemplateError> {
        let ids = |kind| resources.iter().filter(move |it| it.kind == kind).map(|it| it.id.to_owned());
        let functions: Vec<String> = ids(Kind::Function).collect();
        let mut catalogue = Self { queues: ids(Kind::Queue).collect(), ..Self::default() };
        for resource in resources {
            match resource.kind {
                Kind::Table => catalogue.tables.push(storage::table(resource.id, &resource.properties())?),
                Kind::HttpApi if catalogue.api.is_some() => {
                    return Err(resource.properties().unsupported("the local stack runs one HTTP API"));
                }
                Kind::HttpApi => {
                    catalogue.api = Some(api::read(&resource.properties(), &functions)?);
                }
                _ => {}
            }
        }
        let routed = |it: &Resource<'_>| {
            let events = it.properties["Events"].as_object().into_iter().flatten();
            events.into_iter().any(|(_, event)| event["Type"] == "HttpApi")
        };
        // SAM makes an API by itself for events that name none.
        if catalogue.api.is_none() && resources.iter().any(routed) {
            catalogue.api = Some(Api::default());
        }
        Ok(catalogue)
    }

    /// The ARN of a queue, if a queue of this template has it.
    fn queue(&self, property: &Property<'_>) -> Result<String, TemplateError> {
        let arn = property.string()?;
        if self.queues.iter().any(|id| names::arn(Kind::Queue, id) == arn) {
            return Ok(arn);
        }
        let name = arn.rsplit(['/', ':']).next().unwrap_or_default();
        let by_url = self.queues.iter().find(|id| names::physical_name(Kind::Queue, id) == name);
        Err(match by_url {
            Some(id) => {
                property.invalid(format!("expected the queue's ARN, `!GetAtt {id}.Arn`, not its address"))
            }
            None => property.invalid(format!("`{arn}` is not the ARN of a queue of this template")),
        })
    }

    /// The logical id of the table whose stream this is.
    fn stream(&self, property: &Property<'_>) -> Result<String, TemplateError> {
        let arn = property.string()?;
        let Some(table) =
            self.tables.iter().find(|table| arn == names::stream_arn(&table.id) || arn == table.arn)
        else {
            return Err(
                property.invalid(format!("`{arn}` is not the ARN of a table's stream in this template"))
            );
        };
        if arn == table.arn {
            return Err(
                property.invalid(format!("expected the stream's ARN, `!GetAtt {}.StreamArn`", table.id))
            );
        }
        if table.create.get("StreamSpecification").is_none() {
            return Err(property.invalid(format!("the table `{}` has no `StreamSpecification`", table.id)));
        }
        Ok(table.id.clone())
    }
}

/// Two functions on one route: AWS finds out when it deploys.
fn check_routes(deployment: &Deployment) -> Result<(), TemplateError> {
    let mut taken: HashMap<String, &str> = HashMap::new();
    for function in &deployment.functions {
        for trigger in &function.triggers {
            let Trigger::Http(route) = trigger else {
                continue;
            };
            // The names of path parameters do not tell routes apart.
            let shape: Vec<&str> = route
                .path
                .split('/')
                .map(|segment| match (segment.starts_with('{'), segment.ends_with("+}")) {
                    (true, true) => "{+}",
                    (true, false) => "{}",
                    _ => segment,
                })
                .collect();
            let key = format!("{} {}", route.method, shape.join("/"));
            if let Some(other) = taken.insert(key, &function.name) {
                return Err(TemplateError::DuplicateRoute {
                    path: format!("Resources.{}.Events", function.name),
                    route: format!("{} {}", route.method, route.path),
                    other: other.to_owned(),
                });
            }
        }
    }
    Ok(())
}

fn outputs(root: &Value, scope: &Scope<'_>) -> Result<BTreeMap<String, String>, TemplateError> {
    let none = Map::new();
    let mut outputs = BTreeMap::new();
    for (name, output) in root["Outputs"].as_object().unwrap_or(&none) {
        let path = format!("Outputs.{name}");
        if let Some(condition) = output["Condition"].as_str()
            && !scope.condition(condition, &format!("{path}.Condition"))?
        {
            continue;
        }
        let path = format!("{path}.Value");
        let value = scope.resolve(&output["Value"], &path)?.unwrap_or_default();
        outputs.insert(name.clone(), scalar(&value, &path)?);
    }
    Ok(outputs)
}

//! `AWS::Serverless::Function`.
//! <https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-resource-function.html>

use std::collections::BTreeMap;
use std::time::Duration;

use super::Catalogue;
use super::error::TemplateError;
use super::event;
use super::model::Function;
use super::names::{self, Kind};
use super::property::Property;
use crate::iam::Statement;

/// Reads one function.
pub fn read(id: &str, properties: &Property<'_>, catalogue: &Catalogue) -> Result<Function, TemplateError> {
    if let Some(role) = properties.get("Role")? {
        return Err(role.unsupported("roles are not run locally: write the statements under `Policies`"));
    }
    let code = properties.require("CodeUri")?;
    let uri = code.string()?;
    let binary = uri.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned();
    if binary.is_empty() || binary == "." {
        return Err(code.invalid("the last segment must be the name of the function's binary"));
    }
    let environment = match properties.get("Environment")? {
        Some(environment) => variables(&environment)?,
        None => BTreeMap::new(),
    };
    let mut triggers = Vec::new();
    if let Some(events) = properties.get("Events")? {
        for (name, event) in events.entries()? {
            triggers.extend(event::read(id, name, &event, catalogue)?);
        }
    }
    Ok(Function {
        name: id.to_owned(),
        arn: names::arn(Kind::Function, id),
        binary,
        timeout: properties
            .get("Timeout")?
            .map_or(Ok(Duration::from_secs(3)), |it| it.seconds_within(1..=900))?,
        memory_mb: properties.get("MemorySize")?.map_or(Ok(128), |it| it.within(128..=10_240))?,
        environment,
        statements: properties.get("Policies")?.map_or(Ok(Vec::new()), |it| statements(&it))?,
        triggers,
    })
}

fn variables(environment: &Property<'_>) -> Result<BTreeMap<String, String>, TemplateError> {
    let Some(variables) = environment.get("Variables")? else {
        return Ok(BTreeMap::new());
    };
    variables.entries()?.into_iter().map(|(name, value)| Ok((name.to_owned(), value.string()?))).collect()
}

/// The statements of the inline policies. Managed policies (`AWSLambdaBasicExecutionRole`) are about
/// services that only AWS has.
fn statements(policies: &Property<'_>) -> Result<Vec<Statement>, TemplateError> {
    let mut statements = Vec::new();
    for policy in policies.items() {
        if policy.value().is_string() {
            continue;
        }
        let Some(list) = policy.get("Statement")? else {
            let entries = policy.entries()?;
            let [(name, template)] = entries.as_slice() else {
                return Err(policy.expected("`Statement` or the name of a managed policy"));
            };
            return Err(template.unsupported(format!(
                "the policy template `{name}` is not expanded locally: write its statements under `Statement`"
            )));
        };
        for statement in list.items() {
            let parsed = Statement::parse(statement.value())
                .map_err(|source| TemplateError::Statement { path: statement.path().to_owned(), source })?;
            statements.push(parsed);
        }
    }
    Ok(statements)
}

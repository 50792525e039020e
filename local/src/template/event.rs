//! A function's `Events`: what triggers it.
//!
//! Properties that nothing here reads are refused rather than skipped: a trigger that silently
//! differs from production is worse than one that does not start.

use std::time::Duration;

use serde_json::Value;

use super::Catalogue;
use super::error::{TemplateError, nearest};
use super::model::{QueueMapping, Route, Schedule, StreamMapping, Trigger};
use super::names::{ACCOUNT, REGION, STACK};
use super::property::Property;
use crate::triggers::pattern::Pattern;
use crate::triggers::schedule::Expression;

/// The types of events that are run.
const TYPES: [&str; 5] = ["HttpApi", "SQS", "DynamoDB", "Schedule", "ScheduleV2"];

/// Reads one event; `None` if it is switched off.
pub fn read(
    function: &str, name: &str, event: &Property<'_>, catalogue: &Catalogue,
) -> Result<Option<Trigger>, TemplateError> {
    let kind = event.require("Type")?;
    let absent = Value::Null;
    // `Resources.GetImage.Events.Api.Path`: "Properties" in it would tell nobody anything.
    let properties = match event.get("Properties")? {
        Some(properties) => Property::new(properties.value(), event.path()),
        None => Property::new(&absent, event.path()),
    };
    let trigger = match kind.string()?.as_str() {
        "HttpApi" => return route(&properties, catalogue).map(|route| Some(Trigger::Http(route))),
        "SQS" => Trigger::Queue(queue(&properties, catalogue)?),
        "DynamoDB" => Trigger::Stream(stream(&properties, catalogue)?),
        "Schedule" => {
            properties.only(&[
                "Schedule",
                "Input",
                "Enabled",
                "State",
                "Name",
                "Description",
                "RetryPolicy",
                "DeadLetterConfig",
            ])?;
            Trigger::Schedule(Schedule {
                arn: format!("arn:aws:events:{REGION}:{ACCOUNT}:rule/{STACK}-{function}{name}"),
                expression: expression(&properties, "Schedule")?,
                input: input(&properties)?,
            })
        }
        "ScheduleV2" => Trigger::Schedule(schedule_v2(function, name, &properties)?),
        other => {
            let near =
                nearest(other, TYPES).map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            return Err(kind.unsupported(format!(
                "events of type `{other}` are not run locally; known are {}{near}",
                TYPES.join(", ")
            )));
        }
    };
    let enabled = properties.get("Enabled")?.map_or(Ok(true), |it| it.boolean())?;
    let state = properties.get("State")?.map_or(Ok(None), |it| it.string().map(Some))?;
    Ok((enabled && state.as_deref() != Some("DISABLED")).then_some(trigger))
}

fn route(event: &Property<'_>, catalogue: &Catalogue) -> Result<Route, TemplateError> {
    event.only(&["Path", "Method", "ApiId", "Auth", "PayloadFormatVersion", "TimeoutInMillis"])?;
    if let Some(version) = event.get("PayloadFormatVersion")?
        && version.string()? != "2.0"
    {
        return Err(version.unsupported("only payload format 2.0 is run locally"));
    }
    let path = event.require("Path")?;
    let text = path.string()?;
    if !text.starts_with('/') {
        return Err(path.invalid("a path begins with `/`"));
    }
    let api = catalogue.api.as_ref();
    let authorizer = match event.get("Auth")?.map_or(Ok(None), |auth| auth.get("Authorizer"))? {
        None => api.and_then(|api| api.default_authorizer.clone()),
        Some(named) => {
            let name = named.string()?;
            let known = || api.into_iter().flat_map(|api| api.api.authorizers.keys().map(String::as_str));
            if name == "NONE" {
                None
            } else if known().any(|known| known == name) {
                Some(name)
            } else {
                return Err(TemplateError::Unknown {
                    path: named.path().to_owned(),
                    kind: "authorizer",
                    suggestion: nearest(&name, known()),
                    name,
                });
            }
        }
    };
    Ok(Route { method: method(&event.require("Method")?)?, path: text, authorizer })
}

fn method(property: &Property<'_>) -> Result<String, TemplateError> {
    const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "ANY"];
    let method = property.string()?.to_uppercase();
    match method.as_str() {
        "*" => Ok("ANY".to_owned()),
        known if METHODS.contains(&known) => Ok(method),
        _ => Err(property.expected("an HTTP method or `ANY`")),
    }
}

fn queue(event: &Property<'_>, catalogue: &Catalogue) -> Result<QueueMapping, TemplateError> {
    event.only(&[
        "Queue",
        "BatchSize",
        "MaximumBatchingWindowInSeconds",
        "FunctionResponseTypes",
        "ScalingConfig",
        "FilterCriteria",
        "Enabled",
    ])?;
    let concurrency =
        event.get("ScalingConfig")?.map_or(Ok(None), |config| config.get("MaximumConcurrency"))?;
    Ok(QueueMapping {
        queue: catalogue.queue(&event.require("Queue")?)?,
        batch_size: batch_size(event, 10)?,
        window: window(event)?,
        report_failures: report_failures(event)?,
        // AWS begins at 2; one at a time is worth having on a laptop.
        maximum_concurrency: concurrency
            .map(|it| it.within(1..=1000))
            .transpose()?
            .map(|concurrency| concurrency as usize),
        filters: filters(event)?,
    })
}

fn stream(event: &Property<'_>, catalogue: &Catalogue) -> Result<StreamMapping, TemplateError> {
    event.only(&[
        "Stream",
        "StartingPosition",
        "BatchSize",
        "MaximumBatchingWindowInSeconds",
        "FunctionResponseTypes",
        "BisectBatchOnFunctionError",
        "MaximumRetryAttempts",
        "MaximumRecordAgeInSeconds",
        "ParallelizationFactor",
        "DestinationConfig",
        "FilterCriteria",
        "Enabled",
    ])?;
    event.require("StartingPosition")?;
    let retries: Option<i64> = event.get("MaximumRetryAttempts")?.map(|it| it.integer()).transpose()?;
    let failure = event.get("DestinationConfig")?.map_or(Ok(None), |config| config.get("OnFailure"))?;
    let destination = failure.map_or(Ok(None), |failure| failure.require("Destination").map(Some))?;
    Ok(StreamMapping {
        table: catalogue.stream(&event.require("Stream")?)?,
        batch_size: batch_size(event, 100)?,
        window: window(event)?,
        report_failures: report_failures(event)?,
        bisect: event.get("BisectBatchOnFunctionError")?.map_or(Ok(false), |it| it.boolean())?,
        // -1 is AWS's way to write "for ever".
        maximum_retries: retries.and_then(|retries| u32::try_from(retries).ok()),
        on_failure: destination.map(|it| catalogue.queue(&it)).transpose()?,
        filters: filters(event)?,
    })
}

fn schedule_v2(function: &str, name: &str, event: &Property<'_>) -> Result<Schedule, TemplateError> {
    event.only(&[
        "ScheduleExpression",
        "ScheduleExpressionTimezone",
        "FlexibleTimeWindow",
        "Input",
        "State",
        "Name",
        "Description",
        "GroupName",
        "OmitName",
        "RetryPolicy",
        "DeadLetterConfig",
        "PermissionsBoundary",
        "RoleArn",
    ])?;
    if let Some(zone) = event.get("ScheduleExpressionTimezone")?
        && !["UTC", "Etc/UTC"].contains(&zone.string()?.as_str())
    {
        return Err(zone.unsupported("schedules are run in UTC"));
    }
    Ok(Schedule {
        arn: format!("arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/{STACK}-{function}{name}"),
        expression: expression(event, "ScheduleExpression")?,
        input: input(event)?,
    })
}

fn expression(event: &Property<'_>, key: &str) -> Result<String, TemplateError> {
    let property = event.require(key)?;
    let text = property.string()?;
    Expression::parse(&text)
        .map_err(|source| TemplateError::Schedule { path: property.path().to_owned(), source })?;
    Ok(text)
}

fn input(event: &Property<'_>) -> Result<Option<Value>, TemplateError> {
    let Some(input) = event.get("Input")? else {
        return Ok(None);
    };
    serde_json::from_str(&input.string()?)
        .map(Some)
        .map_err(|error| input.invalid(format!("not JSON: {error}")))
}

fn batch_size(event: &Property<'_>, default: u32) -> Result<usize, TemplateError> {
    event.get("BatchSize")?.map_or(Ok(default), |it| it.within(1..=10_000)).map(|size| size as usize)
}

fn window(event: &Property<'_>) -> Result<Duration, TemplateError> {
    event.get("MaximumBatchingWindowInSeconds")?.map_or(Ok(Duration::ZERO), |it| it.seconds_within(0..=300))
}

fn report_failures(event: &Property<'_>) -> Result<bool, TemplateError> {
    let Some(types) = event.get("FunctionResponseTypes")? else {
        return Ok(false);
    };
    match types.strings()?.as_slice() {
        [] => Ok(false),
        [only] if only == "ReportBatchItemFailures" => Ok(true),
        _ => Err(types.expected("`ReportBatchItemFailures`")),
    }
}

fn filters(event: &Property<'_>) -> Result<Vec<Value>, TemplateError> {
    let Some(list) = event.get("FilterCriteria")?.map_or(Ok(None), |criteria| criteria.get("Filters"))?
    else {
        return Ok(Vec::new());
    };
    let mut filters = Vec::new();
    for filter in list.items() {
        let pattern = filter.require("Pattern")?;
        let value: Value = serde_json::from_str(&pattern.string()?)
            .map_err(|error| pattern.invalid(format!("not JSON: {error}")))?;
        Pattern::parse(&value)
            .map_err(|source| TemplateError::Pattern { path: pattern.path().to_owned(), source })?;
        filters.push(value);
    }
    Ok(filters)
}

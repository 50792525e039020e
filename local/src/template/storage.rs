//! `AWS::S3::Bucket`, `AWS::SQS::Queue` and `AWS::DynamoDB::Table`.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::Catalogue;
use super::error::TemplateError;
use super::model::{Bucket, BucketCors, Notification, Queue, Redrive, Table};
use super::names::{self, Kind};
use super::property::Property;

const DAY: Duration = Duration::from_hours(24);

/// Reads a bucket.
pub fn bucket(id: &str, properties: &Property<'_>, catalogue: &Catalogue) -> Result<Bucket, TemplateError> {
    let rules = properties.get("CorsConfiguration")?.map_or(Ok(None), |cors| cors.get("CorsRules"))?;
    let notifications = match properties.get("NotificationConfiguration")? {
        Some(configuration) => notifications(&configuration, catalogue)?,
        None => Vec::new(),
    };
    let lifecycle = properties.get("LifecycleConfiguration")?.map_or(Ok(None), |it| it.get("Rules"))?;
    Ok(Bucket {
        id: id.to_owned(),
        name: names::physical_name(Kind::Bucket, id),
        cors: rules
            .map_or_else(Vec::new, |rules| rules.items())
            .iter()
            .map(cors)
            .collect::<Result<_, _>>()?,
        notifications,
        expire_after: lifecycle.map_or(Ok(None), |rules| expire_after(&rules))?,
    })
}

fn cors(rule: &Property<'_>) -> Result<BucketCors, TemplateError> {
    let list = |key| rule.get(key)?.map_or(Ok(Vec::new()), |list| list.strings());
    Ok(BucketCors {
        origins: list("AllowedOrigins")?,
        methods: list("AllowedMethods")?,
        headers: list("AllowedHeaders")?,
        expose: list("ExposedHeaders")?,
        max_age: rule.get("MaxAge")?.map(|age| age.integer()).transpose()?,
    })
}

fn notifications(
    configuration: &Property<'_>, catalogue: &Catalogue,
) -> Result<Vec<Notification>, TemplateError> {
    for unsupported in ["LambdaConfigurations", "TopicConfigurations", "EventBridgeConfiguration"] {
        if let Some(property) = configuration.get(unsupported)? {
            return Err(property.unsupported("buckets notify queues only: use `QueueConfigurations`"));
        }
    }
    let Some(queues) = configuration.get("QueueConfigurations")? else {
        return Ok(Vec::new());
    };
    queues.items().iter().map(|queue| notification(queue, catalogue)).collect()
}

fn notification(property: &Property<'_>, catalogue: &Catalogue) -> Result<Notification, TemplateError> {
    let mut notification = Notification {
        queue: catalogue.queue(&property.require("Queue")?)?,
        events: property.require("Event")?.strings()?,
        prefix: String::new(),
        suffix: String::new(),
    };
    let key = property.get("Filter")?.map_or(Ok(None), |filter| filter.get("S3Key"))?;
    let rules = key.map_or(Ok(None), |key| key.get("Rules"))?;
    for rule in rules.map_or_else(Vec::new, |rules| rules.items()) {
        let name = rule.require("Name")?;
        let value = rule.require("Value")?.string()?;
        match name.string()?.to_lowercase().as_str() {
            "prefix" => notification.prefix = value,
            "suffix" => notification.suffix = value,
            _ => return Err(name.expected("`prefix` or `suffix`")),
        }
    }
    Ok(notification)
}

/// The shortest age at which every object goes. Rules about a part of the objects, or about old
/// versions, keep nothing alive and are left to AWS.
fn expire_after(rules: &Property<'_>) -> Result<Option<Duration>, TemplateError> {
    let mut shortest = None;
    for rule in rules.items() {
        let enabled = rule.get("Status")?.map_or(Ok(None), |it| it.string().map(Some))?;
        let prefix = rule.get("Prefix")?.map_or(Ok(String::new()), |it| it.string())?;
        let partial = !prefix.is_empty()
            || rule.get("TagFilters")?.is_some()
            || rule.get("ObjectSizeGreaterThan")?.is_some();
        if enabled.as_deref() != Some("Enabled") || partial {
            continue;
        }
        if let Some(days) = rule.get("ExpirationInDays")? {
            let age = DAY * days.integer::<u32>()?;
            shortest = Some(shortest.map_or(age, |other: Duration| other.min(age)));
        }
    }
    Ok(shortest)
}

/// Reads a queue.
pub fn queue(id: &str, properties: &Property<'_>, catalogue: &Catalogue) -> Result<Queue, TemplateError> {
    if let Some(fifo) = properties.get("FifoQueue")?
        && fifo.boolean()?
    {
        return Err(fifo.unsupported("FIFO queues are not run locally"));
    }
    let redrive = match properties.get("RedrivePolicy")? {
        Some(policy) => Some(Redrive {
            dead_letter: catalogue.queue(&policy.require("deadLetterTargetArn")?)?,
            maximum_receives: policy.require("maxReceiveCount")?.integer()?,
        }),
        None => None,
    };
    let seconds =
        |key, default, limits| properties.get(key)?.map_or(Ok(default), |it| it.seconds_within(limits));
    Ok(Queue {
        id: id.to_owned(),
        name: names::physical_name(Kind::Queue, id),
        arn: names::arn(Kind::Queue, id),
        visibility: seconds("VisibilityTimeout", Duration::from_secs(30), 0..=43_200)?,
        retention: seconds("MessageRetentionPeriod", DAY * 4, 60..=1_209_600)?,
        redrive,
    })
}

/// Reads a table.
pub fn table(id: &str, properties: &Property<'_>) -> Result<Table, TemplateError> {
    let name = names::physical_name(Kind::Table, id);
    properties.require("KeySchema")?;
    properties.require("AttributeDefinitions")?;
    let mut create = Map::new();
    create.insert("TableName".to_owned(), json!(name));
    for key in [
        "AttributeDefinitions",
        "KeySchema",
        "BillingMode",
        "ProvisionedThroughput",
        "GlobalSecondaryIndexes",
        "LocalSecondaryIndexes",
    ] {
        if let Some(property) = properties.get(key)? {
            create.insert(key.to_owned(), numbers(property.value()));
        }
    }
    if let Some(stream) = properties.get("StreamSpecification")? {
        // The API wants to be told what the resource's property only implies.
        let view = stream.require("StreamViewType")?.string()?;
        create.insert(
            "StreamSpecification".to_owned(),
            json!({ "StreamEnabled": true, "StreamViewType": view }),
        );
    }
    let ttl_attribute = match properties.get("TimeToLiveSpecification")? {
        Some(ttl) if ttl.get("Enabled")?.map_or(Ok(true), |it| it.boolean())? => {
            Some(ttl.require("AttributeName")?.string()?)
        }
        _ => None,
    };
    Ok(Table {
        id: id.to_owned(),
        name,
        arn: names::arn(Kind::Table, id),
        create: Value::Object(create),
        ttl_attribute,
    })
}

/// Capacity units from parameters are text in the template and numbers in the API.
fn numbers(value: &Value) -> Value {
    match value {
        Value::Object(object) => object
            .iter()
            .map(|(key, value)| {
                let number =
                    value.as_str().filter(|_| key.ends_with("CapacityUnits")).and_then(|it| it.parse().ok());
                (key.clone(), number.map_or_else(|| numbers(value), |number: i64| json!(number)))
            })
            .collect(),
        Value::Array(items) => items.iter().map(numbers).collect(),
        other => other.clone(),
    }
}

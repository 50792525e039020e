//! What a template means: the resources that the local stack runs, with every intrinsic resolved.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::names::{Kind, arn};
use crate::iam::{References, Statement};

/// Everything that `template.yaml` deploys.
#[derive(Debug, Clone, Default)]
pub struct Deployment {
    /// The functions, in the template's order.
    pub functions: Vec<Function>,
    /// The HTTP API, if there is one.
    pub api: Option<HttpApi>,
    /// The buckets.
    pub buckets: Vec<Bucket>,
    /// The queues.
    pub queues: Vec<Queue>,
    /// The tables.
    pub tables: Vec<Table>,
    /// `Outputs`, resolved.
    pub outputs: BTreeMap<String, String>,
}

/// An `AWS::Serverless::Function`.
#[derive(Debug, Clone)]
pub struct Function {
    /// The logical id, `CreateUpload`.
    pub name: String,
    /// The ARN under which others refer to it.
    pub arn: String,
    /// The binary: the last segment of `CodeUri`, `create-upload`.
    pub binary: String,
    /// `Timeout`.
    pub timeout: Duration,
    /// `MemorySize` in MB.
    pub memory_mb: u32,
    /// `Environment.Variables`, globals merged in.
    pub environment: BTreeMap<String, String>,
    /// The inline policies' statements.
    pub statements: Vec<Statement>,
    /// What triggers it.
    pub triggers: Vec<Trigger>,
}

/// One entry of a function's `Events`.
#[derive(Debug, Clone)]
pub enum Trigger {
    /// `HttpApi`.
    Http(Route),
    /// `SQS`.
    Queue(QueueMapping),
    /// `DynamoDB`.
    Stream(StreamMapping),
    /// `Schedule` or `ScheduleV2`.
    Schedule(Schedule),
}

/// A route of the HTTP API.
#[derive(Debug, Clone)]
pub struct Route {
    /// `GET`, or `ANY`.
    pub method: String,
    /// `/v1/images/{image}`, possibly ending in `{proxy+}`.
    pub path: String,
    /// The authorizer's name in [`HttpApi::authorizers`]; `None` for a public route.
    pub authorizer: Option<String>,
}

/// An event source mapping from SQS.
#[derive(Debug, Clone)]
pub struct QueueMapping {
    /// The queue's ARN.
    pub queue: String,
    /// `BatchSize`.
    pub batch_size: usize,
    /// `MaximumBatchingWindowInSeconds`.
    pub window: Duration,
    /// `FunctionResponseTypes` has `ReportBatchItemFailures`.
    pub report_failures: bool,
    /// `ScalingConfig.MaximumConcurrency`.
    pub maximum_concurrency: Option<usize>,
    /// `FilterCriteria`: each a pattern; a message passes if any matches, or if there is none.
    pub filters: Vec<Value>,
}

/// An event source mapping from a table's stream.
#[derive(Debug, Clone)]
pub struct StreamMapping {
    /// The table's logical id.
    pub table: String,
    /// `BatchSize`.
    pub batch_size: usize,
    /// `MaximumBatchingWindowInSeconds`.
    pub window: Duration,
    /// `FunctionResponseTypes` has `ReportBatchItemFailures`.
    pub report_failures: bool,
    /// `BisectBatchOnFunctionError`.
    pub bisect: bool,
    /// `MaximumRetryAttempts`; `None` retries for ever.
    pub maximum_retries: Option<u32>,
    /// `DestinationConfig.OnFailure.Destination`: a queue's ARN.
    pub on_failure: Option<String>,
    /// `FilterCriteria`.
    pub filters: Vec<Value>,
}

/// A timer.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// The ARN of the rule, or of `EventBridge` Scheduler's schedule, that the event names.
    pub arn: String,
    /// `rate(5 minutes)` or `cron(0 4 * * ? *)`.
    pub expression: String,
    /// `Input`, if the template fixes the event.
    pub input: Option<Value>,
}

/// An `AWS::Serverless::HttpApi`.
#[derive(Debug, Clone, Default)]
pub struct HttpApi {
    /// The Lambda authorizers by name.
    pub authorizers: BTreeMap<String, Authorizer>,
    /// `CorsConfiguration`.
    pub cors: Option<Cors>,
}

/// A Lambda authorizer (payload 2.0, simple responses).
#[derive(Debug, Clone)]
pub struct Authorizer {
    /// The function's logical id.
    pub function: String,
    /// Headers whose values are the identity and the cache key.
    pub identity_headers: Vec<String>,
    /// `ReauthorizeEvery`.
    pub cache: Duration,
}

/// CORS of the HTTP API.
#[derive(Debug, Clone, Default)]
pub struct Cors {
    /// `AllowOrigins`.
    pub origins: Vec<String>,
    /// `AllowMethods`.
    pub methods: Vec<String>,
    /// `AllowHeaders`.
    pub headers: Vec<String>,
    /// `ExposeHeaders`.
    pub expose: Vec<String>,
    /// `MaxAge` in seconds.
    pub max_age: Option<u32>,
    /// `AllowCredentials`.
    pub credentials: bool,
}

/// An `AWS::S3::Bucket`.
#[derive(Debug, Clone)]
pub struct Bucket {
    /// The logical id.
    pub id: String,
    /// The name that `!Ref` gives.
    pub name: String,
    /// `CorsConfiguration.CorsRules`.
    pub cors: Vec<BucketCors>,
    /// `NotificationConfiguration.QueueConfigurations`.
    pub notifications: Vec<Notification>,
    /// The age at which a lifecycle rule expires every object.
    pub expire_after: Option<Duration>,
}

/// One CORS rule of a bucket.
#[derive(Debug, Clone, Default)]
pub struct BucketCors {
    /// `AllowedOrigins`.
    pub origins: Vec<String>,
    /// `AllowedMethods`.
    pub methods: Vec<String>,
    /// `AllowedHeaders`.
    pub headers: Vec<String>,
    /// `ExposedHeaders`.
    pub expose: Vec<String>,
    /// `MaxAge` in seconds.
    pub max_age: Option<u32>,
}

/// A bucket's notification to a queue.
#[derive(Debug, Clone)]
pub struct Notification {
    /// The queue's ARN.
    pub queue: String,
    /// `s3:ObjectCreated:*` and the like.
    pub events: Vec<String>,
    /// Key prefix, empty for all.
    pub prefix: String,
    /// Key suffix, empty for all.
    pub suffix: String,
}

/// An `AWS::SQS::Queue`.
#[derive(Debug, Clone)]
pub struct Queue {
    /// The logical id.
    pub id: String,
    /// The name.
    pub name: String,
    /// `arn:aws:sqs:...`.
    pub arn: String,
    /// `VisibilityTimeout`.
    pub visibility: Duration,
    /// `MessageRetentionPeriod`.
    pub retention: Duration,
    /// `RedrivePolicy`: the dead-letter queue's ARN and `maxReceiveCount`.
    pub redrive: Option<Redrive>,
}

/// Where messages go that nobody can work off.
#[derive(Debug, Clone)]
pub struct Redrive {
    /// The dead-letter queue's ARN.
    pub dead_letter: String,
    /// After how many receives.
    pub maximum_receives: u32,
}

/// An `AWS::DynamoDB::Table`.
#[derive(Debug, Clone)]
pub struct Table {
    /// The logical id.
    pub id: String,
    /// The name that `!Ref` gives.
    pub name: String,
    /// The ARN that policies name.
    pub arn: String,
    /// The body of `CreateTable`, which has the shape of the resource's properties.
    pub create: Value,
    /// `TimeToLiveSpecification.AttributeName`.
    pub ttl_attribute: Option<String>,
}

impl Deployment {
    /// How the template writes the resources, for the hints of refused requests.
    pub fn references(&self) -> References {
        let tables = self.tables.iter().map(|table| (table.arn.clone(), table.id.clone()));
        let queues = self.queues.iter().map(|queue| (queue.arn.clone(), queue.id.clone()));
        let buckets = self.buckets.iter().map(|bucket| (arn(Kind::Bucket, &bucket.id), bucket.id.clone()));
        tables.chain(queues).chain(buckets).collect()
    }
}

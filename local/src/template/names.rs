//! What resources are called: the physical names, ARNs and attributes that references resolve to.

use super::Context;

/// The account of every local stack.
pub const ACCOUNT: &str = "000000000000";
/// Its region.
pub const REGION: &str = "eu-west-1";
/// Its name, which begins every physical name.
pub const STACK: &str = "tintype";
/// When every stream was enabled, as its ARN says it. One fixed label keeps ARNs stable over restarts.
const STREAM_LABEL: &str = "2020-01-01T00:00:00.000";

/// The kinds of resources that the local stack runs, and the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `AWS::Serverless::Function`
    Function,
    /// `AWS::Serverless::HttpApi`
    HttpApi,
    /// `AWS::S3::Bucket`
    Bucket,
    /// `AWS::SQS::Queue`
    Queue,
    /// `AWS::DynamoDB::Table`
    Table,
    /// Everything that only production has.
    Other,
}

impl Kind {
    /// The kind of a resource type.
    pub fn of(resource_type: &str) -> Self {
        match resource_type {
            "AWS::Serverless::Function" => Self::Function,
            "AWS::Serverless::HttpApi" => Self::HttpApi,
            "AWS::S3::Bucket" => Self::Bucket,
            "AWS::SQS::Queue" => Self::Queue,
            "AWS::DynamoDB::Table" => Self::Table,
            _ => Self::Other,
        }
    }

    /// The attributes that `!GetAtt` knows; `None` for resources that are not run, of which any
    /// attribute gets a placeholder.
    pub fn attributes(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Function => Some(&["Arn"]),
            Self::HttpApi => Some(&["ApiEndpoint", "ApiId"]),
            Self::Bucket => {
                Some(&["Arn", "DomainName", "RegionalDomainName", "DualStackDomainName", "WebsiteURL"])
            }
            Self::Queue => Some(&["Arn", "QueueName", "QueueUrl"]),
            Self::Table => Some(&["Arn", "StreamArn"]),
            Self::Other => None,
        }
    }
}

/// The name that a resource gets.
pub fn physical_name(kind: Kind, id: &str) -> String {
    match kind {
        // S3 allows no capitals, and the identifier of an API has none.
        Kind::Bucket => format!("{STACK}-{}", id.to_lowercase()),
        Kind::HttpApi => format!("{STACK}{}", id.to_lowercase()),
        _ => format!("{STACK}-{id}"),
    }
}

/// The ARN of a resource that the local stack runs.
pub fn arn(kind: Kind, id: &str) -> String {
    let name = physical_name(kind, id);
    match kind {
        Kind::Function => format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"),
        Kind::HttpApi => format!("arn:aws:apigateway:{REGION}::/apis/{name}"),
        Kind::Bucket => format!("arn:aws:s3:::{name}"),
        Kind::Queue => format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"),
        Kind::Table => format!("arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}"),
        Kind::Other => format!("arn:aws:cloudformation:{REGION}:{ACCOUNT}:resource/{name}"),
    }
}

/// The ARN of a table's stream.
pub fn stream_arn(table: &str) -> String {
    format!("{}/stream/{STREAM_LABEL}", arn(Kind::Table, table))
}

/// What `!Ref` gives for a resource.
pub fn reference(kind: Kind, id: &str, context: &Context) -> String {
    match kind {
        Kind::Queue => {
            format!("{}/{ACCOUNT}/{}", context.queue_url.trim_end_matches('/'), physical_name(kind, id))
        }
        _ => physical_name(kind, id),
    }
}

/// What `!GetAtt` gives for an attribute that [`Kind::attributes`] lists.
pub fn attribute(kind: Kind, id: &str, attribute: &str, context: &Context) -> String {
    let name = physical_name(kind, id);
    match (kind, attribute) {
        (_, "Arn") => arn(kind, id),
        (Kind::HttpApi, "ApiEndpoint") => context.api_url.trim_end_matches('/').to_owned(),
        (Kind::HttpApi, "ApiId") | (Kind::Queue, "QueueName") => name,
        (Kind::Queue, "QueueUrl") => reference(kind, id, context),
        (Kind::Table, "StreamArn") => stream_arn(id),
        (Kind::Bucket, "DomainName") => format!("{name}.s3.amazonaws.com"),
        (Kind::Bucket, "RegionalDomainName") => format!("{name}.s3.{REGION}.amazonaws.com"),
        (Kind::Bucket, "DualStackDomainName") => {
            format!("{name}.s3.dualstack.{REGION}.amazonaws.com")
        }
        (Kind::Bucket, "WebsiteURL") => format!("http://{name}.s3-website-{REGION}.amazonaws.com"),
        _ => format!("{name}-{attribute}"),
    }
}

/// The host that AWS would give an API, which the local stack answers at its own address.
pub fn api_host(id: &str) -> String {
    format!("{}.execute-api.{REGION}.amazonaws.com", physical_name(Kind::HttpApi, id))
}

use std::time::Duration;

use serde_json::json;

use super::model::{Deployment, Function, Trigger};
use super::*;

const BACKEND: &str = include_str!("testdata/backend.yaml");
const MINIMAL: &str = include_str!("testdata/minimal.yaml");
const NONE: [&str; 0] = [];

fn context() -> Context {
    Context { api_url: "http://127.0.0.1:3000/".to_owned(), queue_url: "http://127.0.0.1:9324".to_owned() }
}

fn backend(parameters: &[&str], overrides: &[&str]) -> Deployment {
    let template = Template::parse(BACKEND).unwrap().with(parameters, overrides).unwrap();
    template.resolve(&context()).unwrap()
}

fn function<'a>(deployment: &'a Deployment, name: &str) -> &'a Function {
    deployment.functions.iter().find(|function| function.name == name).unwrap()
}

/// The error of the minimal template after some text in it is replaced.
fn error(from: &str, to: &str) -> String {
    assert!(MINIMAL.contains(from), "`{from}` is not in the template");
    let template = Template::parse(&MINIMAL.replace(from, to)).unwrap();
    chain(&template.resolve(&context()).unwrap_err())
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

/// The error of the minimal template when one property is set.
fn error_with(overrides: &[&str]) -> String {
    let template = Template::parse(MINIMAL).unwrap().with(&NONE, overrides).unwrap();
    chain(&template.resolve(&context()).unwrap_err())
}

#[test]
fn functions_keep_the_order_of_the_file_and_take_what_is_global() {
    let deployment = backend(&[], &[]);
    let names: Vec<&str> = deployment.functions.iter().map(|function| function.name.as_str()).collect();
    assert_eq!(names, ["Authorize", "CreateUpload", "GetHealth", "ProcessUpload", "PublishEvents", "Sweep"]);

    let create = function(&deployment, "CreateUpload");
    assert_eq!(create.binary, "create-upload");
    assert_eq!(create.arn, "arn:aws:lambda:eu-west-1:000000000000:function:tintype-CreateUpload");
    assert_eq!((create.timeout, create.memory_mb), (Duration::from_secs(10), 256));
    let environment: Vec<(&str, &str)> =
        create.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(
        environment,
        [("RUST_LOG", "debug"), ("TABLE", "tintype-Table"), ("UPLOADS", "tintype-uploads")]
    );
    assert_eq!(function(&deployment, "ProcessUpload").timeout, Duration::from_mins(1));
    assert_eq!(function(&deployment, "GetHealth").memory_mb, 512);
}

#[test]
fn parameters_and_overrides_change_what_is_deployed() {
    let deployment = backend(
        &["Stage=production", "PublicBaseUrl=https://img.example"],
        &["ProcessUpload.Timeout=3", "UploadsQueue.VisibilityTimeout=4"],
    );
    assert_eq!(function(&deployment, "GetHealth").memory_mb, 1769);
    assert_eq!(function(&deployment, "ProcessUpload").timeout, Duration::from_secs(3));
    assert_eq!(function(&deployment, "CreateUpload").environment["BASE"], "https://img.example");
    assert_eq!(deployment.queues[0].visibility, Duration::from_secs(4));
    let sids: Vec<_> =
        function(&deployment, "CreateUpload").statements.iter().map(|it| it.sid.as_deref()).collect();
    assert_eq!(sids, [Some("PresignUpload"), Some("Encrypt")]);
    assert!(deployment.outputs.contains_key("Cdn"));
}

#[test]
fn statements_name_the_real_resources() {
    let deployment = backend(&[], &[]);
    let [statement] = function(&deployment, "CreateUpload").statements.as_slice() else {
        panic!("one statement")
    };
    assert_eq!(statement.resources, ["arn:aws:s3:::tintype-uploads/*"]);
    let [statement] = function(&deployment, "Authorize").statements.as_slice() else {
        panic!("one statement")
    };
    assert_eq!(statement.resources, ["arn:aws:dynamodb:eu-west-1:000000000000:table/tintype-Table"]);
}

#[test]
fn the_api_has_its_authorizer_routes_and_cors() {
    let deployment = backend(&[], &[]);
    let api = deployment.api.as_ref().unwrap();
    let authorizer = &api.authorizers["ApiKey"];
    assert_eq!(authorizer.function, "Authorize");
    assert_eq!(authorizer.identity_headers, ["Authorization"]);
    assert_eq!(authorizer.cache, Duration::from_mins(1));
    let cors = api.cors.as_ref().unwrap();
    assert_eq!(cors.origins, ["http://localhost:3000", "https://app.example"]);
    assert_eq!((cors.max_age, cors.credentials), (Some(600), false));

    let route = |name| match &function(&deployment, name).triggers[..] {
        [Trigger::Http(route)] => (route.method.clone(), route.path.clone(), route.authorizer.clone()),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        route("CreateUpload"),
        ("POST".to_owned(), "/v1/uploads".to_owned(), Some("ApiKey".to_owned()))
    );
    assert_eq!(route("GetHealth"), ("GET".to_owned(), "/health".to_owned(), None));
}

#[test]
fn mappings_and_schedules_are_read() {
    let deployment = backend(&[], &[]);
    let [Trigger::Queue(queue)] = &function(&deployment, "ProcessUpload").triggers[..] else {
        panic!("a queue")
    };
    assert_eq!(queue.queue, "arn:aws:sqs:eu-west-1:000000000000:tintype-UploadsQueue");
    assert_eq!(
        (queue.batch_size, queue.window, queue.maximum_concurrency),
        (5, Duration::from_secs(1), Some(4))
    );
    assert!(queue.report_failures);

    let [Trigger::Stream(stream)] = &function(&deployment, "PublishEvents").triggers[..] else {
        panic!("a stream")
    };
    assert_eq!((stream.table.as_str(), stream.batch_size), ("Table", 25));
    assert_eq!((stream.maximum_retries, stream.bisect, stream.report_failures), (Some(5), true, true));
    assert_eq!(
        stream.on_failure.as_deref(),
        Some("arn:aws:sqs:eu-west-1:000000000000:tintype-FailedUploads")
    );
    assert_eq!(stream.filters[0]["eventName"], json!(["INSERT"]));

    let schedules: Vec<_> = function(&deployment, "Sweep")
        .triggers
        .iter()
        .map(|trigger| match trigger {
            Trigger::Schedule(it) => (it.arn.as_str(), it.expression.as_str(), it.input.clone()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        schedules,
        [
            (
                "arn:aws:scheduler:eu-west-1:000000000000:schedule/default/tintype-SweepNightly",
                "cron(0 4 * * ? *)",
                Some(json!({ "full": true })),
            ),
            ("arn:aws:events:eu-west-1:000000000000:rule/tintype-SweepOften", "rate(5 minutes)", None),
        ]
    );
}

#[test]
fn buckets_queues_and_tables_are_read() {
    let deployment = backend(&[], &[]);
    let [bucket] = &deployment.buckets[..] else { panic!("one bucket") };
    assert_eq!((bucket.id.as_str(), bucket.name.as_str()), ("Uploads", "tintype-uploads"));
    assert_eq!(bucket.cors[0].expose, ["ETag"]);
    assert_eq!(bucket.expire_after, Some(Duration::from_hours(24)));
    let notification = &bucket.notifications[0];
    assert_eq!(notification.queue, deployment.queues[0].arn);
    assert_eq!(notification.events, ["s3:ObjectCreated:*"]);
    assert_eq!((notification.prefix.as_str(), notification.suffix.as_str()), ("up/", ".bin"));

    let redrive = deployment.queues[0].redrive.as_ref().unwrap();
    assert_eq!((&redrive.dead_letter, redrive.maximum_receives), (&deployment.queues[1].arn, 3));
    assert_eq!(deployment.queues[1].retention, Duration::from_hours(14 * 24));

    let [table] = &deployment.tables[..] else { panic!("one table") };
    assert_eq!(table.ttl_attribute.as_deref(), Some("expires_at"));
    assert_eq!(table.create["TableName"], "tintype-Table");
    assert_eq!(table.create["KeySchema"][1], json!({ "AttributeName": "SK", "KeyType": "RANGE" }));
    assert_eq!(
        table.create["StreamSpecification"],
        json!({ "StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES" })
    );
    assert!(table.create.get("PointInTimeRecoverySpecification").is_none());
}

#[test]
fn outputs_are_resolved() {
    let outputs = backend(&[], &[]).outputs;
    let expected = [
        ("BaseUrl", "http://127.0.0.1:3000/v1"),
        ("Domain", "tintype-uploads.s3.eu-west-1.amazonaws.com"),
        ("Encoded", "dGludHlwZQ=="),
        ("Endpoint", "http://127.0.0.1:3000"),
        ("Joined", "http://localhost:3000+https://app.example"),
        ("Literal", "${Literal} tintype/000000000000"),
        ("Queue", "http://127.0.0.1:9324/000000000000/tintype-UploadsQueue"),
        ("Second", "two"),
    ];
    let outputs: Vec<(&str, &str)> =
        outputs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(outputs, expected);
}

#[test]
fn an_api_that_nobody_declares_is_made() {
    let template = Template::parse(&MINIMAL.replace(
        "      Events:",
        "      Environment: {Variables: {URL: !Sub 'https://${ServerlessHttpApi}.execute-api.${AWS::Region}.amazonaws.com'}}\n      Events:",
    ));
    let deployment = template.unwrap().resolve(&context()).unwrap();
    assert!(deployment.api.is_some());
    assert_eq!(deployment.functions[0].environment["URL"], "http://127.0.0.1:3000");
}

#[test]
fn errors_say_where_and_what() {
    assert_eq!(
        error("\"/v1/images/{image}\"", "[a]"),
        "Resources.GetImage.Events.Api.Path: expected a string"
    );
    assert_eq!(error(", Method: GET", ""), "Resources.GetImage.Events.Api.Method: required, but absent");
    assert_eq!(
        error("Method: GET", "Method: FETCH"),
        "Resources.GetImage.Events.Api.Method: expected an HTTP method or `ANY`"
    );
    assert_eq!(
        error_with(&["GetImage.Timeout=soon"]),
        "Resources.GetImage.Timeout: expected a whole number in range"
    );
    assert_eq!(error_with(&["GetImage.Timeout=901"]), "Resources.GetImage.Timeout: 901 is not from 1 to 900");
    assert_eq!(
        error("Type: HttpApi", "Type: HttpAPI"),
        "Resources.GetImage.Events.Api.Type: events of type `HttpAPI` are not run locally; known are HttpApi, SQS, \
         DynamoDB, Schedule, ScheduleV2; did you mean `HttpApi`?"
    );
    assert_eq!(
        error("Path: ", "Pathh: x, Path: "),
        "Resources.GetImage.Events.Api.Pathh: there is no property `Pathh`; did you mean `Path`?"
    );
}

#[test]
fn references_to_nothing_are_found_everywhere() {
    let suggestion = "there is no parameter or resource `WorkQueu`; did you mean `WorkQueue`?";
    for (from, to, path) in [
        ("CodeUri:", "Role: !Ref WorkQueu\n      CodeUri:", "Resources.GetImage.Role"),
        (
            "CodeUri:",
            "Description: !Sub 'of ${WorkQueu.Arn}'\n      CodeUri:",
            "Resources.GetImage.Description",
        ),
        ("CodeUri:", "Layers: [!GetAtt WorkQueu.Arn]\n      CodeUri:", "Resources.GetImage.Layers[0]"),
        (
            "  WorkQueue:",
            "  Alarm: {Type: AWS::CloudWatch::Alarm, Properties: {Metric: {Name: !GetAtt WorkQueu.QueueName}}}\n  WorkQueue:",
            "Resources.Alarm.Metric.Name",
        ),
    ] {
        assert_eq!(error(from, to), format!("{path}: {suggestion}"));
    }
    assert_eq!(
        error("Type: AWS::SQS::Queue", "Type: AWS::SQS::Queue\n    DependsOn: Tabel"),
        "Resources.WorkQueue.DependsOn: there is no resource `Tabel`; did you mean `Table`?"
    );
    assert_eq!(
        error("CodeUri:", "Environment: {Variables: {Q: !GetAtt WorkQueue.ARN}}\n      CodeUri:"),
        "Resources.GetImage.Environment.Variables.Q: there is no attribute `WorkQueue.ARN`; did you mean `WorkQueue.Arn`?"
    );
}

#[test]
fn generated_resources_can_be_referred_to() {
    let text = MINIMAL.replace(
        "  WorkQueue:",
        "  Alarm: {Type: AWS::CloudWatch::Alarm, Properties: {A: !Ref GetImageRole, B: !Ref GetImageApi}}\n  WorkQueue:",
    );
    assert!(Template::parse(&text).unwrap().resolve(&context()).is_ok());
}

#[test]
fn triggers_must_lead_to_what_is_there() {
    let queue = |arn: &str| {
        error(
            "{Type: HttpApi,",
            &format!("{{Type: SQS, Properties: {{Queue: {arn}}}}}\n        Other: {{Type: HttpApi,"),
        )
    };
    assert_eq!(
        queue("!Ref WorkQueue"),
        "Resources.GetImage.Events.Api.Queue: expected the queue's ARN, `!GetAtt WorkQueue.Arn`, not its address"
    );
    assert_eq!(
        queue("arn:aws:sqs:eu-west-1:000000000000:other"),
        "Resources.GetImage.Events.Api.Queue: `arn:aws:sqs:eu-west-1:000000000000:other` is not the ARN of a queue \
         of this template"
    );
    let event = |event: &str| error("{Type: HttpApi,", &format!("{event}\n        Other: {{Type: HttpApi,"));
    assert_eq!(
        event("{Type: DynamoDB, Properties: {Stream: !GetAtt Table.StreamArn, StartingPosition: LATEST}}"),
        "Resources.GetImage.Events.Api.Stream: the table `Table` has no `StreamSpecification`"
    );
    assert!(
        event("{Type: Schedule, Properties: {Schedule: rate(1 minutes)}}")
            .starts_with("Resources.GetImage.Events.Api.Schedule: not a schedule: expected `rate(1 minute)`")
    );
    assert_eq!(
        event(
            "{Type: SQS, Properties: {Queue: !GetAtt WorkQueue.Arn, FilterCriteria: {Filters: [{Pattern: '{\"body\": 1}'}]}}}"
        ),
        "Resources.GetImage.Events.Api.FilterCriteria.Filters[0].Pattern: not a filter pattern: pattern.body: \
         expected a list of alternatives or an object"
    );
    assert!(event("{Type: S3, Properties: {}}").contains("events of type `S3` are not run locally"));
}

#[test]
fn one_route_belongs_to_one_function() {
    let other = "  Other:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: target/lambda/other
      Events:
        Api: {Type: HttpApi, Properties: {Path: '/v1/images/{id}', Method: get}}
  WorkQueue:";
    assert_eq!(
        error("  WorkQueue:", other),
        "Resources.Other.Events: `GET /v1/images/{id}` is already the route of GetImage"
    );
}

#[test]
fn what_would_silently_not_run_is_refused() {
    let resource = |kind: &str| error("AWS::SQS::Queue", kind);
    assert_eq!(
        resource("AWS::Lambda::EventSourceMapping"),
        "Resources.WorkQueue.Type: `AWS::Lambda::EventSourceMapping` is not run locally: use the function's `Events`"
    );
    assert!(resource("AWS::Serverless::Api").contains("`AWS::Serverless::HttpApi`"));
    let policies = |policies: &str| error_with(&[&format!("GetImage.Policies={policies}")]);
    assert_eq!(
        policies("[{SQSPollerPolicy: {QueueName: q}}]"),
        "Resources.GetImage.Policies[0].SQSPollerPolicy: the policy template `SQSPollerPolicy` is not expanded \
         locally: write its statements under `Statement`"
    );
    assert_eq!(
        policies("{Statement: [{Effect: Allow, NotAction: 's3:*', Resource: '*'}]}"),
        "Resources.GetImage.Policies.Statement[0]: not a statement that can be enforced: `NotAction` is refused: \
         say what is meant with `Action`"
    );
    assert!(error_with(&["GetImage.Role=arn:aws:iam::1:role/r"]).starts_with("Resources.GetImage.Role: "));
}

#[test]
fn functions_without_a_local_meaning_are_refused() {
    let output =
        |value: &str| error("Resources:", &format!("Outputs: {{X: {{Value: {value}}}}}\nResources:"));
    assert_eq!(
        output("!ImportValue other"),
        "Outputs.X.Value: `ImportValue` reads another stack, and locally there is none: use a parameter"
    );
    assert_eq!(
        output("!Select [0, !GetAZs '']"),
        "Outputs.X.Value: `GetAZs` asks AWS for zones, and locally there are none"
    );
    assert_eq!(output("!Select [2, [a, b]]"), "Outputs.X.Value: `Select` asks for item 2 of 2");
    assert_eq!(output("!If [Nope, a, b]"), "Outputs.X.Value: there is no condition `Nope`");
}

#[test]
fn conditions_that_turn_in_a_circle_are_an_error() {
    let text = "Conditions:\n  A: !Not [!Condition B]\n  B: !Or [!Condition A, !Condition A]\nOutputs: {X: {Value: !If [A, 1, 2]}}\n";
    let error = Template::parse(text).unwrap().resolve(&context()).unwrap_err();
    assert_eq!(error.to_string(), "Conditions.A: the condition depends on itself");
}

#[test]
fn what_is_not_deployed_cannot_be_referred_to() {
    let error = error(
        "    Type: AWS::SQS::Queue",
        "    Type: AWS::SQS::Queue\n    Condition: Never\nConditions: {Never: !Equals [a, b]}\nOutputs: {X: {Value: !Ref WorkQueue}}\nMore:",
    );
    assert_eq!(error, "Outputs.X.Value: `WorkQueue` is not deployed: its condition does not hold");
}

#[test]
fn a_template_that_is_no_map_is_an_error() {
    for text in ["", "- a", "text", "Resources: [a]", "Resources: {A: b}"] {
        let template = Template::parse(text).unwrap();
        assert!(template.clone().with(&NONE, &["A.B=1"]).is_err(), "{text}");
        assert!(template.resolve(&context()).is_ok() || text.contains("{A: b}"), "{text}");
    }
}

#[test]
fn unknown_parameters_are_an_error() {
    let error = Template::parse(BACKEND).unwrap().with(&["Stgae=production"], &NONE).unwrap_err();
    assert_eq!(error.to_string(), "Parameters: there is no parameter `Stgae`; did you mean `Stage`?");
}

#[test]
fn references_lead_back_to_the_template() {
    let deployment = backend(&[], &[]);
    assert_eq!(
        format!("{:?}", deployment.references()),
        "References({\"arn:aws:dynamodb:eu-west-1:000000000000:table/tintype-Table\": \"Table\", \
         \"arn:aws:s3:::tintype-uploads\": \"Uploads\", \
         \"arn:aws:sqs:eu-west-1:000000000000:tintype-FailedUploads\": \"FailedUploads\", \
         \"arn:aws:sqs:eu-west-1:000000000000:tintype-UploadsQueue\": \"UploadsQueue\"})"
    );
}

#[test]
fn the_project_s_own_template_is_understood() {
    let template = Template::parse(include_str!("../../../template.yaml")).unwrap();
    let deployment = template.resolve(&context()).unwrap();
    assert!(deployment.api.is_some());
    assert!(deployment.functions.iter().any(|function| function.name == "CreateUpload"));
    for function in &deployment.functions {
        // `CreateUpload` is built as `create-upload`.
        assert_eq!(function.binary.replace('-', ""), function.name.to_lowercase());
    }
}

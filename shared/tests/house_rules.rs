//! The rules that the compiler does not know: what the template, the sources and `events/` say of one another,
//! and which layer may name which.

#![expect(clippy::unwrap_used, reason = "a rule that cannot be read is broken")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use serde_norway::Value as Yaml;

/// Ports behind which there is no AWS, and so no permission.
const WITHOUT_AWS: [&str; 4] = ["Clock", "FindSigningKeys", "Ids", "Secrets"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files below a directory with this extension.
fn files(directory: &str, extension: &str) -> Vec<PathBuf> {
    fn collect(directory: &Path, extension: &str, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, extension, found);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    let mut found = vec![];
    collect(&root().join(directory), extension, &mut found);
    assert!(!found.is_empty(), "there is nothing in {directory}");
    found.sort();
    found
}

fn stems(paths: impl IntoIterator<Item = PathBuf>) -> BTreeSet<String> {
    paths.into_iter().map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

/// The functions' sources, by the name of the binary.
fn binaries() -> BTreeMap<String, String> {
    let mains =
        files("functions", "rs").into_iter().filter(|path| path.parent().unwrap().ends_with("src/bin"));
    let named =
        mains.map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), code(&read(&path))));
    named.collect()
}

/// Source without comments and without its test module, which comes last.
fn code(source: &str) -> String {
    let modules = ["#[cfg(test)]\nmod tests {", "#[cfg(test)]\npub(crate) mod tests {"];
    let tests = modules.iter().find_map(|module| source.find(module)).unwrap_or(source.len());
    let lines = source[..tests].lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.fold(String::new(), |code, line| code + line + "\n")
}

/// A template without its tags: `!Ref X` is `X`, `!GetAtt X.Arn` is `X.Arn`.
fn plain(yaml: Yaml) -> Value {
    match yaml {
        Yaml::Null => Value::Null,
        Yaml::Bool(value) => value.into(),
        Yaml::Number(number) => number.as_i64().map_or_else(|| number.as_f64().into(), Value::from),
        Yaml::String(text) => text.into(),
        Yaml::Sequence(items) => items.into_iter().map(plain).collect(),
        Yaml::Mapping(entries) => {
            let entry = |(key, value): (Yaml, Yaml)| (key.as_str().unwrap().to_owned(), plain(value));
            Value::Object(entries.into_iter().map(entry).collect())
        }
        Yaml::Tagged(tagged) => plain(tagged.value),
    }
}

struct Template(Value);

impl Template {
    fn load() -> Self {
        Self(plain(serde_norway::from_str(&read("template.yaml")).unwrap()))
    }

    fn resources(&self) -> &Map<String, Value> {
        self.0["Resources"].as_object().unwrap()
    }

    fn of_type<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = (&'a str, &'a Value)> {
        let resources = self.resources().iter().filter(move |(_, resource)| resource["Type"] == kind);
        resources.map(|(name, resource)| (name.as_str(), &resource["Properties"]))
    }

    fn functions(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.of_type("AWS::Serverless::Function")
    }

    /// The events of one type, with their functions.
    fn events<'a>(&'a self, kind: &'a str) -> Vec<(&'a str, &'a Value, &'a Value)> {
        let found: Vec<_> = self
            .functions()
            .flat_map(|(name, function)| {
                let events = function["Events"].as_object().into_iter().flat_map(Map::values);
                events.map(move |event| (name, function, event))
            })
            .filter(|(_, _, event)| event["Type"] == kind)
            .map(|(name, function, event)| (name, function, &event["Properties"]))
            .collect();
        assert!(!found.is_empty(), "no function has an event of type {kind}");
        found
    }

    fn resource(&self, name: &str, kind: &str) -> &Value {
        let resource = &self.resources().get(name).unwrap_or_else(|| panic!("no resource {name}"));
        assert_eq!(resource["Type"], kind, "{name}");
        &resource["Properties"]
    }

    /// Whether somebody is told when this queue is not empty.
    fn has_alarm(&self, queue: &str) -> bool {
        self.of_type("AWS::CloudWatch::Alarm").any(|(_, alarm)| {
            alarm["Namespace"] == "AWS/SQS"
                && alarm["MetricName"] == "ApproximateNumberOfMessagesVisible"
                && alarm["Dimensions"][0]["Name"] == "QueueName"
                && alarm["Dimensions"][0]["Value"] == format!("{queue}.QueueName")
                && alarm["ComparisonOperator"] == "GreaterThanThreshold"
                && alarm["Threshold"] == 0
        })
    }
}

/// `CreateUpload` is `create-upload`.
fn kebab(name: &str) -> String {
    name.chars().enumerate().fold(String::new(), |mut kebab, (index, letter)| {
        if letter.is_ascii_uppercase() && index > 0 {
            kebab.push('-');
        }
        kebab.push(letter.to_ascii_lowercase());
        kebab
    })
}

/// A value that may be one or a list of them.
fn many(value: &Value) -> Vec<&str> {
    let values = value.as_array().map_or_else(|| vec![value], |values| values.iter().collect());
    values.into_iter().map(|value| value.as_str().unwrap()).collect()
}

fn statements(function: &Value) -> impl Iterator<Item = &Value> {
    let policies = function["Policies"].as_array().unwrap();
    policies.iter().flat_map(|policy| policy["Statement"].as_array().expect("policies are written out"))
}

/// The logical id in `Queue.Arn`.
fn owner<'a>(attribute: &'a Value, name: &str) -> &'a str {
    let attribute = attribute.as_str().unwrap();
    attribute.strip_suffix(name).and_then(|id| id.strip_suffix('.')).unwrap_or_else(|| panic!("{attribute}"))
}

fn assert_none(broken: &[String]) {
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_function_is_one_binary_and_has_an_event() {
    let template = Template::load();
    let functions: BTreeSet<_> = template.functions().map(|(name, _)| kebab(name)).collect();
    assert_eq!(functions, binaries().into_keys().collect());
    assert_eq!(functions, stems(files("events", "json")));
    for path in files("events", "json") {
        assert!(serde_json::from_str::<Value>(&read(&path)).is_ok(), "{} is not JSON", path.display());
    }
    for (name, function) in template.functions() {
        assert_eq!(function["CodeUri"], format!("target/lambda/{}", kebab(name)));
    }
}

#[test]
fn every_function_has_a_log_of_its_own_that_is_not_kept_for_ever() {
    let template = Template::load();
    for (name, function) in template.functions() {
        let logs = format!("{name}Logs");
        assert_eq!(function["LoggingConfig"]["LogGroup"], logs.as_str());
        assert!(!template.resource(&logs, "AWS::Logs::LogGroup")["RetentionInDays"].is_null(), "{logs}");
    }
}

/// The ports that a source asks for: `&impl X` and `&(impl X + Y)`.
fn ports(source: &str) -> BTreeSet<String> {
    let single = source
        .split("&impl ")
        .skip(1)
        .map(|rest| rest.split(|letter: char| !letter.is_ascii_alphanumeric()).next().unwrap().to_owned());
    let several = source.split("&(impl ").skip(1).flat_map(|rest| {
        let bounds = rest.split(')').next().unwrap();
        bounds.split('+').map(|bound| bound.trim().to_owned()).collect::<Vec<_>>()
    });
    single.chain(several).filter(|port| !WITHOUT_AWS.contains(&port.as_str())).collect()
}

#[test]
fn a_functions_ports_are_its_policy() {
    let (template, binaries) = (Template::load(), binaries());
    for (name, function) in template.functions() {
        let granted: BTreeSet<_> = statements(function)
            .map(|statement| statement["Sid"].as_str().expect("a statement is named after a port").to_owned())
            .collect();
        let mut asked = ports(&binaries[&kebab(name)]);
        if knows_its_callers(function) {
            // What `serve` asks for, before the function is asked anything.
            asked.insert("TakeCells".into());
        }
        assert_eq!(granted, asked, "{name}: what is granted, and what is asked for");
    }
}

/// Whether a function is behind the authorizer.
fn knows_its_callers(function: &Value) -> bool {
    let events = function["Events"].as_object().into_iter().flat_map(Map::values);
    events.filter(|event| event["Type"] == "HttpApi").any(|event| event["Properties"]["Auth"].is_null())
}

#[test]
fn whoever_is_known_is_held_to_a_rate() {
    let (template, binaries) = (Template::load(), binaries());
    for (name, _) in template.functions().filter(|(_, function)| knows_its_callers(function)) {
        let source = &binaries[&kebab(name)];
        let ways = ["    serve(", "    serve_write(", "    serve_or_answer("];
        assert!(ways.iter().any(|way| source.contains(way)), "{name}");
    }
}

/// It is for issuers on the machine of whoever develops.
#[test]
fn the_template_trusts_no_issuer_on_a_loopback_address() {
    assert!(!read("template.yaml").contains("ALLOW_LOOPBACK_ISSUERS"));
}

#[test]
fn every_port_is_a_trait_of_one_method() {
    let layers = ["shared/src/store", "shared/src/media"];
    let sources: String =
        layers.iter().flat_map(|layer| files(layer, "rs")).map(|path| code(&read(path))).collect();
    for port in binaries().values().flat_map(|source| ports(source)) {
        let (_, body) =
            sources.split_once(&format!("pub trait {port} {{")).unwrap_or_else(|| panic!("{port}"));
        let (body, _) = body.split_once("\n}").unwrap();
        assert_eq!(body.matches("fn ").count(), 1, "{port}");
    }
}

#[test]
fn nothing_is_granted_wholesale() {
    let template = Template::load();
    let of_functions = template
        .functions()
        .flat_map(|(name, function)| statements(function).map(move |statement| (name, statement)));
    let others = ["AWS::SQS::QueuePolicy", "AWS::S3::BucketPolicy"];
    let of_resources =
        others.into_iter().flat_map(|kind| template.of_type(kind)).flat_map(|(name, policy)| {
            policy["PolicyDocument"]["Statement"].as_array().unwrap().iter().map(move |one| (name, one))
        });
    let mut broken = vec![];
    for (name, statement) in of_functions.chain(of_resources) {
        let sid = statement["Sid"].as_str().unwrap();
        match statement["Effect"].as_str() {
            Some("Allow") => {}
            // What is forbidden may be forbidden wholesale.
            Some("Deny") => continue,
            effect => broken.push(format!("{name}/{sid}: effect {effect:?}")),
        }
        if statement["Principal"] == "*"
            || many(&statement["Action"]).iter().any(|action| action.contains('*'))
        {
            broken.push(format!("{name}/{sid}: a wildcard of actions or principals"));
        }
        for resource in many(&statement["Resource"]) {
            let objects = resource.strip_suffix("/*").is_some_and(|bucket| bucket.ends_with("Bucket.Arn}"));
            if resource.contains('*') && !objects {
                broken.push(format!("{name}/{sid}: {resource}"));
            }
        }
    }
    assert_none(&broken);
}

#[test]
fn a_message_stays_hidden_for_six_times_as_long_as_its_function_may_take() {
    let template = Template::load();
    let default = template.0["Globals"]["Function"]["Timeout"].as_i64().unwrap();
    for (name, function, event) in template.events("SQS") {
        let queue = template.resource(owner(&event["Queue"], "Arn"), "AWS::SQS::Queue");
        let timeout = function["Timeout"].as_i64().unwrap_or(default);
        let window = event["MaximumBatchingWindowInSeconds"].as_i64().unwrap_or(0);
        assert_eq!(queue["VisibilityTimeout"], 6 * timeout + window, "{name}");
        assert_eq!(many(&event["FunctionResponseTypes"]), ["ReportBatchItemFailures"], "{name}");
        assert!(event["ScalingConfig"]["MaximumConcurrency"].is_i64(), "{name}");
    }
}

#[test]
fn a_message_that_nobody_can_work_off_is_kept_and_somebody_is_told() {
    let template = Template::load();
    for (name, _, event) in template.events("SQS") {
        let queue = template.resource(owner(&event["Queue"], "Arn"), "AWS::SQS::Queue");
        let redrive = &queue["RedrivePolicy"];
        assert!(redrive["maxReceiveCount"].as_i64().is_some_and(|count| count > 1), "{name}");
        let letters = owner(&redrive["deadLetterTargetArn"], "Arn");
        let kept = &template.resource(letters, "AWS::SQS::Queue")["MessageRetentionPeriod"];
        // A message keeps the age that it had before it was moved.
        assert!(kept.as_i64() > queue["MessageRetentionPeriod"].as_i64(), "{letters}");
        assert!(template.has_alarm(letters), "{letters} has no alarm");
    }
}

#[test]
fn a_stream_is_filtered_and_no_record_holds_it_up_for_ever() {
    let template = Template::load();
    for (name, _, event) in template.events("DynamoDB") {
        let filters = event["FilterCriteria"]["Filters"].as_array().unwrap();
        assert!(!filters.is_empty(), "{name}");
        for filter in filters {
            let pattern = filter["Pattern"].as_str().unwrap();
            assert!(serde_json::from_str::<Map<String, Value>>(pattern).is_ok(), "{name}: {pattern}");
        }
        assert!(event["MaximumRetryAttempts"].as_i64().is_some_and(|attempts| attempts >= 0), "{name}");
        assert_eq!(event["BisectBatchOnFunctionError"], true, "{name}");
        assert_eq!(many(&event["FunctionResponseTypes"]), ["ReportBatchItemFailures"], "{name}");
        let failures = owner(&event["DestinationConfig"]["OnFailure"]["Destination"], "Arn");
        template.resource(failures, "AWS::SQS::Queue");
        assert!(template.has_alarm(failures), "{failures} has no alarm");
    }
}

/// A stack that is deleted, or replaces a resource, must not take people's pictures with it.
#[test]
fn what_cannot_be_made_again_is_retained() {
    let template = Template::load();
    for (name, resource) in template.resources() {
        assert_eq!(resource["DeletionPolicy"], resource["UpdateReplacePolicy"], "{name}");
    }
    for name in ["Table", "OriginalsBucket"] {
        assert_eq!(template.resources()[name]["DeletionPolicy"], "Retain", "{name}");
    }
}

/// The sources below a directory that name what they should not.
fn naming(directory: &str, forbidden: &[&str]) -> Vec<String> {
    let mut broken = vec![];
    for path in files(directory, "rs") {
        let source = read(&path);
        for (index, line) in
            source.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"))
        {
            if let Some(name) = forbidden.iter().find(|name| line.contains(**name)) {
                broken.push(format!("{}:{}: {name}", path.display(), index + 1));
            }
        }
    }
    broken
}

#[test]
fn layers_depend_downwards_only() {
    let above_the_domain =
        ["aws_", "tokio", "lambda_", "crate::http", "crate::store", "crate::media", "crate::platform"];
    assert_none(&naming("shared/src/domain", &above_the_domain));
    assert_none(&naming("shared/src/http", &["aws_sdk", "crate::store", "crate::media", "crate::platform"]));
    let beside = ["crate::http", "lambda_http", "crate::platform"];
    assert_none(&naming("shared/src/store", &[&beside[..], &["crate::media", "aws_sdk_s3"]].concat()));
    assert_none(&naming("shared/src/media", &[&beside[..], &["crate::store", "aws_sdk_dynamodb"]].concat()));
    assert_none(&naming("functions", &["aws_sdk"]));
    assert_none(&naming("shared/imaging/src", &["aws_", "tokio"]));
    // In `use crate::{store, ...}` the search above would find nothing.
    assert_none(&naming("shared/src", &["crate::{"]));
    for name in ["aws", "tokio", "lambda"] {
        assert!(!read("shared/imaging/Cargo.toml").contains(name), "imaging depends on {name}");
    }
}

/// The modules that are built for tests alone and have files of their own: `#[cfg(test)] mod fakes;`. Where a path is
/// given, the file is called like the module.
fn test_modules(source: &str) -> Vec<String> {
    let declared = source.split("#[cfg(test)]\n").skip(1).filter_map(|rest| {
        let line = rest.lines().find(|line| !line.starts_with("#[path"))?.trim_start_matches("pub(crate) ");
        line.strip_prefix("mod ")?.strip_suffix(';').map(str::to_owned)
    });
    declared.collect()
}

#[test]
fn nothing_panics_for_want_of_an_answer() {
    let directories = ["functions", "shared/src", "shared/imaging/src", "local/src"];
    let sources: Vec<_> = directories.iter().flat_map(|directory| files(directory, "rs")).collect();
    let of_tests: BTreeSet<_> = sources.iter().flat_map(|path| test_modules(&read(path))).collect();
    let mut broken = vec![];
    for path in sources {
        if path.with_extension("").iter().any(|part| of_tests.contains(part.to_str().unwrap())) {
            continue;
        }
        let source = code(&read(&path));
        for name in [".unwrap()", "todo!(", "unimplemented!(", "dbg!("] {
            if source.contains(name) {
                broken.push(format!("{}: {name}", path.display()));
            }
        }
    }
    assert_none(&broken);
}

#[test]
fn the_rules_themselves_see_what_they_look_for() {
    assert_eq!(kebab("CreateUpload"), "create-upload");
    let source = "async fn f(a: &impl FindImage, b: &(impl Ids\n + EraseRows), c: &impl Clock,) {}";
    assert_eq!(ports(source), ["EraseRows", "FindImage"].map(str::to_owned).into());
    assert_eq!(test_modules("#[cfg(test)]\npub(crate) mod fakes;\n#[cfg(test)]\nmod tests {"), ["fakes"]);
    assert_eq!(test_modules("#[cfg(test)]\n#[path = \"../fakes.rs\"]\nmod fakes;\n"), ["fakes"]);
    assert_eq!(code("a\n// b\n#[cfg(test)]\nmod tests {\n c"), "a\n");
}

/// `cargo run` at the top means the local stack, and nothing as soon as a second package wants to be meant.
#[test]
fn cargo_run_means_the_local_stack() {
    let manifests = files("local", "toml").into_iter().chain(files("tests", "toml"));
    let manifests = manifests.chain(files("functions", "toml")).chain(files("shared", "toml"));
    let with_default: Vec<_> = manifests.filter(|path| read(path).contains("default-run")).collect();
    assert_eq!(with_default, [root().join("local/Cargo.toml")]);
}

//! The environment of a function, as Lambda sets it.

use std::collections::BTreeMap;
use std::path::Path;

use super::Launch;

/// What a developer may set for all functions from outside. Everything else is cleared: a shell's
/// `AWS_PROFILE` must not decide what a function talks to.
const PASSED_ON: [&str; 2] = ["RUST_BACKTRACE", "RUST_LOG"];

/// The variables that all instances of a function share. The caller's override the template's, which
/// override Lambda's.
///
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime>
pub(super) fn of(launch: &Launch) -> BTreeMap<String, String> {
    let function = &launch.function;
    let region = region(&function.arn);
    let root = launch.executable.parent().unwrap_or(Path::new("/")).to_string_lossy();
    let mut variables: BTreeMap<String, String> = [
        ("AWS_DEFAULT_REGION", region),
        ("AWS_EXECUTION_ENV", "AWS_Lambda_rust"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &function.memory_mb.to_string()),
        ("AWS_LAMBDA_FUNCTION_NAME", &function.name),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", &format!("/aws/lambda/{}", function.name)),
        ("AWS_REGION", region),
        ("LAMBDA_RUNTIME_DIR", "/var/runtime"),
        ("LAMBDA_TASK_ROOT", &root),
        ("LANG", "en_US.UTF-8"),
        ("PATH", "/usr/local/bin:/usr/bin:/bin:/opt/bin"),
        ("TZ", ":UTC"),
        ("_HANDLER", "bootstrap"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect();
    for name in PASSED_ON {
        if let Ok(value) = std::env::var(name) {
            variables.insert(name.to_owned(), value);
        }
    }
    variables.extend(function.environment.clone());
    variables.extend(launch.environment.clone());
    variables
}

/// The name of one instance's log stream, `2026/01/02/[$LATEST]8f3a...`.
pub(super) fn log_stream() -> String {
    let date = jiff::Timestamp::now().strftime("%Y/%m/%d");
    format!("{date}/[$LATEST]{:032x}", rand::random::<u128>())
}

/// `arn:aws:lambda:REGION:ACCOUNT:function:NAME`.
fn region(arn: &str) -> &str {
    arn.split(':').nth(3).filter(|region| !region.is_empty()).unwrap_or("us-east-1")
}

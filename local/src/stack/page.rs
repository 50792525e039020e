//! The page about the running stack: what there is, and where.

use std::fmt::Write as _;

use super::Ready;
use crate::template::model::{Deployment, Trigger};

/// Renders it. Nothing in it comes from a client.
pub fn render<'a>(
    deployment: &Deployment, ready: &Ready,
    timers: impl Iterator<Item = (&'a str, &'a str, Option<jiff::Timestamp>)>,
) -> String {
    let mut rows = String::new();
    for function in &deployment.functions {
        let triggers = function.triggers.iter().map(describe).collect::<Vec<_>>().join("<br>");
        let authorizes = deployment
            .api
            .iter()
            .flat_map(|api| api.authorizers.values())
            .any(|authorizer| authorizer.function == function.name);
        let triggers = match triggers.as_str() {
            "" if authorizes => "requests to the API, before their functions",
            "" => "invoked by the operator",
            triggers => triggers,
        };
        // Writing to a String cannot fail.
        let _ = write!(
            rows,
            "<tr><td><code>{}</code><td>{triggers}<td>{} MB<td>{} s",
            function.binary,
            function.memory_mb,
            function.timeout.as_secs()
        );
    }
    let mut resources = String::new();
    for (id, name) in &ready.resources {
        let _ = write!(resources, "<tr><td>{id}<td><code>{name}</code>");
    }
    let mut upcoming = String::new();
    for (name, function, next) in timers {
        let next = next.map_or_else(|| "never".to_owned(), |next| format!("{next:.0}"));
        let _ = write!(upcoming, "<tr><td>{name}<td><code>{function}</code><td>next at {next}");
    }
    let Ready { api, s3, dynamodb, sqs, .. } = ready;
    format!(
        r#"<!doctype html><html lang="en"><meta charset="utf-8"><title>Tintype</title>
<meta name="viewport" content="width=device-width">
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem;
  color: #222; background: #fcfbf8 }}
h1 {{ font-weight: 600 }} h2 {{ margin-top: 2rem; font-size: 1.1rem }}
table {{ border-collapse: collapse; width: 100% }}
td {{ border-top: 1px solid #ddd; padding: .4rem .8rem .4rem 0; vertical-align: top }}
code {{ font-size: .9em }}
@media (prefers-color-scheme: dark) {{ body {{ color: #ddd; background: #1b1a18 }} td {{ border-color: #444 }} }}
</style>
<h1>Tintype is running</h1>
<table>
<tr><td>API<td><code>{api}</code><tr><td>S3<td><code>{s3}</code>
<tr><td>DynamoDB<td><code>{dynamodb}</code><tr><td>SQS<td><code>{sqs}</code>
</table>
<p>The project and its API key are in the terminal that the stack was started in.
<h2>Functions</h2><table>{rows}</table>
<h2>Timers</h2><table>{upcoming}</table>
<p><code>cargo run -- fire sweep</code> lets one go off now.
<h2>Resources</h2><table>{resources}</table>
<h2>Looking in</h2>
<p><a href="queues">Queues</a> · <a href="functions">what the functions have been through</a>
</html>"#
    )
}

fn describe(trigger: &Trigger) -> String {
    match trigger {
        Trigger::Http(route) => format!("<code>{} {}</code>", route.method, route.path),
        Trigger::Queue(mapping) => {
            let queue = mapping.queue.rsplit(':').next().unwrap_or_default();
            format!("messages of <code>{queue}</code>")
        }
        Trigger::Stream(mapping) => format!("changes of <code>{}</code>", mapping.table),
        Trigger::Schedule(schedule) => format!("<code>{}</code>", schedule.expression),
    }
}

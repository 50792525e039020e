//! `tintype`: runs the stack until Ctrl-C.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::{Outcome, note, print_line};
use crate::console::{Console, Format};
use crate::faults::{FaultRate, Faults};
use crate::stack::{Ports, Programs, Ready, Settings, Stack};

/// How the stack runs.
#[derive(Debug, Clone, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub struct Options {
    /// Port of the API; S3 takes the one after it. 0 picks free ones
    #[arg(long, default_value_t = 3000, value_name = "PORT")]
    port: u16,
    /// Keep everything in this directory; without it everything is forgotten at the end
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Write a JSON document about the running stack once it answers
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// The template to run; by default `template.yaml` here or in a directory above
    #[arg(long, value_name = "FILE")]
    template: Option<PathBuf>,
    /// Give a parameter of the template a value
    #[arg(long = "parameter", value_name = "NAME=VALUE")]
    parameters: Vec<String>,
    /// Change a property in the template, `ProcessUpload.Timeout=3`
    #[arg(long = "set", value_name = "RESOURCE.PATH=VALUE")]
    overrides: Vec<String>,
    /// Run optimised binaries
    #[arg(long)]
    release: bool,
    /// Run the binaries beside this one as they are
    #[arg(long)]
    no_build: bool,
    /// Let a service fail now and then, `dynamodb=throttle:5%`
    #[arg(long = "fault", value_name = "SERVICE=KIND:PERCENT")]
    faults: Vec<FaultRate>,
    /// Deliver every queue message twice
    #[arg(long)]
    duplicate: bool,
    /// Deliver queue messages in random order
    #[arg(long)]
    reorder: bool,
    /// Repeat the faults of another run
    #[arg(long, default_value_t = 0, value_name = "NUMBER")]
    seed: u64,
    /// Log as JSON lines
    #[arg(long)]
    json: bool,
    /// Log warnings and errors only
    #[arg(long, short)]
    quiet: bool,
}

impl Options {
    /// What a stack needs to run for one invocation: free ports, nothing kept.
    pub fn once(template: Option<PathBuf>, release: bool, no_build: bool) -> Self {
        Self {
            port: 0,
            data: None,
            ready_file: None,
            template,
            parameters: vec![],
            overrides: vec![],
            release,
            no_build,
            faults: vec![],
            duplicate: false,
            reorder: false,
            seed: 0,
            json: false,
            quiet: true,
        }
    }

    /// Starts the stack.
    pub async fn start(&self) -> Result<Stack, Box<dyn std::error::Error + Send + Sync>> {
        let ports = Ports::from(self.port);
        let console = Console::new(if self.json { Format::Json } else { Format::Text }, self.quiet);
        let filter = tracing_subscriber::EnvFilter::builder()
            .with_default_directive(tracing::level_filters::LevelFilter::WARN.into())
            .parse_lossy(std::env::var("RUST_LOG").unwrap_or_else(|_| "warn,tintype=info,s3s=off".into()));
        // A second stack in one process keeps the first one's log.
        let _ = tracing_subscriber::registry().with(filter).with(console.clone()).try_init();
        // Building takes minutes, after which nobody wants to hear it.
        ports.try_bind()?;
        let programs =
            if self.no_build { Programs::beside_this_one()? } else { Programs::build(self.release).await? };
        let faults = Faults::new(self.seed);
        for rate in &self.faults {
            faults.set(*rate);
        }
        faults.set_duplicate(self.duplicate);
        faults.set_reorder(self.reorder);
        Stack::start(Settings {
            ports,
            data: self.data.clone(),
            template: self.template.clone(),
            parameters: self.parameters.clone(),
            overrides: self.overrides.clone(),
            programs,
            faults,
            console,
        })
        .await
    }
}

/// Runs the stack until it is told to stop.
pub async fn run(options: Options) -> Outcome {
    let stop = stop_signal()?;
    if let Some(file) = &options.ready_file {
        // A script must not read what the last run left, nor wait for a file that cannot be written.
        Ready::prepare(file)?;
    }
    let started = tokio::select! {
        started = options.start() => started?,
        () = stop.cancelled() => return Ok(ExitCode::from(130)),
    };
    let ready = started.ready();
    ready.remember();
    if let Some(file) = &options.ready_file {
        ready.write(file)?;
    }
    if !options.quiet && !options.json {
        introduce(ready);
    }
    stop.cancelled().await;
    if !options.quiet && !options.json {
        note("Stopping.");
    }
    ready.forget();
    if let Some(file) = &options.ready_file {
        let _ = std::fs::remove_file(file);
    }
    started.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// Ctrl-C, or `kill`.
fn stop_signal() -> std::io::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        stopped.cancel();
        // Who asks again does not want to wait.
        interrupt.recv().await;
        std::process::exit(130);
    });
    Ok(stop)
}

fn introduce(ready: &Ready) {
    let Ready { api, s3, stack, project, key, .. } = ready;
    print_line(&format!(
        r#"
Tintype is running. Ctrl-C stops it.

  API      {api}
  S3       {s3}
  Docs     {api}/docs
  Stack    {stack}
  Project  {project}
  Key      {key}

Upload a photograph, and see every size of it:

  cargo run -- upload photo.jpg

Or step by step, in another terminal:

  API={api} KEY={key} FILE=photo.jpg TYPE=image/jpeg
  curl -s $API/v1/uploads -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \
    -d "{{\"content_type\":\"$TYPE\",\"method\":\"PUT\",\"bytes\":$(wc -c < "$FILE")}}" -o upload.json
  IMAGE=$(grep -o 'img_[0-9A-Z]*' upload.json | head -1)
  curl -s -T "$FILE" -H "Content-Type: $TYPE" -H "If-None-Match: *" \
    "$(grep -o '"url":"[^"]*' upload.json | cut -d '"' -f 4)"
  until curl -s $API/v1/images/$IMAGE -H "Authorization: Bearer $KEY" -o image.json &&
    grep -Eq '"state":"(ready|failed)"' image.json; do sleep 1; done
  cat image.json
  curl -sf -o picture.webp "$API$(grep -o '/i/[^"]*webp[^"]*' image.json | tail -1)"
"#
    ));
}

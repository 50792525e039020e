//! The running stack: a template in, a backend out.

mod adapters;
mod control;
mod credentials;
mod first_project;
mod page;
mod programs;
mod ready;

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use programs::Programs;
pub use ready::Ready;

use crate::console::Console;
use crate::dynamodb::Tables;
use crate::faults::Faults;
use crate::gateway;
use crate::iam::{Identities, Identity};
use crate::lambda::{Functions, InvokeError, Launch, Options};
use crate::s3::{self, Durability, S3};
use crate::sqs::Queues;
use crate::template::model::{Deployment, Trigger};
use crate::template::{Context, Template};
use crate::triggers::queue::QueuePoller;
use crate::triggers::schedule::{SystemClock, Timers};
use crate::triggers::stream::StreamReader;
use adapters::Streams;
use credentials::Seed;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The one region of the stack.
pub const REGION: &str = "eu-west-1";

/// How long servers and triggers may take to finish what is under way.
const GRACE: Duration = Duration::from_secs(3);
/// How often lifecycle rules and times to live are looked at.
const HOUSEKEEPING: Duration = Duration::from_mins(1);

/// Where the API and S3 listen.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    api: u16,
    s3: u16,
}

impl From<u16> for Ports {
    /// The API's port; S3's is the next. 0 leaves both to the system.
    fn from(api: u16) -> Self {
        Self { api, s3: if api == 0 { 0 } else { api.wrapping_add(1) } }
    }
}

impl Ports {
    /// Whether they can be had at this moment.
    pub fn try_bind(self) -> Result<(), Failure> {
        for port in [self.api, self.s3] {
            std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|error| taken(port, &error))?;
        }
        Ok(())
    }
}

fn taken(port: u16, error: &std::io::Error) -> Failure {
    format!("port {port} cannot be had ({error}); choose another with --port, or 0 for any").into()
}

/// What a stack runs, and how.
pub struct Settings {
    /// Where it listens.
    pub ports: Ports,
    /// Where it keeps its data; `None` forgets it.
    pub data: Option<PathBuf>,
    /// The template's file; `None` looks for it.
    pub template: Option<PathBuf>,
    /// Values of parameters.
    pub parameters: Vec<String>,
    /// Changes to the template.
    pub overrides: Vec<String>,
    /// The functions' binaries.
    pub programs: Programs,
    /// What goes wrong.
    pub faults: Faults,
    /// Where logs go.
    pub console: Console,
}

/// A running stack.
pub struct Stack {
    parts: Parts,
    ready: Ready,
    stop: CancellationToken,
    tasks: TaskTracker,
    /// Dropped last: everything else is in it.
    _directory: Directory,
}

/// What the control routes act on.
#[derive(Clone)]
struct Parts {
    deployment: Arc<Deployment>,
    functions: Functions,
    queues: Queues,
    tables: Tables,
    s3: S3,
    timers: Arc<Timers<Functions, SystemClock>>,
    faults: Faults,
}

impl Stack {
    /// Starts everything, and returns when the API answers.
    pub async fn start(settings: Settings) -> Result<Self, Failure> {
        let listeners = Listeners::bind(settings.ports).await?;
        let template = settings.template.clone().map_or_else(find_template, Ok)?;
        let deployment = Template::read(&template)?
            .with(&settings.parameters, &settings.overrides)?
            .resolve(&Context { api_url: listeners.api_url(), queue_url: listeners.sqs_url() })?;
        let deployment = Arc::new(deployment);
        let directory = Directory::open(settings.data.as_deref())?;
        let seed = Seed::of(directory.path())?;
        let root = seed.identity("root", None, deployment.references());
        let identities = identities(&deployment, &seed, &root);
        let parts = open(&settings, &directory, &deployment, &identities, &seed, &listeners).await?;

        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        start_triggers(&parts, &stop, &tasks)?;
        let ready = Ready::new(&listeners, &root, &deployment);
        serve(&parts, &ready, identities, listeners, &stop, &tasks);
        let (project, key) = first_project::find_or_create(directory.path(), &parts.functions).await?;
        let ready = Ready { project, key, ..ready };
        Ok(Self { parts, ready, stop, tasks, _directory: directory })
    }

    /// Where everything is.
    pub const fn ready(&self) -> &Ready {
        &self.ready
    }

    /// A function's logical id, given that or its binary's name.
    pub fn function_named(&self, name: &str) -> Result<String, Failure> {
        let functions = &self.parts.deployment.functions;
        let found = functions.iter().find(|f| f.name == name || f.binary == name);
        found.map(|function| function.name.clone()).ok_or_else(|| {
            let known: Vec<_> = functions.iter().map(|function| function.binary.as_str()).collect();
            format!("there is no function `{name}`; there are {}", known.join(", ")).into()
        })
    }

    /// Invokes a function.
    pub async fn invoke(&self, function: &str, event: Bytes) -> Result<Bytes, InvokeError> {
        self.parts.functions.invoke(function, event).await
    }

    /// Stops everything, children included.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        // First who invokes, then who is invoked; and nobody holds up the end.
        let _ = tokio::time::timeout(GRACE, self.tasks.wait()).await;
        self.parts.functions.shutdown().await;
    }
}

fn identities(deployment: &Deployment, seed: &Seed, root: &Identity) -> Arc<Identities> {
    let functions = deployment.functions.iter().map(|function| {
        seed.identity(&function.name, Some(function.statements.clone()), deployment.references())
    });
    Arc::new(Identities::new(functions.chain([root.clone()])))
}

async fn open(
    settings: &Settings, directory: &Directory, deployment: &Arc<Deployment>, identities: &Arc<Identities>,
    seed: &Seed, listeners: &Listeners,
) -> Result<Parts, Failure> {
    let faults = settings.faults.clone();
    let file = |name: &str| directory.kept().map(|path| path.join(name));
    let queues = Queues::open(file("queues.sqlite").as_deref(), &deployment.queues, faults.clone())?;
    let tables = Tables::open(file("tables.sqlite").as_deref(), &deployment.tables, faults.clone())?;
    let durability = if directory.kept().is_some() { Durability::Synced } else { Durability::Ephemeral };
    let objects = directory.path().join("objects");
    std::fs::create_dir_all(&objects)?;
    let notified = queues.clone();
    let notify: s3::Notify = Arc::new(move |queue, body| {
        let queues = notified.clone();
        Box::pin(async move { queues.send(&queue, body).await.map(drop).map_err(|e| e.to_string()) })
    });
    let s3 = s3::open(&objects, durability, &deployment.buckets, Arc::clone(identities), notify).await?;

    let mut launches = Vec::new();
    for function in &deployment.functions {
        settings.console.make_room_for(&function.name);
        let identity = seed.identity(&function.name, None, deployment.references());
        launches.push(Launch {
            executable: settings.programs.find(&function.binary)?,
            environment: BTreeMap::from([
                ("AWS_ACCESS_KEY_ID".into(), identity.access_key),
                ("AWS_SECRET_ACCESS_KEY".into(), identity.secret_key),
                // Lambda's credentials always have one, so policies and signatures must cope with it.
                ("AWS_SESSION_TOKEN".into(), "local".into()),
                ("AWS_ENDPOINT_URL_DYNAMODB".into(), listeners.dynamodb_url()),
                ("AWS_ENDPOINT_URL_S3".into(), listeners.s3_url()),
                ("AWS_ENDPOINT_URL_SQS".into(), listeners.sqs_url()),
                // An issuer of tokens to develop with is on this machine, too.
                ("ALLOW_LOOPBACK_ISSUERS".into(), "true".into()),
            ]),
            function: function.clone(),
        });
    }
    let functions = Functions::new(launches, Options::new(settings.console.clone()));
    let timers = Arc::new(Timers::new(&deployment.functions, functions.clone(), SystemClock)?);
    Ok(Parts { deployment: Arc::clone(deployment), functions, queues, tables, s3, timers, faults })
}

fn start_triggers(parts: &Parts, stop: &CancellationToken, tasks: &TaskTracker) -> Result<(), Failure> {
    for function in &parts.deployment.functions {
        for trigger in &function.triggers {
            match trigger {
                Trigger::Queue(mapping) => {
                    // More at once than there are processors would only make each of them late.
                    let most = std::thread::available_parallelism().map_or(2, |n| n.get().clamp(2, 8));
                    let mut mapping = mapping.clone();
                    mapping.maximum_concurrency =
                        Some(mapping.maximum_concurrency.map_or(most, |n| n.min(most)));
                    let (queues, functions) = (parts.queues.clone(), parts.functions.clone());
                    let poller = QueuePoller::new(&function.name, mapping, queues, functions)?;
                    tasks.spawn(poller.run(stop.clone()));
                }
                Trigger::Stream(mapping) => {
                    let (streams, functions) = (Streams::new(parts.tables.clone()), parts.functions.clone());
                    let queues = parts.queues.clone();
                    let reader = StreamReader::new(function, mapping.clone(), streams, functions, queues)?;
                    tasks.spawn(reader.run(stop.clone()));
                }
                // The gateway and the timers have these.
                Trigger::Http(_) | Trigger::Schedule(_) => {}
            }
        }
    }
    let (timers, stopped) = (Arc::clone(&parts.timers), stop.clone());
    tasks.spawn(async move { timers.run(&stopped).await });
    let (housekeeper, stopped) = (parts.clone(), stop.clone());
    tasks.spawn(async move {
        while stopped.run_until_cancelled(tokio::time::sleep(HOUSEKEEPING)).await.is_some() {
            housekeeper.expire().await;
        }
    });
    Ok(())
}

impl Parts {
    /// Deletes what lifecycle rules and times to live say is over.
    async fn expire(&self) {
        let tables = self.tables.clone();
        let swept = tokio::task::spawn_blocking(move || tables.sweep_expired()).await;
        if let Ok(Err(error)) = swept {
            tracing::warn!(%error, "expired items were not deleted");
        }
        if let Err(error) = self.s3.expire(jiff::Timestamp::now()).await {
            tracing::warn!(%error, "expired objects were not deleted");
        }
    }
}

fn serve(
    parts: &Parts, ready: &Ready, identities: Arc<Identities>, listeners: Listeners,
    stop: &CancellationToken, tasks: &TaskTracker,
) {
    let deployment = &parts.deployment;
    let routes = deployment.functions.iter().flat_map(|function| {
        function.triggers.iter().filter_map(|trigger| match trigger {
            Trigger::Http(route) => Some((route.clone(), function.name.clone())),
            Trigger::Queue(_) | Trigger::Stream(_) | Trigger::Schedule(_) => None,
        })
    });
    let control = control::router(parts.clone(), ready.clone());
    let api = deployment.api.clone().unwrap_or_default();
    let gateway = gateway::serve(
        listeners.api,
        api,
        routes.collect(),
        parts.functions.clone(),
        control,
        stop.clone().cancelled_owned(),
    );
    spawn("the API", tasks, gateway);
    spawn("S3", tasks, parts.s3.clone().serve(listeners.s3, parts.faults.clone(), stop.clone()));
    let (tables, keys, stopped) = (parts.tables.clone(), Arc::clone(&identities), stop.clone());
    spawn("DynamoDB", tasks, async move { tables.serve(listeners.dynamodb, keys, stopped).await });
    let (queues, stopped) = (parts.queues.clone(), stop.clone());
    spawn("SQS", tasks, async move { queues.serve(listeners.sqs, identities, stopped).await });
}

fn spawn(
    what: &'static str, tasks: &TaskTracker, server: impl Future<Output = io::Result<()>> + Send + 'static,
) {
    tasks.spawn(async move {
        if let Err(error) = server.await {
            tracing::error!(%error, "{what} stopped");
        }
    });
}

/// The template of the project that this is run in.
fn find_template() -> Result<PathBuf, Failure> {
    let here = std::env::current_dir()?;
    let candidates = here.ancestors().map(|directory| directory.join("template.yaml"));
    candidates.into_iter().find(|file| file.is_file()).ok_or_else(|| {
        format!("there is no template.yaml in {} or above; name one with --template", here.display()).into()
    })
}

/// Everything that the stack listens on.
struct Listeners {
    api: TcpListener,
    s3: TcpListener,
    dynamodb: TcpListener,
    sqs: TcpListener,
}

impl Listeners {
    async fn bind(ports: Ports) -> Result<Self, Failure> {
        let bind = |port: u16| async move {
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| taken(port, &error))
        };
        Ok(Self {
            api: bind(ports.api).await?,
            s3: bind(ports.s3).await?,
            dynamodb: bind(0).await?,
            sqs: bind(0).await?,
        })
    }

    fn api_url(&self) -> String {
        url(&self.api)
    }

    fn s3_url(&self) -> String {
        url(&self.s3)
    }

    fn dynamodb_url(&self) -> String {
        url(&self.dynamodb)
    }

    fn sqs_url(&self) -> String {
        url(&self.sqs)
    }
}

fn url(listener: &TcpListener) -> String {
    let address = listener.local_addr().unwrap_or_else(|_| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    format!("http://{address}")
}

/// Where the stack keeps its data, which is one process's at a time.
enum Directory {
    Kept { path: PathBuf, _lock: std::fs::File },
    Forgotten(TempDir),
}

impl Directory {
    fn open(kept: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = kept else { return Ok(Self::Forgotten(TempDir::with_prefix("tintype-")?)) };
        std::fs::create_dir_all(path)?;
        let lock = std::fs::File::create(path.join("lock"))?;
        lock.try_lock().map_err(|_| format!("another stack is using {}", path.display()))?;
        Ok(Self::Kept { path: path.to_owned(), _lock: lock })
    }

    fn path(&self) -> &Path {
        match self {
            Self::Kept { path, .. } => path,
            Self::Forgotten(directory) => directory.path(),
        }
    }

    fn kept(&self) -> Option<&Path> {
        match self {
            Self::Kept { path, .. } => Some(path),
            Self::Forgotten(_) => None,
        }
    }
}

//! Lambda: runs the functions' real binaries.
//!
//! A function cannot tell this from production: its own runtime client speaks the Lambda Runtime API
//! on loopback, deadlines are real, and a process that overruns its timeout is killed. Instances
//! start on demand, stay warm, and take one invocation at a time.
//!
//! Children do not survive the stack. An orderly end stops them ([`Functions::shutdown`]), and so
//! does the end of the async runtime. If the stack itself is killed, their connections to it
//! break, on which the runtime client exits: at once when idle, else at the end of its work.
//! (`PR_SET_PDEATHSIG` would be sooner but is Linux only, needs `unsafe`, and fires when the *thread*
//! that started the child ends.)

pub mod body;
mod environment;
mod error;
mod instance;
mod pool;
mod runtime_api;
#[cfg(test)]
pub(crate) mod test_function;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use tracing::Level;

use crate::console::{self, Console};
use crate::template::model::Function;
pub use error::InvokeError;
use pool::Pool;

/// The largest payload of a synchronous invocation.
///
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
pub const REQUEST_LIMIT: usize = 6 * 1024 * 1024;

/// The largest answer: Lambda's own message about one that is too large gives this figure.
pub const RESPONSE_LIMIT: usize = 6_291_556;

/// A function and how to run it.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The function, as the template describes it.
    pub function: Function,
    /// Its binary.
    pub executable: PathBuf,
    /// Credentials, endpoints and whatever else it must see; these win over the template's.
    pub environment: BTreeMap<String, String>,
}

/// How functions run.
#[derive(Debug, Clone)]
pub struct Options {
    /// The most instances of one function.
    pub concurrency: usize,
    /// How long an invocation waits for one of them before it is throttled.
    pub queue: Duration,
    /// How long an instance may take to become ready.
    pub init: Duration,
    /// How long an instance stays without work.
    pub idle: Duration,
    /// Where the logs go.
    pub console: Console,
}

impl Options {
    /// What Lambda does, at the size of a laptop.
    pub fn new(console: Console) -> Self {
        Self {
            concurrency: 10,
            queue: Duration::from_secs(5),
            init: Duration::from_secs(10),
            idle: Duration::from_mins(5),
            console,
        }
    }
}

/// The functions of a stack. Clones share the instances.
#[derive(Clone)]
pub struct Functions {
    pools: Arc<HashMap<String, Arc<Pool>>>,
    console: Console,
}

/// A finished invocation.
#[derive(Debug)]
pub struct Invoked {
    /// The function's answer.
    pub result: Result<Bytes, InvokeError>,
    /// How long the function worked on it.
    pub duration: Duration,
    /// How long an instance took to start, if one had to.
    pub cold_start: Option<Duration>,
}

/// What a function has been through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// All invocations, failed ones included.
    pub invocations: u64,
    /// Those that failed.
    pub errors: u64,
    /// Instances started.
    pub cold_starts: u64,
    /// The highest resident set that any instance was seen with, in bytes; 0 where the system does
    /// not tell.
    pub peak_memory: u64,
}

impl Functions {
    /// Takes the functions on; their processes start when they are needed.
    ///
    /// # Panics
    ///
    /// Outside of an async runtime.
    pub fn new(functions: Vec<Launch>, options: Options) -> Self {
        let console = options.console.clone();
        let idle = options.idle;
        let options = Arc::new(options);
        let pools: HashMap<_, _> = functions
            .into_iter()
            .map(|launch| {
                console.make_room_for(&launch.function.name);
                (launch.function.name.clone(), Arc::new(Pool::new(launch, Arc::clone(&options))))
            })
            .collect();
        let pools = Arc::new(pools);
        let watched = Arc::downgrade(&pools);
        tokio::spawn(async move {
            // Often enough that nobody stays half as long again as is allowed.
            let mut clock = tokio::time::interval((idle / 2).max(Duration::from_millis(10)));
            loop {
                clock.tick().await;
                let Some(pools) = watched.upgrade() else {
                    return;
                };
                pools.values().for_each(|pool| pool.retire());
            }
        });
        Self { pools, console }
    }

    /// Invokes a function, by its logical id, and prints a line about it.
    pub async fn invoke(&self, function: &str, payload: Bytes) -> Result<Bytes, InvokeError> {
        let invoked = self.invoke_traced(function, payload, "").await;
        self.report(function, &invoked, None, "");
        invoked.result
    }

    /// The same without the line, for a caller who has more to say in [`Functions::report`]; `trace`
    /// is the `X-Amzn-Trace-Id`, empty for a new one.
    ///
    /// The function works on if the caller goes away, as it does in production.
    pub async fn invoke_traced(&self, function: &str, payload: Bytes, trace: &str) -> Invoked {
        let failed = |error| Invoked { result: Err(error), duration: Duration::ZERO, cold_start: None };
        let Some(pool) = self.pools.get(function) else {
            return failed(InvokeError::UnknownFunction(function.to_owned()));
        };
        let trace = if trace.is_empty() { new_trace().into() } else { trace.into() };
        match tokio::spawn(Arc::clone(pool).invoke(payload, trace)).await {
            Ok(invoked) => invoked,
            // The async runtime ends.
            Err(_) => failed(InvokeError::Throttled),
        }
    }

    /// Prints the line about an invocation, and the error if it failed. `status` is what the client
    /// of a gateway saw.
    pub fn report(&self, function: &str, invoked: &Invoked, status: Option<StatusCode>, detail: &str) {
        if let Err(error) = &invoked.result {
            self.console.event(function, Level::ERROR, &error.to_string());
        }
        let level = if invoked.result.is_err() || status.is_some_and(|status| status.is_server_error()) {
            Level::ERROR
        } else {
            Level::INFO
        };
        self.console.invocation(&console::Invocation {
            function,
            outcome: match (&status, &invoked.result) {
                (Some(status), _) => status.as_str(),
                (None, Ok(_)) => "ok",
                (None, Err(_)) => "failed",
            },
            level,
            duration: invoked.duration,
            cold_start: invoked.cold_start,
            detail,
        });
    }

    /// A function's ARN.
    pub fn arn(&self, function: &str) -> Option<&str> {
        self.pools.get(function).map(|pool| pool.arn())
    }

    /// Kills an instance of a function, one that works if there is any. `false` if there is none.
    pub fn kill_instance(&self, function: &str) -> bool {
        self.pools.get(function).is_some_and(|pool| pool.kill_instance())
    }

    /// The process ids of a function's instances.
    pub fn instances(&self, function: &str) -> Vec<u32> {
        self.pools.get(function).map(|pool| pool.processes()).unwrap_or_default()
    }

    /// What each function has been through so far.
    pub fn counters(&self) -> BTreeMap<String, Counters> {
        self.pools.iter().map(|(name, pool)| (name.clone(), pool.counters())).collect()
    }

    /// Takes no more invocations, asks all processes to end and kills those that have not after a
    /// second.
    pub async fn shutdown(&self) {
        futures::future::join_all(self.pools.values().map(|pool| pool.shut_down())).await;
    }
}

/// A new trace, which is not sampled: there is no X-Ray to send it to.
///
/// <https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader>
pub fn new_trace() -> String {
    let seconds = jiff::Timestamp::now().as_second();
    let random = rand::random::<u128>() >> 32;
    format!("Root=1-{seconds:08x}-{random:024x};Sampled=0")
}

//! One process of a function.

use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Launch;
use super::environment;
use super::error::InvokeError;
use super::runtime_api::{self, RuntimeApi};
use crate::console::Console;

/// How long a process may take to end on its own.
const GRACE: Duration = Duration::from_secs(1);
/// A longer line is printed in pieces: `CloudWatch` takes events of at most 256 KB.
const LINE: u64 = 256 * 1024;

/// A running process. It is killed when the last reference goes.
pub(super) struct Instance {
    pub(super) api: Arc<RuntimeApi>,
    pub(super) pid: u32,
    signals: mpsc::UnboundedSender<Signal>,
    exited: CancellationToken,
}

/// The highest resident set that any instance of a function was seen with, in bytes.
#[derive(Debug, Default)]
pub(super) struct PeakMemory(AtomicU64);

impl Instance {
    /// Starts a process. It is ready when the receiver says so. `on_exit` runs when it has ended.
    pub(super) async fn start(
        launch: &Launch, variables: impl IntoIterator<Item = (&String, &String)>, memory: Arc<PeakMemory>,
        console: &Console, on_exit: impl FnOnce() + Send + 'static,
    ) -> Result<(Arc<Self>, oneshot::Receiver<Result<(), InvokeError>>), InvokeError> {
        let name = &launch.function.name;
        let failed = |error: std::io::Error| InvokeError::InitFailed {
            error_type: "Runtime.InvalidEntrypoint".into(),
            message: format!("{}: {error}", launch.executable.display()),
        };
        let executable = std::path::absolute(&launch.executable).map_err(failed)?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;

        let mut command = Command::new(&executable);
        command
            .env_clear()
            .envs(variables)
            .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
            .env("AWS_LAMBDA_LOG_STREAM_NAME", environment::log_stream())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own: an interrupt from the terminal is for the stack alone, which then
            // stops its functions in order.
            .process_group(0)
            .kill_on_drop(true);
        if let Some(root) = executable.parent() {
            command.current_dir(root);
        }
        let mut child = command.spawn().map_err(failed)?;
        let pid = child.id().unwrap_or_default();

        let (api, ready) = RuntimeApi::new();
        let logs = [
            child.stdout.take().map(|out| tokio::spawn(print(out, name.clone(), console.clone()))),
            child.stderr.take().map(|out| tokio::spawn(print(out, name.clone(), console.clone()))),
        ];
        let server = tokio::spawn(runtime_api::serve(listener, Arc::clone(&api)));
        let (signals, requests) = mpsc::unbounded_channel();
        let exited = CancellationToken::new();
        let watched = Watched { child, pid, requests, server, logs, memory, api: Arc::clone(&api) };
        tokio::spawn({
            let exited = exited.clone().drop_guard();
            async move {
                watched.until_exit().await;
                drop(exited);
                on_exit();
            }
        });
        Ok((Arc::new(Self { api, pid, signals, exited }), ready))
    }

    pub(super) fn has_exited(&self) -> bool {
        self.exited.is_cancelled()
    }

    /// Kills the process at once.
    pub(super) fn kill(&self) {
        // A process that has exited needs no signal.
        let _ = self.signals.send(Signal::KILL);
    }

    /// Asks the process to end, insists after a second, and waits.
    pub(super) async fn stop(&self) {
        let _ = self.signals.send(Signal::TERM);
        if tokio::time::timeout(GRACE, self.exited.cancelled()).await.is_err() {
            self.kill();
            self.exited.cancelled().await;
        }
    }
}

impl PeakMemory {
    pub(super) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Looks at a process that still runs. Only Linux tells.
    pub(super) fn look_at(&self, pid: u32) {
        let Ok(status) = std::fs::read_to_string(format!("/proc/{pid}/status")) else {
            return;
        };
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        if let Some(kilobytes) = peak {
            self.0.fetch_max(kilobytes * 1024, Ordering::Relaxed);
        }
    }
}

/// A process and all that ends with it. It is owned by one task, so that no signal can ever go to a
/// process id that has been reaped and given to somebody else.
struct Watched {
    child: Child,
    pid: u32,
    requests: mpsc::UnboundedReceiver<Signal>,
    server: JoinHandle<()>,
    logs: [Option<JoinHandle<()>>; 2],
    memory: Arc<PeakMemory>,
    api: Arc<RuntimeApi>,
}

impl Watched {
    async fn until_exit(mut self) {
        let status = loop {
            tokio::select! {
                status = self.child.wait() => break status,
                signal = self.requests.recv() => {
                    self.send(signal.unwrap_or(Signal::KILL));
                    if signal.is_none() {
                        // Nobody holds the instance any more.
                        break self.child.wait().await;
                    }
                },
            }
        };
        // What the process said last comes before the news of its end. A process that it left behind
        // may keep the pipes open for ever.
        for log in self.logs.iter_mut().flatten() {
            if tokio::time::timeout(GRACE / 4, &mut *log).await.is_err() {
                log.abort();
            }
        }
        self.server.abort();
        self.api.close(match status {
            Ok(status) => describe(status),
            Err(error) => format!("with error: {error}"),
        });
    }

    fn send(&mut self, signal: Signal) {
        self.memory.look_at(self.pid);
        let group = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        // The group is gone if the process has just exited.
        if let Some(group) = group {
            let _ = kill_process_group(group, signal);
        }
    }
}

async fn print(pipe: impl AsyncRead + Unpin, function: String, console: Console) {
    let mut pipe = BufReader::new(pipe);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut pipe).take(LINE).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => console.function_line(&function, &String::from_utf8_lossy(&line)),
        }
    }
}

/// Lambda's words for the end of a process.
fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;

    match (status.code(), status.signal()) {
        (Some(0), _) => "without providing a reason".into(),
        (Some(code), _) => format!("with error: exit status {code}"),
        (None, Some(4)) => "with error: signal: illegal instruction".into(),
        (None, Some(6)) => "with error: signal: aborted".into(),
        (None, Some(9)) => "with error: signal: killed".into(),
        (None, Some(11)) => "with error: signal: segmentation fault".into(),
        (None, Some(15)) => "with error: signal: terminated".into(),
        (None, signal) => format!("with error: signal: {}", signal.unwrap_or_default()),
    }
}

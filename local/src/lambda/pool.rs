//! The instances of one function: started on demand, kept warm, reused one invocation at a time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::environment;
use super::error::InvokeError;
use super::instance::{Instance, PeakMemory};
use super::runtime_api::{Answer, Invocation};
use super::{Counters, Invoked, Launch, Options, REQUEST_LIMIT};

/// How many instances that died in their sleep are passed over before the invocation fails.
const ATTEMPTS: usize = 3;

pub(super) struct Pool {
    launch: Launch,
    arn: Arc<str>,
    variables: BTreeMap<String, String>,
    options: Arc<Options>,
    slots: Semaphore,
    /// Ready instances and since when; the most recently used is last.
    idle: Mutex<Vec<(Instant, Arc<Instance>)>>,
    /// All instances, idle or not.
    live: Mutex<Vec<Arc<Instance>>>,
    memory: Arc<PeakMemory>,
    invocations: AtomicU64,
    errors: AtomicU64,
    cold_starts: AtomicU64,
}

impl Pool {
    pub(super) fn new(launch: Launch, options: Arc<Options>) -> Self {
        Self {
            arn: launch.function.arn.as_str().into(),
            variables: environment::of(&launch),
            slots: Semaphore::new(options.concurrency),
            launch,
            options,
            idle: Mutex::default(),
            live: Mutex::default(),
            memory: Arc::default(),
            invocations: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            cold_starts: AtomicU64::new(0),
        }
    }

    pub(super) fn arn(&self) -> &str {
        &self.arn
    }

    pub(super) async fn invoke(self: Arc<Self>, payload: Bytes, trace: Arc<str>) -> Invoked {
        let mut invoked =
            Invoked { result: Err(InvokeError::Throttled), duration: Duration::ZERO, cold_start: None };
        invoked.result = self.attempt(payload, trace, &mut invoked).await;
        self.invocations.fetch_add(1, Ordering::Relaxed);
        if invoked.result.is_err() {
            self.errors.fetch_add(1, Ordering::Relaxed);
        }
        invoked
    }

    async fn attempt(
        self: &Arc<Self>, payload: Bytes, trace: Arc<str>, invoked: &mut Invoked,
    ) -> Result<Bytes, InvokeError> {
        if payload.len() > REQUEST_LIMIT {
            return Err(InvokeError::RequestTooLarge { size: payload.len() });
        }
        // Held to the end: an instance goes back among the idle before its slot is free.
        let _slot = self.slot().await?;
        let timeout = self.launch.function.timeout;
        let mut invocation = Invocation {
            request_id: uuid::Builder::from_random_bytes(rand::random()).into_uuid().to_string(),
            deadline: 0,
            arn: Arc::clone(&self.arn),
            trace,
            payload,
        };
        for _ in 0..ATTEMPTS {
            let instance = match self.reuse() {
                Some(instance) => instance,
                None => self.start(invoked).await?,
            };
            let started = Instant::now();
            invocation.deadline = deadline(timeout);
            let answered = match instance.api.offer(invocation) {
                Ok(answered) => answered,
                Err(untouched) => {
                    invocation = untouched;
                    continue;
                }
            };
            let answer = tokio::time::timeout(timeout, answered).await;
            invoked.duration = started.elapsed();
            match answer {
                Ok(Ok(Answer::Given(result))) => {
                    lock(&self.idle).push((Instant::now(), instance));
                    return result;
                }
                Ok(Ok(Answer::Untouched(untouched))) => invocation = untouched,
                Ok(Ok(Answer::Exited(reason))) => return Err(InvokeError::Exited { reason }),
                // The state goes with its instance, which has not exited.
                Ok(Err(_)) => {
                    return Err(InvokeError::Exited { reason: "without providing a reason".into() });
                }
                Err(_) => {
                    instance.kill();
                    return Err(InvokeError::TimedOut { after: timeout });
                }
            }
        }
        Err(InvokeError::Exited { reason: "without providing a reason".into() })
    }

    /// Lambda throttles at once; here a burst waits a little, because a laptop has fewer instances.
    async fn slot(&self) -> Result<SemaphorePermit<'_>, InvokeError> {
        if let Ok(slot) = self.slots.try_acquire() {
            return Ok(slot);
        }
        match tokio::time::timeout(self.options.queue, self.slots.acquire()).await {
            Ok(Ok(slot)) => Ok(slot),
            // Too long, or closed.
            Err(_) | Ok(Err(_)) => Err(InvokeError::Throttled),
        }
    }

    fn reuse(&self) -> Option<Arc<Instance>> {
        lock(&self.idle).pop().map(|(_, instance)| instance)
    }

    async fn start(self: &Arc<Self>, invoked: &mut Invoked) -> Result<Arc<Instance>, InvokeError> {
        let started = Instant::now();
        self.cold_starts.fetch_add(1, Ordering::Relaxed);
        let pool: Weak<Self> = Arc::downgrade(self);
        let (instance, ready) = Instance::start(
            &self.launch,
            &self.variables,
            Arc::clone(&self.memory),
            &self.options.console,
            move || {
                if let Some(pool) = pool.upgrade() {
                    pool.forget_the_dead();
                }
            },
        )
        .await?;
        lock(&self.live).push(Arc::clone(&instance));
        // The instance may have ended, or the stack may have been told to, before it was known here.
        if instance.has_exited() {
            self.forget_the_dead();
        }
        if self.slots.is_closed() {
            instance.kill();
        }
        let ready = tokio::time::timeout(self.options.init, ready).await;
        invoked.cold_start = Some(started.elapsed());
        let failure = match ready {
            Ok(Ok(Ok(()))) => return Ok(instance),
            Ok(Ok(Err(error))) => error,
            Ok(Err(_)) => InvokeError::InitFailed {
                error_type: "Runtime.ExitError".into(),
                message: "Runtime exited without providing a reason".into(),
            },
            Err(_) => InvokeError::InitFailed {
                error_type: "Sandbox.Timedout".into(),
                message: format!("Init phase timed out after {:.2} seconds", self.options.init.as_secs_f64()),
            },
        };
        instance.kill();
        Err(failure)
    }

    fn forget_the_dead(&self) {
        lock(&self.idle).retain(|(_, instance)| !instance.has_exited());
        lock(&self.live).retain(|instance| !instance.has_exited());
    }

    /// Stops the instances that nobody has needed for a while.
    pub(super) fn retire(&self) {
        let tired: Vec<_> = {
            let mut idle = lock(&self.idle);
            let keep = idle.iter().position(|(since, _)| since.elapsed() < self.options.idle);
            let count = keep.unwrap_or(idle.len());
            idle.drain(..count).collect()
        };
        for (_, instance) in tired {
            tokio::spawn(async move { instance.stop().await });
        }
    }

    /// Takes no more work, and ends all instances.
    pub(super) async fn shut_down(&self) {
        self.slots.close();
        let live = lock(&self.live).clone();
        futures::future::join_all(live.iter().map(|instance| instance.stop())).await;
    }

    /// Kills an instance, one that works if there is any.
    pub(super) fn kill_instance(&self) -> bool {
        let live = lock(&self.live);
        let victim = live.iter().find(|instance| instance.api.is_busy()).or(live.first());
        if let Some(instance) = victim {
            instance.kill();
        }
        victim.is_some()
    }

    pub(super) fn processes(&self) -> Vec<u32> {
        lock(&self.live).iter().map(|instance| instance.pid).collect()
    }

    pub(super) fn counters(&self) -> Counters {
        for pid in self.processes() {
            self.memory.look_at(pid);
        }
        Counters {
            invocations: self.invocations.load(Ordering::Relaxed),
            errors: self.errors.load(Ordering::Relaxed),
            cold_starts: self.cold_starts.load(Ordering::Relaxed),
            peak_memory: self.memory.bytes(),
        }
    }
}

fn deadline(timeout: Duration) -> u128 {
    (SystemTime::now() + timeout).duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change is a single push, pop or retain, so a poisoned list is a whole one.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! Waiting longer after each failure, up to a bound.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// How long to wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Backoff {
    /// After the first failure.
    pub first: Duration,
    /// At most.
    pub limit: Duration,
}

impl Default for Backoff {
    /// Shorter than Lambda's, because a developer waits for it.
    fn default() -> Self {
        Self { first: Duration::from_millis(200), limit: Duration::from_secs(10) }
    }
}

impl Backoff {
    /// The time to wait after a number of failures in a row.
    pub(super) fn after(self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        self.first.saturating_mul(1 << doublings).min(self.limit)
    }

    /// Waits; `false` if the token was cancelled first.
    pub(super) async fn wait(self, failures: u32, stop: &CancellationToken) -> bool {
        stop.run_until_cancelled(tokio::time::sleep(self.after(failures))).await.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_limit() {
        let backoff = Backoff { first: Duration::from_millis(100), limit: Duration::from_secs(1) };
        let waits: Vec<u128> = [1, 2, 3, 4, 5, u32::MAX].map(|n| backoff.after(n).as_millis()).to_vec();
        assert_eq!(waits, [100, 200, 400, 800, 1000, 1000]);
    }
}

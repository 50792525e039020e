//! What a job costs on Lambda. This is the whole model:
//!
//! - A function has the memory that the job needs, in steps of 1 MB, at least 128 MB.
//!   <https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html>
//! - It has CPU in proportion: at 1,769 MB one, and below that a part of one. The jobs run on one thread, so more
//!   than one is of no use to them. The same page says so.
//! - It is billed for its time, rounded up to the millisecond, times its memory: on arm64, for the first tier.
//!   <https://aws.amazon.com/lambda/pricing/>
//! - The CPU time is the one that was measured here, on whatever this machine is.
//!
//! So below 1,769 MB a job that only computes costs the same with any memory: half of the memory is half of the
//! CPU and twice the time. What less memory saves is the time in which a function waits.

/// The least that a function can have, in MB, which are 2^20 bytes to Lambda.
const LEAST_MEMORY: u64 = 128;
/// With how many MB a function has one CPU.
const ONE_CPU: u64 = 1_769;
/// Dollars for a GB-second, which is one of 2^30 bytes.
const PRICE: f64 = 0.000_013_333_4;

/// What one run of a job takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Gigabytes times seconds.
    pub gb_seconds: f64,
}

impl Cost {
    /// Of a job that takes this CPU time and, at its peak, these bytes.
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    pub fn of(cpu_ms: f64, peak_bytes: u64) -> Self {
        let memory = peak_bytes.div_ceil(1 << 20).max(LEAST_MEMORY);
        let share = (memory as f64 / ONE_CPU as f64).min(1.0);
        let billed_ms = (cpu_ms / share).ceil();
        Self { gb_seconds: memory as f64 / 1024.0 * billed_ms / 1e3 }
    }

    /// Dollars for a million runs.
    pub fn dollars_per_million(self) -> f64 {
        self.gb_seconds * PRICE * 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: f64, expected: f64) -> bool {
        (found - expected).abs() < 1e-9
    }

    #[test]
    fn a_small_job_is_billed_for_the_least_memory_and_a_part_of_a_cpu() {
        // 128 MB are 128/1769 of a CPU: 10 ms of CPU take 138.2 ms, billed as 139.
        let cost = Cost::of(10.0, 20_000_000);
        assert!(near(cost.gb_seconds, 0.125 * 0.139), "{cost:?}");
        assert!(near(cost.dollars_per_million(), 0.125 * 0.139 * 13.3334), "{cost:?}");
    }

    #[test]
    fn memory_goes_up_in_steps_of_a_megabyte() {
        let (exact, more) = (Cost::of(1769.0, 200 << 20), Cost::of(1769.0, (200 << 20) + 1));
        assert!(near(exact.gb_seconds, 200.0 / 1024.0 * 15.647), "{exact:?}");
        assert!(near(more.gb_seconds, 201.0 / 1024.0 * 15.569), "{more:?}");
    }

    #[test]
    fn beyond_one_cpu_more_memory_only_costs_more() {
        assert!(near(Cost::of(100.0, 1769 << 20).gb_seconds, 1769.0 / 1024.0 * 0.1));
        assert!(near(Cost::of(100.0, 3538 << 20).gb_seconds, 3538.0 / 1024.0 * 0.1));
    }
}

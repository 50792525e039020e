//! What Linux knows about a running process.

use std::fs;
use std::io;
use std::time::Duration;

/// The kernel counts CPU time for programs in hundredths of a second (`USER_HZ`, `man 5 proc_pid_stat`).
const TICK: Duration = Duration::from_millis(10);

/// The most memory that a process ever had resident, in bytes (`VmHWM`, `man 5 proc_pid_status`).
pub fn peak_memory(process: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    peak.map(|kilobytes| kilobytes * 1024).ok_or_else(|| malformed("status"))
}

/// The CPU time that a process has used, its own and the kernel's for it.
pub fn cpu_time(process: u32) -> io::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name in parentheses may hold anything. `utime` and `stime` are the 12th and 13th fields after it.
    let (_, fields) = stat.rsplit_once(')').ok_or_else(|| malformed("stat"))?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u32>);
    let ticks: u32 = ticks.sum::<Result<_, _>>().map_err(|_| malformed("stat"))?;
    Ok(TICK * ticks)
}

fn malformed(file: &str) -> io::Error {
    io::Error::other(format!("/proc/PID/{file} is not as it is documented"))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn this_process_uses_memory_and_time() {
        let this = std::process::id();
        assert!(peak_memory(this).unwrap() > 100_000);
        let (before, deadline) = (cpu_time(this).unwrap(), Instant::now() + Duration::from_secs(10));
        while cpu_time(this).unwrap() == before {
            assert!(Instant::now() < deadline, "no time passes");
        }
    }
}

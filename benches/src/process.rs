//! What this process has used, from Linux, and how long things take.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::selects::Result;

/// Milliseconds of one repetition.
#[derive(Serialize, Clone, Copy, Debug)]
pub struct Times {
    /// The median.
    pub ms: f64,
    /// The shortest: what is left where others use the processors too.
    pub least_ms: f64,
    /// Processor time of all threads, on average.
    pub cpu_ms: f64,
}

/// Runs `f` once to warm up, then until the budget is spent (at least 3 times, at most 100).
///
/// # Errors
/// Those of `f`, or if there is no `/proc`.
pub async fn repeat(budget: Duration, mut f: impl AsyncFnMut() -> Result<()>) -> Result<Times> {
    f().await?;
    let (mut times, mut spent, cpu) = (Vec::new(), Duration::ZERO, cpu_ms()?);
    while times.len() < 3 || (spent < budget && times.len() < 100) {
        let begin = Instant::now();
        f().await?;
        times.push(begin.elapsed());
        spent += begin.elapsed();
    }
    let cpu_ms = (cpu_ms()? - cpu) / times.len() as f64;
    times.sort_unstable();
    let of = |i: usize| times.get(i).copied().map_or(0.0, ms);
    Ok(Times { ms: of(times.len() / 2), least_ms: of(0), cpu_ms })
}

/// Processor time that the threads of this process have used, from Linux's scheduler.
fn cpu_ms() -> Result<f64> {
    let mut nanoseconds = 0_u64;
    for thread in std::fs::read_dir("/proc/self/task")? {
        // A thread may have ended meanwhile.
        let text = std::fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
        nanoseconds += text.split(' ').next().unwrap_or_default().parse().unwrap_or(0);
    }
    Ok(nanoseconds as f64 / 1e6)
}

/// Milliseconds.
#[must_use]
pub const fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Makes [`peak_mib`] begin anew.
///
/// # Errors
/// If the system does not let it.
pub fn forget_peak() -> Result<()> {
    Ok(std::fs::write("/proc/self/clear_refs", "5")?)
}

/// The most memory that this process has had resident, in MiB.
///
/// # Errors
/// If the system does not say.
pub fn peak_mib() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM in /proc/self/status")?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib / 1024.0)
}

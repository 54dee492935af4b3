//! When a series has samples.

use prometheus_model::TimestampMs;

use super::rng::{mix, mix2};

/// Largest deviation of a scrape from its schedule, in milliseconds.
pub(crate) const MAX_JITTER_MS: i64 = 6;

/// The time that a block covers, `[start, end)`, and how often its targets are scraped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grid {
    pub(crate) start: TimestampMs,
    pub(crate) end: TimestampMs,
    pub(crate) interval_ms: i64,
    /// Which of several Prometheus servers scrapes: each has its own schedule.
    pub(crate) replica: u32,
}

/// What is scraped: all its series have samples at the same times.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) seed: u64,
    /// It exists in `[from, until)`.
    pub(crate) from: TimestampMs,
    pub(crate) until: TimestampMs,
    /// When its process was restarted and its counters began anew, if it was.
    pub(crate) restart: Option<TimestampMs>,
}

impl Target {
    /// A target that exists all the time.
    pub(crate) const fn lasting(seed: u64) -> Self {
        Self { seed, from: TimestampMs::MIN, until: TimestampMs::MAX, restart: None }
    }
}

/// A scrape.
pub(crate) struct Tick {
    pub(crate) timestamp: TimestampMs,
    /// The target has gone: the series gets its staleness marker, and nothing more.
    pub(crate) gone: bool,
}

/// The scrapes of a target: every interval, with an offset of its own. One in a hundred is a few milliseconds late (the
/// others were aligned, as Prometheus does within its tolerance), one in two thousand fails.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    seed: u64,
    next: TimestampMs,
    end: TimestampMs,
    until: TimestampMs,
    interval_ms: i64,
    scrape: u64,
}

impl Clock {
    pub(crate) fn new(grid: Grid, target: &Target) -> Self {
        let Grid { start, end, interval_ms, replica } = grid;
        let seed = mix2(target.seed, u64::from(replica));
        let first = start + (seed % (interval_ms - MAX_JITTER_MS - 1) as u64) as i64;
        // Divided rounding up.
        let skipped = match target.from.checked_sub(first) {
            Some(wait) if wait > 0 => (wait + interval_ms - 1) / interval_ms,
            _ => 0,
        };
        let next = first + skipped * interval_ms;
        Self { seed, next, end: end - MAX_JITTER_MS, until: target.until, interval_ms, scrape: skipped as u64 }
    }
}

impl Iterator for Clock {
    type Item = Tick;

    #[inline]
    fn next(&mut self) -> Option<Tick> {
        loop {
            let scheduled = self.next;
            if scheduled >= self.end {
                return None;
            }
            if scheduled >= self.until {
                self.end = scheduled;
                return Some(Tick { timestamp: scheduled, gone: true });
            }
            let draw = mix(self.seed.wrapping_add(self.scrape.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
            // Not all of a short life may fail: a series has at least one sample.
            let fails = draw.is_multiple_of(2048) && !self.scrape.is_multiple_of(8);
            self.scrape += 1;
            self.next += self.interval_ms;
            if fails {
                continue;
            }
            let late =
                if (draw >> 11).is_multiple_of(100) { 1 + ((draw >> 40) % MAX_JITTER_MS as u64) as i64 } else { 0 };
            return Some(Tick { timestamp: scheduled + late, gone: false });
        }
    }
}

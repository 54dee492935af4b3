//! So many requests at once, and one more with each interval.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::web_config::file;

/// A bucket of tokens: full at first, one more with each interval.
pub(super) struct RateLimit {
    interval: Duration,
    burst: f64,
    /// Tokens, and when they were counted.
    state: Mutex<(f64, Instant)>,
}

impl RateLimit {
    /// `None` if the interval is 0, which limits nothing.
    pub(super) fn new(config: &file::RateLimit) -> Result<Option<Self>, String> {
        let text = config.interval.as_deref().unwrap_or("0");
        let interval = go_duration(text).ok_or("rate_limit.interval is no duration such as 1.5s or 10ms")?;
        if interval.is_zero() {
            return Ok(None);
        }
        if config.burst == 0 {
            return Err("rate_limit.burst of 0 would refuse every request".into());
        }
        let burst = f64::from(config.burst);
        Ok(Some(Self { interval, burst, state: Mutex::new((burst, Instant::now())) }))
    }

    /// Whether one more request may be answered now.
    pub(super) fn allows(&self, now: Instant) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let gained = now.saturating_duration_since(state.1).as_secs_f64() / self.interval.as_secs_f64();
        let tokens = (state.0 + gained).min(self.burst);
        let allowed = tokens >= 1.0;
        *state = (if allowed { tokens - 1.0 } else { tokens }, now.max(state.1));
        allowed
    }
}

/// A duration as Go writes it, not negative: `1.5h`, `1m30s`, `100ms`, `0`.
fn go_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit() && c != '.')?);
        let (unit, after) = after.split_at(after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len()));
        let unit = match unit {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        seconds += number.parse::<f64>().ok()? * unit;
        rest = after;
    }
    (!text.is_empty()).then(|| Duration::try_from_secs_f64(seconds).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, ms) in [("0", 0), ("1.5s", 1500), ("1m30s", 90_000), ("250ms", 250), ("2h", 7_200_000)] {
            assert_eq!(go_duration(text), Some(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "1", "s", "1d", "-1s", "1..2s", "1e3s"] {
            assert_eq!(go_duration(text), None, "{text}");
        }
    }

    #[test]
    fn bursts_and_then_one_each_interval() {
        let config = file::RateLimit { interval: Some("100ms".into()), burst: 3 };
        let limit = RateLimit::new(&config).unwrap().unwrap();
        let start = Instant::now();
        let allowed = |ms| limit.allows(start + Duration::from_millis(ms));
        assert!(allowed(0) && allowed(0) && allowed(0) && !allowed(0));
        assert!(!allowed(50) && allowed(101) && !allowed(102));
        assert!(allowed(10_000) && allowed(10_000) && allowed(10_000) && !allowed(10_000));
        assert!(RateLimit::new(&file::RateLimit::default()).unwrap().is_none());
        assert!(RateLimit::new(&file::RateLimit { interval: Some("1s".into()), burst: 0 }).is_err());
    }
}

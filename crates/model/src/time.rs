//! Timestamps and ranges of them.

use std::fmt;

/// Milliseconds since the Unix epoch; negative before it.
pub type TimestampMs = i64;

/// A half-open range of time, `[start, end)`, in milliseconds. Never empty and never reversed.
///
/// Prometheus mixes `[mint, maxt)` (block metadata), `[mint, maxt]` (chunk metadata, queriers) and `(t-r, t]`
/// (range selectors); a value of this type is always the first.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TimeRange {
    start: TimestampMs,
    end: TimestampMs,
}

/// The range given is empty or reversed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimeRangeError {
    start: TimestampMs,
    end: TimestampMs,
}

impl fmt::Display for TimeRangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "empty time range: the end (exclusive) {} is not after the start {}", self.end, self.start)
    }
}

impl std::error::Error for TimeRangeError {}

impl TimeRange {
    /// All of time, but for the last millisecond that an `i64` can hold.
    pub const ALL: Self = Self { start: TimestampMs::MIN, end: TimestampMs::MAX };

    /// The range `[start, end)`.
    ///
    /// # Errors
    /// If `end <= start`.
    pub const fn new(start: TimestampMs, end: TimestampMs) -> Result<Self, TimeRangeError> {
        if end <= start {
            return Err(TimeRangeError { start, end });
        }
        Ok(Self { start, end })
    }

    /// First timestamp inside.
    #[must_use]
    pub const fn start(self) -> TimestampMs {
        self.start
    }

    /// First timestamp after the range.
    #[must_use]
    pub const fn end(self) -> TimestampMs {
        self.end
    }

    /// Last timestamp inside: the closed end, as chunk metadata and queriers use it.
    #[must_use]
    pub const fn last(self) -> TimestampMs {
        self.end - 1
    }

    /// Length in milliseconds; `u64` because a range may span more than an `i64` can count.
    #[must_use]
    pub const fn duration_ms(self) -> u64 {
        self.end.abs_diff(self.start)
    }

    /// Whether `t` is inside.
    #[must_use]
    pub const fn contains(self, t: TimestampMs) -> bool {
        self.start <= t && t < self.end
    }

    /// Whether any timestamp of the closed range `[first, last]` is inside.
    #[must_use]
    pub const fn overlaps_closed(self, first: TimestampMs, last: TimestampMs) -> bool {
        first < self.end && self.start <= last
    }

    /// Whether all of the closed range `[first, last]` is inside.
    #[must_use]
    pub const fn contains_closed(self, first: TimestampMs, last: TimestampMs) -> bool {
        self.start <= first && last < self.end
    }

    /// What both ranges share, if anything.
    #[must_use]
    pub fn intersect(self, other: Self) -> Option<Self> {
        Self::new(self.start.max(other.start), self.end.min(other.end)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_open() {
        let r = TimeRange::new(10, 20).unwrap();
        assert!(r.contains(10) && r.contains(19) && !r.contains(20) && !r.contains(9));
        assert!(
            r.overlaps_closed(19, 30)
                && !r.overlaps_closed(20, 30)
                && r.overlaps_closed(0, 10)
                && !r.overlaps_closed(0, 9)
        );
        assert!(r.contains_closed(10, 19) && !r.contains_closed(10, 20));
        assert_eq!(r.intersect(TimeRange::new(19, 40).unwrap()), Some(TimeRange::new(19, 20).unwrap()));
        assert_eq!(r.intersect(TimeRange::new(20, 40).unwrap()), None);
        assert!(TimeRange::new(5, 5).is_err());
        assert_eq!(TimeRange::ALL.duration_ms(), u64::MAX);
    }
}

//! Which times a selector reads.

use prometheus_model::{TimeRange, TimestampMs};

use crate::{ast::Boundaries, engine::grid::Grid};

/// The sub-queries around a selector, taken together.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Around {
    offset_ms: i64,
    range_ms: i64,
    at: Option<TimestampMs>,
}

impl Around {
    /// With one more, inside of the others. `@` makes the outer ones count no more.
    pub(super) fn with(self, offset_ms: i64, range_ms: i64, at: Option<TimestampMs>) -> Self {
        match at {
            Some(_) => Self { offset_ms, range_ms, at },
            None => Self {
                offset_ms: self.offset_ms.saturating_add(offset_ms),
                range_ms: self.range_ms.saturating_add(range_ms),
                at: self.at,
            },
        }
    }
}

/// What a selector says of times.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reads {
    pub(super) at: Option<TimestampMs>,
    pub(super) offset_ms: i64,
    /// `None` for instant selectors.
    pub(super) range_ms: Option<i64>,
    pub(super) boundaries: Boundaries,
}

/// All times of which samples may matter.
pub(super) fn times(grid: Grid, lookback_ms: i64, around: Around, reads: Reads) -> TimeRange {
    let (mut start, mut end) = match around.at {
        Some(at) => (at, at),
        None => (grid.start, grid.last()),
    };
    if let Some(at) = reads.at {
        (start, end) = (at, at);
    } else {
        start = start.saturating_sub(around.offset_ms).saturating_sub(around.range_ms);
        end = end.saturating_sub(around.offset_ms);
    }
    // Ranges are open on the left.
    let before = match (reads.range_ms, reads.boundaries) {
        (None, _) => lookback_ms,
        (Some(range_ms), Boundaries::Plain) => range_ms,
        (Some(range_ms), Boundaries::Anchored | Boundaries::Smoothed) => range_ms.saturating_add(lookback_ms),
    };
    start = start.saturating_sub(before.saturating_sub(1));
    if reads.boundaries == Boundaries::Smoothed {
        end = end.saturating_add(lookback_ms);
    }
    start = start.saturating_sub(reads.offset_ms).min(TimestampMs::MAX - 1);
    end = end.saturating_sub(reads.offset_ms).clamp(start, TimestampMs::MAX - 1);
    TimeRange::new(start, end + 1).unwrap_or(TimeRange::ALL)
}

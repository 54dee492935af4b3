//! The times at which something is evaluated.

use prometheus_model::TimestampMs;

use crate::error::{Repr, Result};

/// To which steps of the query the samples count that are looked at, for statistics.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Counted {
    /// Each to its own.
    Each,
    /// All to every one: what is the same at all of them is evaluated once.
    Every,
    /// All to the first.
    First,
    /// To none: of a sub-query, the windows over its results count.
    Nowhere,
}

/// `start`, `start + step`, …: `count` times.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Grid {
    pub(crate) start: TimestampMs,
    /// Positive.
    pub(crate) step: TimestampMs,
    pub(crate) count: usize,
    pub(crate) counted: Counted,
}

impl Grid {
    /// One time.
    pub(crate) const fn instant(time: TimestampMs) -> Self {
        Self { start: time, step: 1, count: 1, counted: Counted::Each }
    }

    /// All times from `start` until `end`, which may be before it: then there are none.
    ///
    /// # Errors
    /// If there are more than `limit`.
    pub(crate) fn new(
        what: &'static str,
        start: TimestampMs,
        end: TimestampMs,
        step: TimestampMs,
        limit: u64,
    ) -> Result<Self> {
        let step = step.max(1);
        if end < start {
            return Ok(Self { start, step, count: 0, counted: Counted::Each });
        }
        let steps = (end.abs_diff(start) / step.unsigned_abs()).saturating_add(1);
        match usize::try_from(steps) {
            Ok(count) if steps <= limit => Ok(Self { start, step, count, counted: Counted::Each }),
            _ => Err(Repr::TooManySteps { what, steps, limit }.into()),
        }
    }

    /// The time of a step.
    pub(crate) const fn time(&self, i: usize) -> TimestampMs {
        self.start.saturating_add(self.step.saturating_mul(i as i64))
    }

    /// The last time, if there is any.
    pub(crate) const fn last(&self) -> TimestampMs {
        self.time(self.count.saturating_sub(1))
    }

    pub(crate) fn times(self) -> impl ExactSizeIterator<Item = TimestampMs> {
        (0..self.count).map(move |i| self.time(i))
    }

    /// The first time only, if there is any.
    pub(crate) fn once(&self) -> Self {
        let counted = if self.counted == Counted::Each { Counted::Every } else { self.counted };
        Self { step: 1, count: self.count.min(1), counted, ..*self }
    }

    /// Whether results keep the order in which they are computed.
    pub(crate) const fn is_instant(&self) -> bool {
        self.count == 1
    }
}

//! What a select is for, so that a store can do less.

use std::{
    collections::BTreeSet,
    num::{NonZeroU64, NonZeroUsize},
};

use prometheus_model::{Labels, TimeRange, TimestampMs};

/// What a select is for. All of it but `range`, `series_only` and `sharding` may be ignored by a store.
#[derive(Clone, PartialEq, Debug)]
pub struct SelectHints {
    /// Samples outside are not wanted; half-open. The querier's range applies besides.
    pub range: TimeRange,
    /// Whether only labels are wanted. Then the answer holds the series that may have samples in range: every one that
    /// has, and none of which the store can tell from the times of its chunks that it has not.
    pub series_only: bool,
    /// Only series of this shard of all; series of other shards must not come.
    pub sharding: Option<Sharding>,
    /// Step of the query in milliseconds; 0 for instant queries.
    pub step_ms: TimestampMs,
    /// Function or aggregation around the selector, such as `rate`.
    pub function: Option<String>,
    /// Grouping of the aggregation around the selector.
    pub grouping: Option<Grouping>,
    /// Range of the range selector in milliseconds; 0 for instant selectors.
    pub selector_range_ms: TimestampMs,
    /// Labels that the caller will look at. A store that honours it, as
    /// [`Querier::honours_projection`](crate::Querier::honours_projection) says, leaves out the other labels.
    pub projection: Option<Projection>,
    /// The caller will not look at more series than the first so many. A store may still give more.
    pub limit: Option<NonZeroUsize>,
}

impl SelectHints {
    /// All series of these times, with samples.
    #[must_use]
    pub const fn new(range: TimeRange) -> Self {
        Self {
            range,
            series_only: false,
            sharding: None,
            step_ms: 0,
            function: None,
            grouping: None,
            selector_range_ms: 0,
            projection: None,
            limit: None,
        }
    }

    /// Labels only.
    #[must_use]
    pub const fn series_only(range: TimeRange) -> Self {
        let mut hints = Self::new(range);
        hints.series_only = true;
        hints
    }
}

/// `by (labels)` or `without (labels)`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Grouping {
    /// Names of labels.
    pub labels: Vec<String>,
    /// Whether the labels are those that are dropped.
    pub without: bool,
}

/// Which labels are wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Projection {
    /// Only these.
    Include(BTreeSet<String>),
    /// All but these.
    Exclude(BTreeSet<String>),
}

impl Projection {
    /// Whether the label `name` is wanted.
    #[must_use]
    pub fn keeps(&self, name: &str) -> bool {
        match self {
            Self::Include(labels) => labels.contains(name),
            Self::Exclude(labels) => !labels.contains(name),
        }
    }
}

/// One of `count` parts of all series, by the stable hash of their labels, as Prometheus' TSDB cuts them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sharding {
    /// Which part; less than `count`.
    pub index: u64,
    /// How many parts.
    pub count: NonZeroU64,
}

impl Sharding {
    /// Whether a series of this [stable hash](Labels::stable_hash) is in the part.
    #[must_use]
    pub const fn contains_hash(self, hash: u64) -> bool {
        hash % self.count.get() == self.index
    }

    /// Whether a series is in the part.
    #[must_use]
    pub fn contains(self, labels: &Labels) -> bool {
        self.contains_hash(labels.stable_hash())
    }
}

/// What a question for label names or values is for.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct LabelHints {
    /// At most so many strings are given: the first in byte order.
    pub limit: Option<NonZeroUsize>,
}

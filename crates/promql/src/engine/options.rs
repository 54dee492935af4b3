//! How queries are evaluated, and what they may use.

use std::time::Duration;

use prometheus_model::TimestampMs;

use crate::parser::ParserOptions;

/// How an [`Engine`](crate::Engine) evaluates queries. The default is Prometheus' default.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// What the language has.
    pub parser: ParserOptions,
    /// How long a sample counts: `--query.lookback-delta`.
    pub lookback: Duration,
    /// Step of sub-queries that give none: the global evaluation interval of Prometheus.
    pub subquery_step: Duration,
    /// The most samples that a query may hold in memory at once: `--query.max-samples`. A histogram counts as many as it
    /// takes the memory of.
    pub max_samples: u64,
    /// The most bytes that a query may hold in memory at once: encoded chunks of series that are used more than once,
    /// decoded samples and results.
    pub max_memory: u64,
    /// The most bytes that all queries of the engine may hold at once, answers that are still in use included. What exceeds
    /// it fails with [`ErrorKind::Overloaded`](crate::ErrorKind::Overloaded). The default is no limit.
    pub max_total_memory: u64,
    /// The most steps of a range query or sub-query.
    pub max_steps: u64,
    /// Whether names of metrics are removed at the end, not by each operation: `promql-delayed-name-removal`.
    pub delayed_name_removal: bool,
    /// Whether counters are told by the label `__type__`: `type-and-unit-labels`.
    pub type_and_unit_labels: bool,
    /// Whether start timestamps tell counter resets: `use-start-timestamps`.
    pub start_timestamps: bool,
    /// How many threads decode and evaluate series; those of all queries of the engine together.
    pub threads: usize,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            parser: ParserOptions::default(),
            lookback: Duration::from_secs(5 * 60),
            subquery_step: Duration::from_secs(60),
            max_samples: 50_000_000,
            max_memory: 2 << 30,
            max_total_memory: u64::MAX,
            max_steps: 1_000_000,
            delayed_name_removal: false,
            type_and_unit_labels: false,
            start_timestamps: false,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

/// When a query is evaluated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum QueryTimes {
    /// Once.
    Instant(TimestampMs),
    /// At `start`, and then every `step_ms` milliseconds as long as the time is not after `end`.
    Range {
        /// The first time.
        start: TimestampMs,
        /// No time is after it.
        end: TimestampMs,
        /// Positive.
        step_ms: TimestampMs,
    },
}

/// A query with everything that is said about it.
#[derive(Clone, PartialEq, Debug)]
pub struct QueryRequest {
    /// PromQL.
    pub query: String,
    /// When it is evaluated.
    pub times: QueryTimes,
    /// Instead of [`EngineOptions::lookback`].
    pub lookback: Option<Duration>,
    /// Instead of [`EngineOptions::max_samples`]: the lower of both counts.
    pub max_samples: Option<u64>,
    /// How long it may take from the start of [`Engine::query`](crate::Engine::query) on. It is looked at between steps of
    /// the evaluation; a store that does not answer holds it up, so callers with a timer drop the future besides.
    pub timeout: Option<Duration>,
    /// Whether samples are counted [step by step](crate::QueryStats::samples_per_step).
    pub per_step_stats: bool,
}

impl QueryRequest {
    /// A query at one time.
    #[must_use]
    pub fn instant(query: impl Into<String>, time: TimestampMs) -> Self {
        Self::new(query.into(), QueryTimes::Instant(time))
    }

    /// A query at many times.
    #[must_use]
    pub fn range(query: impl Into<String>, start: TimestampMs, end: TimestampMs, step_ms: TimestampMs) -> Self {
        Self::new(query.into(), QueryTimes::Range { start, end, step_ms })
    }

    const fn new(query: String, times: QueryTimes) -> Self {
        Self { query, times, lookback: None, max_samples: None, timeout: None, per_step_stats: false }
    }
}

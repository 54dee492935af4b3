//! What queries take.

use std::time::Duration;

/// What a query took.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct QueryStats {
    /// Samples that the query looked at, `totalQueryableSamples` of Prometheus: those of each window at each step.
    pub samples: u64,
    /// The same for each step, if [asked for](crate::QueryRequest::per_step_stats).
    pub samples_per_step: Vec<u64>,
    /// Samples that the store gave.
    pub samples_read: u64,
    /// Series that the store gave.
    pub series_read: u64,
    /// The most samples that were in memory at once.
    pub peak_samples: u64,
    /// The most bytes that were in memory at once, by the engine's own count.
    pub peak_bytes: u64,
    /// From the start to the answer.
    pub total: Duration,
    /// Of that, until the query was planned.
    pub planning: Duration,
    /// Of that, waiting for the store.
    pub waiting: Duration,
}

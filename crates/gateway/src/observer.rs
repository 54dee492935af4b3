//! Follows what is asked of shards: counts it.

use std::{sync::Arc, time::Instant};

use promparquet_query::{Observation, Observe, Operation};

use crate::metrics::Metrics;

/// Counts questions to shards.
#[derive(Debug)]
pub(crate) struct Observer(pub(crate) Arc<Metrics>);

impl Observe for Observer {
    fn begin(&self, operation: Operation) -> Observation {
        let (metrics, started) = (Arc::clone(&self.0), Instant::now());
        Box::new(move |explain| metrics.operation(operation, explain, started.elapsed()))
    }
}

//! Follows what is asked of shards: counts it, and traces it.

use std::{sync::Arc, time::Instant};

use promparquet_query::{Observation, Observe, Operation};

use crate::{metrics::Metrics, spans::Spans};

/// Counts and traces questions to shards.
#[derive(Debug)]
pub(crate) struct Observer {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) spans: Spans,
}

impl Observe for Observer {
    fn begin(&self, operation: Operation) -> Observation {
        let (metrics, started, span) = (Arc::clone(&self.metrics), Instant::now(), self.spans.shard(operation));
        Box::new(move |explain| {
            metrics.operation(operation, explain, started.elapsed());
            if let Some(span) = span {
                span(explain);
            }
        })
    }
}

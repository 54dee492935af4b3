//! How the gateway answers.

use std::{collections::BTreeMap, time::Duration};

/// How a [`Gateway`](crate::Gateway) answers. What one query reads of the bucket is bounded by the limits of the
/// [`Catalog`](promparquet_catalog::Catalog), what it holds in memory by those of the engine.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GatewayOptions {
    /// How long a query may take that says nothing of it, the wait for its turn included.
    pub default_timeout: Duration,
    /// How long any query may take.
    pub max_timeout: Duration,
    /// Queries at a time, of each interface; 0 for any number.
    pub max_concurrent: usize,
    /// Step of range queries that give none; without, they must.
    pub default_step: Option<Duration>,
    /// Most bytes of labels in the answer of a question for series.
    pub max_series_bytes: usize,
    /// Most samples in the answer of a remote read that is not streamed.
    pub max_remote_read_samples: usize,
    /// Queries that take longer are logged.
    pub slow_query: Option<Duration>,
    /// Whose scripts may read answers.
    pub cors_origin: CorsOrigin,
    /// What the gateway was started with, for people: nothing secret.
    pub flags: BTreeMap<String, String>,
    /// Takes spans of requests; they are part of the traces that requests name, by the global propagator.
    pub tracer: Option<std::sync::Arc<opentelemetry::global::BoxedTracer>>,
    /// The cache of the bucket, whose statistics are metrics.
    pub cache: Option<promparquet_objstore::Cache>,
    /// Labels that all series have by configuration, if they have.
    pub external_labels_overridden: bool,
}

/// Which origins may read answers in browsers.
#[derive(Clone, Debug)]
pub enum CorsOrigin {
    /// All.
    Any,
    /// None but the gateway's own.
    None,
    /// Those that match entirely.
    Matching(prometheus_queryable::Regex),
}

impl Default for GatewayOptions {
    fn default() -> Self {
        Self {
            default_timeout: Duration::from_secs(30),
            max_timeout: Duration::from_secs(300),
            max_concurrent: 100,
            default_step: Some(Duration::from_secs(30)),
            max_series_bytes: 1 << 30,
            max_remote_read_samples: 50_000_000,
            slow_query: Some(Duration::from_secs(10)),
            cors_origin: CorsOrigin::Any,
            flags: BTreeMap::new(),
            tracer: None,
            cache: None,
            external_labels_overridden: false,
        }
    }
}

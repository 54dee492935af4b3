//! What all interfaces share.

use std::{sync::Arc, time::Duration};

use prometheus_model::TimestampMs;
use prometheus_promql::Engine;
use promparquet_catalog::Catalog;

use crate::{
    execution::Gate, metrics::Metrics, observer::Observer, options::GatewayOptions, request_body::RequestBodies,
    spans::Spans,
};

/// Answers queries over the shards of a catalog. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Gateway(pub(crate) Arc<Shared>);

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) engine: Engine,
    pub(crate) options: GatewayOptions,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) spans: Spans,
    /// Of Prometheus' API and of Thanos'.
    pub(crate) http_gate: Gate,
    pub(crate) grpc_gate: Gate,
    /// Of what computes a little, and may hold much: trees of queries as JSON.
    pub(crate) text_gate: Gate,
    pub(crate) bodies: RequestBodies,
    pub(crate) started: TimestampMs,
}

impl Gateway {
    /// Answers queries over `catalog`, which somebody else keeps up to date.
    #[must_use]
    pub fn new(catalog: Arc<Catalog>, engine: Engine, options: GatewayOptions) -> Self {
        let gate = || Gate::new(options.max_concurrent);
        let metrics = Arc::new(Metrics::new(options.cache.clone()));
        let spans = Spans(options.tracer.clone());
        catalog.observe(Arc::new(Observer { metrics: Arc::clone(&metrics), spans: spans.clone() }));
        Self(Arc::new(Shared {
            catalog,
            engine,
            metrics,
            spans,
            http_gate: gate(),
            grpc_gate: gate(),
            text_gate: Gate::new(4),
            bodies: RequestBodies::default(),
            started: now(),
            options,
        }))
    }

    /// The metrics that it counts.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.0.metrics
    }

    /// The catalog that it asks.
    #[must_use]
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.0.catalog
    }
}

impl Shared {
    /// How long a query may take that asks for so many nanoseconds, if it does.
    pub(crate) fn timeout(&self, asked_ns: Option<i64>) -> Duration {
        let asked = asked_ns.map(|ns| Duration::from_nanos(u64::try_from(ns).unwrap_or(0)));
        asked.unwrap_or(self.options.default_timeout).min(self.options.max_timeout)
    }
}

/// The time on this machine's clock.
pub(crate) fn now() -> TimestampMs {
    jiff::Timestamp::now().as_millisecond()
}

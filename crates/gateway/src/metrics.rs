//! What the gateway counts, under the names that users of thanos-parquet-gateway know.

use std::{fmt, time::Duration};

use axum::http::{Method, StatusCode};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use prometheus_model::TimestampMs;
use promparquet_catalog::{Catalog, SetState, SyncReport};

use crate::grpc::metrics::CallMetrics;

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct RequestLabels {
    code: u16,
    method: String,
    path: String,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct What {
    what: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct State {
    state: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

/// The metrics of a [`Gateway`](crate::Gateway).
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    request_seconds: Family<RequestLabels, Histogram>,
    pub(crate) calls: CallMetrics,
    queries: Family<Outcome, Counter>,
    query_seconds: Histogram,
    running: Family<What, Gauge>,
    min_time: Family<What, Gauge>,
    max_time: Family<What, Gauge>,
    synced: Family<What, Gauge>,
    sync_failures: Counter,
    sets: Family<State, Gauge>,
    shards: Gauge,
    footer_bytes: Gauge,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// 10 ms to 60 s.
pub(crate) fn seconds() -> Histogram {
    Histogram::new([0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0])
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::default();
        let calls = CallMetrics::register(&mut registry);
        let mut metrics = Self {
            registry,
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(seconds),
            calls,
            queries: Family::default(),
            query_seconds: seconds(),
            running: Family::default(),
            min_time: Family::default(),
            max_time: Family::default(),
            synced: Family::default(),
            sync_failures: Counter::default(),
            sets: Family::default(),
            shards: Gauge::default(),
            footer_bytes: Gauge::default(),
        };
        let r = &mut metrics.registry;
        r.register("http_requests", "HTTP requests that were answered", metrics.requests.clone());
        r.register_with_unit(
            "http_requests",
            "Time that HTTP requests took until their answer began",
            Unit::Seconds,
            metrics.request_seconds.clone(),
        );
        r.register("promql_queries", "PromQL queries", metrics.queries.clone());
        r.register_with_unit(
            "promql_query",
            "Time that PromQL queries took, the wait for their turn included",
            Unit::Seconds,
            metrics.query_seconds.clone(),
        );
        r.register("queries_running", "Queries under way", metrics.running.clone());
        r.register(
            "locate_sync_min_time_unix_seconds",
            "First time of the data, in milliseconds in spite of the name",
            metrics.min_time.clone(),
        );
        r.register(
            "locate_sync_max_time_unix_seconds",
            "Last time of the data, in milliseconds in spite of the name",
            metrics.max_time.clone(),
        );
        r.register(
            "locate_sync_last_successful_update_time_unix_seconds",
            "When the bucket was looked through last",
            metrics.synced.clone(),
        );
        r.register("locate_sync_failures", "Looks at the bucket that failed", metrics.sync_failures.clone());
        r.register("locate_shard_sets", "Shard sets of the bucket", metrics.sets.clone());
        r.register("locate_open_shards", "Shards whose footers are in memory", metrics.shards.clone());
        r.register("locate_open_shards_bytes", "Memory that these take, about", metrics.footer_bytes.clone());
        metrics
    }

    pub(crate) fn http_request(&self, status: StatusCode, method: &Method, path: &str, taken: Duration) {
        // Only methods that there are, since clients can make up any.
        let method = match method.as_str() {
            known @ ("GET" | "POST" | "OPTIONS" | "HEAD" | "PUT" | "DELETE") => known,
            _ => "other",
        };
        let labels = RequestLabels { code: status.as_u16(), method: method.to_owned(), path: path.to_owned() };
        self.requests.get_or_create(&labels).inc();
        self.request_seconds.get_or_create(&labels).observe(taken.as_secs_f64());
    }

    pub(crate) fn query(&self, taken: Duration, answered: bool) {
        let outcome = if answered { "answered" } else { "failed" };
        self.queries.get_or_create(&Outcome { outcome }).inc();
        self.query_seconds.observe(taken.as_secs_f64());
    }

    pub(crate) fn running(&self, interface: &'static str, queries: usize) {
        self.running.get_or_create(&What { what: interface }).set(queries as i64);
    }

    pub(crate) fn synced(&self, catalog: &Catalog, result: Result<&SyncReport, ()>, now: TimestampMs) {
        if result.is_err() {
            self.sync_failures.inc();
            return;
        }
        let snapshot = catalog.snapshot();
        for what in ["syncer", "discoverer"] {
            let what = What { what };
            if let Some((first, last)) = snapshot.times() {
                self.min_time.get_or_create(&what).set(first);
                self.max_time.get_or_create(&what).set(last);
            }
            self.synced.get_or_create(&what).set(now / 1000);
        }
        let mut counts = [("open", 0), ("failed", 0), ("unmarked", 0), ("deleted", 0), ("other", 0)];
        for set in snapshot.sets() {
            let place = match set.state {
                SetState::Open => 0,
                SetState::Failed(_) => 1,
                SetState::Unmarked => 2,
                SetState::Deleted => 3,
                _ => 4,
            };
            counts[place].1 += 1;
        }
        for (state, count) in counts {
            self.sets.get_or_create(&State { state }).set(count);
        }
        let (shards, bytes) = snapshot.opened();
        self.shards.set(shards as i64);
        self.footer_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Everything in the text format of OpenMetrics.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

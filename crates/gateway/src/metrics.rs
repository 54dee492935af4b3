//! What the gateway counts, under the names that users of thanos-parquet-gateway know.

mod cache;

use std::{fmt, time::Duration};

use axum::http::{Method, StatusCode};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use prometheus_model::TimestampMs;
use promparquet_catalog::{Catalog, SetState, Snapshot, SyncReport};
use promparquet_objstore::Cache;
use promparquet_query::{Operation, ShardExplain, Stage};

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

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Bound {
    bound: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct OperationLabels {
    r#type: &'static str,
    r#where: &'static str,
}

/// Columns are `labels` or `chunks`: there are as many as names of labels, which nobody bounds.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct ColumnLabels {
    column: &'static str,
    method: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct ScanLabels {
    column: &'static str,
    scan: &'static str,
    method: &'static str,
}

/// The metrics of a [`Gateway`](crate::Gateway).
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    request_seconds: Family<RequestLabels, Histogram>,
    pub(crate) calls: CallMetrics,
    queries: Family<Outcome, Counter>,
    query_seconds: Histogram,
    operations: Family<OperationLabels, Counter>,
    operation_seconds: Family<OperationLabels, Histogram>,
    pages_scanned: Family<ScanLabels, Counter>,
    reads: Family<ColumnLabels, Counter>,
    read_bytes: Family<ColumnLabels, Counter>,
    columns: Family<ColumnLabels, Counter>,
    rows: Family<ColumnLabels, Counter>,
    bucket_requests: Counter,
    running: Family<What, Gauge>,
    min_time: Family<What, Gauge>,
    max_time: Family<What, Gauge>,
    synced: Family<What, Gauge>,
    sync_failures: Counter,
    filter_refreshes: Family<Outcome, Counter>,
    filter_refreshed: Gauge,
    filter_times: Family<Bound, Gauge>,
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
    /// With those of the cache of the bucket, if there is one.
    pub(crate) fn new(cache: Option<Cache>) -> Self {
        let mut registry = Registry::default();
        let calls = CallMetrics::register(&mut registry);
        let mut metrics = Self {
            registry,
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(seconds),
            calls,
            queries: Family::default(),
            query_seconds: seconds(),
            operations: Family::default(),
            operation_seconds: Family::new_with_constructor(seconds),
            pages_scanned: Family::default(),
            reads: Family::default(),
            read_bytes: Family::default(),
            columns: Family::default(),
            rows: Family::default(),
            bucket_requests: Counter::default(),
            running: Family::default(),
            min_time: Family::default(),
            max_time: Family::default(),
            synced: Family::default(),
            sync_failures: Counter::default(),
            filter_refreshes: Family::default(),
            filter_refreshed: Gauge::default(),
            filter_times: Family::default(),
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
        r.register("db_queryable_operations", "Questions to shards", metrics.operations.clone());
        r.register_with_unit(
            "db_queryable_operations",
            "Time from a question to a shard until its answer was taken",
            Unit::Seconds,
            metrics.operation_seconds.clone(),
        );
        r.register(
            "search_pages_scanned",
            "Pages of labels that matchers looked through",
            metrics.pages_scanned.clone(),
        );
        r.register("search_pages_read", "Ranges of pages that were read from files of shards", metrics.reads.clone());
        r.register_with_unit("search_pages_read_size", "Bytes of these", Unit::Bytes, metrics.read_bytes.clone());
        r.register(
            "search_column_materialized",
            "Columns of row groups whose labels or chunks were read for rows that fitted",
            metrics.columns.clone(),
        );
        r.register(
            "search_rows_materialized",
            "Rows that fitted, of which labels or chunks were read",
            metrics.rows.clone(),
        );
        r.register("locate_bucket_requests", "Reads of ranges of files of shards", metrics.bucket_requests.clone());
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
        r.register(
            "locate_filter_refreshes",
            "Questions to the Thanos store of --block.filter.type=thanos-backfill for its times",
            metrics.filter_refreshes.clone(),
        );
        r.register(
            "locate_filter_last_successful_update_time_unix_seconds",
            "When it answered last",
            metrics.filter_refreshed.clone(),
        );
        r.register(
            "locate_filter_time_milliseconds",
            "Shard sets between these times are left to it",
            metrics.filter_times.clone(),
        );
        r.register("locate_shard_sets", "Shard sets of the bucket", metrics.sets.clone());
        r.register("locate_open_shards", "Shards whose footers are in memory", metrics.shards.clone());
        r.register("locate_open_shards_bytes", "Memory that these take, about", metrics.footer_bytes.clone());
        if let Some(cache) = cache {
            r.register_collector(Box::new(cache::CacheCollector(cache)));
        }
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

    /// A question to a shard is answered, or was given up.
    pub(crate) fn operation(&self, operation: Operation, explain: &ShardExplain, taken: Duration) {
        let method = match operation {
            Operation::Select => "select",
            Operation::LabelNames => "label_names",
            Operation::LabelValues => "label_values",
        };
        let labels = OperationLabels { r#type: method, r#where: "shard" };
        self.operations.get_or_create(&labels).inc();
        self.operation_seconds.get_or_create(&labels).observe(taken.as_secs_f64());

        let mut scanned = [0, 0];
        let mut rows = 0;
        for group in &explain.row_groups {
            rows += group.rows_selected;
            for constraint in &group.constraints {
                scanned[usize::from(constraint.has_regex)] += constraint.pages_read as u64;
            }
        }
        for (scan, pages) in ["equal", "regex"].into_iter().zip(scanned).filter(|(_, pages)| *pages > 0) {
            self.pages_scanned.get_or_create(&ScanLabels { column: "labels", scan, method }).inc_by(pages);
        }
        for (column, columns) in [("labels", explain.label_columns), ("chunks", explain.chunk_columns)] {
            if columns > 0 {
                self.columns.get_or_create(&ColumnLabels { column, method }).inc_by(columns);
            }
        }
        let mut read = [("labels", 0, 0), ("chunks", 0, 0)];
        for reads in &explain.reads {
            let (_, requests, bytes) = &mut read[usize::from(reads.stage == Stage::Chunks)];
            *requests += reads.requests.len() as u64;
            *bytes += reads.bytes();
        }
        for (column, requests, bytes) in read.into_iter().filter(|(_, requests, _)| *requests > 0) {
            let labels = ColumnLabels { column, method };
            self.reads.get_or_create(&labels).inc_by(requests);
            self.read_bytes.get_or_create(&labels).inc_by(bytes);
            self.rows.get_or_create(&labels).inc_by(rows);
            self.bucket_requests.inc_by(requests);
        }
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
        self.count_sets(&snapshot);
        let (shards, bytes) = snapshot.opened();
        self.shards.set(shards as i64);
        self.footer_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// The Thanos store said what is left to it.
    pub(crate) fn filter_refreshed(&self, snapshot: &Snapshot, now: TimestampMs) {
        self.filter_refreshes.get_or_create(&Outcome { outcome: "answered" }).inc();
        self.filter_refreshed.set(now / 1000);
        match snapshot.elsewhere() {
            Some((from, to)) => {
                self.filter_times.get_or_create(&Bound { bound: "min" }).set(from);
                self.filter_times.get_or_create(&Bound { bound: "max" }).set(to);
            }
            None => self.filter_times.clear(),
        }
        self.count_sets(snapshot);
    }

    /// It did not.
    pub(crate) fn filter_failed(&self) {
        self.filter_refreshes.get_or_create(&Outcome { outcome: "failed" }).inc();
    }

    fn count_sets(&self, snapshot: &Snapshot) {
        let states = ["open", "filtered", "failed", "unmarked", "deleted", "unconverted", "other"];
        let mut counts = states.map(|state| (state, 0));
        for set in snapshot.sets() {
            let place = match set.state {
                _ if snapshot.is_elsewhere(set) => 1,
                SetState::Open => 0,
                SetState::Failed(_) => 2,
                SetState::Unmarked => 3,
                SetState::Deleted => 4,
                SetState::Unconverted => 5,
                _ => 6,
            };
            counts[place].1 += 1;
        }
        for (state, count) in counts {
            self.sets.get_or_create(&State { state }).set(count);
        }
    }

    /// Everything in the text format of OpenMetrics.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

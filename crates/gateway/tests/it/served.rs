//! A server over series that are known.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use object_store::memory::InMemory;
use prometheus_model::{FloatHistogram, Labels, Sample, Span, Value};
use prometheus_promql::{Engine, EngineOptions};
use prometheus_tsdb_block::{BlockReader, LocalBlock, write_block};
use promparquet_catalog::{Catalog, CatalogOptions};
use promparquet_convert::{Control, Options as ConvertOptions, convert};
use promparquet_gateway::{
    BackfillOptions, Gateway, GatewayOptions, Server, ServerOptions, ServerTls, ThanosOptions, WebConfig,
};
use promparquet_objstore::Bucket;
use promparquet_shard::Marker;
use tokio::{sync::oneshot, task::JoinHandle};
use ulid::Ulid;

/// Time of the first sample, in milliseconds; one every 15 seconds follows, an hour long.
pub(crate) const START: i64 = 1_700_000_000_000;
pub(crate) const STEP: i64 = 15_000;
pub(crate) const SAMPLES: i64 = 240;

pub(crate) type SeriesList = Vec<(Labels, Vec<Sample>)>;

pub(crate) fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied()).unwrap()
}

fn samples(value: impl Fn(i64) -> Value) -> Vec<Sample> {
    let one = |i| Sample { timestamp: START + i * STEP, start_timestamp: 0, value: value(i) };
    (0..SAMPLES).map(one).collect()
}

/// Counters that grow by one with each sample, a gauge, a native histogram, names that are no identifiers.
pub(crate) fn series() -> SeriesList {
    let float = |value: fn(i64) -> f64| samples(move |i| Value::Float(value(i)));
    let histogram = samples(|i| {
        let count = (i + 1) as f64;
        Value::FloatHistogram(Box::new(FloatHistogram {
            schema: 0,
            count: 3.0 * count,
            sum: 10.0 * count,
            zero_threshold: 0.001,
            zero_count: count,
            positive_spans: vec![Span { offset: 0, length: 2 }],
            positive_buckets: vec![count, count],
            ..FloatHistogram::default()
        }))
    });
    let mut all = vec![
        (labels(&[("__name__", "requests_total"), ("job", "api"), ("instance", "a")]), float(|i| i as f64)),
        (labels(&[("__name__", "requests_total"), ("job", "api"), ("instance", "b")]), float(|i| 2.0 * i as f64)),
        (labels(&[("__name__", "requests_total"), ("job", "web"), ("instance", "c")]), float(|i| 10.0 * i as f64)),
        (labels(&[("__name__", "temperature"), ("room", "kitchen \"<1>\"\n")]), float(|i| 20.0 + i as f64 / 8.0)),
        (labels(&[("__name__", "latency"), ("job", "api")]), histogram),
        (labels(&[("__name__", "http.requests"), ("http.status", "200"), ("größe", "klein")]), float(|_| 1.0)),
    ];
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

pub(crate) fn memory() -> Bucket {
    Bucket::new(Arc::new(InMemory::new()), "memory://test")
}

/// Converts a block of the series into the bucket.
pub(crate) async fn add(bucket: &Bucket, series: &SeriesList, ulid: Ulid) {
    add_with(bucket, series, ulid, |_| {}).await;
}

/// The same with other options.
pub(crate) async fn add_with(
    bucket: &Bucket,
    series: &SeriesList,
    ulid: Ulid,
    change: impl FnOnce(&mut ConvertOptions) + Send,
) {
    let dir = tempfile::tempdir().unwrap();
    let meta = write_block(dir.path(), Ulid(1), series).unwrap();
    let block = dir.path().join(meta.ulid.to_string());
    let block = BlockReader::open(Arc::new(LocalBlock::open(block).unwrap())).unwrap();
    let mut options = ConvertOptions::default();
    options.name = ulid.to_string();
    change(&mut options);
    let report = convert(vec![block], None, bucket.clone(), options, Arc::new(Control::default())).await.unwrap();
    Marker::new(report.shards.len() as u32).write(bucket, ulid).await.unwrap();
}

#[derive(Default)]
pub(crate) struct Setup {
    pub(crate) bucket: Option<Bucket>,
    pub(crate) catalog: CatalogOptions,
    pub(crate) engine: EngineOptions,
    pub(crate) gateway: GatewayOptions,
    pub(crate) grace: Option<Duration>,
    pub(crate) tls: Option<ServerTls>,
    pub(crate) web: Option<WebConfig>,
    pub(crate) backfill: Option<BackfillOptions>,
    pub(crate) max_connections: Option<usize>,
    pub(crate) head_timeout: Option<Duration>,
}

pub(crate) struct Served {
    pub(crate) api: SocketAddr,
    pub(crate) internal: SocketAddr,
    pub(crate) thanos: SocketAddr,
    pub(crate) gateway: Gateway,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Served {
    /// The series of [`series`], with everything as it is by default.
    pub(crate) async fn known() -> Self {
        let bucket = memory();
        add(&bucket, &series(), Ulid(1)).await;
        Self::start(Setup { bucket: Some(bucket), ..Setup::default() }).await
    }

    /// Starts, and waits until the bucket was looked through.
    pub(crate) async fn start(setup: Setup) -> Self {
        let served = Self::start_unready(setup).await;
        for _ in 0..1000 {
            if served.gateway.catalog().snapshot().is_ready() {
                return served;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("not ready");
    }

    pub(crate) async fn start_unready(setup: Setup) -> Self {
        let bucket = setup.bucket.unwrap_or_else(memory);
        let catalog = Arc::new(Catalog::new(bucket, setup.catalog));
        let engine = Engine::new(EngineOptions { threads: 2, ..setup.engine }).unwrap();
        let gateway = Gateway::new(catalog, engine, setup.gateway);
        let local = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut options = ServerOptions::new(local, local);
        options.discovery_interval = Duration::from_millis(50);
        options.prometheus_grace = setup.grace.unwrap_or(Duration::from_secs(5));
        options.thanos = Some(ThanosOptions { address: local, grace: options.prometheus_grace, tls: setup.tls });
        options.web = setup.web;
        options.backfill = setup.backfill;
        options.max_connections = setup.max_connections.unwrap_or(options.max_connections);
        options.head_timeout = setup.head_timeout.unwrap_or(options.head_timeout);
        options.reload_interval = Duration::from_millis(100);
        let server = Server::bind(gateway.clone(), options).await.unwrap();
        let (api, internal) = (server.prometheus_address(), server.internal_address());
        let thanos = server.thanos_address().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(server.run(async move {
            let _ = stopped.await;
        }));
        Self { api, internal, thanos, gateway, stop: Some(stop), task }
    }

    /// Asks it to stop, and gives what ends when it has.
    pub(crate) fn stop(mut self) -> JoinHandle<()> {
        drop(self.stop.take());
        self.task
    }
}

/// Seconds of the sample `i`, as text.
pub(crate) fn at(i: i64) -> String {
    ((START + i * STEP) / 1000).to_string()
}

/// A range query that takes a minute or so.
pub(crate) fn endless() -> [(&'static str, String); 4] {
    heavy("quantile_over_time(0.5, requests_total[50m:10ms])")
}

/// A range query that takes a second or so.
pub(crate) fn long() -> [(&'static str, String); 4] {
    heavy("quantile_over_time(0.5, requests_total[50m:150ms])")
}

fn heavy(query: &str) -> [(&'static str, String); 4] {
    [("query", query.to_owned()), ("start", at(0)), ("end", at(239)), ("step", "5".to_owned())]
}

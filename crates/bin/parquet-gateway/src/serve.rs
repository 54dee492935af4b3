//! `parquet-gateway serve`.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::{NonZeroU64, NonZeroUsize},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use prometheus_model::Labels;
use prometheus_promql::Engine;
use prometheus_queryable::{PartialResponse, Regex};
use promparquet_catalog::{Catalog, CatalogOptions};
use promparquet_gateway::{
    BackfillOptions, CorsOrigin, Gateway, GatewayOptions, Server, ServerOptions, ServerTls, ThanosOptions, WebConfig,
};
use promparquet_objstore::{Bucket, Cache, CacheConfig, OpenFor, process_environment};
use promparquet_query::ReadCosts;
use snafu::ResultExt;

use crate::{
    bucket::BucketFlags,
    console::{self, note},
    engine::EngineArgs,
    error::{CorsSnafu, EngineSnafu, Error, LabelsSnafu, ReadConfigSnafu, TlsFileSnafu},
    logging::{self, Level},
    number::{bytes, bytes_or_zero, count, duration},
    trace_export::{TraceExport, TracingArgs},
};

/// Parts of a select that are worked on at the same time where any number may be: more would not be faster anywhere.
const MOST_PARTS: u64 = 256;

const HELP: &str = "\
Ports: 9000 Prometheus' HTTP API, and a page for the browser at /; 9001 Thanos' gRPC APIs; 6060 metrics, health and the state of
the bucket. Ready (/-/ready) once the bucket was looked through. SIGTERM or Ctrl-C: no more connections, queries under way may
end within the shutdown timeout.

Without --web.config.file everybody may ask. Its format is Prometheus' (https://prometheus.io/docs/prometheus/latest/configuration/https):
tls_server_config, http_server_config, basic_auth_users (passwords hashed by bcrypt), rate_limit; beside it, bearer_tokens_file names
a file with a token a line. It holds for both HTTP ports and all their paths, health and metrics included, as with Prometheus; not for
the gRPC port, which has TLS flags of its own. Changes are seen within seconds. Not supported, and refused: TLS before 1.2,
client_allowed_sans, and client_auth_type that verifies nothing.

Of the flags of thanos-parquet-gateway, those that say how it keeps files on the local disk and in buffers have no effect:
--block.labelfilepath, --block.syncer.read-buffer-size, --memlimit.ratio.";

/// All shard sets of the bucket are served that are complete: blocks with a mark, in the layout of parquet-common and Cortex, and
/// days with a meta.pb, in that of thanos-parquet-gateway. The bucket is only read.
#[derive(clap::Args, Debug)]
#[command(after_long_help = HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    bucket: BucketArgs,
    #[command(flatten)]
    blocks: BlockArgs,
    #[command(flatten)]
    queries: QueryArgs,
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    ports: PortArgs,
    #[command(flatten)]
    tracing: TracingArgs,
    #[command(flatten)]
    without_effect: WithoutEffect,

    /// What is logged, as JSON on standard output: DEBUG, INFO, WARN or ERROR
    #[arg(long = "logger.level", value_name = "LEVEL", default_value = "INFO")]
    level: Level,
}

#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Bucket")]
struct BucketArgs {
    /// Bucket of the Parquet shards, as Thanos' YAML
    #[arg(long = "parquet.objstore-config", value_name = "YAML")]
    config: Option<String>,
    /// File with that YAML
    #[arg(long = "parquet.objstore-config-file", value_name = "FILE")]
    config_file: Option<String>,
    /// Directory of the Parquet shards under .data/; an absolute path is taken as it is
    #[arg(long = "storage.prefix", alias = "parquet.storage.prefix", value_name = "DIR")]
    storage_prefix: Option<String>,
    /// Cache of what is read from the bucket, as YAML (type: IN-MEMORY)
    #[arg(long = "parquet.cache-config", value_name = "YAML", conflicts_with = "cache_file")]
    cache: Option<String>,
    /// File with that YAML
    #[arg(long = "parquet.cache-config-file", value_name = "FILE")]
    cache_file: Option<String>,
}

#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Blocks")]
struct BlockArgs {
    /// Time between looks at the bucket
    #[arg(long = "block.discovery.interval", value_name = "DURATION", default_value = "1m", value_parser = duration)]
    interval: Duration,
    /// The same: what is new is opened at once. The shorter time holds
    #[arg(long = "block.syncer.interval", value_name = "DURATION", value_parser = duration)]
    syncer_interval: Option<Duration>,
    /// Shard sets opened at the same time [default: 4]
    #[arg(long = "block.syncer.concurrency", value_name = "N")]
    concurrency: Option<NonZeroUsize>,
    /// The same: the larger number holds
    #[arg(long = "block.discovery.concurrency", value_name = "N")]
    discovery_concurrency: Option<NonZeroUsize>,
    /// For how long a set that is marked for deletion is still queried
    #[arg(long = "block.ignore-deletion-marks-delay", value_name = "DURATION", default_value = "0s", value_parser = duration)]
    deletion_delay: Duration,
    /// Memory for the footers of opened shards; those that make room are read again when they are needed
    #[arg(long = "block.footer-memory", value_name = "SIZE", default_value = "256MiB", value_parser = bytes)]
    footer_memory: u64,
    /// Which shard sets are queried: all, or not those whose times a Thanos store has, too
    #[arg(long = "block.filter.type", value_name = "TYPE", default_value = "all-metas")]
    filter: Filter,
    /// Where that store serves Thanos' Info, without TLS. Until it has answered, all sets are queried; while it does not
    /// answer, what it said last holds
    #[arg(
        long = "block.filter.thanos-backfill.endpoint",
        value_name = "HOST:PORT",
        required_if_eq("filter", "thanos-backfill")
    )]
    filter_endpoint: Option<String>,
    /// Time between questions to it
    #[arg(long = "block.filter.thanos-backfill.interval", value_name = "DURATION", default_value = "1m", value_parser = duration)]
    filter_interval: Duration,
    /// For how long from its first sample on sets are queried all the same
    #[arg(long = "block.filter.thanos-backfill.overlap", value_name = "DURATION", default_value = "24h", value_parser = duration)]
    filter_overlap: Duration,
}

/// Which shard sets are queried, by the names that thanos-parquet-gateway gives it.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum Filter {
    /// All
    AllMetas,
    /// Those that do not lie within the times of a Thanos store, which has the newest data
    ThanosBackfill,
}

impl BlockArgs {
    /// The store that times are left to, if there is one.
    fn backfill(&self) -> Option<BackfillOptions> {
        let endpoint = self.filter_endpoint.clone()?;
        if self.filter == Filter::AllMetas {
            note("--block.filter.thanos-backfill.endpoint has no effect without --block.filter.type thanos-backfill");
            return None;
        }
        let interval = self.filter_interval.max(Duration::from_millis(100));
        Some(BackfillOptions { endpoint, interval, overlap: self.filter_overlap })
    }
}

#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Queries")]
struct QueryArgs {
    /// Step of range queries that give none
    #[arg(long = "query.step", value_name = "DURATION", default_value = "30s", value_parser = duration)]
    step: Duration,
    /// How long a query may take that says nothing of it
    #[arg(long = "query.timeout", value_name = "DURATION", default_value = "30s", value_parser = duration)]
    timeout: Duration,
    /// How long any query may take
    #[arg(long = "query.engine.timeout", value_name = "DURATION", default_value = "5m", value_parser = duration)]
    engine_timeout: Duration,
    /// Label that all series get, name=value (repeatable); instead of the external labels of each block
    #[arg(long = "query.external-label", value_name = "NAME=VALUE", value_parser = label)]
    external_labels: Vec<(String, String)>,
    /// Answer without shard sets that cannot be read, with a warning, instead of failing
    #[arg(long = "query.partial-response")]
    partial_response: bool,
    /// Queries at a time; 0 for any number
    #[arg(long = "query.limits.queries.max-concurrent", value_name = "N", default_value = "100", value_parser = count)]
    max_concurrent: u64,
    /// Shards that a query may read; 0 for any number, as below
    #[arg(long = "query.limits.max-shard-count", value_name = "N", default_value = "0", value_parser = count)]
    max_shards: u64,
    /// Compressed bytes of chunks that a query may read
    #[arg(long = "query.limits.select.max-chunk-bytes", value_name = "SIZE", default_value = "0", value_parser = bytes_or_zero)]
    max_chunk_bytes: u64,
    /// Rows that the selects of a query may read
    #[arg(long = "query.limits.select.max-row-count", value_name = "N", default_value = "0", value_parser = count)]
    max_rows: u64,
    /// Rows that a question for names of labels may read
    #[arg(long = "query.limits.label-names.max-row-count", value_name = "N", default_value = "0", value_parser = count)]
    max_label_name_rows: u64,
    /// Rows that a question for values of a label may read
    #[arg(long = "query.limits.label-values.max-row-count", value_name = "N", default_value = "0", value_parser = count)]
    max_label_value_rows: u64,
    /// Bytes that all queries together may hold in memory at once [default: half of the container's or machine's memory]
    #[arg(long = "query.max-total-memory", value_name = "SIZE", value_parser = bytes)]
    max_total_memory: Option<u64>,
    /// Reads of the bucket are not joined beyond this size [default: what suits the bucket]
    #[arg(long = "query.storage.select.chunk-partition.max-range-bytes", value_name = "SIZE", value_parser = bytes)]
    max_range: Option<u64>,
    /// Reads of the bucket are joined across gaps of this size [default: what suits the bucket]
    #[arg(long = "query.storage.select.chunk-partition.max-gap-bytes", value_name = "SIZE", value_parser = bytes)]
    max_gap: Option<u64>,
    /// Parts of one select that are worked on at the same time; 0 for as many as are ever of use
    #[arg(long = "query.storage.select.chunk-partition.max-concurrency", value_name = "N", default_value = "16",
          value_parser = count)]
    select_concurrency: u64,
    /// Log queries that take longer, with what they did
    #[arg(long = "query.slow-log-threshold", value_name = "DURATION", default_value = "10s", value_parser = duration)]
    slow: Duration,
}

#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Ports")]
struct PortArgs {
    /// Address of all ports
    #[arg(long = "http.address", value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::UNSPECIFIED))]
    address: IpAddr,
    /// Port of Prometheus' HTTP API; 0 for any that is free
    #[arg(long = "http.prometheus.port", value_name = "PORT", default_value = "9000")]
    prometheus: u16,
    /// How long requests may take to end
    #[arg(long = "http.prometheus.shutdown-timeout", value_name = "DURATION", default_value = "10s", value_parser = duration)]
    prometheus_grace: Duration,
    /// Port of Thanos' gRPC APIs (Info, Store, Query)
    #[arg(long = "http.thanos.port", value_name = "PORT", default_value = "9001")]
    thanos: u16,
    /// How long requests may take to end
    #[arg(long = "http.thanos.shutdown-timeout", value_name = "DURATION", default_value = "10s", value_parser = duration)]
    thanos_grace: Duration,
    /// Certificate of the gRPC port, in PEM
    #[arg(long = "grpc-server-tls-cert", value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// Key of that certificate
    #[arg(long = "grpc-server-tls-key", value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
    /// Authority of the certificates that clients of the gRPC port must have
    #[arg(long = "grpc-server-tls-client-ca", value_name = "FILE", requires = "tls_certificate")]
    tls_client_authority: Option<PathBuf>,
    /// Port of metrics, health and state
    #[arg(long = "http.internal.port", value_name = "PORT", default_value = "6060")]
    internal: u16,
    /// How long requests may take to end
    #[arg(long = "http.internal.shutdown-timeout", value_name = "DURATION", default_value = "10s", value_parser = duration)]
    internal_grace: Duration,
    /// File that says who may ask the two HTTP ports, and by what TLS, in Prometheus' format; see below
    #[arg(long = "web.config.file", value_name = "FILE")]
    web_config: Option<PathBuf>,
    /// Regular expression of the origins whose scripts may read answers
    #[arg(long = "web.cors.origin", value_name = "REGEX", default_value = ".*")]
    cors: String,
}

/// Flags of thanos-parquet-gateway that are accepted, so that its command lines work.
#[derive(clap::Args, Debug)]
struct WithoutEffect {
    #[arg(long = "block.labelfilepath", hide = true)]
    label_files: Option<String>,
    #[arg(long = "block.syncer.read-buffer-size", hide = true)]
    read_buffer: Option<String>,
    #[arg(long = "memlimit.ratio", hide = true)]
    memory_ratio: Option<String>,
}

fn label(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
    pair.map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| format!("expected name=value, found {text:?}"))
}

/// Connections of a port, where so many files may be open: the bucket needs some, too. Many shells allow a thousand, although the
/// system would more, which Go's programs take.
fn connections(files: Option<u64>) -> usize {
    usize::try_from(files.unwrap_or(1024) / 6).unwrap_or(usize::MAX).clamp(16, 4096)
}

/// Bytes of memory that the container may use, or else the machine has.
fn available_memory() -> u64 {
    let memory = sysinfo::MemoryRefreshKind::nothing().with_ram();
    let system = sysinfo::System::new_with_specifics(sysinfo::RefreshKind::nothing().with_memory(memory));
    let container = system.cgroup_limits().map(|limits| limits.total_memory).filter(|bytes| *bytes > 0);
    match container.unwrap_or_else(|| system.total_memory()) {
        // Nothing is known: no limit.
        0 => u64::MAX,
        bytes => bytes,
    }
}

/// What runs, for those who start it.
pub(crate) struct Started {
    pub(crate) server: Server,
    pub(crate) gateway: Gateway,
    pub(crate) bucket: Bucket,
    pub(crate) traces: Option<TraceExport>,
}

pub(crate) async fn run(args: Args) -> Result<(), Error> {
    logging::start(args.level);
    let stop = console::stop_signal();
    let Started { server, bucket, traces, .. } = start(&args).await?;
    tracing::info!(
        bucket = %bucket,
        prometheus = %server.prometheus_address(),
        thanos = server.thanos_address().map(|address| address.to_string()),
        internal = %server.internal_address(),
        "serving"
    );
    server.run(stop).await;
    if let Some(traces) = traces {
        traces.stop().await;
    }
    Ok(())
}

/// Opens the bucket and binds the ports.
pub(crate) async fn start(args: &Args) -> Result<Started, Error> {
    let (bucket, cache) = args.bucket.open()?;
    let flags = &args.queries;
    let mut options = CatalogOptions::default();
    options.concurrency = args.blocks.concurrency.max(args.blocks.discovery_concurrency).unwrap_or(options.concurrency);
    options.footer_bytes = args.blocks.footer_memory;
    options.deletion_delay_ms = u64::try_from(args.blocks.deletion_delay.as_millis()).unwrap_or(u64::MAX);
    options.partial_response = if flags.partial_response { PartialResponse::Warn } else { PartialResponse::Fail };
    if !flags.external_labels.is_empty() {
        let pairs = flags.external_labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        options.external_labels = Some(Labels::from_pairs(pairs).context(LabelsSnafu)?);
    }
    options.query.limits.shards = NonZeroU64::new(flags.max_shards);
    options.query.limits.chunk_bytes = NonZeroU64::new(flags.max_chunk_bytes);
    options.query.limits.rows = NonZeroU64::new(flags.max_rows);
    options.query.limits.label_name_rows = NonZeroU64::new(flags.max_label_name_rows);
    options.query.limits.label_value_rows = NonZeroU64::new(flags.max_label_value_rows);
    let parts = if flags.select_concurrency == 0 { MOST_PARTS } else { flags.select_concurrency };
    options.query.concurrency =
        usize::try_from(parts).ok().and_then(NonZeroUsize::new).unwrap_or(options.query.concurrency);
    let mut costs = ReadCosts::of(&bucket);
    costs.coalescing.max_read_bytes = flags.max_range.unwrap_or(costs.coalescing.max_read_bytes);
    costs.coalescing.gap_bytes = flags.max_gap.unwrap_or(costs.coalescing.gap_bytes);
    options.query.read_costs = Some(costs);
    let catalog = Arc::new(Catalog::new(bucket.clone(), options));

    let mut engine = args.engine.options();
    engine.max_total_memory = flags.max_total_memory.unwrap_or_else(|| available_memory() / 2);
    let engine = Engine::new(engine).context(EngineSnafu)?;

    let mut options = GatewayOptions::default();
    options.default_timeout = flags.timeout;
    options.max_timeout = flags.engine_timeout;
    options.default_step = Some(flags.step);
    options.max_concurrent = usize::try_from(flags.max_concurrent).unwrap_or(usize::MAX);
    options.slow_query = Some(flags.slow).filter(|slow| !slow.is_zero());
    options.external_labels_overridden = !flags.external_labels.is_empty();
    options.cors_origin = match &*args.ports.cors {
        "" => CorsOrigin::None,
        ".*" => CorsOrigin::Any,
        regex => CorsOrigin::Matching(Regex::new(regex).context(CorsSnafu { regex })?),
    };
    let traces = TraceExport::start(&args.tracing)?;
    options.tracer = traces.as_ref().map(|traces| Arc::clone(&traces.tracer));
    options.cache = cache;
    options.flags = shown_flags();
    let gateway = Gateway::new(catalog, engine, options);

    let ports = &args.ports;
    let at = |port| SocketAddr::new(ports.address, port);
    let mut options = ServerOptions::new(at(ports.prometheus), at(ports.internal));
    options.prometheus_grace = ports.prometheus_grace;
    options.internal_grace = ports.internal_grace;
    options.thanos = Some(ThanosOptions { address: at(ports.thanos), grace: ports.thanos_grace, tls: ports.tls()? });
    options.web = ports.web_config.as_ref().map(WebConfig::from_file).transpose()?;
    options.max_connections = connections(rlimit::increase_nofile_limit(u64::MAX).ok());
    let interval = args.blocks.syncer_interval.unwrap_or(Duration::MAX).min(args.blocks.interval);
    options.discovery_interval = interval.max(Duration::from_millis(100));
    options.backfill = args.blocks.backfill();
    Ok(Started { server: Server::bind(gateway.clone(), options).await?, gateway, bucket, traces })
}

impl Args {
    /// From which level on there are logs.
    pub(crate) const fn level(&self) -> Level {
        self.level
    }
}

impl PortArgs {
    fn tls(&self) -> Result<Option<ServerTls>, Error> {
        let read = |path: &PathBuf| std::fs::read(path).context(TlsFileSnafu { path: path.display().to_string() });
        let (Some(certificate), Some(key)) = (&self.tls_certificate, &self.tls_key) else { return Ok(None) };
        let client_authority = self.tls_client_authority.as_ref().map(read).transpose()?;
        Ok(Some(ServerTls { certificate: read(certificate)?, key: read(key)?, client_authority }))
    }
}

impl BucketArgs {
    /// The bucket, and the cache before it, if there is one.
    fn open(&self) -> Result<(Bucket, Option<Cache>), Error> {
        let flags = BucketFlags {
            side: "parquet",
            config: self.config.as_deref(),
            config_file: self.config_file.as_deref(),
            storage_prefix: self.storage_prefix.as_deref(),
        };
        let bucket = flags.open(OpenFor::Reading)?;
        let yaml = match (&self.cache, &self.cache_file) {
            (Some(yaml), _) => yaml.clone(),
            (None, Some(path)) => std::fs::read_to_string(path).context(ReadConfigSnafu { side: "parquet", path })?,
            (None, None) => return Ok((bucket, None)),
        };
        let (config, ignored) = CacheConfig::from_yaml(&yaml, process_environment)?;
        for field in ignored {
            note(&format!("--parquet.cache-config: {field}"));
        }
        let cache = Cache::open(&config)?;
        Ok((bucket.cached(&cache), Some(cache)))
    }
}

/// The command line as a page of flags shows it: what may hold secrets is left out.
fn shown_flags() -> BTreeMap<String, String> {
    let mut shown = BTreeMap::new();
    let mut args = std::env::args().skip(1).peekable();
    while let Some(arg) = args.next() {
        let Some(flag) = arg.strip_prefix("--") else { continue };
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name.to_owned(), value.to_owned()),
            None => (flag.to_owned(), args.next_if(|next| !next.starts_with("--")).unwrap_or_else(|| "true".into())),
        };
        let is_secret = name.ends_with("-config");
        shown.insert(name, if is_secret { "<not shown>".into() } else { value });
    }
    shown
}

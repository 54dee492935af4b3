//! Errors of the command line.

use snafu::Snafu;

#[derive(Debug, Snafu)]
#[snafu(visibility(pub(crate)))]
pub(crate) enum Error {
    #[snafu(display(
        "--{side}.objstore-config, --{side}.objstore-config-file and --{side}.storage.prefix exclude each other: give one"
    ))]
    TwoBuckets { side: &'static str },
    #[snafu(display(
        "which bucket? give --{side}.objstore-config, --{side}.objstore-config-file or --{side}.storage.prefix"
    ))]
    NoBucket { side: &'static str },
    #[snafu(display("--{side}.objstore-config-file {path}"))]
    ReadConfig { side: &'static str, path: String, source: std::io::Error },
    #[snafu(transparent)]
    Bucket { source: promparquet_objstore::Error },
    #[snafu(transparent)]
    Convert { source: promparquet_convert::Error },
    #[snafu(transparent)]
    Catalog { source: promparquet_catalog::Error },
    #[snafu(transparent)]
    Block { source: prometheus_tsdb_block::Error },
    #[snafu(transparent)]
    Index { source: prometheus_tsdb_index::Error },
    #[snafu(transparent)]
    Shard { source: promparquet_shard::Error },
    #[snafu(display(
        "{what} is neither a TSDB block (no meta.json) nor a shard set (no 0.labels.parquet) nor a day of thanos-parquet-gateway (no meta.pb)"
    ))]
    NotFound { what: String },
    #[snafu(display(
        "{bucket} has no shard set {name}: neither a block, {name}/0.labels.parquet, nor a day of thanos-parquet-gateway, \
         <hash>/<YYYY-MM-DD>/meta.pb"
    ))]
    NoShardSet { bucket: String, name: String },
    #[snafu(display(
        "{name} is a stream of several days, and a block is made of one: name it, as {name}/<YYYY-MM-DD>"
    ))]
    Stream { name: String },
    #[snafu(display("{bucket}/{name} cannot be read: {reason}"))]
    NotComplete { bucket: String, name: String, reason: &'static str },
    #[snafu(display("cannot make the block"))]
    Generate { source: promparquet_testkit::blocks::Error },
    #[snafu(display("{path}"))]
    Output { path: String, source: std::io::Error },
    #[snafu(display("{source}"))]
    Range { source: prometheus_model::TimeRangeError },
    #[snafu(display(
        "which shards? give --in, --parquet.storage.prefix, --parquet.objstore-config or --parquet.objstore-config-file"
    ))]
    NoShards,
    #[snafu(display(
        "{bucket} has no shard set with a mark that it is complete: convert blocks into it, or name a set with --block; days of \
         thanos-parquet-gateway have a meta.pb"
    ))]
    NoShardSets { bucket: String },
    #[snafu(display("selector {selector}"))]
    Selector { selector: String, source: prometheus_promql::Error },
    #[snafu(display(
        "the answer would exceed a limit: choose fewer series or a shorter time, or raise the --max-... flag"
    ))]
    Limit { source: prometheus_queryable::Error },
    #[snafu(display("the answer is not complete"))]
    Query { source: prometheus_queryable::Error },
    #[snafu(display("--query.external-label: {source}"))]
    Labels { source: prometheus_model::LabelsError },
    #[snafu(display("--web.cors.origin {regex}: {source}"))]
    Cors { regex: String, source: prometheus_re2::Error },
    #[snafu(display("{path}"))]
    TlsFile { path: String, source: std::io::Error },
    #[snafu(display("tracing: {message}"))]
    Tracing { message: String },
    #[snafu(display("cannot start the engine"))]
    Engine { source: prometheus_promql::Error },
    #[snafu(transparent)]
    Gateway { source: promparquet_gateway::Error },
    #[snafu(display("cannot evaluate the query"))]
    Promql { source: prometheus_promql::Error },
    #[snafu(display("cannot write to standard output"))]
    Print { source: std::io::Error },
    #[snafu(display("{failed} of {all} conversions failed"))]
    SomeFailed { failed: usize, all: usize },
}

impl From<prometheus_queryable::Error> for Error {
    fn from(source: prometheus_queryable::Error) -> Self {
        match source.kind() {
            prometheus_queryable::ErrorKind::LimitExceeded => Self::Limit { source },
            _ => Self::Query { source },
        }
    }
}

impl Error {
    /// Whether nobody reads the output any more (`| head`), which is no failure.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Print { source } if source.kind() == std::io::ErrorKind::BrokenPipe)
    }
}

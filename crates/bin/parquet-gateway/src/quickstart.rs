//! `parquet-gateway quickstart`.

use std::path::{Path, PathBuf};

use clap::Parser;
use jiff::Timestamp;
use promparquet_testkit::blocks::BlockSpec;
use snafu::ResultExt;

use crate::{
    Cli, Command,
    bucket::DATA_DIR,
    console::{self, line},
    convert,
    error::{Error, GenerateSnafu, OutputSnafu},
    inspect, logging, serve,
};

/// Everything goes into .data/ of the working directory. Nothing outside is written, and only this machine can reach the ports.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// A Prometheus data directory whose blocks to convert; it is only read. Without it, a block is made: six hours of a
    /// small Kubernetes cluster
    #[arg(value_name = "DIR")]
    prometheus_data: Option<PathBuf>,
    /// Port on which Prometheus' HTTP API is served
    #[arg(long, value_name = "PORT", default_value = "9000")]
    port: u16,
    /// Port of metrics, health and state
    #[arg(long, value_name = "PORT", default_value = "6060")]
    internal_port: u16,
    /// End after the conversion
    #[arg(long)]
    no_serve: bool,
}

const SERIES: u64 = 10_000;
const HOURS: i64 = 6;
/// Where the shards go, under `.data/`.
const PARQUET: &str = "quickstart-parquet";

pub(crate) async fn run(args: Args) -> Result<(), Error> {
    let stop = console::stop_signal();
    let blocks = match args.prometheus_data {
        Some(dir) => dir,
        None => make_block().await?,
    };
    let blocks = std::path::absolute(&blocks).unwrap_or(blocks);
    let from = blocks.display().to_string();
    line(&format!("converting {from} into {DATA_DIR}/{PARQUET}, and verifying every sample"));
    if let Ok(Command::Convert(args)) =
        parsed(&["convert", "--tsdb.storage.prefix", &from, "--parquet.storage.prefix", PARQUET, "--verify"])
    {
        convert::run(*args).await?;
    }
    let parquet = Path::new(DATA_DIR).join(PARQUET);
    let Some(name) = first_shard_set(&parquet)? else { return Ok(()) };
    let shown = parquet.join(name).display().to_string();
    if let Ok(Command::Inspect(args)) = parsed(&["inspect", "--top", "8", &shown]) {
        inspect::run(args).await?;
    }
    line(&format!(
        "\nfrom the command line:\n  parquet-gateway select --in {shown} '{{job=~\".+\"}}' | head\n  parquet-gateway explain \
         --in {shown} '{{job=~\".+\"}}'\n  parquet-gateway inspect {shown}"
    ));
    if args.no_serve { Ok(()) } else { serve(args.port, args.internal_port, stop).await }
}

/// A command as if it had been typed.
fn parsed(args: &[&str]) -> Result<Command, clap::Error> {
    Ok(Cli::try_parse_from(std::iter::once("parquet-gateway").chain(args.iter().copied()))?.command)
}

/// Serves what was converted to this machine only.
async fn serve(port: u16, internal_port: u16, stop: impl Future<Output = ()> + Send) -> Result<(), Error> {
    let (port, internal_port) = (port.to_string(), internal_port.to_string());
    let Ok(Command::Serve(args)) = parsed(&[
        "serve",
        "--storage.prefix",
        PARQUET,
        "--http.address",
        "127.0.0.1",
        "--http.prometheus.port",
        &port,
        "--http.internal.port",
        &internal_port,
        "--http.thanos.port",
        "0",
        "--logger.level",
        "WARN",
    ]) else {
        return Ok(());
    };
    logging::start(args.level());
    let serve::Started { server, gateway, .. } = serve::start(&args).await?;
    gateway.catalog().sync(Timestamp::now().as_millisecond()).await?;
    // A while before the end, when all series still have samples.
    let end = gateway.catalog().snapshot().times().map_or(0, |(_, last)| last / 1000 - 600);
    let page = server.prometheus_address();
    let api = format!("http://{page}/api/v1");
    line(&format!(
        "\nopen http://{page}/ in a browser: queries, graphs, the blocks\n\nserving PromQL at {api}, for Grafana as a Prometheus \
         data source, too; try:\n  \
         curl -s '{api}/query?time={end}' --data-urlencode 'query=count by (job) ({{job!=\"\"}})'\n  \
         curl -s '{api}/query?time={end}' --data-urlencode 'query=topk(5, count by (__name__) ({{__name__!=\"\"}}))'\n  \
         curl -s '{api}/query_range?start={}&end={end}&step=5m' --data-urlencode 'query=count({{__name__!=\"\"}})'\n\
         what is served: http://{}/\nCtrl-C ends it.",
        end - 3600,
        server.internal_address()
    ));
    server.run(stop).await;
    Ok(())
}

/// Makes the block, unless it is there.
async fn make_block() -> Result<PathBuf, Error> {
    let dir = Path::new(DATA_DIR).join("quickstart-tsdb");
    if dir.is_dir() {
        return Ok(dir);
    }
    line(&format!("making a block of {SERIES} series over {HOURS} hours in {}", dir.display()));
    let (to, made) = (dir.clone(), dir.with_extension("tmp"));
    let work = tokio::task::spawn_blocking(move || {
        let _ = std::fs::remove_dir_all(&made); // what an interrupted run left
        std::fs::create_dir_all(&made).context(OutputSnafu { path: made.display().to_string() })?;
        let spec = BlockSpec::new(SERIES).duration_ms(HOURS * 3_600_000).native_histograms(0.05);
        spec.write(&made).context(GenerateSnafu)?;
        std::fs::rename(&made, &to).context(OutputSnafu { path: to.display().to_string() })
    });
    work.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
    Ok(dir)
}

/// The first directory with a shard.
fn first_shard_set(parquet: &Path) -> Result<Option<String>, Error> {
    let entries = std::fs::read_dir(parquet).context(OutputSnafu { path: parquet.display().to_string() })?;
    let is_set = |name: &String| parquet.join(promparquet_schema::labels_file(name, 0)).is_file();
    Ok(entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).filter(is_set).min())
}

//! `parquet-gateway explain`.

use std::time::Instant;

use prometheus_queryable::SelectHints;
use promparquet_query::Explain;

use crate::{
    console::line,
    error::Error,
    number::{show_bytes, show_count},
    shards,
};

const HELP: &str = "\
Runs the whole select, but decodes no sample, and prints what was done for it in each shard: what became of the pages of \
each label that is matched, what was read in which round trip, and how long it took.";

/// What to explain.
#[derive(clap::Args, Debug)]
#[command(after_long_help = HELP)]
pub(crate) struct Args {
    /// Selector of series in PromQL
    #[arg(value_name = "SELECTOR")]
    selector: String,
    /// As if only labels were wanted: no chunk is read
    #[arg(long)]
    labels_only: bool,

    #[command(flatten)]
    shards: shards::ShardArgs,
}

pub(crate) async fn run(args: Args) -> Result<(), Error> {
    let matchers = shards::matchers(&args.selector)?;
    let range = args.shards.range()?;
    let hints = if args.labels_only { SelectHints::series_only(range) } else { SelectHints::new(range) };
    let started = Instant::now();
    let querier = args.shards.querier(None).await?;
    let opened = started.elapsed();
    let (explain, started) = (Explain::default(), Instant::now());
    let mut set = querier.select_explained(&matchers, &hints, &explain)?;
    let mut series = 0_u64;
    while let Some(batch) = set.next().await? {
        series += batch.len() as u64;
    }
    let elapsed = started.elapsed();
    shards::show_warnings(set.warnings());
    let shards = explain.shards();
    let (mut requests, mut bytes) = (0, 0);
    for shard in &shards {
        line(&shard.to_string());
        requests += shard.requests();
        bytes += shard.bytes();
    }
    line(&format!(
        "{} series of {} shards in {elapsed:.2?}, after {opened:.2?} to open them: {requests} requests, {}",
        show_count(series),
        shards.len(),
        show_bytes(bytes),
    ));
    if querier.shards().is_empty() {
        line("no shard has samples in the time range");
    }
    Ok(())
}

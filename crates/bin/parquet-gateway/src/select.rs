//! `parquet-gateway select`.

use std::num::{NonZeroU32, NonZeroU64};

use prometheus_queryable::SelectHints;

use crate::{
    console::note,
    error::Error,
    format::{Format, Printer},
    shards,
};

const HELP: &str = "\
All shard sets of the bucket are read that are complete: blocks with a mark (the layout of parquet-common and Cortex) and days with
a meta.pb (that of thanos-parquet-gateway). Series have the external labels of their set. Output is streamed, in the order of the labels.

Formats:
  text   as promtool tsdb dump: {labels} value milliseconds, a sample a line
  jsonl  a series a line, as an element of a matrix of Prometheus' HTTP API:
         {\"metric\":{\"name\":\"value\",...},\"values\":[[seconds,\"value\"],...],\"histograms\":[[seconds,
         {\"count\":\"..\",\"sum\":\"..\",\"buckets\":[[rule,\"low\",\"high\",\"count\"],...]}],...]}
         rule says which bounds are inside: 0 the upper, 1 the lower, 2 none, 3 both
  csv    labels,timestamp_ms,value; a sample a line; labels and histograms as in text
With --labels-only there is a series a line: its labels.";

/// What to print.
#[derive(clap::Args, Debug)]
#[command(after_long_help = HELP)]
pub(crate) struct Args {
    /// Selector of series in PromQL, such as 'up{job=~"api|web"}' or '{"näme.with.dots", zone!=""}'
    #[arg(value_name = "SELECTOR")]
    selector: String,
    /// Only the labels: no chunk is read
    #[arg(long)]
    labels_only: bool,
    /// Print at most so many series: the first ones
    #[arg(long, value_name = "N")]
    limit: Option<NonZeroU64>,
    /// How to print
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,

    #[command(flatten)]
    shards: shards::ShardArgs,
}

pub(crate) async fn run(args: Args) -> Result<(), Error> {
    let matchers = shards::matchers(&args.selector)?;
    let range = args.shards.range()?;
    let hints = if args.labels_only { SelectHints::series_only(range) } else { SelectHints::new(range) };
    // The store is not told of the limit, because series without samples in range count for it.
    let window_series = args.limit.map(|limit| NonZeroU32::try_from(limit).unwrap_or(NonZeroU32::MAX));
    let querier = args.shards.querier(window_series, None).await?;
    let mut set = querier.select(&matchers, &hints).await?;
    let mut printer = Printer::new(args.format, args.labels_only)?;
    let mut left = args.limit.map(NonZeroU64::get);
    while let Some(batch) = set.next().await? {
        for series in &batch {
            if left == Some(0) {
                printer.finish()?;
                note(&format!(
                    "note: there are more series; --limit {} were printed",
                    args.limit.map_or(0, NonZeroU64::get)
                ));
                return Ok(());
            }
            if printer.series(series)? {
                left = left.map(|left| left - 1);
            }
        }
    }
    printer.finish()?;
    shards::show_warnings(set.warnings());
    Ok(())
}

//! `parquet-gateway labels`.

use std::num::NonZeroUsize;

use prometheus_queryable::LabelHints;

use crate::{console::try_line, error::Error, shards};

const HELP: &str = "\
Names and values come in byte order, a line each, those of external labels among them. Blocks are read and days of
thanos-parquet-gateway. Times count by whole shards, as in Prometheus they do by blocks.";

/// What to list.
#[derive(clap::Args, Debug)]
#[command(after_long_help = HELP)]
pub(crate) struct Args {
    /// Label whose values to print; without it, names are printed
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Only those of series that this selector fits
    #[arg(long = "match", value_name = "SELECTOR")]
    selector: Option<String>,
    /// Print at most so many: the first ones
    #[arg(long, value_name = "N")]
    limit: Option<NonZeroUsize>,

    #[command(flatten)]
    shards: shards::ShardArgs,
}

pub(crate) async fn run(args: Args) -> Result<(), Error> {
    let matchers = args.selector.as_deref().map_or(Ok(Vec::new()), shards::matchers)?;
    let querier = args.shards.querier(None, None).await?;
    let hints = LabelHints { limit: args.limit };
    let found = match &args.name {
        Some(name) => querier.label_values(name, &matchers, &hints).await?,
        None => querier.label_names(&matchers, &hints).await?,
    };
    for string in &found.strings {
        try_line(string)?;
    }
    shards::show_warnings(&found.warnings);
    Ok(())
}

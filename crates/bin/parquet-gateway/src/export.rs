//! `parquet-gateway export`.

use std::{path::PathBuf, sync::Arc};

use promparquet_catalog::CatalogOptions;
use promparquet_convert::{Control, ExportOptions, export_tsdb};
use promparquet_objstore::OpenFor;
use snafu::ResultExt;

use crate::{
    bucket::BucketFlags,
    console::{self, Watch},
    error::{Error, OutputSnafu, StreamSnafu},
    number::{show_bytes, show_count, show_time},
    shards,
};

#[derive(clap::Subcommand, Debug)]
pub(crate) enum Command {
    /// Make a TSDB block of a shard set, of a block or a day of thanos-parquet-gateway, which Prometheus itself opens
    Tsdb(TsdbArgs),
}

/// The block goes into a directory named by its ULID, which appears when it is complete. One of a day has the samples from
/// midnight until before the next: what a day of thanos-parquet-gateway has of the next midnight is in the next day, too. External
/// labels are written as Thanos does, into meta.json.
#[derive(clap::Args, Debug)]
pub(crate) struct TsdbArgs {
    /// Bucket of the Parquet shards, as Thanos' YAML
    #[arg(long = "parquet.objstore-config", value_name = "YAML")]
    config: Option<String>,
    /// File with that YAML
    #[arg(long = "parquet.objstore-config-file", value_name = "FILE")]
    config_file: Option<String>,
    /// Directory of the Parquet shards under .data/; an absolute path is taken as it is
    #[arg(long = "parquet.storage.prefix", value_name = "DIR")]
    storage_prefix: Option<String>,
    /// Name of the shard set: the ULID of the block that it was made of, or of a day HASH/YYYY-MM-DD
    #[arg(long, value_name = "NAME")]
    name: String,
    /// Directory that gets the block
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
}

pub(crate) async fn run(command: Command) -> Result<(), Error> {
    let Command::Tsdb(args) = command;
    let flags = BucketFlags {
        side: "parquet",
        config: args.config.as_deref(),
        config_file: args.config_file.as_deref(),
        storage_prefix: args.storage_prefix.as_deref(),
    };
    let bucket = flags.open(OpenFor::Reading)?;
    let name = args.name.trim_end_matches('/').to_owned();
    let mut catalog = CatalogOptions::default();
    catalog.sets = vec![name.clone()];
    let snapshot = shards::open(bucket, catalog, None).await?;
    let mut sets = snapshot.sets();
    let (Some(set), None) = (sets.next(), sets.next()) else { return StreamSnafu { name }.fail() };
    let opened = snapshot.shards(&set.name).await?;
    let mut options = ExportOptions::default();
    options.external_labels = set.external_labels.clone();
    let output = args.output.display().to_string();
    std::fs::create_dir_all(&args.output).context(OutputSnafu { path: output })?;
    let control = Arc::new(Control::default());
    console::stop_at_signal(Arc::clone(&control));
    let watch = Watch::start(set.name.clone(), Arc::clone(&control));
    let report = export_tsdb(opened, args.output.clone(), options, control).await?;
    drop(watch);
    let stats = &report.meta.stats;
    console::line(&format!(
        "{}: {} to {}, {} series, {} samples, {} chunks in {:.2?}{}",
        args.output.join(report.meta.ulid.to_string()).display(),
        show_time(report.meta.min_time),
        show_time(report.meta.max_time),
        show_count(stats.num_series),
        show_count(stats.num_samples),
        show_count(stats.num_chunks),
        report.elapsed,
        report.peak_memory_bytes.map_or_else(String::new, |peak| format!("; peak memory {}", show_bytes(peak))),
    ));
    Ok(())
}

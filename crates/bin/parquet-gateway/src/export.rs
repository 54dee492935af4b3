//! `parquet-gateway export`.

use std::{path::PathBuf, sync::Arc};

use promparquet_convert::{Control, ExportOptions, export_tsdb};
use promparquet_objstore::OpenFor;
use snafu::ResultExt;

use crate::{
    bucket::BucketFlags,
    console::{self, Watch},
    error::{Error, OutputSnafu},
    number::{show_bytes, show_count, show_time},
};

#[derive(clap::Subcommand, Debug)]
pub(crate) enum Command {
    /// Make a TSDB block of a shard set, which Prometheus itself opens
    Tsdb(TsdbArgs),
}

/// The block goes into a directory named by its ULID, which appears when it is complete.
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
    /// Name of the shard set: the ULID of the block that it was made of
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
    let output = args.output.display().to_string();
    std::fs::create_dir_all(&args.output).context(OutputSnafu { path: output })?;
    let control = Arc::new(Control::default());
    console::stop_at_signal(Arc::clone(&control));
    let watch = Watch::start(args.name.clone(), Arc::clone(&control));
    let report = export_tsdb(bucket, args.name, args.output.clone(), ExportOptions::default(), control).await?;
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

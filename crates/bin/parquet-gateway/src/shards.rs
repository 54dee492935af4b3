//! Flags that say what is asked and of which shards: what `select`, `explain` and `labels` share.

use std::{
    num::{NonZeroU32, NonZeroU64},
    path::{Path, PathBuf},
    sync::Arc,
};

use prometheus_model::{TimeRange, TimestampMs};
use prometheus_promql::Parser;
use prometheus_queryable::{Matcher, Warning};
use promparquet_catalog::{discover_shard_sets, open_shard_sets, shard_set};
use promparquet_objstore::{Bucket, BucketConfig, OpenFor};
use promparquet_query::{Options, ParquetQuerier, ParquetQueryable};
use promparquet_schema::labels_file;
use promparquet_shard::Shard;
use snafu::ResultExt;

use crate::{
    bucket::BucketFlags,
    console::note,
    error::{Error, NoShardSetsSnafu, NoShardsSnafu, RangeSnafu, SelectorSnafu},
    number::{bytes, time_ms},
};

/// Which shards, which time, and how much of them.
#[derive(clap::Args, Debug)]
pub(crate) struct ShardArgs {
    /// Only samples from this time on (RFC 3339 or Unix seconds; inclusive)
    #[arg(long, value_name = "TIME", value_parser = time_ms, allow_negative_numbers = true)]
    start: Option<TimestampMs>,
    /// Only samples before this time (exclusive)
    #[arg(long, value_name = "TIME", value_parser = time_ms, allow_negative_numbers = true)]
    end: Option<TimestampMs>,

    #[command(flatten)]
    source: ShardSourceArgs,
}

/// Which shards, and how much of them.
#[derive(clap::Args, Debug)]
pub(crate) struct ShardSourceArgs {
    /// Directory of shard sets, or of one set
    #[arg(long = "in", value_name = "DIR", help_heading = "Shards",
          conflicts_with_all = ["config", "config_file", "storage_prefix"])]
    directory: Option<PathBuf>,
    /// Bucket of the Parquet shards, as Thanos' YAML
    #[arg(long = "parquet.objstore-config", value_name = "YAML", help_heading = "Shards")]
    config: Option<String>,
    /// File with that YAML
    #[arg(long = "parquet.objstore-config-file", value_name = "FILE", help_heading = "Shards")]
    config_file: Option<String>,
    /// Directory of the Parquet shards under .data/; an absolute path is taken as it is
    #[arg(long = "parquet.storage.prefix", value_name = "DIR", help_heading = "Shards")]
    storage_prefix: Option<String>,
    /// Read only this shard set, whether it has a mark or not (repeatable) [default: all that have a mark]
    #[arg(long = "block", value_name = "NAME", help_heading = "Shards")]
    blocks: Vec<String>,

    /// Fail if there are more series, counted in each shard
    #[arg(long, value_name = "N", help_heading = "Limits")]
    max_series: Option<NonZeroU64>,
    /// Fail if the chunks that are read have more samples
    #[arg(long, value_name = "N", help_heading = "Limits")]
    max_samples: Option<NonZeroU64>,
    /// Fail if more bytes of chunks would be read
    #[arg(long, value_name = "SIZE", value_parser = bytes, help_heading = "Limits")]
    max_chunk_bytes: Option<u64>,
    /// Fail if more bytes of pages would be read, of labels and chunks together
    #[arg(long, value_name = "SIZE", value_parser = bytes, help_heading = "Limits")]
    max_data_bytes: Option<u64>,
    /// Bytes of chunks read at once; memory grows with it
    #[arg(long, value_name = "SIZE", value_parser = bytes, default_value = "8MiB", help_heading = "Limits")]
    window: u64,
}

impl ShardArgs {
    /// What was asked for.
    pub(crate) fn range(&self) -> Result<TimeRange, Error> {
        let (start, end) = (self.start.unwrap_or(TimestampMs::MIN), self.end.unwrap_or(TimestampMs::MAX));
        TimeRange::new(start, end).context(RangeSnafu)
    }

    /// Opens the shards; at most `window_series` series will come at once, if given.
    pub(crate) async fn querier(&self, window_series: Option<NonZeroU32>) -> Result<ParquetQuerier, Error> {
        let range = self.range()?;
        let (shards, options) = self.source.open(window_series).await?;
        Ok(ParquetQueryable::new(Arc::new(shards), options).parquet_querier(range).await?)
    }
}

impl ShardSourceArgs {
    /// Opens the shards.
    pub(crate) async fn queryable(&self) -> Result<(ParquetQueryable, Vec<Arc<Shard>>), Error> {
        let (shards, options) = self.open(None).await?;
        Ok((ParquetQueryable::new(Arc::new(shards.clone()), options), shards))
    }

    async fn open(&self, window_series: Option<NonZeroU32>) -> Result<(Vec<Arc<Shard>>, Options), Error> {
        let (bucket, names) = self.locate()?;
        let sets = if names.is_empty() {
            let found = discover_shard_sets(&bucket).await?;
            for name in &found.unmarked {
                note(&format!(
                    "note: {name} is not read, since it has no mark that it is complete; --block {name} reads it"
                ));
            }
            if found.complete.is_empty() {
                return NoShardSetsSnafu { bucket: bucket.to_string() }.fail();
            }
            found.complete
        } else {
            let mut sets = Vec::with_capacity(names.len());
            for name in &names {
                sets.push(shard_set(&bucket, name).await?);
            }
            sets
        };
        let shards = open_shard_sets(&bucket, &sets).await?;
        let mut options = Options::default();
        options.limits.series = self.max_series;
        options.limits.samples = self.max_samples;
        options.limits.chunk_bytes = self.max_chunk_bytes.and_then(NonZeroU64::new);
        options.limits.data_bytes = self.max_data_bytes.and_then(NonZeroU64::new);
        options.window_bytes = NonZeroU64::new(self.window).unwrap_or(options.window_bytes);
        options.window_series = window_series.map_or(options.window_series, |n| n.min(options.window_series));
        Ok((shards, options))
    }

    /// The bucket, and the names of the sets that are to be read, if they are given.
    fn locate(&self) -> Result<(Bucket, Vec<String>), Error> {
        let mut names: Vec<String> = self.blocks.iter().map(|name| name.trim_end_matches('/').to_owned()).collect();
        names.sort();
        names.dedup();
        if let Some(directory) = &self.directory {
            let path = std::path::absolute(directory).unwrap_or_else(|_| directory.clone());
            let is_set = |name: &String| {
                let parent = path.parent().unwrap_or_else(|| Path::new("/"));
                parent.join(labels_file(name, 0)).is_file().then(|| parent.to_owned())
            };
            let name = path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
            if names.is_empty()
                && let Some((name, parent)) = name.and_then(|name| is_set(&name).map(|parent| (name, parent)))
            {
                return Ok((BucketConfig::filesystem(parent).open(OpenFor::Reading)?, vec![name]));
            }
            return Ok((BucketConfig::filesystem(path).open(OpenFor::Reading)?, names));
        }
        if self.config.is_none() && self.config_file.is_none() && self.storage_prefix.is_none() {
            return NoShardsSnafu.fail();
        }
        let flags = BucketFlags {
            side: "parquet",
            config: self.config.as_deref(),
            config_file: self.config_file.as_deref(),
            storage_prefix: self.storage_prefix.as_deref(),
        };
        Ok((flags.open(OpenFor::Reading)?, names))
    }
}

/// The matchers of a selector.
pub(crate) fn matchers(selector: &str) -> Result<Vec<Matcher>, Error> {
    Parser::default().parse_selector(selector).context(SelectorSnafu { selector })
}

/// What an answer leaves out.
pub(crate) fn show_warnings(warnings: &[Warning]) {
    warnings.iter().for_each(|warning| note(&format!("warning: {warning}")));
}

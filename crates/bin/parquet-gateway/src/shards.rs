//! Flags that say what is asked and of which shards, and how all commands that read shards open them.

use std::{
    num::{NonZeroU32, NonZeroU64, NonZeroUsize},
    path::{Path, PathBuf},
    sync::Arc,
};

use prometheus_model::{TimeRange, TimestampMs};
use prometheus_promql::Parser;
use prometheus_queryable::{Matcher, Querier, Queryable, Warning};
use promparquet_catalog::{Catalog, CatalogOptions, SetState, Snapshot};
use promparquet_objstore::{Bucket, BucketConfig, OpenFor};
use promparquet_query::Observe;
use promparquet_schema::{day, labels_file};
use snafu::ResultExt;

use crate::{
    bucket::BucketFlags,
    console::note,
    error::{Error, NoShardSetSnafu, NoShardSetsSnafu, NoShardsSnafu, NotCompleteSnafu, RangeSnafu, SelectorSnafu},
    number::{bytes, time_ms},
};

/// Sets that are opened at the same time: nobody else asks the bucket for anything meanwhile.
const CONCURRENCY: usize = 16;

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
    /// Directory of shard sets, or of one set: a block's, a day's, or a stream of days
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
    /// Read only this shard set: a block's ULID, whether it has a mark or not; a day, HASH/YYYY-MM-DD; or all days of a
    /// stream, HASH (repeatable) [default: all that are complete]
    #[arg(long = "block", value_name = "NAME", help_heading = "Shards")]
    blocks: Vec<String>,

    /// Fail if there are more series, counted in each shard
    #[arg(long, value_name = "N", help_heading = "Limits")]
    max_series: Option<NonZeroU64>,
    /// Fail if the chunks that are read have more samples
    #[arg(id = "max_samples_read", long = "max-samples", value_name = "N", help_heading = "Limits")]
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

    /// What the bucket has; at most `window_series` series will come at once, if given.
    pub(crate) async fn querier(
        &self,
        window_series: Option<NonZeroU32>,
        observer: Option<Arc<dyn Observe>>,
    ) -> Result<Box<dyn Querier>, Error> {
        let range = self.range()?;
        let shards = self.source.open(range, window_series, observer).await?;
        Ok(shards.querier(range).await?)
    }
}

impl ShardSourceArgs {
    /// What the bucket has.
    pub(crate) async fn queryable(&self) -> Result<Arc<Snapshot>, Error> {
        self.open(TimeRange::ALL, None, None).await
    }

    async fn open(
        &self,
        times: TimeRange,
        window_series: Option<NonZeroU32>,
        observer: Option<Arc<dyn Observe>>,
    ) -> Result<Arc<Snapshot>, Error> {
        let (bucket, sets) = self.locate()?;
        let mut options = CatalogOptions::default();
        (options.sets, options.times) = (sets, times);
        let query = &mut options.query;
        query.limits.series = self.max_series;
        query.limits.samples = self.max_samples;
        query.limits.chunk_bytes = self.max_chunk_bytes.and_then(NonZeroU64::new);
        query.limits.data_bytes = self.max_data_bytes.and_then(NonZeroU64::new);
        query.window_bytes = NonZeroU64::new(self.window).unwrap_or(query.window_bytes);
        query.window_series = window_series.map_or(query.window_series, |n| n.min(query.window_series));
        let snapshot = open(bucket.clone(), options, observer).await?;
        if !snapshot.sets().any(|set| matches!(set.state, SetState::Open | SetState::OutOfTime | SetState::Failed(_))) {
            return NoShardSetsSnafu { bucket: bucket.to_string() }.fail();
        }
        Ok(snapshot)
    }

    /// The bucket, and the names of the sets that are to be read, if they are given.
    fn locate(&self) -> Result<(Bucket, Vec<String>), Error> {
        let mut names: Vec<String> = self.blocks.iter().map(|name| name.trim_end_matches('/').to_owned()).collect();
        names.sort();
        names.dedup();
        if let Some(directory) = &self.directory {
            let set = if names.is_empty() { set_of_directory(directory) } else { None };
            let (path, names) = match set {
                Some((bucket, name)) => (bucket, vec![name]),
                None => (directory.clone(), names),
            };
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

/// Looks through a bucket, or for some sets of it, as `serve` does again and again: both layouts, external labels, marks of
/// deletion. Sets that are called by name can be read, or it fails; of others that are not read it is said why.
pub(crate) async fn open(
    bucket: Bucket,
    mut options: CatalogOptions,
    observer: Option<Arc<dyn Observe>>,
) -> Result<Arc<Snapshot>, Error> {
    for name in &mut options.sets {
        // A day of the stream without labels, whose hash is 0, may be called without it.
        if day::start_of_directory(name).is_some() {
            *name = format!("0/{name}");
        }
    }
    options.concurrency = NonZeroUsize::new(CONCURRENCY).unwrap_or(options.concurrency);
    let names = options.sets.clone();
    let catalog = Catalog::new(bucket.clone(), options);
    if let Some(observer) = observer {
        catalog.observe(observer);
    }
    catalog.sync(jiff::Timestamp::now().as_millisecond()).await?;
    let snapshot = catalog.snapshot();
    let found = |name: &str| snapshot.sets().any(|set| set.name == name || set.name.split('/').next() == Some(name));
    if let Some(name) = names.iter().find(|name| !found(name)) {
        return NoShardSetSnafu { bucket: bucket.to_string(), name }.fail();
    }
    for set in snapshot.sets() {
        let name = &set.name;
        let (is_named, is_day) = (names.contains(name), day_of(name).is_some());
        let (reason, can_be_read) = match set.state {
            SetState::Unmarked if is_day => ("it has no meta.pb, or its stream no stream.pb", false),
            SetState::Unmarked => ("it has no mark that it is complete", true),
            SetState::Deleted if is_named => ("only its meta.pb is left", false),
            SetState::Deleted => ("it is marked for deletion", true),
            SetState::Unconverted if is_named => ("it is a TSDB block without shards: convert it", false),
            _ => continue,
        };
        if is_named {
            return NotCompleteSnafu { bucket: bucket.to_string(), name, reason }.fail();
        }
        let hint = if can_be_read { format!("; --block {name} reads it") } else { String::new() };
        note(&format!("note: {name} is not read, since {reason}{hint}"));
    }
    Ok(snapshot)
}

/// The date of a set that is a day of a stream.
pub(crate) fn day_of(set: &str) -> Option<&str> {
    let (hash, date) = set.split_once('/')?;
    day::stream_of_directory(hash).and(day::start_of_directory(date)).map(|_| date)
}

/// The directory that stands for the bucket, and the name there of the set, or stream of days, that `directory` is of; `None` if it is
/// of none.
pub(crate) fn set_of_directory(directory: &Path) -> Option<(PathBuf, String)> {
    let path = std::path::absolute(directory).ok()?;
    let name = path.file_name()?.to_str()?;
    let parent = path.parent()?;
    let set = |bucket: &Path, name: String| Some((bucket.to_owned(), name));
    if day::start_of_directory(name).is_some() {
        let stream = parent.file_name().and_then(|hash| hash.to_str());
        let stream = stream.filter(|hash| day::stream_of_directory(hash).is_some());
        return match (stream, parent.parent()) {
            (Some(hash), Some(bucket)) => set(bucket, format!("{hash}/{name}")),
            _ => set(parent, name.to_owned()),
        };
    }
    let is_stream = day::stream_of_directory(name).is_some() && path.join(day::STREAM_FILE).is_file();
    let is_set = || parent.join(labels_file(name, 0)).is_file();
    if is_stream || is_set() { set(parent, name.to_owned()) } else { None }
}

/// The matchers of a selector.
pub(crate) fn matchers(selector: &str) -> Result<Vec<Matcher>, Error> {
    Parser::default().parse_selector(selector).context(SelectorSnafu { selector })
}

/// What an answer leaves out.
pub(crate) fn show_warnings(warnings: &[Warning]) {
    warnings.iter().for_each(|warning| note(&format!("warning: {warning}")));
}

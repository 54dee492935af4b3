//! `parquet-gateway convert`.

use std::{
    num::{NonZeroU16, NonZeroU32, NonZeroU64, NonZeroUsize},
    path::PathBuf,
    sync::Arc,
    time::Instant,
};

use prometheus_model::{TimeRange, TimestampMs};
use promparquet_convert::{
    Compression, Control, Error as ConvertError, ErrorKind, FoundBlock, Options, Report, VerifyOptions, convert,
    discover, merge_groups, merged_ulid, open_block, verify,
};
use promparquet_objstore::{Bucket, ErrorKind as BucketErrorKind, OpenFor};
use promparquet_shard::Marker;
use snafu::ResultExt;
use ulid::Ulid;

use crate::{
    bucket::BucketFlags,
    console::{self, Watch, chain},
    error::{Error, RangeSnafu, SomeFailedSnafu},
    number::{bytes, duration_ms, show_bytes, show_count, show_time, time_ms},
};

const HELP: &str = "\
Each block becomes its own shard set: <ULID>/<n>.labels.parquet and <ULID>/<n>.chunks.parquet, then the mark
<ULID>/parquet-converter-mark.json (and a copy under parquet-markers/), by which a later run knows that the block is
done. Blocks are found by their meta.json; a Prometheus data directory will do. Nothing is written to the source.

A bucket is given as Thanos' YAML (type, config, prefix; $(NAME) is taken from the environment), or as a directory:
  parquet-gateway convert --tsdb.storage.prefix /var/lib/prometheus --parquet.storage.prefix /srv/parquet --verify

The exit code is 0 only if all that was asked for is converted. Files are complete before they are visible; a conversion
that fails or is stopped leaves no mark.";

/// What to convert.
#[derive(clap::Args, Debug)]
#[command(after_long_help = HELP)]
pub(crate) struct Args {
    /// Bucket of the TSDB blocks, as Thanos' YAML
    #[arg(long = "tsdb.objstore-config", value_name = "YAML", help_heading = "Buckets")]
    tsdb_config: Option<String>,
    /// File with that YAML
    #[arg(long = "tsdb.objstore-config-file", value_name = "FILE", help_heading = "Buckets")]
    tsdb_config_file: Option<String>,
    /// Directory of the TSDB blocks under .data/; an absolute path is taken as it is
    #[arg(long = "tsdb.storage.prefix", value_name = "DIR", help_heading = "Buckets")]
    tsdb_prefix: Option<String>,
    /// Bucket of the Parquet shards, as Thanos' YAML
    #[arg(long = "parquet.objstore-config", value_name = "YAML", help_heading = "Buckets")]
    parquet_config: Option<String>,
    /// File with that YAML
    #[arg(long = "parquet.objstore-config-file", value_name = "FILE", help_heading = "Buckets")]
    parquet_config_file: Option<String>,
    /// Directory of the Parquet shards under .data/; an absolute path is taken as it is
    #[arg(long = "parquet.storage.prefix", value_name = "DIR", help_heading = "Buckets")]
    parquet_prefix: Option<String>,

    /// Convert only samples from this time on (RFC 3339 or Unix seconds; inclusive)
    #[arg(long = "convert.start", value_name = "TIME", value_parser = time_ms, allow_negative_numbers = true)]
    start: Option<TimestampMs>,
    /// Convert only samples before this time (exclusive). A block that --convert.start or --convert.end cuts gets no mark
    #[arg(long = "convert.end", value_name = "TIME", value_parser = time_ms, allow_negative_numbers = true)]
    end: Option<TimestampMs>,
    /// Merge blocks that overlap in time and have equal external labels into one shard set, under a ULID made of theirs
    #[arg(long)]
    merge: bool,
    /// Read every shard back and compare all samples with the source, bit for bit, before the mark is written
    #[arg(long)]
    verify: bool,
    /// Only show what would be converted
    #[arg(long)]
    dry_run: bool,
    /// Convert blocks again that are marked as converted
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    layout: Layout,
}

/// How the shards are laid out.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Layout of the shards")]
struct Layout {
    /// Sort rows by these labels, in this order, then by all labels (repeatable)
    #[arg(long = "convert.sorting.label", value_name = "LABEL", default_value = "__name__")]
    sorting_labels: Vec<String>,
    /// Labels that get a bloom filter (repeatable)
    #[arg(long = "convert.bloom-filter.label", value_name = "LABEL", default_value = "__name__")]
    bloom_filter_labels: Vec<String>,
    /// Most series in a row group
    #[arg(long = "convert.row-group.size", value_name = "N", default_value = "1000000")]
    row_group_size: NonZeroU32,
    /// Most bytes of chunks in a row group, as in the source [default: unlimited]
    #[arg(long = "convert.row-group.bytes", value_name = "SIZE", value_parser = bytes)]
    row_group_bytes: Option<u64>,
    /// Most row groups in a shard; 0 for one shard whatever its size
    #[arg(long = "convert.row-group.count", value_name = "N", default_value = "0")]
    row_group_count: u32,
    /// Time that one column of chunks covers
    #[arg(long = "convert.column-duration", value_name = "DURATION", default_value = "8h", value_parser = duration_ms)]
    column_duration: u64,
    /// Size of a page of labels before compression
    #[arg(long = "convert.page-size", value_name = "SIZE", default_value = "256KiB", value_parser = bytes)]
    page_size: u64,
    /// Size of a page of chunks before compression
    #[arg(long = "convert.chunk-page-size", value_name = "SIZE", default_value = "64KiB", value_parser = bytes)]
    chunk_page_size: u64,
    /// Most samples in a chunk
    #[arg(long = "convert.samples-per-chunk", value_name = "N", default_value = "120")]
    samples_per_chunk: NonZeroU16,
    /// Most columns in a labels file; series are spread over more shards if needed. Current Go readers take up to 65534
    #[arg(long = "convert.max-columns", value_name = "N", default_value = "32767")]
    max_columns: NonZeroU32,
    /// Compression of the labels files: none, snappy, zstd or zstd:LEVEL
    #[arg(long = "convert.labels-compression", value_name = "CODEC", default_value = "zstd:3")]
    labels_compression: Compression,
    /// Compression of the chunks files, likewise
    #[arg(long = "convert.chunks-compression", value_name = "CODEC", default_value = "zstd:1")]
    chunks_compression: Compression,
    /// Keep XOR2 chunks and start timestamps. Go readers of today refuse files that have them
    #[arg(long = "convert.keep-start-timestamps")]
    keep_start_timestamps: bool,
    /// Threads that read and encode [default: one for each processor]
    #[arg(long = "convert.read-concurrency", value_name = "N", help_heading = "Resources")]
    read_concurrency: Option<NonZeroUsize>,
    /// Shards written at the same time
    #[arg(long = "convert.write-concurrency", value_name = "N", default_value = "1", help_heading = "Resources")]
    write_concurrency: NonZeroUsize,
    /// Memory that a conversion may use
    #[arg(long = "convert.memory", value_name = "SIZE", default_value = "256MiB", value_parser = bytes, help_heading = "Resources")]
    memory: u64,
    /// Where pages wait on disk that do not fit in memory [default: the system's directory for temporary files]
    #[arg(long = "convert.temp-dir", value_name = "DIR", help_heading = "Resources")]
    temp_dir: Option<PathBuf>,
}

impl Layout {
    fn options(&self, name: String) -> Options {
        let mut options = Options::default();
        options.name = name;
        options.sort_labels.clone_from(&self.sorting_labels);
        options.bloom_filter_labels.clone_from(&self.bloom_filter_labels);
        options.row_group_rows = self.row_group_size;
        options.row_group_bytes = self.row_group_bytes.and_then(NonZeroU64::new);
        options.row_groups_per_shard = NonZeroU32::new(self.row_group_count);
        options.max_samples_per_chunk = self.samples_per_chunk;
        options.max_columns = self.max_columns;
        options.labels_compression = self.labels_compression;
        options.chunks_compression = self.chunks_compression;
        options.keep_start_timestamps = self.keep_start_timestamps;
        options.write_concurrency = self.write_concurrency;
        // The parsers of these refuse 0; pages have at most 2^31 bytes.
        let page = |size: u64| u32::try_from(size.min(1 << 30)).ok().and_then(NonZeroU32::new);
        options.data_column_duration_ms =
            NonZeroU64::new(self.column_duration).unwrap_or(options.data_column_duration_ms);
        options.page_bytes = page(self.page_size).unwrap_or(options.page_bytes);
        options.chunk_page_bytes = page(self.chunk_page_size).unwrap_or(options.chunk_page_bytes);
        let memory = usize::try_from(self.memory).ok().and_then(NonZeroUsize::new);
        options.memory_bytes = memory.unwrap_or(options.memory_bytes);
        options.read_concurrency = self.read_concurrency.unwrap_or(options.read_concurrency);
        if let Some(dir) = &self.temp_dir {
            options.temp_dir.clone_from(dir);
        }
        options
    }
}

/// Blocks that become one shard set.
struct Group {
    ulid: Ulid,
    blocks: Vec<FoundBlock>,
    /// What of them is converted.
    range: Option<TimeRange>,
    /// Whether the caller's time range leaves something of them out.
    is_cut: bool,
}

/// Runs the command. Ctrl-C and SIGTERM stop it.
pub(crate) async fn run(args: Args) -> Result<(), Error> {
    let started = Instant::now();
    let tsdb = BucketFlags {
        side: "tsdb",
        config: args.tsdb_config.as_deref(),
        config_file: args.tsdb_config_file.as_deref(),
        storage_prefix: args.tsdb_prefix.as_deref(),
    };
    let parquet = BucketFlags {
        side: "parquet",
        config: args.parquet_config.as_deref(),
        config_file: args.parquet_config_file.as_deref(),
        storage_prefix: args.parquet_prefix.as_deref(),
    };
    let tsdb = tsdb.open(OpenFor::Reading)?;
    // A dry run makes no directory: where there is none, nothing is converted yet.
    let parquet = match parquet.open(if args.dry_run { OpenFor::Reading } else { OpenFor::Writing }) {
        Err(Error::Bucket { source }) if args.dry_run && source.kind() == BucketErrorKind::NotFound => None,
        opened => Some(opened?),
    };
    let range = match (args.start, args.end) {
        (None, None) => None,
        (start, end) => {
            let (start, end) = (start.unwrap_or(TimestampMs::MIN), end.unwrap_or(TimestampMs::MAX));
            Some(TimeRange::new(start, end).context(RangeSnafu)?)
        }
    };
    let found = discover(&tsdb).await?;
    for (ulid, reason) in &found.skipped {
        console::note(&format!("{ulid}: skipped: {reason}"));
    }
    for (ulid, error) in &found.failed {
        console::note(&format!("{ulid}: error: {}", chain(error)));
    }
    let blocks = found.blocks.len();
    let groups = groups(found.blocks, &args, range);
    let cancel = Arc::new(Control::default());
    console::stop_at_signal(Arc::clone(&cancel));
    let (mut converted, mut done, mut outside, mut failed) = (Vec::new(), 0, blocks, found.failed.len());
    for group in groups {
        outside -= group.blocks.len();
        match run_group(&tsdb, parquet.as_ref(), &group, &args, &cancel).await {
            Ok(Some(report)) => converted.push(report),
            Ok(None) => done += 1,
            Err(error) if is_cancelled(&error) => return Err(error),
            Err(error) => {
                failed += 1;
                console::note(&format!("{}: error: {}", group.ulid, chain(&error)));
            }
        }
    }
    let all = converted.len() + done + failed;
    console::line(&format!(
        "{blocks} blocks in {tsdb}: {} shard sets {} in {:.2?}, {done} converted before, {outside} outside the time \
         range, {failed} failed",
        converted.len(),
        if args.dry_run { "to convert" } else { "converted" },
        started.elapsed(),
    ));
    if failed > 0 { SomeFailedSnafu { failed, all }.fail() } else { Ok(()) }
}

fn is_cancelled(error: &Error) -> bool {
    matches!(error, Error::Convert { source } if source.kind() == ErrorKind::Cancelled)
}

/// Groups what overlaps `range`.
fn groups(blocks: Vec<FoundBlock>, args: &Args, range: Option<TimeRange>) -> Vec<Group> {
    let wanted = blocks.into_iter().filter(|block| {
        let of_block = block.meta.time_range().ok();
        range.zip(of_block).is_none_or(|(range, of_block)| range.intersect(of_block).is_some())
    });
    let groups =
        if args.merge { merge_groups(wanted.collect()) } else { wanted.map(|block| vec![block]).collect::<Vec<_>>() };
    let group = |blocks: Vec<FoundBlock>| {
        let cuts = |block: &FoundBlock, range: TimeRange| {
            block.meta.time_range().is_ok_and(|of_block| range.intersect(of_block) != Some(of_block))
        };
        let is_cut = range.is_some_and(|range| blocks.iter().any(|block| cuts(block, range)));
        Group { ulid: merged_ulid(&blocks), blocks, range, is_cut }
    };
    groups.into_iter().map(group).collect()
}

/// Converts one group; `None` if that was done before.
async fn run_group(
    tsdb: &Bucket,
    parquet: Option<&Bucket>,
    group: &Group,
    args: &Args,
    control: &Arc<Control>,
) -> Result<Option<Report>, Error> {
    let ulid = group.ulid;
    let mark = match parquet {
        Some(bucket) => Marker::read(bucket, ulid).await?,
        None => None,
    };
    if let Some(mark) = mark.filter(|mark| !args.force && mark.is_readable()) {
        console::note(&format!("{ulid}: converted before, {} shards", mark.shards));
        return Ok(None);
    }
    let Some(parquet) = parquet.filter(|_| !args.dry_run) else {
        console::line(&describe(group));
        return Ok(Some(Report::default()));
    };
    if mark.is_some() {
        // What is being replaced must not look finished.
        Marker::remove(parquet, ulid).await?;
    }
    let open = || async {
        let mut blocks = Vec::with_capacity(group.blocks.len());
        for block in &group.blocks {
            blocks.push(open_block(tsdb, block.ulid).await?);
        }
        Ok::<_, ConvertError>(blocks)
    };
    let options = args.layout.options(ulid.to_string());
    let watch = Watch::start(ulid.to_string(), Arc::clone(control));
    let report = convert(open().await?, group.range, parquet.clone(), options.clone(), Arc::clone(control)).await?;
    drop(watch);
    if report.shards.is_empty() {
        console::line(&format!("{ulid}: no series has a sample in the time range; nothing written, no mark"));
        return Ok(Some(report));
    }
    show(group, &report);
    if args.verify {
        let mut verify_options = VerifyOptions::default();
        verify_options.shards = Some(report.shards.len() as u32);
        verify_options.range = group.range;
        verify_options.start_timestamps = options.keep_start_timestamps;
        verify_options.threads = options.read_concurrency;
        verify_options.memory_bytes = options.memory_bytes;
        let _watch = Watch::start(format!("{ulid} (verifying)"), Arc::clone(control));
        let verified =
            verify(open().await?, parquet.clone(), options.name, verify_options, Arc::clone(control)).await?;
        console::line(&format!(
            "  verified: {} samples in {} series are those of the source, bit for bit ({:.2?})",
            show_count(verified.samples),
            show_count(verified.rows),
            verified.elapsed,
        ));
    }
    if !group.is_cut {
        Marker::new(report.shards.len() as u32).write(parquet, ulid).await?;
    } else {
        console::note(&format!("{ulid}: no mark, since only a part of it was converted"));
    }
    Ok(Some(report))
}

fn describe(group: &Group) -> String {
    let names: Vec<_> = group.blocks.iter().map(|block| block.ulid.to_string()).collect();
    let series: u64 = group.blocks.iter().map(|block| block.meta.stats.num_series).sum();
    let samples: u64 = group.blocks.iter().map(|block| block.meta.stats.num_samples).sum();
    let from = group.blocks.iter().map(|block| block.meta.min_time).min().unwrap_or_default();
    let to = group.blocks.iter().map(|block| block.meta.max_time).max().unwrap_or_default();
    let sources = if names.len() > 1 { format!(" from {}", names.join(", ")) } else { String::new() };
    format!(
        "{}{sources}: {} to {}, {} series, {} samples",
        group.ulid,
        show_time(from),
        show_time(to),
        show_count(series),
        show_count(samples)
    )
}

fn show(group: &Group, report: &Report) {
    let seconds = report.elapsed.as_secs_f64();
    let chunks = &report.chunks;
    console::line(&format!(
        "{}: {} shards, {} series, {} samples in {:.2?} ({:.1} M samples/s)",
        group.ulid,
        report.shards.len(),
        show_count(report.series()),
        show_count(chunks.samples),
        report.elapsed,
        chunks.samples as f64 / seconds.max(1e-9) / 1e6,
    ));
    console::line(&format!(
        "  chunks: {} passed through, {} decoded into {}, {} duplicates left out",
        show_count(chunks.passed_through),
        show_count(chunks.decoded),
        show_count(chunks.encoded),
        show_count(chunks.duplicates),
    ));
    let labels: u64 = report.shards.iter().map(|shard| shard.labels_bytes).sum();
    let of_chunks: u64 = report.shards.iter().map(|shard| shard.chunks_bytes).sum();
    let peak = report.peak_memory_bytes.map_or_else(String::new, |peak| format!("; peak memory {}", show_bytes(peak)));
    console::line(&format!(
        "  bytes: {} of chunks in, {} out ({} labels, {} chunks; {:.2} per sample){peak}",
        show_bytes(chunks.bytes_in),
        show_bytes(report.bytes_out()),
        show_bytes(labels),
        show_bytes(of_chunks),
        report.bytes_out() as f64 / chunks.samples.max(1) as f64,
    ));
}

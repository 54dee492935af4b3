//! `parquet-gateway inspect`.

use std::{collections::BTreeMap, ops::ControlFlow, path::Path, sync::Arc};

use prometheus_chunks::{Encoding, sample_count};
use prometheus_tsdb_block::{BlockFile, BlockReader, ChunkRef};
use prometheus_tsdb_index::PostingsTable;
use promparquet_catalog::{CatalogOptions, SetInfo};
use promparquet_convert::open_block;
use promparquet_objstore::{Bucket, BucketConfig, OpenFor};
use promparquet_schema::{Layout, labels_file};
use promparquet_shard::{ScanOptions, Shard, ShardFile};
use ulid::Ulid;

use crate::{
    bucket::BucketFlags,
    console::line,
    error::{Error, NotFoundSnafu},
    number::{show_bytes, show_count, show_time},
    shards,
};

/// Series whose chunks are read at once.
const BATCH_CHUNKS: usize = 8192;

/// Tells of a TSDB block: time range, series, the labels with most values, encodings, sizes. Of Parquet shards besides:
/// row groups, and for each column its sizes and pages. Of a day of thanos-parquet-gateway besides these: date, stream, external
/// labels.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// A block, a shard set, or a day or stream of days of thanos-parquet-gateway: a directory, one of its .parquet files, or, with
    /// a bucket, its name there: ULID, HASH/YYYY-MM-DD, HASH
    #[arg(value_name = "BLOCK OR SHARD")]
    target: String,
    /// Bucket that it is in, as Thanos' YAML
    #[arg(long = "objstore-config", value_name = "YAML")]
    config: Option<String>,
    /// File with that YAML
    #[arg(long = "objstore-config-file", value_name = "FILE")]
    config_file: Option<String>,
    /// How many labels and columns to list
    #[arg(long, value_name = "N", default_value = "15")]
    top: usize,
    /// Do not read the chunks: faster, but nothing is said of their encodings
    #[arg(long)]
    no_chunks: bool,
}

pub(crate) async fn run(args: Args) -> Result<(), Error> {
    let (bucket, name) = locate(&args)?;
    if let Ok(ulid) = Ulid::from_string(&name)
        && bucket.exists(&format!("{name}/meta.json")).await?
    {
        let block = open_block(&bucket, ulid).await?;
        let (top, chunks) = (args.top, !args.no_chunks);
        let work = tokio::task::spawn_blocking(move || show_block(&block, top, chunks));
        work.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        if !bucket.exists(&labels_file(&name, 0)).await? {
            return Ok(());
        }
    }
    let mut options = CatalogOptions::default();
    options.sets = vec![name];
    let snapshot = match shards::open(bucket, options, None).await {
        Err(Error::NoShardSet { bucket, name }) => return NotFoundSnafu { what: format!("{bucket}/{name}") }.fail(),
        opened => opened?,
    };
    for set in snapshot.sets() {
        let opened = snapshot.shards(&set.name).await?;
        show_day(set, &opened);
        for shard in opened {
            show_shard(&shard, &args).await?;
        }
    }
    Ok(())
}

/// The bucket and the name in it.
fn locate(args: &Args) -> Result<(Bucket, String), Error> {
    if args.config.is_some() || args.config_file.is_some() {
        let flags = BucketFlags {
            side: "",
            config: args.config.as_deref(),
            config_file: args.config_file.as_deref(),
            storage_prefix: None,
        };
        return Ok((flags.open(OpenFor::Reading)?, args.target.trim_end_matches('/').to_owned()));
    }
    let path = std::path::absolute(&args.target).unwrap_or_else(|_| args.target.clone().into());
    let not_found = || NotFoundSnafu { what: args.target.clone() }.build();
    let directory = if path.is_file() { path.parent().ok_or_else(not_found)? } else { &path };
    let (parent, name) = match shards::set_of_directory(directory) {
        Some(set) => set,
        None => {
            let name = directory.file_name().and_then(|name| name.to_str()).ok_or_else(not_found)?;
            (directory.parent().unwrap_or_else(|| Path::new("/")).to_owned(), name.to_owned())
        }
    };
    Ok((BucketConfig::filesystem(parent).open(OpenFor::Reading)?, name))
}

/// Chunks and samples by encoding.
#[derive(Default)]
struct Encodings(BTreeMap<u8, (u64, u64, u64)>);

impl Encodings {
    fn add(&mut self, encoding: u8, data: &[u8]) {
        let samples = Encoding::try_from(encoding).and_then(|e| sample_count(e, data)).unwrap_or(0);
        let (chunks, all_samples, bytes) = self.0.entry(encoding).or_default();
        *chunks += 1;
        *all_samples += u64::from(samples);
        *bytes += data.len() as u64;
    }

    fn show(&self) {
        for (encoding, (chunks, samples, bytes)) in &self.0 {
            let name = Encoding::try_from(*encoding).map_or_else(|_| "unknown".to_owned(), |e| e.to_string());
            line(&format!(
                "  encoding {encoding} ({name}): {} chunks, {} samples, {} ({:.2} per sample)",
                show_count(*chunks),
                show_count(*samples),
                show_bytes(*bytes),
                *bytes as f64 / (*samples).max(1) as f64
            ));
        }
    }
}

fn show_block(block: &BlockReader, top: usize, with_chunks: bool) -> Result<(), Error> {
    let meta = block.meta();
    let files = block.files();
    line(&format!("TSDB block {}", files.location()));
    show_range(meta.min_time, meta.max_time.saturating_sub(1));
    let stats = &meta.stats;
    line(&format!(
        "  meta: {} series, {} samples ({} of histograms), {} chunks, level {}, {} sources",
        show_count(stats.num_series),
        show_count(stats.num_samples),
        show_count(stats.num_histogram_samples),
        show_count(stats.num_chunks),
        meta.compaction.level,
        meta.compaction.sources.len(),
    ));
    let external: Vec<_> = meta.external_labels().map(|(name, value)| format!("{name}={value:?}")).collect();
    if !external.is_empty() {
        line(&format!("  external labels: {}", external.join(", ")));
    }
    let symbols = block.symbols()?;
    let segments = block.chunks().segment_sizes();
    line(&format!(
        "  index: version {:?}, {}, {} symbols; chunks: {} in {} segments; tombstones: {} intervals",
        block.layout().version(),
        show_bytes(files.size(BlockFile::Index)?),
        show_count(symbols.len() as u64),
        show_bytes(segments.iter().sum()),
        segments.len(),
        show_count(block.tombstones()?.len() as u64),
    ));
    let mut encodings = Encodings::default();
    let mut series_of: BTreeMap<u32, u64> = BTreeMap::new();
    let (mut series, mut failed) = (0_u64, None);
    let mut refs: Vec<ChunkRef> = Vec::new();
    let mut count = |refs: &mut Vec<ChunkRef>| {
        let chunks = block.read_chunks(refs)?;
        chunks.iter().for_each(|chunk| encodings.add(chunk.encoding, &chunk.data));
        refs.clear();
        Ok::<_, prometheus_tsdb_block::Error>(())
    };
    block.scan_series(1 << 20, |_, entry| {
        series += 1;
        entry.labels.iter().for_each(|label| *series_of.entry(label.name).or_default() += 1);
        if with_chunks {
            refs.extend(entry.chunks.iter().map(|chunk| ChunkRef(chunk.reference)));
            if refs.len() >= BATCH_CHUNKS
                && let Err(error) = count(&mut refs)
            {
                failed = Some(error);
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    })?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    count(&mut refs)?;
    if series != stats.num_series {
        line(&format!("  the index has {} series, not as many as the meta says", show_count(series)));
    }
    encodings.show();
    let range = block.layout().postings_table();
    let table = PostingsTable::parse(&files.read(BlockFile::Index, range)?, block.layout())?;
    let mut labels = Vec::new();
    for (name, series) in series_of {
        let name = symbols.get(name)?;
        labels.push((table.values(name).len() as u64, series, name.to_owned()));
    }
    show_labels(labels, top);
    Ok(())
}

fn show_range(first: i64, last: i64) {
    let hours = last.abs_diff(first) as f64 / 3_600_000.0;
    line(&format!("  time: {} to {} ({hours:.1} h)", show_time(first), show_time(last)));
}

fn show_labels(mut labels: Vec<(u64, u64, String)>, top: usize) {
    labels.sort_by(|a, b| b.cmp(a));
    let all = labels.len();
    labels.truncate(top);
    line(&format!("  labels with most values ({} of {all}):", labels.len()));
    line(&format!("    {:>12} {:>12}  label", "values", "series"));
    for (values, series, name) in labels {
        line(&format!("    {:>12} {:>12}  {name}", show_count(values), show_count(series)));
    }
}

/// What all shards of a day of thanos-parquet-gateway have in common.
fn show_day(set: &SetInfo, shards: &[Arc<Shard>]) {
    let Some((date, Layout::Day(day))) = shards::day_of(&set.name).zip(shards.first().map(|shard| shard.layout()))
    else {
        return;
    };
    let stream = set.name.split('/').next().unwrap_or_default();
    line(&format!("Day {date} of thanos-parquet-gateway, stream {stream}, layout version {}", day.version()));
    let external: Vec<_> = set.external_labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    line(&format!("  external labels: {}", if external.is_empty() { "none".to_owned() } else { external.join(", ") }));
    line(&format!(
        "  {} shards, {} series, {}",
        show_count(set.shards as u64),
        show_count(set.rows),
        show_bytes(set.bytes)
    ));
}

async fn show_shard(shard: &Shard, args: &Args) -> Result<(), Error> {
    line(&format!("Parquet shard {}/{}, number {}", shard.bucket(), shard.name(), shard.index()));
    let columns = shard.data_columns();
    show_range(columns.min_time(), columns.max_time());
    let hours = columns.duration_ms().get() as f64 / 3_600_000.0;
    line(&format!(
        "  {} series in {} row groups; {} label columns; {} data columns of {hours} h; layout version {}",
        show_count(shard.rows()),
        shard.row_groups(),
        shard.label_names().count(),
        shard.data_positions().len(),
        match shard.layout() {
            Layout::Day(day) => day.version(),
            Layout::Block if shard.series_hash_position().is_some() => 2,
            Layout::Block => 1,
        },
    ));
    if !args.no_chunks {
        let mut encodings = Encodings::default();
        let mut scan = shard.scan(ScanOptions::default());
        while let Some(batch) = scan.next().await? {
            for row in 0..batch.len() {
                for column in 0..shard.data_positions().len() {
                    for record in shard.layout().records(batch.cell(row, column)) {
                        let record = record.map_err(promparquet_convert::Error::from)?;
                        encodings.add(record.encoding, record.data);
                    }
                }
            }
        }
        encodings.show();
    }
    show_file(shard.layout(), shard.labels_file(), args.top);
    show_file(shard.layout(), shard.chunks_file(), args.top);
    Ok(())
}

fn show_file(layout: Layout, file: &ShardFile, top: usize) {
    let metadata = file.metadata();
    let by = metadata.file_metadata().created_by().unwrap_or("unknown");
    line(&format!("  {}: {}, written by {by}", file.key(), show_bytes(file.size())));
    if let Some(group) = metadata.row_groups().first()
        && let Some(sorting) = group.sorting_columns().filter(|columns| !columns.is_empty())
    {
        let name =
            |i: i32| usize::try_from(i).ok().and_then(|i| file.columns().get(i)).map(|column| layout.name_of(column));
        let names: Vec<_> = sorting.iter().filter_map(|column| name(column.column_idx)).collect();
        line(&format!("    sorted by {}", names.join(", ")));
    }
    let mut columns: Vec<_> = (0..file.columns().len()).map(|i| (file.column_bytes(i), i)).collect();
    columns.sort_by(|a, b| b.cmp(a));
    let all = columns.len();
    columns.truncate(top);
    line(&format!("    largest columns ({} of {all}):", columns.len()));
    line(&format!("    {:>12} {:>12} {:>7} {:>10}  {:<12} column", "stored", "plain", "pages", "nulls", "codec"));
    for ((stored, plain), i) in columns {
        let (mut pages, mut nulls, mut codec, mut bloom) = (0, 0, String::new(), false);
        for (number, group) in metadata.row_groups().iter().enumerate() {
            let chunk = group.column(i);
            pages += file.pages(number, i).len();
            nulls += chunk.statistics().and_then(|s| s.null_count_opt()).unwrap_or(0);
            codec = chunk.compression_codec().to_string();
            bloom |= chunk.bloom_filter_offset().is_some();
        }
        let name = file.columns().get(i).map(|column| layout.name_of(column)).unwrap_or_default();
        line(&format!(
            "    {:>12} {:>12} {pages:>7} {:>10}  {codec:<12} {name}{}",
            show_bytes(stored),
            show_bytes(plain),
            show_count(nulls),
            if bloom { " (bloom filter)" } else { "" },
        ));
    }
}

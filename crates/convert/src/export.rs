//! Shards back to a TSDB block, from either layout.
//!
//! A block wants its series in the order of their labels; a shard has them in the order of its sort labels. A first pass
//! over the labels tells which shards are in order: these are read as they are. The others are sorted outside of memory.
//! Then all are merged, and each series' chunks are put in order of time.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    num::{NonZeroU16, NonZeroUsize},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use prometheus_chunks::Encoding;
use prometheus_model::{Labels, TimeRange, TimestampMs};
use prometheus_tsdb_block::{
    BlockChunk, BlockMeta, BlockWriter, ChunkRef, ChunkSource, Intervals, MergeOptions, RawChunk, SeriesMerger,
    ThanosMeta,
};
use promparquet_schema::Layout;
use promparquet_shard::{RowBatch, RowScan, ScanOptions, Shard};
use tokio::runtime::Handle;
use ulid::Ulid;

use crate::{
    control::Control,
    error::{Error, InternalSnafu, NoShardsSnafu, RowSnafu},
    report::{ChunkCounts, peak_memory_bytes},
};

mod sort;

use sort::{RowSpill, SpilledRows};

/// How shards become a block. [`ExportOptions::default`] is right for most.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ExportOptions {
    /// The block's identity. If `None`, the last part of the set's name where that is a ULID, else one that is made of
    /// the name and the time range.
    pub ulid: Option<Ulid>,
    /// Only samples in this range (half-open) are exported. If `None`, all of a block's, and of a day those of the day: the
    /// next midnight's, which it may have, too, are in the next day.
    pub range: Option<TimeRange>,
    /// Labels that all series have besides their own, for Thanos' part of the block's meta.
    pub external_labels: Labels,
    /// Most samples in a chunk; longer ones are cut.
    pub max_samples_per_chunk: NonZeroU16,
    /// Keep XOR2 chunks and start timestamps, which Prometheus reads from 3.15 on, instead of re-encoding to XOR.
    pub keep_start_timestamps: bool,
    /// Memory for sorting and for pages that are read ahead, in bytes.
    pub memory_bytes: NonZeroUsize,
    /// Where rows wait on disk to be sorted. The file has no name and vanishes with the process.
    pub temp_dir: PathBuf,
}

impl Default for ExportOptions {
    fn default() -> Self {
        Self {
            ulid: None,
            range: None,
            external_labels: Labels::default(),
            max_samples_per_chunk: NonZeroU16::new(120).unwrap_or(NonZeroU16::MIN),
            keep_start_timestamps: true,
            memory_bytes: NonZeroUsize::new(128 << 20).unwrap_or(NonZeroUsize::MIN),
            temp_dir: std::env::temp_dir(),
        }
    }
}

/// What an export did.
#[derive(Clone, PartialEq, Debug)]
pub struct ExportReport {
    /// The block's meta; it lies in the directory of its ULID.
    pub meta: BlockMeta,
    /// Shards read.
    pub shards: usize,
    /// Rows read.
    pub rows: u64,
    /// Shards that were not in the order of a block and had to be sorted.
    pub sorted_shards: usize,
    /// What became of the chunks.
    pub chunks: ChunkCounts,
    /// How long it took.
    pub elapsed: Duration,
    /// Most memory that the process has held resident so far, in bytes, where the system tells.
    pub peak_memory_bytes: Option<u64>,
}

/// Writes the shards of a set, of either layout, as one TSDB block into the directory `out_dir`.
///
/// Chunks go through as bytes unless they overlap, are too long or reach beyond the range. Memory is bounded by
/// [`ExportOptions::memory_bytes`], the block's symbols and its longest series.
///
/// # Errors
/// See [`ErrorKind`](crate::ErrorKind); [`Invalid`](crate::ErrorKind::Invalid) if there is no shard.
pub async fn export_tsdb(
    shards: Vec<Arc<Shard>>,
    out_dir: PathBuf,
    options: ExportOptions,
    control: Arc<Control>,
) -> Result<ExportReport, Error> {
    let runtime = Handle::current();
    let work = move || export_blocking(&shards, &out_dir, &options, &control, &runtime);
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(InternalSnafu { what: format!("the export ended early: {error}") }.build().into()),
    }
}

fn export_blocking(
    shards: &[Arc<Shard>],
    out_dir: &Path,
    options: &ExportOptions,
    control: &Control,
    runtime: &Handle,
) -> Result<ExportReport, Error> {
    let started = Instant::now();
    let Some(first) = shards.first() else { return Err(NoShardsSnafu.build().into()) };
    control.begin();
    control.set_series_total(shards.iter().map(|shard| shard.rows()).sum());
    let range = options.range.or_else(|| day_of(first));
    let ulid = options.ulid.unwrap_or_else(|| ulid_of(first.name(), shards));
    let mut writer = BlockWriter::create(out_dir, ulid)?;
    let mut merge = Merge::new(shards, options, control, runtime)?;
    let mut series = SeriesWriter::new(shards, range, options);
    let mut parts: Vec<Part> = Vec::new();
    let mut rows = 0_u64;
    while let Some(row) = merge.next()? {
        rows += 1;
        if rows.is_multiple_of(1024) {
            control.check()?;
            control.add_series_done(1024);
        }
        // Shards that were converted apart may hold the same series.
        if parts.first().is_some_and(|first| first.labels != row.labels) {
            series.write(&mut parts, &mut writer)?;
        }
        parts.push(row);
    }
    if !parts.is_empty() {
        series.write(&mut parts, &mut writer)?;
    }
    control.add_series_done(rows % 1024);
    let covered = covered(shards, range);
    let external_labels = options.external_labels.iter();
    let labels: BTreeMap<_, _> = external_labels.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let meta = writer.finish_with(|meta| {
        if !labels.is_empty() {
            meta.thanos = Some(ThanosMeta { version: Some(1), labels, ..ThanosMeta::default() });
        }
        if let Some(covered) = covered {
            let has_samples = meta.stats.num_samples > 0;
            let (min, max) =
                if has_samples { (meta.min_time, meta.max_time) } else { (covered.start(), covered.end()) };
            meta.min_time = min.min(covered.start());
            meta.max_time = max.max(covered.end());
        }
    })?;
    Ok(ExportReport {
        meta,
        shards: shards.len(),
        rows,
        sorted_shards: merge.sorted_shards,
        chunks: series.merger.take_counts().into(),
        elapsed: started.elapsed(),
        peak_memory_bytes: peak_memory_bytes(),
    })
}

/// All times of the day that the shard is of, if it is of one.
fn day_of(shard: &Shard) -> Option<TimeRange> {
    match shard.layout() {
        Layout::Block => None,
        Layout::Day(day) => TimeRange::new(day.start(), day.last()).ok(),
    }
}

fn ulid_of(name: &str, shards: &[Arc<Shard>]) -> Ulid {
    let last = name.rsplit('/').next().unwrap_or_default();
    if let Some(ulid) = Ulid::from_string(last).ok().filter(|ulid| ulid.to_string() == last) {
        return ulid;
    }
    let hash = |seed| u128::from(xxhash_rust::xxh64::xxh64(name.as_bytes(), seed));
    let time = shards.iter().map(|shard| shard.data_columns().max_time()).max().unwrap_or(0);
    Ulid::from_parts(u64::try_from(time).unwrap_or(0), hash(0) << 64 | hash(1))
}

/// The time range that the shards were written for.
fn covered(shards: &[Arc<Shard>], range: Option<TimeRange>) -> Option<TimeRange> {
    // Go writers hand the exclusive end down as the last time.
    let end = |shard: &Arc<Shard>| {
        let by_go = shard.labels_file().metadata().file_metadata().created_by();
        let exclusive = by_go.is_some_and(|by| by.contains("parquet-go"));
        shard.data_columns().max_time().saturating_add(i64::from(!exclusive))
    };
    let start = shards.iter().map(|shard| shard.data_columns().min_time()).min()?;
    let covered = TimeRange::new(start, shards.iter().map(end).max()?).ok()?;
    range.map_or(Some(covered), |range| covered.intersect(range))
}

/// A series in one shard.
#[derive(Debug)]
pub(crate) struct Part {
    labels: Labels,
    /// Position of the shard.
    shard: u32,
    /// The cells of all data columns one after another, which is itself a cell.
    cell: Bytes,
}

/// The rows of all shards, in order of labels, then of shards.
struct Merge<'a> {
    inputs: Vec<Input<'a>>,
    /// The next row of each input.
    heads: BinaryHeap<Reverse<Head>>,
    runtime: &'a Handle,
    sorted_shards: usize,
}

enum Input<'a> {
    Shard(Box<ShardRows<'a>>),
    Spilled(SpilledRows),
}

struct Head {
    row: Part,
    input: usize,
}

impl Head {
    fn key(&self) -> (&Labels, u32, usize) {
        (&self.row.labels, self.row.shard, self.input)
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Head {}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl<'a> Merge<'a> {
    fn new(
        shards: &'a [Arc<Shard>],
        options: &ExportOptions,
        control: &Control,
        runtime: &'a Handle,
    ) -> Result<Self, Error> {
        let memory = options.memory_bytes.get() as u64;
        let window_bytes = (memory / 2 / shards.len().max(1) as u64).clamp(64 << 10, 8 << 20);
        let scan = ScanOptions { window_bytes, batch_rows: 256, ..ScanOptions::default() };
        let mut spill: Option<RowSpill> = None;
        let mut inputs = Vec::with_capacity(shards.len());
        let mut sorted_shards = 0;
        for (number, shard) in (0_u32..).zip(shards) {
            control.check()?;
            let mut rows = ShardRows::new(shard, number, scan);
            if is_in_order(shard, scan, control, runtime)? {
                inputs.push(Input::Shard(Box::new(rows)));
                continue;
            }
            sorted_shards += 1;
            let spill = match &mut spill {
                Some(spill) => spill,
                none => none.insert(RowSpill::create(&options.temp_dir, memory / 2)?),
            };
            while let Some(row) = rows.next(runtime)? {
                spill.push(row)?;
            }
        }
        if let Some(spill) = spill {
            control.check()?;
            inputs.extend(spill.into_runs()?.into_iter().map(Input::Spilled));
        }
        let mut merge = Self { inputs, heads: BinaryHeap::new(), runtime, sorted_shards };
        (0..merge.inputs.len()).try_for_each(|input| merge.advance(input))?;
        Ok(merge)
    }

    fn advance(&mut self, input: usize) -> Result<(), Error> {
        let row = match &mut self.inputs[input] {
            Input::Shard(rows) => rows.next(self.runtime)?,
            Input::Spilled(rows) => rows.next()?,
        };
        self.heads.extend(row.map(|row| Reverse(Head { row, input })));
        Ok(())
    }

    fn next(&mut self) -> Result<Option<Part>, Error> {
        let Some(Reverse(head)) = self.heads.pop() else { return Ok(None) };
        self.advance(head.input)?;
        Ok(Some(head.row))
    }
}

/// Whether the rows of a shard ascend by labels. Reads the labels file only.
fn is_in_order(shard: &Shard, options: ScanOptions, control: &Control, runtime: &Handle) -> Result<bool, Error> {
    let mut scan = shard.scan(ScanOptions { cells: false, ..options });
    let mut last: Option<Labels> = None;
    while let Some(mut batch) = runtime.block_on(scan.next())? {
        control.check()?;
        let labels = batch.take_labels();
        let first = labels.first();
        if !labels.is_sorted() || last.as_ref().zip(first).is_some_and(|(last, first)| last > first) {
            return Ok(false);
        }
        last = labels.into_iter().next_back();
    }
    Ok(true)
}

/// The rows of a shard one by one.
struct ShardRows<'a> {
    scan: RowScan<'a>,
    shard: u32,
    data_columns: usize,
    batch: Option<RowBatch>,
    labels: std::vec::IntoIter<Labels>,
    row: usize,
}

impl<'a> ShardRows<'a> {
    fn new(shard: &'a Shard, number: u32, options: ScanOptions) -> Self {
        let data_columns = shard.data_positions().len();
        let scan = shard.scan(options);
        Self { scan, shard: number, data_columns, batch: None, labels: Vec::new().into_iter(), row: 0 }
    }

    fn next(&mut self, runtime: &Handle) -> Result<Option<Part>, Error> {
        loop {
            if let Some((labels, batch)) = self.labels.next().zip(self.batch.as_ref()) {
                let row = self.row;
                let cells = (0..self.data_columns).map(|column| batch.cell(row, column));
                let mut cell = Vec::with_capacity(cells.clone().map(<[u8]>::len).sum());
                cells.for_each(|bytes| cell.extend_from_slice(bytes));
                self.row += 1;
                return Ok(Some(Part { labels, shard: self.shard, cell: cell.into() }));
            }
            let Some(mut batch) = runtime.block_on(self.scan.next())? else { return Ok(None) };
            self.labels = batch.take_labels().into_iter();
            self.batch = Some(batch);
            self.row = 0;
        }
    }
}

/// Puts the chunks of each series in order.
struct SeriesWriter {
    merger: SeriesMerger,
    /// Layout and chunks file of each shard.
    shards: Vec<(Layout, String)>,
}

/// A chunk in a cell.
struct Found {
    shard: u32,
    min_time: TimestampMs,
    max_time: TimestampMs,
    chunk: RawChunk,
}

impl SeriesWriter {
    fn new(shards: &[Arc<Shard>], range: Option<TimeRange>, options: &ExportOptions) -> Self {
        let key = |shard: &Shard| format!("{}/{}", shard.bucket(), shard.chunks_file().key());
        let shards = shards.iter().map(|shard| (shard.layout(), key(shard))).collect();
        let merger = SeriesMerger::new(MergeOptions {
            range: range.unwrap_or(TimeRange::ALL),
            borders: None,
            max_samples: options.max_samples_per_chunk,
            keep_start_timestamps: options.keep_start_timestamps,
        });
        Self { merger, shards }
    }

    /// Writes the series that `parts` are of, and empties them.
    fn write(&mut self, parts: &mut Vec<Part>, writer: &mut BlockWriter) -> Result<(), Error> {
        let Some(labels) = parts.first().map(|part| part.labels.clone()) else { return Ok(()) };
        let mut found = Vec::new();
        // What can be wrong with a chunk is wrong in this shard.
        let mut locations = Vec::with_capacity(parts.len());
        for part in parts.drain(..) {
            let shard = self.shards.get(part.shard as usize);
            let (layout, object) = shard.map_or((Layout::default(), ""), |(layout, object)| (*layout, object));
            locations.push((part.shard, format!("{object}, series {labels}")));
            records(layout, &part, &mut found)
                .map_err(|problem| RowSnafu { series: labels.to_string(), problem }.build())?;
        }
        // What a chunk says of a counter reset is about the chunk before it in time.
        found.sort_by_key(|found| (found.shard, found.min_time, found.max_time));
        let location_of = |shard: u32| locations.iter().find(|(s, _)| *s == shard).map_or("", |(_, at)| at.as_str());
        let mut chunks: Vec<_> = found
            .iter()
            .zip(0_u32..)
            .map(|(found, ordinal)| ChunkSource {
                block: found.shard,
                ordinal,
                min_time: found.min_time,
                max_time: found.max_time,
                deleted: Intervals::default(),
                chunk: &found.chunk,
                location: location_of(found.shard),
                reference: ChunkRef(ordinal.into()),
            })
            .collect();
        let mut data = Vec::new();
        let mut merged = Vec::new();
        self.merger.merge(&mut chunks, |chunk| {
            let start = data.len();
            data.extend_from_slice(chunk.data);
            merged.push((chunk.encoding, chunk.min_time, chunk.max_time, start..data.len()));
            Ok::<_, Error>(())
        })?;
        if merged.is_empty() {
            return Ok(());
        }
        let chunks: Vec<_> = merged
            .into_iter()
            .map(|(encoding, min_time, max_time, range)| BlockChunk {
                encoding,
                data: &data[range],
                min_time,
                max_time,
            })
            .collect();
        writer.add_series(&labels, &chunks)?;
        Ok(())
    }
}

/// The chunks of a row.
fn records(layout: Layout, part: &Part, found: &mut Vec<Found>) -> Result<(), String> {
    for record in layout.records(&part.cell) {
        let record = record.map_err(|e| e.to_string())?;
        let chunk = RawChunk { encoding: record.encoding, data: part.cell.slice_ref(record.data) };
        let (mut min_time, mut max_time) = (record.min_time, record.max_time);
        // Go writers begin with a last time of 0, and let it stand for chunks that are older than 1970.
        if min_time < 0 && max_time == 0 {
            let mut samples = Vec::new();
            let encoding = Encoding::try_from(chunk.encoding).map_err(|e| e.to_string())?;
            prometheus_chunks::decode(encoding, &chunk.data, &mut samples).map_err(|e| e.to_string())?;
            if let (Some(first), Some(last)) = (samples.first(), samples.last()) {
                (min_time, max_time) = (first.timestamp, last.timestamp);
            }
        }
        found.push(Found { shard: part.shard, min_time, max_time, chunk });
    }
    Ok(())
}

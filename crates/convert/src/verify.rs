//! Compares shards with the blocks that they were converted from, sample by sample.
//!
//! Independent of the conversion. Rows come in the order of the shards, series in that of the blocks. A first pass over
//! the indexes notes each series' hash and reference; for each row, the series with its hash are then read, and their
//! labels compared. In the end, series that no row was about must have no sample.
//!
//! A row whose chunks are the source's, byte for byte and each once, has the source's samples; they are decoded once, to
//! prove that they can be, that they ascend, and that they are where the layout says: see [`unchanged`]. Every other row
//! is compared the slow and obvious way: chunks of both sides are all decoded, samples of the source merged one by one
//! into a map, tombstones and the time range applied to each.
//!
//! One thread reads rows, others compare them. Memory: symbols, 24 bytes for each series and the footers of one shard;
//! the rest of the budget is for rows on their way.

use std::{
    collections::BTreeMap,
    num::NonZeroUsize,
    ops::{ControlFlow, Range},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, sync_channel},
    },
    time::{Duration, Instant},
};

use prometheus_model::{Labels, TimeRange, TimestampMs, stable_hash};
use prometheus_tsdb_block::{BlockReader, ChunkRef, RawChunk};
use prometheus_tsdb_index::{ChunkMeta, SeriesEntry, SeriesRef};
use promparquet_objstore::Bucket;
use promparquet_schema::cell;
use promparquet_shard::{Limits, OpenOptions, RowBatch, ScanOptions, Shard, ShardSet};
use tokio::runtime::Handle;

use crate::{
    chunk_reads::read_chunks,
    control::Control,
    error::{DifferenceSnafu, Error, ErrorKind, InternalSnafu, MemorySnafu},
    memory::{Budget, expected_series},
    report::peak_memory_bytes,
};

mod compare;
mod row;
mod unchanged;

use compare::{Origin, SourceSample, compare};
use row::{RowCounts, read_row};
use unchanged::{Decoder, unchanged};

/// Rows whose source is read at once.
const BATCH_ROWS: u32 = 256;
/// Batches of rows that wait for a thread.
const BATCHES_AHEAD: usize = 2;
/// Least memory for pages of shards, and for each thread.
const LEAST_SCAN_BYTES: usize = 8 << 20;
const LEAST_SHARE_BYTES: usize = 2 << 20;
/// What is held for each sample where both sides are decoded.
const SAMPLE_BYTES: usize = 256;
/// Of chunks in memory, which are about as many in the source as in the shard.
const COPIES: u64 = 3;
/// Differences that are reported, one for each series.
const MAX_DIFFERENCES: usize = 10;

/// What to compare.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct VerifyOptions {
    /// How many shards there are, as the marker or the conversion's report says; all that the bucket has if `None`.
    pub shards: Option<u32>,
    /// Only samples in this range (half-open) were converted; all if `None`.
    pub range: Option<TimeRange>,
    /// Compare start timestamps as well: they were kept.
    pub start_timestamps: bool,
    /// Threads that compare.
    pub threads: NonZeroUsize,
    /// Memory that it may use, in bytes.
    pub memory_bytes: NonZeroUsize,
}

impl Default for VerifyOptions {
    /// All shards and samples; the threads and memory of a conversion.
    fn default() -> Self {
        let crate::Options { read_concurrency: threads, memory_bytes, .. } = crate::Options::default();
        Self { shards: None, range: None, start_timestamps: false, threads, memory_bytes }
    }
}

/// What was compared and found equal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct VerifyReport {
    /// Shards read.
    pub shards: usize,
    /// Rows, each of one series.
    pub rows: u64,
    /// Samples.
    pub samples: u64,
    /// How many of them are native histograms.
    pub histograms: u64,
    /// Chunks in the shards.
    pub chunks: u64,
    /// Series of the source, counted in each block.
    pub source_series: u64,
    /// Series of the source without a sample in range that is not deleted: they have no row.
    pub source_series_without_samples: u64,
    /// How long it took.
    pub elapsed: Duration,
    /// Most memory that the process has held resident so far, in bytes, where the system tells.
    pub peak_memory_bytes: Option<u64>,
}

/// Checks that the shards of the set `name` hold exactly the samples of `blocks`: the same series, timestamps and values
/// by their bits, in ascending order, each chunk in its data column. Where blocks overlap, the first wins.
///
/// What is said of counter resets may be less than in the source, but must not contradict it.
///
/// # Errors
/// [`Corrupt`](crate::ErrorKind::Corrupt) with the first differences, each with series and timestamp, if there are any;
/// otherwise as reading the blocks and the shards.
pub async fn verify(
    blocks: Vec<BlockReader>,
    bucket: Bucket,
    name: String,
    options: VerifyOptions,
    control: Arc<Control>,
) -> Result<VerifyReport, Error> {
    let runtime = Handle::current();
    let work = move || verify_blocking(&blocks, &bucket, &name, &options, &control, &runtime);
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(InternalSnafu { what: format!("the verification ended early: {error}") }.build().into()),
    }
}

fn verify_blocking(
    blocks: &[BlockReader],
    bucket: &Bucket,
    name: &str,
    options: &VerifyOptions,
    control: &Control,
    runtime: &Handle,
) -> Result<VerifyReport, Error> {
    let started = Instant::now();
    control.begin();
    let count = {
        let set = ShardSet { name: name.to_owned(), shards: options.shards };
        runtime.block_on(set.count(bucket))?
    };
    let threads = options.threads.get();
    let mut budget = Budget::of(options.memory_bytes, threads);
    budget.take_symbols(blocks)?;
    let source = SourceSeries::collect(blocks, &mut budget, control)?;
    control.set_series_total(source.series.len() as u64);
    let report =
        VerifyReport { shards: count as usize, source_series: source.series.len() as u64, ..VerifyReport::default() };
    let range = options.range.unwrap_or(TimeRange::ALL);
    let (report, differences) = (Mutex::new(report), Mutex::default());
    let mut verifier = Verifier { blocks, range, options, source, share: LEAST_SHARE_BYTES, report, differences };
    for index in 0..count {
        // Footers are bounded to what is left, and count once they are known.
        let mut of_shard = budget;
        let scan_bytes = (LEAST_SCAN_BYTES + budget.left() / 3) as u64;
        let footer_bytes = (budget.left() as u64 / 16).max(1 << 20);
        let limits = Limits { footer_bytes, scan_bytes, page_bytes: scan_bytes, ..Limits::default() };
        let options = OpenOptions { limits, ..OpenOptions::default() };
        let shard = runtime.block_on(Shard::open_with(bucket, name, index, options))?;
        let files = [shard.labels_file(), shard.chunks_file()];
        let footers = files.iter().map(|file| file.metadata().memory_size() + file.columns().len() * 256).sum();
        of_shard.take("the footers of the shards", footers)?;
        // Rows on their way hold on to pages that the scan has left behind.
        let pages = scan_bytes as usize / 2 * 3;
        of_shard.take("pages of the shards", pages + threads * LEAST_SHARE_BYTES)?;
        verifier.share = LEAST_SHARE_BYTES + of_shard.left() / threads;
        let window_bytes = (scan_bytes / 8).min(ScanOptions::default().window_bytes);
        verifier.shard(&shard, window_bytes, control, runtime)?;
        if verifier.is_full() {
            break;
        }
    }
    if !verifier.is_full() {
        verifier.unseen(control)?;
    }
    let Verifier { report, differences, .. } = verifier;
    let mut report = report.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut differences: Vec<_> = differences.into_inner().unwrap_or_else(PoisonError::into_inner);
    if !differences.is_empty() {
        differences.sort();
        let differences: Vec<_> = differences.into_iter().map(|(_, text)| text).take(MAX_DIFFERENCES).collect();
        return Err(DifferenceSnafu { differences }.build().into());
    }
    report.elapsed = started.elapsed();
    report.peak_memory_bytes = peak_memory_bytes();
    Ok(report)
}

/// All series of all blocks.
struct SourceSeries {
    /// Stable hash, block and reference; ascending.
    series: Vec<(u64, u32, SeriesRef)>,
    /// For each of them, whether a row was about it.
    seen: Vec<AtomicBool>,
}

impl SourceSeries {
    fn collect(blocks: &[BlockReader], budget: &mut Budget, control: &Control) -> Result<Self, Error> {
        const WHAT: &str = "the series of the blocks";
        const OF_SERIES: usize = size_of::<(u64, u32, SeriesRef)>() + 1;
        let expected = blocks.iter().map(expected_series).fold(0, usize::saturating_add);
        let before = *budget;
        budget.take(WHAT, expected.saturating_mul(OF_SERIES))?;
        let window_bytes = budget.window_bytes(1);
        let mut series = Vec::with_capacity(expected);
        for (number, block) in (0_u32..).zip(blocks) {
            control.check()?;
            let symbols = block.symbols()?;
            let mut entries = block.series(window_bytes)?;
            let mut entry = SeriesEntry::default();
            while let Some(reference) = entries.next(&mut entry)? {
                // The index reader has checked that the symbols exist.
                let text = |symbol| symbols.get_bytes(symbol).unwrap_or_default();
                let hash = stable_hash(entry.labels.iter().map(|label| (text(label.name), text(label.value))));
                series.push((hash, number, reference));
                // The blocks' meta said less.
                if series.len() > expected && series.len().is_multiple_of(4096) {
                    *budget = before;
                    budget.take(WHAT, series.len().saturating_mul(3 * OF_SERIES))?;
                    control.check()?;
                }
            }
        }
        series.sort_unstable();
        let seen = series.iter().map(|_| AtomicBool::new(false)).collect();
        Ok(Self { series, seen })
    }

    /// Those with this hash.
    fn of_hash(&self, hash: u64) -> Range<usize> {
        let start = self.series.partition_point(|(h, ..)| *h < hash);
        start..start + self.series[start..].partition_point(|(h, ..)| *h == hash)
    }
}

/// A series of the source that was read.
struct Candidate {
    /// Its place among all series of the source.
    place: usize,
    labels: Labels,
    chunks: Vec<ChunkMeta>,
    /// What the chunks are, once they are read.
    raw: Vec<RawChunk>,
}

struct Verifier<'a> {
    blocks: &'a [BlockReader],
    range: TimeRange,
    options: &'a VerifyOptions,
    source: SourceSeries,
    /// Memory of a thread.
    share: usize,
    report: Mutex<VerifyReport>,
    /// With shard and row.
    differences: Mutex<Vec<((u32, u64), String)>>,
}

impl Verifier<'_> {
    fn is_full(&self) -> bool {
        self.differences.lock().unwrap_or_else(PoisonError::into_inner).len() >= MAX_DIFFERENCES
    }

    /// Compares all rows of a shard.
    fn shard(&self, shard: &Shard, window_bytes: u64, control: &Control, runtime: &Handle) -> Result<(), Error> {
        let mut scan = shard.scan(ScanOptions { batch_rows: BATCH_ROWS, window_bytes, ..ScanOptions::default() });
        let done = |batch: &RowBatch, decoder: &mut Decoder| -> Result<(), Error> {
            control.check()?;
            self.batch(shard, batch, decoder)?;
            control.add_series_done(batch.len() as u64);
            Ok(())
        };
        let threads = self.options.threads.get();
        if threads == 1 {
            let mut decoder = Decoder::default();
            while let Some(batch) = runtime.block_on(scan.next())? {
                done(&batch, &mut decoder)?;
                if self.is_full() {
                    break;
                }
            }
            return Ok(());
        }
        let failure: Mutex<Option<Error>> = Mutex::new(None);
        let (sender, receiver) = sync_channel::<RowBatch>(BATCHES_AHEAD);
        let receiver = Mutex::new(Some(receiver));
        let work = || {
            let mut decoder = Decoder::default();
            while let Some(batch) = next_batch(&receiver) {
                if let Err(error) = control.guard(|| done(&batch, &mut decoder)) {
                    // The sender must not wait for threads that have ended.
                    *receiver.lock().unwrap_or_else(PoisonError::into_inner) = None;
                    let mut failure = failure.lock().unwrap_or_else(PoisonError::into_inner);
                    if failure.as_ref().is_none_or(|failure| failure.kind() == ErrorKind::Cancelled) {
                        *failure = Some(error);
                    }
                }
            }
        };
        let scanned = std::thread::scope(|scope| {
            (0..threads).for_each(|_| drop(scope.spawn(work)));
            let scanned = control.guard(|| {
                while let Some(batch) = runtime.block_on(scan.next())? {
                    if sender.send(batch).is_err() || self.is_full() {
                        break;
                    }
                }
                Ok(())
            });
            drop(sender);
            scanned
        });
        match (failure.into_inner().unwrap_or_else(PoisonError::into_inner), scanned) {
            (Some(error), Ok(())) => Err(error),
            (Some(error), Err(_)) if error.kind() != ErrorKind::Cancelled => Err(error),
            (_, scanned) => scanned,
        }
    }

    /// Compares rows, as many at a time as fit into a thread's share of memory.
    fn batch(&self, shard: &Shard, batch: &RowBatch, decoder: &mut Decoder) -> Result<(), Error> {
        let most = self.share as u64 / COPIES;
        let (mut start, mut bytes) = (0, 0_u64);
        for row in 0..batch.len() {
            let of_row = cells(shard, batch, row).map(|(_, cell)| cell.len() as u64).fold(0, u64::saturating_add);
            if row > start && bytes.saturating_add(of_row) > most {
                self.rows(shard, batch, start..row, decoder)?;
                (start, bytes) = (row, 0);
            }
            bytes = bytes.saturating_add(of_row);
        }
        self.rows(shard, batch, start..batch.len(), decoder)
    }

    fn rows(&self, shard: &Shard, batch: &RowBatch, rows: Range<usize>, decoder: &mut Decoder) -> Result<(), Error> {
        let hashes = &batch.series_hashes()[rows.clone()];
        let places: Vec<_> = hashes.iter().map(|hash| self.source.of_hash(*hash)).collect();
        let mut candidates = self.read_series(places.iter().cloned().flatten())?;
        self.read_raw(candidates.values_mut())?;
        for (row, places) in rows.zip(places) {
            let labels = &batch.labels()[row];
            let mut of_row: Vec<Candidate> = Vec::new();
            for place in places {
                // Other labels may have the same hash.
                if let Some(candidate) = candidates.remove(&place) {
                    if candidate.labels == *labels {
                        of_row.push(candidate);
                    } else {
                        candidates.insert(place, candidate);
                    }
                } else if self.source.seen[place].load(Ordering::Relaxed) {
                    // It was taken by an earlier row; find out below whether wrongly.
                    of_row.extend(self.read_series([place])?.into_values().filter(|c| c.labels == *labels));
                }
            }
            let number = batch.first_row() + row as u64;
            match self.row(shard, batch, row, &of_row, decoder)? {
                Ok(counts) => {
                    let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
                    report.rows += 1;
                    report.samples += counts.samples;
                    report.histograms += counts.histograms;
                    report.chunks += counts.chunks;
                }
                Err(difference) => {
                    let text = format!("series {labels} (shard {}, row {number}): {difference}", shard.index());
                    let mut differences = self.differences.lock().unwrap_or_else(PoisonError::into_inner);
                    differences.push(((shard.index(), number), text));
                }
            }
            if self.is_full() {
                break;
            }
        }
        Ok(())
    }

    /// Reads the chunks of series, of all together.
    fn read_raw<'c>(&self, candidates: impl Iterator<Item = &'c mut Candidate>) -> Result<(), Error> {
        let mut of_block: BTreeMap<u32, Vec<&mut Candidate>> = BTreeMap::new();
        for candidate in candidates {
            of_block.entry(self.source.series[candidate.place].1).or_default().push(candidate);
        }
        for (number, candidates) in of_block {
            let chunks = candidates.iter().flat_map(|candidate| &candidate.chunks);
            let refs: Vec<_> = chunks.map(|chunk| ChunkRef(chunk.reference)).collect();
            let most = self.share as u64 / COPIES;
            let mut raw = read_chunks(&self.blocks[number as usize], &refs, most)?.into_iter();
            for candidate in candidates {
                candidate.raw = raw.by_ref().take(candidate.chunks.len()).collect();
            }
        }
        Ok(())
    }

    /// What a row holds, or the difference between it and its source.
    fn row(
        &self,
        shard: &Shard,
        batch: &RowBatch,
        row: usize,
        candidates: &[Candidate],
        decoder: &mut Decoder,
    ) -> Result<Result<RowCounts, String>, Error> {
        if candidates.is_empty() {
            return Ok(Err("not in the source".to_owned()));
        }
        let mut deleted = false;
        for candidate in candidates {
            if self.source.seen[candidate.place].swap(true, Ordering::Relaxed) {
                return Ok(Err("there is another row for it".to_owned()));
            }
            let (_, number, reference) = self.source.series[candidate.place];
            deleted |= !self.blocks[number as usize].tombstones()?.of(reference).is_empty();
        }
        let columns = shard.data_columns();
        if !deleted {
            let chunks = candidates.iter().flat_map(|candidate| candidate.chunks.iter().zip(&candidate.raw));
            let mut chunks: Vec<_> = chunks.map(|(meta, raw)| (meta.min_time, raw)).collect();
            let same = unchanged(columns, cells(shard, batch, row), &mut chunks, self.range, decoder);
            if let Some(counts) = same {
                return Ok(Ok(counts));
            }
        }
        self.check_samples(candidates, cells(shard, batch, row))?;
        let found = match read_row(columns, cells(shard, batch, row)) {
            Ok(found) => found,
            Err(difference) => return Ok(Err(difference)),
        };
        let expected = self.source_samples(candidates)?;
        if let Some(difference) = compare(&expected, &found.samples, self.options.start_timestamps) {
            return Ok(Err(difference));
        }
        if found.samples.is_empty() {
            return Ok(Err("a row without samples".to_owned()));
        }
        Ok(Ok(found.counts))
    }

    /// Checks that the samples of a series fit into a thread's share of memory, going by what chunks say of themselves.
    fn check_samples<'c>(
        &self,
        candidates: &[Candidate],
        cells: impl Iterator<Item = (u32, &'c [u8])>,
    ) -> Result<(), Error> {
        let count = |encoding: u8, data: &[u8]| {
            let count = encoding.try_into().and_then(|encoding| prometheus_chunks::sample_count(encoding, data));
            usize::from(count.unwrap_or(0)) // it will not be decoded either
        };
        let found = cells.flat_map(|(_, cell)| cell::records(cell).map_while(Result::ok));
        let found = found.map(|record| count(record.encoding, record.data));
        let source = candidates.iter().flat_map(|candidate| &candidate.raw);
        let source = source.map(|chunk| count(chunk.encoding, &chunk.data));
        let needed = found.chain(source).fold(0, usize::saturating_add).saturating_mul(SAMPLE_BYTES);
        if needed > self.share {
            let (what, allowed) = ("the samples of one series, for each thread", self.share);
            return Err(MemorySnafu { what, needed, allowed }.build().into());
        }
        Ok(())
    }

    /// The samples of one series, merged the slow way.
    fn source_samples(&self, candidates: &[Candidate]) -> Result<BTreeMap<TimestampMs, SourceSample>, Error> {
        let mut samples = BTreeMap::new();
        // Candidates are in the order of the blocks, of which the first wins.
        for (part, candidate) in (0_u32..).zip(candidates) {
            let (_, number, reference) = self.source.series[candidate.place];
            let deleted = self.blocks[number as usize].tombstones()?.of(reference);
            let is_deleted = |t: TimestampMs| deleted.as_slice().iter().any(|i| i.min <= t && t <= i.max);
            let mut position = 0_u32;
            for chunk in &candidate.raw {
                for sample in decode(chunk.encoding, &chunk.data).map_err(|e| self.undecodable(candidate, &e))? {
                    let t = sample.timestamp;
                    if self.range.contains(t) && !is_deleted(t) {
                        samples.entry(t).or_insert(SourceSample { origin: Origin { part, position }, sample });
                    }
                    position += 1;
                }
            }
        }
        Ok(samples)
    }

    #[cold]
    fn undecodable(&self, candidate: &Candidate, error: &prometheus_chunks::Error) -> Error {
        let (_, number, _) = self.source.series[candidate.place];
        let location = self.blocks[number as usize].files().location();
        let problem = format!("in block {location}: {error}");
        crate::error::RowSnafu { series: candidate.labels.to_string(), problem }.build().into()
    }

    /// Reads series of the source by their places.
    fn read_series(&self, places: impl IntoIterator<Item = usize>) -> Result<BTreeMap<usize, Candidate>, Error> {
        let mut of_block: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for place in places {
            of_block.entry(self.source.series[place].1).or_default().push(place);
        }
        let mut found = BTreeMap::new();
        for (number, places) in of_block {
            let block = &self.blocks[number as usize];
            let symbols = block.symbols()?;
            let refs: Vec<_> = places.iter().map(|place| self.source.series[*place].2).collect();
            let mut malformed = None;
            block.read_series(&refs, |n, _, entry| {
                let place = places[n];
                let pairs: prometheus_tsdb_index::Result<Vec<_>> = entry
                    .labels
                    .iter()
                    .map(|label| Ok((symbols.get(label.name)?, symbols.get(label.value)?)))
                    .collect();
                let labels = match pairs {
                    Ok(pairs) => Labels::from_pairs(pairs).map_err(|e| e.to_string()),
                    Err(e) => Err(e.to_string()),
                };
                match labels {
                    Ok(labels) => drop(
                        found.insert(place, Candidate { place, labels, chunks: entry.chunks.clone(), raw: Vec::new() }),
                    ),
                    Err(e) => malformed = Some(e),
                }
                Ok(ControlFlow::Continue(()))
            })?;
            if let Some(problem) = malformed {
                let series = format!("of block {}", block.files().location());
                return Err(crate::error::RowSnafu { series, problem }.build().into());
            }
        }
        Ok(found)
    }

    /// Series that no row was about must have no samples.
    fn unseen(&self, control: &Control) -> Result<(), Error> {
        let unseen = self.source.seen.iter().enumerate().filter(|(_, seen)| !seen.load(Ordering::Relaxed));
        let mut unseen = unseen.map(|(place, _)| place).peekable();
        while unseen.peek().is_some() {
            control.check()?;
            let places: Vec<usize> = unseen.by_ref().take(BATCH_ROWS as usize).collect();
            for candidate in self.read_series(places)?.into_values() {
                let mut candidate = [candidate];
                self.read_raw(candidate.iter_mut())?;
                self.check_samples(&candidate, std::iter::empty())?;
                match self.source_samples(&candidate)?.first_key_value() {
                    None => {
                        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
                        report.source_series_without_samples += 1;
                    }
                    Some((t, _)) => {
                        let labels = &candidate[0].labels;
                        let text = format!("series {labels}: no row, although the source has a sample at {t}");
                        let mut differences = self.differences.lock().unwrap_or_else(PoisonError::into_inner);
                        differences.push(((u32::MAX, candidate[0].place as u64), text));
                    }
                }
                if self.is_full() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// The cells of a row and the data columns they are in.
fn cells<'b>(shard: &'b Shard, batch: &'b RowBatch, row: usize) -> impl Iterator<Item = (u32, &'b [u8])> {
    shard.data_positions().iter().enumerate().map(move |(n, (column, _))| (*column, batch.cell(row, n)))
}

fn next_batch(receiver: &Mutex<Option<Receiver<RowBatch>>>) -> Option<RowBatch> {
    receiver.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?.recv().ok()
}

fn decode(encoding: u8, data: &[u8]) -> Result<Vec<prometheus_model::Sample>, prometheus_chunks::Error> {
    let mut samples = Vec::new();
    prometheus_chunks::decode(encoding.try_into()?, data, &mut samples)?;
    Ok(samples)
}

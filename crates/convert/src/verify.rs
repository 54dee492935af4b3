//! Compares shards with the blocks that they were converted from, sample by sample.
//!
//! Independent of the conversion: chunks are all decoded, samples are merged one by one into a map, tombstones and the
//! time range are applied to each. Slow, and obvious.
//!
//! Rows come in the order of the shards, series in that of the blocks. A first pass over the indexes notes each series'
//! hash and reference; for each row, the series with its hash are then read, and their labels compared. In the end,
//! series that no row was about must have no sample. Memory: 24 bytes for each series, and some rows.

use std::{
    collections::BTreeMap,
    ops::{ControlFlow, Range},
    sync::Arc,
    time::{Duration, Instant},
};

use prometheus_model::{Labels, TimeRange, TimestampMs, stable_hash};
use prometheus_tsdb_block::{BlockReader, ChunkRef};
use prometheus_tsdb_index::{ChunkMeta, SeriesRef};
use promparquet_objstore::Bucket;
use promparquet_shard::{RowBatch, ScanOptions, Shard};
use tokio::runtime::Handle;

use crate::{
    control::Control,
    error::{DifferenceSnafu, Error, InternalSnafu},
    report::peak_memory_bytes,
    shard_set,
};

mod compare;
mod row;

use compare::{Origin, SourceSample, compare};
use row::read_row;

/// Read at once from each index.
const INDEX_WINDOW_BYTES: u64 = 1 << 20;
/// Rows whose source is read at once.
const BATCH_ROWS: u32 = 256;
/// Differences that are reported, one for each series.
const MAX_DIFFERENCES: usize = 10;

/// What to compare.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct VerifyOptions {
    /// How many shards there are, as the marker or the conversion's report says; all that the bucket has if `None`.
    pub shards: Option<u32>,
    /// Only samples in this range (half-open) were converted; all if `None`.
    pub range: Option<TimeRange>,
    /// Compare start timestamps as well: they were kept.
    pub start_timestamps: bool,
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
    let shards = shard_set::open_all(&bucket, &name, options.shards).await?;
    let runtime = Handle::current();
    let work = move || verify_blocking(&blocks, &shards, &options, &control, &runtime);
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(InternalSnafu { what: format!("the verification ended early: {error}") }.build().into()),
    }
}

fn verify_blocking(
    blocks: &[BlockReader],
    shards: &[Shard],
    options: &VerifyOptions,
    control: &Control,
    runtime: &Handle,
) -> Result<VerifyReport, Error> {
    let started = Instant::now();
    control.begin();
    control.set_series_total(shards.iter().map(Shard::rows).sum());
    let source = SourceSeries::collect(blocks, control)?;
    let report =
        VerifyReport { shards: shards.len(), source_series: source.series.len() as u64, ..VerifyReport::default() };
    let range = options.range.unwrap_or(TimeRange::ALL);
    let mut verifier = Verifier { blocks, range, options, source, report, differences: Vec::new() };
    'shards: for shard in shards {
        let mut scan = shard.scan(ScanOptions { batch_rows: BATCH_ROWS, ..ScanOptions::default() });
        while let Some(batch) = runtime.block_on(scan.next())? {
            control.check()?;
            verifier.batch(shard, &batch)?;
            control.add_series_done(batch.len() as u64);
            if verifier.differences.len() >= MAX_DIFFERENCES {
                break 'shards;
            }
        }
    }
    if verifier.differences.len() < MAX_DIFFERENCES {
        verifier.unseen(control)?;
    }
    let Verifier { mut report, differences, .. } = verifier;
    if !differences.is_empty() {
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
    seen: Vec<bool>,
}

impl SourceSeries {
    fn collect(blocks: &[BlockReader], control: &Control) -> Result<Self, Error> {
        let mut series = Vec::new();
        for (number, block) in (0_u32..).zip(blocks) {
            control.check()?;
            let symbols = block.symbols()?;
            block.scan_series(INDEX_WINDOW_BYTES, |reference, entry| {
                // The index reader has checked that the symbols exist.
                let text = |symbol| symbols.get_bytes(symbol).unwrap_or_default();
                let hash = stable_hash(entry.labels.iter().map(|label| (text(label.name), text(label.value))));
                series.push((hash, number, reference));
                Ok(ControlFlow::Continue(()))
            })?;
        }
        series.sort_unstable();
        let seen = vec![false; series.len()];
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
}

struct Verifier<'a> {
    blocks: &'a [BlockReader],
    range: TimeRange,
    options: &'a VerifyOptions,
    source: SourceSeries,
    report: VerifyReport,
    differences: Vec<String>,
}

impl Verifier<'_> {
    fn batch(&mut self, shard: &Shard, batch: &RowBatch) -> Result<(), Error> {
        let places: Vec<_> = batch.series_hashes().iter().map(|hash| self.source.of_hash(*hash)).collect();
        let mut candidates = self.read_series(places.iter().cloned().flatten())?;
        for (row, (labels, places)) in batch.labels().iter().zip(places).enumerate() {
            let mut of_row: Vec<Candidate> = Vec::new();
            for place in places {
                // Other labels may have the same hash.
                if let Some(candidate) = candidates.remove(&place) {
                    if candidate.labels == *labels {
                        of_row.push(candidate);
                    } else {
                        candidates.insert(place, candidate);
                    }
                } else if self.source.seen[place] {
                    // It was taken by an earlier row; find out below whether wrongly.
                    of_row.extend(self.read_series([place])?.into_values().filter(|c| c.labels == *labels));
                }
            }
            let at = format!("shard {}, row {}", shard.index(), batch.first_row() + row as u64);
            let difference = self.row(shard, batch, row, &of_row)?;
            self.report.rows += 1;
            if let Some(difference) = difference {
                self.differences.push(format!("series {labels} ({at}): {difference}"));
            }
            if self.differences.len() >= MAX_DIFFERENCES {
                break;
            }
        }
        Ok(())
    }

    /// The difference between a row and its source, if there is one.
    fn row(
        &mut self,
        shard: &Shard,
        batch: &RowBatch,
        row: usize,
        candidates: &[Candidate],
    ) -> Result<Option<String>, Error> {
        if candidates.is_empty() {
            return Ok(Some("not in the source".to_owned()));
        }
        for candidate in candidates {
            if std::mem::replace(&mut self.source.seen[candidate.place], true) {
                return Ok(Some("there is another row for it".to_owned()));
            }
        }
        let cells = shard.data_positions().iter().enumerate().map(|(n, (column, _))| (*column, batch.cell(row, n)));
        let found = match read_row(shard.data_columns(), cells) {
            Ok(found) => found,
            Err(difference) => return Ok(Some(difference)),
        };
        let expected = self.source_samples(candidates)?;
        if let Some(difference) = compare(&expected, &found.samples, self.options.start_timestamps) {
            return Ok(Some(difference));
        }
        if found.samples.is_empty() {
            return Ok(Some("a row without samples".to_owned()));
        }
        self.report.samples += found.samples.len() as u64;
        self.report.histograms += found.histograms;
        self.report.chunks += found.chunks;
        Ok(None)
    }

    /// The samples of one series, merged the slow way.
    fn source_samples(&self, candidates: &[Candidate]) -> Result<BTreeMap<TimestampMs, SourceSample>, Error> {
        let mut samples = BTreeMap::new();
        // Candidates are in the order of the blocks, of which the first wins.
        for (part, candidate) in (0_u32..).zip(candidates) {
            let (_, number, reference) = self.source.series[candidate.place];
            let block = &self.blocks[number as usize];
            let deleted = block.tombstones()?.of(reference);
            let is_deleted = |t: TimestampMs| deleted.as_slice().iter().any(|i| i.min <= t && t <= i.max);
            let refs: Vec<_> = candidate.chunks.iter().map(|chunk| ChunkRef(chunk.reference)).collect();
            let mut position = 0_u32;
            for chunk in block.read_chunks(&refs)? {
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
                    Ok(labels) => drop(found.insert(place, Candidate { place, labels, chunks: entry.chunks.clone() })),
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
    fn unseen(&mut self, control: &Control) -> Result<(), Error> {
        let unseen: Vec<usize> = (0..self.source.seen.len()).filter(|place| !self.source.seen[*place]).collect();
        for places in unseen.chunks(BATCH_ROWS as usize) {
            control.check()?;
            for candidate in self.read_series(places.iter().copied())?.into_values() {
                let candidate = [candidate];
                match self.source_samples(&candidate)?.first_key_value() {
                    None => self.report.source_series_without_samples += 1,
                    Some((t, _)) => {
                        let [candidate] = candidate;
                        self.differences.push(format!(
                            "series {}: no row, although the source has a sample at {t}",
                            candidate.labels
                        ));
                    }
                }
                if self.differences.len() >= MAX_DIFFERENCES {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

fn decode(encoding: u8, data: &[u8]) -> Result<Vec<prometheus_model::Sample>, prometheus_chunks::Error> {
    let mut samples = Vec::new();
    prometheus_chunks::decode(encoding.try_into()?, data, &mut samples)?;
    Ok(samples)
}

//! Writes the chunks file of a shard.
//!
//! Rows are cut into batches. Workers take them in order: each reads the chunks of its batch, places them into cells, and
//! encodes and compresses pages; the calling thread appends the pages in order. A worker waits when it is too far ahead of
//! the file, so that memory is bounded.

use std::{
    collections::BTreeMap,
    ops::{ControlFlow, Range},
    sync::{
        Condvar, Mutex, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
};

use prometheus_tsdb_block::{
    Borders, ChunkRef, ChunkSource, MergeCounts, MergeOptions, RawChunk, SeriesMerger, SeriesPart,
};
use prometheus_tsdb_index::{ChunkMeta, SeriesRef};
use promparquet_schema::{CHUNKS_SCHEMA_ROOT, Column, DataColumns, cell};

use crate::{
    chunk_reads::read_chunks,
    control::Control,
    error::{CellTooLargeSnafu, Error, InternalSnafu},
    memory::Memory,
    options::Options,
    output::Output,
    parquet_file::{Compressor, FileColumn, FileWriter, Page, Spill, value_page},
    rows::{Rows, ShardJob, ShardRows, Source},
};

/// Most rows in a batch: beyond it nothing is gained.
const MAX_BATCH_ROWS: usize = 16 << 10;

/// Batches that a worker may be ahead of the file, for each worker.
const BATCHES_AHEAD: usize = 2;

/// A batch is held as read, as placed into cells, which may have room for twice as much, and as pages.
const COPIES_OF_BATCH: u64 = 4;
/// What is known of a chunk while it is read, beside its bytes.
const CHUNK_WEIGHT: u64 = 160;
/// What an index holds of a chunk, a label and a series, at most as a rule.
const INDEX_BYTES: [u64; 3] = [20, 10, 32];

/// Bytes of memory that a batch takes while it is made, about.
fn weight(rows: &Rows, of: Range<usize>) -> u64 {
    let (bytes, chunks) = of.fold((0_u64, 0_u64), |(bytes, chunks), row| {
        (bytes.saturating_add(rows.bytes(row)), chunks.saturating_add(rows.chunks(row)))
    });
    bytes.saturating_mul(COPIES_OF_BATCH).saturating_add(chunks.saturating_mul(CHUNK_WEIGHT))
}

/// What is known of the batches before any is made: of all shards, the most.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Weights {
    /// Bytes of chunks in a shard.
    pub(crate) bytes: u64,
    /// Weight of a single batch.
    pub(crate) heaviest: u64,
    /// Batches in a row group.
    pub(crate) batches_of_group: usize,
    /// Bytes of the index that are about the series of a batch.
    pub(crate) index_bytes: usize,
}

impl Weights {
    /// Those of `shards`, whose batches are cut at `batch_bytes`.
    pub(crate) fn of(rows: &Rows, shards: &[ShardRows], batch_bytes: u64) -> Self {
        let [of_chunk, of_label, of_series] = INDEX_BYTES;
        let of_series = of_series.saturating_add(of_label.saturating_mul(rows.most_labels.into()));
        let mut all = Self::default();
        for shard in shards {
            all.bytes = all.bytes.max(shard.rows().map(|row| rows.bytes(row)).sum());
            let mut batches = 0;
            for batch in cut_batches(rows, shard, batch_bytes) {
                batches += 1;
                all.batches_of_group = all.batches_of_group.max(batches);
                all.heaviest = all.heaviest.max(batch.weight);
                let chunks: u64 = batch.rows.clone().map(|row| rows.chunks(row)).sum();
                let index = chunks.saturating_mul(of_chunk).saturating_add(of_series * batch.rows.len() as u64);
                all.index_bytes = all.index_bytes.max(usize::try_from(index).unwrap_or(usize::MAX));
                if batch.ends_group_of.is_some() {
                    batches = 0;
                }
            }
        }
        all
    }
}

pub(crate) fn write(job: ShardJob<'_>, memory: Memory, output: &mut Output) -> Result<MergeCounts, Error> {
    let ShardJob { source, rows, shard, data_columns, options, control } = job;
    let compression = options.chunks_compression;
    // `s_data_10` stands before `s_data_2`: columns are in byte order of their names.
    let mut order: Vec<(String, u32)> = (0..data_columns.count()).map(|i| (Column::Data(i).name(), i)).collect();
    order.sort_unstable();
    let columns = order.iter().map(|(_, i)| FileColumn { column: Column::Data(*i), compression }).collect();
    let mut position_of = vec![0; order.len()];
    for (position, (_, i)) in order.iter().enumerate() {
        position_of[*i as usize] = position;
    }
    let spill = Spill { after_bytes: memory.chunk_pages, dir: &options.temp_dir };
    let mut file = FileWriter::new(output, CHUNKS_SCHEMA_ROOT, columns, &[], data_columns, spill)?;
    let batches = cut_batches(rows, shard, memory.batch_bytes);
    let waste_bytes = memory.waste_bytes;
    let job = Job { source, rows, data_columns, options, position_of: &position_of, waste_bytes };
    let mut counts = MergeCounts::default();
    let mut append = |batch: &Batch, done: Encoded| -> Result<(), Error> {
        for (column, pages) in done.columns.into_iter().enumerate() {
            for page in pages {
                file.data_page(column, page)?;
            }
        }
        if let Some(rows) = batch.ends_group_of {
            file.end_row_group(rows)?;
        }
        counts += done.counts;
        control.add_series_done(batch.rows.len() as u64);
        Ok(())
    };
    if options.read_concurrency.get() == 1 {
        let mut worker = Worker::new(job, memory.batch_bytes)?;
        for batch in &batches {
            control.check()?;
            append(batch, worker.encode(batch.rows.clone())?)?;
        }
    } else {
        in_parallel(job, &batches, memory, control, append)?;
    }
    file.finish()?;
    Ok(counts)
}

/// Consecutive rows that one worker encodes.
struct Batch {
    rows: Range<usize>,
    /// If the row group ends here, how many rows it has.
    ends_group_of: Option<u64>,
    weight: u64,
}

fn cut_batches(rows: &Rows, shard: &ShardRows, batch_bytes: u64) -> Vec<Batch> {
    let mut batches = Vec::new();
    let batch = |of: Range<usize>, ends_group_of| Batch { weight: weight(rows, of.clone()), rows: of, ends_group_of };
    for group in &shard.row_groups {
        let (mut start, mut bytes) = (group.start, 0_u64);
        for row in group.clone() {
            let of_row = rows.bytes(row);
            if row > start && (bytes + of_row > batch_bytes || row - start == MAX_BATCH_ROWS) {
                batches.push(batch(start..row, None));
                (start, bytes) = (row, 0);
            }
            bytes += of_row;
        }
        batches.push(batch(start..group.end, Some(group.len() as u64)));
    }
    batches
}

/// What all workers share.
#[derive(Clone, Copy)]
struct Job<'a> {
    source: &'a Source<'a>,
    rows: &'a Rows,
    data_columns: DataColumns,
    options: &'a Options,
    /// For each data column its position in the file.
    position_of: &'a [usize],
    /// Bytes between chunks that are read along with them at a time.
    waste_bytes: u64,
}

/// A batch, encoded.
struct Encoded {
    /// For each column of the file its pages.
    columns: Vec<Vec<Page>>,
    counts: MergeCounts,
}

/// Which batch is next, and how far the file is.
#[derive(Default)]
struct Queue {
    taken: usize,
    appended: usize,
    /// Weight of the batches that are taken and not yet appended.
    weight: u64,
    stopped: bool,
}

fn in_parallel(
    job: Job<'_>,
    batches: &[Batch],
    memory: Memory,
    control: &Control,
    mut append: impl FnMut(&Batch, Encoded) -> Result<(), Error>,
) -> Result<(), Error> {
    let most_weight = memory.batches_weight;
    let at_once = most_weight / memory.batch_bytes.saturating_mul(COPIES_OF_BATCH).max(1);
    let workers = job.options.read_concurrency.get().min(batches.len()).min(at_once.max(1) as usize);
    let in_flight = BATCHES_AHEAD * workers;
    let queue = Mutex::new(Queue::default());
    let changed = Condvar::new();
    let lock = || queue.lock().unwrap_or_else(PoisonError::into_inner);
    let take = || {
        let mut state = lock();
        // The next batch to be appended is never held up.
        let must_wait = |state: &Queue| {
            let weight = batches.get(state.taken).map_or(0, |batch| state.weight.saturating_add(batch.weight));
            state.taken > state.appended && (state.taken >= state.appended + in_flight || weight > most_weight)
        };
        while !state.stopped && state.taken < batches.len() && must_wait(&state) {
            state = changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.stopped || state.taken == batches.len() {
            return None;
        }
        state.weight = state.weight.saturating_add(batches[state.taken].weight);
        state.taken += 1;
        Some(state.taken - 1)
    };
    let stop = || {
        lock().stopped = true;
        changed.notify_all();
    };
    std::thread::scope(|scope| {
        // However this ends: workers that wait must wake up.
        let _stop = OnDrop(stop);
        let (sender, receiver) = channel();
        for _ in 0..workers {
            let sender = sender.clone();
            scope.spawn(move || {
                // A worker that panics never sends its batch, for which all others would wait.
                let panicked = OnDrop(stop);
                work(job, memory.batch_bytes, batches, take, &sender);
                std::mem::forget(panicked);
            });
        }
        drop(sender);
        append_in_order(batches, control, &receiver, &mut append, || {
            let mut state = lock();
            state.weight = state.weight.saturating_sub(batches[state.appended].weight);
            state.appended += 1;
            drop(state);
            changed.notify_all();
        })
    })
}

/// Calls its function when it is dropped, also by a panic.
struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

fn work(
    job: Job<'_>,
    batch_bytes: u64,
    batches: &[Batch],
    take: impl Fn() -> Option<usize>,
    done: &Sender<(usize, Result<Encoded, Error>)>,
) {
    let mut worker = Worker::new(job, batch_bytes);
    while let Some(number) = take() {
        let result = match &mut worker {
            Ok(worker) => worker.encode(batches[number].rows.clone()),
            Err(_) => Err(InternalSnafu { what: "a worker could not be set up" }.build().into()),
        };
        let failed = result.is_err();
        if done.send((number, result)).is_err() || failed {
            return;
        }
    }
}

fn append_in_order(
    batches: &[Batch],
    control: &Control,
    encoded: &Receiver<(usize, Result<Encoded, Error>)>,
    append: &mut impl FnMut(&Batch, Encoded) -> Result<(), Error>,
    appended: impl Fn(),
) -> Result<(), Error> {
    let mut early = BTreeMap::new();
    for (number, batch) in batches.iter().enumerate() {
        let next = loop {
            control.check()?;
            if let Some(done) = early.remove(&number) {
                break done;
            }
            let Ok((n, done)) = encoded.recv() else {
                return Err(InternalSnafu { what: "a worker ended before its work" }.build().into());
            };
            early.insert(n, done?);
        };
        append(batch, next)?;
        appended();
    }
    Ok(())
}

/// Encodes one batch after another.
struct Worker<'a> {
    job: Job<'a>,
    merger: SeriesMerger,
    compressor: Compressor,
    columns: Vec<Cells>,
    batch_bytes: u64,
}

/// A chunk of the batch and the row that it belongs to.
struct Wanted {
    row: usize,
    part: SeriesPart,
    ordinal: u32,
    meta: ChunkMeta,
}

impl<'a> Worker<'a> {
    fn new(job: Job<'a>, batch_bytes: u64) -> Result<Self, Error> {
        let merger = SeriesMerger::new(MergeOptions {
            range: job.source.range,
            borders: Some(Borders { first: job.data_columns.min_time(), every_ms: job.data_columns.duration_ms() }),
            max_samples: job.options.max_samples_per_chunk,
            keep_start_timestamps: job.options.keep_start_timestamps,
        });
        let compressor = Compressor::new(job.options.chunks_compression)?;
        let columns = job.position_of.iter().map(|_| Cells::default()).collect();
        Ok(Self { job, merger, compressor, columns, batch_bytes })
    }

    fn encode(&mut self, rows: Range<usize>) -> Result<Encoded, Error> {
        let source = self.job.source;
        let wanted = self.wanted(rows.clone())?;
        let bytes: u64 = rows.clone().map(|row| self.job.rows.bytes(row)).sum();
        let raw = read_wanted(source, &wanted, bytes.saturating_add(self.job.waste_bytes))?;
        let mut next = 0;
        let mut chunks = Vec::new();
        for row in rows {
            chunks.clear();
            while let Some(w) = wanted.get(next).filter(|w| w.row == row) {
                chunks.push(ChunkSource {
                    block: w.part.block,
                    ordinal: w.ordinal,
                    min_time: w.meta.min_time,
                    max_time: w.meta.max_time,
                    deleted: source.deleted(w.part)?,
                    chunk: &raw[next],
                    location: source.blocks[w.part.block as usize].files().location(),
                    reference: ChunkRef(w.meta.reference),
                });
                next += 1;
            }
            let (columns, data_columns) = (&mut self.columns, self.job.data_columns);
            let position_of = self.job.position_of;
            self.merger.merge(&mut chunks, |chunk| {
                let length = u32::try_from(chunk.data.len())
                    .map_err(|_| Error::from(CellTooLargeSnafu { bytes: chunk.data.len() }.build()))?;
                let column = data_columns.index_of(chunk.min_time) as usize;
                let cells = &mut columns[position_of[column]];
                let data = cells.records_of(chunk.encoding.byte());
                cell::put_header(chunk.encoding.byte(), chunk.min_time, chunk.max_time, length, data);
                data.extend_from_slice(chunk.data);
                Ok::<_, Error>(())
            })?;
            for cells in &mut self.columns {
                cells.end_cell()?;
            }
        }
        drop(raw);
        let page_bytes = self.job.options.chunk_page_bytes.get() as usize;
        let mut columns = Vec::with_capacity(self.columns.len());
        for cells in &mut self.columns {
            columns.push(cells.take_pages(page_bytes, &mut self.compressor)?);
        }
        // What one column has room for after a long batch, and another after the next, must not add up.
        let room = self.columns.iter().map(|cells| cells.data.capacity() as u64).fold(0, u64::saturating_add);
        if room > bytes.max(self.batch_bytes).saturating_mul(2) || bytes > self.batch_bytes {
            self.columns.iter_mut().for_each(|cells| *cells = Cells::default());
        }
        Ok(Encoded { columns, counts: self.merger.take_counts() })
    }

    /// The chunks of the rows, in order of the rows.
    fn wanted(&self, rows: Range<usize>) -> Result<Vec<Wanted>, Error> {
        let source = self.job.source;
        let mut wanted: Vec<Wanted> = Vec::new();
        for (number, block) in source.blocks.iter().enumerate() {
            let mut series: Vec<SeriesRef> = Vec::new();
            let mut row_of: Vec<usize> = Vec::new();
            for row in rows.clone() {
                for part in self.job.rows.parts(row).iter().filter(|part| part.block as usize == number) {
                    series.push(part.series);
                    row_of.push(row);
                }
            }
            if series.is_empty() {
                continue;
            }
            let tombstones = block.tombstones()?;
            // Faulty writers give a series in several pieces, one after the other: ordinals go on from one to the next,
            // with a gap, because no piece's chunk was written to follow another's.
            let (mut row_before, mut next_ordinal) = (None, 0_u32);
            block.read_series(&series, |place, series, entry| {
                let part = SeriesPart { block: number as u32, series };
                let deleted = tombstones.of(series);
                let row = row_of[place];
                let first = if row_before == Some(row) { next_ordinal.saturating_add(1) } else { 0 };
                (row_before, next_ordinal) = (Some(row), first.saturating_add(entry.chunks.len() as u32));
                let chunks = entry.chunks.iter().zip(first..).filter(|(meta, _)| source.concerns(meta, deleted));
                wanted.extend(chunks.map(|(meta, ordinal)| Wanted { row, part, ordinal, meta: *meta }));
                Ok(ControlFlow::Continue(()))
            })?;
        }
        if !wanted.is_sorted_by_key(|w| w.row) {
            wanted.sort_by_key(|w| w.row);
        }
        Ok(wanted)
    }
}

/// The chunks' bytes, in the order of `wanted`; about `most_bytes` are read at a time.
fn read_wanted(source: &Source<'_>, wanted: &[Wanted], most_bytes: u64) -> Result<Vec<RawChunk>, Error> {
    if let [block] = source.blocks {
        let refs: Vec<_> = wanted.iter().map(|w| ChunkRef(w.meta.reference)).collect();
        return read_chunks(block, &refs, most_bytes);
    }
    let mut raw = vec![RawChunk::default(); wanted.len()];
    for (number, block) in source.blocks.iter().enumerate() {
        let of_block = || wanted.iter().enumerate().filter(|(_, w)| w.part.block as usize == number);
        let refs: Vec<_> = of_block().map(|(_, w)| ChunkRef(w.meta.reference)).collect();
        let chunks = read_chunks(block, &refs, most_bytes)?;
        for ((place, _), chunk) in of_block().zip(chunks) {
            raw[place] = chunk;
        }
    }
    Ok(raw)
}

/// The cells of one column of a batch.
#[derive(Default)]
struct Cells {
    lengths: Vec<u32>,
    data: Vec<u8>,
    ended: usize,
    /// Records of the open cell by encoding, but for those of XOR, which come first and are in `data` already.
    others: Vec<(u8, Vec<u8>)>,
}

impl Cells {
    const FIRST_ENCODING: u8 = 1;

    /// Where records of this encoding go.
    fn records_of(&mut self, encoding: u8) -> &mut Vec<u8> {
        if encoding == Self::FIRST_ENCODING {
            return &mut self.data;
        }
        let at = match self.others.binary_search_by_key(&encoding, |(e, _)| *e) {
            Ok(at) => at,
            Err(at) => {
                self.others.insert(at, (encoding, Vec::new()));
                at
            }
        };
        &mut self.others[at].1
    }

    fn end_cell(&mut self) -> Result<(), Error> {
        for (_, records) in &mut self.others {
            self.data.append(records);
        }
        let bytes = self.data.len() - self.ended;
        // Lengths are encoded as 32-bit integers with sign.
        let length = i32::try_from(bytes).map_err(|_| Error::from(CellTooLargeSnafu { bytes }.build()))?;
        self.lengths.push(length.cast_unsigned());
        self.ended = self.data.len();
        Ok(())
    }

    /// Pages of about `page_bytes` each, alike in size.
    fn take_pages(&mut self, page_bytes: usize, compressor: &mut Compressor) -> Result<Vec<Page>, Error> {
        let count = ((self.data.len() + page_bytes / 2) / page_bytes).max(1);
        let target = self.data.len().div_ceil(count).max(1);
        let mut pages = Vec::with_capacity(count);
        let (mut first, mut start, mut end) = (0, 0, 0);
        for (i, length) in self.lengths.iter().enumerate() {
            end += *length as usize;
            if end - start >= target || i + 1 == self.lengths.len() {
                pages.push(value_page(&self.lengths[first..=i], &self.data[start..end], compressor)?);
                (first, start) = (i + 1, end);
            }
        }
        self.lengths.clear();
        self.data.clear();
        self.ended = 0;
        Ok(pages)
    }
}

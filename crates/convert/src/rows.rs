//! Which series become rows, in which order, and how rows are cut into row groups and shards.

use std::ops::{ControlFlow, Range};

use prometheus_model::{TimeRange, TimestampMs};
use prometheus_tsdb_block::{
    BlockReader, ChunkRef, ChunkSource, Intervals, MergeOptions, MergedSeries, MergedSymbols, SeriesMerger, SeriesPart,
};
use prometheus_tsdb_index::{ChunkMeta, LabelRef, SeriesRef};
use promparquet_schema::DataColumns;

use crate::{
    control::Control,
    error::{Error, LastMillisecondSnafu, TooManyLabelsSnafu},
    memory::{Budget, expected_series},
    options::Options,
};

/// Taken for the size of a chunk where positions do not tell.
const TYPICAL_CHUNK_BYTES: u64 = 256;
/// Rows whose labels are read at once.
pub(crate) const LABEL_BATCH_ROWS: usize = 2048;
/// Series between two looks at the caller's wish to cancel.
const CANCEL_EVERY: u64 = 4096;

/// What a budget is too small for.
const WHAT: &str = "the series of the blocks";

/// The blocks of one conversion, read as one.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    pub(crate) blocks: &'a [BlockReader],
    pub(crate) symbols: &'a MergedSymbols<'a>,
    /// Different pairs of label name and value, counted in each block.
    pub(crate) label_pairs: u64,
    /// Only samples in this range are converted.
    pub(crate) range: TimeRange,
}

/// One row: a series, in one block or several.
#[derive(Clone, Copy, Debug)]
struct Row {
    first_part: u32,
    parts: u32,
    /// Bytes of chunks in the source, about.
    bytes: u32,
    /// How many chunks.
    chunks: u32,
}

/// All rows, sorted. About thirty bytes each.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    rows: Vec<Row>,
    parts: Vec<SeriesPart>,
    /// First and last timestamp of all chunks, as the indexes say.
    pub(crate) times: Option<(TimestampMs, TimestampMs)>,
    /// For each symbol, whether it is a label name of a row.
    is_name: Vec<bool>,
    /// Series of all blocks.
    pub(crate) series_in: u64,
    /// Labels of all rows, and the most that one has.
    pub(crate) labels: u64,
    pub(crate) most_labels: u32,
}

/// What the writers of a shard's two files have in common.
#[derive(Clone, Copy)]
pub(crate) struct ShardJob<'a> {
    pub(crate) source: &'a Source<'a>,
    pub(crate) rows: &'a Rows,
    pub(crate) shard: &'a ShardRows,
    pub(crate) data_columns: DataColumns,
    pub(crate) options: &'a Options,
    pub(crate) control: &'a Control,
}

/// A shard and its row groups.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ShardRows {
    /// Consecutive ranges of rows.
    pub(crate) row_groups: Vec<Range<usize>>,
    /// Label names as symbols, ascending, which is the order of the columns.
    pub(crate) names: Vec<u32>,
}

impl ShardRows {
    pub(crate) fn rows(&self) -> Range<usize> {
        let start = self.row_groups.first().map_or(0, |group| group.start);
        start..self.row_groups.last().map_or(start, |group| group.end)
    }
}

impl Source<'_> {
    /// What was deleted from a series of a block.
    pub(crate) fn deleted(&self, part: SeriesPart) -> Result<Intervals<'_>, Error> {
        let block = &self.blocks[part.block as usize];
        Ok(block.tombstones()?.of(part.series))
    }

    /// Whether a chunk can hold a sample to be converted.
    pub(crate) fn concerns(&self, chunk: &ChunkMeta, deleted: Intervals<'_>) -> bool {
        // A range without its last millisecond; where all was asked for, that one must not be passed over in silence.
        let all = self.range == TimeRange::ALL && chunk.max_time == TimestampMs::MAX;
        (all || self.range.overlaps_closed(chunk.min_time, chunk.max_time))
            && !deleted.covers(chunk.min_time, chunk.max_time)
    }

    /// Labels as text, for messages.
    pub(crate) fn describe(&self, labels: &[LabelRef]) -> String {
        let text = |symbol| self.symbols.get(symbol).unwrap_or("?");
        let pairs: Vec<_> = labels.iter().map(|l| format!("{}={:?}", text(l.name), text(l.value))).collect();
        format!("{{{}}}", pairs.join(", "))
    }

    /// Whether any of these chunks has a sample to be converted. Decodes them.
    fn has_samples(&self, metas: &[(SeriesPart, u32, ChunkMeta)]) -> Result<bool, Error> {
        let mut merger = SeriesMerger::new(MergeOptions {
            range: self.range,
            borders: None,
            max_samples: std::num::NonZeroU16::MAX,
            keep_start_timestamps: false,
        });
        for (part, ordinal, meta) in metas {
            let block = &self.blocks[part.block as usize];
            let reference = ChunkRef(meta.reference);
            let raw = block.read_chunks(&[reference])?;
            let mut chunks = Vec::new();
            for chunk in &raw {
                chunks.push(ChunkSource {
                    block: part.block,
                    ordinal: *ordinal,
                    min_time: meta.min_time,
                    max_time: meta.max_time,
                    deleted: self.deleted(*part)?,
                    chunk,
                    location: block.files().location(),
                    reference,
                });
            }
            let mut any = false;
            merger.merge(&mut chunks, |_| {
                any = true;
                Ok::<_, prometheus_tsdb_block::Error>(())
            })?;
            if any {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Rows {
    /// Finds the series with a sample in range and sorts them; takes their memory from `budget`.
    pub(crate) fn collect(
        source: &Source<'_>,
        options: &Options,
        control: &Control,
        budget: &mut Budget,
    ) -> Result<Self, Error> {
        let sort_names: Vec<Option<u32>> = options.sort_labels.iter().map(|l| source.symbols.find(l)).collect();
        let mut rows = Self { is_name: vec![false; source.symbols.len()], ..Self::default() };
        let mut keys: Vec<u32> = Vec::new();
        budget.take(WHAT, rows.is_name.len())?;
        let expected = source.blocks.iter().map(expected_series).fold(0, usize::saturating_add);
        let of_row = size_of::<Row>() + size_of::<SeriesPart>() + size_of::<u32>() * sort_names.len();
        // Sorting takes the order and another copy of the rows for a while.
        let of_sort = size_of::<u32>() + size_of::<Row>();
        let before = *budget;
        budget.take(WHAT, expected.saturating_mul(of_row + of_sort))?;
        rows.rows.reserve_exact(expected);
        rows.parts.reserve_exact(expected);
        keys.reserve_exact(expected.saturating_mul(sort_names.len()));
        let window_bytes = budget.window_bytes(source.blocks.len());
        let mut series = MergedSeries::new(source.blocks, source.symbols, window_bytes)?;
        let mut previous: Vec<LabelRef> = Vec::new();
        // Whether the last row is that of `previous`.
        let mut is_row = false;
        let mut sizes: Vec<SizeEstimate> = source.blocks.iter().map(|_| SizeEstimate::default()).collect();
        let mut undecided = Vec::new();
        while series.advance()? {
            rows.series_in += 1;
            if rows.series_in.is_multiple_of(CANCEL_EVERY) {
                control.check()?;
                // The blocks' meta said less.
                if rows.parts.len() > expected {
                    *budget = before;
                    budget.take(WHAT, rows.parts.len().saturating_mul(3 * of_row + of_sort))?;
                }
            }
            // Faulty writers give the same labels twice in a row; that is one series.
            if series.labels() != previous.as_slice() {
                previous.clear();
                previous.extend_from_slice(series.labels());
                is_row = false;
            }
            let first_part = rows.parts.len();
            let mut certain = false;
            let (mut bytes, mut chunk_count) = (0_u64, 0_usize);
            undecided.clear();
            for (part, chunks) in series.parts() {
                let size = &mut sizes[part.block as usize];
                size.next_series(chunks, &mut rows.rows);
                let deleted = source.deleted(part)?;
                let mut concerned = false;
                for (chunk, ordinal) in chunks.iter().zip(0_u32..).filter(|(c, _)| source.concerns(c, deleted)) {
                    concerned = true;
                    if chunk.max_time == TimestampMs::MAX && source.range == TimeRange::ALL {
                        return Err(LastMillisecondSnafu { series: source.describe(&previous) }.build().into());
                    }
                    // There is a sample at either end of a chunk.
                    let kept = |t| source.range.contains(t) && !deleted.contains(t);
                    if kept(chunk.min_time) || kept(chunk.max_time) {
                        certain = true;
                    } else if !certain {
                        undecided.push((part, ordinal, *chunk));
                    }
                    let times = rows.times.get_or_insert((chunk.min_time, chunk.max_time));
                    *times = (times.0.min(chunk.min_time), times.1.max(chunk.max_time));
                }
                if concerned {
                    bytes += size.of_series(chunks);
                    chunk_count += chunks.len();
                    rows.parts.push(part);
                }
            }
            let parts = rows.parts.len() - first_part;
            if parts == 0 || !(certain || source.has_samples(&undecided)?) {
                rows.parts.truncate(first_part);
                continue;
            }
            let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
            let chunks = u32::try_from(chunk_count).unwrap_or(u32::MAX);
            if let Some(row) = rows.rows.last_mut().filter(|_| is_row) {
                row.parts += parts as u32;
                row.bytes = row.bytes.saturating_add(bytes);
                row.chunks = row.chunks.saturating_add(chunks);
                continue;
            }
            for (part, _) in series.parts() {
                sizes[part.block as usize].row = Some(rows.rows.len());
            }
            rows.rows.push(Row { first_part: first_part as u32, parts: parts as u32, bytes, chunks });
            is_row = true;
            rows.labels += previous.len() as u64;
            rows.most_labels = rows.most_labels.max(previous.len() as u32);
            for label in &previous {
                rows.is_name[label.name as usize] = true;
            }
            keys.extend(sort_names.iter().map(|name| {
                let value = name.and_then(|name| previous.iter().find(|label| label.name == name));
                value.map_or(0, |label| label.value + 1) // a missing label sorts as an empty one
            }));
        }
        for (size, block) in sizes.iter_mut().zip(source.blocks) {
            size.finish(block.chunks().segment_sizes(), &mut rows.rows);
        }
        rows.sort(&keys, sort_names.len());
        rows.rows.shrink_to_fit();
        rows.parts.shrink_to_fit();
        *budget = before;
        budget.take(WHAT, rows.memory_size())?;
        Ok(rows)
    }

    /// Stable, so that rows with equal keys stay in label order.
    fn sort(&mut self, keys: &[u32], keys_per_row: usize) {
        if keys_per_row == 0 {
            return;
        }
        let key = |row: &u32| &keys[*row as usize * keys_per_row..][..keys_per_row];
        let mut order: Vec<u32> = (0..self.rows.len() as u32).collect();
        if order.is_sorted_by_key(key) {
            return;
        }
        order.sort_by_key(key);
        self.rows = order.iter().map(|row| self.rows[*row as usize]).collect();
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// For each of so many blocks, whether any row has a part there.
    pub(crate) fn blocks_used(&self, blocks: usize) -> Vec<bool> {
        let mut used = vec![false; blocks];
        self.parts.iter().for_each(|part| used[part.block as usize] = true);
        used
    }

    /// Bytes that this holds, but for the label names.
    fn memory_size(&self) -> usize {
        self.rows.capacity() * size_of::<Row>() + self.parts.capacity() * size_of::<SeriesPart>()
    }

    /// Where the series of a row occurs.
    pub(crate) fn parts(&self, row: usize) -> &[SeriesPart] {
        let row = self.rows[row];
        &self.parts[row.first_part as usize..][..row.parts as usize]
    }

    /// Bytes of chunks of a row in the source, about.
    pub(crate) fn bytes(&self, row: usize) -> u64 {
        self.rows[row].bytes.into()
    }

    /// How many chunks a row has in the source.
    pub(crate) fn chunks(&self, row: usize) -> u64 {
        self.rows[row].chunks.into()
    }

    /// Cuts the rows into shards and row groups.
    pub(crate) fn shards(
        &self,
        source: &Source<'_>,
        options: &Options,
        control: &Control,
    ) -> Result<Vec<ShardRows>, Error> {
        if self.rows.is_empty() {
            return Ok(Vec::new());
        }
        let all_names =
            || (0..).zip(&self.is_name).filter(|(_, is)| **is).map(|(symbol, _)| symbol).collect::<Vec<u32>>();
        let names = all_names();
        let group_rows = options.row_group_rows.get() as usize;
        let max_groups = options.row_groups_per_shard.map_or(usize::MAX, |n| n.get() as usize);
        let shard_rows = group_rows.saturating_mul(max_groups);
        let shard_rows = self.len().div_ceil(self.len().div_ceil(shard_rows));
        let limits = Limits {
            shard_rows,
            group_rows,
            group_bytes: options.row_group_bytes.map_or(u64::MAX, std::num::NonZeroU64::get),
            max_groups,
            max_names: options.max_columns.get() as usize - SYSTEM_COLUMNS,
        };
        let mut cutter = Cutter::new(limits, self.is_name.len());
        if max_groups == usize::MAX && names.len() <= limits.max_names {
            (0..self.len()).for_each(|row| cutter.add(row, self.bytes(row)));
            let row_groups = cutter.groups;
            return Ok(vec![ShardRows { row_groups, names }]);
        }
        let mut shards = Vec::new();
        let mut labels = LabelBatch::default();
        for start in (0..self.len()).step_by(LABEL_BATCH_ROWS) {
            control.check()?;
            let rows = start..(start + LABEL_BATCH_ROWS).min(self.len());
            labels.read(source, self, rows.clone())?;
            for row in rows.clone() {
                let of_row = labels.of(row - start);
                if of_row.len() > limits.max_names {
                    let (series, labels, limit) = (source.describe(of_row), of_row.len(), options.max_columns.get());
                    return Err(TooManyLabelsSnafu { series, labels, limit }.build().into());
                }
                if cutter.is_full(of_row, self.bytes(row)) {
                    shards.push(cutter.take());
                }
                cutter.add(row, self.bytes(row));
                cutter.add_names(of_row);
            }
        }
        shards.push(cutter.take());
        Ok(shards)
    }
}

/// `s_col_indexes` and `s_series_hash`.
pub(crate) const SYSTEM_COLUMNS: usize = 2;

#[derive(Clone, Copy)]
struct Limits {
    shard_rows: usize,
    group_rows: usize,
    group_bytes: u64,
    max_groups: usize,
    max_names: usize,
}

/// Cuts rows that come one after another.
struct Cutter {
    limits: Limits,
    groups: Vec<Range<usize>>,
    rows: usize,
    bytes_of_group: u64,
    is_name: Vec<bool>,
    names: Vec<u32>,
}

impl Cutter {
    fn new(limits: Limits, symbols: usize) -> Self {
        let is_name = vec![false; symbols];
        Self { limits, groups: Vec::new(), rows: 0, bytes_of_group: 0, is_name, names: Vec::new() }
    }

    fn needs_group(&self, bytes: u64) -> bool {
        self.groups.last().is_none_or(|group| {
            group.len() == self.limits.group_rows || self.bytes_of_group.saturating_add(bytes) > self.limits.group_bytes
        })
    }

    /// Whether a row with these labels needs a new shard.
    fn is_full(&self, labels: &[LabelRef], bytes: u64) -> bool {
        let new_names = labels.iter().filter(|label| !self.is_name[label.name as usize]).count();
        self.rows == self.limits.shard_rows
            || self.rows > 0 && self.names.len() + new_names > self.limits.max_names
            || self.groups.len() == self.limits.max_groups && self.needs_group(bytes)
    }

    fn add(&mut self, row: usize, bytes: u64) {
        if self.needs_group(bytes) {
            self.groups.push(row..row);
            self.bytes_of_group = 0;
        }
        if let Some(group) = self.groups.last_mut() {
            group.end = row + 1;
        }
        self.bytes_of_group = self.bytes_of_group.saturating_add(bytes);
        self.rows += 1;
    }

    fn add_names(&mut self, labels: &[LabelRef]) {
        for label in labels {
            if !std::mem::replace(&mut self.is_name[label.name as usize], true) {
                self.names.push(label.name);
            }
        }
    }

    fn take(&mut self) -> ShardRows {
        let mut names = std::mem::take(&mut self.names);
        names.iter().for_each(|name| self.is_name[*name as usize] = false);
        names.sort_unstable();
        self.rows = 0;
        self.bytes_of_group = 0;
        ShardRows { row_groups: std::mem::take(&mut self.groups), names }
    }
}

/// Estimates the sizes of chunks from their positions: each ends where the next begins.
#[derive(Default)]
struct SizeEstimate {
    /// Last chunk of the series before, and its row, if it became one.
    last: Option<ChunkRef>,
    row: Option<usize>,
}

impl SizeEstimate {
    /// A longer distance is a hole, not a chunk.
    const MOST: u64 = 1 << 20;

    fn distance(from: ChunkRef, to: ChunkRef) -> u64 {
        let distance = to.0.checked_sub(from.0).filter(|_| from.segment() == to.segment());
        distance.filter(|bytes| *bytes <= Self::MOST).unwrap_or(TYPICAL_CHUNK_BYTES)
    }

    /// The last chunk of the last series ends where its segment does.
    fn finish(&mut self, segments: &[u64], rows: &mut [Row]) {
        let Some(last) = self.last else { return };
        let end = usize::try_from(last.segment()).ok().and_then(|n| segments.get(n)).copied().unwrap_or_default();
        let end = last.0.saturating_add(end.saturating_sub(last.offset().into()));
        self.next_series(&[ChunkMeta { min_time: 0, max_time: 0, reference: end }], rows);
    }

    /// The last chunk of the series before ends where the first of this one begins.
    fn next_series(&mut self, chunks: &[ChunkMeta], rows: &mut [Row]) {
        let row = self.row.take().and_then(|row| rows.get_mut(row));
        if let (Some(row), Some(last)) = (row, self.last) {
            let bytes =
                chunks.first().map_or(TYPICAL_CHUNK_BYTES, |first| Self::distance(last, ChunkRef(first.reference)));
            row.bytes = row.bytes.saturating_add(bytes as u32);
        }
        self.last = chunks.last().map(|chunk| ChunkRef(chunk.reference));
    }

    /// All but the last chunk, whose size the next series tells.
    fn of_series(&self, chunks: &[ChunkMeta]) -> u64 {
        chunks.windows(2).map(|w| Self::distance(ChunkRef(w[0].reference), ChunkRef(w[1].reference))).sum()
    }
}

/// The labels of consecutive rows.
#[derive(Debug, Default)]
pub(crate) struct LabelBatch {
    labels: Vec<LabelRef>,
    /// For each row its range of `labels`.
    of_row: Vec<Range<usize>>,
}

impl LabelBatch {
    /// Reads the labels of `rows`, in the numbering of the merged symbols.
    pub(crate) fn read(&mut self, source: &Source<'_>, rows: &Rows, range: Range<usize>) -> Result<(), Error> {
        self.labels.clear();
        self.of_row.clear();
        self.of_row.resize(range.len(), 0..0);
        for (number, block) in source.blocks.iter().enumerate() {
            let mut wanted: Vec<SeriesRef> = Vec::new();
            let mut places: Vec<usize> = Vec::new();
            for row in range.clone() {
                // Every part has the same labels.
                if let Some(part) = rows.parts(row).first().filter(|part| part.block as usize == number) {
                    wanted.push(part.series);
                    places.push(row - range.start);
                }
            }
            if wanted.is_empty() {
                continue;
            }
            let (labels, of_row) = (&mut self.labels, &mut self.of_row);
            block.read_series(&wanted, |place, _, entry| {
                let start = labels.len();
                labels.extend_from_slice(&entry.labels);
                source.symbols.renumber(number, &mut labels[start..]);
                of_row[places[place]] = start..labels.len();
                Ok(ControlFlow::Continue(()))
            })?;
        }
        Ok(())
    }

    /// Labels of the `n`-th row read.
    pub(crate) fn of(&self, n: usize) -> &[LabelRef] {
        &self.labels[self.of_row[n].clone()]
    }
}

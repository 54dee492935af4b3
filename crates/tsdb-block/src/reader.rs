//! One block, opened.

use std::{
    ops::{ControlFlow, Range},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use bytes::Bytes;
use prometheus_model::TimestampMs;
use prometheus_tsdb_index::{
    LabelRef, Layout, Postings, PostingsTable, SeriesDecoder, SeriesEntry, SeriesRef, Symbols, Version,
};

use crate::{
    error::{Detail, Error, Result},
    files::{BlockFile, BlockFiles},
    meta::{BlockMeta, BlockStats},
    runs::{ReadOptions, coalesce},
    segment::{ChunkReader, ChunkRef, RawChunk, check_segment},
    tombstones::Tombstones,
};

mod postings;
mod scan;

pub use scan::SeriesScan;

/// The version of a `meta.json` that tells of an index of version 2 which says it has version 1.
const MISTAKEN_META_VERSION: u32 = 2;

/// Reads a block: its meta, the series of its index, its chunks and tombstones.
///
/// Opening reads `meta.json` and the ends of the index and lists the segments; the rest is read as it is asked for.
/// All methods take `&self` and may be called from several threads.
///
/// ```no_run
/// use std::{ops::ControlFlow, sync::Arc};
///
/// use prometheus_tsdb_block::{BlockReader, ChunkRef, LocalBlock};
///
/// let block = BlockReader::open(Arc::new(LocalBlock::open("data/01JGFSEP80VHQAZ8FEAQD9QWMS")?))?;
/// block.scan_series(1 << 20, |_series, entry| {
///     let refs: Vec<_> = entry.chunks.iter().map(|meta| ChunkRef(meta.reference)).collect();
///     let chunks = block.read_chunks(&refs)?; // better: the chunks of many series at once
///     assert_eq!(chunks.len(), entry.chunks.len());
///     Ok(ControlFlow::Continue(()))
/// })?;
/// # Ok::<(), prometheus_tsdb_block::Error>(())
/// ```
#[derive(Debug)]
pub struct BlockReader {
    files: Arc<dyn BlockFiles>,
    options: ReadOptions,
    meta: BlockMeta,
    layout: Layout,
    chunks: ChunkReader,
    symbols: Lazy<Symbols>,
    postings_table: Lazy<PostingsTable>,
    tombstones: Lazy<Tombstones>,
}

/// What an index holds, to be compared with the [`BlockStats`] of the block's meta: see
/// [`matches`](Self::matches).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct IndexStats {
    /// Series.
    pub num_series: u64,
    /// Chunks.
    pub num_chunks: u64,
    /// First and last timestamp (inclusive) of all chunks, as the index gives them; `None` without chunks.
    pub time_bounds: Option<(TimestampMs, TimestampMs)>,
}

impl IndexStats {
    /// Whether the meta counted as many series and chunks.
    #[must_use]
    pub fn matches(&self, stats: &BlockStats) -> bool {
        self.num_series == stats.num_series && self.num_chunks == stats.num_chunks
    }

    pub(crate) fn add(&mut self, entry: &SeriesEntry) {
        self.num_series = self.num_series.saturating_add(1);
        self.num_chunks = self.num_chunks.saturating_add(entry.chunks.len() as u64);
        for chunk in &entry.chunks {
            let (min, max) = self.time_bounds.unwrap_or((chunk.min_time, chunk.max_time));
            self.time_bounds = Some((min.min(chunk.min_time), max.max(chunk.max_time)));
        }
    }
}

impl BlockReader {
    /// Opens a block with the options for local files.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if the meta or the index is missing,
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) or [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported)
    /// if one of them is not the format or a segment is missing, and those of the reads.
    pub fn open(files: Arc<dyn BlockFiles>) -> Result<Self> {
        Self::open_with(files, ReadOptions::default())
    }

    /// Opens a block; `options` hold for [`read_series`](Self::read_series) and [`read_chunks`](Self::read_chunks).
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(files: Arc<dyn BlockFiles>, options: ReadOptions) -> Result<Self> {
        let meta = BlockMeta::read(&*files)?;
        let size = files.size(BlockFile::Index)?;
        let ends = [0..size.min(Layout::HEAD_LEN as u64), size.saturating_sub(Layout::TAIL_LEN as u64)..size];
        let buffers = files.read_ranges(BlockFile::Index, &ends)?;
        let (head, tail) = (buffers.first().cloned().unwrap_or_default(), buffers.get(1).cloned().unwrap_or_default());
        let mut layout = Layout::parse(&head, &tail, size).map_err(|e| index_error(&*files, e))?;
        if meta.version == MISTAKEN_META_VERSION {
            layout = layout.with_version(Version::V2);
        }
        let chunks = ChunkReader::open(Arc::clone(&files), options)?;
        Ok(Self {
            files,
            options,
            meta,
            layout,
            chunks,
            symbols: Lazy::default(),
            postings_table: Lazy::default(),
            tombstones: Lazy::default(),
        })
    }

    /// The block's `meta.json`.
    #[must_use]
    pub fn meta(&self) -> &BlockMeta {
        &self.meta
    }

    /// The block's files.
    #[must_use]
    pub fn files(&self) -> &Arc<dyn BlockFiles> {
        &self.files
    }

    /// How reads are coalesced.
    #[must_use]
    pub fn read_options(&self) -> ReadOptions {
        self.options
    }

    /// Where the sections of the index lie.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The reader of the chunk segments.
    #[must_use]
    pub fn chunks(&self) -> &ChunkReader {
        &self.chunks
    }

    /// The symbols of the index, read at the first call and kept.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) if the section is not the format, and those of the reads.
    pub fn symbols(&self) -> Result<&Symbols> {
        self.symbols.get_or_try_init(|| {
            let range = self.layout.symbols();
            let section = self.files.read(BlockFile::Index, range.clone())?;
            Symbols::parse(&section, self.layout.version(), range.start).map_err(|e| self.index_error(e))
        })
    }

    /// Label names and values, and where the series of each are listed; read at the first call and kept.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) if the section is not the format, and those of the reads.
    pub fn postings_table(&self) -> Result<&PostingsTable> {
        self.postings_table.get_or_try_init(|| {
            let section = self.files.read(BlockFile::Index, self.layout.postings_table())?;
            PostingsTable::parse(&section, &self.layout).map_err(|e| self.index_error(e))
        })
    }

    /// Reads the postings lists in `ranges`, which are those that [`postings_table`](Self::postings_table) gives, each once, and
    /// calls `f` with each one's place in `ranges`, ascending by offset.
    ///
    /// At most about `max_run_bytes` of the options are held at a time, or one list if that is longer.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) if there is no list in a range or two begin at the same
    /// place, and those of the reads and of `f`.
    pub fn read_postings(
        &self,
        ranges: &[Range<u64>],
        f: impl FnMut(usize, &Postings) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        postings::read(self, ranges, f)
    }

    /// The block's tombstones, read at the first call and kept; empty if it has none.
    ///
    /// # Errors
    /// Those of [`Tombstones::read`].
    pub fn tombstones(&self) -> Result<&Tombstones> {
        self.tombstones.get_or_try_init(|| Tombstones::read(&*self.files))
    }

    /// Starts to walk through all series in the order of the index, which is that of their labels, reading windows of
    /// about `window_bytes`.
    ///
    /// # Errors
    /// Those of [`symbols`](Self::symbols).
    pub fn series(&self, window_bytes: u64) -> Result<SeriesScan<'_>> {
        SeriesScan::new(self, window_bytes)
    }

    /// Calls `f` for all series as [`series`](Self::series) finds them, until it breaks or fails.
    ///
    /// # Errors
    /// Those of [`SeriesScan::next`] and of `f`.
    pub fn scan_series(
        &self,
        window_bytes: u64,
        mut f: impl FnMut(SeriesRef, &SeriesEntry) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let (mut scan, mut entry) = (self.series(window_bytes)?, SeriesEntry::default());
        while let Some(series) = scan.next(&mut entry)? {
            if f(series, &entry)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Walks through the whole index, checks that every chunk reference points into a segment, and counts.
    ///
    /// # Errors
    /// Those of [`scan_series`](Self::scan_series); [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) if a chunk cannot
    /// be where the index says.
    pub fn check_index(&self, window_bytes: u64) -> Result<IndexStats> {
        let (mut scan, mut entry) = (self.series(window_bytes)?, SeriesEntry::default());
        while scan.next(&mut entry)?.is_some() {
            for chunk in &entry.chunks {
                let chunk = ChunkRef(chunk.reference);
                check_segment(self.files.location(), chunk, chunk, self.chunks.segment_sizes())?;
            }
        }
        Ok(scan.stats())
    }

    /// Reads the entries of some series, such as those of a postings list, and calls `f` with each one's place in
    /// `series` and the entry, ascending by reference, until it breaks or fails. References may come in any order and
    /// more than once; ascending is fastest.
    ///
    /// At most about `max_run_bytes` of the options are held at a time.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) if there is no series at a reference, those of
    /// [`symbols`](Self::symbols), of the reads and of `f`.
    pub fn read_series(
        &self,
        series: &[SeriesRef],
        mut f: impl FnMut(usize, SeriesRef, &SeriesEntry) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let (version, section) = (self.layout.version(), self.layout.series());
        let mut order: Vec<_> = series.iter().copied().zip(0..).collect();
        if !series.is_sorted() {
            order.sort_unstable();
        }
        for (series, _) in order.first().into_iter().chain(order.last()) {
            let offset = series.byte_offset(version);
            if !section.contains(&offset) {
                let expected = format!("a series in [{}, {})", section.start, section.end);
                return Err(self.corrupt_index(offset, expected, format!("the reference {}", series.0)));
            }
        }
        let decoder = SeriesDecoder::new(self.symbols()?);
        let mut entry = SeriesEntry::default();
        let offsets = order.iter().map(|(series, _)| series.byte_offset(version));
        let runs = coalesce(offsets, section.end, self.options);
        // Short runs are read together, so that a store can fetch them in parallel.
        let mut batches = Vec::new();
        let mut batch_bytes = 0_u64;
        for run in runs {
            let length = run.bytes.end.saturating_sub(run.bytes.start);
            batch_bytes = batch_bytes.saturating_add(length);
            match batches.last_mut() {
                Some(batch) if batch_bytes <= self.options.max_run_bytes => Vec::push(batch, run),
                _ => {
                    batch_bytes = length;
                    batches.push(vec![run]);
                }
            }
        }
        for batch in batches {
            let ranges: Vec<_> = batch.iter().map(|run| run.bytes.clone()).collect();
            let buffers = self.files.read_ranges(BlockFile::Index, &ranges)?;
            for (run, buffer) in batch.iter().zip(&buffers) {
                let mut after = run.pieces.start;
                let pieces = order.get(run.pieces.clone()).unwrap_or_default();
                for copies in pieces.chunk_by(|(a, _), (b, _)| a == b) {
                    let Some(&(series, _)) = copies.first() else { continue };
                    after = after.saturating_add(copies.len());
                    // Entries do not overlap, so the next one bounds this one. Hence the work is linear on any input.
                    let bound = order.get(after).map_or(section.end, |(next, _)| next.byte_offset(version));
                    self.decode_series(
                        &decoder,
                        series.byte_offset(version),
                        buffer,
                        run.bytes.start,
                        bound,
                        &mut entry,
                    )?;
                    for (_, place) in copies {
                        if f(*place, series, &entry)?.is_break() {
                            return Ok(());
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Reads chunks by reference, in any order; see [`ChunkReader::read`].
    ///
    /// # Errors
    /// Those of [`ChunkReader::read`].
    pub fn read_chunks(&self, refs: &[ChunkRef]) -> Result<Vec<RawChunk>> {
        self.chunks.read(refs)
    }

    /// Decodes the entry at `offset` from a buffer that begins at `start`, or reads it if it goes beyond the buffer.
    fn decode_series(
        &self,
        decoder: &SeriesDecoder<'_>,
        offset: u64,
        buffer: &Bytes,
        start: u64,
        bound: u64,
        entry: &mut SeriesEntry,
    ) -> Result<()> {
        let at = offset.checked_sub(start).and_then(|at| usize::try_from(at).ok());
        let mut bytes = at.and_then(|at| buffer.get(at..)).unwrap_or_default();
        // A buffer goes on for the longest varint, or to the end of the section, or to the next entry.
        let length = SeriesDecoder::entry_len(bytes, offset).map_err(|e| self.index_error(e))?;
        let end = length.and_then(|length| offset.checked_add(length as u64)).filter(|end| *end <= bound);
        let (Some(length), Some(end)) = (length, end) else {
            let found = length.map_or("one cut short".into(), |length| format!("one of {length} bytes"));
            return Err(self.corrupt_index(offset, format!("a series that ends before {bound}"), found));
        };
        let longer;
        if bytes.len() < length {
            longer = self.files.read(BlockFile::Index, offset..end)?;
            bytes = &longer;
        }
        decoder.decode(bytes, offset, entry).map_err(|e| self.index_error(e))?;
        Ok(())
    }

    fn read_index(&self, range: Range<u64>) -> Result<Bytes> {
        self.files.read(BlockFile::Index, range)
    }

    #[cold]
    fn corrupt_index(&self, offset: u64, expected: String, found: String) -> Error {
        let (location, file) = (self.files.location().into(), BlockFile::Index);
        Detail::Corrupt { location, file, offset, expected, found }.into()
    }

    #[cold]
    fn index_error(&self, source: prometheus_tsdb_index::Error) -> Error {
        index_error(&*self.files, source)
    }
}

#[cold]
fn index_error(files: &dyn BlockFiles, source: prometheus_tsdb_index::Error) -> Error {
    Detail::Index { location: files.location().into(), file: BlockFile::Index, source }.into()
}

/// Labels as text, for messages.
fn display_labels(symbols: &Symbols, labels: &[LabelRef]) -> String {
    let text = |symbol| symbols.get_bytes(symbol).map_or_else(|_| "?".into(), |b| b.escape_ascii().to_string());
    let pairs: Vec<_> = labels.iter().map(|l| format!("{}=\"{}\"", text(l.name), text(l.value))).collect();
    format!("{{{}}}", pairs.join(", "))
}

/// A value that is made at its first use. A failure is not kept: the next use tries again.
#[derive(Debug)]
struct Lazy<T> {
    value: OnceLock<T>,
    /// Held while the value is made, so that it is made once.
    making: Mutex<()>,
}

impl<T> Default for Lazy<T> {
    fn default() -> Self {
        Self { value: OnceLock::new(), making: Mutex::new(()) }
    }
}

impl<T> Lazy<T> {
    fn get_or_try_init(&self, make: impl FnOnce() -> Result<T>) -> Result<&T> {
        if let Some(value) = self.value.get() {
            return Ok(value);
        }
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        match self.value.get() {
            Some(value) => Ok(value),
            None => {
                let value = make()?;
                Ok(self.value.get_or_init(|| value))
            }
        }
    }
}

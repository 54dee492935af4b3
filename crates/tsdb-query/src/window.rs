//! Series with their chunks, window by window.

use std::{num::NonZeroU16, ops::ControlFlow, sync::Arc};

use prometheus_chunks::{Encoding, sample_count};
use prometheus_model::{Labels, LabelsBuilder, TimeRange, stable_hash};
use prometheus_queryable::{Chunk, Error, ErrorKind, Result, Series, SeriesData, Sharding};
use prometheus_tsdb_block::{
    BlockReader, ChunkRef, ChunkSource, MergeOptions, MergedChunk, RawChunk, SeriesMerger, Tombstones,
};
use prometheus_tsdb_index::{ChunkMeta, LabelRef, SeriesEntry, SeriesRef, Symbols};

use crate::{
    error::{LimitExceeded, corrupt, of_block, of_index},
    options::BlockQueryOptions,
    postings::Candidates,
};

/// What a chunk takes whose length is not known yet.
const ESTIMATED_CHUNK_BYTES: u64 = 512;
/// No more than this is believed of the length of a chunk that the next one's place suggests.
const MAX_ESTIMATED_CHUNK_BYTES: u64 = 1 << 20;

/// What is selected of a block.
#[derive(Debug)]
pub(crate) struct Selection {
    pub(crate) block: Arc<BlockReader>,
    pub(crate) options: BlockQueryOptions,
    pub(crate) candidates: Candidates,
    pub(crate) range: TimeRange,
    pub(crate) series_only: bool,
    pub(crate) sharding: Option<Sharding>,
    /// The caller does not look at more series.
    pub(crate) limit: usize,
}

/// How far a [`Selection`] has been read.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// The next of the candidates.
    at: usize,
    given: usize,
    chunk_bytes: u64,
    /// Labels of the last candidate that was read.
    previous: Vec<LabelRef>,
    /// The last series, to which the next entry of the index may add chunks, if it has the same labels.
    open: Option<Pending>,
    /// Whether the last series has the labels of the last candidate.
    is_open: bool,
}

/// A series whose chunks are not read yet.
#[derive(Debug)]
struct Pending {
    labels: Labels,
    /// Chunks in range, each with the entry that it is from.
    chunks: Vec<(SeriesRef, ChunkMeta)>,
}

impl Selection {
    /// Reads the next window; at least one series, unless there are no more.
    pub(crate) fn next(&self, progress: &mut Progress) -> Result<Vec<Series>> {
        loop {
            let pending = self.next_pending(progress)?;
            if pending.is_empty() && progress.open.is_none() && progress.at >= self.candidates.refs.len() {
                return Ok(Vec::new());
            }
            let mut series =
                if self.series_only { self.labels_only(pending) } else { self.read_chunks(pending, progress)? };
            series.truncate(self.limit.saturating_sub(progress.given));
            progress.given = progress.given.saturating_add(series.len());
            if let Some(limit) = self.options.max_series
                && progress.given > limit
            {
                return Err(LimitExceeded::Series { location: self.block.files().location().into(), limit }.into());
            }
            if progress.given >= self.limit {
                progress.at = self.candidates.refs.len();
                progress.open = None;
            }
            if !series.is_empty() {
                return Ok(series);
            }
        }
    }

    /// Reads entries until a window is full.
    fn next_pending(&self, progress: &mut Progress) -> Result<Vec<Pending>> {
        let block = &*self.block;
        let symbols = block.symbols().map_err(of_block)?;
        let tombstones = block.tombstones().map_err(of_block)?;
        let mut pending: Vec<_> = progress.open.take().into_iter().collect();
        let most = self.options.window_series.get().min(self.limit.saturating_add(1));
        let window: Vec<_> = self.candidates.refs.window(progress.at, most).collect();
        let mut builder = LabelsBuilder::default();
        let (mut read, mut bytes, mut failed) = (0_usize, 0_u64, None);
        block
            .read_series(&window, |_, reference, entry| {
                read = read.saturating_add(1);
                if let Err(e) =
                    self.add(reference, entry, symbols, tombstones, progress, &mut builder, &mut pending, &mut bytes)
                {
                    failed = Some(e);
                    return Ok(ControlFlow::Break(()));
                }
                let is_full = bytes >= self.options.window_bytes;
                Ok(if is_full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            })
            .map_err(of_block)?;
        if let Some(e) = failed {
            return Err(e);
        }
        progress.at = progress.at.saturating_add(read);
        if progress.at < self.candidates.refs.len() {
            progress.open = pending.pop();
        }
        Ok(pending)
    }

    /// Adds an entry of the index, if it fits.
    #[expect(clippy::too_many_arguments, reason = "the state of one loop, borrowed by its body")]
    fn add(
        &self,
        reference: SeriesRef,
        entry: &SeriesEntry,
        symbols: &Symbols,
        tombstones: &Tombstones,
        progress: &mut Progress,
        builder: &mut LabelsBuilder,
        pending: &mut Vec<Pending>,
        bytes: &mut u64,
    ) -> Result<()> {
        let location = self.block.files().location();
        // A label without a value is no label; the symbol of no text is the first, if there is one.
        let no_value = symbols.find("");
        let labels = || entry.labels.iter().copied().filter(|label| Some(label.value) != no_value);
        progress.is_open = progress.is_open && labels().eq(progress.previous.iter().copied());
        if labels().lt(progress.previous.iter().copied()) {
            let found = format!("series {} too late", reference.0);
            return Err(corrupt(location, "series in the order of their labels", found));
        }
        progress.previous.clear();
        progress.previous.extend(labels());
        if !self.candidates.fits(&self.block, entry)? {
            return Ok(());
        }
        let deleted = tombstones.of(reference);
        let is_wanted = |chunk: &&ChunkMeta| {
            self.range.overlaps_closed(chunk.min_time, chunk.max_time)
                && !deleted.covers(chunk.min_time, chunk.max_time)
        };
        let mut chunks = entry.chunks.iter().filter(is_wanted).peekable();
        if chunks.peek().is_none() {
            return Ok(());
        }
        if let Some(sharding) = self.sharding {
            let text = |symbol| symbols.get_bytes(symbol).map_err(|e| of_index(location, e));
            let pairs = entry.labels.iter().map(|label| Ok((text(label.name)?, text(label.value)?)));
            let pairs: Vec<_> = pairs.filter(|pair| !matches!(pair, Ok((_, [])))).collect::<Result<_>>()?;
            if !sharding.contains_hash(stable_hash(pairs)) {
                return Ok(());
            }
        }
        *bytes = bytes.saturating_add(estimated_bytes(&entry.chunks, self.range));
        let chunks = chunks.map(|chunk| (reference, *chunk));
        // Some faulty writers give the same labels twice in a row.
        if let Some(last) = pending.last_mut().filter(|_| progress.is_open) {
            last.chunks.extend(chunks);
            return Ok(());
        }
        for label in &entry.labels {
            let text = |symbol| symbols.get(symbol).map_err(|e| of_index(location, e));
            let (name, value) = (text(label.name)?, text(label.value)?);
            builder.push(name, value).map_err(|e| corrupt(location, "a label set", e.to_string()))?;
        }
        progress.is_open = true;
        pending.push(Pending { labels: builder.finish(), chunks: chunks.collect() });
        Ok(())
    }

    fn labels_only(&self, pending: Vec<Pending>) -> Vec<Series> {
        let series =
            |Pending { labels, .. }| Series { labels, hash: None, range: self.range, data: SeriesData::Labels };
        pending.into_iter().map(series).collect()
    }

    fn read_chunks(&self, pending: Vec<Pending>, progress: &mut Progress) -> Result<Vec<Series>> {
        let location = self.block.files().location();
        let tombstones = self.block.tombstones().map_err(of_block)?;
        let refs: Vec<_> = pending
            .iter()
            .flat_map(|series| series.chunks.iter().map(|(_, chunk)| ChunkRef(chunk.reference)))
            .collect();
        let raw = self.block.read_chunks(&refs).map_err(of_block)?;
        let bytes = raw.iter().fold(0_u64, |sum, chunk| sum.saturating_add(chunk.data.len() as u64));
        progress.chunk_bytes = progress.chunk_bytes.saturating_add(bytes);
        if let Some(limit) = self.options.max_chunk_bytes
            && progress.chunk_bytes > limit
        {
            return Err(LimitExceeded::ChunkBytes { location: location.into(), limit }.into());
        }
        let mut rest = raw.as_slice();
        let mut all = Vec::with_capacity(pending.len());
        let mut merger = None;
        for Pending { labels, chunks } in pending {
            let (raw, after) = rest.split_at_checked(chunks.len()).unwrap_or((rest, &[]));
            rest = after;
            let stays = chunks.array_windows().all(|[(_, a), (_, b)]| a.max_time < b.min_time)
                && chunks.iter().all(|(series, c)| !tombstones.of(*series).overlaps(c.min_time, c.max_time));
            let chunks = if stays {
                as_stored(location, &chunks, raw)?
            } else {
                let merger = merger.get_or_insert_with(|| SeriesMerger::new(MERGE));
                merged(location, &chunks, raw, tombstones, merger)?
            };
            if !chunks.is_empty() {
                all.push(Series { labels, hash: None, range: self.range, data: SeriesData::Chunks(chunks) });
            }
        }
        Ok(all)
    }
}

/// About how many bytes the chunks in range take: a chunk ends where the next one begins, or before.
fn estimated_bytes(chunks: &[ChunkMeta], range: TimeRange) -> u64 {
    let lengths =
        chunks.iter().enumerate().filter(|(_, c)| range.overlaps_closed(c.min_time, c.max_time)).map(|(i, chunk)| {
            let next = chunks.get(i.saturating_add(1)).and_then(|next| next.reference.checked_sub(chunk.reference));
            next.filter(|length| *length <= MAX_ESTIMATED_CHUNK_BYTES).unwrap_or(ESTIMATED_CHUNK_BYTES)
        });
    lengths.fold(0, u64::saturating_add)
}

/// Chunks that need no more than a look at their headers.
fn as_stored(location: &str, metas: &[(SeriesRef, ChunkMeta)], raw: &[RawChunk]) -> Result<Vec<Chunk>> {
    let mut chunks = Vec::with_capacity(raw.len());
    for ((_, meta), raw) in metas.iter().zip(raw) {
        let of_chunk = |e: prometheus_chunks::Error| {
            let kind = match e.kind() {
                prometheus_chunks::ErrorKind::Unsupported => ErrorKind::Unsupported,
                _ => ErrorKind::Corrupt,
            };
            let reference = ChunkRef(meta.reference);
            let (segment, offset) = (u64::from(reference.segment()).saturating_add(1), reference.offset());
            Error::new(kind, format!("block {location}, chunks/{segment:06}, offset {offset}: {e}"))
        };
        let encoding = Encoding::try_from(raw.encoding).map_err(of_chunk)?;
        // Refuses Thanos' downsampled chunks, too.
        if sample_count(encoding, &raw.data).map_err(of_chunk)? > 0 {
            let ChunkMeta { min_time, max_time, .. } = *meta;
            chunks.push(Chunk { encoding, min_time, max_time, data: raw.data.clone() });
        }
    }
    Ok(chunks)
}

/// Chunks that do not overlap any others stay as they are, however long they are.
const MERGE: MergeOptions =
    MergeOptions { range: TimeRange::ALL, borders: None, max_samples: NonZeroU16::MAX, keep_start_timestamps: true };

/// Chunks that overlap each other, or have deleted samples. Of samples with the same timestamp that of the chunk that comes
/// first in the index is taken.
fn merged(
    location: &str,
    metas: &[(SeriesRef, ChunkMeta)],
    raw: &[RawChunk],
    tombstones: &Tombstones,
    merger: &mut SeriesMerger,
) -> Result<Vec<Chunk>> {
    let source = |(ordinal, ((series, meta), chunk)): (u32, (&(SeriesRef, ChunkMeta), _))| ChunkSource {
        block: 0,
        ordinal,
        min_time: meta.min_time,
        max_time: meta.max_time,
        deleted: tombstones.of(*series),
        chunk,
        location,
        reference: ChunkRef(meta.reference),
    };
    let mut sources: Vec<_> = (0..).zip(metas.iter().zip(raw)).map(source).collect();
    let mut chunks = Vec::with_capacity(sources.len());
    let merged = merger.merge(&mut sources, |chunk: MergedChunk<'_>| {
        let MergedChunk { encoding, min_time, max_time, data, .. } = chunk;
        chunks.push(Chunk { encoding, min_time, max_time, data: data.to_vec().into() });
        Ok::<_, prometheus_tsdb_block::Error>(())
    });
    merged.map_err(of_block)?;
    Ok(chunks)
}

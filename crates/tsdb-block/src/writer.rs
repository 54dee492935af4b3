//! Writes a block.
//!
//! The index wants its symbols before its series, but series come one at a time. Hence two passes: chunks go to their
//! segments at once; the series' entries go to a spill file, with symbols numbered in the order of their appearance; at
//! the end the symbols are sorted, and the spilled entries are read back and written to the index with the sorted
//! numbers. Memory is that of the distinct symbols and of the index writer's postings; it does not depend on the number
//! of chunks or samples.
//!
//! Everything is written into `<ULID>.tmp-for-creation`, as Prometheus does, synced, and renamed to `<ULID>` when
//! complete: a directory of that name is a whole block.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use prometheus_chunks::{EncodedChunk, Encoding, ValueKind, sample_count};
use prometheus_model::{Labels, TimeRange, TimestampMs};
use prometheus_tsdb_index::{ChunkMeta, IndexWriter, LabelRef, SeriesEntry};
use ulid::Ulid;

use crate::{
    error::{Detail, Error, Result},
    files::BlockFile,
    meta::{BlockMeta, BlockStats},
    segment::{DEFAULT_SEGMENT_BYTES, SegmentWriter, failed, sync_dir},
    tombstones::Tombstones,
    varint,
};

mod samples;
mod spill;

pub use samples::write_block;
use spill::Spill;

/// A chunk to be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlockChunk<'a> {
    /// How `data` is encoded.
    pub encoding: Encoding,
    /// The encoded samples.
    pub data: &'a [u8],
    /// Timestamp of the first sample.
    pub min_time: TimestampMs,
    /// Timestamp of the last sample (inclusive).
    pub max_time: TimestampMs,
}

impl<'a> From<&'a EncodedChunk> for BlockChunk<'a> {
    fn from(chunk: &'a EncodedChunk) -> Self {
        let EncodedChunk { encoding, min_time, max_time, .. } = *chunk;
        Self { encoding, data: &chunk.data, min_time, max_time }
    }
}

/// Writes a block from series in the order of their labels, with chunks that are encoded already.
///
/// A writer that is dropped before [`finish`](Self::finish) removes what it wrote.
#[derive(Debug)]
pub struct BlockWriter {
    ulid: Ulid,
    /// Where the block will be.
    dir: PathBuf,
    /// Where it is until it is complete.
    tmp: TemporaryDir,
    segments: SegmentWriter,
    symbols: Symbols,
    spill: Spill,
    previous: Option<Labels>,
    stats: BlockStats,
    time_bounds: Option<(TimestampMs, TimestampMs)>,
    entry: SeriesEntry,
}

impl BlockWriter {
    /// Begins the block `ulid` in the directory `parent`, with segments of the usual size. What a writer of the same
    /// block left behind when it died is removed.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the block exists;
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) if the file system fails.
    pub fn create(parent: &Path, ulid: Ulid) -> Result<Self> {
        Self::create_with(parent, ulid, DEFAULT_SEGMENT_BYTES)
    }

    /// Begins a block whose segments are cut before they exceed `segment_bytes`.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn create_with(parent: &Path, ulid: Ulid, segment_bytes: u64) -> Result<Self> {
        let dir = parent.join(ulid.to_string());
        if dir.exists() {
            let (location, message) = (dir.display().to_string(), "it exists".into());
            return Err(Detail::Argument { location, message }.into());
        }
        let tmp = TemporaryDir::create(parent.join(format!("{ulid}.tmp-for-creation")))
            .map_err(failed(&dir, "make a temporary directory"))?;
        let segments = SegmentWriter::create(&tmp.0, segment_bytes)?;
        // No label has it, but the postings of all series, and so it is in every index that Prometheus writes.
        let mut symbols = Symbols::default();
        symbols.intern("");
        let spill = Spill::create(&tmp.0).map_err(failed(&dir, "make a spill file"))?;
        Ok(Self {
            ulid,
            dir,
            tmp,
            segments,
            symbols,
            spill,
            previous: None,
            stats: BlockStats::default(),
            time_bounds: None,
            entry: SeriesEntry::default(),
        })
    }

    /// Appends a series. Its labels must sort after those of the series before; its chunks must ascend by time and not
    /// overlap.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the labels are empty or do not ascend, or a chunk is
    /// shorter than its encoding's header, ends before it begins or begins before the one before it ends;
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) if the file system fails. The block cannot be
    /// completed after an error.
    pub fn add_series(&mut self, labels: &Labels, chunks: &[BlockChunk<'_>]) -> Result<()> {
        if labels.is_empty() {
            return Err(self.invalid("a series without labels".into()));
        }
        if let Some(previous) = self.previous.as_ref().filter(|previous| labels <= *previous) {
            return Err(self.invalid(format!("series {labels} comes after {previous}")));
        }
        self.entry.labels.clear();
        self.entry.chunks.clear();
        for (name, value) in labels.iter() {
            let (name, value) = (self.symbols.intern(name), self.symbols.intern(value));
            let (Some(name), Some(value)) = (name, value) else {
                return Err(self.invalid("more than 2^32 symbols".into()));
            };
            self.entry.labels.push(LabelRef { name, value });
        }
        for chunk in chunks {
            let previous = self.entry.chunks.last().map(|previous| previous.max_time);
            if chunk.max_time < chunk.min_time || previous.is_some_and(|previous| chunk.min_time <= previous) {
                let (min, max) = (chunk.min_time, chunk.max_time);
                let after = previous.map_or(String::new(), |previous| format!(" after one that ends at {previous}"));
                return Err(self.invalid(format!("series {labels} has a chunk from {min} to {max}{after}")));
            }
            self.count(labels, chunk)?;
            let reference = self.segments.append(chunk.encoding.byte(), chunk.data)?.0;
            self.entry.chunks.push(ChunkMeta { min_time: chunk.min_time, max_time: chunk.max_time, reference });
        }
        self.spill.append(&self.entry).map_err(failed(&self.dir, "append to the spill file"))?;
        self.stats.num_series = self.stats.num_series.saturating_add(1);
        self.previous = Some(labels.clone());
        Ok(())
    }

    /// Completes the block. Its meta says compaction level 1 and the block itself as its source; its time range is that
    /// of the chunks.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) if the file system fails;
    /// [`ErrorKind::LimitExceeded`](crate::ErrorKind::LimitExceeded) if the index is larger than the format allows.
    pub fn finish(self) -> Result<BlockMeta> {
        self.finish_with(|_| ())
    }

    /// Completes the block with a meta that `edit` has changed: a wider time range, Thanos' labels, other sources. A
    /// block without chunks has the time range `[0, 1)` before.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    pub fn finish_with(self, edit: impl FnOnce(&mut BlockMeta)) -> Result<BlockMeta> {
        let Self { ulid, dir, tmp, segments, symbols, spill, stats, time_bounds, .. } = self;
        segments.finish()?;
        write_index(&dir, &tmp.0, symbols, spill)?;
        write_synced(&tmp.0, BlockFile::Tombstones, &Tombstones::default().encode())
            .map_err(failed(&dir, "write the tombstones"))?;
        let (min, max) = time_bounds.unwrap_or((0, 0));
        let Ok(time_range) = TimeRange::new(min, max.saturating_add(1)) else {
            let (location, message) = (dir.display().to_string(), format!("a sample at {max}"));
            return Err(Detail::Argument { location, message }.into());
        };
        let mut meta = BlockMeta::new(ulid, time_range, stats);
        edit(&mut meta);
        write_synced(&tmp.0, BlockFile::Meta, &meta.to_json()?).map_err(failed(&dir, "write the meta"))?;
        sync_dir(&tmp.0).map_err(failed(&dir, "sync the block's directory"))?;
        tmp.rename(&dir).map_err(failed(&dir, "rename the temporary directory"))?;
        Ok(meta)
    }

    fn count(&mut self, labels: &Labels, chunk: &BlockChunk<'_>) -> Result<()> {
        let count = match (chunk.encoding, chunk.data) {
            (Encoding::Aggregate, data) => count_of_aggregate(data),
            (encoding, data) => sample_count(encoding, data).ok(),
        };
        let Some(count) = count.map(u64::from) else {
            return Err(self.invalid(format!("a chunk of {} bytes of series {labels}", chunk.data.len())));
        };
        let stats = &mut self.stats;
        stats.num_chunks = stats.num_chunks.saturating_add(1);
        stats.num_samples = stats.num_samples.saturating_add(count);
        match chunk.encoding.value_kind() {
            Some(ValueKind::Float) => stats.num_float_samples = stats.num_float_samples.saturating_add(count),
            Some(_) => stats.num_histogram_samples = stats.num_histogram_samples.saturating_add(count),
            None => {}
        }
        let (min, max) = self.time_bounds.unwrap_or((chunk.min_time, chunk.max_time));
        self.time_bounds = Some((min.min(chunk.min_time), max.max(chunk.max_time)));
        Ok(())
    }

    #[cold]
    fn invalid(&self, message: String) -> Error {
        Detail::Argument { location: self.dir.display().to_string(), message }.into()
    }
}

/// Samples of a downsampled chunk: those of its first part, which holds counts; `None` if there is none.
fn count_of_aggregate(data: &[u8]) -> Option<u16> {
    let (length, prefix) = varint::decode_unsigned(data)?;
    match length {
        0 => Some(0),
        _ => sample_count(Encoding::Xor, data.get(prefix..)?.get(1..)?).ok(),
    }
}

/// Sorts the symbols and writes the index from the spilled entries.
fn write_index(dir: &Path, tmp: &Path, symbols: Symbols, spill: Spill) -> Result<()> {
    let index_failed = |source| Error::from(Detail::WriteIndex { location: dir.display().to_string(), source });
    let path = tmp.join(BlockFile::Index.to_string());
    let file = File::options().read(true).write(true).create_new(true).open(path);
    let mut index = IndexWriter::new(file.map_err(failed(dir, "begin the index"))?);
    let (sorted, ordinals) = symbols.into_sorted();
    for symbol in &sorted {
        index.add_symbol(symbol).map_err(index_failed)?;
    }
    drop(sorted);
    let mut entries = spill.into_entries().map_err(failed(dir, "read the spill file"))?;
    let mut entry = SeriesEntry::default();
    while entries.next(&mut entry).map_err(failed(dir, "read the spill file"))? {
        for label in &mut entry.labels {
            label.name = ordinal(&ordinals, label.name);
            label.value = ordinal(&ordinals, label.value);
        }
        index.add_series(&entry.labels, &entry.chunks).map_err(index_failed)?;
    }
    entries.remove().map_err(failed(dir, "remove the spill file"))?;
    let (file, _) = index.finish().map_err(index_failed)?;
    file.sync_all().map_err(failed(dir, "complete the index"))
}

fn ordinal(ordinals: &[u32], provisional: u32) -> u32 {
    // All provisional numbers come from the table that made `ordinals`; the index writer refuses the alternative.
    usize::try_from(provisional).ok().and_then(|i| ordinals.get(i).copied()).unwrap_or(u32::MAX)
}

fn write_synced(dir: &Path, file: BlockFile, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = File::create_new(dir.join(file.to_string()))?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Strings, numbered in the order of their appearance.
#[derive(Debug, Default)]
struct Symbols(HashMap<Arc<str>, u32>);

impl Symbols {
    /// Number of a string; `None` if there are too many.
    fn intern(&mut self, symbol: &str) -> Option<u32> {
        if let Some(number) = self.0.get(symbol) {
            return Some(*number);
        }
        let number = u32::try_from(self.0.len()).ok().filter(|number| *number < u32::MAX)?;
        self.0.insert(symbol.into(), number);
        Some(number)
    }

    /// The strings in order, and for each number its string's place in that order.
    fn into_sorted(self) -> (Vec<Arc<str>>, Vec<u32>) {
        let mut numbered: Vec<_> = self.0.into_iter().collect();
        numbered.sort_unstable();
        let mut ordinals = vec![0; numbered.len()];
        for (place, (_, number)) in (0..).zip(&numbered) {
            if let Some(ordinal) = usize::try_from(*number).ok().and_then(|i| ordinals.get_mut(i)) {
                *ordinal = place;
            }
        }
        (numbered.into_iter().map(|(symbol, _)| symbol).collect(), ordinals)
    }
}

/// A directory that is removed unless it is renamed.
#[derive(Debug)]
struct TemporaryDir(PathBuf);

impl TemporaryDir {
    fn create(path: PathBuf) -> std::io::Result<Self> {
        match std::fs::remove_dir_all(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
            _ => std::fs::create_dir(&path)?,
        }
        Ok(Self(path))
    }

    fn rename(self, to: &Path) -> std::io::Result<()> {
        std::fs::rename(&self.0, to)?;
        // The old path is gone, so that dropping `self` removes nothing.
        to.parent().map_or(Ok(()), sync_dir)
    }
}

impl Drop for TemporaryDir {
    fn drop(&mut self) {
        // Nobody is left to be told of a failure; the next writer of this block tries again.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests;

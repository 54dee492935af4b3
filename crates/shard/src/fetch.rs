//! Planned reads.

use std::ops::Range;

use bytes::Bytes;
use promparquet_objstore::Object;

use crate::{error::Result, plan};

/// How ranges are joined before they are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Coalescing {
    /// Ranges with at most so many bytes between them are read as one.
    pub gap_bytes: u64,
    /// Reads are not joined beyond this size.
    pub max_read_bytes: u64,
}

impl Coalescing {
    /// For files of this machine, where a request costs little. A page that is not compressed keeps all that it was read
    /// with, so that is not much.
    pub const LOCAL: Self = Self { gap_bytes: 16 << 10, max_read_bytes: 1 << 20 };
    /// For services, where a request costs as much as many pages, and each is served at some 80 MB/s.
    pub const REMOTE: Self = Self { gap_bytes: 256 << 10, max_read_bytes: 4 << 20 };
}

impl Default for Coalescing {
    /// 16 KiB and 8 MiB.
    fn default() -> Self {
        Self { gap_bytes: 16 << 10, max_read_bytes: 8 << 20 }
    }
}

/// One of the two files of a shard.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum FileKind {
    /// Labels, row indexes and hashes.
    Labels,
    /// Data columns.
    Chunks,
}

/// Bytes of a shard's files that are wanted at the same time: data, not yet I/O.
#[derive(Clone, Default, Debug)]
pub struct ReadPlan {
    labels: Vec<Range<u64>>,
    chunks: Vec<Range<u64>>,
}

/// Stands for one range of a [`ReadPlan`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReadSlot(FileKind, usize);

impl ReadPlan {
    /// Adds a range, half-open. Ranges may overlap.
    pub fn add(&mut self, file: FileKind, bytes: Range<u64>) -> ReadSlot {
        let ranges = match file {
            FileKind::Labels => &mut self.labels,
            FileKind::Chunks => &mut self.chunks,
        };
        ranges.push(bytes);
        ReadSlot(file, ranges.len().saturating_sub(1))
    }

    /// Whether nothing is wanted.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.chunks.is_empty()
    }

    /// The ranges of one file, in the order in which they were added.
    #[must_use]
    pub fn ranges(&self, file: FileKind) -> &[Range<u64>] {
        match file {
            FileKind::Labels => &self.labels,
            FileKind::Chunks => &self.chunks,
        }
    }

    /// The requests that reading it makes.
    #[must_use]
    pub fn requests(&self, coalescing: Coalescing) -> Vec<(FileKind, Range<u64>)> {
        let of = |file, ranges| {
            let plan = plan::coalesce(ranges, coalescing.gap_bytes, coalescing.max_read_bytes);
            plan.reads.into_iter().map(move |read| (file, read))
        };
        of(FileKind::Labels, &self.labels).chain(of(FileKind::Chunks, &self.chunks)).collect()
    }
}

/// What a [`ReadPlan`] asked for.
#[derive(Clone, Default, Debug)]
pub struct ReadBytes {
    labels: Vec<Bytes>,
    chunks: Vec<Bytes>,
}

impl ReadBytes {
    /// For those who read what was planned in their own way: the bytes of each range of the plan, file by file.
    #[must_use]
    pub const fn new(labels: Vec<Bytes>, chunks: Vec<Bytes>) -> Self {
        Self { labels, chunks }
    }

    /// The bytes of a range of the plan. Empty for a slot of another plan.
    #[must_use]
    pub fn get(&self, slot: ReadSlot) -> Bytes {
        let buffers = match slot.0 {
            FileKind::Labels => &self.labels,
            FileKind::Chunks => &self.chunks,
        };
        buffers.get(slot.1).cloned().unwrap_or_default()
    }
}

/// The bytes of each range, in the order given, read in few requests at the same time.
pub(crate) async fn ranges(object: &Object, ranges: &[Range<u64>], coalescing: Coalescing) -> Result<Vec<Bytes>> {
    if ranges.is_empty() {
        return Ok(Vec::new());
    }
    let plan = plan::coalesce(ranges, coalescing.gap_bytes, coalescing.max_read_bytes);
    let buffers = object.get_ranges(&plan.reads).await?;
    let slices = ranges.iter().zip(plan.read_of).map(|(range, read)| {
        let (start, buffer) = (plan.reads.get(read)?.start, buffers.get(read)?);
        let at = |offset: u64| usize::try_from(offset.checked_sub(start)?).ok().filter(|at| *at <= buffer.len());
        let (start, end) = (at(range.start)?, at(range.end)?);
        (start <= end).then(|| buffer.slice(start..end))
    });
    // Every range lies within its read, and the bucket gives exactly the bytes asked for.
    Ok(slices.map(Option::unwrap_or_default).collect())
}

//! Which bytes to read for a batch of chunks. A plan is data: it does no I/O.

use std::ops::Range;

use super::{ChunkRef, HEADER_BYTES, MIN_CHUNK_BYTES};
use crate::{
    error::{Detail, Result},
    files::BlockFile,
    runs::{ReadOptions, coalesce},
};

/// A range of bytes of one segment, and the chunks that begin in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChunkRun {
    /// The segment.
    pub segment: u32,
    /// Bytes to read; it starts at a chunk and may end within the last one.
    pub bytes: Range<u64>,
    /// The chunks, as a range of [`ChunkPlan::order`].
    pub chunks: Range<usize>,
}

/// What to read for a batch of chunks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChunkPlan {
    /// The references asked for, ascending, each with its place in the batch.
    pub order: Vec<(ChunkRef, u32)>,
    /// The runs, ascending by segment and offset.
    pub runs: Vec<ChunkRun>,
}

impl ChunkPlan {
    /// Plans the reads for `refs` (in any order, duplicates allowed) over segments of these sizes. `location` is the
    /// block's, for messages.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) if a reference points at no segment, or so that no chunk fits
    /// behind it; [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for more than 2^32 references.
    pub fn new(location: &str, refs: &[ChunkRef], segment_sizes: &[u64], options: ReadOptions) -> Result<Self> {
        let mut order: Vec<_> = refs.iter().copied().zip(0_u32..).collect();
        if order.len() != refs.len() {
            let message = format!("{} chunks are too many for one batch", refs.len());
            return Err(Detail::Request { location: location.into(), message }.into());
        }
        if !refs.is_sorted() {
            order.sort_unstable();
        }
        let mut runs: Vec<ChunkRun> = Vec::new();
        let mut before = 0_usize;
        for chunks in order.chunk_by(|(a, _), (b, _)| a.segment() == b.segment()) {
            let (Some((first, _)), Some((last, _))) = (chunks.first(), chunks.last()) else { continue };
            let segment = first.segment();
            let size = check_segment(location, *first, *last, segment_sizes)?;
            let offsets = chunks.iter().map(|(chunk, _)| u64::from(chunk.offset()));
            runs.extend(coalesce(offsets, size, options).into_iter().map(|run| {
                let Range { start, end } = run.pieces;
                let chunks = before.saturating_add(start)..before.saturating_add(end);
                ChunkRun { segment, bytes: run.bytes, chunks }
            }));
            before = before.saturating_add(chunks.len());
        }
        Ok(Self { order, runs })
    }
}

/// Checks that the segment of two chunks exists and reaches from the first to the last; gives its size.
pub(crate) fn check_segment(location: &str, first: ChunkRef, last: ChunkRef, segment_sizes: &[u64]) -> Result<u64> {
    let segment = first.segment();
    let size = usize::try_from(segment).ok().and_then(|s| segment_sizes.get(s).copied());
    let corrupt = |chunk: ChunkRef, expected: String, found: String| {
        let (location, file, offset) = (location.into(), BlockFile::Segment(segment), u64::from(chunk.offset()));
        Err(Detail::Corrupt { location, file, offset, expected, found }.into())
    };
    let Some(size) = size else {
        let expected = format!("one of {} segments", segment_sizes.len());
        return corrupt(first, expected, "a chunk reference to a missing segment".into());
    };
    if u64::from(first.offset()) < HEADER_BYTES {
        return corrupt(first, format!("a chunk reference of at least {HEADER_BYTES}"), "the header".into());
    }
    if u64::from(last.offset()).saturating_add(MIN_CHUNK_BYTES) > size {
        let expected = "a chunk, as the index refers to one here".into();
        return corrupt(last, expected, format!("a segment of {size} bytes"));
    }
    Ok(size)
}

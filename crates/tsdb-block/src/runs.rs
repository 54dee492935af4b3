//! Coalesces reads of many small pieces whose ends are not known: chunks of a segment, series entries of an index.

use std::ops::Range;

use crate::varint;

/// How reads of chunks and of series entries are coalesced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReadOptions {
    /// Bytes that nobody asked for are read too where no more than this many lie between two pieces.
    pub max_gap_bytes: u64,
    /// A run of pieces longer than this many bytes is read in several ranges.
    pub max_run_bytes: u64,
    /// How much is read for the last piece of a run, whose length is not known. Longer pieces cost a second read.
    pub estimated_bytes: u64,
}

/// For local files. Over an object store, where a request costs as much as half a megabyte does, `max_gap_bytes`
/// should be about that.
impl Default for ReadOptions {
    fn default() -> Self {
        Self { max_gap_bytes: 16 << 10, max_run_bytes: 8 << 20, estimated_bytes: 16 << 10 }
    }
}

/// A range of bytes of a file, and the pieces that begin in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Run {
    /// Bytes to read; it starts at a piece and may end within the last one.
    pub(crate) bytes: Range<u64>,
    /// Which of the offsets given lie in it.
    pub(crate) pieces: Range<usize>,
}

/// Groups ascending offsets (duplicates allowed) of pieces that end before `end`. Every run reaches to the next
/// offset, or to `end`, or at least as far as the longest varint goes, with which all pieces begin. Equal offsets are in
/// the same run.
pub(crate) fn coalesce(offsets: impl Iterator<Item = u64>, end: u64, options: ReadOptions) -> Vec<Run> {
    let estimate = options.estimated_bytes.max(varint::MAX_LEN as u64);
    // Not 0, so that the same offset given twice never falls into two runs.
    let max_run_bytes = options.max_run_bytes.max(1);
    let mut runs: Vec<Run> = Vec::new();
    let mut after = 0_usize;
    for offset in offsets {
        let i = after;
        after = i.saturating_add(1);
        let estimated_end = offset.saturating_add(estimate).min(end);
        match runs.last_mut() {
            Some(run)
                if offset <= run.bytes.end.saturating_add(options.max_gap_bytes)
                    && offset.saturating_sub(run.bytes.start) < max_run_bytes =>
            {
                run.bytes.end = estimated_end;
                run.pieces.end = after;
            }
            previous => {
                // A run that is cut for its length need not read what the next one reads.
                if let Some(run) = previous {
                    run.bytes.end = run.bytes.end.min(offset);
                }
                runs.push(Run { bytes: offset..estimated_end, pieces: i..after });
            }
        }
    }
    runs
}

//! Reads postings lists, many at a time.

use std::ops::{ControlFlow, Range};

use bytes::Bytes;
use prometheus_tsdb_index::Postings;

use super::BlockReader;
use crate::{error::Result, files::BlockFile};

/// The range of the last list reaches to the end of all lists, and in indexes of version 1 so may others. Of ranges longer
/// than this that do, the length is read first.
const UNCERTAIN_BYTES: u64 = 64 << 10;

/// One read: some ranges, by their places in the caller's list, and the bytes from the first to the last.
struct Run {
    bytes: Range<u64>,
    places: Vec<usize>,
}

/// See [`BlockReader::read_postings`].
pub(super) fn read(
    block: &BlockReader,
    ranges: &[Range<u64>],
    mut f: impl FnMut(usize, &Postings) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let mut ranges = exact(block, ranges)?;
    let mut order: Vec<_> = (0..ranges.len()).collect();
    order.sort_by_key(|place| ranges.get(*place).map(|range| range.start));
    // Lists do not overlap, so the next one bounds this one. Hence the work is linear on any input.
    for [place, next] in order.array_windows() {
        let start_of_next = ranges.get(*next).map_or(u64::MAX, |range| range.start);
        if let Some(range) = ranges.get_mut(*place) {
            if range.start == start_of_next {
                let expected = "the postings list of one label".into();
                return Err(block.corrupt_index(range.start, expected, "that of two, or one asked for twice".into()));
            }
            range.end = range.end.min(start_of_next);
        }
    }
    let mut batch: Vec<Run> = Vec::new();
    let mut batch_bytes = 0_u64;
    for place in order {
        let Some(range) = ranges.get(place) else { continue };
        let length = range.end.saturating_sub(range.start);
        if batch_bytes.saturating_add(length) > block.options.max_run_bytes && !batch.is_empty() {
            if read_batch(block, &ranges, &batch, &mut f)?.is_break() {
                return Ok(());
            }
            batch.clear();
            batch_bytes = 0;
        }
        match batch.last_mut() {
            Some(run) if range.start <= run.bytes.end.saturating_add(block.options.max_gap_bytes) => {
                let grown = run.bytes.end.max(range.end);
                batch_bytes = batch_bytes.saturating_add(grown.saturating_sub(run.bytes.end));
                run.bytes.end = grown;
                run.places.push(place);
            }
            _ => {
                batch_bytes = batch_bytes.saturating_add(length);
                batch.push(Run { bytes: range.clone(), places: vec![place] });
            }
        }
    }
    read_batch(block, &ranges, &batch, &mut f).map(drop)
}

/// The ranges; those that may be much longer than their list cut to it.
fn exact(block: &BlockReader, ranges: &[Range<u64>]) -> Result<Vec<Range<u64>>> {
    let end = block.layout.postings().end;
    let mut exact = ranges.to_vec();
    let is_uncertain = |range: &Range<u64>| range.end == end && range.end.saturating_sub(range.start) > UNCERTAIN_BYTES;
    let uncertain: Vec<_> = exact.iter_mut().filter(|range| is_uncertain(range)).collect();
    if uncertain.is_empty() {
        return Ok(exact);
    }
    let heads: Vec<_> = uncertain.iter().map(|r| r.start..r.start.saturating_add(Postings::LEN_BYTES as u64)).collect();
    let heads = block.files.read_ranges(BlockFile::Index, &heads)?;
    for (range, head) in uncertain.into_iter().zip(&heads) {
        // A list that claims to go on beyond the end is found to be cut short when it is parsed.
        if let Some(head) = head.first_chunk() {
            range.end = range.start.saturating_add(Postings::encoded_len(*head)).min(end);
        }
    }
    Ok(exact)
}

fn read_batch(
    block: &BlockReader,
    ranges: &[Range<u64>],
    batch: &[Run],
    f: &mut impl FnMut(usize, &Postings) -> Result<ControlFlow<()>>,
) -> Result<ControlFlow<()>> {
    let bytes: Vec<_> = batch.iter().map(|run| run.bytes.clone()).collect();
    if bytes.is_empty() {
        return Ok(ControlFlow::Continue(()));
    }
    let buffers = block.files.read_ranges(BlockFile::Index, &bytes)?;
    for (run, buffer) in batch.iter().zip(&buffers) {
        for place in &run.places {
            let Some(range) = ranges.get(*place) else { continue };
            let list = slice(buffer, run.bytes.start, range);
            let postings = Postings::parse(&list, range.start).map_err(|e| block.index_error(e))?;
            if f(*place, &postings)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// The bytes of `range` in a buffer that begins at `start`; fewer if the buffer ends before.
fn slice(buffer: &Bytes, start: u64, range: &Range<u64>) -> Bytes {
    let at = |offset: u64| usize::try_from(offset.saturating_sub(start)).unwrap_or(usize::MAX).min(buffer.len());
    buffer.slice(at(range.start)..at(range.end).max(at(range.start)))
}

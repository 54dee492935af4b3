//! Reads many chunks of a block without holding much of what lies between them.

use std::ops::Range;

use bytes::Bytes;
use prometheus_tsdb_block::{BlockReader, ChunkRef, RawChunk, ReadOptions};

use crate::error::Error;

/// Bytes that may lie between chunks, whatever these come to.
const LEAST_SPARSE_BYTES: u64 = 256 << 10;

/// The chunks' bytes, in the order of `refs`. At most about `most_bytes` are read at a time; of those that lie far apart,
/// only the chunks are kept.
pub(crate) fn read_chunks(block: &BlockReader, refs: &[ChunkRef], most_bytes: u64) -> Result<Vec<RawChunk>, Error> {
    let options = block.read_options();
    if refs.is_sorted() && reads(refs.iter().copied(), options, most_bytes).len() <= 1 {
        return block.read_chunks(refs).map_err(Error::from);
    }
    let mut order: Vec<(ChunkRef, u32)> = refs.iter().copied().zip(0..).collect();
    order.sort_unstable();
    let mut raw = vec![RawChunk::default(); refs.len()];
    for of_read in reads(order.iter().map(|(chunk, _)| *chunk), options, most_bytes) {
        let order = &order[of_read.refs];
        let chunks = block.read_chunks(&order.iter().map(|(chunk, _)| *chunk).collect::<Vec<_>>())?;
        // Chunks keep alive all that was read at once.
        let used = chunks.iter().fold(0_u64, |sum, chunk| sum.saturating_add(chunk.data.len() as u64));
        let sparse = of_read.bytes > used.saturating_mul(2).saturating_add(LEAST_SPARSE_BYTES);
        for ((_, place), mut chunk) in order.iter().zip(chunks) {
            if sparse {
                chunk.data = Bytes::copy_from_slice(&chunk.data);
            }
            raw[*place as usize] = chunk;
        }
    }
    Ok(raw)
}

/// Some chunks that are read at once.
struct ChunkRead {
    refs: Range<usize>,
    /// Bytes that are read, about.
    bytes: u64,
}

/// Cuts sorted references into reads of about `most_bytes`.
fn reads(
    refs: impl ExactSizeIterator<Item = ChunkRef> + Clone,
    options: ReadOptions,
    most_bytes: u64,
) -> Vec<ChunkRead> {
    let joined = options.max_gap_bytes.saturating_add(options.estimated_bytes);
    let following = refs.clone().skip(1).map(Some).chain([None]);
    let mut reads: Vec<ChunkRead> = Vec::new();
    for ((n, chunk), next) in refs.enumerate().zip(following) {
        let next = next.filter(|next| next.segment() == chunk.segment());
        let distance = next.map(|next| next.0.saturating_sub(chunk.0)).filter(|distance| *distance <= joined);
        let bytes = distance.unwrap_or(options.estimated_bytes);
        match reads.last_mut() {
            Some(read) if read.bytes.saturating_add(bytes) <= most_bytes => {
                read.refs.end = n + 1;
                read.bytes += bytes;
            }
            _ => reads.push(ChunkRead { refs: n..n + 1, bytes }),
        }
    }
    reads
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_are_cut_by_bytes_where_chunks_lie_far_apart() {
        let options = ReadOptions { max_gap_bytes: 1000, max_run_bytes: 1 << 20, estimated_bytes: 100 };
        let cut = |refs: &[u64], most| {
            let found = reads(refs.iter().map(|at| ChunkRef(*at)), options, most);
            found.into_iter().map(|read| (read.refs, read.bytes)).collect::<Vec<_>>()
        };
        assert_eq!(cut(&[], 10), []);
        // Next to each other: each ends where the next begins.
        assert_eq!(cut(&[0, 50, 100], 1000), [(0..3, 200)]);
        // A gap that is read along; one that is not.
        assert_eq!(cut(&[0, 1100, 1150], 5000), [(0..3, 1250)]);
        assert_eq!(cut(&[0, 1101, 1151], 5000), [(0..3, 250)]);
        // Other segments are other files.
        assert_eq!(cut(&[0, 1 << 32], 5000), [(0..2, 200)]);
        assert_eq!(cut(&[0, 1000, 2000, 3000], 2000), [(0..2, 2000), (2..4, 1100)]);
        assert_eq!(cut(&[0, 1000], 1), [(0..1, 1000), (1..2, 100)]);
    }
}

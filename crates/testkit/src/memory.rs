//! Series in memory, in the chunks that blocks have.

use prometheus_chunks::{EncodedChunk, RechunkOptions, Rechunker};
use prometheus_model::{Labels, Sample};
use prometheus_queryable::{Chunk, MemoryQueryable};

/// Encodes samples as a block would.
///
/// # Errors
/// If samples do not ascend, or series come twice.
pub fn in_chunks(series: &[(Labels, Vec<Sample>)]) -> Result<MemoryQueryable, Box<dyn std::error::Error>> {
    let mut all = Vec::with_capacity(series.len());
    for (labels, samples) in series {
        let mut rechunker = Rechunker::new(RechunkOptions { start_timestamps: true, ..RechunkOptions::default() });
        let mut chunks = Vec::new();
        for sample in samples {
            chunks.extend(rechunker.push(sample)?);
        }
        chunks.extend(rechunker.finish());
        let chunk = |EncodedChunk { encoding, min_time, max_time, data, .. }| Chunk {
            encoding,
            min_time,
            max_time,
            data: data.into(),
        };
        all.push((labels.clone(), chunks.into_iter().map(chunk).collect()));
    }
    Ok(MemoryQueryable::from_chunks(all)?)
}

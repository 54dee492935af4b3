//! Encodes samples and writes them as a block: for tests, and for whoever has few samples in memory.

use prometheus_chunks::{EncodedChunk, RechunkOptions, Rechunker};
use prometheus_model::Sample;

use super::{BlockChunk, BlockMeta, BlockWriter, Labels, Path, Result, Ulid};

/// Writes the block `ulid` in the directory `parent` from series in any order, each with samples ascending by time.
///
/// Chunks have up to 120 samples, as in Prometheus. Floats are encoded as XOR, or as XOR2 where start timestamps are
/// known; histograms likewise with and without start timestamps.
///
/// # Errors
/// Those of [`BlockWriter`]; [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if labels occur twice, a histogram is
/// malformed or samples do not ascend.
pub fn write_block(parent: &Path, ulid: Ulid, series: &[(Labels, Vec<Sample>)]) -> Result<BlockMeta> {
    let mut sorted: Vec<_> = series.iter().collect();
    sorted.sort_by(|a, b| a.0.cmp(&b.0));
    let mut writer = BlockWriter::create(parent, ulid)?;
    for (labels, samples) in sorted {
        let chunks = encode(samples).map_err(|e| writer.invalid(format!("samples of series {labels}: {e}")))?;
        let chunks: Vec<_> = chunks.iter().map(BlockChunk::from).collect();
        writer.add_series(labels, &chunks)?;
    }
    writer.finish()
}

fn encode(samples: &[Sample]) -> Result<Vec<EncodedChunk>, prometheus_chunks::Error> {
    let mut rechunker = Rechunker::new(RechunkOptions { start_timestamps: true, ..RechunkOptions::default() });
    let mut chunks = Vec::new();
    for sample in samples {
        chunks.extend(rechunker.push(sample)?);
    }
    chunks.extend(rechunker.finish());
    Ok(chunks)
}

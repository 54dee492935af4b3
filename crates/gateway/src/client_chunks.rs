//! Chunks for clients.

use prometheus_chunks::{Encoding, RechunkOptions, Rechunker};
use prometheus_queryable::{Chunk, Error, ErrorKind, Result, Series, SeriesData};

/// The series' chunks that have times in range, in encodings that every client knows: XOR, histogram, float histogram. If
/// there are others, the series is encoded anew.
pub(crate) fn client_chunks(series: &Series) -> Result<Vec<Chunk>> {
    let is_known =
        |chunk: &Chunk| matches!(chunk.encoding, Encoding::Xor | Encoding::Histogram | Encoding::FloatHistogram);
    match &series.data {
        SeriesData::Labels => return Ok(Vec::new()),
        SeriesData::Chunks(chunks) if chunks.iter().all(is_known) => {
            let in_range = |chunk: &&Chunk| series.range.overlaps_closed(chunk.min_time, chunk.max_time);
            return Ok(chunks.iter().filter(in_range).cloned().collect());
        }
        _ => {}
    }
    let failed = |error| Error::new(ErrorKind::Corrupt, error);
    let mut rechunker = Rechunker::new(RechunkOptions::default());
    let mut chunks = Vec::new();
    for sample in series.samples()? {
        chunks.extend(rechunker.push(&sample).map_err(failed)?);
    }
    chunks.extend(rechunker.finish());
    let one = |chunk: prometheus_chunks::EncodedChunk| Chunk {
        encoding: chunk.encoding,
        min_time: chunk.min_time,
        max_time: chunk.max_time,
        data: chunk.data.into(),
    };
    Ok(chunks.into_iter().map(one).collect())
}

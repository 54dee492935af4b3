//! Finished chunks.

use prometheus_model::TimestampMs;

use crate::Encoding;

/// A chunk as it goes into a segment file or a Parquet cell, and what an index says of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EncodedChunk {
    /// How the data are encoded.
    pub encoding: Encoding,
    /// Timestamp of the first sample.
    pub min_time: TimestampMs,
    /// Timestamp of the last sample; the range is closed.
    pub max_time: TimestampMs,
    /// How many samples it has; never 0.
    pub samples: u16,
    /// The chunk's data, without encoding byte, length and checksum.
    pub data: Vec<u8>,
}

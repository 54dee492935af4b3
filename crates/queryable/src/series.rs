//! Series, as a select gives them.

use bytes::Bytes;
use prometheus_chunks::{Encoding, XorDecoder, decode};
use prometheus_model::{Labels, Sample, TimeRange, TimestampMs, Value};
use snafu::{IntoError as _, Snafu};

use crate::error::{Error, ErrorKind, Result};

/// A series with what a select found of it.
#[derive(Clone, Debug)]
pub struct Series {
    /// Its labels; under a projection, those that are wanted.
    pub labels: Labels,
    /// The [stable hash](Labels::stable_hash) of all its labels, where a projection leaves out some.
    pub hash: Option<u64>,
    /// Samples outside are not part of the answer, though chunks may hold some. Half-open.
    pub range: TimeRange,
    /// Its samples.
    pub data: SeriesData,
}

/// Samples of a series, in the form that the store has them.
#[derive(Clone, Debug)]
pub enum SeriesData {
    /// Not asked for.
    Labels,
    /// Encoded: ascending in time, not overlapping, each with a sample at least; those at the ends may reach out of the
    /// range that was asked for.
    Chunks(Vec<Chunk>),
    /// Ascending in time, none twice, all in range.
    Samples(Vec<Sample>),
}

/// An encoded chunk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chunk {
    /// How the data are encoded.
    pub encoding: Encoding,
    /// Timestamp of the first sample.
    pub min_time: TimestampMs,
    /// Timestamp of the last sample; the range is closed.
    pub max_time: TimestampMs,
    /// The chunk's data, without encoding byte, length and checksum. Often part of a larger buffer.
    pub data: Bytes,
}

/// Decoded samples: floats as columns, native histograms one by one.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct SampleColumns {
    /// Timestamps of the floats, ascending.
    pub timestamps: Vec<TimestampMs>,
    /// The floats.
    pub floats: Vec<f64>,
    /// Start timestamps of the floats, 0 where unknown; empty if none is known.
    pub start_timestamps: Vec<TimestampMs>,
    /// Samples that are native histograms, ascending. No timestamp is also one of a float.
    pub histograms: Vec<Sample>,
}

impl SampleColumns {
    /// Removes all samples and keeps the memory.
    pub fn clear(&mut self) {
        self.timestamps.clear();
        self.floats.clear();
        self.start_timestamps.clear();
        self.histograms.clear();
    }

    /// How many samples there are of both kinds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.timestamps.len() + self.histograms.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn push(&mut self, sample: Sample) {
        let Value::Float(value) = sample.value else {
            self.histograms.push(sample);
            return;
        };
        if sample.start_timestamp != 0 {
            self.know_starts();
        }
        self.timestamps.push(sample.timestamp);
        self.floats.push(value);
        if !self.start_timestamps.is_empty() || sample.start_timestamp != 0 {
            self.start_timestamps.push(sample.start_timestamp);
        }
    }

    /// Makes start timestamps a full column.
    fn know_starts(&mut self) {
        self.start_timestamps.resize(self.timestamps.len(), 0);
    }

    /// Drops the floats from position `from` on that are not in `range`; timestamps ascend.
    fn trim_floats(&mut self, from: usize, range: TimeRange) {
        let new = self.timestamps.get(from..).unwrap_or_default();
        let start = from + new.partition_point(|t| *t < range.start());
        let end = from + new.partition_point(|t| *t < range.end());
        self.timestamps.truncate(end);
        self.floats.truncate(end);
        self.timestamps.drain(from..start.min(end));
        self.floats.drain(from..start.min(end));
        if !self.start_timestamps.is_empty() {
            self.start_timestamps.truncate(end);
            self.start_timestamps.drain(from..start.min(end));
        }
    }
}

impl Series {
    /// Appends the samples in range, in order of time.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorKind::Corrupt) or [`Unsupported`](ErrorKind::Unsupported) if a chunk cannot be decoded.
    pub fn decode_into(&self, columns: &mut SampleColumns) -> Result<()> {
        match &self.data {
            SeriesData::Labels => {}
            SeriesData::Samples(samples) => samples.iter().for_each(|sample| columns.push(sample.clone())),
            SeriesData::Chunks(chunks) => {
                for chunk in chunks {
                    self.decode_chunk(chunk, columns).map_err(|e| self.undecodable(chunk, e))?;
                }
            }
        }
        Ok(())
    }

    fn decode_chunk(&self, chunk: &Chunk, columns: &mut SampleColumns) -> prometheus_chunks::Result<()> {
        if !self.range.overlaps_closed(chunk.min_time, chunk.max_time) {
            return Ok(());
        }
        let from = columns.timestamps.len();
        if chunk.encoding == Encoding::Xor {
            if !columns.start_timestamps.is_empty() {
                columns.know_starts();
            }
            XorDecoder::new(&chunk.data)?.decode_into(&mut columns.timestamps, &mut columns.floats)?;
            if !columns.start_timestamps.is_empty() {
                columns.know_starts();
            }
            if !self.range.contains_closed(chunk.min_time, chunk.max_time) {
                columns.trim_floats(from, self.range);
            }
            return Ok(());
        }
        let mut samples = Vec::new();
        decode(chunk.encoding, &chunk.data, &mut samples)?;
        samples.into_iter().filter(|s| self.range.contains(s.timestamp)).for_each(|s| columns.push(s));
        Ok(())
    }

    #[cold]
    fn undecodable(&self, chunk: &Chunk, source: prometheus_chunks::Error) -> Error {
        let kind = match source.kind() {
            prometheus_chunks::ErrorKind::Unsupported => ErrorKind::Unsupported,
            _ => ErrorKind::Corrupt,
        };
        Error::new(
            kind,
            UndecodableSnafu { labels: self.labels.to_string(), min_time: chunk.min_time }.into_error(source),
        )
    }

    /// The samples in range, in order of time. Slower than [`decode_into`](Self::decode_into), and more convenient.
    ///
    /// # Errors
    /// As [`decode_into`](Self::decode_into).
    pub fn samples(&self) -> Result<Vec<Sample>> {
        let mut columns = SampleColumns::default();
        self.decode_into(&mut columns)?;
        let starts = columns.start_timestamps.into_iter().chain(std::iter::repeat(0));
        let floats = columns.timestamps.into_iter().zip(columns.floats).zip(starts);
        let mut samples: Vec<_> = floats
            .map(|((timestamp, value), start_timestamp)| Sample {
                timestamp,
                start_timestamp,
                value: Value::Float(value),
            })
            .chain(columns.histograms)
            .collect();
        samples.sort_by_key(|sample| sample.timestamp);
        Ok(samples)
    }
}

/// A chunk that cannot be decoded.
#[derive(Debug, Snafu)]
#[snafu(display("cannot decode the chunk at {min_time} of {labels}"))]
struct Undecodable {
    labels: String,
    min_time: TimestampMs,
    source: prometheus_chunks::Error,
}

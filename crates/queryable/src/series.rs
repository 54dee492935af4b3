//! Series, as a select gives them.

use bytes::Bytes;
use prometheus_chunks::{Encoding, FloatColumns, ValueKind, decode, decode_floats};
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

impl SeriesData {
    /// Makes the data of a series of chunks in any order. Where chunks overlap in time, they are decoded and merged by
    /// sample; of samples with equal timestamps, that of the chunk which begins first is kept, or of the first one given.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorKind::Corrupt) or [`Unsupported`](ErrorKind::Unsupported) if a chunk that overlaps others cannot
    /// be decoded.
    pub fn of_chunks(mut chunks: Vec<Chunk>, range: TimeRange) -> Result<Self> {
        let is_disjoint = |pair: &[Chunk]| matches!(pair, [a, b] if a.max_time < b.min_time);
        if chunks.windows(2).all(is_disjoint) {
            return Ok(Self::Chunks(chunks));
        }
        chunks.sort_by_key(|chunk| chunk.min_time);
        if chunks.windows(2).all(is_disjoint) {
            return Ok(Self::Chunks(chunks));
        }
        let part = |chunk| Series { labels: Labels::default(), hash: None, range, data: Self::Chunks(vec![chunk]) };
        let merged = Series::merge(chunks.into_iter().map(part).collect())?;
        Ok(merged.map_or(Self::Chunks(Vec::new()), |series| series.data))
    }
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
    /// The floats, ascending in time.
    pub floats: FloatColumns,
    /// Samples that are native histograms, ascending. No timestamp is also one of a float.
    pub histograms: Vec<Sample>,
}

impl SampleColumns {
    /// None, and start timestamps of floats will be kept.
    #[must_use]
    pub fn with_start_timestamps() -> Self {
        Self { floats: FloatColumns::with_start_timestamps(), histograms: Vec::new() }
    }

    /// Removes all samples and keeps the memory.
    pub fn clear(&mut self) {
        self.floats.clear();
        self.histograms.clear();
    }

    /// How many samples there are of both kinds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.floats.len() + self.histograms.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn push(&mut self, sample: Sample) {
        match sample.value {
            Value::Float(value) => self.floats.push(sample.timestamp, value, sample.start_timestamp),
            _ => self.histograms.push(sample),
        }
    }
}

impl Series {
    /// Puts together what several stores have of one series: by chunks where they do not overlap, else by samples; of those
    /// with equal timestamps, the first part's. `None` of no parts.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorKind::Corrupt) or [`Unsupported`](ErrorKind::Unsupported) if a chunk that overlaps others cannot
    /// be decoded.
    pub fn merge(parts: Vec<Self>) -> Result<Option<Self>> {
        crate::merge::merge(parts)
    }

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
        if chunk.encoding.value_kind() == Some(ValueKind::Float) {
            let floats = &mut columns.floats;
            let from = floats.len();
            decode_floats(chunk.encoding, &chunk.data, floats)?;
            let timestamps = floats.timestamps().get(from..).unwrap_or_default();
            if timestamps.array_windows().all(|[a, b]| a < b) {
                // The times that a header claims are not worth more than the samples themselves.
                let is_in_range = |t: Option<&TimestampMs>| t.is_none_or(|t| self.range.contains(*t));
                if !is_in_range(timestamps.first()) || !is_in_range(timestamps.last()) {
                    floats.trim(from, self.range);
                }
                return Ok(());
            }
            floats.truncate(from);
        }
        // Some writers put samples of overlapping blocks into one chunk as they come.
        let mut samples = Vec::new();
        decode(chunk.encoding, &chunk.data, &mut samples)?;
        samples.sort_by_key(|sample| sample.timestamp);
        samples.dedup_by_key(|sample| sample.timestamp);
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
        let mut columns = SampleColumns::with_start_timestamps();
        self.decode_into(&mut columns)?;
        let (timestamps, values, starts) = columns.floats.into_parts();
        let starts = starts.into_iter().flatten().chain(std::iter::repeat(0));
        let floats = timestamps.into_iter().zip(values).zip(starts);
        let floats = floats.map(|((timestamp, value), start_timestamp)| Sample {
            timestamp,
            start_timestamp,
            value: Value::Float(value),
        });
        let mut samples: Vec<_> = floats.chain(columns.histograms).collect();
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

#[cfg(test)]
mod tests {
    use prometheus_chunks::XorEncoder;

    use super::*;

    /// A chunk of samples whose values are their places in it.
    fn series(times: &[TimestampMs], range: TimeRange) -> Series {
        let mut chunk = XorEncoder::new();
        for (i, t) in times.iter().enumerate() {
            chunk.push(*t, i as f64).unwrap();
        }
        let (min_time, max_time) = (*times.iter().min().unwrap(), *times.iter().max().unwrap());
        let data = chunk.bytes().to_vec().into();
        let chunk = Chunk { encoding: Encoding::Xor, min_time, max_time, data };
        Series { labels: Labels::default(), hash: None, range, data: SeriesData::Chunks(vec![chunk]) }
    }

    fn decoded(times: &[TimestampMs], range: TimeRange) -> Vec<(TimestampMs, f64)> {
        let mut columns = SampleColumns::default();
        series(&[1, 2], TimeRange::ALL).decode_into(&mut columns).unwrap();
        series(times, range).decode_into(&mut columns).unwrap();
        let floats = columns.floats;
        floats.timestamps().iter().copied().zip(floats.values().iter().copied()).skip(2).collect()
    }

    #[test]
    fn samples_of_one_chunk_ascend_and_are_in_range() {
        let range = |start, end| TimeRange::new(start, end).unwrap();
        assert_eq!(decoded(&[10, 20, 30], TimeRange::ALL), [(10, 0.0), (20, 1.0), (30, 2.0)]);
        assert_eq!(decoded(&[10, 20, 30], range(11, 30)), [(20, 1.0)]);
        assert_eq!(decoded(&[10, 20, 30], range(20, 31)), [(20, 1.0), (30, 2.0)]);
        assert_eq!(decoded(&[10, 20, 30], range(21, 30)), []);
        // As writers that do not merge leave them: of samples with one timestamp, the first counts.
        assert_eq!(decoded(&[10, 30, 20, 30], TimeRange::ALL), [(10, 0.0), (20, 2.0), (30, 1.0)]);
        assert_eq!(decoded(&[30, 10, 10], range(0, 30)), [(10, 1.0)]);
    }
}

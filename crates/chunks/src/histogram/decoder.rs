//! Reads histogram chunks.

use prometheus_model::{CounterResetHint, Sample, TimestampMs, is_stale_nan};

use super::{
    NativeHistogram,
    field::Field,
    header::{HEADER_LEN, counter_reset_header},
    layout::{Layout, MAX_SCHEMA},
    parts::{Parts, ViewMut},
    reduce::reduce,
    start_timestamp::StartTimestamp,
    state::State,
};
use crate::{
    Encoding,
    bits::BitReader,
    error::{Error, Repr, Result},
    sample_count,
};

/// Most spans and custom bounds, in all samples together, that a chunk is decoded to: 128 MiB of them. A chunk stores
/// them once, so that its length does not limit how often its samples repeat them.
const MAX_SHARED_VALUES: usize = 1 << 24;

/// When a histogram was taken.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SampleTime {
    /// Timestamp of the sample.
    pub timestamp: TimestampMs,
    /// Since when it has counted; 0 where that is not known, and in encodings without start timestamps.
    pub start_timestamp: TimestampMs,
}

/// Decodes the samples of one chunk of [`Histogram`](prometheus_model::Histogram)s or
/// [`FloatHistogram`](prometheus_model::FloatHistogram)s, in order.
///
/// Counter reset hints are those that Prometheus gives: [`CounterResetHint::Gauge`] for all samples of a gauge chunk;
/// else [`CounterResetHint::Unknown`] for the first sample, whatever the header says, and
/// [`CounterResetHint::NotCounterReset`] for all others. A stale sample has nothing but its sum. Resolutions finer than
/// schema 8 are reduced to it.
///
/// ```
/// use prometheus_chunks::{Encoding, HistogramDecoder, HistogramEncoder};
/// use prometheus_model::{CounterResetHint, Histogram, Span};
///
/// let mut h = Histogram {
///     count: 3,
///     sum: 4.5,
///     positive_spans: vec![Span { offset: -1, length: 2 }],
///     positive_buckets: vec![1, 1], // counts 1 and 2
///     ..Histogram::default()
/// };
/// let mut encoder = HistogramEncoder::new(Encoding::Histogram)?;
/// assert!(encoder.push(1_000, &h, 0)?.is_none());
/// assert!(encoder.push(16_000, &h, 0)?.is_none());
/// let chunk = encoder.cut().unwrap();
///
/// let mut decoder = HistogramDecoder::new(chunk.encoding, &chunk.data)?;
/// let mut read = Histogram::default();
/// assert_eq!(decoder.next_into(&mut read)?.unwrap().timestamp, 1_000);
/// assert_eq!(read, h);
/// assert_eq!(decoder.next_into(&mut read)?.unwrap().timestamp, 16_000);
/// h.counter_reset_hint = CounterResetHint::NotCounterReset;
/// assert_eq!(read, h);
/// assert_eq!(decoder.next_into(&mut read)?, None);
/// # Ok::<(), prometheus_chunks::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct HistogramDecoder<'a, H: NativeHistogram> {
    encoding: Encoding,
    hint: CounterResetHint,
    reader: BitReader<'a>,
    /// Samples in the chunk; as many as were read after an error.
    count: u16,
    read: u16,
    layout: Layout,
    /// None before the first sample.
    state: Option<State<H>>,
    start_timestamp: StartTimestamp,
}

/// Refuses an encoding that is not one of `H`.
pub(super) fn ensure_kind<H: Parts>(encoding: Encoding) -> Result<()> {
    if encoding.value_kind() == Some(H::KIND) {
        return Ok(());
    }
    Err(Repr::UnsuitableEncoding { encoding: encoding.name(), expected: H::KIND_NAME }.into())
}

/// How many samples a chunk can have, at most, that repeat this many spans and custom bounds.
pub(super) fn max_samples(layout_values: usize) -> usize {
    MAX_SHARED_VALUES.checked_div(layout_values).unwrap_or(usize::MAX)
}

impl<'a, H: NativeHistogram> HistogramDecoder<'a, H> {
    /// Starts before the first sample of a chunk.
    ///
    /// # Errors
    /// Corrupt if the data are shorter than the header; Unsupported if the encoding is not one of `H`.
    pub fn new(encoding: Encoding, data: &'a [u8]) -> Result<Self> {
        ensure_kind::<H>(encoding)?;
        let hint = counter_reset_header(encoding, data)?;
        let count = sample_count(encoding, data)?;
        let start_timestamp = match data {
            [_, _, header, ..] if encoding.keeps_start_timestamps() => StartTimestamp::from_header(*header),
            _ => StartTimestamp::default(),
        };
        Ok(Self {
            encoding,
            hint,
            reader: BitReader::at_byte(data, HEADER_LEN),
            count,
            read: 0,
            layout: Layout::default(),
            state: None,
            start_timestamp,
        })
    }

    /// What the chunk's header says of a counter reset before its first sample.
    #[must_use]
    pub fn counter_reset_header(&self) -> CounterResetHint {
        self.hint
    }

    /// How many samples have not been read yet; 0 after an error.
    #[must_use]
    pub fn remaining(&self) -> u16 {
        self.count.saturating_sub(self.read)
    }

    /// Reads the next sample into `into`, whose memory is reused; all its fields are replaced. None at the end.
    ///
    /// # Errors
    /// Corrupt if the data are malformed or end early; Unsupported if the schema is unknown; LimitExceeded if samples
    /// and layout together would take memory out of proportion. Afterwards there are no more samples, and `into` is
    /// unspecified.
    pub fn next_into(&mut self, into: &mut H) -> Result<Option<SampleTime>> {
        if self.read >= self.count {
            return Ok(None);
        }
        match self.read_sample() {
            Ok(time) => {
                self.emit(&mut into.view_mut());
                Ok(Some(time))
            }
            Err(error) => {
                self.count = self.read;
                Err(error)
            }
        }
    }

    /// Reads the next sample. None at the end.
    ///
    /// # Errors
    /// As [`Self::next_into`].
    pub fn next_sample(&mut self) -> Result<Option<Sample>> {
        let mut h = H::default();
        Ok(self.next_into(&mut h)?.map(|SampleTime { timestamp, start_timestamp }| Sample {
            timestamp,
            start_timestamp,
            value: h.into_value(),
        }))
    }

    fn read_sample(&mut self) -> Result<SampleTime> {
        let (timestamp, previous) = match &mut self.state {
            None => {
                self.layout = Layout::read(&mut self.reader)?;
                let values = self.layout.shared_values();
                if usize::from(self.count) > max_samples(values) {
                    let limit = MAX_SHARED_VALUES;
                    return Err(Repr::SharedValues { samples: self.count, values, limit }.into());
                }
                let state = State::read_first(&mut self.reader, &self.layout)?;
                (self.state.insert(state).timestamp.value(), 0)
            }
            Some(state) => {
                let previous = state.timestamp.value();
                state.read_next(&mut self.reader)?;
                (state.timestamp.value(), previous)
            }
        };
        if self.encoding.keeps_start_timestamps() {
            self.start_timestamp.read(&mut self.reader, self.read, timestamp, previous)?;
        }
        self.read = self.read.saturating_add(1);
        Ok(SampleTime { timestamp, start_timestamp: self.start_timestamp.value() })
    }

    /// Writes the sample just read.
    fn emit(&self, h: &mut ViewMut<'_, H>) {
        let Some(state) = &self.state else { return };
        let hint = match self.hint {
            CounterResetHint::Gauge => CounterResetHint::Gauge,
            _ if self.read > 1 => CounterResetHint::NotCounterReset,
            _ => CounterResetHint::Unknown,
        };
        *h.sum = state.sum.value();
        if is_stale_nan(*h.sum) {
            return clear(h);
        }
        *h.counter_reset_hint = hint;
        *h.schema = self.layout.schema;
        *h.zero_threshold = self.layout.zero_threshold;
        *h.count = state.count.value();
        *h.zero_count = state.zero_count.value();
        h.positive_spans.clone_from(&self.layout.positive_spans);
        h.negative_spans.clone_from(&self.layout.negative_spans);
        h.custom_values.clone_from(&self.layout.custom_values);
        h.positive_buckets.clear();
        h.positive_buckets.extend(state.positive.iter().map(Field::value));
        h.negative_buckets.clear();
        h.negative_buckets.extend(state.negative.iter().map(Field::value));
        if let Ok(steps @ 1..) = u32::try_from(self.layout.schema.saturating_sub(MAX_SCHEMA)) {
            *h.schema = MAX_SCHEMA;
            reduce::<H::Bucket>(h.positive_spans, h.positive_buckets, steps);
            reduce::<H::Bucket>(h.negative_spans, h.negative_buckets, steps);
        }
    }
}

/// Empties all but the sum.
fn clear<H: Parts>(h: &mut ViewMut<'_, H>) {
    *h.counter_reset_hint = CounterResetHint::Unknown;
    *h.schema = 0;
    *h.zero_threshold = 0.0;
    *h.count = Default::default();
    *h.zero_count = Default::default();
    h.positive_spans.clear();
    h.negative_spans.clear();
    h.custom_values.clear();
    h.positive_buckets.clear();
    h.negative_buckets.clear();
}

impl<H: NativeHistogram> Iterator for HistogramDecoder<'_, H> {
    type Item = Result<Sample, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_sample().transpose()
    }
}

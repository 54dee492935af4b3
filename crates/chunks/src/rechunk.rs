//! Cuts the samples of a series into chunks anew.

use std::num::NonZeroU16;

use prometheus_model::{FloatHistogram, Histogram, Sample, TimestampMs, Value};

use crate::{
    EncodedChunk, Encoding, HistogramEncoder, ValueKind, Xor2Encoder, XorEncoder,
    error::{Repr, Result},
};

/// How a [`Rechunker`] writes chunks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct RechunkOptions {
    /// Most samples of a chunk; the encodings with start timestamps of histograms cannot count beyond 16383.
    pub max_samples_per_chunk: NonZeroU16,
    /// Whether to keep start timestamps: samples that have one go into chunks of [`Encoding::Xor2`],
    /// [`Encoding::HistogramSt`] or [`Encoding::FloatHistogramSt`], which not every reader knows.
    pub start_timestamps: bool,
}

impl Default for RechunkOptions {
    /// 120 samples, as in Prometheus' head; without start timestamps.
    fn default() -> Self {
        Self { max_samples_per_chunk: const { NonZeroU16::new(120).expect("120 > 0") }, start_timestamps: false }
    }
}

/// Cuts the samples of one series after another into chunks, whatever chunks they came in.
///
/// A chunk ends where the kind of value changes, at the sample limit, where a histogram does not go with those before it
/// (see [`HistogramEncoder`]), where the encoding changes as [`RechunkOptions::start_timestamps`] says, and where
/// [`Self::cut`] is called. Chunks of histograms have a counter reset header that says how their first sample compares
/// with the sample before it in the series, if that is a histogram of the same kind.
///
/// ```
/// use prometheus_chunks::{RechunkOptions, Rechunker, XorDecoder};
/// let mut rechunker = Rechunker::new(RechunkOptions { max_samples_per_chunk: 2.try_into()?, ..Default::default() });
/// assert_eq!(rechunker.push_float(1_000, 1.5)?, None);
/// assert_eq!(rechunker.push_float(2_000, 1.5)?, None);
/// let first = rechunker.push_float(3_000, 1.5)?.unwrap();
/// assert_eq!((first.min_time, first.max_time, first.samples), (1_000, 2_000, 2));
/// let last = rechunker.finish().unwrap();
/// assert_eq!(XorDecoder::new(&last.data)?.next_sample()?, Some((3_000, 1.5)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Rechunker {
    options: RechunkOptions,
    /// Timestamp of the last sample of the series.
    last: Option<TimestampMs>,
    /// The encoding of the open chunk.
    open: Option<Encoding>,
    /// Timestamp of the first sample of the open chunk, if it is one of floats.
    first: TimestampMs,
    xor: XorEncoder,
    xor2: Xor2Encoder,
    histogram: HistogramEncoder<Histogram>,
    float_histogram: HistogramEncoder<FloatHistogram>,
}

impl Rechunker {
    /// A rechunker without samples.
    #[must_use]
    pub fn new(options: RechunkOptions) -> Self {
        let limit = options.max_samples_per_chunk.get();
        Self {
            options,
            last: None,
            open: None,
            first: 0,
            xor: XorEncoder::new(),
            xor2: Xor2Encoder::new(),
            histogram: HistogramEncoder::with_encoding(Encoding::Histogram).with_max_samples(limit),
            float_histogram: HistogramEncoder::with_encoding(Encoding::FloatHistogram).with_max_samples(limit),
        }
    }

    /// Appends a sample. Returns the chunk before it if this sample is the first of a new one.
    ///
    /// # Errors
    /// Invalid if the sample is not later than the one before, or a malformed histogram. The rechunker stays as it was.
    pub fn push(&mut self, sample: &Sample) -> Result<Option<EncodedChunk>> {
        let (timestamp, start_timestamp) = (sample.timestamp, sample.start_timestamp);
        match &sample.value {
            Value::Float(value) => self.push_float_with_start(timestamp, *value, start_timestamp),
            Value::Histogram(h) => self.push_histogram(timestamp, h, start_timestamp),
            Value::FloatHistogram(h) => self.push_float_histogram(timestamp, h, start_timestamp),
        }
    }

    /// Appends a float without a start timestamp, as [`Self::push`] does.
    ///
    /// # Errors
    /// Invalid if the sample is not later than the one before. The rechunker stays as it was.
    #[inline]
    pub fn push_float(&mut self, timestamp: TimestampMs, value: f64) -> Result<Option<EncodedChunk>> {
        self.push_float_with_start(timestamp, value, 0)
    }

    /// Appends a float, as [`Self::push`] does.
    ///
    /// # Errors
    /// Invalid if the sample is not later than the one before. The rechunker stays as it was.
    pub fn push_float_with_start(
        &mut self,
        timestamp: TimestampMs,
        value: f64,
        start_timestamp: TimestampMs,
    ) -> Result<Option<EncodedChunk>> {
        self.ensure_after(timestamp)?;
        let start_timestamp = self.kept(start_timestamp);
        let limit = self.options.max_samples_per_chunk.get();
        // A chunk that has room for start timestamps takes samples without one, too.
        let goes_on = match self.open {
            Some(Encoding::Xor) => start_timestamp == 0 && self.xor.sample_count() < limit,
            Some(Encoding::Xor2) => self.xor2.sample_count() < limit,
            _ => false,
        };
        let mut finished = None;
        if !goes_on {
            let encoding = if start_timestamp == 0 { Encoding::Xor } else { Encoding::Xor2 };
            finished = self.opened(encoding, timestamp);
            self.first = timestamp;
        }
        if self.open == Some(Encoding::Xor2) {
            self.xor2.push(timestamp, value, start_timestamp)?;
        } else {
            self.xor.push(timestamp, value)?;
        }
        self.last = Some(timestamp);
        Ok(finished)
    }

    /// Appends a histogram, as [`Self::push`] does.
    ///
    /// # Errors
    /// Invalid if the sample is not later than the one before, or malformed. The rechunker stays as it was.
    pub fn push_histogram(
        &mut self,
        timestamp: TimestampMs,
        h: &Histogram,
        start_timestamp: TimestampMs,
    ) -> Result<Option<EncodedChunk>> {
        self.ensure_after(timestamp)?;
        let start_timestamp = self.kept(start_timestamp);
        let encoding = if start_timestamp == 0 { Encoding::Histogram } else { Encoding::HistogramSt };
        self.histogram.set_encoding(encoding);
        let finished = self.histogram.push(timestamp, h, start_timestamp)?;
        Ok(finished.or(self.opened(encoding, timestamp)))
    }

    /// Appends a float histogram, as [`Self::push`] does.
    ///
    /// # Errors
    /// Invalid if the sample is not later than the one before, or malformed. The rechunker stays as it was.
    pub fn push_float_histogram(
        &mut self,
        timestamp: TimestampMs,
        h: &FloatHistogram,
        start_timestamp: TimestampMs,
    ) -> Result<Option<EncodedChunk>> {
        self.ensure_after(timestamp)?;
        let start_timestamp = self.kept(start_timestamp);
        let encoding = if start_timestamp == 0 { Encoding::FloatHistogram } else { Encoding::FloatHistogramSt };
        self.float_histogram.set_encoding(encoding);
        let finished = self.float_histogram.push(timestamp, h, start_timestamp)?;
        Ok(finished.or(self.opened(encoding, timestamp)))
    }

    /// Finishes the open chunk, if there is one. The series goes on.
    pub fn cut(&mut self) -> Option<EncodedChunk> {
        let encoding = self.open.take()?;
        let (samples, data) = match encoding {
            Encoding::Xor => (self.xor.sample_count(), self.xor.bytes().to_vec()),
            Encoding::Xor2 => (self.xor2.sample_count(), self.xor2.bytes().to_vec()),
            Encoding::Histogram | Encoding::HistogramSt => return self.histogram.cut(),
            Encoding::FloatHistogram | Encoding::FloatHistogramSt => return self.float_histogram.cut(),
            Encoding::Aggregate => return None,
        };
        self.xor.clear();
        self.xor2.clear();
        // `last` is that of a sample in this chunk: there is no open one without samples.
        Some(EncodedChunk { encoding, min_time: self.first, max_time: self.last.unwrap_or(self.first), samples, data })
    }

    /// Finishes the series: the open chunk, if there is one. The next sample is the first of another series.
    pub fn finish(&mut self) -> Option<EncodedChunk> {
        let finished = self.cut();
        self.histogram.clear();
        self.float_histogram.clear();
        self.last = None;
        finished
    }

    fn kept(&self, start_timestamp: TimestampMs) -> TimestampMs {
        if self.options.start_timestamps { start_timestamp } else { 0 }
    }

    #[inline]
    fn ensure_after(&self, timestamp: TimestampMs) -> Result<()> {
        match self.last {
            Some(previous) if timestamp <= previous => Err(Repr::NotAscending { found: timestamp, previous }.into()),
            _ => Ok(()),
        }
    }

    /// Notes that the sample at `timestamp` is in a chunk of `encoding`. Finishes the chunk before it if that is one of
    /// another kind, whose encoder has not seen the sample.
    fn opened(&mut self, encoding: Encoding, timestamp: TimestampMs) -> Option<EncodedChunk> {
        let kind = encoding.value_kind();
        let finished = match self.open {
            Some(open) if open.value_kind() != kind || kind == Some(ValueKind::Float) => self.cut(),
            _ => None,
        };
        // Histograms are compared with the sample right before them, not with one before samples of another kind.
        if kind != Some(ValueKind::Histogram) {
            self.histogram.clear();
        }
        if kind != Some(ValueKind::FloatHistogram) {
            self.float_histogram.clear();
        }
        self.open = Some(encoding);
        self.last = Some(timestamp);
        finished
    }
}

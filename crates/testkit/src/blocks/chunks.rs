//! Cuts samples into chunks as Prometheus' head does.

use prometheus_chunks::{EncodedChunk, Encoding, HistogramEncoder, Result, Xor2Encoder, XorEncoder};
use prometheus_model::{FloatHistogram, Histogram, Sample, TimestampMs, Value};

use super::spec::FloatEncoding;

/// Samples of a full chunk.
const CHUNK_SAMPLES: u16 = 120;
/// No chunk goes beyond a multiple of this: blocks that Prometheus cuts from its head cover two hours.
pub(crate) const HEAD_RANGE_MS: i64 = 7_200_000;

/// Encodes the samples of one series after another.
#[derive(Debug)]
pub(crate) struct ChunkCutter {
    encoding: FloatEncoding,
    chunks: Vec<EncodedChunk>,
    open: Open,
    /// End of the head range (exclusive) of the open chunk.
    range_end: TimestampMs,
    min_time: TimestampMs,
    max_time: TimestampMs,
    xor: XorEncoder,
    xor2: Xor2Encoder,
    histogram: HistogramEncoder<Histogram>,
    float_histogram: HistogramEncoder<FloatHistogram>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Open {
    Nothing,
    Float,
    Histogram,
    FloatHistogram,
}

impl ChunkCutter {
    pub(crate) fn new(encoding: FloatEncoding) -> Result<Self> {
        Ok(Self {
            encoding,
            chunks: Vec::new(),
            open: Open::Nothing,
            range_end: TimestampMs::MIN,
            min_time: 0,
            max_time: 0,
            xor: XorEncoder::new(),
            xor2: Xor2Encoder::new(),
            histogram: HistogramEncoder::new(Encoding::Histogram)?.with_max_samples(CHUNK_SAMPLES),
            float_histogram: HistogramEncoder::new(Encoding::FloatHistogram)?.with_max_samples(CHUNK_SAMPLES),
        })
    }

    /// The chunks of a series.
    pub(crate) fn encode(&mut self, samples: impl Iterator<Item = Sample>) -> Result<Vec<EncodedChunk>> {
        for sample in samples {
            self.push(&sample)?;
        }
        self.cut();
        self.histogram.clear();
        self.float_histogram.clear();
        self.range_end = TimestampMs::MIN;
        Ok(std::mem::take(&mut self.chunks))
    }

    fn push(&mut self, sample: &Sample) -> Result<()> {
        let now = sample.timestamp;
        if now >= self.range_end {
            self.cut();
            self.range_end = (now.div_euclid(HEAD_RANGE_MS) + 1) * HEAD_RANGE_MS;
        }
        let kind = match sample.value {
            Value::Float(_) => Open::Float,
            Value::Histogram(_) => Open::Histogram,
            Value::FloatHistogram(_) => Open::FloatHistogram,
        };
        if self.open != kind {
            self.cut();
            // Only neighbours are compared for counter resets.
            self.histogram.clear();
            self.float_histogram.clear();
        }
        match &sample.value {
            Value::Float(value) => {
                let full = match self.encoding {
                    FloatEncoding::Xor => self.xor.sample_count() == CHUNK_SAMPLES,
                    FloatEncoding::Xor2 => self.xor2.sample_count() == CHUNK_SAMPLES,
                };
                if full {
                    self.cut();
                }
                if self.open == Open::Nothing {
                    self.min_time = now;
                }
                self.max_time = now;
                match self.encoding {
                    FloatEncoding::Xor => self.xor.push(now, *value)?,
                    FloatEncoding::Xor2 => self.xor2.push(now, *value, sample.start_timestamp)?,
                }
            }
            Value::Histogram(h) => self.chunks.extend(self.histogram.push(now, h, 0)?),
            Value::FloatHistogram(h) => self.chunks.extend(self.float_histogram.push(now, h, 0)?),
        }
        self.open = kind;
        Ok(())
    }

    fn cut(&mut self) {
        let finished = match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Nothing => None,
            Open::Histogram => self.histogram.cut(),
            Open::FloatHistogram => self.float_histogram.cut(),
            Open::Float => {
                let (encoding, samples, data) = match self.encoding {
                    FloatEncoding::Xor => (Encoding::Xor, self.xor.sample_count(), self.xor.bytes().to_vec()),
                    FloatEncoding::Xor2 => (Encoding::Xor2, self.xor2.sample_count(), self.xor2.bytes().to_vec()),
                };
                self.xor.clear();
                self.xor2.clear();
                Some(EncodedChunk { encoding, min_time: self.min_time, max_time: self.max_time, samples, data })
            }
        };
        self.chunks.extend(finished);
    }
}

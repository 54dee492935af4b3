//! Histogram chunks against those written by Prometheus, against an oracle, and against damage.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod blocks;
mod damage;
mod golden;
mod model;
mod properties;
mod rechunk;

use std::fmt::Debug;

use prometheus_chunks::{EncodedChunk, Encoding, HistogramDecoder, HistogramEncoder, NativeHistogram, Result};
use prometheus_model::{CounterResetHint, FloatHistogram, Histogram};

/// A sample: timestamp, start timestamp, histogram.
type At<H> = (i64, i64, H);

/// What the tests need to know of a kind of histogram.
trait Kind: NativeHistogram + Eq + Debug {
    /// Without and with start timestamps.
    const ENCODINGS: [Encoding; 2];

    fn hint(&mut self) -> &mut CounterResetHint;
}

impl Kind for Histogram {
    const ENCODINGS: [Encoding; 2] = [Encoding::Histogram, Encoding::HistogramSt];

    fn hint(&mut self) -> &mut CounterResetHint {
        &mut self.counter_reset_hint
    }
}

impl Kind for FloatHistogram {
    const ENCODINGS: [Encoding; 2] = [Encoding::FloatHistogram, Encoding::FloatHistogramSt];

    fn hint(&mut self) -> &mut CounterResetHint {
        &mut self.counter_reset_hint
    }
}

fn decode<H: Kind>(encoding: Encoding, data: &[u8]) -> Result<Vec<At<H>>> {
    let mut decoder = HistogramDecoder::<H>::new(encoding, data)?;
    let (mut samples, mut h) = (vec![], H::default());
    while let Some(time) = decoder.next_into(&mut h)? {
        samples.push((time.timestamp, time.start_timestamp, h.clone()));
    }
    assert_eq!(decoder.remaining(), 0);
    assert_eq!(decoder.next_into(&mut h)?, None);
    Ok(samples)
}

/// Chunks of the samples; None stands for a cut.
fn encode<H: Kind>(encoding: Encoding, samples: &[Option<At<H>>]) -> Result<Vec<EncodedChunk>> {
    let mut encoder = HistogramEncoder::new(encoding)?;
    let mut chunks = vec![];
    for sample in samples {
        chunks.extend(match sample {
            Some((t, st, h)) => encoder.push(*t, h, *st)?,
            None => encoder.cut(),
        });
    }
    chunks.extend(encoder.cut());
    Ok(chunks)
}

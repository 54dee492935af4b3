//! The rechunker, with samples of all kinds.

use std::num::NonZeroU16;

use proptest::prelude::*;

use prometheus_chunks::{EncodedChunk, Encoding, ErrorKind, RechunkOptions, Rechunker, counter_reset_header};
use prometheus_model::{CounterResetHint, FloatHistogram, Histogram, Sample, Span, Value};

use crate::model::{Model, Modelled, Step, series};

fn options(limit: u16, start_timestamps: bool) -> RechunkOptions {
    RechunkOptions { max_samples_per_chunk: NonZeroU16::new(limit).unwrap(), start_timestamps }
}

fn read(chunk: &EncodedChunk) -> Vec<Sample> {
    let mut samples = vec![];
    prometheus_chunks::decode(chunk.encoding, &chunk.data, &mut samples).unwrap();
    assert_eq!(samples.len(), usize::from(chunk.samples));
    assert_eq!((chunk.min_time, chunk.max_time), (samples[0].timestamp, samples[samples.len() - 1].timestamp));
    samples
}

/// The value without what encoding may change.
fn model(value: &Value) -> Model {
    match value {
        Value::Float(v) => Model { sum: *v, ..Model::default() },
        Value::Histogram(h) => h.model().as_read(CounterResetHint::Unknown),
        Value::FloatHistogram(h) => h.model().as_read(CounterResetHint::Unknown),
    }
}

fn kind(value: &Value) -> u8 {
    match value {
        Value::Float(_) => 0,
        Value::Histogram(_) => 1,
        Value::FloatHistogram(_) => 2,
    }
}

proptest! {
    #[test]
    fn all_samples_come_back(steps in series(), kinds in prop::collection::vec((0_u8..3, 1_usize..12), 1..20), limit in 1_u16..9, keep in any::<bool>()) {
        let kinds = kinds.into_iter().flat_map(|(kind, run)| vec![kind; run]).cycle();
        let mut rechunker = Rechunker::new(options(limit, keep));
        let (mut chunks, mut samples, mut cuts) = (vec![], vec![], vec![]);
        let mut t = -500;
        for (step, kind) in steps.iter().zip(kinds) {
            let Step::Sample(delta, st, model) = step else {
                cuts.push(samples.len());
                chunks.extend(rechunker.cut());
                continue;
            };
            t += delta;
            let value = match kind {
                0 => Value::Float(model.count().into()),
                1 => Value::Histogram(Box::new(Histogram::of(model))),
                _ => Value::FloatHistogram(Box::new(FloatHistogram::of(model))),
            };
            let sample = Sample { timestamp: t, start_timestamp: *st, value };
            chunks.extend(rechunker.push(&sample).unwrap());
            for late in [t, t - 1] {
                let error = rechunker.push(&Sample { timestamp: late, ..sample.clone() }).unwrap_err();
                prop_assert_eq!(error.kind(), ErrorKind::Invalid);
            }
            samples.push(sample);
        }
        chunks.extend(rechunker.finish());
        prop_assert_eq!(rechunker.finish(), None);

        let mut at = 0;
        for chunk in &chunks {
            prop_assert!((1..=limit).contains(&chunk.samples));
            let from = at;
            for read in read(chunk) {
                let want = &samples[at];
                prop_assert!(at == from || !cuts.contains(&at), "a cut was missed");
                prop_assert_eq!(read.timestamp, want.timestamp);
                prop_assert_eq!(read.start_timestamp, if keep { want.start_timestamp } else { 0 });
                prop_assert_eq!(kind(&read.value), kind(&want.value));
                prop_assert!(model(&read.value).same(&model(&want.value)));
                at += 1;
            }
            let has_start = keep && samples[from].start_timestamp != 0;
            let encoding = [
                [Encoding::Xor, Encoding::Histogram, Encoding::FloatHistogram],
                [Encoding::Xor2, Encoding::HistogramSt, Encoding::FloatHistogramSt],
            ][usize::from(has_start)][usize::from(kind(&samples[from].value))];
            prop_assert_eq!(chunk.encoding, encoding);
            // A header of a counter that claims something has a histogram of its kind right before it.
            if encoding.value_kind() != Some(prometheus_chunks::ValueKind::Float)
                && counter_reset_header(encoding, &chunk.data).unwrap() == CounterResetHint::NotCounterReset
            {
                prop_assert!(from > 0 && kind(&samples[from - 1].value) == kind(&samples[from].value));
            }
        }
        prop_assert_eq!(at, samples.len());
    }
}

fn histogram(count: i64) -> Histogram {
    Histogram {
        count: count.unsigned_abs(),
        positive_spans: vec![Span { offset: 0, length: 1 }],
        positive_buckets: vec![count],
        ..Histogram::default()
    }
}

/// The header of each chunk.
fn headers(chunks: &[EncodedChunk]) -> Vec<CounterResetHint> {
    chunks.iter().map(|chunk| counter_reset_header(chunk.encoding, &chunk.data).unwrap()).collect()
}

#[test]
fn headers_at_the_limit_compare_with_the_sample_before() {
    use CounterResetHint::{CounterReset, NotCounterReset, Unknown};
    let mut rechunker = Rechunker::new(options(2, false));
    let mut chunks = vec![];
    for (t, count) in [5, 6, 7, 8, 3, 4, 5].into_iter().enumerate() {
        chunks.extend(rechunker.push_histogram(t as i64, &histogram(count), 0).unwrap());
    }
    chunks.extend(rechunker.cut());
    // Another kind between, or another series: nothing is known of a reset.
    chunks.extend(rechunker.push_histogram(10, &histogram(6), 0).unwrap());
    assert_eq!(rechunker.push_float(11, 1.0).unwrap().unwrap().samples, 1);
    assert_eq!(rechunker.push_histogram(12, &histogram(7), 0).unwrap().unwrap().encoding, Encoding::Xor);
    chunks.extend(rechunker.finish());
    assert_eq!(rechunker.push_histogram(1, &histogram(9), 0).unwrap(), None);
    chunks.extend(rechunker.finish());
    assert_eq!(headers(&chunks), [Unknown, NotCounterReset, CounterReset, NotCounterReset, Unknown, Unknown]);
}

#[test]
fn a_refused_sample_changes_nothing() {
    let mut rechunker = Rechunker::new(options(120, false));
    rechunker.push_float(1, 1.0).unwrap();
    let malformed = Histogram { positive_buckets: vec![], ..histogram(1) };
    let fine = Histogram { schema: 9, ..histogram(1) };
    for h in [malformed, fine] {
        let error = rechunker.push_histogram(2, &h, 0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    }
    assert_eq!(rechunker.push_float(2, 1.0).unwrap(), None);
    assert_eq!(rechunker.finish().unwrap().samples, 2);
}

#[test]
fn floats_switch_to_xor2_when_they_must() {
    let starts = [0, 0, 7, 0, 7];
    for (keep, encodings) in [(false, &[(Encoding::Xor, 5)][..]), (true, &[(Encoding::Xor, 2), (Encoding::Xor2, 3)])] {
        let mut rechunker = Rechunker::new(options(120, keep));
        let mut chunks = vec![];
        for (t, st) in starts.into_iter().enumerate() {
            chunks.extend(rechunker.push_float_with_start(t as i64, 1.0, st).unwrap());
        }
        chunks.extend(rechunker.finish());
        assert_eq!(chunks.iter().map(|c| (c.encoding, c.samples)).collect::<Vec<_>>(), encodings);
    }
}

#[test]
fn chunks_end_when_their_encoding_cannot_count_further() {
    let mut rechunker = Rechunker::new(options(u16::MAX, true));
    let mut finished = vec![];
    for t in 1..=16_384 {
        finished.extend(rechunker.push_histogram(t, &histogram(1), t - 1).unwrap());
    }
    finished.extend(rechunker.finish());
    // The first sample has no start timestamp, and so its chunk has none either.
    assert_eq!(finished.iter().map(|c| c.samples).collect::<Vec<_>>(), [1, 16_383]);
    for t in 1..=16_385 {
        finished.extend(rechunker.push_histogram(t, &histogram(1), 1).unwrap());
    }
    finished.extend(rechunker.finish());
    assert_eq!(finished[2..].iter().map(|c| c.samples).collect::<Vec<_>>(), [16_383, 2]);
    for t in 0..=65_535 {
        finished.extend(rechunker.push_histogram(t, &histogram(1), 0).unwrap());
    }
    finished.extend(rechunker.finish());
    assert_eq!(finished[4..].iter().map(|c| c.samples).collect::<Vec<_>>(), [65_535, 1]);
    for chunk in &finished {
        read(chunk);
    }
}

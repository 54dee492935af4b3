//! Merging against an obvious oracle: a map of samples by time, into which the blocks are put from the last to the first.

use std::{collections::BTreeMap, fmt, num::NonZeroU64};

use bytes::Bytes;
use prometheus_chunks::{
    EncodedChunk, Encoding, RechunkOptions, Rechunker, ValueKind, Xor2Encoder, counter_reset_header, decode,
    set_counter_reset_header,
};
use prometheus_model::{
    CUSTOM_BUCKETS_SCHEMA, CounterResetHint, FloatHistogram, Histogram, Sample, Span, TimeRange, TimestampMs, Value,
    is_stale_nan, stale_nan,
};
use prometheus_tsdb_index::SeriesRef;
use proptest::prelude::*;

use super::{Borders, ChunkSource, MergeCounts, MergeOptions, SeriesMerger};
use crate::{ChunkRef, ErrorKind, Interval, RawChunk, Tombstones};

/// A block's chunks of the series, and what is deleted from it.
#[derive(Clone, Default)]
struct Block {
    chunks: Vec<EncodedChunk>,
    deleted: Tombstones,
}

const SERIES: SeriesRef = SeriesRef(1);

/// Chunks by their samples, which say more than bytes.
impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in &self.chunks {
            let samples: Vec<_> = samples_of(chunk).iter().map(|s| (s.timestamp, plain(&s.value))).collect();
            let header = counter_reset_header(chunk.encoding, &chunk.data).ok();
            writeln!(f, "{:?}, {header:?}: {samples:?}", chunk.encoding)?;
        }
        write!(f, "deleted: {:?}", self.deleted.of(SERIES).as_slice())
    }
}

impl Block {
    fn delete(mut self, min: TimestampMs, max: TimestampMs) -> Self {
        let before: Vec<_> =
            self.deleted.iter().flat_map(|(s, of)| of.as_slice().iter().map(move |i| (s, *i))).collect();
        self.deleted = before.into_iter().chain([(SERIES, Interval { min, max })]).collect();
        self
    }
}

fn options() -> MergeOptions {
    MergeOptions {
        range: TimeRange::ALL,
        borders: None,
        max_samples: 120.try_into().unwrap(),
        keep_start_timestamps: true,
    }
}

fn merge_with(merger: &mut SeriesMerger, blocks: &[Block]) -> Result<Vec<EncodedChunk>, crate::Error> {
    let raw: Vec<Vec<RawChunk>> = blocks
        .iter()
        .map(|block| {
            let raw = |c: &EncodedChunk| RawChunk { encoding: c.encoding.byte(), data: Bytes::from(c.data.clone()) };
            block.chunks.iter().map(raw).collect()
        })
        .collect();
    let mut sources = Vec::new();
    for ((block, raw), number) in blocks.iter().zip(&raw).zip(0..) {
        for ((encoded, chunk), ordinal) in block.chunks.iter().zip(raw).zip(0..) {
            sources.push(ChunkSource {
                block: number,
                ordinal,
                min_time: encoded.min_time,
                max_time: encoded.max_time,
                deleted: block.deleted.of(SERIES),
                chunk,
                location: "b",
                reference: ChunkRef(8),
            });
        }
    }
    let mut merged = Vec::new();
    merger.merge(&mut sources, |chunk| {
        let data = chunk.data.to_vec();
        let (encoding, min_time, max_time, samples) = (chunk.encoding, chunk.min_time, chunk.max_time, chunk.samples);
        merged.push(EncodedChunk { encoding, min_time, max_time, samples, data });
        Ok::<_, crate::Error>(())
    })?;
    Ok(merged)
}

fn merge(options: MergeOptions, blocks: &[Block]) -> (Vec<EncodedChunk>, MergeCounts) {
    let mut merger = SeriesMerger::new(options);
    let merged = merge_with(&mut merger, blocks).unwrap();
    (merged, merger.take_counts())
}

fn samples_of(chunk: &EncodedChunk) -> Vec<Sample> {
    let mut samples = Vec::new();
    decode(chunk.encoding, &chunk.data, &mut samples).unwrap();
    samples
}

/// The samples that should come out, by time.
fn oracle(options: MergeOptions, blocks: &[Block]) -> BTreeMap<TimestampMs, Sample> {
    let mut merged = BTreeMap::new();
    for block in blocks.iter().rev() {
        for sample in block.chunks.iter().rev().flat_map(samples_of) {
            let deleted = block.deleted.of(SERIES).as_slice().iter();
            let gone = deleted.clone().any(|i| i.min <= sample.timestamp && sample.timestamp <= i.max);
            if !gone && options.range.start() <= sample.timestamp && sample.timestamp < options.range.end() {
                merged.insert(sample.timestamp, sample);
            }
        }
    }
    merged
}

/// What a histogram says, no matter how its buckets are laid out: gauge or not, sum, zero bucket, count, buckets that are
/// not empty, custom bounds. Floats as bits.
#[derive(PartialEq, Eq, Debug)]
enum Plain {
    Float(u64),
    Stale {
        floats: bool,
    },
    Histogram {
        floats: bool,
        gauge: bool,
        schema: i32,
        numbers: [u64; 4],
        buckets: [BTreeMap<i32, u64>; 2],
        custom: Vec<u64>,
    },
}

fn buckets(spans: &[Span], counts: impl IntoIterator<Item = f64>) -> BTreeMap<i32, u64> {
    let mut index = 0;
    let mut indexes = Vec::new();
    for span in spans {
        index += span.offset;
        for _ in 0..span.length {
            indexes.push(index);
            index += 1;
        }
    }
    indexes.into_iter().zip(counts).filter(|(_, count)| *count != 0.0).map(|(i, count)| (i, count.to_bits())).collect()
}

fn absolute(deltas: &[i64]) -> impl Iterator<Item = f64> {
    deltas.iter().scan(0, |count, delta| {
        *count += delta;
        Some(*count as f64)
    })
}

fn plain(value: &Value) -> Plain {
    let custom = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect();
    match value {
        Value::Float(v) => Plain::Float(v.to_bits()),
        Value::Histogram(h) if is_stale_nan(h.sum) => Plain::Stale { floats: false },
        Value::FloatHistogram(h) if is_stale_nan(h.sum) => Plain::Stale { floats: true },
        Value::Histogram(h) => Plain::Histogram {
            floats: false,
            gauge: h.counter_reset_hint == CounterResetHint::Gauge,
            schema: h.schema,
            numbers: [h.sum.to_bits(), h.zero_threshold.to_bits(), h.zero_count, h.count],
            buckets: [
                buckets(&h.positive_spans, absolute(&h.positive_buckets)),
                buckets(&h.negative_spans, absolute(&h.negative_buckets)),
            ],
            custom: custom(&h.custom_values),
        },
        Value::FloatHistogram(h) => Plain::Histogram {
            floats: true,
            gauge: h.counter_reset_hint == CounterResetHint::Gauge,
            schema: h.schema,
            numbers: [h.sum.to_bits(), h.zero_threshold.to_bits(), h.zero_count.to_bits(), h.count.to_bits()],
            buckets: [
                buckets(&h.positive_spans, h.positive_buckets.iter().copied()),
                buckets(&h.negative_spans, h.negative_buckets.iter().copied()),
            ],
            custom: custom(&h.custom_values),
        },
    }
}

fn hint(value: &Value) -> CounterResetHint {
    match value {
        Value::Float(_) => CounterResetHint::Unknown,
        Value::Histogram(h) => h.counter_reset_hint,
        Value::FloatHistogram(h) => h.counter_reset_hint,
    }
}

/// Whether a counter fell from `before` to `after`; nothing if the two cannot be compared.
fn fell(before: &Value, after: &Value) -> Option<bool> {
    let parts = |value: &Value| match plain(value) {
        Plain::Histogram { floats, gauge: false, schema, numbers: [_, threshold, zeros, count], buckets, custom } => {
            let number = |bits: u64| if floats { f64::from_bits(bits) } else { bits as f64 };
            Some(((floats, schema, threshold, custom), number(zeros), number(count), buckets))
        }
        _ => None,
    };
    let (before, after) = (parts(before)?, parts(after)?);
    if before.0 != after.0 {
        return None;
    }
    let bucket = |of: &BTreeMap<i32, u64>, i: i32| of.get(&i).map_or(0.0, |bits| f64::from_bits(*bits));
    let any_bucket = before.3.iter().zip(&after.3).any(|(b, a)| b.keys().any(|i| bucket(a, *i) < bucket(b, *i)));
    Some(after.1 < before.1 || after.2 < before.2 || any_bucket)
}

fn check(options: MergeOptions, blocks: &[Block]) {
    let (chunks, counts) = merge(options, blocks);
    let expected = oracle(options, blocks);
    let mut found: Vec<Sample> = Vec::new();
    // What readers are told of a reset before each sample. Decoders keep the header to themselves.
    let mut hints: Vec<CounterResetHint> = Vec::new();
    for chunk in &chunks {
        let samples = samples_of(chunk);
        let times = (samples.first().unwrap().timestamp, samples.last().unwrap().timestamp);
        assert_eq!((chunk.min_time, chunk.max_time), times, "the times of a chunk are not those of its samples");
        assert_eq!(usize::from(chunk.samples), samples.len());
        assert!(chunk.samples <= options.max_samples.get(), "{} samples", chunk.samples);
        if let Some(borders) = options.borders {
            assert!(chunk.max_time < borders.after(chunk.min_time), "{times:?} crosses a border");
        }
        if !options.keep_start_timestamps {
            assert!(!chunk.encoding.keeps_start_timestamps(), "{}", chunk.encoding);
        }
        let header = match chunk.encoding.value_kind() {
            Some(ValueKind::Float) => CounterResetHint::Unknown,
            _ => counter_reset_header(chunk.encoding, &chunk.data).unwrap(),
        };
        hints.extend([header].into_iter().chain(samples.iter().skip(1).map(|sample| hint(&sample.value))));
        found.extend(samples);
    }
    assert!(found.is_sorted_by(|a, b| a.timestamp < b.timestamp), "chunks overlap or do not ascend");
    let brief = |sample: &Sample| {
        let start = if options.keep_start_timestamps { sample.start_timestamp } else { 0 };
        (sample.timestamp, start, plain(&sample.value))
    };
    assert!(options.keep_start_timestamps || found.iter().all(|sample| sample.start_timestamp == 0));
    assert_eq!(found.iter().map(brief).collect::<Vec<_>>(), expected.values().map(brief).collect::<Vec<_>>());
    assert_eq!(counts.samples, found.len() as u64);
    assert_eq!(counts.encoded + counts.passed_through, chunks.len() as u64);
    for (pair, hint) in found.windows(2).zip(hints.iter().skip(1)) {
        let fell = fell(&pair[0].value, &pair[1].value);
        match hint {
            CounterResetHint::NotCounterReset => assert_ne!(fell, Some(true), "a reset is denied: {pair:?}"),
            CounterResetHint::CounterReset => assert_ne!(fell, Some(false), "a reset is made up: {pair:?}"),
            CounterResetHint::Unknown | CounterResetHint::Gauge => {}
        }
    }
}

/// A few samples of one kind, one after the other.
#[derive(Clone, Debug)]
struct Run {
    kind: Kind,
    start: i64,
    /// Distances, and values: what a counter grows by.
    steps: Vec<(i64, u8)>,
    base: u8,
    max_samples: u16,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Float,
    FloatSt,
    Xor2,
    Histogram,
    HistogramSt,
    Gauge,
    FloatHistogram,
    FloatHistogramSt,
    Custom,
}

fn histogram(kind: Kind, value: u64, shape: u8) -> Value {
    let gauge = if kind == Kind::Gauge { CounterResetHint::Gauge } else { CounterResetHint::Unknown };
    let custom = kind == Kind::Custom;
    // A second span now and then, so that buckets come and go.
    let second = shape.is_multiple_of(3) && !custom;
    let spans: Vec<_> =
        [Span { offset: 0, length: 2 }].into_iter().chain(second.then_some(Span { offset: 3, length: 1 })).collect();
    let counts = [value, value + 2, value / 2];
    let counts = &counts[..if second { 3 } else { 2 }];
    let zero_count = if custom { 0 } else { value / 3 };
    let h = Histogram {
        counter_reset_hint: gauge,
        schema: if custom { CUSTOM_BUCKETS_SCHEMA } else { i32::from(shape.is_multiple_of(17)) },
        zero_threshold: if custom { 0.0 } else { 1e-128 },
        zero_count,
        count: counts.iter().sum::<u64>() + zero_count,
        sum: if shape == 13 { stale_nan() } else { value as f64 },
        positive_spans: spans.clone(),
        positive_buckets: counts
            .iter()
            .scan(0, |last, &c| Some(c as i64 - std::mem::replace(last, c as i64)))
            .collect(),
        custom_values: if custom { vec![1.0, 2.5, f64::from(shape & 1) + 3.0] } else { vec![] },
        ..Histogram::default()
    };
    if matches!(kind, Kind::FloatHistogram | Kind::FloatHistogramSt) {
        return Value::FloatHistogram(Box::new(FloatHistogram {
            counter_reset_hint: gauge,
            schema: h.schema,
            zero_threshold: h.zero_threshold,
            zero_count: h.zero_count as f64,
            count: h.count as f64 + 0.5,
            sum: h.sum,
            positive_spans: spans,
            positive_buckets: counts.iter().map(|c| *c as f64).collect(),
            ..FloatHistogram::default()
        }));
    }
    Value::Histogram(Box::new(h))
}

impl Run {
    fn samples(&self) -> Vec<Sample> {
        let (mut timestamp, mut total) = (self.start, u64::from(self.base));
        let mut samples = Vec::new();
        for &(step, value) in &self.steps {
            // Of 256 values a few are a reset.
            total = if value > 245 { 1 } else { total + u64::from(value % 8) };
            let value = match self.kind {
                Kind::Float | Kind::FloatSt | Kind::Xor2 => Value::Float(match value {
                    255 => stale_nan(),
                    254 => f64::from_bits(0x7ff8_0000_0000_0001),
                    253 => -0.0,
                    _ => total as f64 / 4.0,
                }),
                kind => histogram(kind, total, value),
            };
            let st = matches!(self.kind, Kind::FloatSt | Kind::HistogramSt | Kind::FloatHistogramSt);
            // A series that is made of several counters, some of which know since when they count.
            let start_timestamp = if st && step != 3 { self.start - 100 } else { 0 };
            samples.push(Sample { timestamp, start_timestamp, value });
            timestamp += step;
        }
        samples
    }

    fn chunks(&self) -> Vec<EncodedChunk> {
        chunks_of(&self.samples(), self.max_samples, self.kind == Kind::Xor2)
    }
}

fn chunks_of(samples: &[Sample], max_samples: u16, xor2: bool) -> Vec<EncodedChunk> {
    if xor2 {
        let encode = |samples: &[Sample]| {
            let mut encoder = Xor2Encoder::new();
            for sample in samples {
                let Value::Float(value) = sample.value else { panic!("floats only") };
                encoder.push(sample.timestamp, value, sample.start_timestamp).unwrap();
            }
            EncodedChunk {
                encoding: Encoding::Xor2,
                min_time: samples[0].timestamp,
                max_time: samples[samples.len() - 1].timestamp,
                samples: encoder.sample_count(),
                data: encoder.into_bytes(),
            }
        };
        return samples.chunks(max_samples.into()).map(encode).collect();
    }
    let max_samples_per_chunk = max_samples.try_into().unwrap();
    let mut rechunker = Rechunker::new(RechunkOptions { max_samples_per_chunk, start_timestamps: true });
    let mut chunks: Vec<_> = samples.iter().filter_map(|sample| rechunker.push(sample).unwrap()).collect();
    chunks.extend(rechunker.finish());
    chunks
}

fn forget_counter_reset(chunk: &mut EncodedChunk) {
    let histograms = chunk.encoding.value_kind() != Some(ValueKind::Float);
    if histograms && counter_reset_header(chunk.encoding, &chunk.data).unwrap() != CounterResetHint::Gauge {
        set_counter_reset_header(chunk.encoding, &mut chunk.data, CounterResetHint::Unknown).unwrap();
    }
}

fn run() -> impl Strategy<Value = Run> {
    let kind = prop_oneof![
        4 => Just(Kind::Float),
        1 => Just(Kind::FloatSt),
        2 => Just(Kind::Xor2),
        4 => Just(Kind::Histogram),
        1 => Just(Kind::HistogramSt),
        1 => Just(Kind::Gauge),
        3 => Just(Kind::FloatHistogram),
        1 => Just(Kind::FloatHistogramSt),
        1 => Just(Kind::Custom),
    ];
    // Steps of few lengths, so that timestamps of different runs meet.
    let steps = prop::collection::vec((prop::sample::select(vec![1_i64, 2, 3, 5, 5, 5, 5, 10]), any::<u8>()), 1..25);
    (kind, (-20..40_i64).prop_map(|n| n * 5), steps, any::<u8>(), 1..12_u16)
        .prop_map(|(kind, start, steps, base, max_samples)| Run { kind, start, steps, base, max_samples })
}

fn block() -> impl Strategy<Value = Block> {
    let deleted = prop::collection::vec((-150..250_i64, 0..60_i64), 0..3);
    (prop::collection::vec(run(), 1..4), deleted, any::<bool>(), any::<bool>()).prop_map(
        |(runs, deleted, whole, sort)| {
            let mut chunks: Vec<EncodedChunk> = if whole {
                // As Prometheus would write the block: one sample for each time, chunks one after the other.
                let samples = runs.iter().flat_map(Run::samples).map(|s| (s.timestamp, s)).collect::<BTreeMap<_, _>>();
                chunks_of(&samples.into_values().collect::<Vec<_>>(), runs[0].max_samples, false)
            } else {
                let mut chunks: Vec<_> = runs.iter().flat_map(Run::chunks).collect();
                // The chunks of several runs get mixed: their claims would be false in the block already.
                chunks.iter_mut().for_each(forget_counter_reset);
                chunks
            };
            if sort {
                chunks.sort_by_key(|chunk| chunk.min_time);
            }
            let deleted = deleted.into_iter().map(|(min, length)| (SERIES, Interval { min, max: min + length }));
            Block { chunks, deleted: deleted.collect() }
        },
    )
}

fn blocks() -> impl Strategy<Value = Vec<Block>> {
    // Some blocks are copies of the first, whole or in part, with deletions of their own.
    let copy = prop::option::weighted(0.3, (0..4_usize, any::<bool>()));
    prop::collection::vec((block(), copy), 1..5).prop_map(|blocks| {
        let first = blocks[0].0.clone();
        let copied = |(block, copy): (Block, Option<(usize, bool)>)| match copy {
            None => block,
            Some((skipped, keep)) => Block {
                chunks: first.chunks.iter().skip(skipped).cloned().collect(),
                deleted: if keep { first.deleted.clone() } else { block.deleted },
            },
        };
        blocks.into_iter().map(copied).collect()
    })
}

fn any_options() -> impl Strategy<Value = MergeOptions> {
    let range = prop_oneof![
        2 => Just(TimeRange::ALL),
        1 => (-150..200_i64, 1..200_i64).prop_map(|(start, length)| TimeRange::new(start, start + length).unwrap()),
    ];
    let borders = prop::option::of((-200..50_i64, 1..150_u64));
    (range, borders, prop_oneof![1..8_u16, Just(120)], any::<bool>()).prop_map(
        |(range, borders, max_samples, keep_start_timestamps)| MergeOptions {
            range,
            borders: borders.map(|(first, every)| Borders { first, every_ms: NonZeroU64::new(every).unwrap() }),
            max_samples: max_samples.try_into().unwrap(),
            keep_start_timestamps,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn merges_as_the_oracle(blocks in blocks(), options in any_options()) {
        check(options, &blocks);
    }
}

fn counters(from: i64, values: &[u64]) -> Vec<Sample> {
    let sample = |(i, value): (i64, &u64)| Sample {
        timestamp: from + 10 * i,
        start_timestamp: 0,
        value: histogram(Kind::Histogram, *value, 1),
    };
    (0..).zip(values).map(sample).collect()
}

fn block_of(samples: &[Sample], max_samples: u16) -> Block {
    Block { chunks: chunks_of(samples, max_samples, false), deleted: Tombstones::default() }
}

/// The chunk begins with a reset of its own block, which the merged series, that has other samples before it, has not.
#[test]
fn a_reset_of_another_predecessor_is_not_claimed() {
    // 100 is deleted, so that 20 follows 10, from the first block. The group of 20 is encoded anew for its neighbour.
    let first = block_of(&counters(0, &[5, 10]), 120);
    let second = block_of(&counters(20, &[100, 20, 30]), 120).delete(20, 20);
    let third = block_of(&counters(35, &[25]), 120);
    assert_eq!(second.chunks.len(), 2);
    check(options(), &[first, second, third]);
}

#[test]
fn a_merger_goes_on_after_an_error() {
    let good = block_of(&counters(0, &[5, 10, 12, 13]), 120);
    let mut merger = SeriesMerger::new(MergeOptions { max_samples: 2.try_into().unwrap(), ..options() });
    let expected = merge_with(&mut merger, std::slice::from_ref(&good)).unwrap();
    assert_eq!(expected.len(), 2);
    let mut bad = block_of(&counters(7, &[1, 2, 3]), 120);
    bad.chunks[0].data.truncate(20);
    let error = merge_with(&mut merger, &[good.clone(), bad]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert_eq!(merge_with(&mut merger, &[good]).unwrap(), expected);
}

/// A caller may fail while chunks of a group are still to come.
#[test]
fn a_merger_goes_on_after_an_error_of_its_caller() {
    let good = block_of(&counters(0, &[5, 10, 12, 13]), 120);
    let raw = RawChunk { encoding: 2, data: good.chunks[0].data.clone().into() };
    let mut merger = SeriesMerger::new(MergeOptions { max_samples: 1.try_into().unwrap(), ..options() });
    let source = ChunkSource {
        block: 0,
        ordinal: 0,
        min_time: 0,
        max_time: 30,
        deleted: good.deleted.of(SERIES),
        chunk: &raw,
        location: "b",
        reference: ChunkRef(8),
    };
    let failed = merger.merge(&mut vec![source], |_| Err(crate::Error::not_found("x", crate::BlockFile::Index)));
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::NotFound);
    let later = block_of(&counters(-100, &[1, 2]), 120);
    assert_eq!(merge_with(&mut merger, &[later]).unwrap().len(), 2);
}

#[test]
fn chunks_that_are_not_where_the_index_says() {
    let block = block_of(&counters(0, &[5, 10, 12]), 120);
    for (min, max) in [(1, 20), (0, 19), (5, 6)] {
        let mut wrong = block.clone();
        (wrong.chunks[0].min_time, wrong.chunks[0].max_time) = (min, max);
        // Decoded for its neighbour.
        let error = merge_with(&mut SeriesMerger::new(options()), &[wrong, block.clone()]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains("as the index says, found samples in [0, 20]"), "{error}");
    }
}

#[test]
fn identical_chunks_are_not_decoded() {
    let block = block_of(&counters(0, &[5, 10, 12, 13, 14, 20]), 2);
    let (chunks, counts) = merge(options(), &[block.clone(), block.clone(), block.clone()]);
    assert_eq!(chunks.len(), 3);
    assert_eq!((counts.duplicates, counts.decoded, counts.passed_through), (6, 0, 3));
    // What is deleted in one of them is still in the others.
    let (_, counts) = merge(options(), &[block.clone().delete(0, 0), block.clone()]);
    assert_eq!((counts.duplicates, counts.decoded, counts.samples), (2, 2, 6));
}

#[test]
fn extreme_times() {
    let sample = |timestamp| Sample { timestamp, start_timestamp: 0, value: Value::Float(1.0) };
    let times = [TimestampMs::MIN, TimestampMs::MIN + 1, -1, 0, 1, TimestampMs::MAX - 2, TimestampMs::MAX - 1];
    let chunks = times.map(|t| chunks_of(&[sample(t)], 1, false)).concat();
    for every in [1, 7, 1 << 40, u64::MAX] {
        for first in [TimestampMs::MIN, -3, 0, TimestampMs::MAX] {
            let borders = Some(Borders { first, every_ms: NonZeroU64::new(every).unwrap() });
            let block = Block { chunks: chunks.clone(), deleted: Tombstones::default() };
            check(MergeOptions { borders, ..options() }, &[block.clone(), block.clone().delete(-5, 5)]);
            let partly = block_of(&[sample(TimestampMs::MIN), sample(0)], 1);
            check(MergeOptions { borders, max_samples: 1.try_into().unwrap(), ..options() }, &[block, partly]);
        }
    }
}

#[test]
fn borders() {
    let borders = Borders { first: 10, every_ms: NonZeroU64::new(5).unwrap() };
    assert_eq!([9, 10, 14, 15, 16].map(|t| borders.after(t)), [10, 15, 15, 20, 20]);
    assert_eq!(borders.after(TimestampMs::MIN), 10);
    assert_eq!(borders.after(TimestampMs::MAX), TimestampMs::MAX);
}

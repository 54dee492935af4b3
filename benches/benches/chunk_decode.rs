//! How many samples per second do the decoders read, in bulk and one by one, and the encoders write?
//!
//! ```text
//! cargo bench -p promparquet-benches --bench chunk_decode [-- decode/XOR]
//! (cd testdata/interop/chunks && go run . bench)               Prometheus on the same chunks
//! ```
//!
//! 1000 chunks of 120 floats each, and 100 of 120 histograms, all different, so that the branch predictor cannot learn them
//! by heart. With `PROMPARQUET_BENCH_SEGMENTS` also the XOR chunks of a real block's `chunks` directory (in Go: `bench
//! -segments`).
#![expect(clippy::unwrap_used, reason = "a benchmark on chunks of its own")]

use std::{
    env, fs,
    hint::black_box,
    path::Path,
    time::{Duration, Instant},
};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use prometheus_chunks::{
    Encoding, FloatColumns, HistogramDecoder, HistogramEncoder, NativeHistogram, Xor2Decoder, Xor2Encoder, XorDecoder,
    XorEncoder, decode_floats, sample_count,
};
use prometheus_model::{FloatHistogram, Histogram, Span};

const CHUNKS: u64 = 1000;
const SAMPLES: i64 = 120;

/// SplitMix64, as in `testdata/interop/chunks/random.go`: both must make the same samples.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
}

struct Shape {
    name: &'static str,
    next: fn(&mut Random, f64) -> f64,
    /// The most milliseconds by which a sample is late.
    jitter_ms: u64,
}

fn gauge(random: &mut Random, _: f64) -> f64 {
    random.below(100_000) as f64 / 1000.0
}

fn counter(random: &mut Random, value: f64) -> f64 {
    value + random.below(100) as f64
}

/// Stands still more often than not.
fn sparse_counter(random: &mut Random, value: f64) -> f64 {
    value + random.below(10).saturating_sub(6) as f64
}

/// As in `testdata/interop/chunks/bench.go`.
const SHAPES: [Shape; 7] = [
    Shape { name: "constant", next: |_, value| value, jitter_ms: 0 },
    Shape { name: "regular_gauge", next: gauge, jitter_ms: 0 },
    Shape { name: "regular_counter", next: counter, jitter_ms: 0 },
    Shape { name: "jittered_gauge", next: gauge, jitter_ms: 5 },
    Shape { name: "jittered_counter", next: counter, jitter_ms: 5 },
    Shape { name: "jittered_sparse_counter", next: sparse_counter, jitter_ms: 5 },
    Shape { name: "random", next: |random, _| f64::from_bits(random.next()), jitter_ms: 100 },
];

impl Shape {
    fn samples(&self, seed: u64) -> impl Iterator<Item = (i64, f64)> {
        let mut random = Random(seed);
        let mut value = 1000.0;
        (0..SAMPLES).map(move |i| {
            value = (self.next)(&mut random, value);
            (1_700_000_000_000 + i * 15_000 + random.below(self.jitter_ms + 1) as i64, value)
        })
    }

    fn chunks(&self, encode: impl Fn(&mut dyn Iterator<Item = (i64, f64)>) -> Vec<u8>) -> Vec<Vec<u8>> {
        (0..CHUNKS).map(|seed| encode(&mut self.samples(seed))).collect()
    }
}

fn xor(samples: &mut dyn Iterator<Item = (i64, f64)>) -> Vec<u8> {
    let mut chunk = XorEncoder::new();
    for (timestamp, value) in samples {
        chunk.push(timestamp, value).unwrap();
    }
    chunk.into_bytes()
}

fn xor2(samples: &mut dyn Iterator<Item = (i64, f64)>) -> Vec<u8> {
    let mut chunk = Xor2Encoder::new();
    for (timestamp, value) in samples {
        chunk.push(timestamp, value, 0).unwrap();
    }
    chunk.into_bytes()
}

/// Measures one pass over `samples` samples. The best pass is printed too, as Go's side does: it can be compared even if
/// other work disturbs both.
fn bench(criterion: &mut Criterion, group: &str, name: &str, samples: u64, pass: &mut dyn FnMut()) {
    let mut best = Duration::MAX;
    let mut group_of = criterion.benchmark_group(group);
    group_of.throughput(Throughput::Elements(samples));
    group_of.warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1)).sample_size(20);
    group_of.bench_function(name, |b| {
        b.iter(|| {
            let start = Instant::now();
            pass();
            best = best.min(start.elapsed());
        });
    });
    group_of.finish();
    if best < Duration::MAX {
        #[expect(clippy::print_stdout, reason = "a benchmark's result")]
        {
            println!("{group}/{name} {:.1} M samples/s", samples as f64 / best.as_secs_f64() / 1e6);
        }
    }
}

fn in_bulk(encoding: Encoding, chunks: &[Vec<u8>], columns: &mut FloatColumns) {
    for chunk in chunks {
        columns.clear();
        decode_floats(encoding, chunk, columns).unwrap();
        black_box(&columns);
    }
}

fn floats(criterion: &mut Criterion) {
    let mut columns = FloatColumns::new();
    let samples = CHUNKS * SAMPLES as u64;
    for shape in &SHAPES {
        let chunks = shape.chunks(xor);
        bench(criterion, "decode/XOR", shape.name, samples, &mut || in_bulk(Encoding::Xor, &chunks, &mut columns));
        bench(criterion, "decode_singly/XOR", shape.name, samples, &mut || {
            let (mut last, mut sum) = (0, 0.0);
            for chunk in &chunks {
                let mut decoder = XorDecoder::new(chunk).unwrap();
                while let Some((timestamp, value)) = decoder.next_sample().unwrap() {
                    last = timestamp;
                    sum += value;
                }
            }
            black_box((last, sum));
        });
        let chunks = shape.chunks(xor2);
        bench(criterion, "decode/XOR2", shape.name, samples, &mut || in_bulk(Encoding::Xor2, &chunks, &mut columns));
        bench(criterion, "decode_singly/XOR2", shape.name, samples, &mut || {
            let (mut last, mut sum) = (0, 0.0);
            for chunk in &chunks {
                let mut decoder = Xor2Decoder::new(chunk).unwrap();
                while let Some(sample) = decoder.next_sample().unwrap() {
                    last = sample.timestamp;
                    sum += sample.value;
                }
            }
            black_box((last, sum));
        });
        let all: Vec<Vec<(i64, f64)>> = (0..CHUNKS).map(|seed| shape.samples(seed).collect()).collect();
        for (group, encode) in [("encode/XOR", xor as fn(&mut dyn Iterator<Item = _>) -> _), ("encode/XOR2", xor2)] {
            bench(criterion, group, shape.name, samples, &mut || {
                for samples in &all {
                    black_box(encode(&mut samples.iter().copied()));
                }
            });
        }
    }
}

/// The XOR chunks of the segments in a directory.
fn segments(dir: &Path) -> Vec<Vec<u8>> {
    let mut chunks = vec![];
    for entry in fs::read_dir(dir).unwrap() {
        let data = fs::read(entry.unwrap().path()).unwrap();
        let mut rest = &data[8..];
        while !rest.is_empty() {
            let (mut len, mut shift) = (0, 0);
            let encoding = loop {
                let byte = rest[0];
                rest = &rest[1..];
                len |= usize::from(byte & 0x7f) << shift;
                shift += 7;
                if byte < 0x80 {
                    break rest[0];
                }
            };
            if encoding == Encoding::Xor.byte() {
                chunks.push(rest[1..=len].to_vec());
            }
            rest = &rest[1 + len + 4..];
        }
    }
    chunks
}

fn blocks(criterion: &mut Criterion) {
    let Some(dir) = env::var_os("PROMPARQUET_BENCH_SEGMENTS") else { return };
    let chunks = segments(Path::new(&dir));
    let samples = chunks.iter().map(|chunk| u64::from(sample_count(Encoding::Xor, chunk).unwrap())).sum();
    let mut columns = FloatColumns::new();
    bench(criterion, "decode/XOR", "segments", samples, &mut || in_bulk(Encoding::Xor, &chunks, &mut columns));
}

/// As in `testdata/interop/chunks/bench.go`: 30 buckets in two spans.
fn histograms(seed: u64) -> Vec<Histogram> {
    let mut random = Random(seed);
    let (mut counts, mut zero, mut sum) = ([0_i64; 30], 0, 0.0);
    (0..SAMPLES)
        .map(|_| {
            zero += random.below(2);
            sum += random.below(1000) as f64 / 1000.0;
            let mut h = Histogram {
                schema: 3,
                zero_threshold: 2.0_f64.powi(-128),
                zero_count: zero,
                count: zero,
                sum,
                positive_spans: vec![Span { offset: -4, length: 20 }, Span { offset: 5, length: 10 }],
                ..Histogram::default()
            };
            let mut last = 0;
            for count in &mut counts {
                *count += random.below(3) as i64;
                h.count += count.unsigned_abs();
                h.positive_buckets.push(*count - last);
                last = *count;
            }
            h
        })
        .collect()
}

/// The histogram with float counts that has the same buckets.
fn float(h: &Histogram) -> FloatHistogram {
    let absolute = h.positive_buckets.iter().scan(0, |count, delta| {
        *count += delta;
        Some(*count as f64)
    });
    FloatHistogram {
        counter_reset_hint: h.counter_reset_hint,
        schema: h.schema,
        zero_threshold: h.zero_threshold,
        zero_count: h.zero_count as f64,
        count: h.count as f64,
        sum: h.sum,
        positive_spans: h.positive_spans.clone(),
        positive_buckets: absolute.collect(),
        ..FloatHistogram::default()
    }
}

fn native<H: NativeHistogram + Default>(criterion: &mut Criterion, encoding: Encoding, of: impl Fn(&Histogram) -> H) {
    let all: Vec<Vec<H>> = (0..CHUNKS / 10).map(|seed| histograms(seed).iter().map(&of).collect()).collect();
    let samples = CHUNKS / 10 * SAMPLES as u64;
    let encode = |samples: &Vec<H>| {
        let mut encoder = HistogramEncoder::<H>::new(encoding).unwrap();
        for (i, h) in samples.iter().enumerate() {
            assert!(encoder.push(1_700_000_000_000 + i as i64 * 15_000, h, 0).unwrap().is_none());
        }
        encoder.cut().unwrap().data
    };
    let chunks: Vec<Vec<u8>> = all.iter().map(encode).collect();
    let name = encoding.to_string().replace(' ', "_");
    bench(criterion, "decode", &name, samples, &mut || {
        let mut h = H::default();
        for chunk in &chunks {
            let mut decoder = HistogramDecoder::<H>::new(encoding, chunk).unwrap();
            while decoder.next_into(&mut h).unwrap().is_some() {
                black_box(&h);
            }
        }
    });
    bench(criterion, "encode", &name, samples, &mut || {
        for samples in &all {
            black_box(encode(samples));
        }
    });
}

fn native_histograms(criterion: &mut Criterion) {
    native(criterion, Encoding::Histogram, Histogram::clone);
    native(criterion, Encoding::FloatHistogram, float);
}

criterion_group!(benches, floats, blocks, native_histograms);
criterion_main!(benches);

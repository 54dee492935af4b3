//! How many samples per second do the float decoders read, in bulk and one by one?
//!
//! ```text
//! cargo bench -p promparquet-benches --bench chunk_decode
//! (cd testdata/interop/chunks && go run . bench)               Prometheus' iterators on the same chunks
//! ```
//!
//! 1000 chunks of 120 samples each, all different, so that the branch predictor cannot learn them by heart.
#![expect(clippy::unwrap_used, reason = "a benchmark on chunks of its own")]

use std::{hint::black_box, time::Duration};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use prometheus_chunks::{Xor2Decoder, Xor2Encoder, XorDecoder, XorEncoder};

const CHUNKS: u64 = 1000;
const SAMPLES: i64 = 120;

/// SplitMix64, as in `testdata/interop/chunks/random.go`: both must make the same samples.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ z >> 31) % n
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
const SHAPES: [Shape; 6] = [
    Shape { name: "constant", next: |_, value| value, jitter_ms: 0 },
    Shape { name: "regular_gauge", next: gauge, jitter_ms: 0 },
    Shape { name: "regular_counter", next: counter, jitter_ms: 0 },
    Shape { name: "jittered_gauge", next: gauge, jitter_ms: 5 },
    Shape { name: "jittered_counter", next: counter, jitter_ms: 5 },
    Shape { name: "jittered_sparse_counter", next: sparse_counter, jitter_ms: 5 },
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

fn chunk_decode(criterion: &mut Criterion) {
    let mut bench = |name: &str, shape: &Shape, decode_all: &mut dyn FnMut()| {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(CHUNKS * SAMPLES as u64));
        group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2)).sample_size(20);
        group.bench_function(shape.name, |b| b.iter(&mut *decode_all));
        group.finish();
    };
    let (mut timestamps, mut values) = (vec![], vec![]);
    for shape in &SHAPES {
        let chunks = shape.chunks(xor);
        bench("xor_bulk", shape, &mut || {
            for chunk in &chunks {
                timestamps.clear();
                values.clear();
                XorDecoder::new(chunk).unwrap().decode_into(&mut timestamps, &mut values).unwrap();
                black_box((&timestamps, &values));
            }
        });
        bench("xor_stream", shape, &mut || {
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
        bench("xor2_bulk", shape, &mut || {
            for chunk in &chunks {
                timestamps.clear();
                values.clear();
                Xor2Decoder::new(chunk).unwrap().decode_into(&mut timestamps, &mut values).unwrap();
                black_box((&timestamps, &values));
            }
        });
        bench("xor2_stream", shape, &mut || {
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
    }
}

criterion_group!(benches, chunk_decode);
criterion_main!(benches);

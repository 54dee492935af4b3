//! Values of native histograms.

use prometheus_model::{CUSTOM_BUCKETS_SCHEMA, CounterResetHint, FloatHistogram, Histogram, Span, Value, stale_nan};

use super::{rng::Rng, values::NativeKind};

const BUCKETS: usize = 16;
const NEGATIVE_BUCKETS: usize = 5;
/// Upper bounds of custom buckets; some have no short decimal form in thousandths.
const CUSTOM_BOUNDS: [f64; 12] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 33.333_333_333_333_336];
/// Index of the first exponential bucket.
const FIRST_BUCKET: i32 = -9;

/// 2^-128, that of Prometheus' client libraries.
const DEFAULT_ZERO_THRESHOLD: f64 = 1.0 / (1_u128 << 127) as f64 / 2.0;

/// A native histogram that is observed.
#[derive(Clone, Debug)]
pub(crate) struct Native {
    kind: NativeKind,
    positive: [u64; BUCKETS],
    negative: [u64; NEGATIVE_BUCKETS],
    zero: u64,
    sum_ms: u64,
    /// Observations of a scrape are up to this many.
    busy: u64,
    scrapes: u64,
}

impl Native {
    pub(crate) fn new(kind: NativeKind, rng: &mut Rng) -> Self {
        let mut new = Self {
            kind,
            positive: [0; BUCKETS],
            negative: [0; NEGATIVE_BUCKETS],
            zero: 0,
            sum_ms: 0,
            busy: [1, 4, 12][rng.below(3) as usize],
            scrapes: 0,
        };
        for _ in 0..rng.below(60) {
            new.observe(rng);
        }
        new
    }

    /// The process was restarted.
    pub(crate) fn reset(&mut self) {
        (self.positive, self.negative) = ([0; BUCKETS], [0; NEGATIVE_BUCKETS]);
        (self.zero, self.sum_ms) = (0, 0);
    }

    /// What the next scrape sees.
    pub(crate) fn scrape(&mut self, rng: &mut Rng) -> Value {
        let n = self.scrapes;
        self.scrapes += 1;
        let starts_anew = match self.kind {
            NativeKind::Gauge | NativeKind::FloatGauge => true,
            NativeKind::StaleReset => n % 30 == 29,
            NativeKind::SchemaChange => n % 50 == 49,
            _ => false,
        };
        if starts_anew {
            self.reset();
        }
        for _ in 0..rng.below(self.busy + 1) {
            self.observe(rng);
        }
        match self.kind {
            NativeKind::StaleReset if n % 40 == 25 => self.stale(),
            NativeKind::Mixed if (n / 20).is_multiple_of(3) => Value::Float(n as f64),
            NativeKind::Mixed if n / 20 % 3 == 1 => Value::Histogram(Box::new(self.histogram(n))),
            NativeKind::Float | NativeKind::FloatGauge | NativeKind::FloatCustom | NativeKind::Mixed => {
                Value::FloatHistogram(Box::new(halves(self.histogram(n))))
            }
            _ => Value::Histogram(Box::new(self.histogram(n))),
        }
    }

    /// The staleness marker of a series that had histograms last.
    pub(crate) fn stale(&self) -> Value {
        match self.kind {
            NativeKind::Float | NativeKind::FloatGauge | NativeKind::FloatCustom => {
                Value::FloatHistogram(Box::new(FloatHistogram { sum: stale_nan(), ..FloatHistogram::default() }))
            }
            NativeKind::Mixed => Value::Float(stale_nan()),
            _ => Value::Histogram(Box::new(Histogram { sum: stale_nan(), ..Histogram::default() })),
        }
    }

    fn has_custom_bounds(&self) -> bool {
        matches!(self.kind, NativeKind::Custom | NativeKind::FloatCustom)
    }

    fn observe(&mut self, rng: &mut Rng) {
        // The sum of two dice: the middle is the likeliest.
        let bucket = if self.has_custom_bounds() { rng.below(6) + rng.below(8) } else { rng.below(8) + rng.below(9) };
        self.sum_ms += 1 + bucket * (3 + rng.below(40));
        if self.kind == NativeKind::NegativeZero {
            match rng.below(4) {
                0 => return self.zero += 1,
                1 => return self.negative[bucket as usize % NEGATIVE_BUCKETS] += 1,
                _ => {}
            }
        }
        self.positive[bucket as usize] += 1;
    }

    fn histogram(&self, n: u64) -> Histogram {
        let custom = self.has_custom_bounds();
        let (positive_spans, positive_buckets) = sparse(&self.positive, if custom { 0 } else { FIRST_BUCKET });
        let (negative_spans, negative_buckets) = sparse(&self.negative, FIRST_BUCKET);
        let counts = self.positive.iter().chain(&self.negative).chain([&self.zero]);
        Histogram {
            counter_reset_hint: match self.kind {
                NativeKind::Gauge | NativeKind::FloatGauge => CounterResetHint::Gauge,
                _ => CounterResetHint::Unknown,
            },
            schema: match self.kind {
                _ if custom => CUSTOM_BUCKETS_SCHEMA,
                NativeKind::SchemaChange if (n + 1) / 50 % 2 == 1 => 2,
                _ => 3,
            },
            zero_threshold: match self.kind {
                _ if custom => 0.0,
                NativeKind::NegativeZero if n >= 60 => 0.01,
                NativeKind::NegativeZero => 0.0,
                _ => DEFAULT_ZERO_THRESHOLD,
            },
            zero_count: self.zero,
            count: counts.sum(),
            sum: self.sum_ms as f64 / 1000.0,
            positive_spans,
            negative_spans,
            positive_buckets,
            negative_buckets,
            custom_values: if custom { CUSTOM_BOUNDS.to_vec() } else { Vec::new() },
        }
    }
}

/// Spans and deltas of the buckets that are not empty.
fn sparse(counts: &[u64], first: i32) -> (Vec<Span>, Vec<i64>) {
    let (mut spans, mut deltas): (Vec<Span>, Vec<i64>) = (Vec::new(), Vec::new());
    let (mut after, mut previous) = (0, 0);
    for (index, count) in (first..).zip(counts).filter(|(_, count)| **count > 0) {
        match spans.last_mut().filter(|_| index == after) {
            Some(span) => span.length += 1,
            None => spans.push(Span { offset: index - after, length: 1 }),
        }
        after = index + 1;
        deltas.push(*count as i64 - previous);
        previous = *count as i64;
    }
    (spans, deltas)
}

/// The same with half the counts, so that fractions occur.
fn halves(h: Histogram) -> FloatHistogram {
    let absolute = |deltas: &[i64]| {
        let counts = deltas.iter().scan(0, |count, delta| {
            *count += delta;
            Some(*count as f64 / 2.0)
        });
        counts.collect()
    };
    FloatHistogram {
        counter_reset_hint: h.counter_reset_hint,
        schema: h.schema,
        zero_threshold: h.zero_threshold,
        zero_count: h.zero_count as f64 / 2.0,
        count: h.count as f64 / 2.0,
        sum: h.sum / 2.0,
        positive_buckets: absolute(&h.positive_buckets),
        negative_buckets: absolute(&h.negative_buckets),
        positive_spans: h.positive_spans,
        negative_spans: h.negative_spans,
        custom_values: h.custom_values,
    }
}

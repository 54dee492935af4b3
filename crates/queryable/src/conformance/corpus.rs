//! The store whose answers are known, and the parts that random ones are made of.

use prometheus_model::{
    CUSTOM_BUCKETS_SCHEMA, CounterResetHint, FloatHistogram, Histogram, Labels, Sample, Span, TimestampMs, Value,
    stale_nan,
};

use super::{Options, SeriesList};

/// When the data of the suite begin: the start of a block of two hours, which they do not exceed.
pub const EPOCH: TimestampMs = 1_699_999_200_000;

/// Milliseconds from one scrape to the next.
pub(super) const STEP: TimestampMs = 15_000;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied()).unwrap_or_default()
}

pub(super) fn float(timestamp: TimestampMs, value: f64) -> Sample {
    Sample { timestamp, start_timestamp: 0, value: Value::Float(value) }
}

/// An integer histogram whose counts grow with `n`.
pub(super) fn histogram(n: u64, hint: CounterResetHint) -> Histogram {
    let first = i64::try_from(n % 1000).unwrap_or_default() + 1;
    Histogram {
        counter_reset_hint: hint,
        schema: 3,
        zero_threshold: 0.001,
        zero_count: n,
        count: n + 4 * first.unsigned_abs() + 2,
        sum: n as f64 * 1.5,
        positive_spans: vec![Span { offset: -2, length: 2 }, Span { offset: 3, length: 1 }],
        negative_spans: vec![Span { offset: 1, length: 1 }],
        positive_buckets: vec![first, 1, 0],
        negative_buckets: vec![first],
        custom_values: Vec::new(),
    }
}

/// A float histogram with custom buckets.
pub(super) fn custom(n: u64) -> FloatHistogram {
    let first = n as f64 + 0.25;
    FloatHistogram {
        schema: CUSTOM_BUCKETS_SCHEMA,
        count: 3.0 * first,
        sum: first,
        positive_spans: vec![Span { offset: 0, length: 2 }],
        positive_buckets: vec![first, 2.0 * first],
        custom_values: vec![0.5, 2.0],
        ..FloatHistogram::default()
    }
}

/// A sample of one of the kinds that there are.
pub(super) fn sample(kind: u64, timestamp: TimestampMs, n: u64) -> Sample {
    let value = match kind {
        0 => Value::Float(n as f64),
        1 => Value::Histogram(Box::new(histogram(n, CounterResetHint::Unknown))),
        _ => Value::FloatHistogram(Box::new(custom(n))),
    };
    Sample { timestamp, start_timestamp: 0, value }
}

fn each(count: i64, value: impl Fn(i64) -> f64) -> Vec<Sample> {
    (0..count).map(|i| float(EPOCH + i * STEP, value(i))).collect()
}

/// The series that the questions with known answers are about.
#[must_use]
pub fn fixture(options: &Options) -> SeriesList {
    const NAME: &str = "__name__";
    let mut series = vec![
        (labels(&[(NAME, "up"), ("instance", "a"), ("job", "api")]), each(300, |_| 1.0)),
        (labels(&[(NAME, "up"), ("instance", "b"), ("job", "api")]), each(300, |i| (i % 2) as f64)),
        // Only in the last of the two hours, and only in the first minute.
        (labels(&[(NAME, "up"), ("instance", "late"), ("job", "web")]), vec![float(EPOCH + 7_000_000, 1.0)]),
        (labels(&[(NAME, "up"), ("instance", "early"), ("job", "web")]), each(4, |i| i as f64)),
        // A prefix of other labels, and one that sorts by pairs, not by text.
        (labels(&[(NAME, "up")]), each(2, |i| i as f64)),
        (labels(&[(NAME, "up2"), ("a", "b")]), each(2, |i| i as f64)),
        (labels(&[("job", "nameless")]), each(3, |i| i as f64)),
        (labels(&[("Zone", "before the name"), (NAME, "zoned")]), each(3, |i| i as f64)),
        (
            labels(&[(NAME, "名前/metric"), ("http.status", "ok"), ("café", "naïve \"quoted\"\n")]),
            each(3, |i| i as f64),
        ),
        (
            labels(&[(NAME, "odd_floats")]),
            [
                f64::INFINITY,
                f64::NEG_INFINITY,
                f64::NAN,
                stale_nan(),
                -0.0,
                0.0,
                5e-324,
                f64::MAX,
                9_007_199_254_740_993.0,
            ]
            .into_iter()
            .zip(0..)
            .map(|(v, i)| float(EPOCH + i * STEP, v))
            .collect(),
        ),
        // Timestamps that no scrape has.
        (
            labels(&[(NAME, "odd_times")]),
            [0, 1, 2, 1_000_000, 1_000_001, 7_199_998, 7_199_999].map(|t| float(EPOCH + t, t as f64)).to_vec(),
        ),
    ];
    for code in ["200", "404", "500", "503"] {
        for path in ["/", "/a.b", "/a+b", "/aXb", "/a\nb"] {
            let labels = labels(&[(NAME, "http_requests_total"), ("code", code), ("path", path)]);
            let start = code.parse().unwrap_or(0.0);
            series.push((labels, each(10, |i| start + i as f64)));
        }
    }
    // Values that are alike for longer than any index keeps them.
    for tail in ["x", "y", ""] {
        let value = format!("{}{tail}", "long".repeat(80));
        series.push((labels(&[(NAME, "long_values"), ("value", &value)]), each(1, |_| 1.0)));
    }
    if options.native_histograms {
        let times = |i: u64| EPOCH + i64::try_from(i).unwrap_or_default() * 60_000;
        let stale = Histogram { sum: stale_nan(), ..Histogram::default() };
        series.extend([
            (
                labels(&[(NAME, "native"), ("kind", "counter")]),
                // Counts that grow, and fall at the hundredth.
                (0..119).map(|i| sample(1, times(i), if i < 100 { 10 * i } else { i })).collect(),
            ),
            (
                labels(&[(NAME, "native"), ("kind", "gauge")]),
                (0..20)
                    .map(|i| Sample {
                        timestamp: times(i),
                        start_timestamp: 0,
                        value: Value::Histogram(Box::new(histogram(i, CounterResetHint::Gauge))),
                    })
                    .collect(),
            ),
            (labels(&[(NAME, "native"), ("kind", "custom")]), (0..50).map(|i| sample(2, times(i), i)).collect()),
            (labels(&[(NAME, "native"), ("kind", "mixed")]), (0..60).map(|i| sample(i / 7 % 3, times(i), i)).collect()),
            (
                labels(&[(NAME, "native"), ("kind", "stale")]),
                (0..10)
                    .map(|i| match i {
                        5 => Sample {
                            timestamp: times(i),
                            start_timestamp: 0,
                            value: Value::Histogram(Box::new(stale.clone())),
                        },
                        i => sample(1, times(i), i),
                    })
                    .collect(),
            ),
        ]);
    }
    if options.start_timestamps {
        let started = |kind: u64| {
            (0..150_u64)
                .map(|i| {
                    let timestamp = EPOCH + i64::try_from(i).unwrap_or_default() * STEP;
                    // None at first; then one that changes half way.
                    let start_timestamp = match i {
                        0..10 => 0,
                        10..80 => EPOCH - 1000,
                        _ => EPOCH + 80 * STEP - 1,
                    };
                    Sample { start_timestamp, ..sample(kind, timestamp, i) }
                })
                .collect()
        };
        series.push((labels(&[(NAME, "started"), ("kind", "float")]), started(0)));
        if options.native_histograms {
            series.push((labels(&[(NAME, "started"), ("kind", "histogram")]), started(1)));
        }
    }
    series
}

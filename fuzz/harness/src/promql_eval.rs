//! PromQL evaluated.
//!
//! ```text
//! input = flags(u8) start(u8) step(u8) steps(u8) samples(u8) sample:samples query
//! ```
//!
//! Flags: bit 0 removes names at the end, bit 1 looks at start timestamps, bit 2 at types, bit 3 asks for one time only.
//! Samples go to eight series in turn; what one is, its byte says. The query is read as UTF-8, what is none replaced.
//!
//! Holds: errors are typed, and none is a defect; series are told apart by labels; samples are at times of the query, in
//! order, none of them a staleness marker; a second run gives the same bits.

use std::{collections::BTreeSet, sync::LazyLock};

use futures::executor::block_on;
use prometheus_model::{
    CUSTOM_BUCKETS_SCHEMA, CounterResetHint, FloatHistogram, Histogram, Labels, Sample, Span, Value, is_stale_nan,
    stale_nan,
};
use prometheus_promql::{
    Engine, EngineOptions, ErrorKind, ParserOptions, QueryRequest, QueryTimes, QueryValue, RangeSeries,
};
use prometheus_queryable::MemoryQueryable;

const SERIES: [&[(&str, &str)]; 8] = [
    &[("__name__", "a_total"), ("x", "1"), ("job", "j"), ("instance", "i")],
    &[("__name__", "a_total"), ("x", "2"), ("job", "j"), ("instance", "k")],
    &[("__name__", "b"), ("x", "1"), ("__type__", "gauge")],
    &[("__name__", "b"), ("x", "2"), ("y", "1")],
    &[("__name__", "h_bucket"), ("le", "1")],
    &[("__name__", "h_bucket"), ("le", "+Inf")],
    &[("__name__", "h")],
    &[("__name__", "target_info"), ("job", "j"), ("instance", "i"), ("z", "1")],
];

/// Engines by flags.
static ENGINES: LazyLock<Vec<Engine>> = LazyLock::new(|| (0..8).map(engine).collect());

fn engine(flags: u8) -> Engine {
    let parser = ParserOptions { max_bytes: 1 << 12, max_regexes: 1, max_depth: 100, ..ParserOptions::all_features() };
    let options = EngineOptions {
        parser,
        max_memory: 4 << 20,
        max_steps: 1_000,
        delayed_name_removal: flags & 1 != 0,
        start_timestamps: flags & 2 != 0,
        type_and_unit_labels: flags & 4 != 0,
        threads: 1,
        ..EngineOptions::default()
    };
    Engine::new(options).expect("threads")
}

/// What a byte stands for, and how many seconds it is after the sample before.
fn value(byte: u8) -> (i64, Value) {
    let n = u64::from(byte & 0x0f);
    let span = |offset: i32| vec![Span { offset, length: 2 }];
    let value = match byte >> 4 {
        0..=7 => Value::Float(n as f64),
        8 => Value::Float([f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 1e308, -1e-308][(n % 6) as usize]),
        9 => Value::Float(stale_nan()),
        10 | 11 => Value::Histogram(Box::new(Histogram {
            schema: (n % 12) as i32 - 4,
            zero_threshold: 0.001 * (n % 3) as f64,
            zero_count: n,
            count: 2 * n + 3,
            sum: n as f64,
            positive_spans: span(n as i32 - 8),
            positive_buckets: vec![1, n as i64],
            ..Histogram::default()
        })),
        12 => Value::FloatHistogram(Box::new(FloatHistogram {
            counter_reset_hint: CounterResetHint::Gauge,
            schema: (n % 4) as i32,
            count: 1e3,
            sum: f64::NAN,
            negative_spans: span(-1),
            negative_buckets: vec![n as f64, f64::INFINITY],
            ..FloatHistogram::default()
        })),
        13 | 14 => Value::Histogram(Box::new(Histogram {
            counter_reset_hint: CounterResetHint::NotCounterReset,
            schema: CUSTOM_BUCKETS_SCHEMA,
            count: n + 2,
            sum: 1.0,
            positive_spans: span(0),
            positive_buckets: vec![1, n as i64],
            custom_values: vec![n as f64, n as f64 + 5.0],
            ..Histogram::default()
        })),
        _ => Value::FloatHistogram(Box::new(FloatHistogram { sum: stale_nan(), ..FloatHistogram::default() })),
    };
    (if byte & 1 == 0 { 15 } else { 5 + 40 * (n as i64) }, value)
}

fn store(bytes: &[u8]) -> MemoryQueryable {
    let mut times = [0_i64; 8];
    let mut samples: [Vec<Sample>; 8] = Default::default();
    for (i, byte) in bytes.iter().enumerate() {
        let (seconds, value) = value(*byte);
        times[i % 8] += 1000 * seconds;
        let timestamp = times[i % 8];
        let start_timestamp = [0, timestamp, timestamp - 1, timestamp - 20_000][usize::from(byte >> 2 & 3)];
        samples[i % 8].push(Sample { timestamp, start_timestamp, value });
    }
    let labels = SERIES.map(|pairs| Labels::from_pairs(pairs.iter().copied()).expect("labels"));
    MemoryQueryable::new(labels.into_iter().zip(samples)).expect("samples in order")
}

pub(crate) fn run(input: &[u8]) {
    let [flags, start, step, steps, samples, rest @ ..] = input else { return };
    let (samples, query) = rest.split_at(rest.len().min((*samples).into()));
    let store = store(samples);
    let start = 7_000 * i64::from(*start);
    let step_ms = 1_000 * (1 + i64::from(*step));
    let end = start + step_ms * i64::from(*steps);
    let times = if flags & 8 != 0 { QueryTimes::Instant(start) } else { QueryTimes::Range { start, end, step_ms } };
    let request = QueryRequest { times, ..QueryRequest::instant(String::from_utf8_lossy(query), 0) };
    let engine = &ENGINES[usize::from(flags & 7)];
    let answers = [block_on(engine.query(&store, &request)), block_on(engine.query(&store, &request))];
    let [answer, again] = match answers {
        [Ok(answer), Ok(again)] => [answer, again],
        [Err(error), Err(again)] => {
            assert!(![ErrorKind::Internal, ErrorKind::Storage].contains(&error.kind()), "{error}");
            assert_eq!(error.kind(), again.kind());
            return;
        }
        [a, b] => panic!("one run fails: {a:?} {b:?}"),
    };
    assert_eq!(format!("{:?}", answer.value), format!("{:?}", again.value));
    answer.annotations.iter().for_each(|annotation| drop(annotation.text(&request.query)));
    match answer.value {
        QueryValue::Vector(vector) => {
            let labels: BTreeSet<_> = vector.iter().map(|series| &series.labels).collect();
            assert_eq!(labels.len(), vector.len());
        }
        QueryValue::Matrix(matrix) => matrix.windows(2).for_each(|pair| assert!(pair[0].labels <= pair[1].labels)),
        QueryValue::Scalar { .. } | QueryValue::String { .. } => return,
    }
    if let (QueryValue::Matrix(matrix), QueryTimes::Range { .. }) = (again.value, times) {
        matrix.iter().for_each(|series| check(series, start, end, step_ms));
    }
}

fn check(series: &RangeSeries, start: i64, end: i64, step: i64) {
    let floats: Vec<_> = series.floats.iter().map(|(time, _)| *time).collect();
    let histograms: Vec<_> = series.histograms.iter().map(|(time, _)| *time).collect();
    for times in [&floats, &histograms] {
        assert!(times.is_sorted_by(|a, b| a < b));
        assert!(times.iter().all(|time| (start..=end).contains(time) && (time - start) % step == 0));
    }
    assert!(!floats.iter().any(|time| histograms.contains(time)));
    assert!(!floats.is_empty() || !histograms.is_empty());
    assert!(!series.floats.iter().any(|(_, value)| is_stale_nan(*value)));
}

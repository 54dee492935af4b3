//! The engine and an evaluator that is slow and obvious give the same answers.
#![expect(clippy::unwrap_used, clippy::float_cmp, reason = "tests fail by panicking; equal infinities are equal")]
#![expect(unreachable_pub, reason = "modules of one test")]

mod evaluator;

use std::collections::BTreeMap;

use evaluator::{Data, Labels, Oracle, Value};
use futures::executor::block_on;
use prometheus_model::{Sample, stale_nan};
use prometheus_promql::{Engine, EngineOptions, ErrorKind, QueryRequest, QueryValue};
use prometheus_queryable::MemoryQueryable;
use proptest::{prelude::*, test_runner::Config};

const MINUTE: i64 = 60_000;

/// Series of a few names and labels, with gaps, resets and staleness markers.
fn data() -> impl Strategy<Value = Data> {
    let step = prop_oneof![6 => Just(15_000_i64), 1 => Just(14_000), 1 => Just(47_000), 1 => Just(400_000)];
    let value = prop_oneof![
        8 => (0_i32..50).prop_map(|v| Some(f64::from(v))),
        1 => (-500_i32..500).prop_map(|v| Some(f64::from(v) / 8.0)),
        1 => Just(None),
    ];
    let samples =
        (0_i64..5 * MINUTE, prop::collection::vec((step, value, any::<bool>()), 0..80)).prop_map(|(start, steps)| {
            let (mut time, mut counter) = (start, 0.0);
            let mut samples = Vec::new();
            for (step, value, counts) in steps {
                time += step;
                counter += value.unwrap_or_default().abs();
                samples.push((time, value.map(|value| if counts { counter } else { value })));
            }
            samples
        });
    let labels = ("[ab]", "[xy]?", "[pqr]");
    prop::collection::vec((labels, samples), 1..9).prop_map(|series| {
        let mut all: BTreeMap<Labels, Vec<(i64, Option<f64>)>> = BTreeMap::new();
        for ((name, x, p), samples) in series {
            let pairs = [("__name__", format!("m_{name}")), ("x", x), ("p", p)];
            let labels = pairs.into_iter().filter(|(_, v)| !v.is_empty()).map(|(n, v)| (n.to_owned(), v)).collect();
            all.insert(labels, samples);
        }
        all.into_iter().collect()
    })
}

fn text(texts: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::sample::select(texts).prop_map(str::to_owned)
}

fn modifiers() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => Just(String::new()),
        1 => text(&[" offset 1m", " offset -90s", " offset 7m30s"]),
        1 => text(&[" @ 600", " @ start()", " @ end()", " @ 900 offset 2m"]),
    ]
}

fn selector() -> impl Strategy<Value = String> {
    let matchers = text(&["m_a", "m_b", "m_a", "m_b{x=~\"x|\"}", "{__name__=~\"m_.*\",p!=\"q\"}", "m_a{x!~\"y+\"}"]);
    (matchers, modifiers()).prop_map(|(selector, modifiers)| selector + &modifiers)
}

fn grouping() -> impl Strategy<Value = String> {
    text(&["", "by (x) ", "by (x, p) ", "without (p) ", "by (__name__) ", "without () "])
}

/// A range vector.
fn range(vector: impl Strategy<Value = String> + 'static) -> impl Strategy<Value = String> {
    let matrix = (
        text(&["m_a", "m_b{x=\"x\"}", "{__name__=~\"m_[ab]\",p=\"p\"}"]),
        text(&["1m", "5m", "3m20s", "20m"]),
        modifiers(),
    )
        .prop_map(|(selector, range, modifiers)| format!("{selector}[{range}]{modifiers}"));
    let subquery = (vector, text(&["[5m:1m]", "[10m:]", "[3m:25s]", "[7m:2m] offset 1m", "[5m:1m] @ 1200"]))
        .prop_map(|(vector, range)| format!("({vector}){range}"));
    prop_oneof![3 => matrix, 1 => subquery]
}

fn scalar() -> impl Strategy<Value = String> {
    text(&["2", "0.5", "-1.5", "time()", "scalar(m_a{p=\"p\"})", "pi()", "(3 > bool 2)", "3"])
}

fn vector() -> impl Strategy<Value = String> {
    selector().prop_recursive(3, 24, 3, |inner| {
        let inner = inner.boxed();
        let unary = text(&["abs", "ceil", "floor", "sgn", "sqrt", "-", "sort", "sort_desc"]);
        let aggregation = text(&["sum", "avg", "count", "group", "min", "max", "stddev", "stdvar"]);
        let over_range = text(&[
            "rate", "increase", "delta", "irate", "idelta", "changes", "resets", "sum_over_time", "avg_over_time",
            "count_over_time", "present_over_time", "min_over_time", "max_over_time", "last_over_time",
            "first_over_time", "stddev_over_time", "stdvar_over_time", "deriv",
        ]);
        let arithmetic = text(&["+", "-", "*", "/", "%", "==", "!= bool", "<", "<= bool", ">", ">=", "atan2"]);
        let scalar_op = text(&["+", "-", "*", "/", "%", "==", "!= bool", "<", "<= bool", ">", ">="]).boxed();
        let matching = text(&[
            "", "on (x)", "on (x, p)", "ignoring (p)", "on () group_left ()", "on (x) group_left (p)",
            "ignoring (p) group_right (p)", "on (p) group_right ()",
        ]);
        prop_oneof![
            2 => (unary, inner.clone()).prop_map(|(function, v)| format!("{function}({v})")),
            3 => (aggregation, grouping(), inner.clone()).prop_map(|(op, by, v)| format!("{op} {by}({v})")),
            1 => (text(&["topk", "bottomk"]), grouping(), 0_i32..4, inner.clone())
                .prop_map(|(op, by, k, v)| format!("{op} {by}({k}, {v})")),
            1 => (grouping(), text(&["0", "0.3", "0.5", "1", "-1", "2"]), inner.clone())
                .prop_map(|(by, q, v)| format!("quantile {by}({q}, {v})")),
            1 => (grouping(), inner.clone()).prop_map(|(by, v)| format!("count_values {by}(\"v\", {v})")),
            4 => (over_range, range(inner.clone())).prop_map(|(function, r)| format!("{function}({r})")),
            1 => (text(&["0", "0.5", "0.9"]), range(inner.clone())).prop_map(|(q, r)| format!("quantile_over_time({q}, {r})")),
            1 => range(inner.clone()).prop_map(|r| format!("predict_linear({r}, 60)")),
            3 => (inner.clone(), arithmetic, matching, inner.clone())
                .prop_map(|(a, op, matching, b)| format!("({a}) {op} {matching} ({b})")),
            1 => (inner.clone(), text(&["and", "or", "unless"]), text(&["", "on (x)", "ignoring (p)", "on ()"]), inner.clone())
                .prop_map(|(a, op, matching, b)| format!("({a}) {op} {matching} ({b})")),
            2 => (inner.clone(), scalar_op.clone(), scalar()).prop_map(|(v, op, s)| format!("({v}) {op} {s}")),
            1 => (inner.clone(), scalar_op, scalar()).prop_map(|(v, op, s)| format!("{s} {op} ({v})")),
            1 => inner.clone().prop_map(|v| format!("absent(sum({v}))")),
            1 => inner.clone().prop_map(|v| format!("vector(scalar({v}))")),
            1 => (text(&["clamp_min", "clamp_max"]), inner.clone()).prop_map(|(f, v)| format!("{f}({v}, 7)")),
            1 => inner.prop_map(|v| format!("label_replace({v}, \"x\", \"$1\", \"p\", \"(.*)\")")),
        ]
    })
}

fn is_near(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-7 * (a.abs() + b.abs()) + 1e-7
}

fn values_by_time(series: &BTreeMap<Labels, Vec<(i64, f64)>>) -> BTreeMap<i64, Vec<String>> {
    let mut times: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    for (t, value) in series.values().flatten() {
        times.entry(*t).or_default().push(format!("{value:.6}"));
    }
    times.values_mut().for_each(|values| values.sort());
    times
}

/// Whether values that are nearly equal may decide what comes out: rounding differs between both.
fn is_touchy(query: &str) -> bool {
    let decides = [
        "==",
        "!=",
        "<",
        ">",
        "topk",
        "bottomk",
        "count_values",
        "ceil",
        "floor",
        "sgn",
        "changes",
        "resets",
        "%",
        "rate",
        "increase",
        "quantile",
    ];
    let rounds = ["stddev", "stdvar", "deriv", "predict", "avg", "rate", "increase", "delta", "/", "sum", "atan2", "^"];
    decides.iter().any(|word| query.contains(word)) && rounds.iter().any(|word| query.contains(word))
}

fn check(data: &Data, query: &str, (start, end, step): (i64, i64, i64), engine: &Engine) -> Result<(), TestCaseError> {
    let series = data.iter().map(|(labels, samples)| {
        let labels =
            prometheus_model::Labels::from_pairs(labels.iter().map(|(n, v)| (n.as_str(), v.as_str()))).unwrap();
        let samples = samples.iter().map(|(timestamp, value)| Sample {
            timestamp: *timestamp,
            start_timestamp: 0,
            value: prometheus_model::Value::Float(value.unwrap_or(stale_nan())),
        });
        (labels, samples.collect())
    });
    let store = MemoryQueryable::new(series).unwrap();
    let expr = engine.parser().parse(query).unwrap();
    let oracle = Oracle { data, lookback: 5 * MINUTE, start, end };
    let mut expected: BTreeMap<Labels, Vec<(i64, f64)>> = BTreeMap::new();
    let mut refused = None;
    for t in (start..=end).step_by(usize::try_from(step).unwrap()) {
        match oracle.eval(&expr, t) {
            Ok(Value::Vector(vector)) => {
                vector.into_iter().for_each(|(labels, value)| expected.entry(labels).or_default().push((t, value)));
            }
            Ok(Value::Scalar(value)) => expected.entry(Labels::new()).or_default().push((t, value)),
            Err(why) => refused = Some(why),
        }
    }
    let answer = block_on(engine.query(&store, &QueryRequest::range(query, start, end, step)));
    // Which of equal values stay is not said. What is made of them depends on it.
    let has_ties = query.contains("topk") || query.contains("bottomk");
    if has_ties && !query.starts_with("topk") && !query.starts_with("bottomk") {
        return Ok(());
    }
    let answer = match (answer, refused) {
        (Err(error), Some(_)) => {
            prop_assert_eq!(error.kind(), ErrorKind::Execution, "{}: {}", query, error);
            return Ok(());
        }
        // Functions of ranges refuse labels that occur twice even if at different times.
        (Err(error), None)
            if error.to_string().contains("same labelset")
                && (query.contains("__name__=~") || query.contains(" or ")) =>
        {
            return Ok(());
        }
        (Ok(_), Some(why)) => return Err(TestCaseError::fail(format!("{query} must be refused: {why}"))),
        (answer, None) => answer.map_err(|error| TestCaseError::fail(format!("{query}: {error}")))?,
    };
    let QueryValue::Matrix(matrix) = answer.value else { panic!("a matrix") };
    let found: BTreeMap<Labels, Vec<(i64, f64)>> = matrix
        .into_iter()
        .map(|series| (series.labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect(), series.floats))
        .collect();
    if is_touchy(query) {
        return Ok(());
    }
    if has_ties {
        prop_assert_eq!(values_by_time(&found), values_by_time(&expected), "{}", query);
        return Ok(());
    }
    let names = |series: &BTreeMap<Labels, Vec<(i64, f64)>>| {
        series
            .iter()
            .map(|(labels, samples)| (labels.clone(), samples.iter().map(|(t, _)| *t).collect()))
            .collect::<Vec<(_, Vec<_>)>>()
    };
    prop_assert_eq!(names(&found), names(&expected), "{}", query);
    for ((labels, found), expected) in found.iter().zip(expected.values()) {
        for ((t, a), (_, b)) in found.iter().zip(expected) {
            prop_assert!(is_near(*a, *b), "{query} at {t} for {labels:?}: {a}, expected {b}");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(Config { cases: std::env::var("PROPTEST_CASES").map_or(10_000, |n| n.parse().unwrap()), ..Config::default() })]

    #[test]
    fn the_engine_agrees_with_the_oracle(
        data in data(),
        query in vector(),
        start in 0_i64..20,
        (step, steps) in prop_oneof![Just((MINUTE, 12)), Just((17_000, 20)), Just((1_000, 1)), Just((7 * MINUTE, 4))],
    ) {
        thread_local! {
            static ENGINE: Engine = Engine::new(EngineOptions { threads: 2, ..EngineOptions::default() }).unwrap();
        }
        let start = start * 41_000;
        ENGINE.with(|engine| check(&data, &query, (start, start + step * steps, step), engine))?;
    }
}

/// Series of one metric that differ in their type only become the same when their names go, also where an aggregation asks the
/// store for the labels only that it groups by.
#[test]
fn types_tell_series_apart_as_long_as_there_are_names() {
    let sample = |i: i64| Sample {
        timestamp: i * MINUTE,
        start_timestamp: 0,
        value: prometheus_model::Value::Float((i % 7) as f64),
    };
    let series = |kind: &str, job: &str| {
        let pairs = [("__name__", "typed"), ("__type__", kind), ("job", job)];
        (prometheus_model::Labels::from_pairs(pairs).unwrap(), (0..10).map(sample).collect::<Vec<_>>())
    };
    let store = MemoryQueryable::new([series("counter", "a"), series("gauge", "a"), series("gauge", "b")]).unwrap();
    let engine = Engine::new(EngineOptions { threads: 2, ..EngineOptions::default() }).unwrap();
    let ask = |query: &str| {
        block_on(engine.query(&store, &QueryRequest::instant(query, 9 * MINUTE))).map(|answer| answer.value)
    };
    for query in ["sum by (job) (rate(typed[5m]))", "count without (job) (-typed)", "max(abs(typed))"] {
        let error = ask(query).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Execution, "{query}");
        assert_eq!(error.to_string(), "vector cannot contain metrics with the same labelset", "{query}");
    }
    for (query, expected) in
        [("sum(typed)", 6.0), ("count(rate(typed{job='b'}[5m]))", 1.0), ("count(-typed{job='b'})", 1.0)]
    {
        let QueryValue::Vector(vector) = ask(query).unwrap() else { panic!("a vector") };
        let [found] = &*vector else { panic!("{query}: {vector:?}") };
        assert_eq!(found.value, prometheus_promql::PointValue::Float(expected), "{query}");
    }
}

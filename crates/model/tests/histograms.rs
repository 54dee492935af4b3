//! Holds the arithmetic of histograms to Prometheus' own, bit for bit: `testdata/histograms`.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

use flate2::read::GzDecoder;
use prometheus_model::{Bucket, Combined, CounterResetHint, FloatHistogram, Histogram, Span, is_stale_nan};
use serde_json::{Value, json};

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn float(value: &Value) -> f64 {
    match value.as_str().expect("bits") {
        "NaN" => f64::NAN,
        bits => f64::from_bits(u64::from_str_radix(bits, 16).expect("hexadecimal")),
    }
}

fn floats(value: &Value) -> Vec<f64> {
    list(value).iter().map(float).collect()
}

fn spans(value: &Value) -> Vec<Span> {
    let number = |pair: &Value, at: usize| pair[at].as_i64().expect("a number");
    let span = |pair| Span { offset: number(pair, 0) as i32, length: number(pair, 1) as u32 };
    list(value).iter().map(span).collect()
}

fn hint(value: &Value) -> CounterResetHint {
    use CounterResetHint::{CounterReset, Gauge, NotCounterReset, Unknown};
    [Unknown, CounterReset, NotCounterReset, Gauge][value.as_u64().expect("a hint") as usize]
}

fn schema(value: &Value) -> i32 {
    value.as_i64().expect("a schema") as i32
}

fn float_histogram(value: &Value) -> FloatHistogram {
    FloatHistogram {
        counter_reset_hint: hint(&value[0]),
        schema: schema(&value[1]),
        zero_threshold: float(&value[2]),
        zero_count: float(&value[3]),
        count: float(&value[4]),
        sum: float(&value[5]),
        positive_spans: spans(&value[6]),
        positive_buckets: floats(&value[7]),
        negative_spans: spans(&value[8]),
        negative_buckets: floats(&value[9]),
        custom_values: floats(&value[10]),
    }
}

fn integer_histogram(value: &Value) -> Histogram {
    let deltas = |value: &Value| list(value).iter().map(|delta| delta.as_i64().expect("a delta")).collect();
    Histogram {
        counter_reset_hint: hint(&value[0]),
        schema: schema(&value[1]),
        zero_threshold: float(&value[2]),
        zero_count: value[3].as_u64().expect("a count"),
        count: value[4].as_u64().expect("a count"),
        sum: float(&value[5]),
        positive_spans: spans(&value[6]),
        positive_buckets: deltas(&value[7]),
        negative_spans: spans(&value[8]),
        negative_buckets: deltas(&value[9]),
        custom_values: floats(&value[10]),
    }
}

fn bits(float: f64) -> Value {
    if float.is_nan() && !is_stale_nan(float) { json!("NaN") } else { json!(format!("{:016x}", float.to_bits())) }
}

fn wire(histogram: &FloatHistogram) -> Value {
    let floats = |floats: &[f64]| floats.iter().copied().map(bits).collect::<Vec<_>>();
    let spans = |spans: &[Span]| spans.iter().map(|span| json!([span.offset, span.length])).collect::<Vec<_>>();
    json!([
        histogram.counter_reset_hint as u8,
        histogram.schema,
        bits(histogram.zero_threshold),
        bits(histogram.zero_count),
        bits(histogram.count),
        bits(histogram.sum),
        spans(&histogram.positive_spans),
        floats(&histogram.positive_buckets),
        spans(&histogram.negative_spans),
        floats(&histogram.negative_buckets),
        floats(&histogram.custom_values),
    ])
}

fn combined(histogram: &FloatHistogram, Combined { counter_reset_collision, bounds_reconciled }: Combined) -> Value {
    json!([wire(histogram), counter_reset_collision, bounds_reconciled])
}

fn buckets(buckets: impl Iterator<Item = Bucket<f64>>) -> Value {
    buckets
        .map(|b| json!([bits(b.lower), bits(b.upper), b.lower_inclusive, b.upper_inclusive, bits(b.count)]))
        .collect()
}

/// Our answer, in the form of Prometheus'; null if we refuse.
fn answer(operation: &str, input: &[Value]) -> Value {
    let first = || float_histogram(&input[0]);
    let changed = |change: &dyn Fn(&mut FloatHistogram)| {
        let mut histogram = first();
        change(&mut histogram);
        json!([wire(&histogram)])
    };
    match operation {
        "to_float" => json!([wire(&integer_histogram(&input[0]).to_float())]),
        "copy_to_schema" => json!([wire(&first().copy_to_schema(schema(&input[1])))]),
        "mul" => changed(&|histogram| histogram.mul(float(&input[1]))),
        "div" => changed(&|histogram| histogram.div(float(&input[1]))),
        "compact" => changed(&|histogram| histogram.compact(input[1].as_u64().expect("a number") as usize)),
        "trim" => changed(&|histogram| histogram.trim_buckets(float(&input[1]), input[2] == true)),
        "add" | "sub" => {
            let (mut histogram, other) = (first(), float_histogram(&input[1]));
            let result = if operation == "add" { histogram.add(&other) } else { histogram.sub(&other) };
            result.map_or(Value::Null, |what| combined(&histogram, what))
        }
        "kahan_add" => {
            let (mut histogram, mut compensation, mut steps) = (first(), None, Vec::new());
            for other in &input[1..] {
                let Ok((updated, what)) = histogram.kahan_add(&float_histogram(other), compensation) else {
                    return Value::Null;
                };
                let Value::Array(mut step) = combined(&histogram, what) else { unreachable!() };
                step.push(wire(updated.as_ref().expect("a compensation")));
                steps.push(Value::Array(step));
                compensation = updated;
            }
            Value::Array(steps)
        }
        "equals" => json!([first().equals(&float_histogram(&input[1]))]),
        "measure" => json!([first().size(), first().has_overflow()]),
        "detect_reset" => json!([first().detect_reset(&float_histogram(&input[1]))]),
        "buckets" => {
            let histogram = first();
            let [up, down] = [buckets(histogram.ascending()), buckets(histogram.descending())];
            json!([up, down, buckets(histogram.positive()), buckets(histogram.negative())])
        }
        _ => panic!("unknown operation {operation}"),
    }
}

#[test]
fn does_as_prometheus_does() {
    let path = std::env::var_os("PROMQL_HISTOGRAMS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/histograms/operations.jsonl.gz"),
        Into::into,
    );
    let mut counts = BTreeMap::<String, usize>::new();
    let mut wrong = Vec::new();
    for line in BufReader::new(GzDecoder::new(File::open(path).unwrap())).lines() {
        let case: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let operation = case["op"].as_str().expect("an operation");
        // Those of the crate promql.
        if matches!(operation, "quantile" | "fraction" | "classic_quantile" | "classic_fraction") {
            continue;
        }
        *counts.entry(operation.to_owned()).or_default() += 1;
        let ours = answer(operation, list(&case["in"]));
        if ours != case["out"] {
            wrong.push(format!("{operation} {}\n  ours   {ours}\n  theirs {}", case["in"], case["out"]));
        }
    }
    assert!(wrong.is_empty(), "{} of {counts:?} are wrong:\n{}", wrong.len(), wrong[..wrong.len().min(8)].join("\n"));
    assert_eq!(counts.len(), 13, "{counts:?}");
    assert!(counts.values().all(|&count| count > 200), "{counts:?}");
}

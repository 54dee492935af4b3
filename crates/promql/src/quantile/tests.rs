use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

use flate2::read::GzDecoder;
use prometheus_model::{FloatHistogram, Span};
use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};

use super::{classic::ForcedMonotonic, *};

fn classic(pairs: &[(f64, f64)]) -> Vec<ClassicBucket> {
    pairs.iter().map(|&(upper_bound, count)| ClassicBucket { upper_bound, count }).collect()
}

#[test]
fn interpolates_in_classic_buckets() {
    let buckets = [(f64::INFINITY, 4.0), (1.0, 1.0), (2.0, 3.0)];
    assert_eq!(classic_quantile(0.5, &mut classic(&buckets)), (1.5, None));
    assert_eq!(classic_quantile(1.0, &mut classic(&buckets)), (2.0, None));
    assert_eq!(classic_fraction(1.0, 2.0, &mut classic(&buckets)), 0.5);
    assert!(classic_quantile(0.5, &mut Vec::new()).0.is_nan());
    let forced = ForcedMonotonic { min_bucket: 2.0, max_bucket: f64::INFINITY, max_diff: 2.0 };
    let falling = [(1.0, 4.0), (2.0, 3.0), (f64::INFINITY, 2.0)];
    assert_eq!(classic_quantile(0.5, &mut classic(&falling)), (0.5, Some(forced)));
}

#[test]
fn counts_values_that_are_no_numbers_as_lowest() {
    assert_eq!(vector_quantile(0.5, &mut [3.0, 1.0, 2.0]), 2.0);
    assert!(vector_quantile(0.0, &mut [3.0, f64::NAN]).is_nan());
    assert_eq!(vector_quantile(1.0, &mut [3.0, f64::NAN]), 3.0);
    assert_eq!(vector_quantile(1.5, &mut [3.0]), f64::INFINITY);
    assert!(vector_quantile(0.5, &mut []).is_nan());
}

/// Prometheus' answers, bit for bit: `testdata/histograms`. What the crate model is held to is in the same file.
#[test]
fn does_as_prometheus_does() {
    let path = std::env::var_os("PROMQL_HISTOGRAMS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/histograms/operations.jsonl.gz"),
        Into::into,
    );
    let mut counts = BTreeMap::<String, usize>::new();
    for line in BufReader::new(GzDecoder::new(File::open(path).unwrap())).lines() {
        let case: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let operation = case["op"].as_str().expect("an operation");
        let input = &case["in"];
        let ours = match operation {
            "quantile" => {
                let (value, note) = native_quantile(float(&input[0]), &histogram(&input[1]));
                let texts = case["out"][1].as_array().expect("annotations");
                let theirs = texts.first().map(|text| text.as_str().expect("a text"));
                let theirs = theirs.map(|text| match text {
                    _ if text.contains("skewed higher") => NativeNote::NanSkew,
                    _ if text.contains("result is NaN") => NativeNote::NanResult,
                    _ => panic!("unknown annotation {text}"),
                });
                assert_eq!(note, theirs, "{case}");
                json!([bits(value), texts])
            }
            "fraction" => {
                let (value, note) = native_fraction(float(&input[0]), float(&input[1]), &histogram(&input[2]));
                assert!(matches!(note, None | Some(NativeNote::NanFraction)));
                json!([bits(value), note.is_some()])
            }
            "classic_quantile" => {
                let (value, forced) = classic_quantile(float(&input[0]), &mut classic_buckets(&input[1]));
                let mut answer = vec![bits(value), json!(forced.is_some())];
                answer.extend(forced.into_iter().flat_map(|f| [f.min_bucket, f.max_bucket, f.max_diff]).map(bits));
                Value::Array(answer)
            }
            "classic_fraction" => {
                let (lower, upper) = (float(&input[0]), float(&input[1]));
                json!([bits(classic_fraction(lower, upper, &mut classic_buckets(&input[2])))])
            }
            _ => continue,
        };
        assert_eq!(ours, case["out"], "{case}");
        *counts.entry(operation.to_owned()).or_default() += 1;
    }
    assert_eq!(counts.len(), 4, "{counts:?}");
    assert!(counts.values().all(|&count| count > 200), "{counts:?}");
}

proptest! {
    /// Bounds and counts may be anything; nothing panics, and quantiles of no number are none.
    #[test]
    fn survives_everything(
        q in number(),
        (lower, upper) in (number(), number()),
        values in vec(number(), 0..12),
        buckets in vec((number(), number()), 0..8),
        (schema, spans) in (prop_oneof![Just(-53), -5..10, any::<i32>()], vec((any::<i32>(), 0_u32..4), 0..4)),
        (zero_threshold, zero_count, count, sum) in (number(), number(), number(), number()),
    ) {
        let classic = |pairs: &[(f64, f64)]| -> Vec<ClassicBucket> {
            pairs.iter().map(|&(upper_bound, count)| ClassicBucket { upper_bound, count }).collect()
        };
        let spans: Vec<_> = spans.into_iter().map(|(offset, length)| Span { offset, length }).collect();
        let histogram = FloatHistogram {
            schema, zero_threshold, zero_count, count, sum,
            positive_spans: spans.clone(), positive_buckets: values.clone(),
            negative_spans: spans, negative_buckets: values.clone(),
            custom_values: buckets.iter().map(|bucket| bucket.0).collect(),
            ..FloatHistogram::default()
        };
        let quantiles = [
            classic_quantile(q, &mut classic(&buckets)).0,
            native_quantile(q, &histogram).0,
            vector_quantile(q, &mut values.clone()),
        ];
        prop_assert!(!q.is_nan() || quantiles.iter().all(|quantile| quantile.is_nan()));
        let fractions = [
            classic_fraction(lower, upper, &mut classic(&buckets)),
            native_fraction(lower, upper, &histogram).0,
        ];
        prop_assert!(!lower.is_nan() || fractions.iter().all(|fraction| fraction.is_nan()));
    }
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(0.0),
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
        0.0..1.0,
        -9.0..9.0,
        any::<f64>()
    ]
}

fn float(value: &Value) -> f64 {
    match value.as_str().expect("bits") {
        "NaN" => f64::NAN,
        bits => f64::from_bits(u64::from_str_radix(bits, 16).expect("hexadecimal")),
    }
}

fn bits(float: f64) -> Value {
    if float.is_nan() { json!("NaN") } else { json!(format!("{:016x}", float.to_bits())) }
}

fn histogram(value: &Value) -> FloatHistogram {
    let floats = |value: &Value| value.as_array().expect("floats").iter().map(float).collect();
    let number = |value: &Value| value.as_i64().expect("a number");
    let spans = |value: &Value| {
        let span = |pair: &Value| Span { offset: number(&pair[0]) as i32, length: number(&pair[1]) as u32 };
        value.as_array().expect("spans").iter().map(span).collect()
    };
    FloatHistogram {
        schema: number(&value[1]) as i32,
        zero_threshold: float(&value[2]),
        zero_count: float(&value[3]),
        count: float(&value[4]),
        sum: float(&value[5]),
        positive_spans: spans(&value[6]),
        positive_buckets: floats(&value[7]),
        negative_spans: spans(&value[8]),
        negative_buckets: floats(&value[9]),
        custom_values: floats(&value[10]),
        ..FloatHistogram::default()
    }
}

fn classic_buckets(value: &Value) -> Vec<ClassicBucket> {
    let bucket = |pair: &Value| ClassicBucket { upper_bound: float(&pair[0]), count: float(&pair[1]) };
    value.as_array().expect("buckets").iter().map(bucket).collect()
}

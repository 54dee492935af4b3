//! The series that the reference lists of its fixtures, sample by sample (`expected_series*.jsonl.gz`).

use std::{collections::BTreeMap, io::Read as _, path::Path};

use prometheus_model::{CounterResetHint, FloatHistogram, Histogram, Labels, Sample, Span, Value};
use serde_json::Value as Json;

/// Reads a list of series. The README of the fixtures says what a line holds.
///
/// # Panics
/// If the file is not there, or is no such list; if it gives a series another hash than ours.
#[must_use]
pub fn expected_series(path: &Path) -> BTreeMap<Labels, Vec<Sample>> {
    let mut text = String::new();
    let file = std::fs::File::open(path).expect("a list of series");
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).expect("a compressed list of series");
    let series = text.lines().map(|line| {
        let line: Json = serde_json::from_str(line).expect("JSON");
        let text = |json: &Json| json.as_str().expect("a string").to_owned();
        let pairs = list(&line["labels"], |pair| (text(&pair[0]), text(&pair[1])));
        let labels = Labels::from_pairs(pairs.iter().map(|(n, v)| (n.as_str(), v.as_str()))).expect("labels");
        assert_eq!(labels.stable_hash(), hash(&line["stable_hash"]), "the hash of {labels}");
        (labels, list(&line["samples"], sample))
    });
    series.collect()
}

fn hash(json: &Json) -> u64 {
    json.as_str().map_or_else(|| unsigned(json), |text| u64::from_str_radix(text, 16).expect("hexadecimal"))
}

fn list<T>(json: &Json, f: impl Fn(&Json) -> T) -> Vec<T> {
    json.as_array().map_or_else(Vec::new, |items| items.iter().map(f).collect())
}

fn bits(json: &Json) -> f64 {
    f64::from_bits(u64::from_str_radix(json.as_str().expect("the bits of a float"), 16).expect("hexadecimal"))
}

fn signed(json: &Json) -> i64 {
    json.as_i64().expect("an integer")
}

fn unsigned(json: &Json) -> u64 {
    json.as_u64().expect("a count")
}

fn spans(json: &Json) -> Vec<Span> {
    list(json, |span| Span {
        offset: signed(&span[0]).try_into().expect("32 bits"),
        length: unsigned(&span[1]).try_into().expect("32 bits"),
    })
}

fn sample(json: &Json) -> Sample {
    Sample { timestamp: signed(&json[0]), start_timestamp: 0, value: value(&json[1]) }
}

fn value(json: &Json) -> Value {
    if json.is_string() {
        return Value::Float(bits(json));
    }
    let h = json;
    let counter_reset_hint = match h["hint"].as_str().expect("a hint") {
        "unknown" => CounterResetHint::Unknown,
        "reset" => CounterResetHint::CounterReset,
        "not_reset" => CounterResetHint::NotCounterReset,
        "gauge" => CounterResetHint::Gauge,
        other => panic!("no hint: {other}"),
    };
    let schema = signed(&h["schema"]).try_into().expect("32 bits");
    let (positive_spans, negative_spans) = (spans(&h["pos_spans"]), spans(&h["neg_spans"]));
    let (zero_threshold, sum) = (bits(&h["zero_threshold"]), bits(&h["sum"]));
    let custom_values = list(&h["custom_values"], bits);
    if h["type"] == "int" {
        Value::Histogram(Box::new(Histogram {
            counter_reset_hint,
            schema,
            zero_threshold,
            zero_count: unsigned(&h["zero_count"]),
            count: unsigned(&h["count"]),
            sum,
            positive_spans,
            negative_spans,
            positive_buckets: list(&h["pos_deltas"], signed),
            negative_buckets: list(&h["neg_deltas"], signed),
            custom_values,
        }))
    } else {
        Value::FloatHistogram(Box::new(FloatHistogram {
            counter_reset_hint,
            schema,
            zero_threshold,
            zero_count: bits(&h["zero_count"]),
            count: bits(&h["count"]),
            sum,
            positive_spans,
            negative_spans,
            positive_buckets: list(&h["pos_counts"], bits),
            negative_buckets: list(&h["neg_counts"], bits),
            custom_values,
        }))
    }
}

//! Blocks hold what they promise: the peers' blocks in size and shape, values that make sense, every oddity.

use std::collections::{BTreeMap, BTreeSet};

use prometheus_model::{Labels, METRIC_NAME, Sample, Value, is_stale_nan};
use promparquet_testkit::blocks::BlockSpec;

/// Counts label names, metric names and labels of series, and estimates samples from one series in `every`.
fn shape(spec: &BlockSpec, every: usize) -> (usize, usize, u64) {
    let (mut names, mut metrics) = (BTreeSet::new(), BTreeSet::new());
    let (mut samples, mut usual, mut all) = (0, 0, 0);
    for (i, series) in spec.series().enumerate() {
        all += 1;
        usual += usize::from((8..=15).contains(&series.labels().len()));
        for (name, _) in series.labels().iter() {
            if !names.contains(name) {
                names.insert(name.to_owned());
            }
        }
        if let Some(metric) = series.labels().get(METRIC_NAME).filter(|metric| !metrics.contains(*metric)) {
            metrics.insert(metric.to_owned());
        }
        if i % every == 0 {
            samples += series.samples().count() as u64 * every as u64;
        }
    }
    assert!(usual * 100 > all * 95, "{usual} of {all} series have 8 to 15 labels");
    (names.len(), metrics.len(), samples)
}

#[track_caller]
fn about(found: u64, expected: u64) {
    assert!(found.abs_diff(expected) < expected / 20, "{found} instead of {expected}");
}

#[test]
fn medium_is_the_peers_block() {
    let (names, metrics, samples) = shape(&BlockSpec::medium(), 20);
    assert!((55..=75).contains(&names), "{names} label names");
    assert!((450..=1100).contains(&metrics), "{metrics} metrics");
    about(samples, 21_700_000);
}

#[test]
fn day_is_the_peers_block() {
    let (names, _, samples) = shape(&BlockSpec::day(), 50);
    assert!((55..=75).contains(&names), "{names} label names");
    about(samples, 34_300_000);
}

#[test]
fn large_is_the_peers_block() {
    let (names, metrics, samples) = shape(&BlockSpec::large(), 500);
    assert!((55..=75).contains(&names), "{names} label names");
    assert!((450..=1100).contains(&metrics), "{metrics} metrics");
    about(samples, 232_900_000);
}

fn small() -> BTreeMap<Labels, Vec<Sample>> {
    BlockSpec::small().series_count(3000).oracle().collect()
}

fn floats(samples: &[Sample]) -> impl Iterator<Item = f64> {
    samples.iter().filter_map(|sample| match sample.value {
        Value::Float(v) => Some(v),
        _ => None,
    })
}

#[test]
fn buckets_agree() {
    let block = small();
    let mut groups = 0;
    for (labels, count) in &block {
        let Some(base) = labels.get(METRIC_NAME).and_then(|name| name.strip_suffix("_duration_seconds_count")) else {
            continue;
        };
        let bucket_name = format!("{base}_duration_seconds_bucket");
        let buckets: Vec<_> = ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"]
            .iter()
            .filter_map(|le| {
                let pairs = labels.iter().filter(|(name, _)| *name != METRIC_NAME);
                let pairs = pairs.chain([("le", *le), (METRIC_NAME, bucket_name.as_str())]);
                block.get(&Labels::from_pairs(pairs).unwrap())
            })
            .collect();
        if buckets.len() < 12 {
            continue; // the last target of a block is cut off
        }
        groups += 1;
        for pair in buckets.windows(2) {
            assert!(floats(pair[0]).zip(floats(pair[1])).all(|(a, b)| a <= b || is_stale_nan(a)), "{labels}");
        }
        assert!(buckets[11] == count, "{labels}");
    }
    assert!(groups > 30, "{groups}");
}

#[test]
fn counters_count_are_reset_and_end() {
    let (mut resets, mut gone, mut grown) = (0, 0, 0);
    for (labels, samples) in small() {
        let Some(name) = labels.get(METRIC_NAME).filter(|name| name.ends_with("_total")) else { continue };
        let falls = floats(&samples).zip(floats(&samples).skip(1)).filter(|(a, b)| b < a).count();
        assert!(falls <= 1, "{name} {labels}");
        resets += falls;
        gone += usize::from(floats(&samples).last().is_some_and(is_stale_nan));
        assert!(floats(&samples).filter(|v| v.is_nan()).count() <= 1);
        grown += usize::from(floats(&samples).next() < floats(&samples).nth(samples.len() - 2));
    }
    assert!(resets > 5 && gone > 20 && grown > 100, "{resets} {gone} {grown}");
}

#[test]
fn scrapes_are_regular_but_for_a_few() {
    let (mut regular, mut late, mut failed) = (0, 0, 0);
    for (_, samples) in small() {
        for times in samples.windows(2) {
            match times[1].timestamp - times[0].timestamp {
                15_000 => regular += 1,
                14_990..=15_010 => late += 1,
                _ => failed += 1,
            }
        }
    }
    assert!(late * 1000 > regular && late * 20 < regular, "{regular} {late}");
    assert!(failed * 10_000 > regular && failed * 500 < regular, "{regular} {failed}");
}

#[test]
fn oddities() {
    let block = small();
    let named =
        |name: &str| block.iter().filter(|(labels, _)| labels.get(METRIC_NAME) == Some(name)).collect::<Vec<_>>();
    let bits: BTreeSet<_> = floats(named("edge_special_values")[0].1).map(f64::to_bits).collect();
    for v in [f64::INFINITY, f64::NEG_INFINITY, -0.0, 0.0, 5e-324, f64::MAX, f64::from_bits(0x7ff8_0000_dead_beef)] {
        assert!(bits.contains(&v.to_bits()), "{v}");
    }
    let mut lengths: Vec<_> = named("edge_short").iter().map(|(_, samples)| samples.len()).collect();
    lengths.sort_unstable();
    assert_eq!(lengths, [1, 2, 3]);
    assert!(block.keys().filter(|labels| labels.get(METRIC_NAME).is_none()).count() == 1);
    assert_eq!(block.keys().last().unwrap().get(METRIC_NAME), None);
    let values: BTreeSet<_> = named("edge_label_values")
        .iter()
        .map(|(labels, _)| labels.get("value").unwrap_or_default().to_owned())
        .collect();
    assert!(values.contains("") && values.contains("\0") && values.iter().any(|v| v.len() > 10_000));
    for length in [15, 16, 17] {
        assert!(values.iter().any(|v| v.len() == length), "{length}");
    }
    assert!(block.keys().any(|labels| labels.get("http.status_code").is_some()));
    let mixed = named("nh_mixed_types")[0].1;
    assert!(mixed.iter().any(|s| matches!(s.value, Value::Float(_))));
    assert!(mixed.iter().any(|s| matches!(s.value, Value::Histogram(_))));
    assert!(mixed.iter().any(|s| matches!(s.value, Value::FloatHistogram(_))));
    for series in block.values() {
        for sample in series {
            match &sample.value {
                Value::Float(_) => {}
                Value::Histogram(h) => h.validate().unwrap(),
                Value::FloatHistogram(h) => h.validate().unwrap(),
            }
        }
    }
}

#[test]
fn the_part_of_native_histograms_is_as_asked() {
    let spec = BlockSpec::new(20_000).odd_series(false).native_histograms(0.3);
    let native = spec.series().filter(|series| series.labels().get("rpc_method").is_some()).count();
    // The part is one of the pods' series, which are most.
    assert!((4000..7000).contains(&native), "{native}");
}

//! Blocks that overlap, converted as one.

use std::{num::NonZeroU64, sync::Arc};

use prometheus_model::{CounterResetHint, Histogram, Labels, Sample, Span, Value, stale_nan};
use prometheus_tsdb_block::write_block;
use promparquet_convert::{Control, ErrorKind, ExportOptions, Options, VerifyOptions, convert, export_tsdb, verify};
use proptest::prelude::*;
use ulid::Ulid;

use crate::fixtures::{
    Series, all_rows, assert_same, block_series, memory_bucket, open_block, open_set, runtime, samples_of_rows,
};

fn labels(n: u8) -> Labels {
    let pod = format!("p{}", n / 2);
    let pairs = [("__name__", ["up", "requests"][usize::from(n % 2)]), ("Zone", "a"), ("pod", &pod)];
    // Some without a name, some with a label that sorts before it: rows are then not in the order of a block.
    let skipped = usize::from(n % 3);
    Labels::from_pairs(pairs.into_iter().enumerate().filter(|(i, _)| *i != skipped || *i == 2).map(|(_, p)| p)).unwrap()
}

fn value(kind: u8, t: i64) -> Value {
    let count = t.unsigned_abs() % 50;
    match kind {
        0..=5 => Value::Float(t as f64 / 3.0),
        6 => Value::Float(stale_nan()),
        _ => Value::Histogram(Box::new(Histogram {
            counter_reset_hint: if kind == 9 { CounterResetHint::Gauge } else { CounterResetHint::Unknown },
            count,
            sum: t as f64,
            positive_spans: vec![Span { offset: i32::from(kind), length: 2 }],
            positive_buckets: vec![count as i64 / 2, 1],
            ..Histogram::default()
        })),
    }
}

type BlockInput = Vec<(u8, Vec<(u16, u8)>)>;

fn block_input() -> impl Strategy<Value = BlockInput> {
    let samples = prop::collection::btree_map(0_u16..2000, 0_u8..10, 1..60).prop_map(|m| m.into_iter().collect());
    prop::collection::btree_map(0_u8..12, samples, 1..8).prop_map(|m| m.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The first block wins, whatever overlaps; before 1970 too.
    #[test]
    fn blocks_that_overlap_become_one(
        inputs in prop::collection::vec(block_input(), 1..4),
        start in -1500_i64..500,
        column in 50_u64..4000,
        sort_by_pod: bool,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut expected = Series::new();
        let mut paths = Vec::new();
        for (n, input) in inputs.iter().enumerate() {
            let mut of_block = Series::new();
            for (series, samples) in input {
                let samples = samples.iter().map(|(t, kind)| {
                    let timestamp = start + i64::from(*t);
                    Sample { timestamp, start_timestamp: 0, value: value(*kind, timestamp + n as i64) }
                });
                of_block.entry(labels(*series)).or_default().extend(samples);
            }
            for samples in of_block.values_mut() {
                samples.sort_by_key(|s| s.timestamp);
                samples.dedup_by_key(|s| s.timestamp);
            }
            let ulid = Ulid::from_parts(1, n as u128);
            let all: Vec<_> = of_block.iter().map(|(l, s)| (l.clone(), s.clone())).collect();
            write_block(dir.path(), ulid, &all).unwrap();
            paths.push(dir.path().join(ulid.to_string()));
            for (labels, samples) in of_block {
                let merged = expected.entry(labels).or_default();
                let held: std::collections::BTreeSet<i64> = merged.iter().map(|s: &Sample| s.timestamp).collect();
                merged.extend(samples.into_iter().filter(|s| !held.contains(&s.timestamp)));
                merged.sort_by_key(|s| s.timestamp);
            }
        }
        let open = || paths.iter().map(|path| open_block(path)).collect::<Vec<_>>();
        let mut options = Options::default();
        options.name = "merged".into();
        options.data_column_duration_ms = NonZeroU64::new(column).unwrap();
        if sort_by_pod {
            options.sort_labels = vec!["pod".into()];
        }
        let control = Arc::new(Control::default());
        runtime().block_on(async {
            let bucket = memory_bucket();
            let report = convert(open(), None, bucket.clone(), options, Arc::clone(&control)).await.unwrap();
            let rows = all_rows(&bucket, "merged", report.shards.len() as u32).await;
            assert_same(&samples_of_rows(&rows), &expected, false, "rows");
            let verified = verify(open(), bucket.clone(), "merged".into(), VerifyOptions::default(), Arc::clone(&control));
            let verified = verified.await.unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(verified.samples, report.chunks.samples);
            // Without one of the blocks it differs, unless that one only repeats the others.
            if paths.len() > 1 {
                let fewer = open().into_iter().skip(1).collect();
                let result = verify(fewer, bucket.clone(), "merged".into(), VerifyOptions::default(), Arc::clone(&control));
                assert_eq!(result.await.unwrap_err().kind(), ErrorKind::Corrupt);
            }
            let out = tempfile::tempdir().unwrap();
            let shards = open_set(&bucket, "merged").await;
            let exported = export_tsdb(shards, out.path().into(), ExportOptions::default(), control);
            let exported = exported.await.unwrap_or_else(|e| panic!("{e}"));
            let block = open_block(&out.path().join(exported.meta.ulid.to_string()));
            assert_same(&block_series(&block), &expected, false, "exported");
        });
    }
}

/// Shards of a block that differs in one thing, held against the block that they should be of.
#[test]
fn verification_finds_every_kind_of_difference() {
    let histogram = |count: u64, hint| {
        let h = Histogram {
            counter_reset_hint: hint,
            count,
            positive_spans: vec![Span { offset: 1, length: 1 }],
            positive_buckets: vec![count as i64],
            ..Histogram::default()
        };
        Value::Histogram(Box::new(h))
    };
    let at = |timestamp: i64, value| Sample { timestamp, start_timestamp: 0, value };
    let original: Vec<(Labels, Vec<Sample>)> = vec![
        (labels(0), (0..300).map(|t| at(t * 10, Value::Float(t as f64))).collect()),
        (labels(1), (0..9).map(|t| at(t * 10, Value::Float(-0.0))).collect()),
        (labels(3), (0..20).map(|t| at(t * 10, histogram(t as u64, CounterResetHint::Unknown))).collect()),
    ];
    let write = |series: &[(Labels, Vec<Sample>)]| {
        let dir = tempfile::tempdir().unwrap();
        let ulid = write_block(dir.path(), Ulid::from_parts(1, 1), series).unwrap().ulid;
        let block = open_block(&dir.path().join(ulid.to_string()));
        (dir, block)
    };
    type Edit = fn(&mut Vec<(Labels, Vec<Sample>)>);
    let gauge: Edit = |s| {
        for sample in &mut s[2].1 {
            if let Value::Histogram(h) = &mut sample.value {
                h.counter_reset_hint = CounterResetHint::Gauge;
            }
        }
    };
    let bucket_count: Edit = |s| {
        if let Value::Histogram(h) = &mut s[2].1[7].value {
            h.positive_buckets[0] += 1;
        }
    };
    let edits: [(&str, Edit); 10] = [
        ("sample at 1230: expected 123 (bits", |s| s[0].1[123].value = Value::Float(123.000_000_000_000_01)),
        ("sample at 40: expected -0 (bits", |s| s[1].1[4].value = Value::Float(0.0)),
        ("no sample at 1230", |s| drop(s[0].1.remove(123))),
        ("no sample at 2990", |s| drop(s[0].1.pop())),
        ("a sample at 1235", |s| {
            let copy = Sample { timestamp: 1235, ..s[0].1[123].clone() };
            s[0].1.insert(124, copy);
        }),
        ("no sample at 1230", |s| s[0].1[123].timestamp += 1),
        ("no row, although the source has a sample at 0", |s| drop(s.remove(1))),
        ("not in the source", |s| s[1].0 = labels(5)),
        ("sample at 70: expected Histogram", bucket_count),
        ("Gauge, but the source says", gauge),
    ];
    runtime().block_on(async {
        let control = Arc::new(Control::default());
        let check = async |series: &[(Labels, Vec<Sample>)]| {
            let (_dir, block) = write(series);
            let bucket = memory_bucket();
            convert(vec![block], None, bucket.clone(), Options::default(), Arc::clone(&control)).await.unwrap();
            let (_dir, source) = write(&original);
            let options = VerifyOptions::default();
            verify(vec![source], bucket, "block".into(), options, Arc::clone(&control)).await
        };
        assert_eq!(check(&original).await.unwrap().histograms, 20);
        for (expected, edit) in edits {
            let mut edited = original.clone();
            edit(&mut edited);
            let error = check(&edited).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            assert!(error.to_string().contains(expected), "expected {expected:?}, found {error}");
        }
    });
}

//! Blocks that overlap, converted as one.

use std::{num::NonZeroU64, sync::Arc};

use prometheus_model::{CounterResetHint, Histogram, Labels, Sample, Span, Value, stale_nan};
use prometheus_tsdb_block::write_block;
use promparquet_convert::{Control, ErrorKind, ExportOptions, Options, VerifyOptions, convert, export_tsdb, verify};
use proptest::prelude::*;
use ulid::Ulid;

use crate::fixtures::{
    Series, all_rows, assert_same, block_series, memory_bucket, open_block, runtime, samples_of_rows,
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
            let exported = export_tsdb(bucket, "merged".into(), out.path().into(), ExportOptions::default(), control);
            let exported = exported.await.unwrap_or_else(|e| panic!("{e}"));
            let block = open_block(&out.path().join(exported.meta.ulid.to_string()));
            assert_same(&block_series(&block), &expected, false, "exported");
        });
    }
}

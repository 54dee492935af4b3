//! Reads what `parquet-common` wrote.

use std::sync::Arc;

use prometheus_model::Labels;
use promparquet_convert::{Control, ExportOptions, VerifyOptions, export_tsdb, verify};
use promparquet_schema::{Column, cell, row_index};
use promparquet_shard::{ScanOptions, Shard};
use promparquet_testkit::expected::expected_series;

use crate::fixtures::{
    BLOCK, all_rows, assert_same, block_series, directory_bucket, go, labels_of, lines, open_block, open_set, rows,
    runtime, samples_of_rows,
};

/// Directory, shard set, number of shards.
const SETS: [(&str, &str, u32); 11] = [
    ("parquet-2shards", "block", 2),
    ("parquet-30m", "block", 1),
    ("parquet-cortex", BLOCK, 1),
    ("parquet-default", "block", 1),
    ("parquet-maxcols", "block", 3),
    ("parquet-smallpages", "block", 1),
    ("parquet-snappy", "block", 1),
    ("parquet-sorted", "block", 1),
    ("parquet-spc40", "block", 1),
    ("parquet-tombstones", "block", 1),
    ("parquet-uncompressed", "block", 1),
];

fn source_of(set: &str) -> (&'static str, &'static str) {
    if set == "parquet-tombstones" {
        ("expected_series_tombstones.jsonl.gz", "tsdb-small-tombstones")
    } else {
        ("expected_series.jsonl.gz", "tsdb-small")
    }
}

#[test]
fn every_sample_is_that_of_the_source() {
    for (set, name, shards) in SETS {
        let (expected, _) = source_of(set);
        let Some((dir, expected)) = go(set).zip(go(expected)) else { return };
        let rows = runtime().block_on(all_rows(&directory_bucket(&dir), name, shards));
        assert_same(&samples_of_rows(&rows), &expected_series(&expected), false, set);
    }
}

#[test]
fn rows_are_byte_for_byte_those_that_were_written() {
    for (set, shards) in [("default", 1), ("2shards", 2), ("30m", 1), ("sorted", 1), ("tombstones", 1)] {
        let files = go(&format!("parquet-{set}")).zip(go(&format!("parquet_rows_{set}.jsonl.gz")));
        let Some((dir, expected)) = files else { return };
        let expected = lines(&expected);
        let bucket = directory_bucket(&dir);
        runtime().block_on(async {
            let mut n = 0;
            for index in 0..shards {
                let shard = Shard::open(&bucket, "block", index).await.unwrap();
                let mut group_starts = vec![0_u64];
                for group in 0..shard.row_groups() {
                    group_starts.push(group_starts[group] + u64::from(shard.labels_file().rows_of(group)));
                }
                for row in rows(&shard, ScanOptions::default()).await.unwrap() {
                    let line = &expected[n];
                    let at = format!("{set}, line {n}");
                    n += 1;
                    assert_eq!(line["shard"], index, "{at}");
                    assert_eq!(line["row_group"], row.row_group, "{at}");
                    assert_eq!(line["row"], row.row - group_starts[row.row_group], "{at}");
                    assert_eq!(row.labels, labels_of(&line["labels"]), "{at}");
                    assert_eq!(line["s_series_hash_hex"], format!("{:016x}", row.hash), "{at}");
                    let columns: Vec<u32> = row
                        .labels
                        .iter()
                        .map(|(name, _)| shard.labels_file().position(&Column::Label(name.into())).unwrap() as u32)
                        .collect();
                    let mut encoded = Vec::new();
                    row_index::encode(&columns, &mut encoded);
                    let hex: String = encoded.iter().map(|b| format!("{b:02x}")).collect();
                    assert_eq!(line["s_col_indexes_hex"], hex, "{at}");
                    let data = line["data"].as_object().unwrap();
                    assert_eq!(data.len(), row.cells.len(), "{at}");
                    for (column, bytes) in &row.cells {
                        let expected = &data[&Column::Data(*column).name()];
                        assert_eq!(expected["len"], bytes.len(), "{at}");
                        let hash = format!("{:016x}", xxhash_rust::xxh64::xxh64(bytes, 0));
                        assert_eq!(expected["xxh64"], hash, "{at}");
                        let chunks = expected["chunks"].as_array().unwrap();
                        let records: Vec<_> = cell::records(bytes).map(Result::unwrap).collect();
                        assert_eq!(chunks.len(), records.len(), "{at}");
                        for (chunk, record) in chunks.iter().zip(records) {
                            assert_eq!(
                                (&chunk["min"], &chunk["max"]),
                                (&record.min_time.into(), &record.max_time.into())
                            );
                            assert_eq!(chunk["len"], record.data.len());
                        }
                    }
                }
            }
            assert_eq!(n, expected.len(), "{set}");
        });
    }
}

/// However pages are planned, the rows are the same.
#[test]
fn windows_and_batches_do_not_change_rows() {
    let Some(dir) = go("parquet-smallpages") else { return };
    let bucket = directory_bucket(&dir);
    runtime().block_on(async {
        let shard = Shard::open(&bucket, "block", 0).await.unwrap();
        let pages: usize =
            (0..shard.labels_file().columns().len()).map(|c| shard.labels_file().pages(0, c).len()).sum();
        assert!(pages > shard.labels_file().columns().len(), "the fixture has one page per column only");
        let all = rows(&shard, ScanOptions::default()).await.unwrap();
        assert_eq!(all.len(), 500);
        for (window_bytes, batch_rows) in [(0, 1), (1, 7), (10_000, 1000), (100_000, 64), (u64::MAX, u32::MAX)] {
            let options = ScanOptions { window_bytes, batch_rows, ..ScanOptions::default() };
            assert_eq!(rows(&shard, options).await.unwrap(), all, "{window_bytes} {batch_rows}");
            let without = ScanOptions { cells: false, ..options };
            let labels: Vec<Labels> = rows(&shard, without).await.unwrap().into_iter().map(|row| row.labels).collect();
            assert!(labels.iter().eq(all.iter().map(|row| &row.labels)));
        }
    });
}

#[test]
fn verification_and_export_take_them() {
    for (set, name, shards) in SETS {
        let (_, source) = source_of(set);
        let Some((dir, source)) = go(set).zip(go(&format!("{source}/{BLOCK}"))) else { return };
        let out = tempfile::tempdir().unwrap();
        let control = Arc::new(Control::default());
        runtime().block_on(async {
            let bucket = directory_bucket(&dir);
            let options = VerifyOptions::default();
            let blocks = vec![open_block(&source)];
            let report = verify(blocks, bucket.clone(), name.into(), options, Arc::clone(&control)).await;
            let report = report.unwrap_or_else(|e| panic!("{set}: {e}"));
            let expected = block_series(&open_block(&source));
            assert_eq!(report.rows, expected.len() as u64, "{set}");
            assert_eq!(report.samples, expected.values().map(|s| s.len() as u64).sum::<u64>(), "{set}");
            assert_eq!(report.source_series - report.source_series_without_samples, report.rows, "{set}");

            let options = ExportOptions::default();
            let opened = open_set(&bucket, name).await;
            let exported = export_tsdb(opened, out.path().into(), options, control).await;
            let exported = exported.unwrap_or_else(|e| panic!("{set}: {e}"));
            assert_eq!(exported.shards, shards as usize, "{set}");
            // Where floats and histograms alternate, Go files have chunks that overlap, but nowhere else.
            let interleaved = exported.chunks.decoded;
            assert!(interleaved < 20 && exported.chunks.passed_through > 1000, "{set}: {:?}", exported.chunks);
            let block = open_block(&out.path().join(exported.meta.ulid.to_string()));
            assert_same(&block_series(&block), &expected, false, set);
            let source = open_block(&source);
            assert_eq!(
                (block.meta().min_time, block.meta().max_time),
                (source.meta().min_time, source.meta().max_time)
            );
        });
    }
}

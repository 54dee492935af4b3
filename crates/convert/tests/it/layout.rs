//! How rows are cut, sorted and named; that nothing but the options decides about the bytes.

use std::{
    collections::BTreeSet,
    num::{NonZeroU32, NonZeroU64, NonZeroUsize},
    sync::Arc,
};

use object_store::memory::InMemory;
use prometheus_model::{Labels, METRIC_NAME};
use prometheus_tsdb_block::MemoryBlock;
use promparquet_convert::{ErrorKind, Options, Report};
use promparquet_objstore::Bucket;
use promparquet_schema::{Column, cell};
use promparquet_shard::Shard;
use promparquet_testkit::{
    blocks::BlockSpec,
    stores::{Recording, RecordingStore},
};

use crate::{
    blocks::{NAME, block_of, check, convert_to, files, floats, generated, labels, merged, options},
    fixtures::{Row, all_rows, directory_bucket, memory_bucket, runtime},
};

fn u32_of(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap()
}

fn usize_of(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap()
}

fn convert_in_memory(block: &MemoryBlock, options: &Options) -> (Bucket, Report) {
    runtime().block_on(async {
        let bucket = memory_bucket();
        let report = convert_to(&bucket, std::slice::from_ref(block), None, options).await.unwrap();
        (bucket, report)
    })
}

#[test]
fn only_layout_options_decide_about_the_bytes() {
    let block = generated(&BlockSpec::new(3000).native_histograms(0.1).interval_ms(30_000));
    let mut options = options();
    options.data_column_duration_ms = NonZeroU64::new(20 * 60_000).unwrap();
    options.row_group_rows = u32_of(1200);
    options.row_groups_per_shard = Some(u32_of(1));
    let (bucket, report) = convert_in_memory(&block, &options);
    assert_eq!((report.shards.len(), report.series()), (3, 3000));
    let expected = runtime().block_on(files(&bucket));
    // With 46 and 66 MiB hardly more is left than the least for what waits, so that pages are spilled.
    for (read, write, mib) in [(1, 1, 256), (2, 1, 256), (7, 3, 256), (1, 1, 46), (7, 1, 66), (2, 2, 92), (1, 1, 4096)]
    {
        options.read_concurrency = usize_of(read);
        options.write_concurrency = usize_of(write);
        options.memory_bytes = usize_of(mib << 20);
        let (bucket, _) = convert_in_memory(&block, &options);
        let found = runtime().block_on(files(&bucket));
        let same = |key: &String| found.get(key) == expected.get(key);
        let other: BTreeSet<_> = expected.keys().filter(|key| !same(key)).collect();
        assert!(other.is_empty() && found.len() == 6, "{read} threads, {write} shards, {mib} MiB: other {other:?}");
    }
}

#[test]
fn too_little_memory_is_said_before_anything_is_written() {
    let block = generated(&BlockSpec::tiny());
    let mut options = options();
    for bytes in [1, 1 << 20, 39 << 20] {
        options.memory_bytes = usize_of(bytes);
        runtime().block_on(async {
            let store = Arc::new(RecordingStore::new(Arc::new(InMemory::new()), Recording::default()));
            let recording = Arc::clone(store.tap());
            let bucket = Bucket::new(store, "memory://recorded");
            let error = convert_to(&bucket, std::slice::from_ref(&block), None, &options).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");
            let text = error.to_string();
            assert!(text.contains("bytes of memory") && text.contains(&bytes.to_string()), "{text}");
            assert_eq!(recording.take(), []);
        });
    }
}

/// Rows of each row group, shard by shard.
fn cuts(bucket: &Bucket, report: &Report) -> Vec<Vec<u32>> {
    runtime().block_on(async {
        let mut cuts = Vec::new();
        for (index, of_report) in (0..).zip(&report.shards) {
            let shard = Shard::open(bucket, NAME, index).await.unwrap();
            let groups: Vec<u32> = (0..shard.row_groups()).map(|g| shard.labels_file().rows_of(g)).collect();
            assert_eq!(of_report.series, groups.iter().map(|rows| u64::from(*rows)).sum::<u64>());
            assert_eq!(of_report.row_groups as usize, groups.len());
            assert_eq!(of_report.label_columns as usize, shard.label_names().count());
            assert_eq!(of_report.labels_bytes, shard.labels_file().size());
            assert_eq!(of_report.chunks_bytes, shard.chunks_file().size());
            cuts.push(groups);
        }
        cuts
    })
}

#[test]
fn rows_are_spread_evenly_over_shards() {
    let block = generated(&BlockSpec::new(55).duration_ms(30 * 60_000));
    let mut options = options();
    for (rows, groups, expected) in [
        (1000, None, vec![vec![55]]),
        (20, None, vec![vec![20, 20, 15]]),
        (10, Some(2), vec![vec![10, 9], vec![10, 9], vec![10, 7]]),
        (55, Some(1), vec![vec![55]]),
        (54, Some(1), vec![vec![28], vec![27]]),
        (18, Some(3), vec![vec![18, 10], vec![18, 9]]),
        (1, Some(30), vec![vec![1; 28], vec![1; 27]]),
    ] {
        options.row_group_rows = u32_of(rows);
        options.row_groups_per_shard = groups.map(u32_of);
        let (bucket, report) = convert_in_memory(&block, &options);
        assert_eq!(cuts(&bucket, &report), expected, "{rows} rows, {groups:?} groups");
        check(std::slice::from_ref(&block), None, &options, "spread");
    }
}

#[test]
fn row_groups_are_cut_by_bytes() {
    let block = generated(&BlockSpec::new(300).duration_ms(60 * 60_000).native_histograms(0.3));
    for (limit, groups_per_shard) in [(1, None), (5000, None), (20_000, Some(2)), (50_000, None), (1 << 30, None)] {
        let mut options = options();
        options.row_group_bytes = NonZeroU64::new(limit);
        options.row_groups_per_shard = groups_per_shard.map(u32_of);
        let (bucket, report) = convert_in_memory(&block, &options);
        let cuts = cuts(&bucket, &report);
        if let Some(most) = groups_per_shard {
            assert!(cuts.len() > 1 && cuts.iter().all(|groups| groups.len() <= most as usize), "{cuts:?}");
        } else {
            assert_eq!(cuts.len(), 1);
        }
        let rows = runtime().block_on(all_rows(&bucket, NAME, report.shards.len() as u32));
        let bytes_of = |row: &Row| -> u64 {
            let records = row.cells.iter().flat_map(|(_, cell)| cell::records(cell));
            records.map(|record| record.unwrap().data.len() as u64).sum()
        };
        let total: u64 = rows.iter().map(bytes_of).sum();
        let mut groups = 0;
        for group in rows.chunk_by(|a, b| (a.shard, a.row_group) == (b.shard, b.row_group)) {
            let bytes: u64 = group.iter().map(bytes_of).sum();
            assert!(group.len() == 1 || bytes <= limit, "{} rows of {bytes} bytes, limit {limit}", group.len());
            groups += 1;
        }
        assert!(groups as u64 <= (3 * total / limit + 2).min(300), "{groups} groups of {total} bytes, limit {limit}");
    }
}

#[test]
fn shards_are_cut_by_columns() {
    let block = generated(&BlockSpec::new(400).odd_series(false).duration_ms(30 * 60_000).extra_labels(300, 5));
    let mut options = options();
    options.max_columns = u32_of(40);
    options.row_group_rows = u32_of(150);
    let report = check(std::slice::from_ref(&block), None, &options, "40 columns");
    assert!(report.shards.len() > 7, "{} shards", report.shards.len());
    assert!(report.shards.iter().all(|shard| shard.label_columns + 2 <= 40), "{report:?}");
    // As many as there are names: one shard. One less: two.
    let names: BTreeSet<String> =
        merged(std::slice::from_ref(&block), None).keys().flat_map(|l| l.iter().map(|(n, _)| n.to_owned())).collect();
    let names = u32::try_from(names.len()).unwrap();
    for (columns, shards) in [(names + 2, 1), (names + 1, 2)] {
        options.max_columns = u32_of(columns);
        let report = check(std::slice::from_ref(&block), None, &options, "exactly");
        assert_eq!(report.shards.len(), shards, "{columns} columns for {names} names");
    }
    let longest = merged(std::slice::from_ref(&block), None).keys().map(Labels::len).max().unwrap() as u32;
    for (columns, fits) in [(longest + 2, true), (longest + 1, false), (3, false)] {
        options.max_columns = u32_of(columns);
        runtime().block_on(async {
            let bucket = memory_bucket();
            let result = convert_to(&bucket, std::slice::from_ref(&block), None, &options).await;
            assert_eq!(result.is_ok(), fits);
            if let Err(error) = result {
                assert_eq!(error.kind(), ErrorKind::LimitExceeded);
                let text = error.to_string();
                assert!(text.contains("series {__name__=") && text.contains(&format!("limit of {columns}")), "{text}");
                assert!(files(&bucket).await.is_empty());
            }
        });
    }
}

#[test]
fn rows_are_sorted_by_the_labels_asked_for() {
    let block = generated(&BlockSpec::new(500).duration_ms(30 * 60_000));
    for sort_labels in
        [&[][..], &[METRIC_NAME], &["job", "nonexistent", "pod"], &["nonexistent"], &["pod", METRIC_NAME]]
    {
        let mut options = options();
        options.sort_labels = sort_labels.iter().map(|label| (*label).to_owned()).collect();
        options.bloom_filter_labels = ["pod", "nonexistent", "job"].map(str::to_owned).to_vec();
        let (bucket, report) = convert_in_memory(&block, &options);
        runtime().block_on(async {
            let rows = all_rows(&bucket, NAME, report.shards.len() as u32).await;
            let key = |row: &Row| {
                let sorted: Vec<String> =
                    sort_labels.iter().map(|l| row.labels.get(l).unwrap_or("").to_owned()).collect();
                (sorted, row.labels.clone())
            };
            assert!(rows.is_sorted_by_key(key), "{sort_labels:?}");
            let shard = Shard::open(&bucket, NAME, 0).await.unwrap();
            let (file, columns) = (shard.labels_file(), shard.labels_file().columns());
            for group in file.metadata().row_groups() {
                let sorting = group.sorting_columns().map_or(&[][..], Vec::as_slice);
                let named: Vec<String> = sorting.iter().map(|s| columns[s.column_idx as usize].name()).collect();
                let expected: Vec<String> =
                    sort_labels.iter().filter(|l| **l != "nonexistent").map(|l| format!("l_{l}")).collect();
                assert_eq!(named, expected);
                for (column, metadata) in columns.iter().zip(group.columns()) {
                    let expected = matches!(column, Column::Label(l) if l == "pod" || l == "job");
                    assert_eq!(metadata.bloom_filter_offset().is_some(), expected, "{column:?}");
                }
            }
        });
    }
}

#[test]
fn names_of_shard_sets() {
    let block = block_of(&[(labels(&[("__name__", "up")]), floats(0..100, 10))]);
    let parent = tempfile::tempdir().unwrap();
    let target = parent.path().join("bucket");
    std::fs::create_dir(&target).unwrap();
    let convert_as = |name: &str| {
        let mut options = options();
        options.name = name.into();
        runtime().block_on(async {
            let bucket = directory_bucket(&target);
            convert_to(&bucket, std::slice::from_ref(&block), None, &options).await.map(drop)
        })
    };
    for name in
        ["plain", "tenant-1/01JGFSEP80VHQAZ8FEAQD9QWMS", "a/b/c/d", "with blank and naïve", "..a/b..", "%2e%2e/x"]
    {
        convert_as(name).unwrap_or_else(|e| panic!("{name:?}: {e}"));
        let file = target.join(name).join("0.labels.parquet");
        assert!(file.exists(), "{} does not exist", file.display());
    }
    let hostile =
        ["", ".", "..", "../x", "a/../../x", "a/..", "/absolute", "a/", "a//b", "./a", "a\\..\\..\\x", "a\0b", "a\nb"];
    for name in hostile {
        let error = convert_as(name).err().unwrap_or_else(|| panic!("{name:?} is taken"));
        assert_eq!(error.kind(), ErrorKind::Invalid, "{name:?}: {error}");
    }
    let around: Vec<_> = std::fs::read_dir(parent.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(around, ["bucket"]);
}

#[test]
fn options_that_make_no_sense() {
    let block = block_of(&[(labels(&[("__name__", "up")]), floats(0..100, 10))]);
    type Edit = fn(&mut Options);
    let edits: [(&str, Edit); 3] = [
        ("column limit", |o| o.max_columns = NonZeroU32::new(2).unwrap()),
        ("each label once", |o| o.sort_labels = vec!["a".into(), "b".into(), "a".into()]),
        ("each label once", |o| o.bloom_filter_labels = vec!["a".into(), "a".into()]),
    ];
    for (expected, edit) in edits {
        let mut options = options();
        edit(&mut options);
        runtime().block_on(async {
            let bucket = memory_bucket();
            let error = convert_to(&bucket, std::slice::from_ref(&block), None, &options).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(error.to_string().contains(expected), "{error}");
        });
    }
}

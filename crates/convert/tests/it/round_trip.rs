//! Blocks to shards, verified; and back.

use std::{
    num::{NonZeroU16, NonZeroU32, NonZeroU64, NonZeroUsize},
    path::{Path, PathBuf},
    sync::Arc,
};

use prometheus_model::TimeRange;
use promparquet_convert::{
    Compression, Control, ErrorKind, ExportOptions, Options, Report, VerifyOptions, convert, export_tsdb, verify,
};
use promparquet_objstore::Bucket;
use promparquet_testkit::expected::expected_series;

use crate::fixtures::{
    BLOCK, all_rows, assert_same, block_series, go, memory_bucket, open_block, open_set, runtime, samples_of_rows,
    shared,
};

const NAME: &str = "set/block";

fn options(edit: impl FnOnce(&mut Options)) -> Options {
    let mut options = Options::default();
    options.name = NAME.into();
    options.read_concurrency = NonZeroUsize::new(2).unwrap();
    edit(&mut options);
    options
}

fn u32_of(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap()
}

fn option_sets() -> Vec<(&'static str, Options)> {
    let two_shards = |o: &mut Options| {
        o.row_group_rows = u32_of(150);
        o.row_groups_per_shard = Some(u32_of(2));
    };
    vec![
        ("default", options(|_| {})),
        ("two shards", options(two_shards)),
        ("30 m columns", options(|o| o.data_column_duration_ms = NonZeroU64::new(30 * 60_000).unwrap())),
        (
            "small pages",
            options(|o| {
                o.page_bytes = u32_of(1024);
                o.chunk_page_bytes = u32_of(2048);
                o.row_group_rows = u32_of(120);
            }),
        ),
        (
            "snappy",
            options(|o| (o.labels_compression, o.chunks_compression) = (Compression::Snappy, Compression::Snappy)),
        ),
        (
            "uncompressed",
            options(|o| (o.labels_compression, o.chunks_compression) = (Compression::None, Compression::None)),
        ),
        ("sorted", options(|o| o.sort_labels = ["__name__", "namespace", "pod"].map(String::from).to_vec())),
        ("40 columns", options(|o| o.max_columns = u32_of(40))),
        ("40 samples", options(|o| o.max_samples_per_chunk = NonZeroU16::new(40).unwrap())),
        (
            "one thread",
            options(|o| {
                o.read_concurrency = NonZeroUsize::MIN;
                o.data_column_duration_ms = NonZeroU64::new(7 * 60_000).unwrap();
                o.sort_labels = vec!["job".into()];
            }),
        ),
    ]
}

async fn convert_dir(dir: &Path, range: Option<TimeRange>, bucket: &Bucket, options: &Options) -> Report {
    let control = Arc::new(Control::default());
    convert(vec![open_block(dir)], range, bucket.clone(), options.clone(), control).await.unwrap()
}

async fn verify_dirs(
    dirs: &[PathBuf],
    range: Option<TimeRange>,
    bucket: &Bucket,
) -> Result<promparquet_convert::VerifyReport, promparquet_convert::Error> {
    let blocks = dirs.iter().map(|dir| open_block(dir)).collect();
    let mut options = VerifyOptions::default();
    options.range = range;
    verify(blocks, bucket.clone(), NAME.into(), options, Arc::new(Control::default())).await
}

/// The sources: a block, and its samples as somebody else reads them, where there is such a thing.
fn sources() -> Vec<(PathBuf, Option<PathBuf>)> {
    let small = go(&format!("tsdb-small/{BLOCK}"));
    let tombstones = go(&format!("tsdb-small-tombstones/{BLOCK}"));
    let old = shared("acceptance/tsdb-blocks/index_format_v1");
    [(small, go("expected_series.jsonl.gz")), (tombstones, go("expected_series_tombstones.jsonl.gz")), (old, None)]
        .into_iter()
        .filter_map(|(block, expected)| Some((block?, expected)))
        .collect()
}

#[test]
fn shards_hold_what_the_block_holds_under_all_options() {
    for (dir, expected) in sources() {
        let from_block = block_series(&open_block(&dir));
        let expected = expected.map_or_else(|| from_block.clone(), |path| expected_series(&path));
        assert_same(&from_block, &expected, true, "the block itself");
        for (what, options) in option_sets() {
            runtime().block_on(async {
                let bucket = memory_bucket();
                let report = convert_dir(&dir, None, &bucket, &options).await;
                assert_eq!(report.series(), expected.len() as u64, "{what}");
                let rows = all_rows(&bucket, NAME, report.shards.len() as u32).await;
                assert_same(&samples_of_rows(&rows), &expected, false, what);
                let verified = verify_dirs(std::slice::from_ref(&dir), None, &bucket).await;
                let verified = verified.unwrap_or_else(|e| panic!("{what}: {e}"));
                assert_eq!((verified.rows, verified.samples), (report.series(), report.chunks.samples), "{what}");
                assert_eq!(verified.shards, report.shards.len(), "{what}");
            });
        }
    }
}

#[test]
fn exported_blocks_hold_what_the_source_holds() {
    for (dir, _) in sources() {
        let source = open_block(&dir);
        let expected = block_series(&source);
        for (what, options) in option_sets() {
            let out = tempfile::tempdir().unwrap();
            runtime().block_on(async {
                let bucket = memory_bucket();
                convert_dir(&dir, None, &bucket, &options).await;
                let mut export = ExportOptions::default();
                // So little that rows in another order than a block's must be sorted on disk.
                export.memory_bytes = NonZeroUsize::new(64 << 10).unwrap();
                let control = Arc::new(Control::default());
                let shards = open_set(&bucket, NAME).await;
                let report = export_tsdb(shards, out.path().into(), export, Arc::clone(&control));
                let report = report.await.unwrap_or_else(|e| panic!("{what}: {e}"));
                assert_eq!(report.rows, expected.len() as u64, "{what}");
                assert_eq!(control.progress().series_done, report.rows, "{what}");
                let exported = out.path().join(report.meta.ulid.to_string());
                let block = open_block(&exported);
                assert_same(&block_series(&block), &expected, false, what);
                assert_eq!(block.meta().stats.num_series, expected.len() as u64);
                block.check_index(1 << 20).unwrap();
                // The blocks' time ranges: they decide which data columns there are, and what a compactor does.
                let range = |block: &prometheus_tsdb_block::BlockReader| (block.meta().min_time, block.meta().max_time);
                assert_eq!(range(&block), range(&source), "{what}");
                // The shards verify against the new block as they do against the old one.
                verify_dirs(std::slice::from_ref(&exported), None, &bucket)
                    .await
                    .unwrap_or_else(|e| panic!("{what}: {e}"));
                if what == "default" && source.tombstones().unwrap().is_empty() {
                    // Where a page ends depends on how far chunks lie apart in the source: so let there be few.
                    let mut options = options.clone();
                    options.chunk_page_bytes = NonZeroU32::new(256 << 10).unwrap();
                    let (bucket, again) = (memory_bucket(), memory_bucket());
                    convert_dir(&dir, None, &bucket, &options).await;
                    convert_dir(&exported, None, &again, &options).await;
                    for file in ["set/block/0.labels.parquet", "set/block/0.chunks.parquet"] {
                        let (a, b) =
                            (bucket.get(file, u64::MAX).await.unwrap(), again.get(file, u64::MAX).await.unwrap());
                        assert!(a == b, "{file} of the exported block is not that of the source");
                    }
                }
            });
        }
    }
}

#[test]
fn a_part_of_the_time_range_is_converted_verified_and_exported() {
    let Some(dir) = go(&format!("tsdb-small/{BLOCK}")) else { return };
    let source = open_block(&dir);
    let (start, end) = (source.meta().min_time, source.meta().max_time);
    let third = (end - start) / 3;
    let range = TimeRange::new(start + third + 1, end - third - 7).unwrap();
    let mut expected = block_series(&source);
    expected.retain(|_, samples| {
        samples.retain(|sample| range.contains(sample.timestamp));
        !samples.is_empty()
    });
    runtime().block_on(async {
        let bucket = memory_bucket();
        let report = convert_dir(&dir, Some(range), &bucket, &options(|_| {})).await;
        assert_eq!(report.series(), expected.len() as u64);
        let rows = all_rows(&bucket, NAME, 1).await;
        assert_same(&samples_of_rows(&rows), &expected, false, "a third");
        let dirs = [dir.clone()];
        let verified = verify_dirs(&dirs, Some(range), &bucket).await.unwrap();
        assert_eq!(verified.rows, report.series());
        // Against the whole block, or another range, it differs.
        for wrong in [None, Some(TimeRange::new(range.start() + 15_000, range.end()).unwrap())] {
            let error = verify_dirs(&dirs, wrong, &bucket).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        }
        // A part of the whole, exported.
        let whole = memory_bucket();
        convert_dir(&dir, None, &whole, &options(|_| {})).await;
        let out = tempfile::tempdir().unwrap();
        let mut export = ExportOptions::default();
        export.range = Some(range);
        let control = Arc::new(Control::default());
        let shards = open_set(&whole, NAME).await;
        let report = export_tsdb(shards, out.path().into(), export, control).await.unwrap();
        let block = open_block(&out.path().join(report.meta.ulid.to_string()));
        assert_same(&block_series(&block), &expected, false, "a third, exported");
        assert_eq!((block.meta().min_time, block.meta().max_time), (range.start(), range.end()));
    });
}

#[test]
fn verification_finds_other_sources_and_missing_shards() {
    let Some((dir, deleted)) = go(&format!("tsdb-small/{BLOCK}")).zip(go(&format!("tsdb-small-tombstones/{BLOCK}")))
    else {
        return;
    };
    runtime().block_on(async {
        let bucket = memory_bucket();
        let options = option_sets().remove(1).1;
        convert_dir(&dir, None, &bucket, &options).await;
        // Samples that the source does not have.
        let error = verify_dirs(&[deleted], None, &bucket).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains("series {__name__="), "{error}");
        // Series that the shards do not have.
        let mut one = VerifyOptions::default();
        one.shards = Some(1);
        let control = Arc::new(Control::default());
        let error = verify(vec![open_block(&dir)], bucket.clone(), NAME.into(), one, Arc::clone(&control)).await;
        let error = error.unwrap_err().to_string();
        assert!(error.contains("no row, although the source has a sample"), "{error}");
        // Series that the source does not have.
        let error = verify(vec![], bucket.clone(), NAME.into(), VerifyOptions::default(), Arc::clone(&control)).await;
        assert!(error.unwrap_err().to_string().contains("not in the source"));
        // A missing file.
        bucket.delete("set/block/0.chunks.parquet").await.unwrap();
        let error = verify_dirs(&[dir], None, &bucket).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        assert!(error.to_string().contains("set/block/0.chunks.parquet"), "{error}");
        // No shards at all.
        let out = tempfile::tempdir().unwrap();
        let none = export_tsdb(Vec::new(), out.path().into(), ExportOptions::default(), control);
        assert_eq!(none.await.unwrap_err().kind(), ErrorKind::NotFound);
    });
}

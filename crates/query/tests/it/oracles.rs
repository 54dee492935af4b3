//! Random questions to shards by both writers, held against samples that the Go library listed, and against TSDB blocks.

use std::{num::NonZeroU32, num::NonZeroU64, path::Path, sync::Arc};

use prometheus_model::{Labels, TimeRange};
use prometheus_queryable::MemoryQueryable;
use prometheus_tsdb_block::LocalBlock;
use prometheus_tsdb_query::BlockQueryable;
use promparquet_convert::Options as ConvertOptions;
use promparquet_testkit::{blocks::BlockSpec, expected::expected_series};

use crate::{
    asks::{Corpus, compare, compare_shards},
    shards::{NAME, Series, convert_block, directory_bucket, go, memory_bucket, open_all, runtime},
};

const BLOCK: &str = "01JGFSEP80VHQAZ8FEAQD9QWMS";

/// Every variant of the reference's files, and ours of the same blocks.
#[test]
fn files_by_both_writers_hold_what_the_reference_lists() {
    let listed = |file| {
        let series: Series = expected_series(&go(file)?).into_iter().filter(|(_, s)| !s.is_empty()).collect();
        Some((Corpus::of_series(&series), MemoryQueryable::new(series).unwrap()))
    };
    let Some((corpus, memory)) = listed("expected_series.jsonl.gz") else { return };
    let (corpus_deleted, memory_deleted) = listed("expected_series_tombstones.jsonl.gz").unwrap();
    let variants = [
        "default",
        "2shards",
        "30m",
        "snappy",
        "uncompressed",
        "smallpages",
        "sorted",
        "cortex",
        "maxcols",
        "spc40",
        "tombstones",
    ];
    runtime().block_on(async {
        for (seed, variant) in (1..).zip(variants) {
            let bucket = directory_bucket(&go(&format!("parquet-{variant}")).unwrap());
            let shards = open_all(&bucket, if variant == "cortex" { BLOCK } else { NAME }).await;
            let (corpus, memory) =
                if variant == "tombstones" { (&corpus_deleted, &memory_deleted) } else { (&corpus, &memory) };
            assert!(!shards.is_empty());
            compare_shards(&shards, memory, corpus, seed, 60).await;
        }
        for (seed, (block, corpus, memory)) in
            (100..).zip([("tsdb-small", &corpus, &memory), ("tsdb-small-tombstones", &corpus_deleted, &memory_deleted)])
        {
            let bucket = memory_bucket();
            let mut options = ConvertOptions::default();
            options.data_column_duration_ms = NonZeroU64::new(1_800_000).unwrap();
            options.page_bytes = NonZeroU32::new(2048).unwrap();
            convert_block(&bucket, &go(block).unwrap().join(BLOCK), options).await;
            compare_shards(&open_all(&bucket, NAME).await, memory, corpus, seed, 60).await;
        }
    });
}

async fn as_block(block: &Path, labels: Vec<Labels>, seed: u64, options: ConvertOptions) {
    let tsdb = BlockQueryable::open(Arc::new(LocalBlock::open(block).unwrap())).await.unwrap();
    let meta = tsdb.block().meta().clone();
    let bucket = memory_bucket();
    convert_block(&bucket, block, options).await;
    let shards = open_all(&bucket, NAME).await;
    assert!(!shards.is_empty());
    let times = TimeRange::new(meta.min_time, meta.max_time).unwrap();
    let corpus = Corpus::of(&labels, times);
    compare_shards(&shards, &tsdb, &corpus, seed, 70).await;
}

/// Generated blocks with native histograms, UTF-8 names and odd series, in several layouts.
#[test]
fn shards_answer_as_the_block_they_were_made_of() {
    runtime().block_on(async {
        for (seed, sort, row_group_rows) in [(1, "__name__", 1 << 20), (2, "pod", 90), (3, "no such label", 50)] {
            let dir = tempfile::tempdir().unwrap();
            let spec = BlockSpec::new(250).seed(seed).duration_ms(7_200_000).interval_ms(60_000);
            let spec = spec.odd_series(true).native_histograms(0.2).churn(0.3);
            let block = spec.write(dir.path()).unwrap();
            let mut options = ConvertOptions::default();
            options.sort_labels = vec![sort.into()];
            options.row_group_rows = NonZeroU32::new(row_group_rows).unwrap();
            options.page_bytes = NonZeroU32::new(500).unwrap();
            options.chunk_page_bytes = NonZeroU32::new(4000).unwrap();
            options.data_column_duration_ms = NonZeroU64::new(2_000_000).unwrap();
            options.bloom_filter_labels = vec!["__name__".into(), "pod".into()];
            let labels = spec.oracle().filter(|(_, s)| !s.is_empty()).map(|(labels, _)| labels).collect();
            as_block(&block, labels, seed, options).await;
        }
    });
}

/// Without the comparison seeing a difference, the tests above would prove nothing.
#[test]
#[should_panic(expected = "seed")]
fn a_store_that_lacks_a_sample_is_found_out() {
    let spec = BlockSpec::new(60).duration_ms(3_600_000).interval_ms(60_000);
    let all: Series = spec.oracle().filter(|(_, s)| !s.is_empty()).collect();
    let mut less = all.clone();
    for samples in less.values_mut().step_by(2) {
        samples.remove(samples.len() / 2);
    }
    let corpus = Corpus::of_series(&all);
    let (all, less) = (MemoryQueryable::new(all).unwrap(), MemoryQueryable::new(less).unwrap());
    runtime().block_on(compare(&less, &all, &corpus, 1, 200));
}

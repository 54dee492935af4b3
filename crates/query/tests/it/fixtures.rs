//! Shards that the Go library wrote, and its own answers from them.

use std::sync::Arc;

use promparquet_convert::Options as ConvertOptions;
use promparquet_query::{Options, ParquetQueryable, Pruning, RowCache};
use promparquet_testkit::checksum::SelectCase;

use crate::shards::{NAME, convert_block, directory_bucket, go, memory_bucket, open_all, queryable, runtime};

const BLOCK: &str = "01JGFSEP80VHQAZ8FEAQD9QWMS";

async fn check(store: &ParquetQueryable, what: &str) {
    let Some(file) = go("select_results.json") else { return };
    let cases = SelectCase::load(&file).unwrap();
    assert!(cases.len() >= 25);
    for case in cases {
        let found = case.ask(store).await.unwrap_or_else(|e| panic!("{what}, {}: {e}", case.id));
        assert_eq!(found, case.expected, "{what}, {}", case.id);
    }
}

/// All variants but those of tombstones hold the same series.
#[test]
fn answers_of_the_go_library_from_its_own_files() {
    let variants =
        ["default", "2shards", "30m", "snappy", "uncompressed", "smallpages", "sorted", "cortex", "maxcols", "spc40"];
    runtime().block_on(async {
        for variant in variants {
            let Some(dir) = go(&format!("parquet-{variant}")) else { return };
            let bucket = directory_bucket(&dir);
            let name = if variant == "cortex" { BLOCK } else { NAME };
            let shards = open_all(&bucket, name).await;
            assert!(!shards.is_empty());
            check(&queryable(shards.clone(), Options::default()), variant).await;
            let mut options = Options::default();
            options.pruning = Pruning::NONE;
            check(&queryable(shards.clone(), options), &format!("{variant}, without pruning")).await;
            let cache = Arc::new(RowCache::new(1 << 20));
            let cached = queryable(shards, Options::default()).with_row_cache(cache);
            check(&cached, &format!("{variant}, cache empty")).await;
            check(&cached, &format!("{variant}, cache full")).await;
        }
    });
}

#[test]
fn answers_of_the_go_library_from_our_files() {
    let Some(block) = go(&format!("tsdb-small/{BLOCK}")) else { return };
    runtime().block_on(async {
        for sort in [vec!["__name__"], vec!["pod", "__name__"], vec![]] {
            let bucket = memory_bucket();
            let mut options = ConvertOptions::default();
            options.sort_labels = sort.iter().map(|label| (*label).to_owned()).collect();
            convert_block(&bucket, &block, options).await;
            let shards = open_all(&bucket, NAME).await;
            check(&queryable(shards, Options::default()), &format!("sorted by {sort:?}")).await;
        }
    });
}

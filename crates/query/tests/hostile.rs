//! Shards that ask for more than they are worth: typed errors, in time, and memory within bounds by the allocator's word.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod forge;

use std::{
    num::NonZeroU64,
    sync::Arc,
    time::{Duration, Instant},
};

use object_store::memory::InMemory;
use prometheus_model::TimeRange;
use prometheus_queryable::{ErrorKind, LabelHints, MatchOp, Matcher, Queryable as _, SelectHints};
use promparquet_objstore::Bucket;
use promparquet_query::{Options, ParquetQueryable};
use promparquet_schema::{Column, chunks_file, labels_file};
use promparquet_shard::{Limits, OpenOptions, Shard};

use forge::{
    ForgedColumn, ForgedFile, Page, Row, UNCOMPRESSED, data_page, dictionary_page, files, honest_record, plain, run,
};

#[global_allocator]
static ALLOCATOR: cap::Cap<std::alloc::System> = cap::Cap::new(std::alloc::System, usize::MAX);

const ZSTD: i32 = 6;
const RLE_DICTIONARY: i32 = 8;
const DELTA_LENGTH_BYTE_ARRAY: i32 = 6;
const LIMITS: Limits =
    Limits { footer_bytes: 1 << 20, page_bytes: 1 << 20, scan_bytes: 8 << 20, row_group_rows: 2_000_000 };

fn honest() -> [ForgedFile; 2] {
    let row = |pod: &'static str| -> Row {
        (vec![("__name__", "up"), ("pod", pod)], vec![honest_record(&[(0, 1.0), (1000, 2.0)])])
    };
    files(&[row("a"), row("b"), row("c")], TimeRange::new(0, 2000).unwrap(), 2000, 2)
}

/// What becomes of questions, and within which memory.
async fn ask(files: &[ForgedFile; 2], memory: usize) -> Vec<Result<usize, ErrorKind>> {
    let bucket = Bucket::new(Arc::new(InMemory::new()), "memory://hostile");
    bucket.put(&labels_file("block", 0), files[0].bytes()).await.unwrap();
    bucket.put(&chunks_file("block", 0), files[1].bytes()).await.unwrap();
    let started = Instant::now();
    ALLOCATOR.set_limit(ALLOCATOR.allocated() + memory).unwrap(); // allocations beyond it abort the test
    let results = questions(&bucket).await;
    ALLOCATOR.set_limit(usize::MAX).unwrap();
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    results
}

async fn questions(bucket: &Bucket) -> Vec<Result<usize, ErrorKind>> {
    let options = OpenOptions { limits: LIMITS, ..OpenOptions::default() };
    let shard = match Shard::open_with(bucket, "block", 0, options).await {
        Ok(shard) => shard,
        Err(error) => {
            return vec![Err(match error.kind() {
                promparquet_shard::ErrorKind::Corrupt => ErrorKind::Corrupt,
                promparquet_shard::ErrorKind::LimitExceeded => ErrorKind::LimitExceeded,
                other => panic!("{other:?}: {error}"),
            })];
        }
    };
    let mut options = Options::default();
    options.row_bytes = NonZeroU64::new(4 << 20).unwrap();
    let store = ParquetQueryable::new(Arc::new(vec![Arc::new(shard)]), options);
    let querier = store.querier(TimeRange::ALL).await.unwrap();
    let mut results = Vec::new();
    let matchers: [Vec<Matcher>; 4] = [
        vec![],
        vec![Matcher::equal("pod", "a")],
        vec![Matcher::new("pod", MatchOp::Regex, ".*[a-z].*").unwrap()],
        vec![Matcher::new("pod", MatchOp::NotEqual, "a").unwrap()],
    ];
    for matchers in matchers {
        let select = async {
            let mut set = querier.select(&matchers, &SelectHints::new(TimeRange::ALL)).await?;
            let mut count = 0;
            while let Some(batch) = set.next().await? {
                count += batch.len();
            }
            Ok::<_, prometheus_queryable::Error>(count)
        };
        results.push(select.await.map_err(|e| e.kind()));
        let values = querier.label_values("pod", &matchers, &LabelHints::default()).await;
        results.push(values.map(|values| values.strings.len()).map_err(|e| e.kind()));
    }
    results
}

fn pod(files: &mut [ForgedFile; 2]) -> &mut ForgedColumn {
    files[0].column(&Column::Label("pod".into()))
}

/// Zeros that take few bytes.
fn bomb(length: usize) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    std::io::copy(&mut std::io::Read::take(std::io::repeat(0), length as u64), &mut encoder).unwrap();
    encoder.finish().unwrap()
}

/// One test, since all allocations count.
#[test]
fn hostile_shards_are_refused_in_bounded_memory() {
    const MIB: usize = 1 << 20;
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let results = ask(&honest(), 32 * MIB).await;
        assert_eq!(results[..4], [Ok(3), Ok(3), Ok(1), Ok(1)]);

        let refused = |results: &[Result<usize, ErrorKind>], what: &str| {
            assert!(results.iter().any(Result::is_err), "{what}: {results:?}");
            for kind in results.iter().filter_map(|r| r.as_ref().err()) {
                assert!(matches!(kind, ErrorKind::Corrupt | ErrorKind::LimitExceeded), "{what}: {kind:?}");
            }
        };

        // Counts of rows, in the footer alone.
        for rows in [i64::MAX, i64::MIN, -1, u32::MAX.into(), u32::MAX as i64 - 1, 2_000_001, 0, 4] {
            let mut files = honest();
            files.iter_mut().for_each(|file| file.rows = rows);
            refused(&ask(&files, 16 * MIB).await, &format!("{rows} rows"));
        }

        // Pages that inflate: by more than their headers say, by as much, and by more than is allowed.
        let gigabyte = bomb(1 << 30);
        for claimed in [100, MIB, 1 << 30, i32::MAX as usize] {
            let mut files = honest();
            let column = pod(&mut files);
            column.codec = ZSTD;
            column.dictionary = Some(dictionary_page(&gigabyte, claimed, 3));
            refused(&ask(&files, 24 * MIB).await, &format!("a dictionary of 1 GiB that claims {claimed}"));
            let mut files = honest();
            let column = files[1].column(&Column::Data(0));
            column.codec = ZSTD;
            for page in &mut column.pages {
                page.bytes = data_page(&[], &gigabyte, claimed, DELTA_LENGTH_BYTE_ARRAY, page.rows, 0);
            }
            refused(&ask(&files, 24 * MIB).await, &format!("cells of 1 GiB that claim {claimed}"));
        }

        // Dictionaries of more entries than bytes.
        for entries in [4, i32::MAX, -1] {
            let mut files = honest();
            let body = plain(&["a", "b", "c"]);
            pod(&mut files).dictionary = Some(dictionary_page(&body, body.len(), entries));
            refused(&ask(&files, 16 * MIB).await, &format!("{entries} entries"));
        }

        // Runs of as many rows as are allowed, and of more than there are; a value in every row, in every other, in none.
        let most: u64 = LIMITS.row_group_rows.into();
        let levels: [(Vec<u8>, i64); 3] = [
            (run(most, 1), 0),
            ([vec![0xff, 0xff, 0x3f], vec![0x55; 524_287]].concat(), most as i64 / 2),
            (run(1 << 40, 1), 0),
        ];
        for (levels, nulls) in levels {
            for (rows, is_too_many) in [(most as i64, false), (most as i64 + 1, true), (u32::MAX as i64 - 1, true)] {
                let mut files = honest();
                for column in files.iter_mut().flat_map(|file| {
                    file.rows = rows;
                    &mut file.columns
                }) {
                    let is_label = matches!(column.column, Column::Label(_));
                    let body = if is_label { [vec![8], run(1 << 40, 1)].concat() } else { vec![] };
                    let levels = if is_label { levels.clone() } else { vec![] };
                    let encoding = if is_label { RLE_DICTIONARY } else { DELTA_LENGTH_BYTE_ARRAY };
                    let bytes = data_page(&levels, &body, body.len(), encoding, rows, nulls);
                    column.codec = UNCOMPRESSED;
                    column.pages = vec![Page { bytes, rows, min: vec![b'a'], max: vec![b'z'], nulls }];
                    if column.column == Column::Label("__name__".into()) {
                        column.dictionary = Some(dictionary_page(&plain(&["up", "up"]), 12, 2));
                    }
                }
                // Row ranges, their order and codes, within what they may take.
                let results = ask(&files, 24 * MIB).await;
                refused(&results, &format!("{rows} rows"));
                assert_eq!(
                    results[0] == Err(ErrorKind::LimitExceeded) && results.len() == 1,
                    is_too_many,
                    "{results:?}"
                );
            }
        }

        // Cells and row indexes that promise more than they hold.
        for cell in [
            vec![1, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
            vec![0xff; 40],
            vec![1, 0, 1, 3, 0xff, 0xff],
        ] {
            let mut files = honest();
            *files[1].column(&Column::Data(0)) = ForgedColumn::values(Column::Data(0), &vec![cell; 3], 2);
            let results = ask(&files, 16 * MIB).await;
            refused(&results, "cells");
            let mut files = honest();
            let cells = vec![vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]; 3];
            *files[0].column(&Column::RowIndex) = ForgedColumn::values(Column::RowIndex, &cells, 2);
            refused(&ask(&files, 16 * MIB).await, "row indexes");
        }
    });
}

//! Which requests opening and scanning make.

use std::{num::NonZeroU32, sync::Arc};

use object_store::{ObjectStore, memory::InMemory};
use prometheus_model::{Labels, Sample, Value};
use prometheus_tsdb_block::write_block;
use promparquet_convert::{Control, Options, convert};
use promparquet_objstore::Bucket;
use promparquet_shard::{OpenOptions, ScanOptions, Shard};
use promparquet_testkit::stores::{Recording, RecordingStore};
use ulid::Ulid;

use crate::fixtures::{open_block, rows, runtime};

#[test]
fn opening_takes_one_request_for_each_file_and_reading_few() {
    let dir = tempfile::tempdir().unwrap();
    let series = |n: i64| {
        let pod = format!("pod-{n:05}-{:x}", n * 7919 % 65_537);
        let labels = Labels::from_pairs([("__name__", "up"), ("pod", &pod)]).unwrap();
        let sample = |t: i64| Sample { timestamp: t * 1000, start_timestamp: 0, value: Value::Float((t * n) as f64) };
        (labels, (0..20).map(sample).collect())
    };
    let all: Vec<(Labels, Vec<Sample>)> = (0..3000).map(series).collect();
    let meta = write_block(dir.path(), Ulid::from_parts(1, 1), &all).unwrap();
    let store = Arc::new(RecordingStore::new(Arc::new(InMemory::new()), Recording::default()));
    let recording = store.tap();
    let bucket = Bucket::new(Arc::clone(&store) as Arc<dyn ObjectStore>, "memory://recorded");
    let mut options = Options::default();
    options.page_bytes = NonZeroU32::new(2048).unwrap();
    options.chunk_page_bytes = NonZeroU32::new(4096).unwrap();
    runtime().block_on(async {
        let block = open_block(&dir.path().join(meta.ulid.to_string()));
        convert(vec![block], None, bucket.clone(), options, Arc::new(Control::default())).await.unwrap();
        recording.take();
        let shard = Shard::open(&bucket, "block", 0).await.unwrap();
        let mut calls: Vec<_> = recording.take().into_iter().map(|call| (call.key, call.ranges.len())).collect();
        calls.sort();
        assert_eq!(calls, [("block/0.chunks.parquet".to_owned(), 1), ("block/0.labels.parquet".to_owned(), 1)]);

        // A tail that is too short costs a second request for the footer, and a third for page indexes that are long.
        let short = OpenOptions { tail_bytes: 16, ..OpenOptions::default() };
        let same = Shard::open_with(&bucket, "block", 0, short).await.unwrap();
        assert_eq!(recording.take().len(), 6);
        assert_eq!(same.labels_file().metadata().num_row_groups(), shard.labels_file().metadata().num_row_groups());

        // All in one window: one read of each file. Dictionaries lie between the pages of other columns.
        let all = rows(&shard, ScanOptions::default()).await.unwrap();
        assert_eq!((all.len(), recording.take().len()), (3000, 2));
        let small = ScanOptions { window_bytes: 16 << 10, ..ScanOptions::default() };
        assert_eq!(rows(&same, small).await.unwrap(), all);
        let calls = recording.take();
        let longest = calls.iter().flat_map(|call| &call.ranges).map(|range| range.end - range.start).max().unwrap();
        let chunks = calls.iter().filter(|call| call.key.contains("chunks")).count();
        assert!(chunks > 10, "{chunks} reads of the chunks file");
        // The dictionary of the pods is the longest piece.
        let pod = shard.labels_file().position(&promparquet_schema::Column::Label("pod".into())).unwrap();
        let dictionary = shard.labels_file().dictionary(0, pod).unwrap();
        assert!(longest <= dictionary.end - dictionary.start + (64 << 10), "{longest} bytes at once");
    });
}

//! Fixtures, and slow ways to look at blocks and shards.

use std::{
    collections::BTreeMap,
    io::Read,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
};

use object_store::{local::LocalFileSystem, memory::InMemory};
use prometheus_model::{CounterResetHint, Labels, Sample, Span, Value};
use prometheus_tsdb_block::{BlockReader, ChunkRef, LocalBlock};
use promparquet_objstore::Bucket;
use promparquet_schema::cell;
use promparquet_shard::{ScanOptions, Shard, ShardSet};
use serde_json::Value as Json;

/// Every series and its samples.
pub(crate) type Series = BTreeMap<Labels, Vec<Sample>>;

pub(crate) const BLOCK: &str = "01JGFSEP80VHQAZ8FEAQD9QWMS";

/// A directory of the shared inputs; None, loudly, where there are none.
pub(crate) fn shared(path: &str) -> Option<PathBuf> {
    let root = match std::env::var_os("PROMPARQUET_SHARED") {
        Some(root) => PathBuf::from(root),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
    };
    let path = root.join(path);
    if path.exists() {
        return Some(path);
    }
    eprintln!("SKIPPED: {} does not exist", path.display());
    None
}

/// A file of the fixtures made with Go.
pub(crate) fn go(path: &str) -> Option<PathBuf> {
    shared(&format!("fixtures/parquet-common-go/{path}"))
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

pub(crate) fn memory_bucket() -> Bucket {
    Bucket::new(Arc::new(InMemory::new()), "memory://test")
}

pub(crate) fn directory_bucket(dir: &Path) -> Bucket {
    Bucket::new(Arc::new(LocalFileSystem::new_with_prefix(dir).unwrap()), "file://fixture")
}

/// All shards of a set in the layout of blocks.
pub(crate) async fn open_set(bucket: &Bucket, name: &str) -> Vec<Arc<Shard>> {
    let set = ShardSet { name: name.to_owned(), shards: None };
    set.open(bucket).await.unwrap().into_iter().map(Arc::new).collect()
}

pub(crate) fn open_block(dir: &Path) -> BlockReader {
    BlockReader::open(Arc::new(LocalBlock::open(dir).unwrap())).unwrap()
}

pub(crate) fn lines(path: &Path) -> Vec<Json> {
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub(crate) fn labels_of(json: &Json) -> Labels {
    let pairs = json.as_array().unwrap().iter().map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap()));
    Labels::from_pairs(pairs).unwrap()
}

/// All samples of a block, tombstones applied; series without samples are left out.
pub(crate) fn block_series(block: &BlockReader) -> Series {
    let (symbols, tombstones) = (block.symbols().unwrap(), block.tombstones().unwrap());
    let mut all = Series::new();
    block
        .scan_series(1 << 20, |series, entry| {
            let pairs = entry.labels.iter().map(|l| (symbols.get(l.name).unwrap(), symbols.get(l.value).unwrap()));
            let refs: Vec<_> = entry.chunks.iter().map(|chunk| ChunkRef(chunk.reference)).collect();
            let mut samples = Vec::new();
            for chunk in block.read_chunks(&refs)? {
                prometheus_chunks::decode(chunk.encoding.try_into().unwrap(), &chunk.data, &mut samples).unwrap();
            }
            samples.retain(|s| !tombstones.of(series).contains(s.timestamp));
            if !samples.is_empty() {
                all.insert(Labels::from_pairs(pairs).unwrap(), samples);
            }
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    all
}

/// A row as the reader gives it.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Row {
    pub(crate) shard: u32,
    pub(crate) row_group: usize,
    pub(crate) row: u64,
    pub(crate) labels: Labels,
    pub(crate) hash: u64,
    pub(crate) cells: Vec<(u32, Vec<u8>)>,
}

pub(crate) async fn rows(shard: &Shard, options: ScanOptions) -> promparquet_shard::Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut scan = shard.scan(options);
    while let Some(batch) = scan.next().await? {
        assert!(!batch.is_empty() && batch.len() <= options.batch_rows as usize);
        for (n, labels) in batch.labels().iter().enumerate() {
            let cells = shard.data_positions().iter().enumerate();
            rows.push(Row {
                shard: shard.index(),
                row_group: batch.row_group(),
                row: batch.first_row() + n as u64,
                labels: labels.clone(),
                hash: batch.series_hashes()[n],
                cells: cells.map(|(c, (index, _))| (*index, batch.cell(n, c).to_vec())).collect(),
            });
        }
    }
    Ok(rows)
}

/// All rows of a set.
pub(crate) async fn all_rows(bucket: &Bucket, name: &str, shards: u32) -> Vec<Row> {
    let mut all = Vec::new();
    for index in 0..shards {
        let shard = Shard::open(bucket, name, index).await.unwrap();
        all.extend(rows(&shard, ScanOptions::default()).await.unwrap());
    }
    all
}

/// The samples of the rows, in order of time.
pub(crate) fn samples_of_rows(rows: &[Row]) -> Series {
    let mut all = Series::new();
    for row in rows {
        let mut samples = Vec::new();
        for (_, bytes) in &row.cells {
            for record in cell::records(bytes) {
                let record = record.unwrap();
                prometheus_chunks::decode(record.encoding.try_into().unwrap(), record.data, &mut samples).unwrap();
            }
        }
        samples.sort_by_key(|s| s.timestamp);
        assert!(all.insert(row.labels.clone(), samples).is_none(), "two rows for {}", row.labels);
    }
    all
}

/// A value without what depends on its neighbours in a chunk: empty buckets, and what is known of resets but for gauges.
fn essence(value: &Value) -> String {
    let buckets = |spans: &[Span], counts: Vec<u64>| {
        let mut at = 0_i64;
        let mut indexes = Vec::new();
        for span in spans {
            at += i64::from(span.offset);
            indexes.extend((0..i64::from(span.length)).map(|i| at + i));
            at += i64::from(span.length);
        }
        let filled = indexes.into_iter().zip(counts).filter(|(_, count)| *count != 0).collect::<Vec<_>>();
        format!("{filled:?}")
    };
    let sums = |deltas: &[i64]| {
        let mut sum = 0;
        deltas
            .iter()
            .map(|d| {
                sum += d;
                sum as u64
            })
            .collect()
    };
    let all_bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    match value {
        Value::Float(v) => format!("{:016x}", v.to_bits()),
        Value::Histogram(h) => format!(
            "int {} {:x} {} {} {:x} {} {} {:?} {}",
            h.schema,
            h.zero_threshold.to_bits(),
            h.zero_count,
            h.count,
            h.sum.to_bits(),
            buckets(&h.positive_spans, sums(&h.positive_buckets)),
            buckets(&h.negative_spans, sums(&h.negative_buckets)),
            all_bits(&h.custom_values),
            h.counter_reset_hint == CounterResetHint::Gauge
        ),
        Value::FloatHistogram(h) => format!(
            "float {} {:x} {:x} {:x} {:x} {} {} {:?} {}",
            h.schema,
            h.zero_threshold.to_bits(),
            h.zero_count.to_bits(),
            h.count.to_bits(),
            h.sum.to_bits(),
            buckets(&h.positive_spans, all_bits(&h.positive_buckets)),
            buckets(&h.negative_spans, all_bits(&h.negative_buckets)),
            all_bits(&h.custom_values),
            h.counter_reset_hint == CounterResetHint::Gauge
        ),
    }
}

/// The value with what `like` says of a counter reset, if it says nothing: queriers forget it between chunks.
fn with_hint_like(value: &Value, like: &Value) -> Value {
    let mut value = value.clone();
    match (&mut value, like) {
        (Value::Histogram(v), Value::Histogram(l)) if l.counter_reset_hint == CounterResetHint::Unknown => {
            v.counter_reset_hint = CounterResetHint::Unknown;
        }
        (Value::FloatHistogram(v), Value::FloatHistogram(l)) if l.counter_reset_hint == CounterResetHint::Unknown => {
            v.counter_reset_hint = CounterResetHint::Unknown;
        }
        _ => {}
    }
    value
}

/// Series by series and sample by sample. `exact`: histograms with the very spans and hints, where there is a hint.
pub(crate) fn assert_same(found: &Series, expected: &Series, exact: bool, what: &str) {
    let missing: Vec<_> = expected.keys().filter(|labels| !found.contains_key(labels)).collect();
    let extra: Vec<_> = found.keys().filter(|labels| !expected.contains_key(labels)).collect();
    assert!(missing.is_empty() && extra.is_empty(), "{what}: missing {missing:?}, extra {extra:?}");
    for (labels, expected) in expected {
        let found = &found[labels];
        assert_eq!(found.len(), expected.len(), "{what}: samples of {labels}");
        for (found, expected) in found.iter().zip(expected) {
            assert_eq!(found.timestamp, expected.timestamp, "{what}: {labels}");
            if exact {
                let found_value = with_hint_like(&found.value, &expected.value);
                assert_eq!(found_value, expected.value, "{what}: {labels} at {}", found.timestamp);
            } else {
                let (found_value, expected_value) = (essence(&found.value), essence(&expected.value));
                assert_eq!(found_value, expected_value, "{what}: {labels} at {}", found.timestamp);
            }
        }
    }
}
